"""Drift: delay and false alarms of the detector, and two tests of one window against another."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from workbench.stats.content import told_apart, two_sample
from workbench.stats.drift import EDetector
from workbench.stats.mix import moved_share, population_stability


def evidence_by_definition(outcomes: list[float], p0: float) -> float:
    """Return the mean over four rates of the sum over all starts of the likelihood ratio since then."""
    found = []
    for factor in (1.5, 2, 3, 5):
        p1 = min(factor * p0, 0.999)
        ratios = [(p1 / p0) ** x * ((1 - p1) / (1 - p0)) ** (1 - x) for x in outcomes]
        found.append(sum(math.prod(ratios[start:]) for start in range(len(ratios))))
    return sum(found) / 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25), st.floats(0.01, 0.9))
@settings(max_examples=80, deadline=None)
def test_the_evidence_is_the_sum_over_all_moments_at_which_the_rise_may_have_begun(
    outcomes: list[float], p0: float
) -> None:
    """After every call the value is that sum, for outcomes between 0 and 1 too."""
    detector = EDetector(p0, alarm_at=math.inf)
    for n, outcome in enumerate(outcomes, 1):
        assert not detector.observe(outcome)
        assert detector.value == pytest.approx(evidence_by_definition(outcomes[:n], p0), rel=1e-9)


@pytest.mark.parametrize("outcome", [float("nan"), -0.1, 1.1])
def test_an_outcome_outside_0_to_1_is_refused(outcome: float) -> None:
    """A missing outcome is not taken for a good one, and the evidence stays as it was."""
    detector = EDetector(0.05)
    detector.observe(1.0)
    before = detector.value
    with pytest.raises(ValueError, match=r"not in 0\.\.1"):
        detector.observe(outcome)
    assert (detector.value, detector.calls) == (before, 1)


def test_false_alarms_are_rare_and_a_doubling_is_seen_in_some_hundred_calls() -> None:
    """At the evaluated rate of 5 % over 10,000 calls pass between alarms; a doubling takes about 200."""
    dice = np.random.default_rng(1)
    calls = 120_000
    alarms = EDetector(0.05).run(dice.random(calls) < 0.05)
    assert 1 <= len(alarms) <= calls / 10_000
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
    """M - n is a supermartingale: over 600 runs of 300 calls its mean stays below 300."""
    dice = np.random.default_rng(4)
    values = []
    for _ in range(600):
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


def test_stability_is_its_formula_and_its_p_value_that_of_all_permutations() -> None:
    """With two values the permutations are hypergeometric, so that the p-value can be counted out."""
    before, after = (70, 30), (25, 25)

    def index(first: tuple[int, int], second: tuple[int, int]) -> float:
        a, b = ([(each + 0.5) / (sum(side) + 1) for each in side] for side in (first, second))
        return sum((x - y) * math.log(x / y) for x, y in zip(a, b, strict=True))

    value = index(before, after)
    exact = sum(
        hypergeom.pmf(k, 150, 95, 100)
        for k in range(45, 96)
        if index((k, 100 - k), (95 - k, k - 45)) >= value - 1e-12
    )
    found = population_stability(
        dict(zip("ab", before, strict=True)), dict(zip("ab", after, strict=True)), permutations=4_999
    )
    assert found.value == pytest.approx(value)
    assert found.p_value == pytest.approx(exact, abs=0.005)


def test_the_same_seed_gives_the_same_p_values() -> None:
    """A report can be made again."""
    dice = np.random.default_rng(7)
    first, second = dice.normal(size=(40, 3)), dice.normal(size=(30, 3)) + 0.4
    assert two_sample(first, second, seed=3) == two_sample(first, second, seed=3)
    mixes = ({"a": 60, "b": 40}, {"a": 30, "b": 40})
    assert population_stability(*mixes, seed=3) == population_stability(*mixes, seed=3)


def test_the_classifier_sees_a_shift_by_chance_as_often_as_its_p_value_says() -> None:
    """Of 150 pairs of windows from one cloud p is at most .1 in about a tenth."""
    dice = np.random.default_rng(8)
    small = 0
    for run in range(150):
        cloud = dice.normal(size=(70, 6))
        small += two_sample(cloud[:40], cloud[40:], seed=run, permutations=49).p_value <= 0.1
    assert 0.03 <= small / 150 <= 0.18


def test_calls_are_guessed_from_other_calls() -> None:
    """In many dimensions one cloud has a value near a half: nobody is told from what he was learnt on."""
    dice = np.random.default_rng(10)
    values = [two_sample(*dice.normal(size=(2, 30, 40)), permutations=1).value for _ in range(20)]
    assert 0.42 <= np.mean(values) <= 0.58


def test_windows_that_lie_apart_are_told_apart_every_time() -> None:
    """In one dimension, far apart: nothing is mistaken, and no permutation does as well."""
    dice = np.random.default_rng(9)
    found = two_sample(dice.normal(size=(60, 1)), dice.normal(size=(20, 1)) + 50)
    assert (found.value, found.p_value) == (1, 1 / 200)


def test_windows_that_can_not_be_compared_are_refused() -> None:
    """Too few calls, another dimension, a missing value, an empty mix: each with its reason."""
    some = np.ones((10, 3))
    with pytest.raises(ValueError, match="at least 5 calls"):
        two_sample(some[:4], some)
    with pytest.raises(ValueError, match="can't be compared"):
        two_sample(some, some[:, :2])
    with pytest.raises(ValueError, match="missing or infinite"):
        two_sample(some, some * np.nan)
    with pytest.raises(ValueError, match="without calls"):
        population_stability({"a": 3}, {})
    assert two_sample(some, some).p_value == 1


def test_one_call_in_twenty_is_told_apart_where_nothing_is_new() -> None:
    """Whatever the sizes of the windows and the dimension of the embeddings."""
    dice = np.random.default_rng(5)
    for n, m, d in ((200, 200, 120), (400, 60, 8), (60, 400, 40)):
        windows = [(dice.normal(size=(n, d)), dice.normal(size=(m, d))) for _ in range(8)]
        marks = [told_apart(*each) for each in windows]
        assert 0.02 < np.mean(marks) < 0.10, (n, m, d)


def test_a_new_topic_in_some_of_the_calls_is_told_apart_from_the_rest() -> None:
    """A twentieth of the calls lie elsewhere: most of them are found, and few of the others."""
    dice = np.random.default_rng(6)
    before, after = dice.normal(size=(400, 64)), dice.normal(size=(600, 64))
    after[:30] += 1.2
    marks = told_apart(before, after, seed=1)
    assert marks.shape == (600,)
    assert marks[:30].mean() > 0.8
    assert marks[30:].mean() < 0.1
    assert (marks == told_apart(before, after, seed=1)).all()
    with pytest.raises(ValueError, match="at least 5 calls"):
        told_apart(before, after[:3])


def test_the_share_of_calls_that_moved_is_what_a_mean_can_change_by() -> None:
    """Half of the summed differences, in either direction; nothing moves where the mix is the same."""
    before, after = {"a": 60, "b": 30, "c": 10}, {"a": 50, "b": 30, "d": 20}
    assert moved_share(before, after) == pytest.approx(0.2)
    assert moved_share(after, before) == pytest.approx(0.2)
    assert moved_share(before, {name: 7 * n for name, n in before.items()}) == pytest.approx(0.0)
    assert moved_share({"a": 1}, {"b": 1}) == 1.0
    for worst in ({"a": 0.0, "b": 0.0, "c": 0.0, "d": 1.0}, {"a": 0.3, "b": 0.9, "c": 0.1, "d": 0.6}):
        old = sum(worst[name] * n for name, n in before.items()) / 100
        new = sum(worst[name] * n for name, n in after.items()) / 100
        assert new - old <= moved_share(before, after) + 1e-12
    with pytest.raises(ValueError, match="without calls"):
        moved_share({}, after)
    with pytest.raises(ValueError, match="-1"):
        moved_share({"a": -1}, after)
