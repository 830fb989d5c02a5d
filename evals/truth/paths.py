"""Whole paths of evidence at once, with as few calls of the real bounds as their laws allow.

A bound rises with every bad call and falls with every good one. So a table of the
first crossings says for all paths whether a bound is ever on the wrong side, and the
chance of that can be computed rather than simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bound = Callable[[float, float], float]
"""A bound from bad calls and calls."""


def first_true(flag: Callable[[int], bool], start: int, limit: int) -> int:
    """Return the smallest whole number from `start` on for which a flag that stays true is true.

    Args:
        flag: False up to some number and true from there on.
        start: The first number considered.
        limit: The last number considered; `limit + 1` is returned where none will do.
    """
    if start > limit:
        return limit + 1
    if flag(start):
        return start
    low, step = start, 1
    while low + step <= limit and not flag(low + step):
        low, step = low + step, 2 * step
    high = min(low + step, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if flag(middle) else (middle, high)
    return high


def upper_crossings(bound: Bound, rate: float, limit: int, *, within: bool = False) -> Ints:
    """Return, for 0, 1, 2, ... bad calls, the first n at which an upper bound is below a rate.

    Args:
        bound: The upper bound.
        rate: The rate.
        limit: The most calls; entries end with the first one above it.
        within: Whether a bound that equals the rate counts, as it does for a tolerance.
    """
    found: list[int] = []
    start = 1
    while start <= limit and len(found) <= limit:
        bad = len(found)

        def below(n: int, bad: int = bad) -> bool:
            high = bound(bad, n)
            return high <= rate if within else high < rate

        start = first_true(below, max(start, bad, 1), limit)
        found.append(start)
    return np.asarray(found, dtype=np.int64)


def lower_crossings(bound: Bound, rate: float, limit: int) -> Ints:
    """Return, for 0, 1, 2, ... bad calls, the last n at which a lower bound is above a rate (0: never)."""
    found: list[int] = [0]
    last = 0
    while last < limit:
        bad = len(found)

        def not_above(n: int, bad: int = bad) -> bool:
            return bound(bad, n) <= rate

        last = first_true(not_above, max(last, bad), limit) - 1
        found.append(last)
    return np.asarray(found, dtype=np.int64)


def ever_below(crossings: Ints, rate: float, limit: int, *, first: int = 1) -> float:
    """Return the exact chance that an upper bound ever crosses, looking after every call.

    Args:
        crossings: What `upper_crossings` gave.
        rate: The true rate of bad calls.
        limit: The last look.
        first: The first look.
    """
    wrong = _per_bad(crossings, limit, limit + 1)
    return _ever(lambda n: wrong <= n, rate, limit, first)


def ever_above(crossings: Ints, rate: float, limit: int, *, first: int = 1) -> float:
    """Return the exact chance that a lower bound ever crosses, looking after every call."""
    wrong = _per_bad(crossings, limit, limit)
    return _ever(lambda n: wrong >= n, rate, limit, first)


def ever(rule: Callable[[Floats, float], NDArray[np.bool_]], rate: float, limit: int, *, first: int) -> float:
    """Return the exact chance that a rule ever says yes, looking after every call.

    Args:
        rule: Takes bad calls (an array) and calls, and says yes or no.
        rate: The true rate of bad calls.
        limit: The last look.
        first: The first look.
    """
    bad = np.arange(limit + 1, dtype=np.float64)
    return _ever(lambda n: rule(bad, n), rate, limit, first)


def _per_bad(crossings: Ints, limit: int, rest: int) -> Ints:
    table = np.full(limit + 1, rest, dtype=np.int64)
    table[: min(crossings.size, limit + 1)] = crossings[: limit + 1]
    return table


def _ever(wrong: Callable[[int], NDArray[np.bool_]], rate: float, limit: int, first: int) -> float:
    chance = np.zeros(limit + 1)
    chance[0] = 1.0
    hit = 0.0
    places = np.arange(limit + 1)
    for n in range(1, limit + 1):
        moved = np.empty_like(chance)
        moved[0] = chance[0] * (1 - rate)
        moved[1:] = chance[1:] * (1 - rate) + chance[:-1] * rate
        if n >= first:
            stopped = wrong(n) & (places <= n)
            hit += float(moved[stopped].sum())
            moved[stopped] = 0.0
        chance = moved
    return hit


class Law:
    """A yes-or-no question of the real code whose yes stays yes when any number grows.

    Args:
        question: Takes a point and asks the real code.

    What was asked before answers every point that it dominates, so many paths cost few
    calls.
    """

    def __init__(self, question: Callable[[tuple[int, ...]], bool]) -> None:
        self.question = question
        self.asked = 0
        self._yes: Ints | None = None
        self._no: Ints | None = None
        self._known: dict[tuple[int, ...], bool] = {}

    def __call__(self, point: Sequence[int]) -> bool:
        """Return the answer at a point."""
        key = tuple(int(each) for each in point)
        known = self._known.get(key)
        if known is not None:
            return known
        here = np.asarray(key, dtype=np.int64)
        if self._yes is not None and bool((self._yes <= here).all(axis=1).any()):
            answer = True
        elif self._no is not None and bool((self._no >= here).all(axis=1).any()):
            answer = False
        else:
            answer = self.question(key)
            self.asked += 1
            if answer:
                kept = None if self._yes is None else self._yes[~(self._yes >= here).all(axis=1)]
                self._yes = here[None, :] if kept is None else np.vstack([kept, here])
            else:
                kept = None if self._no is None else self._no[~(self._no <= here).all(axis=1)]
                self._no = here[None, :] if kept is None else np.vstack([kept, here])
        self._known[key] = answer
        return answer


def wilson_upper(bad: Floats | float, n: float, delta: float) -> Floats:
    """Return Wilson's score bound (1927), one-sided: the rival that most dashboards show."""
    z = float(ndtri(1 - delta))
    share = np.minimum(np.asarray(bad, dtype=np.float64) / n, 1.0)
    centre = share + z * z / (2 * n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return np.asarray((centre + half) / (1 + z * z / n), dtype=np.float64)
