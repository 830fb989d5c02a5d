"""Looking again and again at newer traffic: how often it holds falsely, and what ends a hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pytest

from workbench.scoring.held import LIKELY, PART, Held, Look, look_at, refuted
from workbench.scoring.traffic_mix import MixShift, shift_of
from workbench.stats.content import told_limits, two_sample
from workbench.stats.looks import level_of_look
from workbench.stats.mix import moved_limits, population_stability
from workbench.stats.weighted_mix import traffic_mix

AT = datetime(2026, 3, 2, tzinfo=UTC)
LOOKS = 30
MIX = np.asarray([0.55, 0.25, 0.15, 0.05])
OTHER = np.asarray([0.43, 0.31, 0.20, 0.06])
"""12 of 100 calls moved."""


def named(counts: np.ndarray) -> dict[str, int]:
    return {f"v{place}": int(n) for place, n in enumerate(counts)}


def spelt(counts: np.ndarray) -> list[str]:
    return [name for name, count in named(counts).items() for _ in range(count)]


def looked(number: int, old: np.ndarray, later: np.ndarray, before: MixShift | None) -> MixShift:
    return shift_of(
        "v",
        traffic_mix(spelt(old)),
        traffic_mix(spelt(later)),
        look=Look(number, str(number)),
        together=1,
        before=before if before is not None and before.shifted else None,
        matters=0.025,
        now=AT,
        seed=number,
    )


@dataclass
class Traffic:
    """An evaluated window, and newer calls that are imported a hundred at a time."""

    dice: np.random.Generator
    evaluated: int = 1_000

    def __post_init__(self) -> None:
        self.old = self.dice.multinomial(self.evaluated, MIX)
        self.later = np.zeros(len(MIX), dtype=np.int64)

    def days(self, mix: np.ndarray, calls: int = 100) -> Iterator[np.ndarray]:
        """Yield the newer calls by value after each import."""
        while True:
            self.later = self.later + self.dice.multinomial(calls, mix)
            yield self.later


def test_levels_of_looks_add_up_to_no_more_than_the_whole() -> None:
    """However many looks: 1/2 + 1/6 + 1/12 + ... is 1."""
    levels = [level_of_look(number, 0.05) for number in range(1, 10_000)]
    assert levels[:3] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12])
    assert 0.0499 < sum(levels) < 0.05
    with pytest.raises(ValueError, match="counted from 1"):
        level_of_look(0, 0.05)


def test_the_same_windows_are_the_same_look_and_others_the_next() -> None:
    """What was looked at before costs nothing; looks from before they were counted do."""
    assert look_at("a", {}, 0) == Look(1, "a")
    assert look_at("b", {"a": 1}, 0) == Look(2, "b")
    assert look_at("a", {"a": 1, "b": 2}, 0) == Look(1, "a")
    assert look_at("c", {}, 4) == Look(5, "c")


def test_thirty_looks_at_a_mix_that_does_not_move_hold_no_oftener_than_promised() -> None:
    """Looked at after every import for a month; p up to .05 at each look would hold one in five."""
    runs, held, naive = 300, 0, 0
    for run in range(runs):
        traffic = Traffic(np.random.default_rng([1, run]))
        any_held, any_naive = False, False
        for number, later in zip(range(1, LOOKS + 1), traffic.days(MIX), strict=False):
            found = looked(number, traffic.old, later, None)
            any_held |= found.shifted
            usual = population_stability(named(traffic.old), named(later), seed=number, permutations=199)
            any_naive |= usual.p_value <= LIKELY
        held, naive = held + any_held, naive + any_naive
    assert held / runs <= PART + 3 * np.sqrt(PART * (1 - PART) / runs)
    assert naive / runs > 0.12


def test_a_mix_that_moved_is_held_and_no_unlucky_look_ends_it() -> None:
    """Twelve calls in a hundred stand elsewhere, by windows of their own each time: held to the last look."""
    runs, held, ended, naive = 60, 0, 0, 0
    for run in range(runs):
        traffic = Traffic(np.random.default_rng([2, run]))
        found: MixShift | None = None
        for number in range(1, LOOKS + 1):
            later = traffic.dice.multinomial(400, OTHER)
            was_held = found is not None and found.shifted
            found = looked(number, traffic.old, later, found)
            held += found.shifted and not was_held
            ended += was_held and not found.shifted
            naive += was_held and found.p_value > LIKELY
    assert held > 0.9 * runs
    assert ended == 0
    assert naive > 0, "no look was unlucky: the world is too easy"


def test_a_mix_that_went_back_ends_its_hold_once_enough_calls_show_it() -> None:
    """A third of the calls stood elsewhere; with few calls one can't tell, with many none is held."""
    ended: dict[int, int] = {}
    far = np.asarray([0.20, 0.25, 0.15, 0.40])
    for calls in (30, 2_000):
        for run in range(40):
            traffic = Traffic(np.random.default_rng([3, run]))
            first = looked(1, traffic.old, traffic.dice.multinomial(400, far), None)
            assert first.shifted
            again = looked(2, traffic.old, traffic.dice.multinomial(calls, MIX), first)
            ended[calls] = ended.get(calls, 0) + (not again.shifted)
    assert ended[30] == 0
    assert ended[2_000] >= 36


