"""How many requests may be in flight: as many as make the server faster, and no more. Pure.

The limit is doubled, later raised by half, and the answers a second are measured with
it: a rise that does not pay is taken back. Where this process and not the server is what
is slow, the limit stays. Overload (429, 5xx, time-outs, lost
connections) lowers it at once by a factor, and it comes back in small steps.

Sources: hill climbing on throughput by measured steps, Heiss and Wagner, Adaptive load
control in transaction processing systems, VLDB 1991; additive increase and
multiplicative decrease, Chiu and Jain, Computer Networks and ISDN Systems 17, 1989;
doubling up to half of where it broke and one decrease a round trip, Jacobson,
Congestion avoidance and control, SIGCOMM 1988.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

START = 8
"""Requests in flight at first: what a small server on a laptop stands."""
WINDOW_S = 0.1
"""A measurement lasts so long at least, and takes as many answers as the limit."""
PAYS = 0.15
"""A rise pays where throughput grows by this part of what the limit grew by."""
RAISE = 1.5
"""Factor of a later rise; the first ones double."""
PROBE_WINDOWS = (5, 40)
"""Windows at one limit before another is tried: so few at first, twice as many after each vain try."""
TRIM = 0.75
"""Factor of a try in the other direction: what costs no throughput was only a longer queue."""
ENOUGH = 32
"""Answers that a measurement takes at least: fewer are noise."""
LOWER = 0.7
"""Factor of a fall, that of CUBIC: gentler than TCP's half, since failed calls are asked again."""
OVERLOADED = 0.1
"""Share of a window's requests, one at least, whose overload makes the limit fall."""
QUICK_S = 0.012
"""Answers that come within this wait in no queue worth shortening: there a rise pays unless it costs
throughput, and no try goes the other direction. What is left to gain is the client's own work, done for many
answers at a time."""
OWN_WORK = 0.9
"""Where the client's own thread works for this part of the time, the client is what is slow: answers wait
for it and not in a queue of the server. Neither more in flight nor fewer can help then, and what throughput
shows of either is noise."""
PLENTY = 64
"""With so many in flight a client takes answers many at a time, which is cheaper than one by one. One that is
what is slow is given so many, whatever its throughput shows, and no more: each costs it memory and time."""
COSTS = 0.05
"""A loss of throughput below this part is noise."""
QUICKER = 0.5
"""Fewer in flight make answers quicker where latency falls by half of what their number does, at least: what
takes long by its nature does so with a single one."""
LATE = 0.5
"""No rise while the mean latency is beyond this part of the deadline."""


@dataclass(slots=True)
class _Window:
    """What was seen since the limit changed, or since the last judgement."""

    since: float | None = None
    answers: int = 0
    busy: int = 0
    overloads: int = 0
    latency_s: float = 0.0
    worked_s: float = 0.0


