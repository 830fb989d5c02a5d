"""When a probe sends its calls: the log's own times in its busiest hour, or a Poisson process. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
COARSEST_S = 60.0
"""Times in whole minutes still tell the pace; coarser ones (days) don't."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Calls and when they are sent, in seconds from the first; both in the same order.

    `window` is the time of the log they are from, None for a Poisson process.
    `peak_per_s` is the mean rate of the busiest hour (of a shorter log, of all of it), at the
    same pace.
    """

    positions: tuple[int, ...]
    offsets_s: tuple[float, ...]
    peak_per_s: float
    window: tuple[datetime, datetime] | None = None
    resolution_s: float = 0.0

    @property
    def calls_per_s(self) -> float:
        """Return the mean rate: gaps between calls over the time they take."""
        span = self.offsets_s[-1] if self.offsets_s else 0.0
        return (len(self.offsets_s) - 1) / span if span > 0 else 0.0

    def faster(self, factor: float) -> Schedule:
        """Return the same calls at a multiple of the pace."""
        return Schedule(
            self.positions,
            tuple(each / factor for each in self.offsets_s),
            self.peak_per_s * factor,
            self.window,
            self.resolution_s / factor,
        )


def resolution_of(times: Sequence[datetime]) -> float:
    """Return the coarseness of times in seconds: 0, 1, 60, 3600 or 86400."""
    if any(each.microsecond for each in times):
        return 0.0
    for seconds in (86_400, 3_600, 60):
        if all(int(each.timestamp()) % seconds == 0 for each in times):
            return float(seconds)
    return 1.0


def log_schedule(times: Sequence[datetime], limit: int, seed: int) -> Schedule | None:
    """Return a run of calls in the busiest hour of a log, at the times they came.

    Of all runs of `limit` calls in that hour it is one at the hour's mean rate or the
    least above it: the hour's pace, and neither its quietest nor its wildest seconds.
    Where times are whole seconds or minutes, the calls of one are spread evenly at random
    over it: they did not all come at once.

    Args:
        times: When the calls came, in order; at least two.
        limit: How many calls; a log with fewer gives all.
        seed: Seed of the spreading.

    Returns:
        Positions in `times`, and when to send; None where the times don't tell the pace.
    """
    resolution_s = resolution_of(times)
    if len(times) < 2 or resolution_s > COARSEST_S:
        return None
    generator = random.Random(seed)  # noqa: S311 - spreads calls, guards nothing
    order = list(range(len(times)))
    seconds = [each.timestamp() for each in times]
    if resolution_s:
        seconds = [each + generator.random() * resolution_s for each in seconds]
        order.sort(key=lambda index: seconds[index])
        seconds.sort()
    first, last = busiest_hour(seconds)
    inside = last - first
    lasting = min(seconds[-1] - seconds[0], HOUR.total_seconds())
    if lasting <= 0:
        return None
    rate = inside / lasting
    count = min(limit, len(seconds))
    if inside <= count:
        # The hour holds fewer calls than asked for: what came around it follows.
        start = min(first, len(seconds) - count)
    else:
        start = _typical_run(seconds, first, last, count, rate)
    chosen = seconds[start : start + count]
    positions = tuple(order[start : start + count])
    offsets = tuple(each - chosen[0] for each in chosen)
    return Schedule(positions, offsets, rate, (times[positions[0]], times[positions[-1]]), resolution_s)


def busiest_hour(seconds: Sequence[float]) -> tuple[int, int]:
    """Return where the hour with most calls begins and ends (the end excluded), by position."""
    best, end = (0, 0), 0
    for start, moment in enumerate(seconds):
        while end < len(seconds) and seconds[end] < moment + HOUR.total_seconds():
            end += 1
        if end - start > best[1] - best[0]:
            best = (start, end)
    return best


def _typical_run(seconds: Sequence[float], first: int, last: int, count: int, rate: float) -> int:
    """Return the start of the run whose rate is the least that is not below the hour's own."""
    longest = (count - 1) / rate
    spans = [(seconds[start + count - 1] - seconds[start], start) for start in range(first, last - count + 1)]
    dense = [(span, -start) for span, start in spans if span <= longest]
    # Where no run is as dense as the hour (its calls are evenly spread), the densest is.
    return -max(dense)[1] if dense else min(spans)[1]


def poisson_schedule(calls: int, limit: int, per_second: float, seed: int) -> Schedule:
    """Return calls at random times of a constant rate, for logs without times.

    Args:
        calls: How many the log has; they are taken in its order.
        limit: How many to send.
        per_second: Mean rate.
        seed: Seed of the times.
    """
    generator = random.Random(seed)  # noqa: S311 - spreads calls, guards nothing
    count = min(limit, calls)
    offsets, moment = [], 0.0
    for index in range(count):
        moment += generator.expovariate(per_second) if index else 0.0
        offsets.append(moment)
    return Schedule(tuple(range(count)), tuple(offsets), per_second)
