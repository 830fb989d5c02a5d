"""Latencies of the same calls compared: limits cover, pairs cancel shared noise, and seeds are fixed."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.stats.latency_pairs import compare_latencies


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
