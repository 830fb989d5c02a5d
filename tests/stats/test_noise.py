"""The noise floor's arithmetic: what it estimates, how sure it is, and what follows for candidates."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.records import Estimate
from workbench.stats import noise

ALONE: list[list[None]] = []


def floor(point: float, low: float = 0.0, high: float = 1.0, method: str = "anytime") -> Estimate:
    """Return a self-agreement."""
    return Estimate(point, low, high, 0.95, method, 200, 200.0)


def test_asking_again_gives_the_share_that_agrees_with_anytime_limits() -> None:
    """180 of 200 are 90 %, within limits that hold however often anyone looks."""
    found = noise.asked_again([True] * 180 + [False] * 20, ALONE, 0.05, 0.05)
    assert found.point == pytest.approx(0.9)
    assert (found.n, found.n_effective, found.method) == (200, 200, "anytime")
    assert 0.82 < found.low < 0.84
    assert 0.94 < found.high < 0.96


def test_calls_of_one_session_count_for_less() -> None:
    """The same answers from 20 sessions are worth fewer calls and give wider limits."""
    agreeing = [place % 10 > 0 for place in range(200)]
    apart = noise.asked_again(agreeing, ALONE, 0.05, 0.05)
    together = noise.asked_again(agreeing, [[str(place // 10) for place in range(200)]], 0.05, 0.05)
    assert together.n_effective < apart.n_effective
    assert together.low < apart.low


def test_nothing_asked_measures_nothing() -> None:
    """Without a call there is no rate, and the limits say nothing."""
    found = noise.asked_again([], ALONE, 0.05, 0.05)
    assert (found.point, found.low, found.high) == (None, 0.0, 1.0)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=8))
def test_the_share_of_pairs_is_that_of_all_ordered_pairs(answers: list[int]) -> None:
    """Counting distinct answers with their numbers gives what looking at every pair gives."""
    kinds = sorted(set(answers))
    times = [answers.count(each) for each in kinds]
    equal: list[list[bool | None]] = [[one == other for other in kinds] for one in kinds]
    pairs = list(permutations(answers, 2))
    expected = sum(one == other for one, other in pairs) / len(pairs)
    assert noise.pair_share(times, equal) == pytest.approx(expected)


def test_a_pair_that_cannot_be_compared_is_left_out() -> None:
    """An answer that can't stand as the control is no disagreement; alone it leaves nothing."""
    assert noise.pair_share([2, 1], [[True, False], [None, None]]) == 0.5
    assert noise.pair_share([1, 1], [[True, None], [None, True]]) is None


def test_pairs_are_unbiased_however_many_answers_a_request_has() -> None:
    """Requests answered 2 to 8 times estimate the same chance that two answers agree."""
    random = np.random.default_rng(7)
    truth, found = [], []
    for _ in range(4_000):
        p = float(random.choice([0.5, 0.9, 1.0]))
        truth.append(p * p + (1 - p) * (1 - p))
        first = int(random.binomial(size := int(random.integers(2, 9)), p))
        share = noise.pair_share([first, size - first], [[True, False], [False, True]])
        found.append(share if share is not None else math.nan)
    assert np.mean(found) == pytest.approx(np.mean(truth), abs=0.012)


def test_the_limits_of_pairs_hold_as_often_as_they_say() -> None:
    """In 400 logs of 60 repeated requests each limit fails in at most 5 % (and the luck of 400)."""
    random = np.random.default_rng(11)
    low = high = 0
    for _ in range(400):
        chances = random.choice([0.6, 0.95, 1.0], size=60)
        shares = []
        for p in chances:
            size = int(random.integers(2, 7))
            first = int(random.binomial(size, p))
            pairs = noise.pair_share([first, size - first], [[True, False], [False, True]])
            assert pairs is not None
            shares.append(pairs)
        mean = float(np.mean([p * p + (1 - p) ** 2 for p in (0.6, 0.95, 1.0)]))
        found = noise.from_pairs(shares, ALONE, 0.05, 0.05)
        low += found.low > mean
        high += found.high < mean
    assert max(low, high) <= 30


def test_no_candidate_beats_the_ceiling() -> None:
    """Of 300 random tasks and candidates none agrees with an independent answer more than sqrt(r)."""
    random = np.random.default_rng(3)
    for _ in range(300):
        labels, requests = int(random.integers(2, 6)), int(random.integers(1, 9))
        frontier = random.dirichlet([0.3] * labels, size=requests)
        best = np.eye(labels)[frontier.argmax(axis=1)]
        other = random.dirichlet([0.3] * labels, size=requests)
        ceiling = noise.ceiling(float((frontier**2).sum(axis=1).mean()))
        for candidate in (best, other, frontier):
            assert (frontier * candidate).sum(axis=1).mean() <= ceiling + 1e-12


def test_below_a_quarter_over_ninety_percent_nobody_reaches_ninety_five() -> None:
    """90.25 % is the square of 95 %: the sentence says so below it, carefully where it is not sure."""
    assert noise.ceiling(0.9025) == pytest.approx(0.95)
    assert "reaches" not in noise.sentence(floor(0.91, 0.89, 0.93))
    assert "As estimated, nobody reaches 95 % agreement" in noise.sentence(floor(0.89, 0.85, 0.92))
    assert " Nobody reaches 95 % agreement" in noise.sentence(floor(0.80, 0.75, 0.84))


def test_the_sentence_sets_the_candidate_beside_the_frontier() -> None:
    """Self-agreement, its ceiling and the candidate's own agreement stand together, and promise nothing."""
    said = noise.sentence(floor(0.9, 0.85, 0.94), 0.88)
    assert "agrees with itself in 90.0 % of calls asked again (n = 200; 85.0 % to 94.0 %)" in said
    assert "no candidate can agree with its logged answers on more than 94.9 %" in said
    assert "this one agrees on 88.0 %" in said
    assert said.endswith("it never raises the share.")
    pairs = noise.sentence(floor(0.9, method=noise.BY_PAIRS), structural=False)
    assert "of the pairs of answers that the log holds to one request (200 requests" in pairs
    assert "can be expected to agree" in pairs
    assert noise.sentence(Estimate(None, 0, 1, 0.95, "anytime", 0, 0)) == ""
