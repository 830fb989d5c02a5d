"""The use case: one command that starts, resumes or grows a replay."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from workbench.config import Workspace
from workbench.costing import cost_usd
from workbench.engines import Engine, listen, open_engine
from workbench.engines.privacy import open_gate
from workbench.errors import StoreBusy, WorkbenchError
from workbench.progress import Listener, silent
from workbench.records import Usage
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.journal import PartWriter
from workbench.replay.lease import ReplayLease
from workbench.replay.loop import Ended, Run, note_of
from workbench.replay.outcomes import Outcomes
from workbench.replay.plan import Plan, make_plan
from workbench.replay.report import ReplayReport
from workbench.specs import CONTROL, Candidate
from workbench.store import Store
from workbench.store.fence import last_epoch
from workbench.store.replays import (
    Volume,
    event_row,
    pending,
    recorded_volume,
    requests_of,
    tally,
    typical_latency_ms,
    write_plan,
)

T = TypeVar("T")
CHARS_PER_TOKEN = 4
"""For the estimate of a dry run, where the log holds no counts of tokens."""


def replay(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    limit: int | None = None,
    concurrency: int | None = None,
    repeats: int = 1,
    new: bool = False,
    dry_run: bool = False,
    seed: int = 0,
    budget_usd: float | None = None,
    budget_minutes: float | None = None,
    checks: bool = True,
    listener: Listener = silent,
) -> ReplayReport:
    """Send a task's recorded requests to a candidate; the same command again resumes or does nothing.

    Args:
        workspace: The workspace.
        store: Its store. It is free for others while the candidate answers.
        task: Whose calls.
        candidate: Name of the candidate.
        limit: Calls in the whole sample; a larger one grows it by a batch, None takes all.
        concurrency: Requests in flight at most; the candidate's own otherwise.
        repeats: How often each call is asked; repeats show the candidate's noise.
        new: Start another replay instead of going on with the last.
        dry_run: Say what would be sent; send nothing, store nothing.
        seed: Seed of the drawn sample.
        budget_usd: Pause when the whole replay has cost so much, by the price table.
        budget_minutes: Pause when this run has lasted so long.
        checks: Check the candidate with a few calls of no task before anything else is sent.
        listener: Told about once a second.

    Returns:
        What the replay holds now, and what this run added.

    Raises:
        UsageError: The task, the candidate or the sample asked for is wrong.
        PrivacyRefused: The task's data may not go to this candidate; nothing was sent.
        EndpointUnreachable: The server does not answer; a resume goes on.
        EnvironmentalError: Another process replays this already.
        KeyboardInterrupt: Stopped by a signal, after all answers were written.
    """
    eval_config = workspace.eval_for(task)
    spec = workspace.candidate(candidate)
    open_gate(spec, eval_config)
    fingerprint = workspace.fingerprint(spec)

    def planned() -> Plan:
        return make_plan(store, task, spec, fingerprint, limit=limit, repeats=repeats, new=new, seed=seed)

    if dry_run:
        store.absorb(wait_s=0)
        return _estimate(workspace, store, spec, planned(), concurrency)
    above = last_epoch(store, task, fingerprint)
    with ReplayLease(workspace.spool, f"{task}-{fingerprint}", above=above) as lease:
        lease.recover()
        store.absorb()
        plan = planned()
        replay_id = plan.replay.replay_id
        todo = [] if plan.is_new else pending(store, replay_id, repeats)
        if not todo and not plan.added:
            return _report(workspace, store, spec, plan, None)
        engine = open_engine(workspace, spec, eval_config)
        require = getattr(engine, "require_any", None)
        if require is not None:
            require(plan.native_ids)

        def work() -> tuple[Ended, Heartbeat]:
            return _answer(workspace, store, spec, plan, engine, lease, concurrency, listener)

        ended, beat = _apart(work)
        _close(store, replay_id, ended, beat)
        if ended.error is not None:
            raise ended.error
        if ended.state == "interrupted":
            left = beat.total - beat.before - beat.done
            raise KeyboardInterrupt(
                f"Interrupted; all answers so far are kept, {left:,} are missing. "
                "Run the same command again to go on."
            )
        return _report(workspace, store, spec, plan, beat)


def replay_all(
    workspace: Workspace,
    store: Store,
    task: str,
    candidates: Sequence[str],
    *,
    listener: Listener = silent,
    **options: Any,
) -> list[ReplayReport]:
    """Replay several candidates one after another; one that fails does not stop the others.

    Args:
        workspace: The workspace.
        store: Its store.
        task: Whose calls.
        candidates: Names of candidates, in order. All must be declared.
        listener: Told about once a second.
        options: Those of `replay`, for each candidate alike.

    Returns:
        A report for each candidate; of one that failed it says why, with `exit_code`.

    Raises:
        UsageError: The task or a candidate is not declared: nothing was sent to any.
        KeyboardInterrupt: Stopped by a signal; those not begun yet stay so.
    """
    workspace.eval_for(task)
    for name in candidates:
        workspace.candidate(name)
    reports = []
    for name in candidates:
        try:
            reports.append(replay(workspace, store, task, name, listener=listener, **options))
        except WorkbenchError as error:
            reports.append(_failed(task, name, error))
    return reports


def _failed(task: str, candidate: str, error: WorkbenchError) -> ReplayReport:
    return ReplayReport(
        replay_id=None,
        task=task,
        candidate=candidate,
        state="failed",
        calls=0,
        batches=0,
        planned=0,
        done=0,
        answered=0,
        exit_code=error.exit_code,
        notes=tuple(each for each in (error.message, error.hint) if each),
    )


def _apart(work: Callable[[], T]) -> T:
    """Run blocking work that makes its own event loop, also where one runs already (notebooks)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    box: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            box.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, name="replay")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return box[0]


