"""Which calls a replay asks, and in which order."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from workbench.errors import UsageError
from workbench.records import to_json
from workbench.replay.control import only_its_own
from workbench.replay.patching import hold_out, patcher, shows_examples
from workbench.sampling import SampledCall, audit_key, draw_sample
from workbench.specs import Candidate
from workbench.stats.wording import measured
from workbench.store import Store
from workbench.store.exports import ExportedSample, last_export
from workbench.store.marked import marked_calls
from workbench.store.replays import FrameRow, PlannedCall, ReplayRow, drawn, frame, replays_of

CORE_SHARE = 0.10
CORE_CALLS = 50
"""The first tenth of a batch, 50 calls at least, is sent in random order: an early honest estimate."""
HELD_TO = "held_to"
"""Key of a plan: what the eval held the answers to when the replay began."""
SHOWN = "shown"
"""Key of a plan: what the examples of the candidate's patch showed then."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do: the replay, whether it is new, and the calls its sample gains.

    `native_ids` are all the names by which outputs made elsewhere may mean its calls: those
    of the log, then the store's own.
    """

    replay: ReplayRow
    is_new: bool
    already: int
    added: tuple[PlannedCall, ...]
    usable: int
    native_ids: tuple[str, ...]
    notes: tuple[str, ...] = ()


def make_plan(
    store: Store,
    task: str,
    candidate: Candidate,
    fingerprint: str,
    *,
    limit: int | None,
    repeats: int,
    new: bool,
    seed: int,
    exclude_marks: Sequence[str] = (),
    held_to: str | None = None,
) -> Plan:
    """Choose the replay to go on with, or another, and draw what is missing from its sample.

    Args:
        store: The store, with all parts loaded.
        task: The task.
        candidate: Who answers.
        fingerprint: Its fingerprint: replays of another are not gone on with.
        limit: Size of the whole sample; None for all usable calls.
        repeats: How often each call is asked.
        new: Start another replay.
        seed: Seed of the draw.
        exclude_marks: Calls with one of these are not drawn; those that were drawn already stay.
        held_to: What the eval holds the answers to, to be kept with a new replay.

    Raises:
        UsageError: The task has no usable call, the last replay was drawn otherwise, or the
            candidate's patch shows a call that was evaluated, or one that can't be shown.
    """
    if repeats < 1 or (limit is not None and limit < 1):
        raise UsageError("`limit` and `repeats` must be at least 1.", "Leave `limit` out for all calls.")
    earlier = replays_of(store, task, fingerprint)
    row = None if new or not earlier else _to_go_on(earlier, candidate, repeats, seed)
    calls = only_its_own(store, task, candidate, {each.call_id: each for each in frame(store, task)})
    if not calls:
        raise UsageError(
            f"Task {task!r} has no call with a prompt and a recorded output.",
            f"Import its logs first: workbench import FILE --task {task}",
        )
    known = drawn(store, row.replay_id) if row else {}
    marked = marked_calls(store, task, exclude_marks)
    marked = {
        call_id: marks for call_id, marks in marked.items() if call_id in calls and call_id not in known
    }
    calls = {call_id: each for call_id, each in calls.items() if call_id not in marked}
    if not calls:
        raise UsageError(
            f"Every call of task {task!r} with a recorded output carries one of `exclude_marks`.",
            f"Take a mark out of its eval.toml: {', '.join(exclude_marks)}.",
        )
    is_file = candidate.engine == "recorded"
    usable_known = [call_id for call_id in known if call_id in calls]
    held = hold_out(store, candidate, task, is_new=not earlier)
    shown = (held.same | held.alike) & (calls.keys() - known.keys())
    calls = {call_id: each for call_id, each in calls.items() if call_id not in shown}
    if not calls:
        raise UsageError(
            f"Every call of task {task!r} is an example of candidate {candidate.name!r}, or like one.",
            "Show fewer examples, or import more calls.",
        )
    exported = _exported(store, task, candidate, fingerprint, new) if row is None or is_file else None
    if exported is None:
        sampled = draw_sample(calls, limit, seed, known)
    else:
        sampled = _draw_exported(exported, calls, limit, seed, known, only=is_file)
    notes = []
    if marked:
        told = Counter(mark for marks in marked.values() for mark in marks if mark in exclude_marks)
        each_one = ", ".join(f"{mark}: {count:,}" for mark, count in sorted(told.items()))
        notes.append(
            f"{len(marked):,} calls are left out by exclude_marks{f' ({each_one})' if told else ''}."
        )
    if exported is not None:
        notes.append(f"The sample is the one that was exported for {exported.detail['candidate']}.")
    if candidate.parent:
        notes.append(f"The parent of {candidate.name} is {candidate.parent}.")
    if held.same:
        notes.append(_held_note(len(held.same & shown), len(held.alike & shown), len(calls)))
    if row and limit is not None and limit < len(known):
        notes.append(f"The sample holds {len(known):,} calls already; a smaller limit does not shrink it.")
    if len(usable_known) < len(known):
        gone = len(known) - len(usable_known)
        notes.append(f"{gone:,} drawn calls are in a conflict now and are asked all the same.")
    is_new = row is None
    if row is None:
        detail: dict[str, Any] = {
            "limit": limit,
            "usable": len(calls),
            "engine": candidate.engine,
            "parent": candidate.parent,
            "held_out": len(shown),
        }
        if held_to is not None:
            detail[HELD_TO] = held_to
        if shows_examples(candidate):
            detail[SHOWN] = patcher(store, candidate, task).shown
        row = new_row(task, candidate.name, fingerprint, seed, repeats, detail)
    batch = max(known.values(), default=0) + 1
    added = ordered(row.replay_id, sampled, calls, batch)
    whole = (*usable_known, *(each.call_id for each in sampled))
    native_ids = (*(calls[call_id].native_id for call_id in whole), *whole)
    return Plan(row, is_new, len(known), added, len(calls), native_ids, tuple(notes))


def new_row(
    task: str, candidate: str, fingerprint: str, seed: int, repeats: int, detail: dict[str, Any]
) -> ReplayRow:
    """Return a replay that begins now, with an id of its own; `detail` is kept as its plan."""
    return ReplayRow(
        replay_id=uuid.uuid4().hex,
        seq=0,
        task=task,
        candidate=candidate,
        candidate_fingerprint=fingerprint,
        seed=seed,
        repeats=repeats,
        plan=detail,
        created_at=datetime.now(UTC),
    )


def _held_note(same: int, alike: int, left: int) -> str:
    note = f"{same:,} calls are examples of this candidate, or ask the same, and are never drawn"
    note += (
        f"; nor are {alike:,} that end on the same user message or are of the same session." if alike else "."
    )
    share = (same + alike) / max(same + alike + left, 1)
    return f"{note} The evidence says nothing about them: {measured(share)} of the calls."


def _to_go_on(earlier: list[ReplayRow], candidate: Candidate, repeats: int, seed: int) -> ReplayRow:
    same = [row for row in earlier if row.seed == seed and row.repeats == repeats]
    if same:
        return same[-1]
    last = earlier[-1]
    raise UsageError(
        f"The last replay of {last.task!r} through {candidate.name!r} was drawn with seed {last.seed} and "
        f"asks each call {last.repeats} times; this command says seed {seed} and {repeats} times.",
        f"Go on with it: --seed {last.seed} --repeats {last.repeats}. Or start another: --new.",
    )


def _exported(
    store: Store, task: str, candidate: Candidate, fingerprint: str, new: bool
) -> ExportedSample | None:
    """Return the sample that was written to a file for this candidate, or for the one it answers for.

    Raises:
        UsageError: The candidate's patch is not the one that the file was made with.
    """
    if candidate.engine != "recorded":
        return None if new else last_export(store, task, fingerprint=fingerprint)
    found = last_export(store, task, candidate=candidate.parent) if candidate.parent else None
    own = msgspec.json.decode(to_json(candidate.patch))
    if found is not None and found.detail["patch"] != own:
        raise UsageError(
            f"The patch of candidate {candidate.name!r} is not the one that requests were exported with for "
            f"{candidate.parent!r}.",
            "Take the patch from `parent` unchanged; where the parent was changed since, export again.",
        )
    return found


def _draw_exported(
    exported: ExportedSample,
    calls: dict[str, FrameRow],
    limit: int | None,
    seed: int,
    known: dict[str, int],
    *,
    only: bool,
) -> list[SampledCall]:
    """Draw from an exported sample first; from the rest of the log only where it can be asked."""
    pool = {call_id: chance for call_id, chance in exported.calls.items() if call_id in calls}
    sampled = [
        replace(each, inclusion_probability=each.inclusion_probability * pool[each.call_id])
        for each in draw_sample(pool, limit, seed, known)
    ]
    if only or (limit is not None and limit <= len(pool)):
        return sampled
    more = draw_sample(calls, limit, seed, pool)
    chance = more[0].inclusion_probability if more else None
    first = [each if chance is None else replace(each, inclusion_probability=chance) for each in sampled]
    return [*first, *more]


def ordered(
    replay_id: str, sampled: list[SampledCall], calls: dict[str, FrameRow], batch: int
) -> tuple[PlannedCall, ...]:
    """Order a batch for sending: a random core, then what shares a beginning side by side."""
    core = min(max(math.ceil(CORE_SHARE * len(sampled)), CORE_CALLS), len(sampled))

    def key(each: SampledCall) -> tuple[str, int, str]:
        call = calls[each.call_id]
        return call.system_hash, call.input_chars, each.call_id

    ordered = [*sampled[:core], *sorted(sampled[core:], key=key)]
    return tuple(
        PlannedCall(each.call_id, batch, rank, audit_key(replay_id, each.call_id), each.inclusion_probability)
        for rank, each in enumerate(ordered)
    )
