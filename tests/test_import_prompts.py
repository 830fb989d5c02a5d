"""Prompts of TensorZero that come in a later import than their calls wait for a person, and none is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from import_world import Desk, tallies

from workbench.ingest import conflicts, resolve_conflicts, undo_import
from workbench.records import Output, Request, from_json
from workbench.store import rendered

MAIL = "ann.lee@example.com"


def inference(number: int, system: Any) -> dict[str, Any]:
    return {
        "id": f"01942e26-910b-7ab1-a645-46bc4463a{number:03}",
        "function_name": "ask",
        "variant_name": "v2",
        "episode_id": "01942e26-51eb-7d12-82d5-c639332d11ff",
        "input": json.dumps({"system": system, "messages": [{"role": "user", "content": "Ask."}]}),
        "output": json.dumps([{"type": "text", "text": f"Is it {number}?"}]),
        "inference_params": '{"chat_completion": {"temperature": 0.5}}',
        "processing_time_ms": 900,
        "tags": {"tenant": "north"},
    }


def below(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"01942e26-910b-7ab1-a645-46bc4463b{number:03}",
        "inference_id": f"01942e26-910b-7ab1-a645-46bc4463a{number:03}",
        "raw_request": "{}",
        "model_name": "gpt-4o-mini",
        "model_provider_name": "openai",
        "input_tokens": 50,
        "output_tokens": 9,
        "system": f"You have {number} questions left, says {MAIL}.",
        "input_messages": json.dumps([{"role": "user", "content": [{"type": "text", "text": "Ask."}]}]),
        "cached": True,
        "finish_reason": "stop",
    } | more


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return an empty workspace."""
    root = tmp_path / "space"
    root.mkdir()
    return Desk(root)


def files(desk: Desk) -> tuple[Path, Path]:
    """Write two calls of a template and one without, and what their model was asked."""
    first = desk.write("inferences.jsonl", inference(1, {"left": 1}), inference(2, {"left": 2}),
                       inference(3, "Plain."))  # fmt: skip
    return first, desk.write("model.jsonl", below(1), below(2), below(3, system="Plain."))


def calls(desk: Desk) -> list[dict[str, Any]]:
    """Return what the store holds of each call, without the imports that brought it."""
    rows = desk.store.rows(
        "SELECT c.* EXCLUDE (manifest_id, seq, marks), list_sort(list_distinct(c.marks || k.marks)) AS marks,"
        " k.output, k.text, k.input_tokens, k.output_tokens, k.content_hash AS output_hash"
        " FROM calls c JOIN controls k USING (call_id) ORDER BY native_id"
    )
    for row in rows:
        row["output"] = from_json(row["output"], Output)
        row["request"] = from_json(row["request"], Request)
    return rows


def test_a_prompt_that_comes_later_waits_and_is_taken_as_if_it_had_come_along(
    desk: Desk, tmp_path: Path
) -> None:
    """Tokens join at once; the calls are out of use until a person takes their prompts."""
    first, second = files(desk)
    desk.take(first)
    assert desk.count("usable_calls") == 3
    report = desk.take(second)
    assert tallies(report) == {"joined": 3}
    assert (report.prompts_waiting, report.open_conflicts, report.unrendered) == (2, 2, {})
    assert f"workbench conflicts resolve --keep arrived --import {report.manifest_id}" in report.text
    assert desk.count("usable_calls") == 1
    waiting = conflicts(desk.store)
    assert [each.differs for each in waiting] == [["messages"]] * 2
    assert "1 questions left" in str(waiting[0].arrived.request)
    resolved = resolve_conflicts(desk.store, "arrived", manifest_id=report.manifest_id)
    assert (resolved.resolved, resolved.refused) == (2, {})
    (tmp_path / "other").mkdir()
    together = Desk(tmp_path / "other")
    together.take(first, second)
    assert calls(desk) == calls(together)
    # Neither file brings anything any more, alone or together.
    for again in ((first,), (second,), (first, second)):
        assert set(tallies(desk.take(*again))) <= {"skipped"}
    assert desk.count("conflicts") == 0


def test_the_stored_arguments_can_be_kept(desk: Desk) -> None:
    """The prompt that was given up is known, and does not come back with the same file."""
    first, second = files(desk)
    desk.take(first)
    report = desk.take(second)
    before = calls(desk)
    resolve_conflicts(desk.store, "stored", manifest_id=report.manifest_id)
    again = desk.take(second)
    assert (tallies(again), again.prompts_waiting, desk.count("conflicts")) == ({"skipped": 3}, 0, 0)
    assert calls(desk) == before
    assert desk.count("usable_calls") == 3
    given_up = desk.store.rows("SELECT given_up FROM conflict_resolutions")
    assert "questions left" in str(given_up), "what was given up stays readable"