def _answer(
    workspace: Workspace,
    store: Store,
    spec: Candidate,
    plan: Plan,
    engine: Engine,
    lease: ReplayLease,
    concurrency: int | None,
    listener: Listener,
) -> tuple[Ended, Heartbeat]:
    replay_id, repeats = plan.replay.replay_id, plan.replay.repeats
    with asyncio.Runner() as runner:
        try:
            listen(engine, listener)
            runner.run(engine.check())
            detail = {"engine": dict(engine.description), "added": len(plan.added), "epoch": lease.epoch}
            write_plan(store, plan.replay, spec, plan.added, "started" if plan.is_new else "resumed", detail)
            todo = pending(store, replay_id, repeats)
            counts = tally(store, plan.replay)
            beat = Heartbeat(workspace.spool, replay_id, counts.planned, counts.done)
            run = Run(
                engine=engine,
                replay_id=replay_id,
                pending=todo,
                fetch=lambda call_ids: requests_of(store, call_ids),
                writer=PartWriter(
                    workspace.spool,
                    replay_id,
                    lease,
                    note_of(beat),
                    absorb=lambda: store.absorb(wait_s=0, rest=True),
                ),
                outcomes=Outcomes(
                    spec.name, spec.base_url or spec.engine, counts.done > sum((counts.errors or {}).values())
                ),
                beat=beat,
                concurrency=concurrency or engine.concurrency,
                listener=listener,
            )
            try:
                return runner.run(run.run()), beat
            except WorkbenchError as error:
                return Ended("failed", error), beat
            except BaseException as error:
                # A bug or a second Ctrl-C: what was answered is in parts; say how it ended, then crash.
                _note_end(store, replay_id, "failed", {"message": type(error).__name__}, beat)
                raise
        finally:
            runner.run(engine.close())


def _close(store: Store, replay_id: str, ended: Ended, beat: Heartbeat) -> None:
    detail: dict[str, Any] = {"answered": beat.done, "seconds": round(beat.seconds, 3)}
    if ended.error is not None:
        detail["message"] = ended.error.message
    _note_end(store, replay_id, ended.state, detail, beat)
    try:
        store.absorb()
    except StoreBusy:
        # The parts stay in the spool, and the next to open the store loads them.
        if ended.state == "finished":
            raise


