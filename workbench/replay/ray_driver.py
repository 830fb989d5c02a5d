"""One run of a replay on a Ray cluster: hand out the plan, load the parts, end in good order."""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from workbench.config import Workspace
from workbench.errors import EnvironmentalError, WorkbenchError
from workbench.progress import Listener, Progress
from workbench.replay import ray_cluster
from workbench.replay.budget import Budget
from workbench.replay.checking import note_checked, notes_of, tell, was_checked
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.held import refuse_mixed
from workbench.replay.lease import LeaseLost, ReplayLease
from workbench.replay.loop import Ended
from workbench.replay.needs import sample_needs
from workbench.replay.patching import patcher
from workbench.replay.plan import Plan
from workbench.replay.ray_actor import AnsweringActor
from workbench.replay.ray_budget import SharedBudget
from workbench.replay.ray_run import SharedRun
from workbench.replay.ray_settings import RunSettings, error_from_json
from workbench.replay.remote_spool import RemoteSpool
from workbench.replay.session import LOOKED_AT, pages_of
from workbench.replay.stopping import stopped_by_signals
from workbench.replay.telling import note_line
from workbench.specs import Candidate, EvalConfig, RayCluster
from workbench.store import Store
from workbench.store.queue import pending_page
from workbench.store.replays import requests_of, tally, write_plan
from workbench.store.spending import Spending, spending

TICK_S = 0.5
ABSORB_EVERY_S = 2.0
STOP_WAIT_S = 15.0
"""How long actors have to write what they have when the command is stopped."""


def _next_pending(store: Store, replay_id: str, repeats: int, count: int) -> Sequence[tuple[str, int]]:
    return pending_page(store, replay_id, repeats, None, count)[0]


