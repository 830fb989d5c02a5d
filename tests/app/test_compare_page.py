"""Compare, Slices and Replays: filters in the link, what stays hidden from reviewers, tables as files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from app_building import START, Filled, Pair, answer, call_id_of, fill
from app_reading import Visit, fine, plain, said
from click.testing import CliRunner

from workbench import access, review
from workbench.cli import cli
from workbench.compare.judge import JudgeFigures
from workbench.config import Workspace
from workbench.errors import AccessRefused, UsageError
from workbench.exporting import CSV, PARQUET, TABLES, Asked, export_table, table_bytes
from workbench.facade import Workbench
from workbench.records import Estimate
from workbench.roles import Actor, Grant, Role
from workbench.scoring.case_filters import case_filter, pool_of, rules_by_name
from workbench.scoring.judging import JudgeResults
from workbench.store import cases, pages
from workbench.store.case_filter import CaseFilter
from workbench.ui import opinion
from workbench.ui.whose import NAME

FORMULA = '=HYPERLINK("http://example.org")'
LEFT_OUT = "The link asks for something that is not here"


def label(place: Filled, call_id: str, name: str, annotator: str, verdict: str, **more: Any) -> None:
    """Store a label of the queue on a triage call."""
    row = {
        "label_id": name, "replay_id": place.replays["triage"], "call_id": call_id, "verdict": verdict,
        "annotator": annotator, "reasons": [], "note": "", "source": "queue", "skipped": False,
        "created_at": START, **more,
    }  # fmt: skip
    place.store.append("labels", [row])


def test_every_filter_of_a_link_opens_its_view_and_stays_in_it(visit: Visit, filled: Filled) -> None:
    """Slice, label, order and case of a link hold; what the table shows is what they say."""
    asked = {"task": "triage", "candidate": "small", "verdict": "mismatch", "by": "language", "value": "en"}
    asked |= {"frontier": "outage", "answer": "how-to", "label": "none"}
    at = fine(visit(filled, "compare", **asked))
    assert {key: at.query_params[key] for key in asked} == asked
    assert LEFT_OUT not in said(at)
    table = at.dataframe[0].value
    assert set(table["Language"]) == {"en"}
    assert set(table["Frontier"]) == {"outage"}
    text = {"task": "rewrite", "candidate": "small", "similarity": "0.85..0.95", "order": "least-similar"}
    at = fine(visit(filled, "compare", **text))
    assert {key: at.query_params[key] for key in text} == text
    assert len(at.dataframe[0].value) == 20
    assert "No case matches" in said(visit(filled, "compare", **(text | {"similarity": "0..0.5"})))


def test_filters_that_leave_no_case_are_cleared_by_a_button(visit: Visit, filled: Filled) -> None:
    """The page is about the same task and candidate then, with all of its cases."""
    at = fine(visit(filled, "compare", task="triage", candidate="planted", search="of no call at all"))
    assert "No case matches these filters." in said(at)
    at = fine(at.button(key="clear-filters").click().run())
    assert set(at.query_params) == {"task", "candidate"}
    assert "No case matches these filters." not in said(at)
    assert (at.selectbox[0].value, at.text_input[0].value) == ("triage", "")


def test_what_a_link_asks_for_in_vain_is_left_out_with_a_word(visit: Visit, filled: Filled) -> None:
    """Stale and hostile values are no error, are never repeated, and leave the address."""
    hostile = "<img src=x onerror=alert(1)>"
    bad = {
        "verdict": hostile,
        "by": "found:nothing",
        "value": "zz",
        "order": "'",
        "page": "1e99",
        "show": "x",
    }
    at = fine(visit(filled, "compare", task="triage", candidate="small", **bad))
    told = [each.value for each in at.info]
    assert any(LEFT_OUT in each and "Verdict" in each for each in told)
    assert hostile not in said(at)
    assert not {"verdict", "by", "value", "page", "show"} & set(at.query_params)
    assert LEFT_OUT not in said(fine(at.run()))
    at = fine(visit(filled, "replays", task="triage", first="nope"))
    assert "first" not in at.query_params


def test_the_agreement_view_shows_what_each_kind_of_task_has(visit: Visit, filled: Filled) -> None:
    """Labels have a table and bars, fields bars, texts similarity with labels; none has a gate."""
    words = said(fine(visit(filled, "compare", task="triage", candidate="small", show="agreement")))
    assert "Which answer became which" in words
    assert "Cohen's kappa" in words
    changes = fine(visit(filled, "compare", task="triage", candidate="planted", show="agreement")).dataframe
    # A long answer in a column before it would push the number out of sight.
    assert list(changes[0].value) == ["Calls", "Frontier", "Candidate"]
    # On a telephone the last column begins within the page.
    widths = [each.get("width") for each in json.loads(changes[0].proto.columns).values()]
    assert sum(each for each in widths if each) < 250
    at = fine(visit(filled, "compare", task="orders", candidate="small", show="agreement"))
    assert "Agreement by field" in said(at)
    at = fine(at.button(key="to-field").click().run())
    assert at.query_params["field"] == "total"
    assert set(at.dataframe[0].value["Verdict"]) == {"mismatch"}
    words = said(fine(visit(filled, "compare", task="rewrite", candidate="small", show="agreement")))
    assert "how far similarity can be trusted is not known" in words
    words = said(fine(visit(filled, "compare", task="rewrite", candidate="small", show="judge")))
    assert "it moves no traffic" in words


def test_what_a_judge_said_is_told_apart_from_what_it_failed_to_say(
    visit: Visit, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shares rest on pairs with a verdict alone, so these are counted; a bias names its place."""
    none = Estimate(None, 0.0, 1.0, 0.95, "none", 0, 0.0)
    figures = JudgeFigures(18, 12, 2 / 3, 0.0, 1 / 6, -1 / 6, 0, none, none)
    found = JudgeResults(
        "wise", "f", "wise-1", "1", figures, {"equal": 4, "control_better": 2}, {"cut off": 12}
    )
    monkeypatch.setattr(opinion, "judge_results", lambda *_: found)
    at = fine(visit(filled, "compare", task="rewrite", candidate="small", show="judge"))
    shown = {each.label: plain(each.value) for each in at.metric}
    assert (shown["Pairs asked"], shown["With a verdict"]) == ("18", "6")
    assert shown["Position bias"] == "16.7 % to the second"
    assert "4 equal, 2 frontier better" in said(at)


