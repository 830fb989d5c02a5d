"""The pace that a server's rate limit allows, learnt from what it lets through and what it refuses.

A refusal for the rate (429) says nothing about a call. It stops all calls of an engine for
as long as the server asks, or, where it doesn't say, for a while that doubles with each refusal in a row.
Then they go on one by one, at the rate that was let through, pauses included; without refusals
the rate grows again. So a call waits for its turn and is not lost, as long as any gets through.

Source: of rate-based flow control that grows until it is refused and then takes the rate that was
delivered, Keshav, A control-theoretic approach to flow control, SIGCOMM 1991.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from workbench.engines.base import CallContext
from workbench.engines.retries import RetryPolicy

PATIENCE_WAITS = 3
"""A limit that lets nothing through for so many of the longest waits (three minutes) is no limit by the
minute: it is a day's, or a quota that is used up."""
USED_UP_REFUSALS = 5
"""So many refusals in a row for a quota that is used up, with growing waits between, are believed: a gateway
in front of several keys may have one without money."""
COUNTED_S = 60.0
"""What was let through longer ago than this weighs less and less: most limits count by the minute."""
GROWS_S, GROWS_SENDS = 1.0, 10
"""Without a refusal for so long, and for so many requests at least, the rate grows."""
GROWTH, MOST_GROWTH = 0.1, 1.0
"""By this part first, by twice the part each further time, at most to double: far off is made up fast."""
CATCHES_UP_S = 0.05
"""What a busy event loop was late to send is sent after, up to so long."""
LOOKS_EVERY_S = 1.0