class Driver:
    """One run on a cluster, from the plan's files to the last part.

    Args:
        workspace: The workspace.
        store: Its store.
        remote: The spool that all machines reach.
        lease: The right to this replay.
        spec: The candidate.
        eval_config: The task's eval.
        cluster: Where the actors run.
        plan: What is to be done. Its calls are forgotten once they are stored.
        budget: What it may cost.
        earlier: What earlier runs of the replay have read and written.
        listener: Told about twice a second.
    """

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        remote: RemoteSpool,
        lease: ReplayLease,
        spec: Candidate,
        eval_config: EvalConfig,
        cluster: RayCluster,
        plan: Plan,
        budget: Budget,
        earlier: Spending,
        listener: Listener,
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._lease = lease
        self._spec = spec
        self._eval = eval_config
        self._cluster = cluster
        self._plan = plan
        self._budget = budget
        self._earlier = earlier
        self._listener = listener
        self._run = SharedRun(remote, plan.replay.replay_id, lease.epoch)
        self._outbox: queue.Queue[Any] = queue.Queue()
        self._stop = threading.Event()
        self._done: list[int] = []
        self._absorbed_at = 0.0
        self._said_checked = True
        self._some_paused = False
        self._looked_s = (0.0, 0.0)
        self.check_notes: tuple[str, ...] = ()
        self.unrecorded_usd = 0.0

    def run(self, concurrency: int | None, checks: bool) -> tuple[Ended, Heartbeat]:
        """Answer all that is pending on the cluster, or stop in good order.

        Args:
            concurrency: Requests in flight of each actor at most; None for the candidate's own.
            checks: Whether the candidate is checked first.

        Returns:
            How it ended, and where it stands.

        Raises:
            LeaseLost: Another command took the replay over.
            EnvironmentalError: The cluster is not there.
        """
        cluster = self._cluster
        needs = ray_cluster.needs_of(self._spec, cluster)
        replay_id = self._plan.replay.replay_id
        beat = Heartbeat(self._workspace.spool, replay_id, 0, 0)
        with ray_cluster.connected(cluster, self._eval, needs, cluster.actors) as (ray, actors):
            detail = {
                "engine": {"on": "ray", "address": cluster.address or "this machine", "actors": actors},
                "added": len(self._plan.added),
                "epoch": self._lease.epoch,
                "budget": {"usd": self._budget.usd, "minutes": self._budget.minutes},
            }
            event = "started" if self._plan.is_new else "resumed"
            write_plan(self._store, self._plan.replay, self._spec, self._plan.added, event, detail)
            # A million planned calls need not lie in memory while they are asked.
            self._plan = dataclasses.replace(self._plan, added=(), native_ids=())
            counts = tally(self._store, self._plan.replay)
            beat = Heartbeat(self._workspace.spool, replay_id, counts.planned, counts.done)
            with stopped_by_signals(self._stop.set):
                try:
                    files = self._write_plan(actors, beat)
                    worked = counts.done > sum((counts.errors or {}).values())
                    self._begin(worked, beat.total - beat.before, concurrency, checks)
                    ended = self._follow(ray, needs, actors, files, beat)
                except WorkbenchError as error:
                    ended = Ended("failed", error)
        if isinstance(ended.error, LeaseLost):
            # Whoever took the replay over has taken the parts as well.
            raise ended.error
        with contextlib.suppress(WorkbenchError):
            self._run.end(self._workspace.spool, beat)
        beat.note = ended.error.message if ended.error else ended.why
        return ended, beat

    def tidy(self) -> None:
        """Remove the run's folder. Its parts are loaded, or wait in the store's spool."""
        with contextlib.suppress(WorkbenchError):
            self._run.remove()

    def _write_plan(self, actors: int, beat: Heartbeat) -> list[str]:
        patch = None
        if self._spec.patch is not None:
            patch = patcher(self._store, self._spec, self._plan.replay.task)
            # Another process may have changed an example since the plan was looked at.
            refuse_mixed(self._store, self._plan, self._spec, self._eval, patch)

        def tell(count: int) -> None:
            if self._stop.is_set():
                raise _Interrupted
            self._tell(beat, f"plan written for {count:,} calls")

        try:
            row = self._plan.replay
            return self._run.write_plan(
                iter(pages_of(self._store, row.replay_id, row.repeats), []),
                beat.total - beat.before,
                lambda call_ids: requests_of(self._store, call_ids),
                patch,
                actors,
                tell,
            )
        except _Interrupted:
            return []

    def _begin(self, worked_before: bool, calls: int, concurrency: int | None, checks: bool) -> None:
        row, needs = self._plan.replay, None
        if checks and not was_checked(self._store, row.replay_id):
            self._said_checked = False
            some = _next_pending(self._store, row.replay_id, row.repeats, LOOKED_AT)
            call_ids = list(dict.fromkeys(call_id for call_id, _ in some))
            needs = sample_needs(self._store, call_ids, self._spec, self._eval)
        # The patch was applied when the plan was written: asked again, it would apply twice.
        candidate = dataclasses.replace(self._spec, patch=None)
        self._run.begin(
            RunSettings(
                replay_id=row.replay_id,
                epoch=self._lease.epoch,
                concurrency=concurrency,
                worked_before=worked_before,
                needs=needs,
                cluster=self._cluster,
                candidate=candidate,
                eval_config=self._eval,
                root=str(self._workspace.root),
                config=dataclasses.replace(self._workspace.config, candidates=(candidate,)),
                budget=self._shared(calls),
            )
        )

    def _shared(self, calls: int) -> SharedBudget | None:
        budget = self._budget
        if budget.price is None:
            return None
        return SharedBudget(
            price=budget.price,
            usd=None if budget.usd is None else max(budget.usd - budget.spent_usd, 0.0),
            calls=calls,
            characters=self._run.characters,
            output_tokens=budget.output_tokens,
            requests_per_call=budget.requests_per_call,
            earlier=self._earlier,
        )

    def _follow(
        self,
        ray: Any,
        needs: ray_cluster.Needs,
        actors: int,
        files: list[str],
        beat: Heartbeat,
    ) -> Ended:
        """Load parts while the actors answer, until all pieces are done or something ends it."""
        if self._stop.is_set():
            return Ended("interrupted")
        work = (ray, self._run.spool, self._run.folder, files, actors, needs, self._outbox)
        threading.Thread(target=_answer_pieces, args=work, name="ray-data", daemon=True).start()
        ended: Ended | None = None
        deadline = float("inf")
        while True:
            try:
                item = self._outbox.get(timeout=TICK_S)
            except queue.Empty:
                item = ()
            if item is None:
                return ended or self._finished(beat)
            if isinstance(item, BaseException):
                return ended or Ended("failed", _gave_up(ray, item))
            if isinstance(item, dict):
                self._done.append(item["piece"])
                self.unrecorded_usd += item["unrecorded_usd"]
                if item["state"] == "paused" and not item["error"]:
                    self._some_paused = True  # Its share of the money is used up; others may have some left.
                elif item["state"] != "finished" and ended is None:
                    ended = Ended(item["state"], error_from_json(item["error"]))
            self._lease.require()
            self._collect(beat)
            self._tell(beat, f"{actors} actors")
            if self._stop.is_set() and ended is None:
                ended = Ended("interrupted")
            if ended is None and (self._budget.is_out_of_time or self._is_overspent(beat)):
                ended = Ended("paused", why=self._budget.why())
            if ended is not None and deadline == float("inf"):
                self._run.stop()
                deadline = time.monotonic() + STOP_WAIT_S
            if ended is not None and time.monotonic() > deadline:
                return ended

    def _finished(self, beat: Heartbeat) -> Ended:
        self._collect(beat, last=True)
        if _next_pending(self._store, self._plan.replay.replay_id, self._plan.replay.repeats, 1):
            if self._some_paused:
                self._count_money(beat)
                return Ended("paused", why=self._why_costly(beat))
            return Ended(
                "failed",
                EnvironmentalError(
                    "All pieces were handed out, but some calls have no answer.",
                    "Run the same command again: it asks them.",
                ),
            )
        return Ended("finished")

    def _is_overspent(self, beat: Heartbeat) -> bool:
        """Say whether the money is gone: pieces whose actors were lost may have cost more than they show."""
        counted_s, took_s = self._looked_s
        if self._budget.usd is None or time.monotonic() - counted_s < max(ABSORB_EVERY_S, 20 * took_s):
            return False
        self._count_money(beat)
        return self._budget.spent_usd >= self._budget.usd

    def _count_money(self, beat: Heartbeat) -> None:
        started_s = time.monotonic()
        self._budget.begin_with(spending(self._store, self._plan.replay.replay_id))
        self._budget.spent_usd += self.unrecorded_usd
        beat.spent_usd = self._budget.total_usd
        self._looked_s = (time.monotonic(), time.monotonic() - started_s)

    def _why_costly(self, beat: Heartbeat) -> str:
        left = beat.total - beat.before - beat.done
        return (
            f"The budget of {self._budget.usd:g} USD, shared out among the calls by the length of their "
            f"requests, has no room for {left:,} of them: {self._budget.spent_usd:.4f} USD are spent. "
            "The same command shares out what is left."
        )

    def _collect(self, beat: Heartbeat, *, last: bool = False) -> None:
        self._run.take_parts(self._workspace.spool, beat)
        # At once: were this command killed before the next load, the check would be paid for again.
        if not self._said_checked and (found := self._run.check_found()) is not None:
            # Another actor may get the answers that this one lacked.
            self._said_checked = not found.unanswered
            if self._said_checked:
                self.unrecorded_usd += self._budget.spend_unrecorded(found.usage)
            notes = notes_of(found)
            tell(self._listener, self._spec.name, (each for each in notes if each not in self.check_notes))
            self.check_notes = notes
            note_checked(self._store, beat.replay_id, found)
        if not last and time.monotonic() - self._absorbed_at < ABSORB_EVERY_S:
            return
        # Pieces known to be done before this look at the parts: all of theirs were taken by it.
        done, self._done = self._done, []
        self._store.absorb(wait_s=None if last else 0)
        self._run.clear_pieces(done)
        self._absorbed_at = time.monotonic()

    def _tell(self, beat: Heartbeat, note: str) -> None:
        beat.write()
        words = ", ".join(each for each in (note, note_line(beat)) if each)
        self._listener(
            Progress(
                "replay",
                beat.before + beat.done,
                beat.total,
                note=words,
                # Until the first parts come, nothing is known of the pace.
                per_s=beat.calls_per_s if beat.done else None,
                left_s=beat.left_s if beat.done else None,
            )
        )


