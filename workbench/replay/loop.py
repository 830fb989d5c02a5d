"""The loop: workers take calls from a queue, the engine answers, parts go to the spool."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from workbench.engines import CallContext, Engine
from workbench.engines.base import failure
from workbench.errors import WorkbenchError
from workbench.progress import Listener, Progress
from workbench.records import ErrorKind, Observation, Output, Request
from workbench.replay.budget import Budget
from workbench.replay.flight import STUBBORN_S, Job, Slot
from workbench.replay.garbage import rare_collections
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.journal import PartWriter
from workbench.replay.lease import LeaseLost, ReplayLease
from workbench.replay.limiter import Limiter
from workbench.replay.outcomes import Outcomes, is_transient
from workbench.replay.stopping import stopped_by_signals
from workbench.replay.telling import note_line
from workbench.store.replays import observation_row

CHUNK = 1_000
"""Requests read from the store at a time, so that it is free while models answer."""
TICK_S = 1.0
WATCH_S = 0.1
"""How often calls in flight are looked at: a cut comes at most so much later."""
LET_GO_S = 2.0
"""How long the end of a run waits for calls that it cancelled."""

Fetch = Callable[[Sequence[str]], dict[str, tuple[str, str]]]
Pages = Callable[[], Sequence[tuple[str, int]]]
"""Returns the next calls and repeats in order of sending; none at the end."""

_read_request = msgspec.json.Decoder(Request).decode
_OVERLOAD = frozenset((ErrorKind.CONNECTION, ErrorKind.TIMEOUT, ErrorKind.RATE_LIMITED, ErrorKind.HTTP))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: finished, interrupted, paused (a resume goes on) or failed.

    `why` says what used the budget up, where that paused it: no error.
    """

    state: str
    error: WorkbenchError | None = None
    why: str = ""


