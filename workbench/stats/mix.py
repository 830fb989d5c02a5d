"""Is newer traffic mixed like the evaluated: how far the shares of values moved, and by how much at least."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workbench.stats.arguments import check_counts, check_delta
from workbench.stats.permuted import PERMUTATIONS, Shift, check_permutations, most_dealt, p_value

MOST_DEALT = 1_000_000
"""Permutations at most: about a second for ten values."""


def population_stability(
    before: Mapping[str, int],
    after: Mapping[str, int],
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
    level: float | None = None,
) -> Shift:
    """Return the population stability index of two mixes, with a permutation p-value.

    Sum over values of (a - b) ln(a / b), a and b their shares with half a call added to each value, so
    that a value seen on one side alone stays finite; p = (1 + #(permuted >= found)) / (1 + permutations).
    With a level, as many are dealt as tell p from it, and no more once twenty are above: p = 20 / dealt.
    A level below what a million permutations tell is met by the limits of `moved_limits` instead:
    p = exp(-2 (d - e)^2 / (1/n + 1/m)), d the share that moved and e the most that chance moves on average.
    Source: the symmetric divergence, Jeffreys, Proceedings of the Royal Society A 186, 1946, which scorecards
    call stability index, Siddiqi, Credit Risk Scorecards, 2006; the p-value, Phipson and Smyth, Statistical
    Applications in Genetics and Molecular Biology 9, 2010; ended early, Besag and Clifford, Biometrika 78,
    1991.

    Args:
        before: Calls by slice value in the evaluated window.
        after: The same, live.
        seed: Of the permutations.
        permutations: How often all calls are dealt anew to both windows, where no level is given.
        level: What p will be set against, 0..1; fixed before the windows were seen.

    Raises:
        ValueError: A window is empty, a count is negative, nothing is dealt anew, or the level is none.
    """
    first, second = _sides(before, after)
    check_permutations(permutations)
    found = float(_stability(first[None, :], second[None, :])[0])
    most = permutations if level is None else most_dealt(level, MOST_DEALT)
    if not most:
        return Shift(found, _moved_p_value(first, second))
    dice, n = np.random.default_rng(seed), int(first.sum())

    def above(times: int) -> NDArray[np.bool_]:
        dealt = dice.multivariate_hypergeometric(first + second, n, times)
        return np.asarray(_stability(dealt, first + second - dealt) >= found - 1e-12)

    return Shift(found, p_value(above, most, ends_early=level is not None))


def moved_share(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the share of calls that stand in another value than they would by the old mix.

    Total variation distance d = sum over values of max(b - a, 0), a and b their shares before and after. By
    so much the mean of anything in 0..1 can change at most, if it stays the same within each value.
    Source: Levin and Peres, Markov Chains and Mixing Times, 2017, section 4.1.

    Args:
        before: Calls by slice value in the evaluated window, or their shares.
        after: The same, live.

    Returns:
        0..1; as measured, which is above 0 for two samples of one mix, too.

    Raises:
        ValueError: A window is empty, or a count is negative.
    """
    for times in (*before.values(), *after.values()):
        check_counts(0, times)
    old, new = sum(before.values()), sum(after.values())
    if not old or not new:
        raise ValueError("a window without calls can't be compared")
    return sum(max(n / new - before.get(name, 0) / old, 0.0) for name, n in after.items())


def moved_limits(before: Mapping[str, int], after: Mapping[str, int], delta: float) -> tuple[float, float]:
    """Return limits of the share of calls that moved in the traffic which two windows are samples of.

    L = d - e - t and U = d + t, with d the share that moved between the windows, t = sqrt((1/n + 1/m)
    ln(1/delta) / 2) how far chance takes it from its mean, and e = sqrt((V - 1)(1/n + 1/m)) / 2 how far that
    mean can lie above the truth where there are V values; it never lies below. Each limit errs at most with
    probability delta, whatever the mixes and however few the calls.
    Source: the inequality of bounded differences, McDiarmid, Surveys in Combinatorics, 1989, page 148.

    Args:
        before: Calls by slice value in the evaluated window, n in all.
        after: The same, live, m in all.
        delta: Error probability of each limit, 0..1.

    Returns:
        The limits, 0..1.

    Raises:
        ValueError: A window is empty, a count is negative, or `delta` is no error probability.
    """
    check_delta(delta)
    first, second = _sides(before, after)
    scale = 1 / int(first.sum()) + 1 / int(second.sum())
    moved = moved_share(before, after)
    chance = math.sqrt(scale * math.log(1 / delta) / 2)
    return max(moved - _mean_by_chance(first, second) - chance, 0.0), min(moved + chance, 1.0)


def _mean_by_chance(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Return how many calls chance moves on average at most, as a share."""
    values = int(((first + second) > 0).sum())
    return 0.5 * math.sqrt((values - 1) * (1 / int(first.sum()) + 1 / int(second.sum())))


def _moved_p_value(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Return how often chance moves as many calls, at most (McDiarmid, 1989)."""
    moved = float(np.maximum(second / second.sum() - first / first.sum(), 0.0).sum())
    beyond = max(moved - _mean_by_chance(first, second), 0.0)
    return math.exp(-2 * beyond**2 / (1 / int(first.sum()) + 1 / int(second.sum())))


def _sides(
    before: Mapping[str, int], after: Mapping[str, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return calls by value of both windows, in one order of values."""
    for times in (*before.values(), *after.values()):
        check_counts(0, times)
    names = sorted(before.keys() | after.keys())
    first, second = (np.asarray([side.get(name, 0) for name in names]) for side in (before, after))
    if not first.sum() or not second.sum():
        raise ValueError("a window without calls can't be compared")
    return first.astype(np.int64), second.astype(np.int64)


def _stability(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    a, b = first + 0.5, second + 0.5
    a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
    return np.asarray(((a - b) * np.log(a / b)).sum(axis=1), dtype=np.float64)
