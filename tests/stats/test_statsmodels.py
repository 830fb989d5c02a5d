"""The product's own statistics against those of statsmodels, wherever both compute the same thing.

Statsmodels is needed, not optional: without a second opinion this file fails.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import logit
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.inter_rater import cohens_kappa as their_kappa
from statsmodels.stats.inter_rater import fleiss_kappa
from statsmodels.stats.nonparametric import rank_compare_2indep
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups
from statsmodels.stats.weightstats import DescrStatsW

from evals.truth.paths import wilson_upper
from workbench.stats import (
    auroc,
    calibrated,
    cohen_kappa,
    confusion,
    design_effect,
    exact,
    krippendorff_alpha,
    mcnemar,
    ppi_mean,
    tango,
)

NAMES = "abcde"
rates = st.tuples(st.integers(0, 400), st.integers(1, 400)).map(lambda each: (min(each), each[1]))
deltas = st.sampled_from([0.001, 0.01, 0.025, 0.05, 0.2])
tables = st.integers(2, 4).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 60), min_size=k, max_size=k), min_size=k, max_size=k)
)


@given(counts=rates, delta=deltas)
def test_exact_limits_are_clopper_and_pearson_s(counts: tuple[int, int], delta: float) -> None:
    """Two one-sided limits at delta are the two-sided "beta" interval at 2 delta, 0 of n and n of n too."""
    bad, n = counts
    found = exact(bad, n, delta)
    assert (found.low, found.high) == pytest.approx(
        proportion_confint(bad, n, 2 * delta, method="beta"), abs=1e-9
    )


@given(counts=rates, delta=deltas)
def test_the_wilson_limit_that_is_compared_with_is_wilson_s(counts: tuple[int, int], delta: float) -> None:
    """What evals.truth calls Wilson is the upper end of the "wilson" interval: no straw man."""
    bad, n = counts
    assert float(wilson_upper(bad, n, delta)) == pytest.approx(
        proportion_confint(bad, n, 2 * delta, method="wilson")[1], abs=1e-9
    )


@given(table=tables)
def test_kappa_is_cohen_s(table: list[list[int]]) -> None:
    """Point by point, for two to four answers, empty rows and columns included."""
    counts = np.asarray(table)
    margins = counts.sum(axis=0) @ counts.sum(axis=1)
    assume(counts.sum() >= 3 and margins < counts.sum() ** 2)
    found = cohen_kappa(_confusion(counts))
    assert found.point == pytest.approx(float(their_kappa(counts).kappa), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_kappa_s_jackknife_is_as_wide_as_the_asymptotic_interval(seed: int) -> None:
    """With thousands of pairs the jackknife and Fleiss, Cohen and Everitt's variance agree within 2 %."""
    dice = np.random.default_rng(seed)
    counts = dice.multinomial(5_000, dice.dirichlet(np.ones(9))).reshape(3, 3) + 500 * np.eye(3, dtype=int)
    found, theirs = cohen_kappa(_confusion(counts), 0.025), their_kappa(counts)
    assert found.high - found.low == pytest.approx(2 * 1.96 * float(theirs.std_kappa), rel=0.02)


@settings(max_examples=50)
@given(
    ratings=st.integers(2, 5).flatmap(
        lambda raters: st.lists(
            st.lists(st.sampled_from("abc"), min_size=raters, max_size=raters), min_size=3, max_size=20
        )
    )
)
def test_krippendorff_s_alpha_follows_from_fleiss_s_kappa(ratings: list[list[str]]) -> None:
    """Without gaps alpha = 1 - (1 - kappa) (N - 1) / N for N ratings: chance drawn without putting back."""
    counts = np.asarray([[Counter(item)[each] for each in "abc"] for item in ratings])
    counts = counts[:, counts.sum(axis=0) > 0]
    assume(counts.shape[1] > 1)
    total = counts.sum()
    found = krippendorff_alpha([dict(enumerate(item)) for item in ratings])
    assert found.point == pytest.approx(1 - (1 - fleiss_kappa(counts)) * (total - 1) / total, abs=1e-9)


@given(worse=st.integers(0, 200), better=st.integers(0, 200), both=st.integers(0, 500))
def test_mcnemar_s_test_is_the_exact_one(worse: int, better: int, both: int) -> None:
    """The same p-value from the table that holds the agreeing calls as well, which say nothing."""
    theirs = their_mcnemar([[both, worse], [better, 0]], exact=True).pvalue if worse + better else 1.0
    assert mcnemar(worse, better) == pytest.approx(theirs, abs=1e-12)


@given(worse=st.integers(1, 80), better=st.integers(0, 79), both=st.integers(1, 300))
def test_tango_s_limit_is_zero_exactly_where_mcnemar_s_score_test_says_so(
    worse: int, better: int, both: int
) -> None:
    """At a difference of 0 Tango's score is McNemar's, uncorrected: a limit at half its p-value is 0."""
    assume(worse > better)
    p = float(their_mcnemar([[both, worse], [better, 0]], exact=False, correction=False).pvalue)
    assume(p > 1e-12)
    n = worse + better + both
    assert tango(worse, better, n, p / 2).low == pytest.approx(0, abs=1e-7)
    assert tango(better, worse, n, p / 2).high == pytest.approx(0, abs=1e-7)


