"""Bounds on a rate: closed forms, the table of calls needed, and promises by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.stats import beta, binom

from workbench.stats import bounds

DELTA = 0.05

TABLE = {
    0: ((14, 17), (29, 36), (59, 74), (149, 188)),
    1: ((22, 31), (46, 64), (93, 131), (236, 330)),
    2: ((30, 41), (61, 86), (124, 174), (313, 440)),
    5: ((50, 68), (103, 140), (208, 284), (523, 716)),
    10: ((82, 106), (167, 218), (336, 442), (845, 1114)),
}


@pytest.mark.parametrize("failures", TABLE)
def test_calls_needed_are_those_of_the_table(failures: int) -> None:
    for (once, ever), bound in zip(TABLE[failures], (0.20, 0.10, 0.05, 0.02), strict=True):
        assert bounds.calls_needed(failures, bound, DELTA, method=bounds.EXACT) == once
        assert bounds.calls_needed(failures, bound, DELTA) == ever


@pytest.mark.parametrize(
    ("bad", "n", "u"), [(0, 12, 0.270), (0, 30, 0.118), (40, 1000, 0.062), (6, 500, 0.032)]
)
def test_anytime_bound_has_known_values(bad: int, n: int, u: float) -> None:
    assert bounds.anytime_upper(bad, n, DELTA) == pytest.approx(u, abs=0.001)


@pytest.mark.parametrize(("bad", "n"), [(0, 7), (3, 40), (12, 300)])
def test_evidence_is_the_mixture_of_likelihood_ratios(bad: int, n: int) -> None:
    """E(h) is the mean likelihood over rates below h, against the likelihood at h."""

    def likelihood(p: float) -> float:
        return p**bad * (1 - p) ** (n - bad)

    for h in (bad / n + 0.02, bad / n + 0.2):
        above, _ = integrate.quad(lambda p: likelihood(p) * beta.pdf(p, 0.5, 0.5), 0, h, limit=500)
        expected = above / beta.cdf(h, 0.5, 0.5) / likelihood(h)
        assert math.exp(bounds.log_evidence_below(h, bad, n - bad)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("bad", "n"), [(0, 1), (0, 60), (3, 60), (59, 60), (60, 60)])
def test_exact_bounds_invert_the_binomial(bad: int, n: int) -> None:
    upper, lower = bounds.exact_upper(bad, n, DELTA), bounds.exact_lower(bad, n, DELTA)
    if bad < n:
        assert binom.cdf(bad, n, upper) == pytest.approx(DELTA)
        assert upper == pytest.approx(beta.ppf(1 - DELTA, bad + 1, n - bad))
    else:
        assert upper == 1.0
    if bad > 0:
        assert binom.sf(bad - 1, n, lower) == pytest.approx(DELTA)
    else:
        assert lower == 0.0


def test_without_evidence_everything_is_possible() -> None:
    found = bounds.anytime(0, 0, DELTA)
    assert (found.point, found.low, found.high) == (None, 0.0, 1.0)
    assert bounds.anytime_upper(10, 10, DELTA) == 1.0
    assert bounds.anytime_lower(0, 10, DELTA) == 0.0


@pytest.mark.parametrize("kind", ["coin", "near one", "spread", "tau"])
def test_the_bounds_of_a_mean_hold_however_often_anyone_looks(kind: str) -> None:
    """Of 400 seeded runs looked at ten times, each bound misses the true mean in at most delta of them."""
    random = np.random.default_rng(11)
    low = -1.0 if kind == "tau" else 0.0
    draw, true = {
        "coin": (lambda: random.random(200) < 0.9, 0.9),
        "near one": (lambda: random.beta(9, 1, 200), 0.9),
        "spread": (lambda: random.random(200), 0.5),
        "tau": (lambda: 2 * random.beta(4, 1, 200) - 1, 0.6),
    }[kind]
    above = below = 0
    for _ in range(400):
        sums = np.cumsum(draw())
        found = [bounds.anytime_mean(float(sums[n - 1]), n, DELTA, low=low) for n in range(20, 201, 20)]
        assert all(low <= each.low <= each.point <= each.high <= 1 for each in found)
        above += any(each.low > true for each in found)
        below += any(each.high < true for each in found)
    assert max(above, below) <= 400 * DELTA


def test_the_bounds_of_a_mean_of_ones_and_zeros_are_those_of_a_rate() -> None:
    """A rate is a mean; nothing at all leaves the whole range open."""
    assert bounds.anytime_mean(7, 9, DELTA) == bounds.anytime(7, 9, DELTA)
    nothing = bounds.anytime_mean(0, 0, DELTA, low=-1)
    assert (nothing.point, nothing.low, nothing.high) == (None, -1.0, 1.0)


counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.floats(0, n), st.just(float(n))))


@settings(deadline=None)
@given(counts, st.sampled_from([0.05, 0.01, 0.0025]))
def test_bounds_enclose_the_estimate_and_mirror_each_other(pair: tuple[float, float], delta: float) -> None:
    """The estimate lies between the bounds, and harm and no harm are mirror images."""
    bad, n = pair
    low, high = bounds.anytime_lower(bad, n, delta), bounds.anytime_upper(bad, n, delta)
    assert 0 <= low <= bad / n + 1e-9
    assert bad / n - 1e-9 <= high <= 1
    assert low == pytest.approx(1 - bounds.anytime_upper(n - bad, n, delta), abs=1e-9)


@settings(deadline=None)
@given(st.lists(counts, min_size=1, max_size=8), st.sampled_from([0.05, 0.0025]))
def test_many_upper_bounds_at_once_are_those_one_by_one(
    pairs: list[tuple[float, float]], delta: float
) -> None:
    """Halving intervals together finds the roots that are found apart."""
    bad, n = (np.asarray(each, dtype=np.float64) for each in zip(*pairs, strict=True))
    together = bounds.anytime_uppers(bad, n, delta)
    apart = [bounds.anytime_upper(each, size, delta) for each, size in pairs]
    assert together.tolist() == pytest.approx(apart, abs=1e-10)


@given(counts, st.floats(0, 1))
def test_more_harm_never_lowers_a_bound(pair: tuple[float, float], part: float) -> None:
    """With n fixed both bounds rise with the number of bad calls."""
    worse, n = pair
    bad = worse * part
    assert bounds.anytime_upper(bad, n, DELTA) <= bounds.anytime_upper(worse, n, DELTA) + 1e-9
    assert bounds.anytime_lower(bad, n, DELTA) <= bounds.anytime_lower(worse, n, DELTA) + 1e-9


def test_large_counts_do_not_underflow() -> None:
    high = bounds.anytime_upper(50_000, 10_000_000, DELTA)
    assert 0.005 < high < 0.0052
    assert math.isfinite(float(bounds.log_betainc(1e6, 1.0, 1e-3)))


def test_the_size_needed_is_the_smallest_that_proves_the_bound() -> None:
    n = bounds.size_needed(0.012, 0.04, DELTA)
    assert n is not None
    assert bounds.anytime_upper(math.ceil(0.012 * n), n, DELTA) <= 0.04
    assert all(bounds.anytime_upper(math.ceil(0.012 * m), m, DELTA) > 0.04 for m in range(1, n))
    assert bounds.size_needed(0.045, 0.05, DELTA) is None
    assert bounds.size_needed(0.06, 0.05, DELTA) is None


def test_twice_the_clusters_need_twice_the_calls() -> None:
    once, twice = (bounds.size_needed(0.0, 0.05, DELTA, deff=deff) for deff in (1.0, 2.0))
    assert (once, twice) == (74, 148)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_looking_after_every_call_errs_no_more_than_promised(rate: float) -> None:
    """Of 400 runs with 1,000 looks each, at most 5 % (and the noise of 400) ever exclude the truth."""
    rng = np.random.default_rng(11)
    n = np.arange(1, 1001, dtype=float)
    bad = np.cumsum(rng.random((400, 1000)) < rate, axis=1).astype(float)
    refuted = bounds.log_evidence_below(rate, bad, n - bad) >= -math.log(DELTA)
    below = (refuted & (bad / n < rate)).any(axis=1).mean()
    mirrored = bounds.log_evidence_below(1 - rate, n - bad, bad) >= -math.log(DELTA)
    above = (mirrored & (bad / n > rate)).any(axis=1).mean()
    slack = 3 * math.sqrt(DELTA * (1 - DELTA) / 400)
    assert below <= DELTA + slack
    assert above <= DELTA + slack
    assert below > 0, "a bound that never errs would be far too wide"


def test_the_exact_bound_breaks_its_promise_when_looked_at_often() -> None:
    """The same runs pass 5 % far too often by Clopper-Pearson: the simulation can tell."""
    rng = np.random.default_rng(11)
    n = np.arange(1, 1001, dtype=float)
    bad = np.cumsum(rng.random((400, 1000)) < 0.05, axis=1).astype(float)
    wrong = (binom.cdf(bad, n, 0.05) < DELTA).any(axis=1).mean()
    assert wrong > 0.15
