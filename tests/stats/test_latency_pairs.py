"""Latencies of the same calls compared: limits cover, pairs cancel shared noise, and seeds are fixed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.stats import latency_pairs
from workbench.stats.latency_pairs import compare_latencies
from workbench.stats.percentiles import nearest_rank

latencies = st.floats(0, 1e5) | st.just(math.inf)


@given(st.lists(st.tuples(latencies, latencies), min_size=1, max_size=150))
@settings(max_examples=60, deadline=None)
def test_percentiles_are_nearest_ranks_and_limits_enclose_them(pairs: list[tuple[float, float]]) -> None:
    """The same numbers as everywhere, with calls without an answer among them; never "not a number"."""
    control, candidate = [a for a, _ in pairs], [b for _, b in pairs]
    for each in compare_latencies(control, candidate, draws=60):
        assert each.control_ms.point == nearest_rank(control, each.percentile)
        assert each.candidate_ms.point == nearest_rank(candidate, each.percentile)
        for found in (each.control_ms, each.candidate_ms, each.difference_ms, each.ratio):
            assert found.low <= found.high
            assert found.point is None or found.low <= found.point <= found.high


def test_where_neither_answers_the_difference_is_unknown() -> None:
    """Both 95th percentiles are infinite: no point, and limits that leave everything open."""
    answered = [float(each) for each in range(90)]
    found = compare_latencies(answered + [math.inf] * 10, answered + [math.inf] * 10)[1]
    assert found.control_ms.point == math.inf
    assert (found.difference_ms.point, found.difference_ms.low, found.difference_ms.high) == (
        None,
        -math.inf,
        math.inf,
    )
    assert (found.ratio.point, found.ratio.low, found.ratio.high) == (None, 0, math.inf)


def test_where_chance_decides_whether_either_answers_the_limits_stay_open() -> None:
    """4 of 100 calls without an answer on both sides: finite 95th percentiles, but not their limits."""
    answered = [float(each) for each in range(96)]
    found = compare_latencies(answered + [math.inf] * 4, answered + [math.inf] * 4)[1].difference_ms
    assert (found.point, found.low, found.high) == (0, -math.inf, math.inf)


def test_a_candidate_that_does_not_answer_is_slower_without_end() -> None:
    """Its 95th percentile and the difference are infinite, while the medians compare as usual."""
    control = [100.0 + each for each in range(100)]
    found = compare_latencies(control, [50.0] * 80 + [math.inf] * 20)
    assert found[1].difference_ms.point == math.inf
    assert found[0].difference_ms.point == pytest.approx(50 - 149)
    assert found[0].difference_ms.high < 0


def test_many_calls_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part at a time gives the limits that all at once give."""
    values = np.random.default_rng(6).lognormal(6, 1.0, (2, 120))
    whole = compare_latencies(values[0], values[1], draws=300)
    monkeypatch.setattr(latency_pairs, "AT_ONCE", 1_000)
    assert compare_latencies(values[0], values[1], draws=300) == whole


def test_the_limits_cover_a_known_ratio_of_tails() -> None:
    """Over 80 worlds the 95 % interval of the ratio of 95th percentiles holds the truth in nearly all."""
    dice = np.random.default_rng(7)
    held = 0
    for run in range(80):
        control, noise = dice.lognormal(6, 0.4, 300), dice.lognormal(0, 0.1, 300)
        found = compare_latencies(control, 0.5 * control * noise, seed=run, draws=300)[1].ratio
        # The candidate is log-normal too, its spread the root of .4^2 + .1^2.
        held += found.low <= 0.5 * np.exp(1.6449 * (0.17**0.5 - 0.4)) <= found.high
    assert 70 <= held <= 80


def test_the_limits_cover_a_known_difference() -> None:
    """Over 100 worlds the 95 % interval of the difference of medians holds the truth in about 95."""
    dice = np.random.default_rng(1)
    held = 0
    for run in range(100):
        control = dice.lognormal(6, 0.4, 200)
        candidate = dice.lognormal(5.5, 0.4, 200)
        found = compare_latencies(control, candidate, seed=run, draws=400)[0].difference_ms
        held += found.low <= np.exp(5.5) - np.exp(6) <= found.high
    assert 88 <= held <= 100


def test_calls_that_are_slow_for_both_are_no_noise() -> None:
    """A candidate that takes 10 ms more on each call: the interval of the difference has no width."""
    control = np.random.default_rng(2).lognormal(6, 1.0, 400)
    found = compare_latencies(control, control + 10)
    assert all(abs((each.difference_ms.point or 0) - 10) < 1e-6 for each in found)
    assert found[0].difference_ms.high - found[0].difference_ms.low < 1e-6
    assert found[0].control_ms.high - found[0].control_ms.low > 20


def test_the_same_calls_always_give_the_same_limits() -> None:
    """The seed is fixed, so that a report can be made again."""
    values = np.random.default_rng(3).lognormal(6, 1.0, (2, 150))
    assert compare_latencies(values[0], values[1]) == compare_latencies(values[0], values[1])


def test_a_percentile_with_few_calls_beyond_it_is_as_wide_as_what_was_seen() -> None:
    """99 of 100 rests on one call: no interval narrower than the extremes is claimed."""
    values = np.random.default_rng(4).lognormal(6, 1.0, (2, 100))
    found = compare_latencies(values[0], values[1])[-1]
    assert found.percentile == 0.99
    assert found.candidate_ms.low == values[1].min()
    assert found.candidate_ms.high == values[1].max()


def test_calls_without_both_latencies_are_left_out_and_lengths_must_agree() -> None:
    """NaN stands for no latency; another number of calls is a mistake."""
    found = compare_latencies([1.0, float("nan"), 3.0], [2.0, 2.0, 2.0])
    assert found[0].control_ms.n == 2
    with pytest.raises(ValueError, match="not of the same calls"):
        compare_latencies([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="no call has both"):
        compare_latencies([float("nan"), 1.0], [1.0, float("nan")])
    with pytest.raises(ValueError, match="negative"):
        compare_latencies([-1.0], [1.0])
