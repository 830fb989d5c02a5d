"""`replay --on ray`: the same engines inside the actors of Ray Data, one store at the end.

The command draws the plan and holds the lease, as a replay on one machine does. What is
pending goes as Parquet files into a spool that all machines reach; Ray Data hands the
files to actors, which answer them and write parts beside them; the command loads the
parts while it waits. Ray carries no answer, so what it loses is only who was to ask.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from functools import partial
from typing import Any

from workbench.access import requires
from workbench.config import Workspace
from workbench.engines.privacy import open_gate
from workbench.errors import ModelMissing, UsageError
from workbench.progress import Listener, silent
from workbench.replay import estimate, ray_cluster
from workbench.replay.budget import budget_of, open_budget
from workbench.replay.ending import close_run, interrupted, report_of, to_go_on
from workbench.replay.held import held_to, refuse_mixed
from workbench.replay.lease import LeaseLost, ReplayLease
from workbench.replay.plan import make_plan
from workbench.replay.ray_driver import Driver
from workbench.replay.ray_run import earlier_runs
from workbench.replay.remote_spool import RemoteSpool
from workbench.replay.report import ReplayReport
from workbench.roles import Right
from workbench.specs import RayCluster
from workbench.store import Store
from workbench.store.fence import last_epoch
from workbench.store.queue import pending_page
from workbench.store.replays import replays_of


@requires(Right.REPLAY)
def replay_on_ray(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    address: str | None = None,
    actors: int | None = None,
    spool: str | None = None,
    limit: int | None = None,
    repeats: int = 1,
    new: bool = False,
    seed: int = 0,
    concurrency: int | None = None,
    dry_run: bool = False,
    budget_usd: float | None = None,
    budget_minutes: float | None = None,
    checks: bool = True,
    listener: Listener = silent,
) -> ReplayReport:
    """Send a task's recorded requests to a candidate from many machines; again resumes, as ever.

    Args:
        workspace: The workspace; `[ray]` of its configuration holds what is not given here.
        store: Its store. Only this process opens it.
        task: Whose calls.
        candidate: Name of the candidate; each actor opens its engine.
        address: HOST:PORT of a cluster, or auto; without one, Ray runs on this machine alone.
        actors: How many engines answer; as many as fit otherwise.
        spool: Folder or object store that all machines reach.
        limit: Calls in the whole sample; a larger one grows it, None takes all.
        repeats: How often each call is asked.
        new: Start another replay instead of going on with the last.
        seed: Seed of the drawn sample.
        concurrency: Requests in flight of each actor at most; the candidate's own otherwise.
        dry_run: Say what would be sent; start nothing, send nothing, store nothing.
        budget_usd: Pause when the whole replay, earlier runs included, has cost so much by
            the price table. It is shared out among the calls before they are sent.
        budget_minutes: Pause when this run has lasted so long.
        checks: Check the candidate with a few calls of no task before anything else is sent.
        listener: Told about twice a second.

    Returns:
        What the replay holds now, and what this run added. Its state is `paused` where a
        budget is used up: the same command with a larger one goes on.

    Raises:
        UsageError: The task, the candidate, the sample, the budget or the cluster's settings are wrong.
        PrivacyRefused: The task's data may not go to this candidate, cluster or spool; nothing
            was sent.
        EnvironmentalError: Ray or a candidate's server is not there, or actors keep dying.
        KeyboardInterrupt: Stopped by a signal, after all answers were written.
    """
    eval_config = workspace.eval_for(task)
    spec = workspace.candidate(candidate)
    open_gate(spec, eval_config)
    if spec.engine == "recorded":
        raise UsageError(
            f"Candidate {candidate!r} is recorded: its answers are there already.", "Leave --on ray out."
        )
    declared = workspace.config.ray
    cluster = dataclasses.replace(
        declared,
        address=address or declared.address,
        actors=actors or declared.actors,
        spool=spool or declared.spool,
    )
    remote = _open_spool(workspace, cluster)
    ray_cluster.admit_spool(remote, cluster, eval_config)
    budgets: dict[str, Any] = {"usd": budget_usd, "minutes": budget_minutes}
    open_budget(workspace, spec, **budgets)
    fingerprint = workspace.fingerprint(spec)

    sample: dict[str, Any] = {"limit": limit, "repeats": repeats, "new": new, "seed": seed}
    sample |= {"exclude_marks": eval_config.exclude_marks, "held_to": held_to(spec, eval_config)}
    drawn = partial(make_plan, store, task, spec, fingerprint, **sample)

    if dry_run:
        most = (concurrency or spec.concurrency) * (cluster.actors or 1)
        found = estimate.dry_run(workspace, store, spec, task, drawn, concurrency=most, budgets=budgets)
        return dataclasses.replace(found, notes=(*found.notes, _where(remote, cluster)))
    if importlib.util.find_spec("ray") is None:
        raise ModelMissing(
            "--on ray needs Ray Data, which is not installed.",
            "Install it: pip install 'shadow-workbench[ray]'",
        )
    above = last_epoch(store, task, fingerprint)
    with ReplayLease(workspace.spool, f"{task}-{fingerprint}", above=above) as lease:
        lease.recover()
        _take_what_earlier_runs_left(workspace, store, remote, task, fingerprint, above)
        store.absorb()
        plan = drawn()
        replay_id = plan.replay.replay_id
        if not plan.added and (plan.is_new or not pending_page(store, replay_id, repeats, None, 1)[0]):
            return report_of(workspace, store, spec, plan)
        refuse_mixed(store, plan, spec, eval_config)
        budget, earlier = budget_of(workspace, store, spec, plan, **budgets)
        driver = Driver(
            workspace, store, remote, lease, spec, eval_config, cluster, plan, budget, earlier, listener
        )
        try:
            ended, beat = driver.run(concurrency, checks)
        except LeaseLost as error:
            raise to_go_on(error, new) from None
        close_run(store, replay_id, ended, beat, driver.unrecorded_usd)
        driver.tidy()
        if ended.error is not None:
            raise to_go_on(ended.error, new)
        if ended.state == "interrupted":
            raise interrupted(beat, new)
        return report_of(workspace, store, spec, plan, beat, ended, driver.check_notes, new)


def _open_spool(workspace: Workspace, cluster: RayCluster) -> RemoteSpool:
    where = cluster.spool or str(workspace.spool / "ray")
    return RemoteSpool(where if "://" in where else str(workspace.path(where)))


def _where(remote: RemoteSpool, cluster: RayCluster) -> str:
    """Say what the time of an estimate rests on."""
    where = cluster.address or "this machine"
    if cluster.actors is None:
        return (
            f"On Ray at {where}, through {remote.url}: the time is that of one actor, or of the last run; as "
            "many as fit will answer."
        )
    return f"On Ray at {where}, through {remote.url}, with {cluster.actors} actors."


def _take_what_earlier_runs_left(
    workspace: Workspace, store: Store, remote: RemoteSpool, task: str, fingerprint: str, last: int
) -> None:
    for row in replays_of(store, task, fingerprint):
        for run in earlier_runs(remote, row.replay_id):
            # Older than the last run that began: that one took what there was, the rest came late.
            if run.epoch >= last:
                run.end(workspace.spool)
                store.absorb()
            run.remove()
