"""The noise floor: how often the frontier agrees with itself.

Self-agreement r is the chance that two independent answers to one request agree. A
candidate that agrees with an independent answer of the frontier with chance a has
a <= sqrt(r) sqrt(its own self-agreement) <= sqrt(r), request by request by Cauchy and
Schwarz and over all requests again: wherever agreeing is an equivalence (equality
after normalisation), no candidate can do better. r explains disagreement; it enters no
bound on harm and never raises a share.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from workbench.records import Estimate
from workbench.stats import bounds
from workbench.stats.arguments import check_delta, check_rate
from workbench.stats.cluster import design_effect
from workbench.stats.wording import count, measured, percent, plural

BY_PAIRS = "pairs of duplicates"
"""Method of an estimate from duplicates: the mean over requests of how many of their pairs agree."""
USUAL_GOAL = 0.95
"""The agreement that people ask for; out of reach where r is below its square, 90.25 %."""
MINIMUM = 20
"""Fewer requests than this measure nothing, as with any other rate (`Policy.minimum_pairs`)."""

Clusters = Sequence[Sequence[Hashable | None]]


def asked_again(agreeing: Sequence[bool], clusters: Clusters, delta: float, icc: float) -> Estimate:
    """Return self-agreement from calls that were asked once more.

    r = 1 - s / n, s of n second answers differing; limits 1 - U and 1 - L of `anytime_upper` and
    `anytime_lower`, counts over the design effect.
    Source: Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49, 2021; Waudby-Smith and Ramdas,
    Journal of the Royal Statistical Society B 86, 2024.

    Args:
        agreeing: Whether the second answer agrees with the logged one, length n.
        clusters: One sequence of length n for each kind of cluster (session, request).
        delta: Error probability of each limit, over all looks together.
        icc: Planned correlation within a cluster.

    Returns:
        The rate with anytime limits, counts divided by the design effect.

    Raises:
        ValueError: Lengths differ, `delta` is not inside 0..1, or `icc` outside.
    """
    return _estimate([float(each) for each in agreeing], clusters, delta, icc, bounds.ANYTIME)


def from_pairs(shares: Sequence[float], clusters: Clusters, delta: float, icc: float) -> Estimate:
    """Return self-agreement from requests that the log holds more than once.

    r = mean of `pair_share` over the requests. Each counts once, with the share of its pairs of answers
    that agree: an unbiased estimate of its own self-agreement, however many answers
    it has. The limits are those of a mean of values in 0..1: by convexity the mixture of
    likelihood ratios behind `bounds.anytime_upper` stays a supermartingale for them.
    They hold for one look, since later answers change earlier shares.
    Source: the mean over pairs, Hoeffding, Annals of Mathematical Statistics 19, 1948; values in 0..1,
    Hoeffding, Journal of the American Statistical Association 58, 1963.

    Args:
        shares: Share of agreeing pairs of each request, 0..1, length n.
        clusters: One sequence of length n for each kind of cluster.
        delta: Error probability of each limit.
        icc: Planned correlation within a cluster.

    Raises:
        ValueError: A share is missing or outside 0..1, lengths differ, `delta` is not inside 0..1, or `icc`
            outside.
    """
    return _estimate(shares, clusters, delta, icc, BY_PAIRS)


def _estimate(shares: Sequence[float], clusters: Clusters, delta: float, icc: float, method: str) -> Estimate:
    differing = [1.0 - each for each in shares]
    n = len(differing)
    check_delta(delta)
    effect = design_effect(differing, clusters, icc).value
    wrong = math.fsum(differing)
    size = n / effect
    return Estimate(
        point=1.0 - wrong / n if n else None,
        low=1.0 - bounds.anytime_upper(wrong / effect, size, delta),
        high=1.0 - bounds.anytime_lower(wrong / effect, size, delta),
        level=1 - delta,
        method=method,
        n=n,
        n_effective=size,
    )


def pair_share(multiplicities: Sequence[int], agrees: Sequence[Sequence[bool | None]]) -> float | None:
    """Return the share of a request's pairs of answers that agree.

    sum over i, j of m_i (m_j - [i = j]) a_ij / the same sum without a_ij, where distinct answer i was given
    m_i times and a_ij = 1 where it agrees with j. Each pair is read in both directions, since a comparison
    may not be symmetric.
    Source: Simpson, Measurement of diversity, Nature 163, 1949, for a_ij that are 1 on the diagonal alone.

    Args:
        multiplicities: How often each distinct answer was given, length d.
        agrees: d x d, whether distinct answer i as the control agrees with j; None
            where i can't be compared with.

    Returns:
        A share, or None where no pair can be compared.
    """
    total = agreeing = 0
    for i, times in enumerate(multiplicities):
        for j, others in enumerate(multiplicities):
            pairs = times * (others - (i == j))
            verdict = agrees[i][j]
            if pairs and verdict is not None:
                total += pairs
                agreeing += pairs * verdict
    return agreeing / total if total else None


def ceiling(rate: float) -> float:
    """Return the most that any candidate can agree with logged answers: the square root of r.

    a <= sqrt(r) sqrt(s) <= sqrt(r), a the agreement, r and s the self-agreement of the frontier and of the
    candidate: the chance that two independent answers are one is a sum of products of chances.
    Source: the inequality, Cauchy, Cours d'analyse, 1821; as attenuation of a correlation by unreliability,
    Spearman, American Journal of Psychology 15, 1904.

    Args:
        rate: Self-agreement r, 0..1.

    Raises:
        ValueError: It is outside.
    """
    check_rate(rate, "self-agreement")
    return math.sqrt(rate)


def sentence(floor: Estimate, agreement: float | None = None, *, structural: bool = True) -> str:
    """Say what the noise floor explains, beside a candidate's own agreement.

    Args:
        floor: Self-agreement, with a point.
        agreement: The candidate's agreement, None where nothing is compared.
        structural: Whether answers are compared by equality; else the ceiling is a guide.
    """
    if floor.point is None:
        return ""
    limits = f"{measured(floor.low)} to {measured(floor.high)}"
    text = f"The frontier agrees with itself in {measured(floor.point)} of "
    if floor.method == BY_PAIRS:
        text += (
            f"the pairs of answers that the log holds to one request ({plural(floor.n, 'request')}; {limits})"
        )
    else:
        text += f"calls asked again (n = {count(floor.n)}; {limits})"
    most = measured(ceiling(floor.point))
    if structural:
        text += f"; no candidate can agree with its logged answers on more than {most}"
    else:
        text += f"; about {most} is the most that a candidate can be expected to agree"
    text += f", and this one agrees on {measured(agreement)}." if agreement is not None else "."
    if floor.point < USUAL_GOAL**2:
        sure = "" if floor.high < USUAL_GOAL**2 else "As estimated, "
        nobody = "nobody reaches" if sure else "Nobody reaches"
        text += f" {sure}{nobody} {percent(USUAL_GOAL)} agreement here."
    return f"{text} This explains disagreement; it never raises the share."
