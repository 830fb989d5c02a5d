"""One way to say one thing: counts in tables, names of guards, versions of guidelines, unknown languages."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from app_building import Filled
from app_reading import Visit, fine, plain, said
from profile_world import lines, made, order_line, sort_line

from workbench import scoring
from workbench.config import Workspace
from workbench.costing.ways import HOSTED
from workbench.errors import ConfigError
from workbench.exporting import Asked, table_bytes
from workbench.ingest import import_files, preview
from workbench.profiling import profile
from workbench.profiling.costs import costs
from workbench.records import Action, Output, OutputError, ToolCall, to_json
from workbench.report import gather_portfolio
from workbench.rollout.exporting import export_ramp
from workbench.scoring.overview import overview_row
from workbench.specs import guideline_version_of
from workbench.stats import wording
from workbench.ui import answers, words
from workbench.ui.task_card import called

TABLED = [
    ("upload", {}),
    ("replays", {}),
    ("compare", {"task": "triage", "candidate": "small", "view": "agreement"}),
    ("compare", {"task": "orders", "candidate": "small", "view": "agreement"}),
    ("slices", {"task": "triage", "candidate": "small"}),
    ("review", {"task": "triage", "candidate": "small"}),
    ("settings", {}),
]


@pytest.mark.parametrize(("page", "query"), TABLED)
def test_counts_in_tables_have_separators(visit: Visit, filled: Filled, page: str, query: dict) -> None:  # type: ignore[type-arg]
    """A column of whole numbers reads 12,500 as in sentences, on every page."""
    at = fine(visit(filled, page, **query))
    for table in at.dataframe:
        told = json.loads(table.proto.columns or "{}")
        for name, column in table.value.items():
            if pd.api.types.is_integer_dtype(column):
                config = told.get(name, {}).get("type_config") or {}
                assert "," in (config.get("format") or ""), f"{page}: {name}"


def test_no_guidelines_are_none_and_not_the_hash_of_nothing(visit: Visit, filled: Filled) -> None:
    """Settings, labels and conflicts name a version only where there is a text."""
    assert words.guidelines(guideline_version_of("")) == "none"
    assert words.guidelines(guideline_version_of("Be kind.")) == guideline_version_of("Be kind.")[:6]
    assert words.guidelines(None) == ""
    (filled.workspace.root / "evals" / "triage" / "guidelines.md").unlink(missing_ok=True)
    at = fine(visit(filled, "settings"))
    (shown,) = [each.value for each in at.dataframe if "Guidelines" in each.value]
    assert dict(zip(shown["Task"], shown["Guidelines"], strict=True))["triage"] == "none"


def test_guards_are_named_by_what_they_look_at(visit: Visit, filled: Filled) -> None:
    """No page or report says that "looked" holds traffic back, nor that it passed where nobody has looked."""
    known = {each.name for each in scoring.recommend(*_of(filled)).guards}
    assert set(wording.GUARDS) <= known
    at = said(fine(visit(filled, "ramp", task="triage", candidate="small")))
    assert "A person's verdict: " in at
    assert "Looked" not in at


def test_a_guard_that_is_not_passed_says_why_or_points_to_the_reason(visit: Visit, filled: Filled) -> None:
    """As those do that are passed; what stands above as a reason is not said twice."""
    found = scoring.recommend(filled.workspace, filled.store, "rewrite", "small")
    stopping = [each for each in found.guards if not each.ok]
    assert stopping
    at = fine(visit(filled, "ramp", task="rewrite", candidate="small"))
    lines = [plain(each.value) for each in at.text if each.value.startswith("✗ ")]
    assert len(lines) == len(stopping)
    for guard, line in zip(stopping, lines, strict=True):
        told = guard.message in found.reasons
        assert line.endswith("not passed, as said above." if told else plain(guard.message))


def test_a_made_up_candidate_is_called_so_wherever_it_is_listed(visit: Visit, filled: Filled) -> None:
    """Settings and Costs name it as the choice of a candidate on the other pages does."""
    at = fine(visit(filled, "settings"))
    (table,) = [each.value for each in at.dataframe if "Engine" in each.value]
    assert {"planted (synthetic)", "small"} <= set(table["Candidate"])
    (choice,) = [each for each in fine(visit(filled, "costs")).selectbox if each.label == "Small model"]
    assert {"planted (synthetic)", "small"} <= set(choice.options)


def test_a_wrong_eval_leaves_its_task_out_and_every_page_says_so(visit: Visit, filled: Filled) -> None:
    """A slip in one file closes no other task; which file, and what to do, stands on top of each page."""
    path = filled.workspace.root / "evals" / "triage" / "eval.toml"
    right = path.read_text()
    path.write_text(f"knd = 1\n{right}")
    for page in ("overview", "ramp", "settings", "upload", "compare", "traffic", "costs"):
        at = fine(visit(filled, page))
        words = said(at)
        assert "Its task is left out on all pages" in words
        assert str(path) in words
        assert "knd" in words
        assert "Its eval is missing" not in words
        options = {each for box in at.selectbox if box.label == "Task" for each in box.options}
        assert not any("triage" in each for each in options)
        assert page not in ("ramp", "compare") or options
    path.write_text(right)
    assert "left out" not in said(fine(visit(filled, "ramp")))
    assert any("triage" in each for box in visit(filled, "ramp").selectbox for each in box.options)


def test_what_a_missing_task_would_make_wrong_waits_for_a_wrong_eval(filled: Filled, tmp_path: Path) -> None:
    """No log is imported past a rule, no ramp exported without a task, no sum or file made of the rest."""
    path = filled.workspace.root / "evals" / "triage" / "eval.toml"
    path.write_text(f"knd = 1\n{path.read_text()}")
    there = replace(Workspace.load(filled.workspace.root), tolerant=True)
    assert set(there.evals) == {"orders", "rewrite"}
    assert str(path) in there.wrong_evals["triage"].message
    log = tmp_path / "log.jsonl"
    log.write_text("{}\n")
    for refused in (
        lambda: import_files(there, filled.store, [log]),
        lambda: preview(there, [log]),
        lambda: export_ramp(there, filled.store),
        lambda: gather_portfolio(there, filled.store),
        lambda: table_bytes(there, filled.store, "overview", Asked(), "csv"),
        lambda: profile(there, filled.store, again=True),
        lambda: there.eval_for("triage"),
        lambda: Workspace.load(filled.workspace.root).eval_for("orders"),
    ):
        with pytest.raises(ConfigError, match="knd"):
            refused()
    assert table_bytes(there, filled.store, "cases", Asked(task="orders", candidate="small"), "csv")
    assert scoring.recommend(there, filled.store, "orders", "small").binding_reason


def test_of_two_evals_of_one_task_neither_is_shown(visit: Visit, filled: Filled) -> None:
    """Nobody knows which policy is meant."""
    again = filled.workspace.root / "evals" / "zz-copy"
    shutil.copytree(filled.workspace.root / "evals" / "triage", again)
    at = fine(visit(filled, "ramp"))
    assert "is already defined in" in said(at)
    assert not any("triage" in each for box in at.selectbox for each in box.options)
    assert "Its eval is missing" not in said(fine(visit(filled, "overview")))
    with pytest.raises(ConfigError, match="already defined"):
        replace(Workspace.load(filled.workspace.root), tolerant=True).eval_for("triage")


def test_a_wrong_eval_in_a_folder_of_another_name_is_known_by_its_task(filled: Filled) -> None:
    """What it is about is said by the file itself, as far as that can be read; a dead link is no silence."""
    evals = filled.workspace.root / "evals"
    (evals / "triage").rename(evals / "elsewhere")
    path = evals / "elsewhere" / "eval.toml"
    path.write_text(f"knd = 1\n{path.read_text()}")
    (evals / "orders" / "eval.toml").unlink()
    (evals / "orders" / "eval.toml").symlink_to("nowhere.toml")
    wrong = replace(Workspace.load(filled.workspace.root), tolerant=True).wrong_evals
    assert set(wrong) == {"triage", "orders"}


def test_a_wrong_configuration_closes_the_workspace_with_what_to_do(visit: Visit, filled: Filled) -> None:
    """It says whose store, models and roles these are: nothing is shown without it."""
    path = filled.workspace.root / "workbench.toml"
    path.write_text(f"knd = 1\n{path.read_text()}")
    words = said(fine(visit(filled, "overview")))
    assert "can't be shown until the following is mended" in words
    assert str(path) in words


def test_why_a_case_can_not_be_compared_names_the_frontier(visit: Visit, filled: Filled) -> None:
    """What is stored names the answers by their role; pages name who gave them."""
    with filled.store.writing() as writer:
        writer.execute("UPDATE comparisons SET reason = 'the control is cut off'")
    at = fine(visit(filled, "compare", task="triage", candidate="small"))
    (table,) = [each.value for each in at.dataframe if "Verdict" in each.value]
    assert set(table["Why"]) == {"the frontier's answer is cut off"}
    assert words.why("both are empty") == "both are empty"


def _of(filled: Filled) -> tuple[object, ...]:
    return filled.workspace, filled.store, "triage", "small"


def test_an_unknown_language_is_called_so_in_the_table_of_cases(visit: Visit, filled: Filled) -> None:
    """The cell says what the filter and the slices say, and is not blank."""
    with filled.store.writing() as writer:
        writer.execute("UPDATE calls SET language = NULL WHERE task = 'triage'")
    at = fine(visit(filled, "compare", task="triage", candidate="small"))
    (cases,) = [each.value for each in at.dataframe if "Verdict" in each.value]
    assert set(cases["Language"]) == {"unknown"}


def test_a_card_says_in_one_line_that_a_saving_is_not_known(visit: Visit, filled: Filled) -> None:
    """What to do about it is a tooltip there, and stands in full on Ramp."""
    path = filled.workspace.root / "evals" / "triage" / "eval.toml"
    path.write_text(path.read_text().replace("calls_per_day = 2000.0\n", ""))
    with filled.store.writing() as writer:
        writer.execute("UPDATE calls SET sampling_rate = NULL")
    at = fine(visit(filled, "overview", task="triage"))
    shown = [each for each in at.text if each.value.startswith("Saving not known")]
    assert shown, [each.value for each in at.text]
    assert all("calls_per_day" not in each.value and "calls_per_day" in each.help for each in shown)
    assert "Set calls_per_day" in said(fine(visit(filled, "ramp", task="triage", candidate="small")))


@pytest.mark.parametrize("priced", [True, False])
def test_costs_name_what_is_missing_and_nothing_else(visit: Visit, tmp_path: Path, priced: bool) -> None:
    """A log with prices and tokens but no volume lacks calls a day, and no price; without prices both."""
    rows = [*lines(sort_line, 90), *lines(order_line, 40, 2)]
    if not priced:
        rows = [replace(row, model="nobody-7") for row in rows]
    with made(tmp_path / "shop", rows, rate=None) as bench:
        bench.profile()
        (missing,) = {way.missing for way in bench.costs().ways}
        shown = said(fine(visit(Filled(bench.workspace, bench.store, {}), "costs")))
    assert any(each.startswith("calls a day") for each in missing)
    assert any("the price or the tokens" in each for each in missing) is not priced
    assert "There is no curve yet. Not known: calls a day" in shown
    assert ("the price or the tokens of the model that answers now" in shown) is not priced


@pytest.mark.parametrize("name", ["मीरा", "กิตติ", "Zoë 🦊", "O'Neill", "<b>*x*</b> $y$ :fox: [l](u)"])
def test_a_name_is_shown_as_it_is_written(
    visit: Visit, filled: Filled, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In any script, and without reading as markup: the badge on every page says it letter by letter."""
    monkeypatch.setenv("WORKBENCH_NAME", name)
    at = fine(visit(filled, "settings"))
    labels = [each.proto.popover.label for each in at.get("popover")]
    assert name in [re.sub(r"\\(.)", r"\1", each) for each in labels]
    assert answers.quoted(name) in labels


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (Output(error=OutputError("missing")), "(error: no output recorded)"),
        (Output(tool_calls=(ToolCall("book", {"seats": 2}),)), 'book({"seats": 2})'),
        (Output(), "(empty answer)"),
        (Output(text='{"text":null,"tool_calls":[]}'), '{"text":null,"tool_calls":[]}'),
        (Output(text="missing"), "missing"),
    ],
)
def test_the_list_of_cases_says_what_stands_in_place_of_a_text(
    visit: Visit, filled: Filled, output: Output, shown: str
) -> None:
    """A call of a tool, an error and nothing at all read as in the open case, not as a stored record."""
    kind = output.error.kind if output.error else None
    with filled.store.writing() as writer:
        writer.execute(
            "UPDATE observations SET text = ?, output = ?, error_kind = ? WHERE replay_id = ?",
            [output.text, to_json(output).decode(), kind, filled.replays["triage"]],
        )
        writer.execute("UPDATE comparisons SET score = NULL WHERE verdict = 'mismatch'")
    at = fine(visit(filled, "compare", task="triage", candidate="small"))
    (cases,) = [table for table in at.dataframe if "Verdict" in table.value]
    assert {each.strip() for each in cases.value["Candidate"]} == {shown}
    assert cases.proto.placeholder == "–"