def clustered(seed: int, calls: int, groups: int, rate: float) -> tuple[Any, Any]:
    """Return outcomes and clusters of unequal size that share a rate of their own."""
    dice = np.random.default_rng(seed)
    ids = np.minimum(dice.geometric(2 / groups, calls) - 1, groups - 1)
    own = dice.beta(rate * 2, (1 - rate) * 2, groups)
    return (dice.random(calls) < own[ids]).astype(np.float64), ids


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), calls=st.integers(30, 400), groups=st.integers(3, 25))
def test_the_estimated_design_effect_is_the_cluster_robust_variance(
    seed: int, calls: int, groups: int
) -> None:
    """Of a regression on nothing but a constant, with its usual correction for few clusters."""
    outcomes, ids = clustered(seed, calls, groups, 0.2)
    mean = outcomes.mean()
    assume(0 < mean < 1 and 1 < len(set(ids.tolist())) < calls)
    robust = sm.OLS(outcomes, np.ones(calls)).fit(cov_type="cluster", cov_kwds={"groups": ids})
    found = design_effect(outcomes, [ids.tolist()], 0.0)
    assert found.estimated == pytest.approx(float(robust.bse[0] ** 2) / (mean * (1 - mean) / calls), rel=1e-9)
    assert found.value == pytest.approx(min(max(found.estimated or 0, 1), calls))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), calls=st.integers(30, 300), kinds=st.tuples(*[st.integers(3, 20)] * 2))
def test_two_kinds_of_cluster_are_two_way_clustering_and_never_below_one_way(
    seed: int, calls: int, kinds: tuple[int, int]
) -> None:
    """Sessions and requests together: Cameron, Gelbach and Miller's variance, or a larger one-way one."""
    outcomes, first = clustered(seed, calls, kinds[0], 0.3)
    _, second = clustered(seed + 1, calls, kinds[1], 0.3)
    mean = outcomes.mean()
    assume(0 < mean < 1 and min(len(set(first.tolist())), len(set(second.tolist()))) > 1)
    fit = sm.OLS(outcomes, np.ones(calls)).fit()
    variances = [float(np.asarray(each).item()) for each in cov_cluster_2groups(fit, first, second)]
    found = design_effect(outcomes, [first.tolist(), second.tolist()], 0.0)
    assert found.estimated == pytest.approx(max(variances) / (mean * (1 - mean) / calls), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_platt_s_curve_is_a_logistic_regression_on_softened_targets(seed: int) -> None:
    """Under 200 labels, what is shown is what a binomial GLM fits to the same targets."""
    dice = np.random.default_rng(seed)
    scores = dice.uniform(0.05, 0.95, 150)
    losses = (dice.random(150) > scores).astype(np.float64)
    right, wrong = int((losses == 0).sum()), int((losses > 0).sum())
    targets = np.where(losses == 0, (right + 1) / (right + 2), 1 / (wrong + 2))
    theirs = sm.GLM(targets, sm.add_constant(logit(scores)), family=sm.families.Binomial()).fit()
    assert calibrated(scores, losses)(scores) == pytest.approx(theirs.fittedvalues, abs=1e-4)


@given(values=st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=60), delta=deltas)
def test_labels_without_predictions_give_the_normal_interval_of_a_mean(
    values: list[float], delta: float
) -> None:
    """PPI with nothing to predict from is the mean with its z-interval; without spread nothing is claimed."""
    found, power = ppi_mean(values, values, [], delta)
    assert power == 0
    if not np.ptp(values):
        assert (found.low, found.high) == (-math.inf, math.inf)
        return
    low, high = DescrStatsW(values).zconfint_mean(alpha=2 * delta)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


@settings(max_examples=40)
@given(
    scores=st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), min_size=4, max_size=40),
    seed=st.integers(0, 999),
)
def test_auroc_is_the_chance_of_superiority_in_ranks(scores: list[float], seed: int) -> None:
    """The Brunner-Munzel probability that a harmed call has the lower confidence, ties counted half."""
    harmed = np.random.default_rng(seed).random(len(scores)) < 0.4
    assume(2 <= harmed.sum() <= len(scores) - 2)
    values = np.asarray(scores)
    with np.errstate(all="ignore"):
        theirs = rank_compare_2indep(values[~harmed], values[harmed]).prob1
    assert auroc(values, harmed.astype(float)) == pytest.approx(theirs, abs=1e-12)


def _confusion(counts: Any) -> Any:
    """Return the product's table; an answer that neither side gave is not in it, which changes no kappa."""
    size = len(counts)
    return confusion(
        {
            (NAMES[i], NAMES[j]): int(counts[i][j])
            for i in range(size)
            for j in range(size)
            if counts[i][j] or i == j
        }
    )