@pytest.mark.parametrize("taken", [False, True])
def test_taking_the_later_import_back_leaves_the_calls_as_they_were(desk: Desk, taken: bool) -> None:
    """Whether its prompts still wait or were taken, they go with it, and so do its tokens."""
    first, second = files(desk)
    desk.take(first)
    before = calls(desk)
    report = desk.take(second)
    if taken:
        resolve_conflicts(desk.store, "arrived", manifest_id=report.manifest_id)
    undo_import(desk.store, report.manifest_id or "")
    assert [(row["request"], row["request_hash"]) for row in calls(desk)] == [
        (row["request"], row["request_hash"]) for row in before
    ]
    assert desk.count("conflicts") == 0
    if not taken:
        assert calls(desk) == before
    assert tallies(desk.take(first)) == {"skipped": 3}


def test_taking_the_earlier_import_back_leaves_no_prompt_behind(desk: Desk) -> None:
    """What waited for calls that are no more goes with them; both files together then bring all of it."""
    first, second = files(desk)
    report = desk.take(first)
    desk.take(second)
    undo_import(desk.store, report.manifest_id or "")
    assert (desk.count("calls"), desk.count("conflicts")) == (0, 0)
    assert tallies(desk.take(first, second)) == {"accepted": 3, "joined": 3}
    assert not [row for row in calls(desk) if "not_rendered" in row["marks"]]


def test_a_prompt_whose_tokens_were_known_before_is_in_conflict(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is where an earlier version took the tokens alone: the same file brings the prompts now."""
    first, second = files(desk)
    desk.take(first)
    with monkeypatch.context() as patch:
        patch.setattr(rendered, "open_prompts", lambda *_: [])
        old = desk.take(second)
    assert (tallies(old), set(old.unrendered.values())) == ({"joined": 3}, {2})
    report = desk.take(second)
    assert (tallies(report), report.prompts_waiting) == ({"skipped": 1, "conflicts": 2}, 2)


def test_several_models_of_one_call_leave_its_prompt_open(desk: Desk) -> None:
    """Each was asked with a prompt of its own: none of them is the call's."""
    first = desk.write("inferences.jsonl", inference(1, {"left": 1}))
    other = below(1, id="01942e26-910b-7ab1-a645-46bc4463c001", system="Judge.")
    desk.take(first)
    report = desk.take(desk.write("model.jsonl", below(1), other))
    assert (tallies(report), report.prompts_waiting) == ({"joined": 2}, 0)
    assert set(report.unrendered.values()) == {1}
    assert "import --undo" in report.text


@pytest.mark.parametrize("together", [False, True])
def test_a_prompt_that_cannot_be_read_costs_no_tokens(desk: Desk, together: bool) -> None:
    """Neither its record nor the import is lost by it, whichever import it comes with."""
    first = desk.write("inferences.jsonl", inference(1, {"left": 1}), inference(2, {"left": 2}))
    second = desk.write("model.jsonl", below(1, input_messages='[{"role": 5}]'), below(2))
    if not together:
        desk.take(first)
    report = desk.take(first, second) if together else desk.take(second)
    assert (report.joined, report.rejected, report.prompts_waiting) == (2, 0, 0 if together else 1)
    assert [row["input_tokens"] for row in calls(desk)] == [50, 50]
    assert "not_rendered" in calls(desk)[0]["marks"]


def test_a_dry_run_tells_of_the_prompts_and_opens_no_conflict(desk: Desk) -> None:
    """It counts as the import would."""
    first, second = files(desk)
    desk.take(first)
    report = desk.take(second, dry_run=True)
    assert (tallies(report), report.prompts_waiting, desk.count("conflicts")) == ({"joined": 3}, 2, 0)
    assert "--import MANIFEST" in report.text


def test_a_later_prompt_is_redacted(desk: Desk) -> None:
    """An address in it is as little stored as one in a prompt that comes along."""
    first, second = files(desk)
    desk.take(first, redact=True)
    report = desk.take(second, redact=True)
    assert report.prompts_waiting == 2
    assert report.redacted == {"EMAIL": 2}
    resolve_conflicts(desk.store, "arrived", manifest_id=report.manifest_id)
    desk.store.close()
    disk = b"".join(each.read_bytes() for each in desk.root.rglob("*.duckdb*") if each.is_file())
    assert MAIL.encode() not in disk
    assert b"questions left, says" in disk
