"""Latency of two models on the same calls: percentiles of each and of their difference, by the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.records import Estimate
from workbench.stats.arguments import check_delta

METHOD = "bootstrap over calls, percentile interval"
PERCENTILES = (0.5, 0.95, 0.99)
DRAWS = 2_000
SEED = 0
FEWEST = 20
AT_ONCE = 2_000_000
"""Latencies drawn at a time, so that many calls don't fill the memory."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LatencyPair:
    """One percentile (0..1): of the control, of the candidate, of their difference and of their ratio.

    `difference_ms` (candidate minus control) and `ratio` (candidate over control) compare the percentiles;
    calls are drawn as pairs, so that a call that is slow for both does not count as noise. Their points are
    None where both percentiles are infinite.
    """

    percentile: float
    control_ms: Estimate
    candidate_ms: Estimate
    difference_ms: Estimate
    ratio: Estimate


def compare_latencies(
    control_ms: ArrayLike,
    candidate_ms: ArrayLike,
    delta: float = 0.025,
    *,
    seed: int = SEED,
    draws: int = DRAWS,
) -> tuple[LatencyPair, ...]:
    """Return p50, p95 and p99 of two models on the same calls, with bootstrap limits.

    Percentiles are nearest ranks, as everywhere: p_q = the ceil(q n)-th smallest value. Pairs are drawn n at
    a time with replacement; the limits are the delta and 1 - delta quantiles of what such draws give,
    approximate and for one look. Under 20 calls, and for a percentile with fewer than 5 calls beyond it,
    they are as wide as what was seen.
    Source: Efron, Annals of Statistics 7, 1979; the percentile interval, Efron and Tibshirani, An
    Introduction to the Bootstrap, chapter 13, 1993.

    Args:
        control_ms: Latency of each call, length n, infinite where no answer came; calls where either is
            NaN are left out.
        candidate_ms: Of the same calls, in the same order, measured at the same rate.
        delta: Error probability of each limit.
        seed: Of the bootstrap; the same calls always give the same limits.
        draws: Bootstrap samples.

    Returns:
        One record for each percentile, in milliseconds and, for the ratio, without a unit.

    Raises:
        ValueError: Lengths differ, no call has both, a latency is negative, nothing is drawn, or `delta` is
            not inside 0..1.
    """
    check_delta(delta)
    if draws < 1:
        raise ValueError(f"limits need at least one draw; there are {draws}")
    first, second = np.asarray(control_ms, dtype=np.float64), np.asarray(candidate_ms, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} and {second.size} latencies are not of the same calls")
    known = ~(np.isnan(first) | np.isnan(second))
    first, second = first[known], second[known]
    n = first.size
    if not n:
        raise ValueError("no call has both latencies")
    if min(first.min(), second.min()) < 0:
        raise ValueError("a latency is negative")
    control, candidate = _drawn(first, second, seed, draws)
    here, there = _ranked(first[None, :])[0], _ranked(second[None, :])[0]
    # Each end of one side against each end of the other.
    ends = (first.min(), first.min(), first.max(), first.max())
    other_ends = (second.min(), second.max(), second.min(), second.max())

    def estimate(place: int, least: float, combine: Callable[[Floats, Floats], Floats]) -> Estimate:
        enough = n >= FEWEST and (1 - PERCENTILES[place]) * n >= 5
        sides = (
            (control[:, place], candidate[:, place]) if enough else (np.asarray(ends), np.asarray(other_ends))
        )
        with np.errstate(invalid="ignore"):
            point = float(combine(here[place], there[place]))
            values = combine(*sides)
        known = None if math.isnan(point) else point
        # Two calls without an answer may differ by anything.
        low = _order(np.where(np.isnan(values), least, values), delta if enough else 0.0, math.floor)
        high = _order(np.where(np.isnan(values), math.inf, values), 1 - delta if enough else 1.0, math.ceil)
        if known is None:
            low, high = least, math.inf
        else:
            low, high = min(low, known), max(high, known)
        return Estimate(known, low, high, 1 - delta, METHOD, n, float(n))

    return tuple(
        LatencyPair(
            share,
            control_ms=estimate(place, 0.0, lambda left, _: left),
            candidate_ms=estimate(place, 0.0, lambda _, right: right),
            difference_ms=estimate(place, -math.inf, lambda left, right: right - left),
            ratio=estimate(place, 0.0, lambda left, right: right / np.maximum(left, 1e-9)),
        )
        for place, share in enumerate(PERCENTILES)
    )


def _drawn(first: Floats, second: Floats, seed: int, draws: int) -> tuple[Floats, Floats]:
    """Return the percentiles of both sides in each bootstrap sample, draws x percentiles."""
    dice = np.random.default_rng(seed)
    n, step = first.size, max(AT_ONCE // first.size, 1)
    control, candidate = [], []
    for start in range(0, draws, step):
        places = dice.integers(0, n, (min(step, draws - start), n))
        control.append(_ranked(first[places]))
        candidate.append(_ranked(second[places]))
    return np.concatenate(control), np.concatenate(candidate)


def _ranked(values: Floats) -> Floats:
    """Return the nearest ranks of each row; infinite values are ranked like others."""
    n = values.shape[1]
    ranks = [max(math.ceil(share * n), 1) - 1 for share in PERCENTILES]
    return np.asarray(np.partition(values, ranks, axis=1)[:, ranks], dtype=np.float64)


def _order(values: Floats, share: float, whole: Callable[[float], int]) -> float:
    """Return an order statistic: interpolation has no answer between finite and infinite."""
    return float(np.sort(values)[whole(share * (values.size - 1))])
