"""The report on all tasks: the same figures as the overview, one silent file, names that stay text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from app_building import Filled, demo_pairs, fill, make_workspace
from click.testing import CliRunner

from workbench import Workbench
from workbench.cli import cli
from workbench.report import (
    PortfolioReport,
    gather_portfolio,
    gather_report,
    portfolio_html,
    portfolio_markdown,
)
from workbench.rollout import accept
from workbench.scoring import overview, portfolio, recommend
from workbench.store import Store

NOW = datetime(2026, 12, 24, 12, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> ![x](http://example.org/x.png) | `b` \u202e \U0001f44b\U0001f3fd"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    workspace = make_workspace(tmp_path_factory.mktemp("portfolio") / "space")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        replays = fill(workspace, store, demo_pairs())
        triage = [each for each in demo_pairs() if each.task == "triage"]
        fill(workspace, store, triage, "planted", new_calls=False)
    return Filled(workspace, store, replays)


@pytest.fixture(scope="module")
def report(place: Filled) -> PortfolioReport:
    with Store.open(place.workspace.store_path, spool=place.workspace.spool) as store:
        return gather_portfolio(place.workspace, store, now=NOW)


class Reader(HTMLParser):
    """Remembers tags and attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data.replace("\u202f", " ")


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


def test_both_forms_say_what_the_overview_says(place: Filled, report: PortfolioReport) -> None:
    """Figures, the bound with its method, each task, sizes, ages, and what is made up."""
    with Store.open(place.workspace.store_path, spool=place.workspace.spool) as store:
        found = portfolio(overview(place.workspace, store))
    assert report.portfolio == found
    page = read(portfolio_html(report)).text
    plain = portfolio_markdown(report).replace("\\", "")
    for text in (page, plain):
        assert "1 of 3 compared tasks can move" in text
        assert found.harm_sentence in text
        assert "Bonferroni" in text
        assert "planted (synthetic)" in text
        assert "Synthetic candidates are left out" in text
        assert report.evidence_hash in text
        assert "days old" in text
        for part in found.parts:
            assert part.task in text
    assert page.count("Ladder: now") == 3


def test_the_file_loads_nothing_and_runs_nothing(report: PortfolioReport) -> None:
    """No script, link, image or address in it."""
    page = read(portfolio_html(report))
    assert not page.tags & {"script", "link", "img", "iframe", "a", "form", "object"}
    assert not page.names & {"src", "href", "onerror", "onload"}
    assert "default-src 'none'" in portfolio_html(report)


def test_hostile_names_stay_text(report: PortfolioReport) -> None:
    """A task or a model may be called anything."""
    parts = tuple(replace(each, task=HOSTILE, candidate=HOSTILE) for each in report.portfolio.parts)
    rows = tuple(replace(each, task=HOSTILE, candidate=HOSTILE) for each in report.rows)
    hostile = replace(
        report,
        rows=rows,
        portfolio=replace(report.portfolio, parts=parts, unpriced=(HOSTILE,)),
        policies={HOSTILE: report.policies["triage"]},
    )
    page = portfolio_html(hostile)
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "![x]" not in portfolio_markdown(hostile)


def test_the_hash_changes_with_the_figures_alone(place: Filled, report: PortfolioReport) -> None:
    """At another hour it is the same, with another row it is not."""
    rows = report.rows
    workspace = place.workspace
    again = gather_portfolio(workspace, place.store, rows, now=NOW + timedelta(days=1))
    assert again.evidence_hash == report.evidence_hash
    fewer = gather_portfolio(workspace, place.store, rows[1:], now=NOW)
    assert fewer.evidence_hash != report.evidence_hash


def test_an_empty_workspace_has_a_report_that_says_so(tmp_path: Path) -> None:
    """Nothing compared is no error."""
    make_workspace(tmp_path / "empty")
    with Workbench(tmp_path / "empty") as bench:
        found = bench.portfolio_report(tmp_path / "r.html")
    assert "No candidate of your own has been compared yet" in (tmp_path / "r.html").read_text()
    assert found.portfolio.parts == ()


def test_the_command_writes_each_form_and_refuses_what_does_not_go_together(
    place: Filled, tmp_path: Path
) -> None:
    """`report --portfolio` takes a file or prints; a task beside it is a mistake, so is neither."""
    base = ["report", "--workspace", str(place.workspace.root)]
    for name, begins in (("p.html", "<!doctype html>"), ("p.md", "# What can move")):
        done = CliRunner().invoke(cli, [*base, "--portfolio", str(tmp_path / name)])
        assert done.exit_code == 0, done.output
        assert (tmp_path / name).read_text().startswith(begins)
    document = json.loads(CliRunner().invoke(cli, [*base, "--portfolio", "--json"]).stdout)
    assert document["portfolio"]["compared_tasks"] == 3
    for wrong in (["--portfolio", "--task", "triage"], [], ["--task", "triage"]):
        refused = CliRunner().invoke(cli, [*base, *wrong])
        assert refused.exit_code == 2
        assert "--candidate" in refused.output


def test_what_nothing_moves_means_is_said_at_every_star(report: PortfolioReport) -> None:
    """A report on nothing that moves has no bound: its star says so, and no figure is "not known" for it."""
    still = replace(report.portfolio, level=None, harm_high=None, harm_per_day=None, moving=0)
    for text in (
        portfolio_html(replace(report, portfolio=still)),
        portfolio_markdown(replace(report, portfolio=still)),
    ):
        plain = text.replace("\\", "")
        assert "* Nothing moves." in plain
        harmed = plain[plain.index("Harmed calls a day at most") :]
        assert "nothing moves" in harmed[:120]


def test_reports_and_tables_are_about_the_shares_in_force(tmp_path: Path) -> None:
    """A share that was accepted is what a candidate serves: every paper says so, as the pages do."""
    workspace = make_workspace(tmp_path / "space")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, demo_pairs())
        answer = recommend(workspace, store, "triage", "small")
        accept(
            workspace,
            store,
            "triage",
            "small",
            share=0.5,
            shown=answer.details["evidence_hash"],
            who="ada",
            reason="The contract ends.",
            until=datetime.now(UTC) + timedelta(days=3),
        )
        whole = gather_portfolio(workspace, store)
        (row,) = [each for each in whole.rows if (each.task, each.candidate) == ("triage", "small")]
        assert row.recommendation.current_share == 0.5
        assert gather_report(workspace, store, "triage", "small").row.recommendation.current_share == 0.5
        at_five = gather_report(workspace, store, "triage", "small", current_share=0.05)
        assert at_five.row.recommendation.current_share == 0.05
        (alarm,) = whole.alarms
        assert alarm.startswith("triage, small: 50 % is served. Step down to 1 %. Override: 50 % by ada on ")
        assert alarm.endswith("The contract ends.")
        for page in (portfolio_html(whole), portfolio_markdown(whole)):
            assert page.count("More moves than is recommended.") == 1
            assert "Traffic that moves now" in page
        hostile = replace(whole, alarms=(HOSTILE,))
        assert "<script" not in portfolio_html(hostile)
        assert "![x]" not in portfolio_markdown(hostile)
        others = {each.recommendation.current_share for each in whole.rows if each.task != "triage"}
        assert others == {0.0}
