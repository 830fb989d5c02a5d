"""What harm would be if the traffic were mixed otherwise. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from workbench.records import Estimate
from workbench.stats.arguments import check_counts, check_delta
from workbench.stats.bounds import anytime_upper
from workbench.stats.evidence import SliceEvidence
from workbench.stats.harm import regressions
from workbench.stats.looks import level_of_look

METHOD = "slices re-weighted, anytime"
MIX_PART = 0.2
"""Of the error probability, what the mix may cost: harm is known from fewer calls."""


def reweighted(
    slices: Sequence[SliceEvidence], mix: Mapping[str, int], delta: float, *, look: int = 1
) -> Estimate | None:
    """Return the harm of a task under another mix of one slice, known from a sample of it.

    U = sum_v p_v U_v + t max U_v + u, with p_v = n_v / n over the V evaluated values, n_v calls of n in the
    sample, t = sqrt(ln(1/e) / (2 n)) how far chance takes a mean of the sample from the traffic's, and u the
    anytime upper bound on the share of all other values, which may be harmed always: there may be some of
    which the sample has none. L = sum_v p_v L_v - t max U_v. Each U_v and L_v errs with 0.8 delta / V, the
    mean with e = 0.1 delta / (k (k + 1)) at the k-th look and u with 0.1 delta: all hold at once, however
    often people look.
    Source: post-stratification, Holt and Smith, Journal of the Royal Statistical Society A 142, 1979; the
    mean of the sample, Hoeffding, Journal of the American Statistical Association 58, 1963.

    Args:
        slices: Evidence by value of this slice.
        mix: Calls by value in a random sample of the new traffic.
        delta: Error probability of each limit, 0..1.
        look: Which look at such a sample it is, counted from 1 (`level_of_look`).

    Returns:
        The estimate with its limits, 0..1; None without a mix or where none of its values was evaluated.
        `n` and the effective n are those of the evaluated calls.

    Raises:
        ValueError: `delta` is no error probability, the look is not counted from 1, or a count is negative.
    """
    check_delta(delta)
    level = level_of_look(look, MIX_PART / 2 * delta)
    for calls in mix.values():
        check_counts(0, calls)
    size = sum(mix.values())
    known = {each.value: each for each in slices if mix.get(each.value)}
    if not size or not known:
        return None
    part = (1 - MIX_PART) * delta / len(known)
    own = {value: regressions(each.population, part).estimate for value, each in known.items()}
    shares = {value: mix[value] / size for value in known}
    others = size - sum(mix[value] for value in known)
    beyond = anytime_upper(others, size, MIX_PART / 2 * delta)
    # What was never evaluated counts as never harmed in the mean, and is counted apart.
    chance = math.sqrt(math.log(1 / level) / (2 * size)) * max(each.high for each in own.values())
    low = sum(shares[value] * each.low for value, each in own.items()) - chance
    high = sum(shares[value] * each.high for value, each in own.items()) + chance + beyond
    points = [shares[value] * each.point for value, each in own.items() if each.point is not None]
    point = sum(points) if not others and len(points) == len(own) else None
    n, n_effective = (sum(getattr(each, name) for each in own.values()) for name in ("n", "n_effective"))
    return Estimate(point, max(low, 0.0), min(high, 1.0), 1 - delta, METHOD, n, n_effective)