@dataclass(slots=True)
class Limiter:
    """The limit of requests in flight, adapted to what the server answers.

    Deterministic: the caller brings the time. The limit never leaves 1 to `maximum`.

    Args:
        maximum: Most requests in flight.
        deadline_s: When a call is given up, in seconds; None where none is.
        adaptive: Whether the limit moves at all; it stays at `maximum` otherwise.
        start: Requests in flight at first.
        batch: Requests that the server is known to work on at once, where it queues the others and
            refuses none; 0 where nothing is known. Up to so many are no queue: the limit begins there,
            a rise to there needs to gain nothing, and only latency near the deadline or overload takes
            them back. Answers of one batch come together, so that throughput seems to swing with it.
        worked_s: Tells how long the client's own thread has worked so far, in seconds; asked
            twice a window. Without it the client's own work counts as nothing.
    """

    maximum: int
    deadline_s: float | None = None
    adaptive: bool = True
    start: int = START
    batch: int = 0
    worked_s: Callable[[], float] = float
    limit: int = field(init=False)
    _window: _Window = field(init=False, default_factory=_Window)
    _doubling: bool = field(init=False, default=True)
    # Limit, answers a second and latency before the last rise, while that is judged.
    _before: tuple[int, float, float] | None = field(init=False, default=None)
    _broke_at: int = field(init=False, default=0)
    _rate: float = field(init=False, default=0.0)
    _steady: int = field(init=False, default=0)
    _patience: int = field(init=False, default=PROBE_WINDOWS[0])
    _trims_next: bool = field(init=False, default=False)
    _doubted: bool = field(init=False, default=False)
    _changed_at: float = field(init=False, default=float("-inf"))
    _fell_at: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self.maximum = max(self.maximum, 1)
        self.limit = min(max(self.start, self.batch), self.maximum) if self.adaptive else self.maximum

    def finished(self, now_s: float, started_s: float, in_flight: int, answered: bool = True) -> None:
        """Learn from a call that ended.

        Args:
            now_s: Time of a monotonic clock.
            started_s: When the call was begun, on the same clock.
            in_flight: Requests in flight just before it ended.
            answered: Whether the server did its work; False for failures of the server.
        """
        if not self.adaptive or started_s < self._changed_at:
            return  # Begun under another limit: it tells nothing of this one.
        window = self._window
        if window.since is None:
            window.since, window.worked_s = now_s, self.worked_s()
            return
        if not answered:
            return
        window.answers += 1
        window.latency_s += now_s - started_s
        window.busy += in_flight >= 0.9 * self.limit
        elapsed_s = now_s - window.since
        enough = self.limit if self._doubling else max(self.limit, ENOUGH)
        if elapsed_s >= WINDOW_S and window.answers >= enough:
            worked_s = self.worked_s()
            self._window = _Window(since=now_s, worked_s=worked_s)
            own = (worked_s - window.worked_s) / elapsed_s
            self._judge(now_s, window, window.answers / elapsed_s, is_own=own >= OWN_WORK)

    def overloaded(self, now_s: float, started_s: float) -> None:
        """Learn that an attempt at a call met an overloaded server, as soon as that is known.

        Args:
            now_s: Time of a monotonic clock.
            started_s: When the call was begun: before the last fall it is no news.
        """
        if not self.adaptive or started_s < self._fell_at:
            return
        self._window.overloads += 1
        if self._window.overloads < max(1.0, OVERLOADED * self.limit):
            return
        # Down to nothing, the server was out altogether: begin as at the start.
        self._doubling = self.limit == 1
        self._broke_at = 0 if self._doubling else self.limit
        self._before, self._doubted = None, False
        self._rate = 0.0
        self._set(int(self.limit * LOWER), now_s)
        self._fell_at = now_s

    def _judge(self, now_s: float, seen: _Window, rate: float, is_own: bool) -> None:
        latency_s = seen.latency_s / seen.answers
        late = self._is_late(latency_s)
        if 2 * seen.busy < seen.answers:
            return  # Too few were in flight to tell what the limit is worth.
        if self._before is not None:
            before, self._before = self._before, None
            self._conclude(before, now_s, rate, latency_s, late, is_own)
            return
        # The newest window weighs most: calls get longer, and servers change.
        self._rate = rate if self._rate == 0 else 0.5 * (self._rate + rate)
        self._steady += 1
        if seen.overloads:
            return
        small = max(self.limit // 10, 1)
        if self.limit < self._broke_at - 1:
            # Up to where it broke, throughput was known to grow: nothing to judge.
            self._set(min(self.limit + small, self._broke_at - 1), now_s)
        elif is_own and self.limit >= min(PLENTY, self.maximum):
            self._steady = 0
        elif is_own and not late and not self._broke_at:
            self._try(min(2 * self.limit, PLENTY), now_s, latency_s)
        elif self._doubling or self._steady >= self._patience:
            if late or self._trims_next or self.limit >= self.maximum:
                least = 1 if late else self.batch
                if latency_s > QUICK_S and self.limit > least:
                    self._try(max(int(self.limit * TRIM), least), now_s, latency_s)
                else:
                    self._trims_next = False
            elif self._doubling:
                self._try(2 * self.limit, now_s, latency_s)
            else:
                step = small if self._broke_at else max(int(self.limit * (RAISE - 1)), 1)
                self._try(self.limit + step, now_s, latency_s)

    def _conclude(
        self,
        last: tuple[int, float, float],
        now_s: float,
        rate: float,
        latency_s: float,
        late: bool,
        is_own: bool,
    ) -> None:
        """Keep the limit that was tried, or go back to the last one."""
        limit, before, before_s = last
        change = self.limit / limit
        # By Little's law both say the same; noise must not look like a gain in either.
        by_latency = change * before_s / latency_s if latency_s > 0 else 1.0
        needed = 1 + PAYS * (change - 1)
        if is_own:
            pays = limit < self.limit <= PLENTY and not late and not self._broke_at
        elif change > 1:
            if latency_s <= QUICK_S or self.limit <= self.batch:
                needed = 1 - COSTS
            pays = min(rate / before, by_latency) >= needed and not late
        else:
            # Where answers came near the deadline, quicker ones are worth some throughput.
            is_quicker = latency_s < QUICKER * (1 + change) * before_s
            pays = rate / before >= needed or (is_quicker and self._is_late(before_s))
        if not pays and self._doubling and not self._doubted and not is_own:
            # So much depends on the first rises that one bad measurement is not enough.
            self._doubted, self._before = True, last
            return
        self._doubted = False
        if not pays:
            self._doubling = False
            self._trims_next = change > 1
            self._patience = min(2 * self._patience, PROBE_WINDOWS[1])
            self._rate = before
            self._set(limit, now_s)
            return
        self._rate = rate
        self._broke_at = 0
        self._patience = PROBE_WINDOWS[0]
        most = PLENTY if is_own else self.maximum
        if change < 1 and late:
            self._try(int(self.limit * TRIM), now_s, latency_s)
        elif self._doubling and self.limit < most:
            self._try(min(2 * self.limit, most), now_s, latency_s)

    def _is_late(self, latency_s: float) -> bool:
        return self.deadline_s is not None and latency_s > LATE * self.deadline_s

    def _try(self, limit: int, now_s: float, latency_s: float) -> None:
        """Move the limit; the next measurement says whether it stays there."""
        before = self.limit
        self._set(limit, now_s)
        if self.limit != before:
            self._before = (before, self._rate, latency_s)

    def _set(self, limit: int, now_s: float) -> None:
        self.limit = max(min(limit, self.maximum), 1)
        self._changed_at = now_s
        self._steady = 0
        self._window = _Window()
