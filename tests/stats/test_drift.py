"""Drift: delay and false alarms of the detector, and two tests of one window against another."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.stats.drift import EDetector, population_stability, two_sample


def test_false_alarms_are_rare_and_a_doubling_is_seen_in_some_hundred_calls() -> None:
    """At the evaluated rate of 5 % over 10,000 calls pass between alarms; a doubling takes about 200."""
    dice = np.random.default_rng(1)
    calls = 120_000
    alarms = EDetector(0.05).run(dice.random(calls) < 0.05)
    assert len(alarms) <= calls / 10_000
    delays = []
    for _ in range(60):
        detector = EDetector(0.05)
        while not detector.observe(float(dice.random() < 0.10)):
            pass
        delays.append(detector.calls)
    assert 120 <= np.mean(delays) <= 300


def test_an_upper_bound_as_the_rate_makes_it_slower_and_safer() -> None:
    """With .062 for a true 5 % a doubling takes longer, and far more calls pass between false alarms."""
    dice = np.random.default_rng(2)
    assert len(EDetector(0.062).run(dice.random(100_000) < 0.05)) <= 3
    delays = []
    for _ in range(40):
        detector = EDetector(0.062)
        while not detector.observe(float(dice.random() < 0.10)):
            pass
        delays.append(detector.calls)
    assert 250 <= np.mean(delays) <= 550


def test_the_mean_evidence_never_exceeds_the_number_of_calls_without_drift() -> None:
    """M - n is a supermartingale: over 2,000 runs of 300 calls its mean stays below 300."""
    dice = np.random.default_rng(4)
    values = []
    for _ in range(2_000):
        detector = EDetector(0.05, alarm_at=float("inf"))
        detector.run(dice.random(300) < 0.05)
        values.append(detector.value)
    assert np.mean(values) <= 300 + 3 * np.std(values) / len(values) ** 0.5


def test_after_an_alarm_the_detector_starts_anew() -> None:
    """It alarms once for a rise and again only after as much new evidence; calls count on."""
    detector = EDetector(0.05)
    assert detector.run([1.0] * 4) == []
    first = detector.run([1.0] * 20)
    assert first
    assert first[0] > 4
    assert len(detector.alarms) > 1
    assert detector.alarms[1] - detector.alarms[0] >= first[0]


@pytest.mark.parametrize("p0", [0.0, 1.0])
def test_a_rate_without_room_above_it_can_not_be_watched(p0: float) -> None:
    """0 and 1 are refused with a reason."""
    with pytest.raises(ValueError, match="can't be watched"):
        EDetector(p0)


def test_stability_is_zero_for_the_same_mix_and_its_p_value_is_uniform() -> None:
    """Two windows of one mix differ by chance alone: p under .1 in about a tenth of them."""
    dice = np.random.default_rng(5)
    assert population_stability({"de": 500, "fr": 500}, {"de": 500, "fr": 500}).value == pytest.approx(0)
    small = 0
    for run in range(200):
        first, second = dice.multinomial(300, (0.6, 0.3, 0.1), 2)
        names = ("de", "fr", "ja")
        found = population_stability(
            dict(zip(names, map(int, first), strict=True)),
            dict(zip(names, map(int, second), strict=True)),
            seed=run,
            permutations=199,
        )
        small += found.p_value <= 0.1
    assert 0.04 <= small / 200 <= 0.17


def test_a_changed_mix_is_seen() -> None:
    """A language that grows from 5 to 20 % stands out, and so does one never seen before."""
    grown = population_stability({"de": 950, "ja": 50}, {"de": 400, "ja": 100})
    assert grown.p_value < 0.01
    new = population_stability({"de": 1_000}, {"de": 450, "ko": 50})
    assert new.p_value < 0.01
    assert np.isfinite(new.value)


def test_the_classifier_tells_shifted_embeddings_and_not_equal_ones() -> None:
    """Vectors around another centre are told apart; two samples of one cloud are not."""
    dice = np.random.default_rng(6)
    cloud = dice.normal(size=(240, 8))
    same = two_sample(cloud[:120], cloud[120:], seed=1)
    moved = two_sample(cloud[:120], cloud[120:] + 0.8, seed=1)
    assert same.p_value > 0.05
    assert moved.p_value <= 0.01
    assert moved.value > 0.7