class _Interrupted(Exception):
    """A signal came while the plan was written."""


def _answer_pieces(
    ray: Any,
    spool: RemoteSpool,
    run: str,
    files: list[str],
    actors: int,
    needs: ray_cluster.Needs,
    outbox: queue.Queue[Any],
) -> None:
    """Let Ray Data hand the plan's files to actors; put what they report into the outbox, then None."""
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        # One block a file, and only its name: requests never lie in Ray's object store.
        plan = ray.data.from_items([{"file": each} for each in files], override_num_blocks=len(files))
        reports = plan.map_batches(
            AnsweringActor,
            fn_constructor_args=(spool.url, run),
            # One piece at a time: a second one would wait behind the first while others are idle.
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=needs.cpus,
            num_gpus=needs.gpus or None,
        )
        for batch in reports.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for row in batch.to_pylist():
                outbox.put(row)
        outbox.put(None)
    except BaseException as error:
        outbox.put(error)


def _gave_up(ray: Any, error: BaseException) -> WorkbenchError:
    """Return the error of a cluster that failed; a bug in an actor crashes here with its traceback."""
    if isinstance(error, ray.exceptions.RayTaskError | ray.exceptions.UserCodeException):
        raise error
    text = str(error).strip().splitlines()
    return EnvironmentalError(
        f"The Ray cluster gave up: {type(error).__name__}: {text[0] if text else ''}",
        "What was answered is kept. See the cluster's logs, then run the same command again: it goes on.",
    )
