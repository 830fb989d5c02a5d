"""Send calls at given times, whatever the server does: an open loop.

A closed loop waits for answers, so a slow server is asked less often, and the waiting
that real callers would have had is not seen ("coordinated omission": Tene, "How not to measure
latency", 2013). Here nothing waits for an earlier answer, and a latency
counts from the moment a call was due, not from the moment it could be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from workbench.engines import CallContext
from workbench.engines.replies import CACHED
from workbench.records import Output
from workbench.replay.outcomes import is_transient

IDLE_S = 1.0
"""A server that has nothing to do needs no longer than this to be idle: longer gaps are cut."""
MOST_IN_FLIGHT = 512
DROPPED = "dropped"

Ask = Callable[[int, CallContext], Awaitable[Output]]


@dataclass(frozen=True, slots=True)
class Sent:
    """One call of a probe. Times in ms count from when it was due; `in_flight` are the others then.

    `unanswered` calls were dropped or failed for the server's sake: to their caller they
    are infinitely slow. Other errors are answers that are of no use; so is one that a
    response cache gave, which holds what a replay asked before.
    """

    position: int
    scheduled_s: float
    late_ms: float
    in_flight: int
    latency_ms: float | None = None
    first_token_ms: float | None = None
    attempts: int = 0
    error_kind: str | None = None
    unanswered: bool = False
    output_tokens: int | None = None


@dataclass(slots=True)
class Driven:
    """What came of a schedule. `cut_s` is idle time that was not waited for."""

    sent: list[Sent] = field(default_factory=list)
    cut_s: float = 0.0
    stopped_early: bool = False
    seconds: float = 0.0
    most_in_flight: int = 0


class OpenLoop:
    """Send calls when they are due.

    Args:
        ask: Asks call number i.
        offsets_s: When each is due, from the start, ascending.
        most_in_flight: More are not sent but dropped, and counted: memory and sockets have an end.
        deadline_s: No call is sent after so long; what is in flight is waited for.
        room: Says before call number i is sent whether there is room for it; none is sent after a no.
    """

    def __init__(
        self,
        ask: Ask,
        offsets_s: Sequence[float],
        *,
        most_in_flight: int,
        deadline_s: float,
        room: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._ask, self._room = ask, room
        self._offsets = offsets_s
        self._most = most_in_flight
        self._deadline_s = deadline_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._failed: BaseException | None = None
        self.driven = Driven()

    @property
    def in_flight(self) -> int:
        """Return how many calls wait for their answer now."""
        return len(self._tasks)

    async def run(self) -> Driven:
        """Send all calls, then wait for what is in flight.

        Raises:
            WorkbenchError: The engine says that no call can be answered.
        """
        clock = asyncio.get_running_loop()
        start = clock.time()
        try:
            for position, offset in enumerate(self._offsets):
                if not await self._wait_until_due(start, offset) or self._failed is not None:
                    self.driven.stopped_early = self._failed is None
                    break
                if len(self._tasks) < self._most and not self._room(position):
                    self.driven.stopped_early = True
                    break
                self._send(position, start, start + offset - self.driven.cut_s)
            while self._tasks and self._failed is None:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failed is not None:
            raise self._failed
        self.driven.seconds = clock.time() - start
        self.driven.sent.sort(key=lambda each: each.position)
        return self.driven

    async def _wait_until_due(self, start: float, offset: float) -> bool:
        """Wait; while nothing is in flight, not longer than a server needs to be idle.

        Returns:
            False where the deadline comes first.
        """
        clock = asyncio.get_running_loop()
        while True:
            due = start + offset - self.driven.cut_s
            wait = due - clock.time()
            if wait > IDLE_S and not self._tasks:
                self.driven.cut_s += wait - IDLE_S
                continue
            left = start + self._deadline_s - clock.time()
            if left <= 0:
                return False
            if wait <= 0 or self._failed is not None:
                return True
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait, left)):
                    await (self._idle.wait() if wait > IDLE_S else asyncio.sleep(wait))

    def _send(self, position: int, start: float, due: float) -> None:
        clock = asyncio.get_running_loop()
        late_ms = max(clock.time() - due, 0.0) * 1000
        others = len(self._tasks)
        if others >= self._most:
            dropped = Sent(position, due - start, late_ms, others, error_kind=DROPPED, unanswered=True)
            self.driven.sent.append(dropped)
            return
        self.driven.most_in_flight = max(self.driven.most_in_flight, others + 1)
        task = asyncio.create_task(self._one(position, due - start, due, late_ms, others))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = self._failed or error
        if not self._tasks or self._failed is not None:
            self._idle.set()

    async def _one(self, position: int, scheduled_s: float, due: float, late_ms: float, others: int) -> None:
        context = CallContext(f"probe-{position}", f"probe-{position}")
        output = await self._ask(position, context)
        latency_ms = (asyncio.get_running_loop().time() - due) * 1000
        first_ms = output.time_to_first_token_ms
        if first_ms is not None and output.latency_ms is not None:
            # The engine's clocks begin with its last attempt; callers wait from the moment due.
            first_ms = max(latency_ms - output.latency_ms, 0.0) + first_ms
        error = output.error
        self.driven.sent.append(
            Sent(
                position,
                scheduled_s,
                late_ms,
                others,
                latency_ms=latency_ms,
                first_token_ms=None if error else first_ms,
                attempts=1 + len(context.retried),
                error_kind=error.kind.value if error else CACHED if CACHED in output.flags else None,
                unanswered=bool(error and is_transient(output)),
                output_tokens=output.usage.output_tokens,
            )
        )
