"""The mix of the traffic that logged calls stand for, and how many independent calls would tell as much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.stats.arguments import check_rate, check_same_length, known_values
from workbench.stats.cluster import numbered


@dataclass(frozen=True, slots=True)
class TrafficMix:
    """Shares of traffic by value, and the calls by value of a random sample that tells as much."""

    shares: dict[str, float]
    calls: dict[str, int]


def traffic_mix(
    values: Sequence[str],
    rates: ArrayLike | None = None,
    sessions: Sequence[Hashable | None] | None = None,
    icc: float = 0.0,
) -> TrafficMix:
    """Return the mix of the traffic that logged calls were sampled from.

    p_v = sum of w over the calls of value v / W, with w = 1 / rate of each call and W their sum. Its variance
    is V_v = G / (G - 1) sum_g (sum_{i in g} w_i (1{i of v} - p_v))^2 / W^2 over G sessions g, so that the
    calls tell as much as n_v = p_v (1 - p_v) / V_v independent ones. The smallest n_v counts, no more than
    n / (1 + (m - 1) icc), m = sum_g m_g^2 / sum_g m_g for sessions of m_g calls, and no more than W / w_max:
    a value that was seldom logged may be missing altogether.
    Source: Horvitz and Thompson, Journal of the American Statistical Association 47, 1952; counts divided by
    a design effect, Rao and Scott, Journal of the American Statistical Association 76, 1981, with the largest
    effect for their mean; sessions, Kish, Survey Sampling, 1965.

    Args:
        values: Of each call, length n.
        rates: The probability with which each was logged, above 0 and at most 1; None takes all for as
            likely.
        sessions: The session of each call; None stands for a call that shares its session with no other.
        icc: Planned correlation within a session, 0..1.

    Returns:
        Shares that add up to 1, and whole calls, at least one, with about these shares.

    Raises:
        ValueError: There is no call, lengths differ, or a rate is none.
    """
    check_rate(icc, "icc")
    n = len(values)
    if not n:
        raise ValueError("without calls there is no mix")
    weights = np.ones(n) if rates is None else _weights(rates, n)
    groups = np.arange(n) if sessions is None else numbered(sessions)
    check_same_length(values=n, sessions=groups.size)
    if np.unique(groups).size == n and np.ptp(weights) <= 1e-12 * weights[0]:
        counts = Counter(values)
        return TrafficMix({name: count / n for name, count in counts.items()}, dict(counts))
    names, codes = np.unique(np.asarray(values, dtype=object).astype(str), return_inverse=True)
    by_group = np.bincount(groups * names.size + codes, weights, (int(groups.max()) + 1) * names.size)
    table = np.asarray(by_group.reshape(-1, names.size), dtype=np.float64)
    total = float(weights.sum())
    shares = table.sum(axis=0) / total
    independent = _independent_calls(table, shares, total)
    sizes = np.bincount(groups)
    planned = 1 + (float((sizes**2).sum()) / n - 1) * icc
    most = min(n / planned, float(weights.sum() / weights.max()))
    return TrafficMix(
        dict(zip(names.tolist(), shares.tolist(), strict=True)),
        _whole(names.tolist(), shares, max(min(independent, most), 1.0)),
    )


def _weights(rates: ArrayLike, n: int) -> NDArray[np.float64]:
    known = known_values(rates, "a rate", least=0.0, most=1.0)
    check_same_length(values=n, rates=known.size)
    if not (known > 0).all():
        raise ValueError("a call that was logged with probability 0 stands for nobody knows how many")
    return np.asarray(1 / known, dtype=np.float64)


def _independent_calls(table: NDArray[np.float64], shares: NDArray[np.float64], total: float) -> float:
    """Return how many independent calls tell as much, from weights by session and value."""
    own = table.sum(axis=1)
    groups = len(own)
    # As if all calls of a session were of one value: what is known where there is but one.
    least = total**2 / float((own**2).sum())
    inside = (shares > 0) & (shares < 1)
    if groups < 2 or not inside.any():
        return least
    spread = ((table - own[:, None] * shares) ** 2).sum(axis=0) * groups / (groups - 1) / total**2
    ratios = shares[inside] * (1 - shares[inside]) / np.maximum(spread[inside], 1e-300)
    return float(ratios.min())


def _whole(names: Sequence[str], shares: NDArray[np.float64], calls: float) -> dict[str, int]:
    """Return whole calls with about these shares: those with the largest remainder are rounded up."""
    wanted = max(int(calls), 1)
    parts = shares * wanted
    whole = np.floor(parts + 1e-9).astype(np.int64)
    order = np.argsort(whole - parts, kind="stable")
    whole[order[: wanted - int(whole.sum())]] += 1
    return {name: int(count) for name, count in zip(names, whole, strict=True) if count}
