"""A report says what moves and why in one file, loads nothing, and holds no text of a call."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from app_building import Filled, demo_pairs, fill, make_workspace
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from workbench.cli import cli
from workbench.errors import UsageError
from workbench.records import Action, Estimate, Policy, Recommendation
from workbench.report import Report, as_html, as_markdown, drawing, gather_report, wording, write_report
from workbench.report.facts import LabelFact, LogFile
from workbench.scoring import recommend
from workbench.specs import guideline_version_of
from workbench.stats.slice_shares import worst_first
from workbench.store import Store
from workbench.ui import words

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> ![x](http://example.org/x.png) | a `b` \u202e <b>"
VOID = {"meta", "rect", "line", "circle"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    workspace = make_workspace(tmp_path_factory.mktemp("report") / "space")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        return Filled(workspace, store, fill(workspace, store, demo_pairs()))


@pytest.fixture
def report(filled: Filled) -> Report:
    with Store.open(filled.workspace.store_path, spool=filled.workspace.spool) as store:
        return gather_report(filled.workspace, store, "triage", "small", now=NOW)


class Reader(HTMLParser):
    """Checks that every element is closed in order, and remembers what stands in the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data.replace("\u202f", " ")


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_a_report_says_what_recommend_says(filled: Filled, report: Report) -> None:
    """Share, cap, bound, reasons and what is missing are those of the recommendation."""
    with Store.open(filled.workspace.store_path, spool=filled.workspace.spool) as store:
        found = recommend(filled.workspace, store, "triage", "small")
    assert replace(report.row.recommendation, missing=(), details={}) == replace(
        found, missing=(), details={}
    )
    text = read(as_html(report)).text
    for each in (*found.reasons, *found.missing, found.binding_reason):
        assert each in text
    assert report.evidence_hash in text


def test_the_table_of_slices_stands_worst_first_with_the_bound_for_all_at_once(report: Report) -> None:
    """Beside each slice's own bound is the wider one for whoever looks for the worst of them."""
    found = report.row.recommendation
    first = found.slices[0]
    worst = replace(first, value="worst", status="excluded")
    at_once = {"name": first.name, "value": "worst", "harm": replace(first.harm, high=0.777)}
    answer = replace(
        found,
        slices=worst_first((*found.slices, worst)),
        details=found.details | {"slices_at_once": [*found.details["slices_at_once"], at_once]},
    )
    tables = wording.tables(replace(report, row=replace(report.row, recommendation=answer)))
    (slices,) = [each for each in tables if each.title == "Slices"]
    column = slices.header.index("All at once")
    assert slices.rows[0][0] == f"{first.name} = worst"
    assert slices.rows[0][column] == "77.7 %"
    assert all(row[column] != "–" for row in slices.rows)


def test_a_share_that_slices_hold_back_whole_is_no_move_in_a_report(report: Report) -> None:
    """The report says what the card and the page say: the evidence allows it, and nothing moves."""
    moving = replace(report.row.recommendation, action=Action.RAMP, share=0.01, cap=0.1, effective_share=0.01)
    held = replace(moving, effective_share=0.0)
    assert wording.headline(with_answer(report, moving)).startswith("Move to 1")
    assert wording.headline(with_answer(report, held)).startswith("Nothing may move yet")
    served = replace(held, action=Action.HOLD, current_share=0.01)
    assert wording.headline(with_answer(report, served)).startswith("Take back the 1")


def with_answer(report: Report, answer: Recommendation) -> Report:
    """Return a report with another recommendation."""
    return replace(report, row=replace(report.row, recommendation=answer))