def _note_end(store: Store, replay_id: str, state: str, detail: dict[str, Any], beat: Heartbeat) -> None:
    beat.state = state
    beat.write()
    # Where the store is busy, the heartbeat says how it ended.
    with contextlib.suppress(StoreBusy):
        store.append("replay_events", [event_row(replay_id, state, detail)])


def _report(
    workspace: Workspace, store: Store, spec: Candidate, plan: Plan, beat: Heartbeat | None
) -> ReplayReport:
    counts = tally(store, plan.replay)
    price = workspace.price_of(spec.price or spec.model)
    notes = [*plan.notes, *_leaving_notes(workspace, store, spec, plan.replay.task)]
    if beat is not None and beat.retries:
        notes.append(f"{beat.retries:,} requests were sent again after a failure.")
    return ReplayReport(
        replay_id=plan.replay.replay_id,
        task=plan.replay.task,
        candidate=spec.name,
        state="finished" if counts.done >= counts.planned else "incomplete",
        calls=counts.calls,
        batches=counts.batches,
        planned=counts.planned,
        done=counts.done,
        answered=beat.done if beat else 0,
        errors=dict(counts.errors or {}),
        input_tokens=counts.input_tokens,
        output_tokens=counts.output_tokens,
        cost_usd=cost_usd(Usage(counts.input_tokens, None, counts.output_tokens), price),
        seconds=beat.seconds if beat else 0.0,
        calls_per_s=beat.calls_per_s if beat else None,
        retries=beat.retries if beat else 0,
        notes=tuple(notes),
    )


def _leaving_notes(workspace: Workspace, store: Store, spec: Candidate, task: str) -> list[str]:
    """Say which models leave before it is known how often they agree with themselves."""
    if spec.name == CONTROL or not workspace.config.models:
        return []
    from workbench.scoring.retirement import leaving

    return [each.text for each in leaving(workspace, store, task=task)]


def _estimate(
    workspace: Workspace, store: Store, spec: Candidate, plan: Plan, concurrency: int | None
) -> ReplayReport:
    """Say what a run would ask, from what the frontier model read and wrote for these calls."""
    row = plan.replay
    todo = [] if plan.is_new else pending(store, row.replay_id, row.repeats)
    asked = [call_id for call_id, _ in todo]
    asked += [each.call_id for each in plan.added for _ in range(row.repeats)]
    unique = list(dict.fromkeys(asked))
    volume = recorded_volume(store, unique) if unique else Volume(0, 0, 0, 0)
    times = len(asked) / len(unique) if unique else 0.0
    notes = list(plan.notes)
    if spec.engine == "recorded":
        tokens_in = tokens_out = None
    else:
        complete = volume.unknown == 0
        tokens_in = round((volume.input_tokens if complete else volume.characters / CHARS_PER_TOKEN) * times)
        tokens_out = round(volume.output_tokens * times) if complete else None
        if not complete:
            notes.append(f"{volume.unknown:,} calls log no tokens, so that cost is not estimated.")
    price = workspace.price_of(spec.price or spec.model)
    latency_ms = typical_latency_ms(store, row.candidate_fingerprint)
    in_flight = min(concurrency or spec.concurrency, max(len(asked), 1))
    done = 0 if plan.is_new else tally(store, row).done
    return ReplayReport(
        replay_id=None if plan.is_new else row.replay_id,
        task=row.task,
        candidate=spec.name,
        state="planned",
        calls=plan.already + len(plan.added),
        batches=0,
        planned=done + len(asked),
        done=done,
        answered=0,
        dry_run=True,
        estimated_seconds=None if latency_ms is None else latency_ms / 1000 * len(asked) / in_flight,
        estimated_input_tokens=tokens_in,
        estimated_output_tokens=tokens_out,
        estimated_cost_usd=cost_usd(Usage(tokens_in, None, tokens_out), price),
        notes=tuple(notes),
    )
