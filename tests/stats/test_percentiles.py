"""Percentiles of latencies: limits that hold, and none where there is too little to say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.stats.percentiles import nearest_rank, percentile


def test_nearest_rank_is_the_standard_definition() -> None:
    """The ceil(q n)-th smallest value; infinite where that call got no answer."""
    values = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert [nearest_rank(values, q) for q in (0.05, 0.3, 0.4, 0.5, 1.0)] == [15, 20, 20, 35, 50]
    assert nearest_rank([], 0.5) is None
    assert nearest_rank([1.0] * 9 + [math.inf], 0.95) == math.inf


def test_fewer_than_59_calls_give_no_upper_end_of_the_95th() -> None:
    """0.95 ** 58 is still above 5 %: the largest of 58 may well lie below the 95th percentile."""
    values = [float(each) for each in np.random.default_rng(0).permutation(59)]
    assert percentile(values[:58], 0.95, 0.05).high == math.inf
    assert percentile([1.0] * 58 + [2.0] * 242, 0.5, 0.05).high == 2.0


def _queue(generator: np.random.Generator, n: int, load: float) -> list[float]:
    gaps, services = generator.exponential(1 / load, n), generator.exponential(size=n)
    wait, found = 0.0, []
    for gap, service in zip(gaps, services, strict=True):
        wait = max(wait - gap, 0.0) + service
        found.append(wait)
    return found


@pytest.mark.parametrize(("n", "load", "least"), [(100, 0.0, 0.95), (300, 0.0, 0.95), (300, 0.5, 0.88)])
def test_the_upper_end_holds_in_a_simulation_with_known_truth(n: int, load: float, least: float) -> None:
    """Independent calls, and calls behind each other in an M/M/1 queue that is half busy."""
    generator = np.random.default_rng(7)
    # Of an M/M/1 queue the time in the system is exponential with rate 1 - load.
    truth = math.log(20) / (1 - load)
    held = 0
    for _ in range(300):
        values = _queue(generator, n, load) if load else generator.exponential(size=n).tolist()
        found = percentile(values, 0.95, 0.05)
        held += found.high >= truth
        assert found.low <= (found.point or 0.0) <= found.high
    assert held / 300 >= least


def test_calls_that_are_slow_together_are_worth_fewer() -> None:
    """Five slow calls in one burst are one event; spread out they are five."""
    fast = [1.0] * 285
    together = percentile([*fast[:140], *[9.0] * 15, *fast[140:]], 0.94, 0.05)
    spread = percentile([9.0 if index % 20 == 7 else 1.0 for index in range(300)], 0.94, 0.05)
    assert together.n_effective < spread.n_effective / 3
    assert together.high == math.inf
