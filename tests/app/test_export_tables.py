"""Tables of Ramp, Overview and My labels as files: what they hold, who gets them, no model named."""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_building import Filled, call_id_of, demo_pairs, fill, make_workspace
from app_reading import Visit, fine
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest
from test_roles_in_app import downloads, pressed

import workbench
from workbench import access, rollout
from workbench.compare import evaluator_version
from workbench.costing import CostPlan, SelfHosted
from workbench.costing.what_if import ASSUMPTIONS, NOT_GIVEN, figure_of, read, tried
from workbench.errors import AccessRefused, UsageError
from workbench.exporting import TABLES, Asked, is_withheld, table_bytes
from workbench.exporting.catalogue import RIGHTS
from workbench.profiling import profile
from workbench.roles import Actor, Grant, Right, Role
from workbench.scoring.considered import consider
from workbench.store import Store, accesses

__all__ = ["downloads"]

PAIR = ("triage", "small")
NO_EXPORT = frozenset({(Role.ADMIN, Right.EXPORT)})
WHERE = {"task": "triage", "candidate": "small"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Give a workspace with labels of two people, and a share that was accepted on a claim."""
    workspace = make_workspace(tmp_path_factory.mktemp("tables") / "w")
    pairs = demo_pairs()
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        found = Filled(workspace, store, fill(workspace, store, pairs))
        numbers = [each.number for each in pairs if each.task == "triage" and each.number % 40 == 5]
        rows = [
            {
                "label_id": f"{who}-{number}", "replay_id": found.replays["triage"],
                "call_id": call_id_of(next(each for each in pairs if each.number == number)),
                "verdict": verdict, "annotator": who, "reasons": ["wrong"], "note": f"note of {who}",
                "corrected": "outage", "source": "queue", "skipped": False, "shown_order": "control_left",
                "guideline_version": workspace.eval_for("triage").guideline_version,
                "created_at": pairs_at(place_of),
            }
            for place_of, number in enumerate(numbers)
            for who, verdict in (("rita@example.com", "control_better"), ("bob", "equal"))
            if who == "bob" or place_of < 3
        ]  # fmt: skip
        store.append("labels", rows)
        made = consider(workspace, store, *PAIR, current_share=0.01)
        rollout.accept(
            workspace,
            store,
            *PAIR,
            share=made.recommendation.share,
            shown=made.evidence_hash,
            who="ada",
            current_share=0.01,
            reason="=moved by hand",
        )
        yield found


def pairs_at(number: int) -> Any:
    """Return when a label was given."""
    from datetime import UTC, datetime, timedelta

    return datetime(2026, 11, 1, 8, tzinfo=UTC) + timedelta(minutes=number)


def rows_of(place: Filled, table: str, asked: Asked) -> list[dict[str, str]]:
    """Return the rows of a table as a spreadsheet reads them."""
    content = table_bytes(place.workspace, place.store, table, asked, "csv")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_ramps_tables_hold_what_the_page_says(place: Filled) -> None:
    """The log with what was served then, the evidence that a share is accepted by, what moved the bound."""
    (row,) = rows_of(place, "decisions", Asked(*PAIR))
    (entry,) = rollout.decisions(place.store, *PAIR)
    assert (float(row["served_then"]), float(row["in_force_then"]), row["claimed"]) == (0.01, 0.0, "true")
    assert row["reason"] == "'=moved by hand"
    assert row["entry_hash"] == entry.decision.entry_hash
    assert rows_of(place, "decisions", Asked("orders")) == []
    assert len(rows_of(place, "decisions", Asked())) == 1
    for now in ("", "0.05"):
        (row,) = rows_of(place, "recommendation", Asked(*PAIR, {"now": now} if now else {}))
        current = float(now or entry.decision.share)
        made = consider(place.workspace, place.store, *PAIR, current_share=current)
        assert row["evidence_hash"] == made.evidence_hash
        assert float(row["current_share"]) == current
        assert float(row["harm_high"]) == made.recommendation.harm.high
    for wrong in ("5 %", "2", "nan"):
        with pytest.raises(UsageError, match="is no share"):
            rows_of(place, "recommendation", Asked(*PAIR, {"now": wrong}))
    moved = rows_of(place, "label-moves", Asked(*PAIR))
    assert {row["annotator"] for row in moved} <= {"rita@example.com", "bob"}
    assert moved
    blind = rows_of(place, "label-moves", Asked(*PAIR, who="cleo", blind=True))
    assert blind == [], "whoever may still be asked for these pairs reads no verdict on them"


def test_ones_own_labels_are_ones_own_and_name_no_model(place: Filled) -> None:
    """A reviewer gets their own, as the page had it; text goes with those alone who may take it out."""
    rita = Actor("rita@example.com", frozenset({Grant(Role.REVIEWER, "triage")}), signed_in=True)
    with access.acting(rita):
        mine = rows_of(place, "my-labels", Asked("triage", "small", who=rita.name, blind=True))
        assert [row["said"] for row in mine] == ["left"] * 3
        assert mine[0]["created_at"] > mine[-1]["created_at"]
        assert not {"note", "corrected", "verdict", "candidate"} & set(mine[0])
        assert "small" not in str(mine)
        assert rows_of(place, "my-labels", Asked("triage", filters={"said": "right"})) == []
        with pytest.raises(AccessRefused, match="not as 'bob'"):
            rows_of(place, "my-labels", Asked("triage", filters={"who": "bob"}))
        for table in TABLES:
            if table != "my-labels":
                with pytest.raises(AccessRefused):
                    rows_of(place, table, Asked("triage", "small"))
        with pytest.raises(AccessRefused):
            rows_of(place, "my-labels", Asked("orders"))
    whole = rows_of(place, "my-labels", Asked("triage", filters={"who": "bob"}))
    assert {(row["said"], row["note"], row["corrected"]) for row in whole} == {
        ("equal", "note of bob", "outage")
    }


def test_conflicts_leave_without_what_anybody_said(
    visit: Visit, place: Filled, downloads: dict[str, Any]
) -> None:
    """Those who decide get the pairs, no verdict and no model; nobody else gets them."""
    everything = rows_of(place, "conflicts", Asked(*PAIR, {"who": "cleo"}))
    assert [(row["votes"], row["own"]) for row in everything] == [("2", "false")] * 3
    assert not {"candidate", "verdict", "replay_id"} & set(everything[0])
    engineer = Actor("eve", frozenset({Grant(Role.ENGINEER, "triage")}), signed_in=True)
    with access.acting(engineer), pytest.raises(AccessRefused):
        rows_of(place, "conflicts", Asked("triage"))
    downloads.clear()
    at = fine(visit(place, "review", **WHERE, view="conflicts", reviewer="cleo"))
    at = fine(next(each for each in at.button if each.label == "Start").click().run())
    content = pressed(downloads["export-conflicts-csv"])
    assert everything[0]["call_id"].encode() in content
    (command,) = [each.value for each in at.code if "export table conflicts" in each.value]
    assert "small" not in command


def test_the_answers_of_a_workload_leave_with_the_right_to_take_text_out_alone(place: Filled) -> None:
    """They are what a model wrote: how often each occurs, noted as taken out."""
    profile(place.workspace, place.store)
    rows = rows_of(place, "answers", Asked("triage"))
    assert sum(int(row["calls"]) for row in rows) == 240
    assert {row["what"] for row in rows} == {"label"}
    assert accesses.latest(place.store, 1)[0].kind == accesses.Kind.EXPORT_TABLE
    viewer = Actor("v", frozenset({Grant(Role.VIEWER, "triage")}), signed_in=True)
    with access.acting(viewer), pytest.raises(AccessRefused):
        rows_of(place, "answers", Asked("triage"))


@pytest.mark.parametrize("table", sorted(TABLES))
def test_what_a_page_withholds_is_what_would_be_refused(place: Filled, table: str) -> None:
    """Of somebody who may not take text out, exactly those tables are refused that no button offers."""
    profile(place.workspace, place.store)
    viewer = Actor("vera", frozenset({Grant(Role.VIEWER), Grant(Role.REVIEWER)}), signed_in=True)
    overseer = Actor("ada", frozenset({Grant(Role.ADMIN)}), signed_in=True, withheld=NO_EXPORT)
    filters = {"workload": "triage"} if table in ("answers", "calls", "suitability") else {}
    whole = table in ("imports", "rejects", "workloads", "prices", "costs", "tasks", "candidates")
    for actor in (overseer, *(() if table in RIGHTS else (viewer,))):
        asked = Asked(*(() if whole or filters else PAIR), filters=filters, who=actor.name)
        with access.acting(actor):
            withheld = is_withheld(table, asked.task or filters.get("workload"))
            try:
                table_bytes(place.workspace, place.store, table, asked, "csv")
                refused = False
            except AccessRefused as error:
                refused = "engineer or admin" in str(error)
            except UsageError:
                refused = False
        assert withheld == refused, actor.name


def test_every_page_with_a_table_offers_it(visit: Visit, place: Filled, downloads: dict[str, Any]) -> None:
    """Overview, each table of Ramp, and My labels, whose file and command name no candidate."""
    fine(visit(place, "overview"))
    assert b"triage" in pressed(downloads["export-overview-csv"])
    downloads.clear()
    fine(visit(place, "ramp", **WHERE, now="0.05"))
    offered = {key.removeprefix("export-").removesuffix("-csv") for key in downloads if key.endswith("-csv")}
    assert {"recommendation", "decisions", "label-moves", "slices"} <= offered
    assert b",0.05," in pressed(downloads["export-recommendation-csv"])
    downloads.clear()
    at = fine(visit(place, "review", **WHERE, view="mine", reviewer="bob"))
    at = fine(next(each for each in at.button if each.label == "Start").click().run())
    assert b"note of bob" in pressed(downloads["export-my-labels-csv"])
    (command,) = [each.value for each in at.code if "export table my-labels" in each.value]
    assert "who=bob" in command
    assert "small" not in command


def test_settings_offers_its_tables(visit: Visit, place: Filled, downloads: dict[str, Any]) -> None:
    """Tasks, candidates, prices, the log of one person; what somebody calls themselves is no formula."""
    with access.acting(Actor("=HYPERLINK(1)", frozenset({Grant(Role.ADMIN)}), signed_in=True)):
        table_bytes(place.workspace, place.store, "cases", Asked(*PAIR), "csv")
        (row,) = rows_of(place, "accesses", Asked(filters={"who": "=HYPERLINK(1)"}))
    assert (row["actor"], row["kind"], row["task"]) == ("'=HYPERLINK(1)", "export of a table", "triage")
    downloads.clear()
    fine(visit(place, "settings"))
    assert {f"export-{each}-csv" for each in ("tasks", "candidates", "prices", "accesses")} <= set(downloads)
    assert b"'=HYPERLINK(1)" in pressed(downloads["export-accesses-csv"])
    version = evaluator_version(place.workspace.eval_for("triage"))
    assert version in {each["evaluator_version"] for each in rows_of(place, "tasks", Asked())}
    assert [each["task"] for each in rows_of(place, "tasks", Asked("orders"))] == ["orders"]
    (small,) = rows_of(place, "candidates", Asked(candidate="small"))
    assert small["fingerprint"] == place.workspace.fingerprint(place.workspace.candidate("small"))
    assert "triage" in small["open_to"]


SHOWN_OF_ONE_CASE = {"answers.show_fields", "conflicts._votes"}
OF_A_FILE_NOT_YET_IMPORTED = {"upload._preview"}
OFFERED_BY_THEIR_CALLER = {
    "candidates.table": "overview",
    "cases._table": "cases",
    "costs._figures": "costs",
    "decision._latency": "latencies",
    "decision.declared": "slices",
    "found._leaves": "routing-rule",
    "my_labels._table": "my-labels",
    "opinion._predicted": "judge",
    "overview._table": "overview",
    "replay_answers.errors": "errors",
    "settings._table": "accesses",
    "thresholds._shown": "thresholds",
    "upload._rejects": "rejects",
}


def test_no_table_of_the_app_is_without_a_file() -> None:
    """Every function that shows a table offers it, or is known here with the table that holds its rows."""
    offering, showing = set(), set()
    for path in (Path(workbench.__file__).parent / "ui").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                calls = {ast.unparse(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
                name = f"{path.stem}.{node.name}"
                showing |= {name} if calls & {"st.dataframe", "st.table", "st.data_editor"} else set()
                offering |= {name} if {"exports.offer"} & calls else set()
    others = showing - offering - SHOWN_OF_ONE_CASE - OF_A_FILE_NOT_YET_IMPORTED
    assert others == set(OFFERED_BY_THEIR_CALLER)
    assert set(OFFERED_BY_THEIR_CALLER.values()) <= set(TABLES)


def costs_page(visit: Visit, place: Filled, **query: str) -> AppTest:
    """Open Costs with amounts in its address."""
    fine(visit(place, "traffic"))
    return fine(visit(place, "costs", **query))


def test_amounts_on_costs_live_in_the_address_and_in_the_file(
    visit: Visit, place: Filled, downloads: dict[str, Any]
) -> None:
    """A link opens the same figures; the file is made with them; what can't be is left out and said."""
    at = costs_page(visit, place, engineering="1200", waiting="30")
    boxes = {each.label: each for each in at.number_input}
    assert boxes["Engineering a month, USD"].value == 1200
    assert boxes["Calls that can wait, %"].value == 30
    tried_file, plain = pressed(downloads["export-costs-csv"]), Asked(filters={"engineering": "1200"})
    assert tried_file != pressed(_plain(visit, place, downloads))
    assert tried_file != table_bytes(place.workspace, place.store, "costs", plain, "csv")
    at = costs_page(visit, place)
    boxes = {each.label: each for each in at.number_input}
    at = fine(boxes["Labelling a month, USD"].set_value(50.0).run())
    assert at.query_params["labelling"] in ("50", ["50"])
    at = costs_page(visit, place, engineering="-5", peak="3")
    assert "engineering" not in at.query_params
    assert any("Engineering a month, USD" in each.value for each in at.info)
    with pytest.raises(UsageError, match="can't be tried"):
        table_bytes(place.workspace, place.store, "costs", Asked(filters={"waiting": "101"}), "csv")


def _plain(visit: Visit, place: Filled, downloads: dict[str, Any]) -> Any:
    downloads.clear()
    costs_page(visit, place)
    return downloads["export-costs-csv"]


AMOUNTS = st.none() | st.floats(0, 1e6)
PLANS = st.builds(
    CostPlan,
    engineering_usd_month=AMOUNTS,
    one_off_usd=AMOUNTS,
    batchable_share=st.none() | st.floats(0, 1),
    self_hosted=st.none() | st.just(SelfHosted("gpu", 100.0, None, "measured", warm_replicas=3)),  # type: ignore[arg-type]
)


@given(PLANS, PLANS)
def test_a_plan_is_tried_as_an_address_carries_it(saved: CostPlan, other: CostPlan) -> None:
    """What nobody moved stays to the last digit; every figure that was moved arrives."""
    assert tried(saved, {word: figure_of(saved, word) for word in ASSUMPTIONS}) == saved
    figures = {word: figure_of(other, word) for word, each in ASSUMPTIONS.items() if not each.hosted}
    carried = {word: NOT_GIVEN if value is None else repr(value) for word, value in figures.items()}
    found = tried(saved, {word: read(word, said) for word, said in carried.items()})
    assert found.self_hosted == saved.self_hosted
    for word, value in figures.items():
        assert figure_of(found, word) == (None if value is None else pytest.approx(value))


def test_the_languages_of_a_reviewer_live_in_the_address(visit: Visit, place: Filled) -> None:
    """A link, or a reload, asks for items in the same languages."""
    at = fine(visit(place, "review", **WHERE, languages="de,fr"))
    at.text_input[0].set_value("cleo")
    at = fine(next(each for each in at.button if each.label == "Start").click().run())
    group = next(each for each in at.get("button_group") if "languages" in str(each.key))
    assert group.value == ["de", "fr"]
    at = fine(group.set_value(["de"]).run())
    assert at.query_params["languages"] in ("de", ["de"])