class Run:
    """One run of one replay, from its first pending call to its end.

    Args:
        engine: Who answers.
        replay_id: Whose observations.
        pending: Calls and repeats without an observation, in order of sending, or pages of them.
        fetch: Returns native id and request of calls.
        writer: Where observations go.
        outcomes: Decides what is recorded, and when to stop.
        beat: Where the run stands.
        concurrency: Requests in flight at most.
        listener: Told once a second.
        patch: Changes each request as the candidate's prompt patch says; None for no change.
        limiter: Adapts the requests in flight; None keeps `concurrency` of them.
        budget: What the run may cost; None for no limit.
        deadline_s: Of one attempt, in seconds: the loop cuts what the engine does not.
            None for engines that can't be cut.
        lease: Shows that this worker lives, and whether it may still write.
        row_of: Makes the row that is kept of an answer.
        stage: What the work is called where it reports.
    """

    def __init__(
        self,
        engine: Engine,
        replay_id: str,
        pending: Sequence[tuple[str, int]] | Pages,
        fetch: Fetch,
        writer: PartWriter,
        outcomes: Outcomes,
        beat: Heartbeat,
        concurrency: int,
        listener: Listener,
        patch: Callable[[Request], Request] | None = None,
        limiter: Limiter | None = None,
        budget: Budget | None = None,
        deadline_s: float | None = None,
        lease: ReplayLease | None = None,
        row_of: Callable[[Observation], dict[str, Any]] = observation_row,
        stage: str = "replay",
    ) -> None:
        self._engine = engine
        self._row_of = row_of
        self._stage = stage
        self._replay_id = replay_id
        self._pages = pending if callable(pending) else _pages_of(pending)
        self._fetch = fetch
        self._writer = writer
        self._outcomes = outcomes
        self._beat = beat
        self._listener = listener
        self._patch = patch
        self._limiter = limiter or Limiter(concurrency, adaptive=False)
        self._budget = budget or Budget()
        self._deadline_s = deadline_s
        self._lease = lease
        self._workers_wanted = max(min(self._limiter.maximum, beat.total - beat.before), 1)
        self._queue: asyncio.Queue[Job | None] = asyncio.Queue(maxsize=CHUNK)
        self._slots: set[Slot] = set()
        self._workers: set[asyncio.Task[None]] = set()
        self._left: set[asyncio.Task[None]] = set()
        self._working = 0
        self._over = asyncio.Event()
        self._settled = asyncio.Event()
        self._fault: BaseException | None = None
        self._closing = ""
        self.dropped_usd = 0.0

    async def run(self) -> Ended:
        """Answer all that is pending, or stop in good order."""
        stop = asyncio.Event()
        pulsed = self._lease.pulsed() if self._lease else contextlib.nullcontext()
        loop = asyncio.get_running_loop()
        with stopped_by_signals(stop.set, loop), rare_collections(), pulsed:
            ticking = asyncio.create_task(self._tick())
            try:
                ended = await self._drive(stop)
            finally:
                ticking.cancel()
                await asyncio.gather(ticking, return_exceptions=True)
                with contextlib.suppress(LeaseLost):
                    await self._writer.flush()
        self._beat.end()
        self._beat.state = ended.state
        self._beat.note = ended.error.message if ended.error else ended.why
        self._tell()
        return ended

    async def _drive(self, stop: asyncio.Event) -> Ended:
        feeding = self._start(self._feed())
        watching = self._start(self._watch(), counts=False)
        flushing = self._start(self._flush(), counts=False)
        self._hire()
        stopping = asyncio.create_task(stop.wait())
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({over, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if self._fault is not None:
                raise self._fault
            if stop.is_set():
                return Ended("interrupted")
            return await self._conclude()
        except _Stop:
            return Ended("paused", self._with_dropped(self._outcomes.stop))
        except WorkbenchError as error:
            return Ended("failed", error)
        finally:
            self._closing = self._closing or "the run is over"
            self.dropped_usd += self._budget.reserved_usd
            await self._let_go({feeding, watching, flushing, stopping, over, *self._workers, *self._left})

    def _start(self, work: Any, counts: bool = True) -> asyncio.Task[None]:
        """Start a task whose failure ends the run; the run is over when those that count are done."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        if counts:
            self._workers.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        left = task in self._left
        self._left.discard(task)
        if not task.cancelled() and task.exception() is not None and not left:
            self._fault = self._fault or task.exception()
            self._over.set()
        if not self._workers:
            self._over.set()

    async def _let_go(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Cancel tasks; one that takes no notice is left behind, so that the process can end."""
        for task in tasks:
            task.cancel()
        _, stubborn = await asyncio.wait(tasks, timeout=LET_GO_S)
        for task in stubborn:
            # The loop's end waits for every task it knows, this one would never come.
            asyncio._unregister_task(task)

    def _with_dropped(self, error: WorkbenchError | None) -> WorkbenchError | None:
        flying = len(self._slots)
        if error is not None and flying:
            error.message += (
                f" {flying:,} more {'was' if flying == 1 else 'were'} in flight and "
                f"{'is' if flying == 1 else 'are'} asked again by a resume."
            )
        return error

    async def _conclude(self) -> Ended:
        """See that all is kept, and record what was held back, if the server still answers."""
        await self._writer.settle()
        never_worked = self._outcomes.conclude()
        if self._outcomes.held:
            try:
                await self._engine.check()
            except WorkbenchError as error:
                return Ended("paused", error)
        if never_worked:
            return Ended("paused", never_worked)
        self._record(self._outcomes.release())
        await self._writer.settle()
        return Ended("paused", why=self._closing) if self._closing else Ended("finished")

    async def _feed(self) -> None:
        while not self._closing and (page := await asyncio.to_thread(self._pages)):
            for start in range(0, len(page), CHUNK):
                chunk = page[start : start + CHUNK]
                if self._closing:
                    break
                found = await asyncio.to_thread(self._fetch, [call_id for call_id, _ in chunk])
                for call_id, repeat in chunk:
                    native_id, request = found[call_id]
                    await self._queue.put(Job(call_id, native_id, repeat, request))
        await self._queue.put(None)

    def _hire(self) -> None:
        """Start workers up to the limit: each has one request in flight at most."""
        wanted = min(self._limiter.limit, self._workers_wanted)
        while self._working < wanted:
            self._working += 1
            self._start(self._work())

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: a coroutine runs in a task
        while self._working <= self._limiter.limit:
            job = await self._queue.get()
            if job is None:
                await self._queue.put(None)  # For the next worker: nobody knows how many there will be.
                break
            if self._closing:
                continue  # Nothing more is taken; what is queued is asked by a resume.
            estimate_usd = self._budget.estimate_usd(len(job.request))
            if not await self._afford(estimate_usd):
                continue
            context = CallContext(job.call_id, job.native_id, job.repeat, patient=True)
            slot = Slot(job, context, task, estimate_usd)
            self._slots.add(slot)
            try:
                request = _read_request(job.request)
                request = request if self._patch is None else self._patch(request)
                output = await self._engine.complete(request, slot.context)
            except asyncio.CancelledError:
                if slot.is_dropped:
                    self._drop(slot)
                    if task.uncancel():
                        raise  # The run itself ends as well.
                    continue
                if slot.left or slot.cut_s is None:
                    raise
            if slot.left:
                return  # Its outcome was recorded without it, and another worker is in its place.
            if slot.cut_s is not None:
                task.uncancel()
                output = slot.late(self._deadline_s or 0.0)
            await self._land(slot, output)
        self._working -= 1

    async def _afford(self, estimate_usd: float) -> bool:
        """Take a call from the budget; wait while only calls in flight stand in its way."""
        while not self._closing:
            if self._budget.take(estimate_usd):
                return True
            if self._budget.is_out_of_time or not self._budget.taken:
                self._closing = self._budget.why()
                self._settled.set()
                break
            self._settled.clear()
            await self._settled.wait()
        return False

    async def _land(self, slot: Slot, output: Output) -> None:
        """Take a call out of flight: learn from it, and record what it was."""
        now, job, context = time.monotonic(), slot.job, slot.context
        self._tell_retries(slot, now)
        transient = is_transient(output)
        if transient:
            self._limiter.overloaded(now, slot.started_s)
        # Whoever waits until an answer is safe holds its place, so that one is in flight as well.
        in_flight = len(self._slots) + self._writer.unsettled
        self._limiter.finished(now, slot.started_s, in_flight, answered=not transient)
        self._slots.discard(slot)
        self._hire()
        late = context.retried.count(ErrorKind.TIMEOUT)
        self._budget.settle(slot.estimate_usd, len(job.request), output, late)
        self._settled.set()
        observation = Observation(
            self._replay_id, job.call_id, job.repeat, output, max(context.attempts, 1), slot.started_at
        )
        row = self._row_of(observation)
        row["retried"] = ",".join(context.retried) or None
        self._record(self._outcomes.take(row, output))
        if self._outcomes.stop is not None:
            raise _Stop
        # What a kill would cost, in flight or not yet on its way to the disk, is no more than could fly now.
        could_fly = min(self._limiter.limit, self._workers_wanted)
        if len(self._slots) + self._writer.unsettled >= could_fly or self._writer.is_behind:
            await self._writer.settle()

    def _drop(self, slot: Slot) -> None:
        """Take a call out of flight that waits for its turn at a rate limit: a resume asks it."""
        self._tell_retries(slot, time.monotonic())
        self._slots.discard(slot)
        late = slot.context.retried.count(ErrorKind.TIMEOUT)
        nothing = failure(ErrorKind.RATE_LIMITED, "not asked")
        self._budget.settle(slot.estimate_usd, len(slot.job.request), nothing, late)

    def _tell_retries(self, slot: Slot, now_s: float) -> None:
        retried = slot.context.retried
        for kind in retried[slot.told :]:
            self._beat.retry(kind.value)
            if kind in _OVERLOAD:
                self._limiter.overloaded(now_s, slot.started_s)
        slot.told = len(retried)

    def _record(self, rows: list[tuple[dict[str, Any], Output]]) -> None:
        def count() -> None:
            beat = self._beat
            for _, output in rows:
                beat.done += 1
                beat.input_tokens += output.usage.input_tokens or 0
                beat.output_tokens += output.usage.output_tokens or 0
                if output.error:
                    beat.errors[output.error.kind.value] = beat.errors.get(output.error.kind.value, 0) + 1

        # Counted once they are safe from a kill, not before; the writer looks at the lease.
        self._writer.take([row for row, _ in rows], count)

    async def _watch(self) -> None:
        """Look at the calls in flight: what was retried, what is overdue, who takes no notice."""
        while True:
            await asyncio.sleep(WATCH_S)
            now = time.monotonic()
            for slot in list(self._slots):
                if slot.cut_s is not None:
                    if now - slot.cut_s > STUBBORN_S:
                        self._leave_behind(slot)
                    continue
                if len(slot.context.retried) > slot.told:
                    self._tell_retries(slot, now)
                if self._closing and slot.is_unasked and not slot.is_dropped:
                    # Its turn may come in minutes: nothing is in flight of it, and a resume asks it.
                    slot.is_dropped = True
                    slot.task.cancel()
                elif self._deadline_s is not None and slot.overdue(now, self._deadline_s):
                    slot.cut_s = now
                    slot.task.cancel()
            if self._budget.is_out_of_time and not self._closing:
                self._closing = self._budget.why()
                self._settled.set()

    def _leave_behind(self, slot: Slot) -> None:
        """Record a call whose engine ignores that it was cut, and put another worker in its place."""
        if slot not in self._slots:
            return
        slot.left = True
        self._slots.discard(slot)
        task = slot.task
        self._start(self._replace(slot))
        self._workers.discard(task)
        self._left.add(task)

    async def _replace(self, slot: Slot) -> None:
        await self._land(slot, slot.late(self._deadline_s or 0.0))
        await self._work()

    async def _tick(self) -> None:
        while True:
            if self._lease is not None:
                self._lease.pulse()
                if not self._lease.held():
                    self._fault = self._fault or LeaseLost.of_this_worker()
                    self._over.set()
                    return
            self._tell()
            await asyncio.sleep(TICK_S)

    async def _flush(self) -> None:
        """Write parts that are due. Apart from the ticking: on a full disk this waits, and that must not."""
        while True:
            await asyncio.sleep(TICK_S)
            await self._writer.flush_if_due()

    def _tell(self) -> None:
        if self._lease is not None and not self._lease.held():
            return  # The heartbeat is that of another worker now.
        beat = self._beat
        beat.in_flight, beat.limit = len(self._slots), self._limiter.limit
        beat.most, beat.spent_usd = self._limiter.maximum, self._budget.total_usd
        beat.write()
        self._listener(
            Progress(
                self._stage,
                beat.before + beat.done,
                beat.total,
                note=note_line(beat, len(self._outcomes.held), getattr(self._engine, "limit_told", "")),
                per_s=beat.calls_per_s,
                left_s=beat.left_s,
            )
        )


class _Stop(Exception):
    """The outcomes say that going on is of no use."""


def _pages_of(pending: Sequence[tuple[str, int]]) -> Pages:
    """Return pages of a list that lies in memory."""
    pages = iter([pending])
    return lambda: next(pages, ())


def note_of(beat: Heartbeat) -> Callable[[str], None]:
    """Return what writes a warning into the heartbeat."""

    def warn(text: str) -> None:
        beat.note = text

    return warn