def test_calls_without_a_time_were_logged_all_the_same(visit: Visit, filled: Filled) -> None:
    """Neither the top of Overview nor a card says that no call was ever logged."""
    with filled.store.writing() as writer:
        writer.execute("UPDATE calls SET occurred_at = NULL")
    shown = said(fine(visit(filled, "overview"))).lower()
    assert shown.count("last logged call at a time not known") > 1
    assert "last logged call never" not in shown


def test_overview_and_costs_say_the_same_saving_with_the_same_limits(filled: Filled) -> None:
    """Both count every answer of the candidate that falls back, also where none can be compared."""
    with filled.store.writing() as writer:
        writer.execute(
            "UPDATE comparisons SET verdict = 'uncomparable', invalid = false WHERE call_id IN"
            " (SELECT call_id FROM calls WHERE task = 'triage' ORDER BY call_id LIMIT 7)"
        )
    row = overview_row(filled.workspace, filled.store, "triage", "small")
    report = costs(filled.workspace, filled.store, "triage", candidate="small", share=1.0)
    saving = next(each.saving_usd_month for each in report.ways if each.name == HOSTED)
    assert saving is not None
    assert row.saving_of_all is not None
    for name in ("point", "low", "high"):
        assert getattr(row.saving_of_all, name) == pytest.approx(getattr(saving, name), rel=1e-9)


def test_a_loss_in_a_table_has_the_minus_sign_of_all_other_sums(visit: Visit, filled: Filled) -> None:
    """Traffic writes a saving below nothing as Overview does; the column stays one of numbers."""
    path = filled.workspace.root / "workbench.toml"
    dear = path.read_text().replace("input_usd_per_million = 0.1", "input_usd_per_million = 9000.0")
    path.write_text(dear)
    at = fine(visit(filled, "traffic"))
    (table,) = [each for each in at.dataframe if "Could save" in each.value]
    assert (table.value["Could save"] < 0).any()
    shown = pa.ipc.open_stream(table.proto.arrow_data.styler.display_values).read_all().to_pandas()
    assert any(str(each).startswith("−$") for each in shown.to_numpy().ravel())


def test_what_slices_hold_back_whole_is_called_a_hold(filled: Filled) -> None:
    """A card that says that nothing may move yet has no badge that says to ramp up."""
    answer = scoring.overview(filled.workspace, filled.store)[0].recommendation
    ramping = replace(answer, action=Action.RAMP, share=0.01, effective_share=0.01)
    assert called(ramping)[0] == "Ramp up"
    assert called(replace(ramping, effective_share=0.0))[0] == "Hold"
