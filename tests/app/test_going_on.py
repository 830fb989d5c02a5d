"""What a page offers next: going on with a replay under its budget, and the step that helps a candidate."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from app_building import Filled, Pair, answer, fill
from app_reading import Visit, fine, said

from workbench.config import Workspace
from workbench.ui import jobs, running

NOW = datetime.now(UTC)


def paused(place: Filled, **budget: float) -> str:
    """Leave a call of the orders unanswered, by a run of the command line that was allowed so much."""
    replay_id = place.replays["orders"]
    call = {"replay_id": replay_id, "call_id": "one-more", "batch": 2, "rank": 0, "audit_key": "0"}
    place.store.append("replay_calls", [call | {"inclusion_probability": 1.0}])
    details = {"resumed": {"budget": budget}, "paused": {"message": "The budget has no room."}}
    rows = [
        {"replay_id": replay_id, "event": event, "detail": json.dumps(detail), "created_at": NOW}
        for event, detail in details.items()
    ]
    place.store.append("replay_events", rows)
    return replay_id


def test_going_on_keeps_a_budget_set_elsewhere(
    visit: Visit, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click never spends more than the command line allowed."""
    replay_id = paused(filled, usd=1.5, minutes=20)
    started: list[Any] = []
    monkeypatch.setattr(jobs, "start", lambda *arguments: started.append(arguments))
    at = fine(visit(filled, "replays", task="orders", candidate="small"))
    assert "Going on keeps its budget" in said(at)
    at.button(key=f"resume-{replay_id}").click()
    at.run()
    ((*_, commands),) = started
    assert commands[0][-6:] == ["--limit", "31", "--budget-usd", "1.5", "--budget-minutes", "20"]


def test_the_last_budget_counts_not_the_first(filled: Filled) -> None:
    """A job begun here under one dollar and gone on with elsewhere under two goes on under two."""
    workspace = filled.workspace
    jobs.folder(workspace).mkdir()
    begun = jobs.replay_commands(workspace, "orders", "small", 500, options=["--budget-usd", "1"])
    note = {"task": "orders", "candidate": "small", "commands": begun, "started_at": NOW.isoformat()}
    (jobs.folder(workspace) / "20260101T000000-a.json").write_text(json.dumps(note))
    first, second = jobs.again(workspace, "orders", "small", 31, {"usd": 2.0})
    assert first[-4:] == ["--limit", "31", "--budget-usd", "2"]
    assert second[0] == "compare"


def test_a_changed_candidate_is_not_gone_on_with(visit: Visit, filled: Filled) -> None:
    """Its command would begin another replay and ask everything again: the page says so instead."""
    replay_id = paused(filled)
    at = fine(visit(filled, "replays", task="orders", candidate="small"))
    assert not at.button(key=f"resume-{replay_id}").disabled
    outputs = filled.workspace.root / "small.jsonl"
    outputs.write_text(outputs.read_text() + '{"id": "more", "output": "y"}\n')
    button = fine(visit(filled, "replays", task="orders", candidate="small")).button(
        key=f"resume-{replay_id}"
    )
    assert button.disabled
    assert "has changed since" in button.help
    path = filled.workspace.root / "workbench.toml"
    path.write_text(path.read_text().replace('name = "small"', 'name = "other"'))
    button = fine(visit(filled, "replays")).button(key=f"resume-{replay_id}")
    assert "not declared any more" in button.help


def test_only_the_newest_replay_of_a_candidate_is_gone_on_with(visit: Visit, filled: Filled) -> None:
    """Its command would go on with the newest, whichever button was pressed."""
    replay_id = paused(filled)
    row = filled.store.rows("SELECT * EXCLUDE (seq) FROM replays WHERE replay_id = ?", (replay_id,))[0]
    filled.store.append("replays", [row | {"replay_id": "newer", "created_at": NOW}])
    button = fine(visit(filled, "replays", task="orders", candidate="small")).button(
        key=f"resume-{replay_id}"
    )
    assert button.disabled
    assert "newer replay" in button.help


def test_the_page_takes_over_what_has_ended_while_another_runs(
    visit: Visit, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two jobs one ends: the whole page runs once more, so that its buttons can be pressed again."""
    works = iter([{"a", "b"}, {"b"}, {"b"}, {"b"}])
    monkeypatch.setattr(running, "_at_work", lambda *_: next(works, {"b"}))
    fine(visit(filled, "replays", task="orders", candidate="small"))
    assert next(works, None) is None


def policy(place: Filled, text: str) -> Workspace:
    """Add keys to the policy of the task triage."""
    path = place.workspace.root / "evals" / "triage" / "eval.toml"
    path.write_text(path.read_text() + f"[policy]\n{text}\n")
    return Workspace.load(place.workspace.root)


def test_unmeasured_latency_is_the_next_step_where_it_holds_traffic(visit: Visit, filled: Filled) -> None:
    """Labels would not help: the card leads to the measurement, and labelling comes second."""
    policy(filled, "latency_p95_ms = 300.0")
    at = fine(visit(filled, "overview"))
    button = at.button(key="replays-triage-small")
    assert button.label == "Measure latency"
    assert button.proto.type == "primary"


def test_outputs_that_can_not_be_used_ask_for_no_labels(visit: Visit, empty: Filled) -> None:
    """The card leads to the cases, and the task does not count as waiting for labels."""
    pairs = [
        Pair("triage", each, f"Ticket {each}", answer("billing"), answer("" if each % 2 else "billing"))
        for each in range(240)
    ]
    fill(empty.workspace, empty.store, pairs)
    at = fine(visit(empty, "overview"))
    assert "invalid" in said(at)
    assert at.button(key="compare-triage-small").label == "See the cases"
    assert not any(each.label == "Label cases" for each in at.button)
    assert next(each.value for each in at.metric if each.label == "Tasks waiting for labels") == "0"