@dataclass(slots=True)
class RateLimit:
    """What is known of a server's rate limit, and whose turn it is; one for all calls of an engine.

    Args:
        policy: How long refusals are waited out.
        clock: Seconds on a clock that never jumps.
    """

    policy: RetryPolicy
    clock: Callable[[], float] = time.monotonic
    quiet_until_s: float = 0.0
    rate_per_s: float | None = None
    _next_s: float = 0.0
    # What was sent and not refused since `_since_s`; the part of it sent after the last pause.
    _since_s: float | None = None
    _passed: float = 0.0
    _passed_lately: float = 0.0
    # Refused, and nothing let through since the pause that followed.
    _shut: bool = False
    _paused_s: float = float("-inf")
    _in_a_row: int = 0
    _stuck_since_s: float | None = None
    _used_up: int = 0
    _under_way: int = 0
    _grown_s: float = 0.0
    _growth: float = GROWTH
    _queue: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_on(self) -> bool:
        """Return whether calls have to wait for their turn: there was a refusal."""
        return self._paused_s > float("-inf")

    @property
    def told(self) -> str:
        """Return for a person how long nothing is sent, or at which pace; empty where nothing waits."""
        if self.rate_per_s is None:
            return ""
        left_s = self.quiet_until_s - self.clock()
        if left_s >= 1:
            return f"rate limit: waits {left_s:.0f} s"
        if self._next_s <= self.clock():
            return ""
        rate = self.rate_per_s
        return f"rate limit: {rate:.1f} calls/s" if rate >= 1 else f"rate limit: {60 * rate:.1f} calls/min"

    async def turn(self, context: CallContext) -> None:
        """Wait until a call may be sent. Calls go in the order in which they came here.

        Args:
            context: The call; marked as waiting meanwhile, so that no deadline runs.
        """
        if not context.patient:
            if (left_s := self.quiet_until_s - self.clock()) > 0:
                # Spread: all calls that wait would otherwise be sent in the same moment.
                await asyncio.sleep(left_s * random.uniform(1.0, 1.1))  # noqa: S311 - guards nothing
            return
        context.wait(True)
        try:
            async with self._queue:
                # Looked at again now and then: what others are told meanwhile moves the turn.
                while (left_s := max(self.quiet_until_s, self._next_s) - self.clock()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(min(left_s, LOOKS_EVERY_S))
                if self.rate_per_s is not None:
                    self._next_s = max(self._next_s, self.clock() - CATCHES_UP_S) + 1 / self.rate_per_s
        finally:
            context.wait(False)

    def sent(self) -> float:
        """Count a request that is sent now; return the time, by which its answer is told from others."""
        now_s = self.clock()
        if self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s > COUNTED_S:
            self._since_s += (now_s - self._since_s) / 2
            self._passed /= 2
        self._passed += 1
        self._passed_lately += 1
        self._under_way += 1
        return now_s

    def ended(self) -> None:
        """Count a request that came to an end, however it did; before what is learnt from it."""
        self._under_way -= 1

    def let_through(self, sent_s: float) -> None:
        """Learn that the server took a request.

        Args:
            sent_s: When it was sent.
        """
        self._stuck_since_s, self._used_up = None, 0
        if self.rate_per_s is None or sent_s < self.quiet_until_s:
            return
        now_s = self.clock()
        if self._shut:
            self._shut = False
            self._in_a_row = 0
            # Counted from the end of the pause: what comes before it is in the rate already.
            self._since_s, self._passed = self.quiet_until_s, self._passed_lately
            self._grown_s = now_s
        elif now_s - self._grown_s >= max(GROWS_S, GROWS_SENDS / self.rate_per_s):
            self.rate_per_s *= 1 + self._growth
            self._growth = min(2 * self._growth, MOST_GROWTH)
            self._grown_s = now_s

    def pause(self, wait_s: float) -> None:
        """Let nothing be sent for so long, at the server's wish."""
        self._paused_s = self.clock()
        self.quiet_until_s = max(self.quiet_until_s, self._paused_s + wait_s)

    def refused(self, sent_s: float, asked_s: float | None, *, again: bool, used_up: bool) -> float | None:
        """Learn that a request was refused for the rate.

        Args:
            sent_s: When it was sent.
            asked_s: How long the server asks to wait; None where it doesn't say.
            again: Whether the same call was refused before.
            used_up: Whether the server says that there is nothing left to wait for.

        Returns:
            How long this call waits before it queues for its turn again, in seconds. None says
            that nothing gets through any more: the call is to be given up, and asked another day.
        """
        now_s = self.clock()
        if self._since_s is not None and sent_s >= self._since_s:
            self._passed = max(self._passed - 1, 0.0)
        if sent_s >= self._paused_s:
            self._passed_lately = max(self._passed_lately - 1, 0.0)
        if self._stuck_since_s is None:
            self._stuck_since_s = now_s
        if asked_s is None and not again and not used_up and not self.is_on:
            # Perhaps there were only too many at once: fewer in flight, and no pause for the others.
            return self.policy.wait_s(1, None)
        if sent_s >= max(self._paused_s, self.quiet_until_s) or not self.is_on:
            self._used_up = self._used_up + 1 if used_up else 0
            self._pause_all(now_s, asked_s)
        elif self._shut:
            # Sent before the pause: no news of the limit, but it was not let through.
            self._learn()
        stuck_s = now_s - self._stuck_since_s
        is_stuck = stuck_s >= PATIENCE_WAITS * self.policy.longest_wait_s
        if self._under_way:
            return 0.0  # What is not refused yet may have been let through: some answers take minutes.
        return None if is_stuck or self._used_up >= USED_UP_REFUSALS else 0.0

    def _pause_all(self, now_s: float, asked_s: float | None) -> None:
        self._in_a_row = self._in_a_row + 1 if self._shut else 1
        self._shut = True
        self._growth = GROWTH
        self.pause(self.policy.wait_s(self._in_a_row, asked_s))
        self._passed_lately = 0.0
        self._learn()

    def _learn(self) -> None:
        """Take the rate that was let through, from the first request counted to the end of the pause."""
        since_s = self._paused_s if self._since_s is None else self._since_s
        took_s = max(self.quiet_until_s - since_s, 1e-3)
        self.rate_per_s = max(self._passed, 1.0) / took_s
        # At the end of the pause the server has room again, however far apart the last ones were.
        self._next_s = min(self._next_s, self.quiet_until_s)
