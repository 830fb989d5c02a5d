"""The loop: workers take calls from a queue, the engine answers, parts go to the spool."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from workbench.engines import CallContext, Engine
from workbench.errors import WorkbenchError
from workbench.progress import Listener, Progress
from workbench.records import Observation, Output, Request
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.journal import PartWriter
from workbench.replay.outcomes import Outcomes
from workbench.store.replays import observation_row

CHUNK = 1_000
"""Requests read from the store at a time, so that it is free while models answer."""
TICK_S = 1.0

Fetch = Callable[[Sequence[str]], dict[str, tuple[str, str]]]
_read_request = msgspec.json.Decoder(Request).decode


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: finished, interrupted, paused (a resume goes on) or failed."""

    state: str
    error: WorkbenchError | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    call_id: str
    native_id: str
    repeat: int
    request: str


class Run:
    """One run of one replay, from its first pending call to its end.

    Args:
        engine: Who answers.
        replay_id: Whose observations.
        pending: Calls and repeats without an observation, in order of sending.
        fetch: Returns native id and request of calls.
        writer: Where observations go.
        outcomes: Decides what is recorded, and when to stop.
        beat: Where the run stands.
        concurrency: Requests in flight at most.
        listener: Told once a second.
    """

    def __init__(
        self,
        engine: Engine,
        replay_id: str,
        pending: Sequence[tuple[str, int]],
        fetch: Fetch,
        writer: PartWriter,
        outcomes: Outcomes,
        beat: Heartbeat,
        concurrency: int,
        listener: Listener,
    ) -> None:
        self._engine = engine
        self._replay_id = replay_id
        self._pending = pending
        self._fetch = fetch
        self._writer = writer
        self._outcomes = outcomes
        self._beat = beat
        self._concurrency = max(min(concurrency, len(pending)), 1)
        self._listener = listener
        self._queue: asyncio.Queue[_Job | None] = asyncio.Queue(maxsize=CHUNK)

    async def run(self) -> Ended:
        """Answer all that is pending, or stop in good order."""
        stop = asyncio.Event()
        with _stopped_by_signals(stop):
            ticking = asyncio.create_task(self._tick())
            try:
                ended = await self._drive(stop)
            finally:
                ticking.cancel()
                await asyncio.gather(ticking, return_exceptions=True)
                await self._writer.flush()
        self._beat.state = ended.state
        self._beat.note = ended.error.message if ended.error else ""
        self._tell()
        return ended

    async def _drive(self, stop: asyncio.Event) -> Ended:
        feeding = asyncio.create_task(self._feed())
        workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
        stopping = asyncio.create_task(stop.wait())
        everything: asyncio.Future[Any] = asyncio.gather(feeding, *workers)
        try:
            await asyncio.wait({everything, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if everything.done() and not stop.is_set():
                everything.result()
                return await self._conclude()
            return Ended("interrupted")
        except _Stop:
            return Ended("paused", self._outcomes.stop)
        except WorkbenchError as error:
            return Ended("failed", error)
        finally:
            for task in (feeding, stopping, *workers):
                task.cancel()
            await asyncio.gather(feeding, stopping, *workers, everything, return_exceptions=True)

    async def _conclude(self) -> Ended:
        """Record what was held back, if the server still answers."""
        never_worked = self._outcomes.conclude()
        if self._outcomes.held:
            try:
                await self._engine.check()
            except WorkbenchError as error:
                return Ended("paused", error)
        if never_worked:
            return Ended("paused", never_worked)
        await self._record(self._outcomes.release())
        return Ended("finished")

    async def _feed(self) -> None:
        for start in range(0, len(self._pending), CHUNK):
            chunk = self._pending[start : start + CHUNK]
            found = await asyncio.to_thread(self._fetch, [call_id for call_id, _ in chunk])
            for call_id, repeat in chunk:
                native_id, request = found[call_id]
                await self._queue.put(_Job(call_id, native_id, repeat, request))
        for _ in range(self._concurrency):
            await self._queue.put(None)

    async def _work(self) -> None:
        while (job := await self._queue.get()) is not None:
            context = CallContext(job.call_id, job.native_id, job.repeat)
            started = datetime.now(UTC)
            self._beat.in_flight += 1
            try:
                output = await self._engine.complete(_read_request(job.request), context)
            finally:
                self._beat.in_flight -= 1
            self._beat.retries += len(context.retried)
            observation = Observation(
                self._replay_id, job.call_id, job.repeat, output, max(context.attempts, 1), started
            )
            await self._record(self._outcomes.take(observation_row(observation), output))
            if self._outcomes.stop is not None:
                raise _Stop

    async def _record(self, rows: list[tuple[dict[str, Any], Output]]) -> None:
        def count() -> None:
            beat = self._beat
            for _, output in rows:
                beat.done += 1
                beat.input_tokens += output.usage.input_tokens or 0
                beat.output_tokens += output.usage.output_tokens or 0
                if output.error:
                    beat.errors[output.error.kind.value] = beat.errors.get(output.error.kind.value, 0) + 1

        # Counted once they are safe from a kill, not before.
        await self._writer.add([row for row, _ in rows], count)

    async def _tick(self) -> None:
        while True:
            self._tell()
            await asyncio.sleep(TICK_S)
            await self._writer.flush_if_due()

    def _tell(self) -> None:
        beat = self._beat
        beat.write()
        failed = sum(beat.errors.values())
        notes = [f"{failed:,} errors"] if failed else []
        if self._outcomes.held:
            notes.append(f"{len(self._outcomes.held)} calls failed in a row")
        if beat.note:
            notes.append(beat.note)
        self._listener(Progress("replay", beat.before + beat.done, beat.total, note=", ".join(notes)))


class _Stop(Exception):
    """The outcomes say that going on is of no use."""


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the loop in good order; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    previous = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in previous:
        loop.add_signal_handler(each, stop.set)
    try:
        yield
    finally:
        for each, handler in previous.items():
            loop.remove_signal_handler(each)
            signal.signal(each, handler)


def note_of(beat: Heartbeat) -> Callable[[str], None]:
    """Return what writes a warning into the heartbeat."""

    def warn(text: str) -> None:
        beat.note = text

    return warn
