"""The mix of the traffic behind a log: by what is known of how likely each call was logged."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.stats.mix import moved_share, population_stability
from workbench.stats.weighted_mix import TrafficMix, traffic_mix

NAMES = np.asarray(["de", "en", "fr"])
SHARES = np.asarray([0.2, 0.7, 0.1])
RUNS = 200


def logged(dice: np.random.Generator, calls: int, rates: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return what is logged of so many calls, at a rate by language, and each call's rate."""
    drawn = dice.choice(3, calls, p=SHARES)
    kept = drawn[dice.random(calls) < rates[drawn]]
    return NAMES[kept].tolist(), rates[kept]


def small(p_values: list[float], limit: float = 0.1) -> float:
    return float(np.mean([each <= limit for each in p_values]))


def test_calls_logged_alike_count_as_they_are() -> None:
    """Whatever the one rate: shares and calls are those of the log."""
    values = ["de"] * 3 + ["en"] * 7
    plain = TrafficMix({"de": 0.3, "en": 0.7}, {"de": 3, "en": 7})
    assert traffic_mix(values) == plain
    assert traffic_mix(values, np.full(10, 0.02)) == plain
    assert traffic_mix(values, sessions=[None] * 10, icc=0.5) == plain


def test_each_call_stands_for_as_many_as_were_not_logged() -> None:
    """Fifty calls at 1 % are five thousand of the traffic, and tell as much as sixty would."""
    mix = traffic_mix(["en"] * 50 + ["de"] * 1_000, np.repeat([0.01, 1.0], [50, 1_000]))
    assert mix.shares == pytest.approx({"en": 5_000 / 6_000, "de": 1_000 / 6_000})
    assert mix.calls == {"en": 50, "de": 10}


def test_a_session_counts_by_how_alike_its_calls_are() -> None:
    """Sessions of one value each tell as much as one call of each; mixed ones as the plan has them."""
    sessions = [number // 10 for number in range(400)]
    alike = traffic_mix([str(each % 2) for each in sessions], sessions=sessions)
    assert sum(alike.calls.values()) == pytest.approx(40, abs=1)
    mixed = [str(number % 2) for number in range(400)]
    assert sum(traffic_mix(mixed, sessions=sessions).calls.values()) == 400
    assert sum(traffic_mix(mixed, sessions=sessions, icc=0.05).calls.values()) == int(400 / 1.45)
    assert sum(traffic_mix(["0"] * 400, sessions=sessions).calls.values()) == 40


def test_a_change_of_what_is_logged_is_no_change_of_the_traffic() -> None:
    """Once everything was logged, now a tenth of the commonest language: weighed, nothing moved."""
    weighed, plain = [], []
    for run in range(RUNS):
        dice = np.random.default_rng([1, run])
        before, later = logged(dice, 600, np.ones(3)), logged(dice, 900, np.asarray([1.0, 0.1, 1.0]))
        mixes = [traffic_mix(*each) for each in (before, later)]
        weighed.append(population_stability(mixes[0].calls, mixes[1].calls, seed=run, level=0.01).p_value)
        counts = [traffic_mix(each).calls for each, _ in (before, later)]
        plain.append(population_stability(*counts, seed=run, level=0.01).p_value)
    assert small(weighed) <= 0.1 + 3 * np.sqrt(0.09 / RUNS)
    assert small(plain) == 1.0


def test_a_value_that_was_seldom_logged_is_not_new_when_it_is_logged_fully() -> None:
    """One in a hundred of French calls was logged, and often none: its absence is no evidence."""
    found = []
    for run in range(RUNS):
        dice = np.random.default_rng([2, run])
        before = logged(dice, 20_000, np.asarray([0.01, 0.02, 0.01]))
        later = logged(dice, 600, np.ones(3))
        mixes = [traffic_mix(*each) for each in (before, later)]
        found.append(population_stability(mixes[0].calls, mixes[1].calls, seed=run, level=0.01).p_value)
    assert small(found) <= 0.1 + 3 * np.sqrt(0.09 / RUNS)


def test_sessions_do_not_make_a_shift() -> None:
    """Forty sessions of unequal length in one language each, in either window: as seldom as p says."""
    found, by_call = [], []
    for run in range(RUNS):
        dice = np.random.default_rng([3, run])
        sides = []
        for _ in range(2):
            sizes = dice.integers(1, 20, 40)
            values = np.repeat(dice.choice(NAMES, 40, p=SHARES), sizes).tolist()
            sides.append((values, np.repeat(np.arange(40), sizes).tolist()))
        mixes = [traffic_mix(values, sessions=sessions, icc=0.05).calls for values, sessions in sides]
        found.append(population_stability(*mixes, seed=run, level=0.01).p_value)
        plain = [traffic_mix(values).calls for values, _ in sides]
        by_call.append(population_stability(*plain, seed=run, level=0.01).p_value)
    assert small(found, 0.05) <= 0.05 + 3 * np.sqrt(0.0475 / RUNS)
    assert small(by_call, 0.05) > 0.5


def test_a_shift_of_the_traffic_is_seen_through_the_rates() -> None:
    """The log shows the same counts; weighed by their rates, another language took over."""
    values = ["de"] * 200 + ["en"] * 200
    before = traffic_mix(values, np.repeat([0.1, 0.5], 200))
    later = traffic_mix(values, np.repeat([0.5, 0.1], 200))
    assert moved_share(before.shares, later.shares) == pytest.approx(2 / 3)
    assert population_stability(before.calls, later.calls, level=0.001).p_value <= 0.001


def test_what_is_no_sample_is_refused() -> None:
    """No call, a rate of none, sequences that don't belong together: each with its reason."""
    with pytest.raises(ValueError, match="no mix"):
        traffic_mix([])
    with pytest.raises(ValueError, match="probability 0"):
        traffic_mix(["a", "b"], [0.5, 0.0])
    with pytest.raises(ValueError, match="belong together"):
        traffic_mix(["a", "b"], [0.5])
    with pytest.raises(ValueError, match="belong together"):
        traffic_mix(["a", "b"], sessions=["s"])
    with pytest.raises(ValueError, match="a rate"):
        traffic_mix(["a", "b"], [0.5, 1.5])
