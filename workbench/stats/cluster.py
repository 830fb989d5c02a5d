"""Design effects: how much less calls of one cluster tell than independent calls.

A call can share its session with some calls and its request with others, so the two
kinds of cluster are combined as two-way clustering (Cameron, Gelbach and Miller
2011): both variances are added and that of their intersection is taken off. The
maximum of the two would leave out whichever correlation is weaker.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.stats.arguments import check_rate, check_same_length, known_values

DENSE = 8
"""Counting by numbers up to so many times as large as there are is faster than sorting them."""

FEW_CLUSTERS = 30
"""Below this many clusters the corrected bound is rougher still, and the text says so."""


@dataclass(frozen=True, slots=True)
class DesignEffect:
    """How much to divide counts by. `used` is none, estimated, planned, or repeated: calls drawn again.

    `clusters` is the number of clusters of the kind that has fewest.
    """

    value: float = 1.0
    used: str = "none"
    estimated: float | None = None
    planned: float = 1.0
    clusters: int | None = None


NO_EFFECT = DesignEffect()


def design_effect(
    outcomes: ArrayLike, clusters: Sequence[Sequence[Hashable | None] | NDArray[np.int64]], icc: float
) -> DesignEffect:
    """Return the larger of the estimated and the planned design effect.

    Estimated: V / [p (1 - p) / n], where p is the mean of the outcomes y and, over G clusters g,
    V = G / (G - 1) sum_g (sum_{i in g} (y_i - p))^2 / n^2. Planned, and all there is where no outcome or
    every outcome is bad: 1 + (m - 1) icc, m = sum_g m_g^2 / sum_g m_g for clusters of m_g calls.
    With two kinds of cluster V and (m - 1) are those of one kind plus those of the other minus those of their
    intersection, and never below those of either.
    Source: the effect and the planned form, Kish, Survey Sampling, 1965; the variance between clusters,
    Liang and Zeger, Biometrika 73, 1986; two kinds, Cameron, Gelbach and Miller, Journal of Business and
    Economic Statistics 29, 2011.

    Args:
        outcomes: 0 or 1 of each call, length n.
        clusters: One sequence of length n for each kind of cluster (session,
            request); None stands for a call that shares its cluster with no other.
            An array of numbers says the same faster.
        icc: Planned correlation within a cluster, 0..1.

    Returns:
        The effect, at least 1 and at most n.

    Raises:
        ValueError: An outcome is missing or outside 0..1, lengths differ, or `icc` is outside 0..1.
    """
    values = known_values(outcomes, "an outcome", least=0.0, most=1.0)
    check_rate(icc, "icc")
    check_same_length(outcomes=values.size, **{f"clusters[{i}]": len(ids) for i, ids in enumerate(clusters)})
    kinds = [ids for ids in map(_shared, clusters) if ids is not None]
    if values.size < 2 or not kinds:
        return NO_EFFECT
    terms = _signed(kinds)
    planned = 1 + icc * sum(sign * (_typical_size(ids) - 1) for sign, ids in terms)
    planned = max(planned, *(1 + icc * (_typical_size(ids) - 1) for ids in kinds))
    estimated = _estimated(values, kinds, terms)
    value = max(1.0, planned, estimated or 0.0)
    return DesignEffect(
        value=min(value, float(values.size)),
        used="estimated" if estimated is not None and estimated > planned else "planned",
        estimated=estimated,
        planned=planned,
        clusters=min(int(ids.max()) + 1 for ids in kinds),
    )


def _estimated(
    values: NDArray[np.float64],
    kinds: list[NDArray[np.int64]],
    terms: list[tuple[int, NDArray[np.int64]]],
) -> float | None:
    mean = float(values.mean())
    binomial = mean * (1 - mean) / values.size
    if binomial <= 0:
        return None
    single = [_variance(values - mean, ids) for ids in kinds]
    known = [each for each in single if each is not None]
    if not known:
        return None
    combined = 0.0
    for sign, ids in terms:
        combined += sign * (_variance(values - mean, ids) or 0.0)
    # Two-way variances can fall below a one-way one in small samples: never profit from that.
    return max(combined, *known) / binomial


def _signed(kinds: list[NDArray[np.int64]]) -> list[tuple[int, NDArray[np.int64]]]:
    if len(kinds) == 1:
        return [(1, kinds[0])]
    if len(kinds) > 2:
        raise ValueError("at most two kinds of cluster can be combined")
    _, pairs = np.unique(kinds[0] * (kinds[1].max() + 1) + kinds[1], return_inverse=True)
    return [(1, kinds[0]), (1, kinds[1]), (-1, pairs)]


def numbered(keys: Sequence[Hashable | None] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of each call's cluster, counted from 0 in the order they first appear.

    Args:
        keys: What calls of one cluster share; None is a cluster of its own. Or their
            numbers in a larger set of calls.
    """
    if isinstance(keys, np.ndarray):
        if not _is_dense(keys):
            keys = np.unique(keys, return_inverse=True)[1]
        first = firsts(keys)
        begins = np.zeros(keys.size, dtype=np.bool_)
        begins[first[first < keys.size]] = True
        number = np.append(np.cumsum(begins) - 1, -1)
        return np.asarray(number[first[keys]], dtype=np.int64)
    seen: dict[Hashable, int] = {}
    alone = object()
    return np.asarray(
        [
            seen.setdefault((alone, place) if key is None else key, len(seen))
            for place, key in enumerate(keys)
        ],
        dtype=np.int64,
    )


def firsts(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each number from 0 to the largest stands first; as many as there are where it doesn't.

    Args:
        keys: Numbers of at least 0.
    """
    found = np.full(int(keys.max(initial=-1)) + 1, keys.size, dtype=np.int64)
    # Of several values for one place the last is kept, so the first must come last.
    found[keys[::-1]] = np.arange(keys.size - 1, -1, -1)
    return found


def _shared(keys: Sequence[Hashable | None] | NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the number of each call's cluster, or None where no two calls share one."""
    if isinstance(keys, np.ndarray):
        if not keys.size or (_is_dense(keys) and np.bincount(keys).max() <= 1):
            return None
        keys = keys.astype(np.int64, copy=False)
    ids = numbered(keys)
    return ids if ids.size and ids.max() + 1 < ids.size else None


def _is_dense(keys: NDArray[np.int64]) -> bool:
    """Say whether numbers are small enough to count by."""
    return bool(keys.size and keys.min() >= 0 and keys.max() < DENSE * keys.size)


def _typical_size(ids: NDArray[np.int64]) -> float:
    sizes = np.bincount(ids).astype(np.float64)
    return float((sizes**2).sum() / sizes.sum())


def _variance(residuals: NDArray[np.float64], ids: NDArray[np.int64]) -> float | None:
    sums = np.bincount(ids, weights=residuals)
    if sums.size < 2:
        return None
    return float(sums.size / (sums.size - 1) * (sums**2).sum() / residuals.size**2)