def test_the_agreement_view_of_a_ranking_shows_how_near_the_orders_are(visit: Visit, empty: Filled) -> None:
    """First place, NDCG and Kendall's tau, each with limits and the number of calls behind it."""
    path = empty.workspace.root / "evals" / "orders" / "eval.toml"
    path.write_text('task = "orders"\nkind = "ranking"\noptions = ["a", "b", "c"]\n')
    place = replace(empty, workspace=Workspace.load(empty.workspace.root))
    said_by = ["a > b > c", "a > c > b", "c > b > a", "?"]
    pairs = [
        Pair("orders", n, f"Order {n}", answer(said_by[0]), answer(one)) for n, one in enumerate(said_by)
    ]
    fill(place.workspace, place.store, pairs)
    at = fine(visit(place, "compare", task="orders", candidate="small", show="agreement"))
    shown = {each.label: plain(each.value) for each in at.metric}
    assert shown["First place the same"].startswith("50.0")
    assert "n = 4)" in shown["First place the same"]
    assert "n = 4)" in shown["Mean NDCG"]
    assert shown["Mean Kendall's tau"].startswith("0.11 (")
    assert "n = 3)" in shown["Mean Kendall's tau"]
    table = table_bytes(place.workspace, place.store, "agreement", Asked("orders", "small"), CSV)
    assert [row["of"] for row in rows_of(table)] == ["first place", "mean NDCG", "mean Kendall's tau"]


def test_what_is_equal_only_by_an_ignore_rule_is_counted_and_shown_by_its_name(
    visit: Visit, empty: Filled
) -> None:
    """The page counts pairs for every rule, and a case names the rules that it needed."""
    path = empty.workspace.root / "evals" / "orders" / "eval.toml"
    rules = (
        '[[ignore]]\nname = "sums"\nfield = "total"\n[[ignore]]\nname = "<b>ticket"\npattern = "#[0-9]+"\n'
    )
    path.write_text(path.read_text() + rules)
    place = replace(empty, workspace=Workspace.load(empty.workspace.root))
    orders = ('{"customer": "Ann", "total": 1}', '{"customer": "Ann", "total": 2}')
    others = ('{"customer": "Ann #1", "total": 1}', '{"customer": "Ann #2", "total": 2}')
    pairs = [
        Pair("orders", n, f"Order {n}", answer(one), answer(other))
        for n, (one, other) in enumerate([orders, others, orders[:1] * 2])
    ]
    fill(place.workspace, place.store, pairs)
    link = {"task": "orders", "candidate": "small"}
    told = [each.value for each in fine(visit(place, "compare", **link, case=call_id_of(pairs[1]))).text]
    assert "Equal only by what the eval ignores: sums (2), <b>ticket (1)." in told
    assert "Different, and equal by what the eval ignores: sums + <b>ticket" in told
    told = [each.value for each in fine(visit(place, "compare", **link, case=call_id_of(pairs[2]))).text]
    assert not [each for each in told if each.startswith("Different, and equal")]


