"""The end of a run: what the store notes, and what a person is told."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.config import Workspace
from workbench.errors import StoreBusy, WorkbenchError
from workbench.replay.budget import spent_usd
from workbench.replay.checking import kept_notes
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.loop import Ended
from workbench.replay.plan import Plan
from workbench.replay.report import ReplayReport
from workbench.specs import CONTROL, Candidate
from workbench.store import Store
from workbench.store.comparisons import redacted_share
from workbench.store.replays import event_row, tally
from workbench.store.spending import retried, spending

_SAME_COMMAND = re.compile(r"\b(the same command)\b(?: again\b)?", re.IGNORECASE)


def without_new(text: str, new: bool) -> str:
    """Return advice to run the same command; after `--new` that would draw yet another replay.

    Args:
        text: The advice.
        new: Whether the run was begun with `--new`.
    """
    return _SAME_COMMAND.sub(r"\1 without --new", text) if new else text


def to_go_on(error: WorkbenchError, new: bool) -> WorkbenchError:
    """Return the error that ended a begun run, its hint leading on with the replay that the run drew."""
    error.hint = without_new(error.hint, new)
    return error


def close_run(
    store: Store, replay_id: str, ended: Ended, beat: Heartbeat, unrecorded_usd: float = 0.0
) -> None:
    """Note in the store how a run ended, and load what it answered.

    Args:
        store: The store.
        replay_id: Whose run.
        ended: How it ended.
        beat: Where it stands.
        unrecorded_usd: What it has cost that no observation will show.

    Raises:
        StoreBusy: The run finished, but its last parts could not be loaded. They stay in the spool.
    """
    detail: dict[str, Any] = {"answered": beat.done, "seconds": round(beat.seconds, 3)}
    if ended.error is not None or ended.why:
        detail["message"] = ended.error.message if ended.error else ended.why
    if unrecorded_usd:
        detail["unrecorded_usd"] = unrecorded_usd
    if beat.retried:
        detail["retried"] = beat.retried
    note_end(store, replay_id, ended.state, detail, beat)
    try:
        store.absorb()
    except StoreBusy:
        # The parts stay in the spool, and the next to open the store loads them.
        if ended.state == "finished":
            raise


def note_end(store: Store, replay_id: str, state: str, detail: Mapping[str, Any], beat: Heartbeat) -> None:
    """Write how a run ended into its heartbeat, and into the store where that is free."""
    beat.state = state
    beat.write()
    # Where the store is busy, the heartbeat says how it ended.
    with contextlib.suppress(StoreBusy):
        store.append("replay_events", [event_row(replay_id, state, detail)])


def interrupted(beat: Heartbeat, new: bool) -> KeyboardInterrupt:
    """Return what a run that was stopped by a signal raises; `new` as for `without_new`."""
    left = beat.total - beat.before - beat.done
    how = without_new("Run the same command again to go on.", new)
    return KeyboardInterrupt(f"Interrupted; all answers so far are kept, {left:,} are missing. {how}")


def report_of(
    workspace: Workspace,
    store: Store,
    spec: Candidate,
    plan: Plan,
    beat: Heartbeat | None = None,
    ended: Ended | None = None,
    check_notes: Sequence[str] = (),
    new: bool = False,
) -> ReplayReport:
    """Return what a replay holds now, and what a run added.

    Args:
        workspace: The workspace.
        store: Its store, with all parts loaded.
        spec: The candidate.
        plan: What the run had to do.
        beat: What the run did; None where nothing was left to ask.
        ended: How it ended.
        check_notes: What the checks of this run found; what earlier ones found is kept.
        new: Whether the run was begun with `--new`.
    """
    row = plan.replay
    counts = tally(store, row)
    price = workspace.price_of(spec.price or spec.model)
    checked = dict.fromkeys([*kept_notes(store, row.replay_id), *check_notes])
    notes = [*plan.notes, *checked, *_leaving_notes(workspace, store, spec, row.task)]
    if ended is not None and ended.why:
        how = without_new("With a larger budget, the same command goes on.", new)
        notes.append(f"{ended.why} {how}")
    redacted, asked = redacted_share(store, row.task, row.candidate_fingerprint)
    if redacted:
        seen = "the frontier had seen everything"
        notes.append(f"redacted-input: {redacted:,} of {asked:,} calls were redacted; {seen}.")
    state = "finished" if counts.done >= counts.planned else "incomplete"
    return ReplayReport(
        replay_id=row.replay_id,
        task=row.task,
        candidate=spec.name,
        state="paused" if ended is not None and ended.state == "paused" else state,
        calls=counts.calls,
        batches=counts.batches,
        planned=counts.planned,
        done=counts.done,
        answered=beat.done if beat else 0,
        errors=dict(counts.errors or {}),
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cost_usd=None if price is None else spent_usd(spending(store, row.replay_id), price),
        seconds=beat.seconds if beat else 0.0,
        calls_per_s=beat.average_per_s if beat else None,
        tokens_per_s=beat.output_tokens / beat.seconds if beat else None,
        retries=beat.retries if beat else 0,
        retried=retried(store, row.replay_id),
        marks=("redacted-input",) if redacted else (),
        notes=tuple(notes),
    )


def _leaving_notes(workspace: Workspace, store: Store, spec: Candidate, task: str) -> list[str]:
    """Say which models leave before it is known how often they agree with themselves."""
    if spec.name == CONTROL or not workspace.config.models:
        return []
    from workbench.scoring.retirement import leaving

    return [each.text for each in leaving(workspace, store, task=task)]
