"""Two answers to the same calls, with a known right answer: the paired difference of how often each is right.

For one look. Independent samples would throw the pairing away: most calls are easy or hard for both.
"""

from __future__ import annotations

import math

from scipy.special import bdtr, ndtri

from workbench.records import Estimate
from workbench.stats.arguments import check_delta
from workbench.stats.roots import root

TANGO = "Tango score interval, one look"
_EDGE = 1e-12


def tango(worse: int, better: int, n: int, delta: float) -> Estimate:
    """Return how much more often calls get worse than better, with score limits for one look.

    Inverts T(d) = (worse - better - n d) / sqrt(n (2 q + d (1 - d))), where q is the likeliest
    share of better calls under a difference of d: the larger root of 2 n q^2 + B q + C = 0 with
    B = (2 n - worse + better) d - worse - better and C = -better d (1 - d).
    Source: Tango, Statistics in Medicine 17, 1998.

    Args:
        worse: Calls that the control alone got right.
        better: Calls that the candidate alone got right.
        n: All calls.
        delta: Error probability of each limit.

    Returns:
        (worse - better) / n with its limits, in -1..1; no limits without calls.

    Raises:
        ValueError: The counts are negative, or more than n, or `delta` is not inside 0..1.
    """
    check_delta(delta)
    _check_pairs(worse, better, n)
    if not n:
        return Estimate(None, -1.0, 1.0, 1 - delta, TANGO, 0, 0.0)
    z = -float(ndtri(delta))
    point = (worse - better) / n

    def score(difference: float) -> float:
        share = _better_share(difference, worse, better, n)
        variance = n * (2 * share + difference * (1 - difference))
        gap = worse - better - n * difference
        if variance <= 0:
            return 0.0 if abs(gap) < _EDGE else math.copysign(math.inf, gap)
        return gap / math.sqrt(variance)

    def crossing(target: float, low: float, high: float, edge: float) -> float:
        first, last = score(low) - target, score(high) - target
        return edge if first * last > 0 else root(lambda d: score(d) - target, low, high)

    low = -1.0 if point <= -1 + _EDGE else crossing(z, -1 + _EDGE, point, -1.0)
    high = 1.0 if point >= 1 - _EDGE else crossing(-z, point, 1 - _EDGE, 1.0)
    return Estimate(point, low, high, 1 - delta, TANGO, n, float(n))


def _check_pairs(worse: int, better: int, n: float) -> None:
    # Asked this way round, a count that is not a number is refused, too.
    if not (worse >= 0 and better >= 0 and worse + better <= n):
        raise ValueError(f"{worse} worse and {better} better calls of {n} can't be")


def _better_share(difference: float, worse: int, better: int, n: int) -> float:
    """Return the likeliest share of better calls where the true difference is given."""
    linear = (2 * n - worse + better) * difference - worse - better
    constant = -better * difference * (1 - difference)
    root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
    return max((root - linear) / (4 * n), -difference, 0.0)


def mcnemar(worse: int, better: int) -> float:
    """Return the two-sided p-value of "as many calls get worse as better", exact.

    Given that one side alone was right, which side is a fair coin under that hypothesis:
    p = min(1, 2 P(Binomial(worse + better, 1/2) <= min(worse, better))).
    Source: McNemar, Psychometrika 12, 1947.

    Args:
        worse: Calls that the control alone got right.
        better: Calls that the candidate alone got right.

    Raises:
        ValueError: A count is negative.
    """
    _check_pairs(worse, better, math.inf)
    tail = float(bdtr(min(worse, better), worse + better, 0.5))
    return min(2 * tail, 1.0)
