"""Design effects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.stats.cluster import NO_EFFECT, design_effect, numbered


def test_calls_without_shared_clusters_count_in_full() -> None:
    assert design_effect([0, 1, 0], [[None, None, None], ["a", "b", "c"]], 0.05) == NO_EFFECT
    assert design_effect([], [[]], 0.05) == NO_EFFECT


def test_without_anything_bad_the_planned_effect_is_used() -> None:
    sessions = [f"s{i // 10}" for i in range(100)]
    found = design_effect([0] * 100, [sessions], 0.05)
    assert (found.used, found.estimated, found.clusters) == ("planned", None, 10)
    assert found.value == pytest.approx(1 + 9 * 0.05)


def test_whole_sessions_that_fail_count_as_one() -> None:
    """The estimated effect follows the formula G/(G-1) sum (sum residuals)^2 / (n p (1-p))."""
    sessions = [f"s{i // 10}" for i in range(400)]
    outcomes = [int(i // 10 % 4 == 0) for i in range(400)]
    found = design_effect(outcomes, [sessions], 0.05)
    assert found.used == "estimated"
    assert found.value == pytest.approx(10 * 40 / 39)


def test_unequal_clusters_weigh_by_size() -> None:
    sessions = ["big"] * 30 + [f"s{i}" for i in range(10)]
    found = design_effect([0] * 40, [sessions], 0.1)
    assert found.planned == pytest.approx(1 + ((900 + 10) / 40 - 1) * 0.1)


def test_nested_kinds_of_cluster_are_not_counted_twice() -> None:
    sessions = [f"s{i // 10}" for i in range(100)]
    assert design_effect([0] * 100, [sessions, sessions], 0.05).value == pytest.approx(1.45)


def test_two_crossed_kinds_add_up() -> None:
    """Two-way clustering: each kind's part adds, less that of their intersection."""
    sessions = [f"s{i // 10}" for i in range(100)]
    requests = [f"r{i % 20}" for i in range(100)]
    found = design_effect([0] * 100, [sessions, requests], 0.05)
    assert found.value == pytest.approx(1 + (9 + 4) * 0.05)


def test_corrected_bounds_cover_clustered_outcomes() -> None:
    """With intra-class correlation .25, dividing by the effect restores most of the lost coverage."""
    from workbench.stats.bounds import exact_upper

    rng = np.random.default_rng(3)
    sessions = [f"s{i // 10}" for i in range(600)]
    plain = corrected = 0
    for _ in range(200):
        rates = rng.beta(0.1 * 3, 0.9 * 3, 60)
        outcomes = (rng.random((60, 10)) < rates[:, None]).astype(int).ravel()
        bad, deff = float(outcomes.sum()), design_effect(outcomes, [sessions], 0.05).value
        plain += exact_upper(bad, 600, 0.05) >= 0.1
        corrected += exact_upper(bad / deff, 600 / deff, 0.05) >= 0.1
    assert plain / 200 < 0.90
    assert corrected / 200 > 0.90


@given(st.lists(st.integers(0, 9) | st.sampled_from((10**6, 10**12))))
def test_numbers_of_a_larger_set_are_counted_anew_like_any_other_key(keys: list[int]) -> None:
    assert numbered(np.asarray(keys, dtype=np.int64)).tolist() == numbered(keys).tolist()
