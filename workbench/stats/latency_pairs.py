"""Latency of two models on the same calls: percentiles of each and of their difference, by the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.records import Estimate

METHOD = "bootstrap over calls, percentile interval"
PERCENTILES = (0.5, 0.95, 0.99)
DRAWS = 2_000
SEED = 0
FEWEST = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LatencyPair:
    """One percentile (0..1): of the control, of the candidate, of their difference and of their ratio.

    `difference_ms` and `ratio` compare the percentiles; calls are drawn as pairs, so that a call that is
    slow for both does not count as noise.
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

    The limits are approximate and for one look; under 20 calls, and for a percentile with fewer than 5
    calls beyond it, they are as wide as what was seen. Source: Efron, Annals of Statistics 7, 1979.

    Args:
        control_ms: Latency of each call, length n; calls where either is NaN are left out.
        candidate_ms: Of the same calls, in the same order, measured at the same rate.
        delta: Error probability of each limit.
        seed: Of the bootstrap; the same calls always give the same limits.
        draws: Bootstrap samples.

    Raises:
        ValueError: Lengths differ, or no call has both.
    """
    first, second = np.asarray(control_ms, dtype=np.float64), np.asarray(candidate_ms, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.size} and {second.size} latencies are not of the same calls")
    known = ~(np.isnan(first) | np.isnan(second))
    first, second = first[known], second[known]
    n = first.size
    if not n:
        raise ValueError("no call has both latencies")
    places = np.random.default_rng(seed).integers(0, n, (draws, n))
    drawn = [np.quantile(values[places], PERCENTILES, axis=1) for values in (first, second)]
    points = [np.quantile(values, PERCENTILES) for values in (first, second)]
    found = []
    for row, share in enumerate(PERCENTILES):
        enough = n >= FEWEST and (1 - share) * n >= 5

        def made(
            point: float, values: Floats, combine: Callable[[Floats, Floats], Floats], enough: bool = enough
        ) -> Estimate:
            if enough:
                low, high = np.quantile(values, (delta, 1 - delta))
            else:
                extremes = combine(
                    np.asarray([first.min(), first.min(), first.max(), first.max()]),
                    np.asarray([second.min(), second.max(), second.min(), second.max()]),
                )
                low, high = extremes.min(), extremes.max()
            return Estimate(
                point, float(min(low, point)), float(max(high, point)), 1 - delta, METHOD, n, float(n)
            )

        a, b = drawn[0][row], drawn[1][row]
        p, q = float(points[0][row]), float(points[1][row])
        found.append(
            LatencyPair(
                share,
                made(p, a, lambda left, _right: left),
                made(q, b, lambda _left, right: right),
                made(q - p, b - a, lambda left, right: right - left),
                made(
                    q / max(p, 1e-9),
                    b / np.maximum(a, 1e-9),
                    lambda left, right: right / np.maximum(left, 1e-9),
                ),
            )
        )
    return tuple(found)