def test_verdicts_stay_hidden_from_who_may_judge_the_case_blind(visit: Visit, filled: Filled) -> None:
    """A reviewer reads others' verdicts after judging, or by asking, and is then never asked for it blind."""
    call = call_id_of(Pair("triage", 45, "", answer(""), answer("")))
    pair = (filled.replays["triage"], call)
    label(filled, call, "one", "ben", "control_better", note="secret note")
    label(filled, call, "two", "ben", "equal", note="on second thoughts", supersedes="one")
    link = {"task": "triage", "candidate": "small", "verdict": "mismatch", "case": call}

    at = fine(visit(filled, "compare", **link))
    at.session_state[NAME] = "ann"
    at = fine(at.run())
    assert "second thoughts" not in said(at)
    assert "labelled" in set(at.dataframe[0].value["Label"])
    assert "equal" not in set(at.dataframe[0].value["Label"])
    assert "frontier better" not in at.selectbox(key="address.label").options
    at = fine(at.button(key=f"show-said-{call}").click().run())
    words = said(at)
    assert "ben: frontier better" in words
    assert "superseded" in words
    assert "ben: equal" in words
    assert not review.verdict_history(filled.store, pair, "ann").hidden
    assert review.verdict_history(filled.store, pair, "cleo").hidden
    label(filled, call, "three", "cleo", "equal")
    assert len(review.verdict_history(filled.store, pair, "cleo").verdicts) == 3

    # Whoever reads before they say who they are is noted as soon as they do.
    assert review.note_read(filled.store, [pair, pair], "dora") == 1
    assert review.note_read(filled.store, [pair], "dora") == 0
    assert not review.verdict_history(filled.store, pair, "dora").hidden


def test_a_case_opens_in_review_and_its_label_enters_no_bound(visit: Visit, filled: Filled) -> None:
    """The link carries the call; one verdict is kept as picked, and nothing follows by itself."""
    call = call_id_of(Pair("triage", 45, "", answer(""), answer("")))
    at = fine(visit(filled, "review", task="triage", candidate="small", pair=call))
    at.text_input[0].set_value("ann")
    next(each for each in at.button if each.label == "Start").click()
    at = fine(at.run())
    next(each for each in at.button if each.label == "Equal").click()
    at = fine(at.run())
    assert "counts in a bound only once every disagreement has a label" in said(at)
    (row,) = filled.store.rows("SELECT source, call_id, verdict FROM labels")
    assert (row["source"], row["call_id"], row["verdict"]) == ("picked", call, "equal")


def test_slices_lead_to_the_cases_of_every_task(visit: Visit, filled: Filled) -> None:
    """The map counts every task of the candidate; its button opens the same calls in Compare."""
    at = fine(visit(filled, "slices", task="triage", candidate="small", by="language"))
    table = next(each.value for each in at.dataframe if {"Differ", "Task"} <= set(each.value))
    assert set(table["Task"]) == {"triage", "orders", "rewrite"}
    first = table.iloc[0]
    at = fine(at.button(key="map-cases").click().run())
    assert (at.query_params["task"], at.query_params["value"]) == (first["Task"], first["Value"])
    assert set(at.dataframe[0].value["Verdict"]) == {"mismatch"}


def test_no_button_leads_to_cases_that_are_not_there(visit: Visit, filled: Filled) -> None:
    """A slice of which nothing differs says so instead of opening an empty list."""
    with filled.store.writing() as writer:
        writer.execute("UPDATE comparisons SET verdict = 'match' WHERE verdict = 'mismatch'")
    at = fine(visit(filled, "slices", task="triage", candidate="small"))
    for key in ("found-cases", "map-cases"):
        assert at.button(key=key).disabled
        assert at.button(key=key).help == "None of its compared calls differs."