def test_a_mix_ends_its_hold_where_no_more_can_have_moved_than_counts() -> None:
    """However clearly a hundredth of the calls moved: they could not raise harm by what is tolerated."""
    held = looked(1, np.asarray([500, 500]), np.asarray([800, 200]), None)
    assert held.shifted
    again = looked(2, np.asarray([50_000, 50_000]), np.asarray([51_000, 49_000]), held)
    assert again.p_value <= 0.001
    assert not again.shifted


def test_the_limits_of_the_moved_share_cover_it_at_their_level() -> None:
    """Where it moved and where it did not: either limit errs in at most a tenth of the samples."""
    dice = np.random.default_rng(4)
    for mix, truth in ((MIX, 0.0), (OTHER, 0.12), (np.asarray([0.0, 0.0, 0.5, 0.5]), 0.80)):
        wrong = np.zeros(2)
        for _ in range(300):
            low, high = moved_limits(named(dice.multinomial(150, MIX)), named(dice.multinomial(90, mix)), 0.1)
            wrong += (low > truth + 1e-9, high < truth - 1e-9)
        assert (wrong / 300 <= 0.1).all()
    with pytest.raises(ValueError, match="error probability"):
        moved_limits({"a": 1}, {"a": 1}, 0.0)


def clouds(dice: np.random.Generator, shift: float, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return dice.normal(size=(n, 3)), dice.normal(size=(n, 3)) + shift


def test_looks_at_content_that_does_not_move_hold_no_oftener_than_promised() -> None:
    """A look after each of twelve imports, at the same evaluated calls."""
    runs, looks, held, naive = 60, 12, 0, 0
    for run in range(runs):
        dice = np.random.default_rng([5, run])
        before = dice.normal(size=(30, 2))
        later = np.zeros((0, 2))
        any_held, any_naive = False, False
        for number in range(1, looks + 1):
            later = np.concatenate([later, dice.normal(size=(10, 2))])
            found = two_sample(before, later, seed=number, level=level_of_look(number, PART))
            any_held |= found.p_value <= level_of_look(number, PART)
            any_naive |= found.p_value <= LIKELY
        held, naive = held + any_held, naive + any_naive
    assert held / runs <= PART + 3 * np.sqrt(PART * (1 - PART) / runs)
    assert naive / runs > 0.12


@pytest.mark.parametrize(
    "p_value",
    [
        lambda dice, run: two_sample(*clouds(dice, 0.0), seed=run, level=1e-6).p_value,
        lambda dice, run: two_sample(*clouds(dice, 0.0), seed=run, level=0.02).p_value,
        lambda dice, run: (
            population_stability(
                named(dice.multinomial(80, MIX)), named(dice.multinomial(60, MIX)), seed=run, level=0.02
            ).p_value
        ),
        lambda dice, run: (
            population_stability(
                named(dice.multinomial(80, MIX)), named(dice.multinomial(60, MIX)), seed=run, level=1e-7
            ).p_value
        ),
    ],
    ids=["content, exact", "content, dealt", "mix, dealt", "mix, limits"],
)
def test_no_p_value_is_small_oftener_than_it_says(
    p_value: Callable[[np.random.Generator, int], float],
) -> None:
    """Whichever way a level asks for: at most a tenth of them is .1 or less, where nothing moved."""
    runs = 150
    small = sum(p_value(np.random.default_rng([6, run]), run) <= 0.1 for run in range(runs))
    assert small / runs <= 0.1 + 3 * np.sqrt(0.09 / runs)


def test_a_late_look_can_still_see_what_is_there() -> None:
    """At the thousandth look the level is one in 40 million: no permutation tells, and yet it is seen."""
    dice = np.random.default_rng(7)
    level = level_of_look(1_000, PART)
    assert two_sample(*clouds(dice, 3.0, 80), level=level).p_value <= level
    moved = population_stability(
        named(dice.multinomial(900, MIX)), named(dice.multinomial(900, MIX[::-1])), level=level
    )
    assert moved.p_value <= level


def test_what_told_everything_apart_is_refuted_by_a_look_that_tells_nothing() -> None:
    """Not by one that learns from less, nor where little was told before."""
    n = 400
    level = Look(1, "").limit_level
    far = Held(AT, told_limits(0.99, n, n, level)[0], n)
    near = Held(AT, told_limits(0.60, n, n, level)[0], n)
    _, at_most = told_limits(0.50, n, n, Look(2, "").limit_level)
    assert refuted(far, at_most, n)
    assert not refuted(far, at_most, n - 1)
    assert not refuted(near, at_most, n)


def test_the_limits_of_what_is_told_apart_cover_it() -> None:
    """A classifier that tells as many of a large sample errs from them in no run."""
    dice = np.random.default_rng(8)
    truth = np.mean([2 * two_sample(*clouds(dice, 1.0, 400), permutations=1).value - 1 for _ in range(5)])
    for run in range(60):
        found = two_sample(*clouds(dice, 1.0), seed=run, permutations=1)
        low, high = told_limits(found.value, 40, 40, 0.1)
        assert low < truth < high
    with pytest.raises(ValueError, match="no accuracy"):
        told_limits(1.2, 40, 40, 0.1)
