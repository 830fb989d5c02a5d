"""Paired differences: the score limits against a plain search, known values, and the exact test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

from workbench.stats.paired import mcnemar, tango

Floats = NDArray[np.float64]

counts = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 60))


def score_by_search(difference: float, worse: int, better: int, n: int) -> float:
    """Return Tango's score with the nuisance parameter found by maximising the likelihood on a grid."""
    low, high = max(0.0, -difference), (1 - difference) / 2

    def loss(q: float) -> float:
        cells = ((worse, q + difference), (better, q), (n - worse - better, 1 - 2 * q - difference))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in cells if k)

    q = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (worse - better - n * difference) / math.sqrt(n * (2 * q + difference * (1 - difference)))


@pytest.mark.parametrize(("worse", "better", "n"), [(12, 5, 100), (3, 20, 60), (43, 22, 1000), (9, 9, 50)])
def test_the_limits_are_where_the_score_crosses_its_quantile(worse: int, better: int, n: int) -> None:
    """At each limit the score, its nuisance parameter found independently, is the normal quantile."""
    found = tango(worse, better, n, 0.05)
    z = norm.ppf(0.95)
    assert score_by_search(found.low, worse, better, n) == pytest.approx(z, abs=1e-3)
    assert score_by_search(found.high, worse, better, n) == pytest.approx(-z, abs=1e-3)


@pytest.mark.parametrize(
    ("worse", "better", "n", "limits"),
    [(1, 7, 21, (-0.517, -0.026)), (16, 8, 86, (-0.020, 0.207))],
)
def test_published_examples(worse: int, better: int, n: int, limits: tuple[float, float]) -> None:
    """Two-sided 95 % limits of Fagerland, Lydersen and Laake (2014, table V) and of the package ratesci."""
    found = tango(worse, better, n, 0.025)
    assert (found.low, found.high) == pytest.approx(limits, abs=5e-4)


@pytest.mark.parametrize("n", [1, 5, 50, 1000])
def test_without_a_discordant_call_the_limits_are_those_of_the_closed_form(n: int) -> None:
    """Nothing differs: the limits are z^2 / (n + z^2) on both sides, never 0."""
    z2 = norm.ppf(0.95) ** 2
    found = tango(0, 0, n, 0.05)
    assert (found.low, found.high) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)))


def test_every_small_table_has_the_limits_that_a_grid_finds() -> None:
    """For all tables of up to six calls the limits enclose the differences that the score doesn't refuse."""
    grid = np.linspace(-1, 1, 801)[1:-1]
    for n in range(1, 7):
        for worse, better in ((w, b) for w in range(n + 1) for b in range(n + 1 - w)):
            found = tango(worse, better, n, 0.05)
            kept = grid[np.abs(scores_on(grid, worse, better, n)) <= norm.ppf(0.95)]
            assert found.low == pytest.approx(kept.min(), abs=0.003), (worse, better, n)
            assert found.high == pytest.approx(kept.max(), abs=0.003), (worse, better, n)


def scores_on(differences: Floats, worse: int, better: int, n: int) -> Floats:
    """Return Tango's score at many differences, the likeliest nuisance parameter found by bisection."""
    low, high = np.maximum(0.0, -differences), (1 - differences) / 2
    for _ in range(60):
        q = (low + high) / 2
        first, rest = q + differences, 1 - 2 * q - differences
        slope = worse * q * rest + better * first * rest - 2 * (n - worse - better) * first * q
        low, high = np.where(slope > 0, q, low), np.where(slope > 0, high, q)
    variance = n * (low + high + differences * (1 - differences))
    return np.asarray((worse - better - n * differences) / np.sqrt(np.maximum(variance, 1e-12)))


@given(counts)
@settings(max_examples=150, deadline=None)
def test_swapping_the_sides_mirrors_the_interval_and_it_holds_its_point(cells: tuple[int, int, int]) -> None:
    """What is worse for one side is better for the other; limits enclose the point and stay in -1..1."""
    worse, better, same = cells
    n = worse + better + same
    found, mirrored = tango(worse, better, n, 0.05), tango(better, worse, n, 0.05)
    assert -1 <= found.low <= found.high <= 1
    if found.point is not None:
        assert found.low - 1e-9 <= found.point <= found.high + 1e-9
    assert mirrored.low == pytest.approx(-found.high, abs=1e-8)


def test_the_interval_covers_at_its_level() -> None:
    """Of 1,000 drawn tables the upper limit misses the true difference in about one of twenty."""
    dice = np.random.default_rng(11)
    worse_rate, better_rate, n = 0.06, 0.03, 300
    tables = dice.multinomial(n, (worse_rate, better_rate, 1 - worse_rate - better_rate), 1000)
    missed = sum(tango(int(w), int(b), n, 0.05).high < worse_rate - better_rate for w, b, _ in tables)
    assert 0.025 <= missed / 1000 <= 0.075


def test_one_and_two_sided_limits_are_one_function() -> None:
    """Halving delta gives the two-sided limits, which enclose the one-sided ones."""
    one, two = tango(12, 5, 100, 0.05), tango(12, 5, 100, 0.025)
    assert two.low < one.low < one.high < two.high
    assert (one.level, two.level) == pytest.approx((0.95, 0.975))


def test_impossible_counts_are_refused() -> None:
    """More discordant calls than calls are a mistake of the caller."""
    with pytest.raises(ValueError, match="can't be"):
        tango(3, 3, 5, 0.05)


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_mcnemar_is_the_binomial_test_of_the_discordant_calls(worse: int, better: int) -> None:
    """The exact p-value is scipy's for a fair coin."""
    if worse + better:
        assert mcnemar(worse, better) == pytest.approx(binomtest(worse, worse + better).pvalue)
    else:
        assert mcnemar(0, 0) == 1.0


def test_mcnemar_of_the_published_example() -> None:
    """One against seven: .070, as Fagerland, Lydersen and Laake (2014) give it."""
    assert mcnemar(1, 7) == pytest.approx(18 / 256)
