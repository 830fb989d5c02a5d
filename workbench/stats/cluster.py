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

FEW_CLUSTERS = 30
"""Below this many clusters the corrected bound is rougher still, and the text says so."""


@dataclass(frozen=True, slots=True)
class DesignEffect:
    """How much to divide counts by. `used` is none, estimated or planned.

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

    Args:
        outcomes: 0 or 1 of each call, length n.
        clusters: One sequence of length n for each kind of cluster (session,
            request); None stands for a call that shares its cluster with no other.
            An array of numbers says the same faster.
        icc: Planned correlation within a cluster, 0..1.

    Returns:
        The effect, at least 1 and at most n.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    kinds = [ids for ids in map(numbered, clusters) if ids.size and ids.max() + 1 < ids.size]
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
        _, first, place = np.unique(keys, return_index=True, return_inverse=True)
        number = np.empty(first.size, dtype=np.int64)
        number[np.argsort(first)] = np.arange(first.size)
        return number[place]
    seen: dict[Hashable, int] = {}
    alone = object()
    return np.asarray(
        [
            seen.setdefault((alone, place) if key is None else key, len(seen))
            for place, key in enumerate(keys)
        ],
        dtype=np.int64,
    )


def _typical_size(ids: NDArray[np.int64]) -> float:
    sizes = np.bincount(ids).astype(np.float64)
    return float((sizes**2).sum() / sizes.sum())


def _variance(residuals: NDArray[np.float64], ids: NDArray[np.int64]) -> float | None:
    sums = np.bincount(ids, weights=residuals)
    if sums.size < 2:
        return None
    return float(sums.size / (sums.size - 1) * (sums**2).sum() / residuals.size**2)