def test_two_replays_are_compared_on_the_calls_that_both_asked(visit: Visit, filled: Filled) -> None:
    """Agreement, latency, cost and errors stand side by side; unknown and unlike replays are refused."""
    rows = filled.store.rows("SELECT replay_id, candidate FROM replays WHERE task = 'triage' ORDER BY seq")
    first, second = (row["replay_id"] for row in rows)
    with filled.store.writing() as writer:
        writer.execute(
            "DELETE FROM observations WHERE replay_id = ? AND call_id IN "
            "(SELECT call_id FROM calls WHERE native_id IN ('triage-0', 'triage-5'))",
            (second,),
        )
    at = fine(visit(filled, "replays", task="triage", candidate="small", first=first, second=second))
    words = said(at)
    assert "neither is shown to agree more often" in words
    assert "238 calls were asked in both; 2 in one alone are left out" in words
    offered = [each.value for each in at.code if "export table replay-pair" in each.value]
    assert [f"first={first}" in each and f"second={second}" in each for each in offered] == [True]
    asked = Asked("triage", filters={"first": first, "second": second})
    content = table_bytes(filled.workspace, filled.store, "replay-pair", asked, "csv")
    one, other = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    assert (one["replay_id"], other["candidate"]) == (first, "planted")
    assert (one["asked_here_alone"], other["asked_here_alone"], one["shared"]) == ("2", "0", "238")
    assert float(one["first_minus_second_low"]) < 0 < float(one["first_minus_second_high"])
    for wrong in (Asked("orders", filters=asked.filters), Asked("triage", filters={"first": first})):
        with pytest.raises(UsageError):
            table_bytes(filled.workspace, filled.store, "replay-pair", wrong, "csv")
    only_orders = Actor("vera", frozenset({Grant(Role.VIEWER, "orders")}), signed_in=True)
    with access.acting(only_orders), pytest.raises(AccessRefused):
        table_bytes(filled.workspace, filled.store, "replay-pair", replace(asked, task="orders"), "csv")
    with Workbench(filled.workspace.root) as bench:
        found = bench.replay_pair(first, second)
        assert (found.shared, found.lost) == (238, (2, 0))
        assert found.both + found.first_alone + found.second_alone + found.neither == found.compared
        assert found.difference.low < 0 < found.difference.high
        with pytest.raises(UsageError, match="no replay"):
            bench.replay_pair(first, "x")
        with pytest.raises(UsageError, match="two tasks"):
            bench.replay_pair(first, filled.replays["orders"])
        assert bench.judged_harm("rewrite", "small") is None
        assert bench.judge_results("rewrite", "small") is None


def test_a_replay_shows_examples_of_its_errors_and_what_it_can_prove(visit: Visit, filled: Filled) -> None:
    """Each kind of error has examples, read when they are opened, and leads to its cases."""
    replay = filled.replays["triage"]
    error = {"error": {"kind": "http", "message": "![x](http://example.org) said 500"}}
    with filled.store.writing() as writer:
        writer.execute(
            "UPDATE observations SET error_kind = 'http', text = NULL, output = ? WHERE replay_id = ? "
            "AND call_id IN (SELECT call_id FROM calls WHERE native_id = 'triage-7')",
            (json.dumps(error), replay),
        )
    at = fine(visit(filled, "replays", task="triage", candidate="small"))
    assert not any("triage-7" in each.value for each in at.code)
    at.session_state[f"examples-{replay}"] = True
    at = fine(at.run())
    assert any("triage-7" in each.value and "said 500" in each.value for each in at.code)
    assert all("example.org" not in each.value for each in at.markdown)
    assert "can show that at most" in said(at).replace("\\", "")
    at = fine(at.toggle(key=f"charts-{replay}").set_value(True).run())
    assert "p95 90" in said(at)
    at = fine(visit(filled, "compare", task="triage", candidate="small", error="http"))
    assert len(at.dataframe[0].value) == 1


# --- Tables as files -----------------------------------------------------------------------------


@pytest.fixture
def formulas(empty: Filled) -> Filled:
    """Give a workspace whose logs hold what a spreadsheet would run, a long line and right-to-left text."""
    pairs = [
        Pair("triage", 0, FORMULA, answer("billing"), answer("outage")),
        Pair("triage", 1, "x" * 1_000_000, answer("outage"), answer("outage"), "de"),
        Pair("triage", 2, "مرحبا 👋🏽\u202e", answer(FORMULA), answer("+1;-2"), "ar"),
    ]
    return Filled(empty.workspace, empty.store, fill(empty.workspace, empty.store, pairs))


