"""Which calls are replayed and which people look at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.records import Verdict
from workbench.sampling import (
    WEIGHT_MAX,
    Exhausted,
    PoolItem,
    QueueDraw,
    audit_key,
    draw_normalisation_pairs,
    draw_sample,
    next_draw,
    stratum,
)

CALLS = [f"call-{i}" for i in range(200)]


@given(st.permutations(CALLS[:40]), st.integers(0, 40), st.integers(0, 40), st.integers(0, 9))
def test_a_larger_sample_extends_a_smaller_one(calls: list[str], n: int, more: int, seed: int) -> None:
    """Growing draws what one larger draw would have, in whatever order the calls come."""
    first = [each.call_id for each in draw_sample(calls, n, seed)]
    rest = [each.call_id for each in draw_sample(calls, n + more, seed, first)]
    assert first + rest == [each.call_id for each in draw_sample(sorted(calls), n + more, seed)]
    assert len(first) == n


def test_a_sample_knows_its_chances_and_ranks() -> None:
    first = draw_sample(CALLS, 50, 1)
    assert {each.inclusion_probability for each in first} == {0.25}
    second = draw_sample(CALLS, 100, 1, [each.call_id for each in first])
    assert {each.inclusion_probability for each in second} == {0.5}
    assert [each.rank for each in second] == list(range(50, 100))


def test_the_same_sample_again_adds_nothing() -> None:
    first = [each.call_id for each in draw_sample(CALLS, 50, 1)]
    assert draw_sample(CALLS, 50, 1, first) == []
    assert draw_sample(CALLS, 20, 1, first) == []


def test_no_limit_draws_every_call() -> None:
    found = draw_sample(CALLS, None, 1)
    assert {each.call_id for each in found} == set(CALLS)
    assert {each.inclusion_probability for each in found} == {1.0}
    assert draw_sample([], 5, 1) == []


def test_seeds_draw_differently_and_evenly() -> None:
    """Over 400 seeds each of 20 calls is drawn about half of the time."""
    hits = dict.fromkeys(CALLS[:20], 0)
    for seed in range(400):
        for each in draw_sample(CALLS[:20], 10, seed):
            hits[each.call_id] += 1
    assert all(150 < count < 250 for count in hits.values())


def test_audit_keys_depend_on_replay_and_call_alone() -> None:
    assert audit_key("r", "c") == audit_key("r", "c")
    assert len({audit_key(r, c) for r in "ab" for c in "cd"}) == 4


def test_normalisation_pairs_are_a_prefix() -> None:
    few, many = draw_normalisation_pairs(CALLS, 3, 5), draw_normalisation_pairs(CALLS[::-1], 3)
    assert len(many) == 20
    assert many[:5] == few


@pytest.mark.parametrize(
    ("similarity", "name"),
    [
        (None, "unknown"),
        (-0.2, "0-0.6"),
        (0.6, "0.6-0.8"),
        (0.799, "0.6-0.8"),
        (0.95, "0.95-1"),
        (1.0, "0.95-1"),
    ],
)
def test_strata_are_named_by_verdict_similarity_and_flag(similarity: float | None, name: str) -> None:
    assert stratum(Verdict.MATCH, similarity, False) == f"match {name}"
    assert stratum(Verdict.MISMATCH, similarity, True) == f"mismatch {name} flagged"


def pool(n: int, share: float) -> list[PoolItem]:
    return [
        PoolItem(
            f"c{i}",
            Verdict.MISMATCH if i < n * share else Verdict.MATCH,
            similarity=0.5 + 0.5 * (i % 10) / 10,
            flagged=i % 7 == 0,
        )
        for i in range(n)
    ]


def run(items: list[PoolItem], count: int, seed: int) -> tuple[list[QueueDraw], Exhausted | None]:
    drawn: dict[str, float] = {}
    found = []
    for position in range(count):
        draw = next_draw(items, drawn, seed=seed, position=position)
        if isinstance(draw, Exhausted):
            return found, draw
        drawn[draw.call_id] = draw.weight
        found.append(draw)
    return found, None


def test_draws_are_repeatable_and_never_repeat_a_call() -> None:
    items = pool(600, 0.2)
    first, _ = run(items, 60, 4)
    second, _ = run(items[::-1], 60, 4)
    assert first == second
    assert len({each.call_id for each in first}) == 60


def test_the_queue_aims_a_fifth_of_its_draws_at_mismatches() -> None:
    items = pool(3000, 0.1)
    mismatches = ["mismatch" in draw.stratum for seed in range(20) for draw in run(items, 20, seed)[0]]
    assert np.mean(mismatches) == pytest.approx(0.8 * 0.1 + 0.2, abs=0.07)


def test_probability_and_weight_are_those_of_the_stratum() -> None:
    items = pool(3000, 0.1)
    for draw in run(items, 40, 1)[0]:
        share = sum(item.stratum == draw.stratum for item in items) / len(items)
        focus = share / 0.1 if "mismatch" in draw.stratum else 0.0
        assert draw.stratum_share == pytest.approx(share)
        assert draw.probability == pytest.approx(0.8 * share + 0.2 * focus)
        assert draw.weight == pytest.approx(share / draw.probability)
        assert draw.weight <= WEIGHT_MAX == draw.weight_max


def test_a_small_pool_is_drawn_evenly_down_to_its_last_call() -> None:
    items = pool(80, 0.1)
    found, end = run(items, 81, 2)
    assert len(found) == 80
    assert isinstance(end, Exhausted)
    assert {each.weight for each in found} == {1.0}


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([0.02, 0.1, 0.3, 1.0]), st.integers(0, 1000))
def test_weights_never_exceed_the_maximum_until_the_queue_ends(share: float, seed: int) -> None:
    """Down to exhaustion every weight is allowed, and the queue ends rather than bias itself."""
    items = pool(300, share)
    found, end = run(items, 301, seed)
    assert all(0 < each.weight <= WEIGHT_MAX for each in found)
    assert end is not None
    assert len(found) > 200


def test_the_weighted_mean_estimates_harm_in_the_traffic() -> None:
    """Averaged over seeds, weight times outcome is the harm of the pool, focus or not."""
    items = pool(1500, 0.2)
    harmful = {item.call_id for i, item in enumerate(items) if (i < 150) or i % 50 == 0}
    means = []
    for seed in range(30):
        found, _ = run(items, 50, seed)
        means.append(np.mean([each.weight * (each.call_id in harmful) for each in found]))
    assert np.mean(means) == pytest.approx(len(harmful) / len(items), abs=0.017)


def test_more_calls_let_an_exhausted_queue_go_on() -> None:
    items = pool(40, 0.5)
    drawn = dict.fromkeys((item.call_id for item in items), 1.0)
    assert isinstance(next_draw(items, drawn, seed=1, position=40), Exhausted)
    grown = pool(60, 0.5)
    assert isinstance(next_draw(grown, drawn, seed=1, position=40), QueueDraw)
