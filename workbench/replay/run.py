"""The use case: one command that starts, resumes or grows a replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from workbench.access import requires
from workbench.config import Workspace
from workbench.engines import open_engine, shared_servers
from workbench.engines.privacy import open_gate
from workbench.errors import WorkbenchError
from workbench.ingest.treated import treatment_of
from workbench.progress import Listener, silent
from workbench.replay import estimate
from workbench.replay.apart import run_apart
from workbench.replay.budget import budget_of, open_budget
from workbench.replay.ending import close_run, interrupted, note_end, report_of, to_go_on
from workbench.replay.garbage import rare_collections
from workbench.replay.held import held_to, refuse_mixed
from workbench.replay.lease import LeaseLost, ReplayLease
from workbench.replay.patching import patcher
from workbench.replay.plan import Plan, make_plan
from workbench.replay.report import ReplayReport
from workbench.replay.session import Session
from workbench.roles import Right
from workbench.specs import Candidate
from workbench.store import Store
from workbench.store.fence import last_epoch
from workbench.store.queue import pending_page


@requires(Right.REPLAY)
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
        concurrency: Requests in flight at most; the candidate's own otherwise. Fewer are
            sent where more don't make the server faster.
        repeats: How often each call is asked; repeats show the candidate's noise.
        new: Start another replay instead of going on with the last.
        dry_run: Say what would be sent; send nothing, store nothing.
        seed: Seed of the drawn sample.
        budget_usd: Pause when the whole replay, earlier runs included, has cost so much by
            the price table.
        budget_minutes: Pause when this run has lasted so long.
        checks: Check the candidate with a few calls of no task before anything else is sent.
        listener: Told about once a second.

    Returns:
        What the replay holds now, and what this run added. Its state is `paused` where a
        budget is used up: the same command with a larger one goes on.

    Raises:
        UsageError: The task, the candidate, the sample or the budget asked for is wrong.
        PrivacyRefused: The task's data may not go to this candidate; nothing was sent.
        EndpointUnreachable: The server does not answer; a resume goes on.
        EnvironmentalError: Another process replays this already.
        KeyboardInterrupt: Stopped by a signal, after all answers were written.
    """
    spec = workspace.candidate(candidate)
    fingerprint = workspace.fingerprint(spec)

    sample: dict[str, Any] = {"limit": limit, "repeats": repeats, "new": new, "seed": seed}
    eval_config = workspace.eval_for(task)
    sample |= {"exclude_marks": eval_config.exclude_marks, "held_to": held_to(spec, eval_config)}
    drawn = partial(make_plan, store, task, spec, fingerprint, **sample)

    return replay_planned(
        workspace,
        store,
        task,
        spec,
        fingerprint,
        drawn,
        concurrency=concurrency,
        new=new,
        dry_run=dry_run,
        budgets={"usd": budget_usd, "minutes": budget_minutes},
        checks=checks,
        listener=listener,
    )


def replay_planned(
    workspace: Workspace,
    store: Store,
    task: str,
    spec: Candidate,
    fingerprint: str,
    drawn: Callable[[], Plan],
    *,
    concurrency: int | None,
    new: bool,
    dry_run: bool,
    budgets: dict[str, Any],
    checks: bool,
    listener: Listener,
) -> ReplayReport:
    """Ask what a plan holds, through the gate, under the lease, within the budget; see `replay`.

    Args:
        workspace: The workspace.
        store: Its store.
        task: Whose calls.
        spec: Who is asked.
        fingerprint: By which its replays are known.
        drawn: Makes the plan, once all parts are loaded.
        concurrency: Requests in flight at most.
        new: Whether the plan is another replay.
        dry_run: Say what would be sent; send and store nothing.
        budgets: `usd` and `minutes`.
        checks: Whether the candidate is checked first.
        listener: Told about once a second.
    """
    eval_config = workspace.eval_for(task)
    open_gate(spec, eval_config)
    open_budget(workspace, spec, **budgets)
    if dry_run:
        most = concurrency or spec.concurrency
        return estimate.dry_run(workspace, store, spec, task, drawn, concurrency=most, budgets=budgets)
    patch = None if spec.patch is None else patcher(store, spec, task)
    above = last_epoch(store, task, fingerprint)
    with rare_collections(), ReplayLease(workspace.spool, f"{task}-{fingerprint}", above=above) as lease:
        lease.recover()
        store.absorb()
        plan = drawn()
        if not plan.added and not _is_anything_pending(store, plan):
            return report_of(workspace, store, spec, plan)
        refuse_mixed(store, plan, spec, eval_config, patch)
        budget, _ = budget_of(workspace, store, spec, plan, **budgets)
        engine = open_engine(workspace, spec, eval_config)
        treat = getattr(engine, "treat", None)
        treatment = None if treat is None else treatment_of(workspace, store, task)
        if treat is not None and treatment is not None:
            treat(treatment)
        require = getattr(engine, "require_any", None)
        if require is not None:
            require(plan.native_ids)
        session = Session(
            workspace,
            store,
            spec,
            eval_config,
            plan,
            engine,
            lease,
            budget,
            patch,
            concurrency,
            checks,
            listener,
        )
        del plan
        try:
            ended = run_apart(session.run)
        except BaseException as error:
            # A bug or a second Ctrl-C: what was answered is in parts; say how it ended, then crash.
            if session.beat.total and lease.held():
                replay_id = session.beat.replay_id
                note_end(store, replay_id, "failed", {"message": type(error).__name__}, session.beat)
            raise
        if isinstance(ended.error, LeaseLost):
            raise to_go_on(ended.error, new)
        beat = session.beat
        close_run(store, beat.replay_id, ended, beat, budget.extra_usd + session.dropped_usd)
        if ended.error is not None:
            raise to_go_on(ended.error, new)
        if ended.state == "interrupted":
            raise interrupted(beat, new)
        return report_of(workspace, store, spec, session.plan, beat, ended, session.check_notes, new)


@requires(Right.REPLAY)
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
        candidates: Names of candidates, in order. All must be declared. Those that one vLLM
            server can answer share it where they follow one another.
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
    with shared_servers():
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


def _is_anything_pending(store: Store, plan: Plan) -> bool:
    if plan.is_new:
        return False
    return bool(pending_page(store, plan.replay.replay_id, plan.replay.repeats, None, 1)[0])