def test_a_report_loads_nothing_and_runs_nothing(report: Report) -> None:
    """No script, no link, no image, no address; the policy of the page forbids them too."""
    page = read(as_html(report))
    assert not page.tags & {"script", "link", "img", "iframe", "object", "a", "form"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    policy = next(
        value for name, value in page.attributes if name == "content" and value and "default" in value
    )
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "http" not in as_html(report).replace("http-equiv", "")


def test_a_report_holds_no_text_of_a_call(report: Report) -> None:
    """Neither prompts nor answers are in it, in either form."""
    whole = as_html(report) + as_markdown(report)
    for pair in demo_pairs()[:60]:
        assert pair.text not in whole


def test_hostile_names_stay_text(report: Report) -> None:
    """What somebody wrote into a description, a slice or a reason is neither HTML nor Markdown."""
    found = replace(report.row.recommendation, reasons=(HOSTILE,), missing=(HOSTILE,), binding_reason=HOSTILE)
    hostile = replace(report, description=HOSTILE, row=replace(report.row, recommendation=found))
    page = read(as_html(hostile))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "\u202e" not in as_html(hostile)
    markdown = as_markdown(hostile)
    assert "\\<script\\>" in markdown
    assert "![x]" not in markdown


def test_the_evidence_hash_changes_with_the_evidence_alone(filled: Filled, report: Report) -> None:
    """Made again it is the same; one label more, and it is another."""
    with Store.open(filled.workspace.store_path, spool=filled.workspace.spool) as store:
        again = gather_report(filled.workspace, store, "triage", "small")
        assert again.evidence_hash == report.evidence_hash
        call = store.value("SELECT call_id FROM comparisons ORDER BY call_id LIMIT 1")
        replay = store.value("SELECT replay_id FROM replays WHERE task = 'triage' ORDER BY seq LIMIT 1")
        label = {
            "label_id": "one-more", "replay_id": replay, "call_id": call, "verdict": "equal",
            "annotator": "ann", "reasons": [], "note": "", "source": "picked", "skipped": False,
            "created_at": datetime(2026, 3, 1),  # noqa: DTZ001 - as the store keeps it
        }  # fmt: skip
        store.append("labels", [label])
        assert gather_report(filled.workspace, store, "triage", "small").evidence_hash != report.evidence_hash


def test_the_command_writes_html_markdown_and_json(filled: Filled, tmp_path: Path) -> None:
    """By the ending of the file; any other is refused, and nothing half is left."""
    base = ["report", "--task", "triage", "--candidate", "small", "--workspace", str(filled.workspace.root)]
    for name, begins in (("r.html", "<!doctype html>"), ("r.md", "# triage")):
        done = CliRunner().invoke(cli, [*base, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert (tmp_path / name).read_text().startswith(begins)
    document = json.loads(CliRunner().invoke(cli, [*base, "--json"]).stdout)
    assert document["row"]["recommendation"]["harm"]["level"] == 0.95
    refused = CliRunner().invoke(cli, [*base, str(tmp_path / "r.pdf")])
    assert refused.exit_code == 2
    assert "neither .html nor .md" in refused.output
    assert sorted(each.name for each in tmp_path.iterdir()) == ["r.html", "r.md"]


def test_a_report_that_can_not_be_written_leaves_the_old_one(report: Report, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written there"):
        write_report(report, tmp_path / "missing" / "r.html")


RATES = st.floats(0, 1, allow_nan=False)


@given(low=RATES, point=RATES, high=RATES, tolerance=st.floats(0.001, 0.5))
def test_the_figure_of_harm_keeps_its_order_and_its_frame(
    low: float, point: float, high: float, tolerance: float
) -> None:
    """Whatever the limits, everything lies within the figure, and low stands left of high."""
    low, point, high = sorted((low, point, high))
    found = Estimate(point, low, high, 0.95, "anytime", 10, 10)
    drawn = drawing.harm(found, Policy(tolerance=tolerance), 0.0)
    places = [float(each) for each in re.findall(r'(?:x1|x2|cx|x)="([0-9.]+)"', drawn)]
    assert all(0 <= each <= drawing.WIDTH for each in places)
    band = re.search(r'class="band" x1="([0-9.]+)" y1="40" x2="([0-9.]+)"', drawn)
    assert band is not None
    assert float(band[1]) <= float(band[2])


@pytest.mark.parametrize("high", [0.2, 1.0])
def test_the_words_of_the_figure_of_harm_keep_off_its_edges(high: float) -> None:
    """Neither the tolerance beside a wide bound nor a bound at the end of the scale is cut."""
    found = Estimate(None, 0.0, high, 0.95, "anytime", 10, 10)
    drawn = drawing.harm(found, Policy(tolerance=0.01), 0.0)
    places = [float(each) for each in re.findall(r'<text x="([0-9.]+)"', drawn)]
    assert all(drawing.WORDS <= each <= drawing.WIDTH - drawing.WORDS for each in places)


def test_the_ladder_is_filled_to_the_share_and_tinted_to_the_cap() -> None:
    """As in the app: 0 % is never filled, what evidence reaches is soft, and now, next and cap are named."""
    drawn = drawing.ladder((0.0, 0.01, 0.05, 0.1, 1.0), 0.0, 0.01, 0.1)
    assert re.findall('<rect class="([a-z]+)"', drawn) == [
        "open",
        "reached",
        "supported",
        "supported",
        "open",
    ]
    assert re.findall('y="16" text-anchor="middle">([^<]+)<', drawn) == ["now", "next", "cap"]
    held = drawing.ladder((0.0, 0.01, 1.0), 0.0, 0.0, 0.0)
    assert ">now · next · cap<" in held


@pytest.mark.parametrize("stage", [0.0, 1.0])
def test_the_words_above_the_ends_of_the_ladder_are_not_cut(stage: float) -> None:
    """Where now, next and cap are one stage, at either end, all three words stand within the figure."""
    drawn = drawing.ladder((0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0), stage, stage, stage)
    ((place, words_above),) = re.findall(r'x="([0-9.]+)" y="16" text-anchor="middle">([^<]+)<', drawn)
    half = drawing.HALF_LETTER * len(words_above)
    assert half <= float(place) <= drawing.WIDTH - half


def test_figures_of_a_report_have_the_minus_sign_of_the_app() -> None:
    """A rate below nothing reads as on Ramp, and rounds to 0.0 % without a sign."""
    assert wording.percent(-0.0213) == "−2.1 %"
    assert wording.percent(-0.0001) == "0.0 %"
    assert wording.percent(0.5) == "50.0 %"


def test_a_report_without_guidelines_says_none(report: Report) -> None:
    """The hash of nothing is no version."""
    bare = replace(report, guideline_version=guideline_version_of(""))
    assert "| Guideline version | none |" in as_markdown(bare)
    assert f"| Guideline version | {report.guideline_version} |" in as_markdown(report)


def test_the_figure_of_harm_marks_what_the_share_allows() -> None:
    """Above the tolerance a bound can be low enough for an early stage: its line says for which."""
    found = Estimate(0.03, 0.005, 0.079, 0.95, "anytime", 200, 198)
    drawn = drawing.harm(found, Policy(), 0.01)
    assert drawn.count("moving 1 % allows 20.0 %") == 3
    assert 'class="allowed"' in drawn
    assert "allows" not in drawing.harm(found, Policy(), 1.0)


def test_a_report_says_where_labels_come_from(report: Report) -> None:
    """Of imported ones nobody knows here who gave them: no people are counted for them."""
    given = LabelFact("queue", "g1", 30, 2), LabelFact("imported", None, 20, 1), LabelFact("gold", None, 5, 1)
    (table,) = [each for each in wording.tables(replace(report, labels=given)) if each.title == "Labels"]
    assert [(row[0].split(":")[0], row[-1]) for row in table.rows] == [
        ("the queue", "2"),
        ("imported", "–"),
        ("right answers known before", "–"),
    ]


def test_the_calls_of_an_import_of_several_files_are_not_told_as_those_of_each(report: Report) -> None:
    """Which file a call came from is not kept: what all of them brought says so."""
    files = tuple(LogFile(f"{name}.jsonl", "0" * 64, "log", 372, 3) for name in "abc")
    alone = LogFile("d.jsonl", "1" * 64, "log", 8)
    text = as_markdown(replace(report, log_files=(*files, alone)))
    assert text.count("372 in 3 files together") == 3
    assert re.search(r"d\\?\.jsonl[^\n]*\| *8 *\|", text)


def test_money_reads_as_in_the_app() -> None:
    """A report has its sign in front, shows what is below a cent, and differs only where nothing is known."""
    sums = (-1.7, 1.7, -0.001, 0.0, 0.00042, 12_345.6)
    assert [wording.money(each) for each in sums] == [words.money(each) for each in sums]
    assert wording.money(-0.001) == "−$0.001"
    assert wording.money(None) == "not known"
