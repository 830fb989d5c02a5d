"""Prediction-powered estimates: unbiased whatever the predictor, narrower with a good one, else refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from workbench.stats.cluster import design_effect
from workbench.stats.prediction import ppi_mean, predicted_harm

Floats = NDArray[np.float64]


def world(dice: np.random.Generator, n: int, skill: float) -> tuple[Floats, Floats]:
    """Return outcomes at a rate of 10 %, and a predictor that knows them with some skill and is biased up."""
    y = (dice.random(n) < 0.10).astype(float)
    noise = dice.random(n)
    return y, np.clip(skill * y + (1 - skill) * noise + 0.15, 0, 1)


def test_without_other_calls_it_is_the_plain_mean() -> None:
    """The predictor can say nothing: mean and normal interval of the labels alone."""
    y = np.asarray([0.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    found, power = ppi_mean(y, y, [], 0.05)
    assert power == 0
    assert found.point == pytest.approx(y.mean())
    assert found.high - (found.point or 0) == pytest.approx(1.6449 * y.std(ddof=1) / 6**0.5, rel=1e-3)


def test_a_biased_predictor_does_not_bias_and_a_good_one_narrows() -> None:
    """Over 400 worlds the interval covers at its level; with skill it is narrower than labels alone."""
    dice = np.random.default_rng(7)
    covered, widths, plain = 0, [], []
    for _ in range(400):
        y, f = world(dice, 4_000, 0.8)
        labels = dice.permutation(4_000)[:400]
        rest = np.setdiff1d(np.arange(4_000), labels)
        found, _ = ppi_mean(y[labels], f[labels], f[rest], 0.025)
        alone, _ = ppi_mean(y[labels], f[labels], [], 0.025)
        covered += found.low <= 0.10 <= found.high
        widths.append(found.high - found.low)
        plain.append(alone.high - alone.low)
        assert found.n_effective >= 400
    assert 0.92 <= covered / 400 <= 0.98
    assert np.mean(widths) < 0.7 * np.mean(plain)


def test_calls_that_come_in_sessions_cover_at_the_level_by_their_design_effect() -> None:
    """Sessions of ten, correlation .25: taken for independent, a quarter of the intervals would miss."""
    dice = np.random.default_rng(11)
    missed = naive = 0
    ids = np.repeat(np.arange(40), 10)
    for _ in range(200):
        chances = np.repeat(dice.beta(0.3, 2.7, 300), 10)
        y = (dice.random(3_000) < chances).astype(float)
        f = np.clip(0.3 * y + 0.4 * dice.random(3_000), 0, 1)
        effect = design_effect(y[:400], [ids], 0.05).value
        found, alone = (ppi_mean(y[:400], f[:400], f[400:], 0.025, deff=each)[0] for each in (effect, 1.0))
        missed += not found.low <= 0.10 <= found.high
        naive += not alone.low <= 0.10 <= alone.high
        assert found.n_effective == pytest.approx(alone.n_effective / effect)
    assert missed / 200 < 0.10
    assert naive / 200 > 0.18


def test_a_predictor_without_information_is_ignored() -> None:
    """Lambda is near 0 and the interval that of the labels."""
    dice = np.random.default_rng(3)
    y = (dice.random(400) < 0.2).astype(float)
    found, power = ppi_mean(y, dice.random(400), dice.random(4_000), 0.025)
    alone, _ = ppi_mean(y, y, [], 0.025)
    assert power < 0.15
    assert found.high - found.low <= (alone.high - alone.low) * 1.02


def test_draw_weights_undo_a_queue_that_aims_at_harm() -> None:
    """Labels drawn three times as often where harm is are weighted back to the traffic."""
    dice = np.random.default_rng(9)
    y, f = world(dice, 60_000, 0.7)
    odds = np.where(y > 0, 3.0, 1.0)
    chance = odds / odds.sum()
    drawn = dice.choice(60_000, 3_000, p=chance)
    found, _ = ppi_mean(y[drawn], f[drawn], f, 0.005, weights=1 / (60_000 * chance[drawn]))
    assert found.low <= y.mean() <= found.high
    biased, _ = ppi_mean(y[drawn], f[drawn], [], 0.005)
    assert biased.low > y.mean()


@pytest.mark.parametrize(("labels", "harms", "word"), [(299, 50, "300"), (400, 9, "9 harms")])
def test_too_few_labels_or_harms_give_a_reason_instead(labels: int, harms: int, word: str) -> None:
    """Where the normal interval is known to cover too rarely there is no estimate."""
    y = np.zeros(labels)
    y[:harms] = 1
    found = predicted_harm(y, y, np.zeros(1_000), 0.05)
    assert found.estimate is None
    assert word in found.reason


def test_lengths_must_agree() -> None:
    """A prediction short is a mistake of the caller."""
    with pytest.raises(ValueError, match="put together"):
        ppi_mean([0, 1, 1], [0, 1], [0.5], 0.05)


@pytest.mark.parametrize("weighted", [False, True])
def test_lambda_makes_the_interval_as_narrow_as_it_gets(weighted: bool) -> None:
    """A plain search over lambda finds no smaller variance than the tuned one."""
    dice = np.random.default_rng(12)
    y, f = world(dice, 500, 0.3)
    w = dice.choice([0.5, 1.5], 500) if weighted else np.ones(500)
    others = world(dice, 900, 0.3)[1]

    def variance(power: float) -> float:
        return float(np.var(w * (y - power * f), ddof=1) / 500 + power**2 * np.var(others, ddof=1) / 900)

    found, power = ppi_mean(y, f, others, 0.025, weights=w)
    best = minimize_scalar(variance, bounds=(0, 1), method="bounded", options={"xatol": 1e-9})
    assert power == pytest.approx(best.x, abs=1e-5)
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * best.fun**0.5, rel=1e-6)
    if not weighted:
        published = np.cov(y, f)[0, 1] / ((1 + 500 / 900) * np.var(np.r_[f, others], ddof=1))
        assert power == pytest.approx(published, rel=0.05)


def test_weighted_labels_cover_at_the_level() -> None:
    """Over 300 queues that aim at harm the two-sided 95 % interval holds the true rate in about 95 of 100."""
    dice = np.random.default_rng(13)
    y, f = world(dice, 20_000, 0.5)
    odds = np.where(f > np.median(f), 2.0, 1.0)
    chance = odds / odds.sum()
    held = 0
    for _ in range(300):
        drawn = dice.choice(20_000, 500, p=chance)
        found, _power = ppi_mean(y[drawn], f[drawn], f, 0.025, weights=1 / (20_000 * chance[drawn]))
        held += found.low <= y.mean() <= found.high
    assert 0.91 <= held / 300 <= 0.985


def test_one_other_call_is_as_good_as_none() -> None:
    """Its spread is not known, so that the labels speak alone."""
    dice = np.random.default_rng(14)
    y, f = world(dice, 400, 0.8)
    assert ppi_mean(y, f, [0.9], 0.025) == ppi_mean(y, f, [], 0.025)


@pytest.mark.parametrize("where", ["outcome", "prediction", "other", "weight"])
def test_a_missing_value_is_refused_instead_of_making_an_estimate_that_is_no_number(where: str) -> None:
    """NaN anywhere is a mistake of the caller, and is said to be one."""
    values = {"outcome": np.r_[np.ones(20), np.zeros(380)], "prediction": np.full(400, 0.5)}
    values |= {"other": np.full(50, 0.5), "weight": np.ones(400)}
    values[where][-1] = np.nan
    with pytest.raises(ValueError, match="missing"):
        predicted_harm(
            values["outcome"], values["prediction"], values["other"], 0.05, weights=values["weight"]
        )
