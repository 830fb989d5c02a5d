"""What harm would be if the traffic were mixed otherwise. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.records import Estimate
from workbench.stats.arguments import check_delta
from workbench.stats.evidence import SliceEvidence
from workbench.stats.harm import regressions

METHOD = "slices re-weighted, anytime"


def reweighted(slices: Sequence[SliceEvidence], mix: Mapping[str, float], delta: float) -> Estimate | None:
    """Return the harm of a task under another mix of one slice: U = sum_v w_v U_v, w_v the new shares.

    L = sum_v w_v L_v likewise. Each of the V values has its bounds at delta / V, so that all of them hold at
    once, and so do the sums. A value that was never evaluated may be harmed always or never: U_v = 1,
    L_v = 0, and there is no estimate. Source: post-stratification, Holt and Smith, 1979.

    Args:
        slices: Evidence by value of this slice.
        mix: Calls by value in the new traffic, any positive weights.
        delta: Error probability of each limit, 0..1.

    Returns:
        The estimate with its limits, 0..1; None without a mix or where none of its values was evaluated.
        `n` and the effective n are those of the evaluated calls.

    Raises:
        ValueError: `delta` is no error probability.
    """
    check_delta(delta)
    total = sum(mix.values())
    known = {each.value: each for each in slices if each.value in mix}
    if total <= 0 or not known:
        return None
    low = high = 0.0
    point: float | None = 0.0
    n = n_effective = 0.0
    for value, weight in mix.items():
        share = weight / total
        if value not in known:
            high, point = high + share, None
            continue
        own = regressions(known[value].population, delta / len(known)).estimate
        low, high = low + share * own.low, high + share * own.high
        point = None if point is None or own.point is None else point + share * own.point
        n, n_effective = n + own.n, n_effective + own.n_effective
    return Estimate(point, low, min(high, 1.0), 1 - delta, METHOD, n, n_effective)