def rows_of(content: bytes) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    csv.field_size_limit(10_000_000)
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_table_is_written_whole_and_runs_in_no_spreadsheet(formulas: Filled, tmp_path: Path) -> None:
    """CSV neutralises, Parquet holds what is there; both hold every filtered row and its whole text."""
    place = (formulas.workspace, formulas.store)
    asked = Asked("triage", "small")
    plain = rows_of(table_bytes(*place, "cases", asked, CSV))
    assert len(plain) == 3
    assert all(not value.startswith(("=", "+", "-", "@")) for row in plain for value in row.values())
    assert {row["control"] for row in plain} == {"billing", "outage", "'" + FORMULA}
    done = export_table(*place, "cases", tmp_path / "cases.parquet", asked)
    raw = pq.read_table(tmp_path / "cases.parquet").to_pylist()
    assert done.rows == len(raw) == 3
    assert FORMULA in {row["control"] for row in raw}
    assert max(len(row["request"]) for row in raw) > 1_000_000
    assert [row["call_id"] for row in plain] == [row["call_id"] for row in raw]
    few = rows_of(table_bytes(*place, "cases", Asked("triage", "small", {"language": "de"}), CSV))
    assert [row["language"] for row in few] == ["de"]
    assert len(rows_of(table_bytes(*place, "cases", asked, CSV, most_rows=2))) == 2


def test_every_table_is_there_in_both_forms(filled: Filled) -> None:
    """Each name of the catalogue writes a file that is read again, or says what it needs."""
    place = (filled.workspace, filled.store)
    refused = set()
    for name in TABLES:
        for form in (CSV, PARQUET):
            try:
                content = table_bytes(*place, name, Asked("triage", "small"), form)
            except UsageError:
                refused.add(name)
                continue
            if form == PARQUET:
                n = pq.read_table(io.BytesIO(content)).num_rows
                assert n == len(rows_of(table_bytes(*place, name, Asked("triage", "small"), CSV))), name
    # No judge is named, nobody has looked at the traffic, and no two replays are named.
    assert refused == {"judge", "replay-pair", "workloads", "suitability", "answers", "calls"}


def test_a_filter_means_the_same_in_a_link_and_in_an_export(filled: Filled) -> None:
    """Batches of any size hold each matching case once, in the order of the page."""
    where = {"by": "language", "value": "de", "search": "Ticket"}
    chosen = case_filter(filled.workspace, filled.store, "triage", "small", where)
    pool = pool_of(filled.workspace, "triage", "small")
    page = [each.call_id for each in cases.case_page(filled.store, pool, chosen, size=500)]
    assert len(page) == cases.matching(filled.store, pool, chosen) == 48
    for size in (1, 7, 48, 500):
        batches = cases.each_case(filled.store, pool, chosen, size=size)
        assert [row["call_id"] for batch in batches for row in batch] == page
    for bad in ({"verdikt": "x"}, {"verdict": "x"}, {"by": "x", "value": "y"}, {"similarity": "1..0"}):
        with pytest.raises(UsageError):
            case_filter(filled.workspace, filled.store, "triage", "small", bad)


@pytest.mark.parametrize("column", ["call_seq", "observation_seq"])
def test_cases_read_the_same_where_comparisons_do_not_know_their_places(filled: Filled, column: str) -> None:
    """Those of before hold no numbers, or an answer stands under another by now: ids find what they name."""
    pool = pool_of(filled.workspace, "triage", "small")
    chosen = case_filter(filled.workspace, filled.store, "triage", "small", {})

    def everything() -> Any:
        listed = cases.case_page(filled.store, pool, chosen, size=500)
        one = cases.case(filled.store, pool, listed[-1].call_id)
        return listed, one, list(cases.each_case(filled.store, pool, chosen, size=7))

    known = everything()
    assert len(known[0]) >= 48
    for value in (None, 1_000_000):
        with filled.store.writing() as writer:
            writer.execute(
                f"UPDATE comparisons SET {column} = ? WHERE replay_id = ?",  # noqa: S608 - a column of this test
                (value, filled.replays["triage"]),
            )
        found = everything()
        assert found[:2] == known[:2]
        for before, now in zip(known[2], found[2], strict=True):
            assert [row | {column: None} for row in now] == [row | {column: None} for row in before]


