"""Bound on a mean from weighted draws, valid however often anyone looks.

A mixture of bets against "the mean is H" (Waudby-Smith and Ramdas 2024; Spertus,
Sridhar and Stark 2024): valid for queues that choose the next draw from what was
seen before, as long as each weight is share over probability and never above the
maximum that was fixed before drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

BETS = 64

_CAUTION: NDArray[np.float64] = ((np.arange(BETS) + 0.5) / BETS) ** 2
"""u_j: how far each bet stays from staking everything."""


def log_evidence(
    mean: float,
    losses: NDArray[np.float64],
    counts: NDArray[np.float64],
    weight_max: float,
    deff: float = 1.0,
) -> float:
    """Return the log of the evidence that the true mean is below `mean`.

    Args:
        mean: The mean in doubt, below `weight_max`.
        losses: Distinct values of weight times outcome, each 0..weight_max.
        counts: How often each value was drawn.
        weight_max: The largest weight the plan allows.
        deff: Design effect; it divides the log of every bet, as dividing both
            counts by it does for the unweighted bound.
    """
    stake = (1 - _CAUTION) / (weight_max - mean)
    growth = np.log1p(stake[:, None] * (mean - losses[None, :])) @ counts
    return float(logsumexp(growth / deff) - math.log(BETS))


def upper(
    losses: ArrayLike,
    delta: float,
    *,
    weight_max: float = 1.0,
    counts: ArrayLike | None = None,
    deff: float = 1.0,
) -> float:
    """Return the anytime upper bound on the mean of weight times outcome.

    Args:
        losses: Weight times outcome of each draw (or of each distinct value).
        delta: Error probability over all looks together.
        weight_max: The largest weight the plan allows, fixed before drawing.
        counts: How often each value occurs; once each if left out.
        deff: Design effect.

    Returns:
        The bound in 0..weight_max; `weight_max` without evidence.

    Raises:
        ValueError: A loss is negative or above `weight_max`.
    """
    values, sizes = _grouped(losses, counts)
    if values.size and (values[0] < 0 or values[-1] > weight_max * (1 + 1e-9)):
        raise ValueError(f"losses lie in {values[0]:g}..{values[-1]:g}, outside 0..{weight_max:g}")
    values = np.minimum(values, weight_max)
    threshold = -math.log(delta)

    def excess(mean: float) -> float:
        return log_evidence(mean, values, sizes, weight_max, deff) - threshold

    high = weight_max * (1 - 1e-12)
    if not values.size or excess(high) <= 0:
        return weight_max
    return float(brentq(excess, 0.0, high, xtol=1e-12))


def lower(
    losses: ArrayLike,
    delta: float,
    *,
    weight_max: float = 1.0,
    counts: ArrayLike | None = None,
    deff: float = 1.0,
) -> float:
    """Return the anytime lower bound on the mean of weight times outcome.

    The arguments are those of `upper`; the result is 0 without evidence.
    """
    values, sizes = _grouped(losses, counts)
    mirrored = np.clip(1 - values / weight_max, 0.0, 1.0)
    return weight_max * (1 - upper(mirrored, delta, counts=sizes, deff=deff))


def size_needed(
    losses: Mapping[float, float],
    bound: float,
    delta: float,
    *,
    weight_max: float = 1.0,
    deff: float = 1.0,
    limit: int = 20_000,
) -> int | None:
    """Return about how many draws like the ones seen bring the upper bound down to `bound`.

    Args:
        losses: How often each value of weight times outcome was seen.
        bound: The mean that the upper bound must not exceed.
        delta: Error probability.
        weight_max: The largest weight the plan allows.
        deff: Design effect.
        limit: The most draws considered.

    Returns:
        A number of draws, or None: too close to the limit.
    """
    seen = math.fsum(losses.values())
    values = np.asarray(list(losses), dtype=np.float64)
    shares = np.asarray(list(losses.values()), dtype=np.float64) / seen
    if bound >= weight_max:
        return 1

    def proven(n: int) -> bool:
        return log_evidence(bound, values, shares * n, weight_max, deff) >= -math.log(delta)

    if not proven(limit):
        return None
    low, high = 0, limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proven(middle) else (middle, high)
    return high


def effective_size(weights: Sequence[float]) -> float:
    """Return how many equal draws the weighted ones are worth (Kish 1965)."""
    total, squares = math.fsum(weights), math.fsum(each * each for each in weights)
    return total * total / squares if squares else 0.0


def _grouped(losses: ArrayLike, counts: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.atleast_1d(np.asarray(losses, dtype=np.float64))
    sizes = np.ones_like(values) if counts is None else np.asarray(counts, dtype=np.float64)
    values, sizes = values[sizes > 0], sizes[sizes > 0]
    distinct, where = np.unique(values, return_inverse=True)
    totals = np.bincount(where, weights=sizes, minlength=distinct.size).astype(np.float64)
    return distinct, totals
