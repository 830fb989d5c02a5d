"""The bound on weighted draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from workbench.stats import bounds, weighted

DELTA = 0.05


@pytest.mark.parametrize(("bad", "n"), [(0, 74), (6, 500), (40, 1000), (9, 60)])
def test_equal_weights_agree_with_the_unweighted_bound(bad: int, n: int) -> None:
    found = weighted.upper([1.0, 0.0], DELTA, counts=[bad, n - bad])
    assert found == pytest.approx(bounds.anytime_upper(bad, n, DELTA), abs=0.001)
    found = weighted.lower([1.0, 0.0], DELTA, counts=[bad, n - bad])
    assert found == pytest.approx(bounds.anytime_lower(bad, n, DELTA), abs=0.006)


def test_seventy_four_clean_draws_prove_five_percent() -> None:
    assert weighted.upper([0.0] * 74, DELTA) == pytest.approx(0.0498, abs=0.0001)


def test_one_rare_heavy_stratum_keeps_the_bound_wide() -> None:
    light = 0.07 / 0.95
    found = weighted.upper([light] * 20 + [0.0] * 80, DELTA, weight_max=0.93 / 0.05)
    assert found == pytest.approx(0.70, abs=0.01)


def test_no_draws_say_nothing() -> None:
    assert weighted.upper([], DELTA) == 1.0
    assert weighted.lower([], DELTA) == 0.0


def test_a_loss_above_the_largest_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        weighted.upper([1.3], DELTA, weight_max=1.25)


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.3, 1.0, 1.25]), min_size=1, max_size=80), st.integers(0, 79))
def test_a_larger_loss_never_lowers_a_bound(losses: list[float], place: int) -> None:
    """Both bounds rise with every loss and enclose the mean."""
    worse = list(losses)
    worse[place % len(losses)] = 1.25
    first, second = (weighted.upper(each, DELTA, weight_max=1.25) for each in (losses, worse))
    assert first <= second + 1e-9
    low, lower = (weighted.lower(each, DELTA, weight_max=1.25) for each in (losses, worse))
    assert low <= lower + 1e-9
    assert low - 1e-9 <= np.mean(losses) <= first + 1e-9


def test_a_design_effect_works_like_fewer_draws() -> None:
    clustered = weighted.upper([0.0], DELTA, counts=[148], deff=2.0)
    assert clustered == pytest.approx(weighted.upper([0.0] * 74, DELTA), abs=1e-9)


def test_the_size_needed_brings_the_bound_down() -> None:
    n = weighted.size_needed([0.0, 1.0], 0.06, DELTA, counts=[97, 3])
    assert n is not None
    assert weighted.upper([0.0, 1.0], DELTA, counts=[0.97 * n, 0.03 * n]) <= 0.06
    assert weighted.upper([0.0, 1.0], DELTA, counts=[0.97 * (n - 1), 0.03 * (n - 1)]) > 0.06
    assert weighted.size_needed([0.0, 1.0], 0.05, DELTA, counts=[95, 5]) is None


def test_an_adaptive_weighted_queue_errs_no_more_than_promised() -> None:
    """Of 400 queues of 600 draws that aim at mismatches, at most 5 % ever exclude the true harm."""
    rng = np.random.default_rng(7)
    share, harm_mismatch, harm_match, largest = 0.1, 0.35, 0.01, 1.25
    truth = share * harm_mismatch + (1 - share) * harm_match
    aimed = 0.8 * share + 0.2
    mismatch = rng.random((400, 600)) < aimed
    harmful = rng.random((400, 600)) < np.where(mismatch, harm_mismatch, harm_match)
    weight = np.where(mismatch, share / aimed, 1.25)
    losses = weight * harmful
    caution = ((np.arange(64) + 0.5) / 64) ** 2
    growth = np.zeros((400, 600))
    products = [np.cumsum(np.log1p((1 - u) / (largest - truth) * (truth - losses)), axis=1) for u in caution]
    growth = np.logaddexp.reduce(products, axis=0) - math.log(64)
    wrong = (growth >= -math.log(DELTA)).any(axis=1)
    assert wrong.mean() <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / 400)
    for run in (0, 1):
        ends = weighted.upper(losses[run], DELTA, weight_max=largest)
        assert (ends < truth) == (growth[run, -1] >= -math.log(DELTA))


@settings(deadline=None)
@given(
    st.floats(1e-6, 1 - 1e-9),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 10**7)), min_size=1, max_size=6),
    st.floats(1, 20),
)
def test_evidence_is_the_mean_of_the_bets_however_large_they_grow(
    mean: float, draws: list[tuple[float, int]], deff: float
) -> None:
    """Its log is that of an independent log-sum-exp, also where the bets themselves are beyond any float."""
    losses, counts = (np.array(each, dtype=float) for each in zip(*draws, strict=True))
    caution = ((np.arange(weighted.BETS) + 0.5) / weighted.BETS) ** 2
    bets = [np.sum(counts * np.log1p((1 - each) * (mean - losses) / (1 - mean))) / deff for each in caution]
    expected = logsumexp(bets) - math.log(weighted.BETS)
    found = weighted.log_evidence(mean, losses, counts, 1.0, deff)
    assert math.isfinite(found)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
