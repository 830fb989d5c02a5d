"""Percentiles of latencies with limits that hold without any shape of the distribution.

Limits are order statistics (David and Nagaraja 2003, section 7.1). A bootstrap can't see
beyond the largest value measured: from 20 calls it would call the 95th percentile known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import gammaincinv

from workbench.records import Estimate
from workbench.stats.arguments import check_delta, check_rate, known_values
from workbench.stats.bounds import exact_upper

VARIANCE_DOUBT = 0.25
"""Error probability of the variance between blocks: with it, calls in a queue that is half busy are
covered at the level asked for (simulated M/M/1, tests/stats/test_percentiles.py)."""
METHOD = "order statistics, batch means"


def nearest_rank(values: Sequence[float], q: float) -> float | None:
    """Return the q-quantile by nearest rank: the ceil(q n)-th smallest value.

    Args:
        values: In any order; infinite where no answer came.
        q: 0..1.
    """
    if not values:
        return None
    return sorted(values)[max(math.ceil(q * len(values)), 1) - 1]


def percentile(values: Sequence[float], q: float, delta: float) -> Estimate:
    """Return a quantile with a limit on each side.

    The upper limit is the smallest measured value x of which it is sure that at most
    1 - q of all calls take longer: exact_upper(#(> x) / D, n / D) <= 1 - q, where D is the
    design effect of calls that queue behind each other. The lower limit mirrors it.
    Source: order statistics, David and Nagaraja, Order Statistics, section 7.1, 2003; the design effect by
    batch means, Law and Kelton, Simulation Modeling and Analysis, section 9.5.3, 2000.

    Args:
        values: In the order of sending; infinite where no answer came.
        q: 0..1.
        delta: Error probability of each limit.

    Returns:
        Values, not rates. `high` is infinite, and `low` 0, where the calls are too few.

    Raises:
        ValueError: A value is missing, `q` outside 0..1, or `delta` not inside.
    """
    known_values(values, "a value")
    check_rate(q, "q")
    check_delta(delta)
    n = len(values)
    point = nearest_rank(values, q)
    if point is None:
        return Estimate(None, 0.0, math.inf, 1 - delta, METHOD, 0, 0)
    effect = queueing_effect(values, q)
    ordered = sorted(values)
    high = next(
        (x for k, x in enumerate(ordered, 1) if exact_upper((n - k) / effect, n / effect, delta) <= 1 - q),
        math.inf,
    )
    low = next(
        (ordered[k - 1] for k in range(n, 0, -1) if exact_upper((k - 1) / effect, n / effect, delta) <= q),
        0.0,
    )
    return Estimate(point, min(low, point), max(high, point), 1 - delta, METHOD, n, n / effect)


def queueing_effect(values: Sequence[float], q: float) -> float:
    """Return how many times fewer independent calls a run is worth, by batch means.

    Calls of one burst are slow together. The share of calls slower than the quantile
    is taken in about sqrt(n) consecutive blocks; its variance over that of independent
    calls is the effect (Law and Kelton 2000, section 9.5.3), at least 1.

    Args:
        values: In the order of sending.
        q: The quantile of interest, 0..1.
    """
    n = len(values)
    limit = nearest_rank(values, q)
    if limit is None or n < 16:
        return 1.0
    slow = np.asarray([value > limit if q < 1 else False for value in values], dtype=np.float64)
    rate = float(slow.mean())
    if rate in (0.0, 1.0):
        # Nothing lies above the quantile itself: count what reaches it.
        slow = np.asarray([value >= limit for value in values], dtype=np.float64)
        rate = float(slow.mean())
        if rate in (0.0, 1.0):
            return 1.0
    effects = []
    for size in (math.isqrt(n), n // 10):
        blocks = n // size
        means = slow[: blocks * size].reshape(blocks, size).mean(axis=1)
        # Few blocks estimate their variance badly: its upper limit is taken, not its value.
        quantile = 2 * gammaincinv((blocks - 1) / 2, VARIANCE_DOUBT)  # Of the chi-squared distribution.
        spread = means.var(ddof=1) * (blocks - 1) / quantile
        effects.append(size * spread / (rate * (1 - rate)))
    return float(min(max(*effects, 1.0), n))