def test_a_slice_splits_the_same_where_comparisons_do_not_know_their_places(filled: Filled) -> None:
    """By number or by id, the same calls stand in each part, those in conflict in none."""
    pool = pool_of(filled.workspace, "triage", "small")
    rule = rules_by_name(filled.workspace.eval_for("triage"))["language"]
    call = cases.case_page(filled.store, pool, CaseFilter())[0].call_id
    missing = {"call_id": call, "manifest_id": "m", "content_hash": "x", "file": "f", "line": 1, "call": "{}"}
    for conflicts in ([], [missing]):
        filled.store.append("conflicts", conflicts)
        known = sorted(cases.entry_verdicts(filled.store, pool, rule), key=str)
        with filled.store.writing() as writer:
            writer.execute("UPDATE comparisons SET call_seq = NULL")
        assert sorted(cases.entry_verdicts(filled.store, pool, rule), key=str) == known
        total = cases.matching(filled.store, pool, CaseFilter())
        assert sum(n for _, _, n in known) == total - len(conflicts)
        with filled.store.writing() as writer:
            writer.execute(
                "UPDATE comparisons SET call_seq = c.seq FROM calls c WHERE c.call_id = comparisons.call_id"
            )


def test_the_answers_of_a_task_are_counted_whether_all_calls_have_one_or_not(filled: Filled) -> None:
    """Where each has one the calls are counted; a call in conflict, or without an answer, is none of them."""
    every = pages.controls(filled.store, "triage")
    calls = [each["call_id"] for each in filled.store.rows("SELECT call_id FROM calls WHERE task = 'triage'")]
    assert every == len(calls) > 2
    with filled.store.writing() as writer:
        writer.execute("DELETE FROM controls WHERE call_id = ?", (calls[0],))
    assert pages.controls(filled.store, "triage") == every - 1
    row = {"manifest_id": "m", "content_hash": "x", "file": "f", "line": 1, "call": "{}"}
    filled.store.append("conflicts", [row | {"call_id": calls[1]}])
    assert pages.controls(filled.store, "triage") == every - 2


def test_the_command_line_writes_what_the_page_offers(filled: Filled, tmp_path: Path) -> None:
    """`workbench export table` takes the words of a link; what it can't do it says without a traceback."""
    file = tmp_path / "out.csv"
    common = ["--workspace", str(filled.workspace.root), "--json"]
    asked = ["export", "table", "cases", str(file), "--task", "triage", "--candidate", "small"]
    done = CliRunner().invoke(cli, [*asked, "--where", "verdict=mismatch", *common])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == len(rows_of(file.read_bytes())) == 6
    for wrong in (["--where", "verdict"], ["--where", "verdict=x"], ["--where", "colour=red"]):
        refused = CliRunner().invoke(cli, [*asked, *wrong, *common])
        assert refused.exit_code == 2
        assert "Traceback" not in refused.output


def test_a_reviewer_takes_no_verdict_of_others_away(filled: Filled) -> None:
    """In a reviewer's file a label that they may still be asked for says only that there is one."""
    call = call_id_of(Pair("triage", 45, "", answer(""), answer("")))
    label(filled, call, "one", "ben", "control_better")
    place = (filled.workspace, filled.store)
    where = {"label": "any"}
    (row,) = rows_of(table_bytes(*place, "cases", Asked("triage", "small", where, "ann", blind=True), CSV))
    assert row["label"] == "labelled"
    (row,) = rows_of(table_bytes(*place, "cases", Asked("triage", "small", where, "ben", blind=True), CSV))
    assert row["label"] == "control_better"


def test_the_address_names_the_open_case_at_a_press(visit: Visit, filled: Filled) -> None:
    """The case that opens by itself stands in no address until somebody asks for a link to it."""
    at = fine(visit(filled, "compare", task="triage", candidate="small", verdict="mismatch"))
    assert "case" not in at.query_params
    at = fine(at.button(key="case-link").click().run())
    case = at.query_params["case"]
    assert "leads to this case" in at.toast[0].value
    again = fine(visit(filled, "compare", task="triage", candidate="small", case=case))
    heads = [[each.value for each in page.header] for page in (at, again)]
    assert heads[0] == heads[1]
