"""Paired differences: the score limits against a plain search, known values, and the exact test."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

from workbench.stats.paired import mcnemar, tango

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


def test_a_published_example() -> None:
    """44 pairs with one discordant: the limits that the literature gives at 95 %, two-sided."""
    found = tango(1, 0, 44, 0.025)
    assert found.point == pytest.approx(1 / 44)
    assert (found.low, found.high) == pytest.approx((-0.0602, 0.1184), abs=2e-3)


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
