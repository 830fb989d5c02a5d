"""Bounds on a rate from bad and compared calls.

`anytime_upper` and `anytime_lower` hold however often anyone looks: they invert a
mixture of likelihood ratios truncated to one side, which is a supermartingale under
every rate on the other side, so Ville's inequality applies (Robbins 1970; Howard,
Ramdas, McAuliffe and Sekhon 2021; Waudby-Smith and Ramdas 2024). `exact_upper` and
`exact_lower` hold for one look (Clopper and Pearson 1934).
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, xlog1py, xlogy

from workbench.records import Estimate
from workbench.stats.arguments import check_counts, check_delta, check_effect, check_rate
from workbench.stats.roots import root

ANYTIME = "anytime"
EXACT = "exact"
PRIOR = 0.5
"""Both parameters of the mixing beta distribution (Jeffreys)."""
SEARCH_LIMIT = 20_000
"""Beyond this many calls a target is called too close to the limit."""

BISECTIONS = 42
"""Halvings of 0..1 that leave less than 1e-12 of it."""

Floats = NDArray[np.float64]


def log_betainc(a: Floats | float, b: Floats | float, x: Floats | float) -> Floats:
    """Return the logarithm of the regularised incomplete beta function without underflow.

    Where the function itself underflows, the leading term of its series is used:
    it is below the true value, so an e-value made from it is never too large.
    """
    value = np.asarray(betainc(a, b, x), dtype=np.float64)
    with np.errstate(divide="ignore"):
        plain = np.log(value)
        series = xlogy(a, x) + xlog1py(b, -np.asarray(x)) - np.log(a) - betaln(a, b)
    return np.where(value > 0, plain, series)


def _log_betainc_of(a: float, b: float, x: float) -> float:
    """Return `log_betainc` of one number inside 0..1."""
    value = float(betainc(a, b, x))
    if value > 0:
        return math.log(value)
    return a * math.log(x) + b * math.log1p(-x) - math.log(a) - float(betaln(a, b))


def log_evidence_below(rate: Floats | float, bad: Floats | float, good: Floats | float) -> Floats:
    """Return the log of the evidence that the true rate is below `rate`.

    Args:
        rate: The rate in doubt, inside 0..1.
        bad: Bad calls, not necessarily whole (broadcasts against `rate`).
        good: Good calls, not necessarily whole.

    Returns:
        log E(rate) of `anytime_upper` (Robbins 1970); `rate` is refuted where it exceeds log(1 / delta).
    """
    a, b = np.asarray(bad, dtype=np.float64) + PRIOR, np.asarray(good, dtype=np.float64) + PRIOR
    mixture = betaln(a, b) + log_betainc(a, b, rate)
    prior = betaln(PRIOR, PRIOR) + log_betainc(PRIOR, PRIOR, rate)
    likelihood = xlogy(bad, rate) + xlog1py(good, -np.asarray(rate))
    return np.asarray(mixture - prior - likelihood, dtype=np.float64)


@lru_cache(maxsize=1 << 16)
def anytime_upper(bad: float, n: float, delta: float) -> float:
    """Return the upper confidence bound that holds however often anyone looks.

    U is the h above s / n with E(h) = 1 / delta, where s calls are bad, f = n - s good, a = b = 1/2 and
    E(h) = [B(a + s, b + f) I_h(a + s, b + f)] / [B(a, b) I_h(a, b)] / (h^s (1 - h)^f): B is the beta
    function, I_h the regularised incomplete one. E is a mixture of likelihood ratios over the rates below h.
    Source: mixtures, Robbins, Annals of Mathematical Statistics 41, 1970; confidence sequences, Howard,
    Ramdas, McAuliffe and Sekhon, Annals of Statistics 49, 2021; Waudby-Smith and Ramdas, Journal of the
    Royal Statistical Society B 86, 2024.

    Args:
        bad: Bad calls, 0..n, not necessarily whole.
        n: Calls.
        delta: Error probability over all looks together.

    Returns:
        The rate above bad / n that is just refuted; 1 without evidence.

    Raises:
        ValueError: A count can't be, or `delta` is not inside 0..1.
    """
    check_counts(bad, n)
    check_delta(delta)
    if n <= 0:
        return 1.0
    bad = min(max(bad, 0.0), n)
    good = n - bad
    low, high = max(bad / n, 1e-15), 1.0 - 1e-12
    threshold = -math.log(delta)
    a, b = bad + PRIOR, good + PRIOR
    # As in `log_evidence_below`, of one number: a search asks for a dozen, and arrays of one are slow.
    constant = float(betaln(a, b) - betaln(PRIOR, PRIOR)) - threshold

    def excess(rate: float) -> float:
        likelihood = bad * math.log(rate) + good * math.log1p(-rate)
        return constant + _log_betainc_of(a, b, rate) - _log_betainc_of(PRIOR, PRIOR, rate) - likelihood

    if good <= 0 or low >= high or excess(high) <= 0:
        return 1.0
    if excess(low) >= 0:
        return low
    return root(excess, low, high)


def anytime_uppers(bad: Floats, n: Floats, delta: float) -> Floats:
    """Return `anytime_upper` of many counts at once, to within 1e-12.

    Args:
        bad: Bad calls of each.
        n: Calls of each.
        delta: Error probability of each over all looks together.
    """
    bad = np.clip(bad, 0.0, n)
    good = n - bad
    low = np.maximum(bad / np.maximum(n, 1e-300), 1e-15)
    high = np.full(low.shape, 1.0 - 1e-12)
    threshold = -math.log(delta)
    none = (n <= 0) | (good <= 0) | (low >= high) | (log_evidence_below(high, bad, good) <= threshold)
    surely = ~none & (log_evidence_below(low, bad, good) >= threshold)
    start = low.copy()
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        refuted = log_evidence_below(middle, bad, good) >= threshold
        low, high = np.where(refuted, low, middle), np.where(refuted, middle, high)
    return np.asarray(np.where(none, 1.0, np.where(surely, start, high)), dtype=np.float64)


def anytime_lower(bad: float, n: float, delta: float) -> float:
    """Return the lower confidence bound that holds however often anyone looks.

    L(s, n) = 1 - U(n - s, n), U being `anytime_upper`: bad and good calls change places.
    Source: Robbins, Annals of Mathematical Statistics 41, 1970; Waudby-Smith and Ramdas, Journal of the
    Royal Statistical Society B 86, 2024.

    Args:
        bad: Bad calls, 0..n, not necessarily whole.
        n: Calls.
        delta: Error probability over all looks together.

    Returns:
        The mirror image of `anytime_upper`; 0 without evidence.

    Raises:
        ValueError: A count can't be, or `delta` is not inside 0..1.
    """
    check_counts(bad, n)
    check_delta(delta)
    if n <= 0:
        return 0.0
    return 1.0 - anytime_upper(n - min(max(bad, 0.0), n), n, delta)


def exact_upper(bad: float, n: float, delta: float) -> float:
    """Return the one-sided Clopper-Pearson upper bound, valid for one look.

    U is the h with P(Binomial(n, h) <= s) = delta, which is the 1 - delta quantile of Beta(s + 1, n - s).
    Source: Clopper and Pearson, Biometrika 26, 1934.

    Args:
        bad: Bad calls s, 0..n, not necessarily whole.
        n: Calls.
        delta: Error probability of this one look.

    Returns:
        A rate; 1 without calls, or where all are bad.

    Raises:
        ValueError: A count can't be, or `delta` is not inside 0..1.
    """
    check_counts(bad, n)
    check_delta(delta)
    if n <= 0 or bad >= n:
        return 1.0
    bad = max(bad, 0.0)
    return float(betaincinv(bad + 1, n - bad, 1 - delta))


def exact_lower(bad: float, n: float, delta: float) -> float:
    """Return the one-sided Clopper-Pearson lower bound, valid for one look.

    L is the h with P(Binomial(n, h) >= s) = delta, which is the delta quantile of Beta(s, n - s + 1).
    Source: Clopper and Pearson, Biometrika 26, 1934.

    Args:
        bad: Bad calls s, 0..n, not necessarily whole.
        n: Calls.
        delta: Error probability of this one look.

    Returns:
        A rate; 0 without calls, or where none is bad.

    Raises:
        ValueError: A count can't be, or `delta` is not inside 0..1.
    """
    check_counts(bad, n)
    check_delta(delta)
    if n <= 0 or bad <= 0:
        return 0.0
    bad = min(bad, n)
    # Of a billion calls scipy's inverse can come out above the rate itself.
    return min(float(betaincinv(bad, n - bad + 1, delta)), bad / n)


def anytime(bad: float, n: float, delta: float, *, deff: float = 1.0) -> Estimate:
    """Return a rate with both anytime bounds, each at `delta`.

    The point is s / n; the bounds are U(s / D, n / D) and L(s / D, n / D) of `anytime_upper` and
    `anytime_lower`, D = `deff`. With D above 1 their validity at every look is approximate.
    Source: Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49, 2021; Waudby-Smith and Ramdas,
    Journal of the Royal Statistical Society B 86, 2024; division by the design effect, Kish, Survey
    Sampling, 1965.

    Args:
        bad: Bad calls s.
        n: Calls.
        delta: Error probability of each bound.
        deff: Design effect that both counts are divided by.

    Returns:
        Rates; bounds of 0 and 1 and no point without calls.

    Raises:
        ValueError: A count can't be, `delta` is not inside 0..1, or `deff` is below 1.
    """
    check_effect(deff)
    s, size = bad / deff, n / deff
    return Estimate(
        point=bad / n if n else None,
        low=anytime_lower(s, size, delta),
        high=anytime_upper(s, size, delta),
        level=1 - delta,
        method=ANYTIME,
        n=n,
        n_effective=size,
    )


def anytime_mean(
    total: float, n: float, delta: float, *, low: float = 0.0, high: float = 1.0, deff: float = 1.0
) -> Estimate:
    """Return a mean of values between two limits, with both anytime bounds, each at `delta`.

    With x = (value - low) / (high - low) the bounds are L(sum x, n) and U(sum x, n) of a rate, on the scale
    of the values: a likelihood ratio of a rate p against h is convex in x, so that its mean is at most
    that of a coin of the same mean. Source: Hoeffding, Journal of the American Statistical Association 58,
    1963, for the convexity; Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49, 2021, for the
    bounds.

    Args:
        total: Sum of the values.
        n: How many there are.
        delta: Error probability of each bound.
        low: The least a value can be.
        high: The most it can be.
        deff: Design effect that sum and number are divided by.

    Returns:
        Means on the scale of the values; the limits themselves and no point without any.
    """
    width = high - low
    # Rounding may lift a sum of whole ones above their number.
    found = anytime(min(max(0.0, (total - low * n) / width), n), n, delta, deff=deff)
    return replace(
        found,
        point=total / n if n else None,
        low=low + width * found.low,
        high=low + width * found.high,
    )


def exact(bad: float, n: float, delta: float, *, deff: float = 1.0) -> Estimate:
    """Return a rate with both Clopper-Pearson bounds, each at `delta`, for one look.

    The point is s / n; the bounds are those of `exact_upper` and `exact_lower` at s / D of n / D, D = `deff`.
    Source: Clopper and Pearson, Biometrika 26, 1934; counts over the design effect, Korn and Graubard,
    Survey Methodology 24, 1998.

    Args:
        bad: Bad calls s.
        n: Calls.
        delta: Error probability of each bound.
        deff: Design effect that both counts are divided by.

    Returns:
        Rates; bounds of 0 and 1 and no point without calls.

    Raises:
        ValueError: A count can't be, `delta` is not inside 0..1, or `deff` is below 1.
    """
    check_effect(deff)
    s, size = bad / deff, n / deff
    return Estimate(
        point=bad / n if n else None,
        low=exact_lower(s, size, delta),
        high=exact_upper(s, size, delta),
        level=1 - delta,
        method=EXACT,
        n=n,
        n_effective=size,
    )


def _first(passes: NDArray[np.bool_], sizes: Floats) -> int | None:
    hits = np.flatnonzero(passes)
    return int(sizes[hits[0]]) if hits.size else None


def calls_needed(
    failures: int, bound: float, delta: float, *, method: str = ANYTIME, limit: int = SEARCH_LIMIT
) -> int | None:
    """Return the fewest calls that prove a bound with a given number of failures.

    The least n with U(s, n) <= h, s = `failures` and h = `bound`, found by asking of every n whether
    E(h) >= 1 / delta (`anytime_upper`) or P(Binomial(n, h) <= s) <= delta (`exact_upper`).
    Source: Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86, 2024, for anytime;
    Clopper and Pearson, Biometrika 26, 1934, for exact.

    Args:
        failures: Bad calls among them.
        bound: The rate that the upper bound must not exceed.
        delta: Error probability.
        method: `anytime` or `exact` (one look).
        limit: The most calls considered.

    Returns:
        A number of calls, or None where even `limit` calls do not prove it.

    Raises:
        ValueError: `failures` is negative, `bound` outside 0..1, `delta` not inside, or `method` another.
    """
    check_counts(failures, max(failures, limit))
    check_rate(bound, "bound")
    check_delta(delta)
    if method not in (ANYTIME, EXACT):
        raise ValueError(f"no bound is called {method!r}; there are {ANYTIME!r} and {EXACT!r}")
    sizes = np.arange(failures + 1, limit + 1, dtype=np.float64)
    if method == EXACT:
        return _first(betainc(failures + 1, sizes - failures, bound) >= 1 - delta, sizes)
    return _first(_proves(np.full_like(sizes, failures), sizes, bound, delta), sizes)


def size_needed(
    rate: float, bound: float, delta: float, *, deff: float = 1.0, limit: int = SEARCH_LIMIT
) -> int | None:
    """Return the smallest n for which ceil(rate n) bad calls keep the anytime bound at `bound`.

    The least n with U(ceil(r n) / D, n / D) <= h, r = `rate`, h = `bound`, D = `deff`, U of `anytime_upper`.
    A look ahead at a rate that is guessed, so a plan and no promise.
    Source: Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86, 2024.

    Args:
        rate: The share of bad calls to expect.
        bound: The rate that the upper bound must not exceed.
        delta: Error probability.
        deff: Design effect that both counts are divided by.
        limit: The most calls considered.

    Returns:
        A number of calls, or None: too close to the limit.

    Raises:
        ValueError: A rate is outside 0..1, `delta` not inside, or `deff` below 1.
    """
    check_rate(rate, "rate")
    check_rate(bound, "bound")
    check_delta(delta)
    check_effect(deff)
    sizes = np.arange(1, limit + 1, dtype=np.float64)
    bad = np.minimum(np.ceil(rate * sizes - 1e-9), sizes)
    return _first(_proves(bad / deff, sizes / deff, bound, delta), sizes)


def _proves(bad: Floats, sizes: Floats, bound: float, delta: float) -> NDArray[np.bool_]:
    if bound >= 1:
        return np.ones(sizes.shape, dtype=bool)
    if bound <= 0:
        return np.zeros(sizes.shape, dtype=bool)
    proof = log_evidence_below(bound, bad, sizes - bad) >= -math.log(delta) - 1e-12
    return np.asarray(proof & (bad < bound * sizes), dtype=bool)
