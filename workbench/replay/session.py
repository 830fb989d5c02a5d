"""One run of a replay from the engine's first check to the last part, on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from workbench.config import Workspace
from workbench.engines import Engine, listen
from workbench.engines.conformance import check_conformance
from workbench.errors import WorkbenchError
from workbench.progress import Listener
from workbench.records import Request
from workbench.replay.budget import Budget
from workbench.replay.checking import note_checked, notes_of, tell, was_checked
from workbench.replay.event_loop import new_event_loop
from workbench.replay.flight import LONGEST_WAIT_S
from workbench.replay.garbage import rare_collections
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.journal import PartWriter
from workbench.replay.lease import ReplayLease
from workbench.replay.limiter import Limiter
from workbench.replay.loop import Ended, Pages, Run, note_of
from workbench.replay.needs import sample_needs
from workbench.replay.outcomes import Outcomes
from workbench.replay.own_work import worked_s
from workbench.replay.plan import Plan
from workbench.specs import Candidate, EvalConfig
from workbench.store import Store
from workbench.store.queue import Place, pending_page
from workbench.store.replays import requests_of, tally, write_plan

PAGE = 20_000
"""Pending calls held in memory at a time."""
LOOKED_AT = 5_000
"""Calls whose needs the checks before a replay look at."""
IN_PROCESS = ("transformers", "recorded")
"""Engines without a server: they know best how many calls to take, and can't be cut."""


class Session:
    """One run of a replay.

    Args:
        workspace: The workspace.
        store: Its store.
        spec: The candidate.
        eval_config: The task's eval.
        plan: What is to be done. Its calls are forgotten once they are stored.
        engine: The candidate's engine; closed at the end.
        lease: The right to this replay.
        budget: What it may cost.
        patch: The candidate's prompt patch; None for none.
        concurrency: Requests in flight at most; None for the engine's own number.
        checks: Whether the candidate is checked first.
        listener: Told once a second.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        spec: Candidate,
        eval_config: EvalConfig,
        plan: Plan,
        engine: Engine,
        lease: ReplayLease,
        budget: Budget,
        patch: Callable[[Request], Request] | None,
        concurrency: int | None,
        checks: bool,
        listener: Listener,
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._spec = spec
        self._eval = eval_config
        self.plan = plan
        self._engine = engine
        self._lease = lease
        self.budget = budget
        self._patch = patch
        self._concurrency = concurrency
        self._checks = checks
        self._listener = listener
        self.beat = Heartbeat(workspace.spool, plan.replay.replay_id, 0, 0)
        self.dropped_usd = 0.0
        self.check_notes: tuple[str, ...] = ()

    def run(self) -> Ended:
        """Check the engine, store the plan, answer what is pending.

        Raises:
            WorkbenchError: The engine or the candidate is not fit to be asked; nothing is stored.
        """
        with rare_collections(), asyncio.Runner(loop_factory=new_event_loop) as runner:
            try:
                listen(self._engine, self._listener)
                runner.run(self._engine.check())
                runner.run(self._check_candidate())
                run = self._begin()
                try:
                    return runner.run(run.run())
                except WorkbenchError as error:
                    return Ended("failed", error)
                finally:
                    self.dropped_usd = run.dropped_usd
            finally:
                runner.run(self._engine.close())

    async def _check_candidate(self) -> None:
        replay_id = self.plan.replay.replay_id
        if not self._checks or was_checked(self._store, replay_id):
            return
        needs = sample_needs(self._store, self._some_calls(), self._spec, self._eval)
        found = await check_conformance(self._engine, self._spec, self._eval, needs)
        self.budget.spend_unrecorded(found.usage)
        found.require()
        self.check_notes = notes_of(found)
        tell(self._listener, self._spec.name, self.check_notes)
        note_checked(self._store, replay_id, found)

    def _some_calls(self) -> list[str]:
        row = self.plan.replay
        found = [each.call_id for each in self.plan.added[:LOOKED_AT]]
        if not self.plan.is_new and len(found) < LOOKED_AT:
            page, _ = pending_page(self._store, row.replay_id, row.repeats, None, LOOKED_AT - len(found))
            found += [call_id for call_id, _ in page]
        return list(dict.fromkeys(found))

    def _begin(self) -> Run:
        """Store the plan and return the loop over what is pending."""
        store, spec, plan, lease = self._store, self._spec, self.plan, self._lease
        row = plan.replay
        detail = {
            "engine": dict(self._engine.description),
            "added": len(plan.added),
            "epoch": lease.epoch,
            # Whoever goes on with it from elsewhere must not spend more than was allowed.
            "budget": {"usd": self.budget.usd, "minutes": self.budget.minutes},
        }
        lease.require()
        write_plan(store, row, spec, plan.added, "started" if plan.is_new else "resumed", detail)
        # A million planned calls need not lie in memory while they are asked.
        self.plan = replace(plan, added=(), native_ids=())
        counts = tally(store, row)
        failed = sum((counts.errors or {}).values())
        self.beat = Heartbeat(self._workspace.spool, row.replay_id, counts.planned, counts.done)
        limiter = limiter_of(self._engine, spec, self._concurrency)
        return Run(
            engine=self._engine,
            replay_id=row.replay_id,
            pending=pages_of(store, row.replay_id, row.repeats),
            fetch=lambda call_ids: requests_of(store, call_ids),
            writer=PartWriter(
                self._workspace.spool,
                row.replay_id,
                lease,
                note_of(self.beat),
                absorb=lambda: store.absorb(wait_s=0, rest=True),
            ),
            outcomes=Outcomes(
                spec.name,
                spec.base_url or spec.engine,
                counts.done > failed,
                final=getattr(self._engine, "final_failures", False),
            ),
            beat=self.beat,
            concurrency=limiter.maximum,
            listener=self._listener,
            patch=self._patch,
            limiter=limiter,
            budget=self.budget,
            deadline_s=limiter.deadline_s,
            lease=lease,
        )


def attempt_deadline_s(spec: Candidate) -> float | None:
    """Return when the loop cuts an attempt at a call that the engine has not ended, in seconds.

    Samples are asked one after another within one call, each with its own retries: such a
    call is given the time of one sample's retries. None for models in this process, whose
    passes can't be cut.
    """
    if spec.engine in IN_PROCESS:
        return None
    return 2 * spec.timeout_s + 3 * LONGEST_WAIT_S if spec.samples > 0 else spec.timeout_s


def limiter_of(engine: Engine, spec: Candidate, concurrency: int | None) -> Limiter:
    """Return what decides how many requests of a run are in flight.

    Args:
        engine: Who answers. One that started its server knows how many requests that works on at once.
        spec: The candidate.
        concurrency: Requests in flight at most; None for the engine's own number.
    """
    return Limiter(
        concurrency or engine.concurrency,
        attempt_deadline_s(spec),
        adaptive=spec.engine not in IN_PROCESS,
        batch=getattr(engine, "batch", 0),
        worked_s=worked_s,
    )


def pages_of(store: Store, replay_id: str, repeats: int) -> Pages:
    """Return what reads the next pending calls each time it is called; nothing at the end."""
    place: Place | None = None

    def next_page() -> Sequence[tuple[str, int]]:
        nonlocal place
        page, place = pending_page(store, replay_id, repeats, place, PAGE)
        return page

    return next_page
