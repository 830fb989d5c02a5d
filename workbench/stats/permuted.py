"""How often chance makes two windows differ as much as they do: permutations, as many as are needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.stats.arguments import check_delta

PERMUTATIONS = 999
ENOUGH_ABOVE = 20
"""After so many permutations above what was found, no more are dealt."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far two windows differ, and how often chance alone makes them differ as much."""

    value: float
    p_value: float


def most_dealt(level: float, most: int) -> int:
    """Return how many permutations tell p from a level; 0 where even the most would not."""
    check_delta(level)
    return 0 if 2 / level > most else min(max(PERMUTATIONS, math.ceil(10 / level)), most)


def p_value(above: Callable[[int], NDArray[np.bool_]], most: int, *, ends_early: bool) -> float:
    """Return the p-value of permutations, which say one after the other whether they are above.

    Args:
        above: Deals so many more, and says of each.
        most: How many there are at most.
        ends_early: Whether the rest is not dealt after twenty above (Besag and Clifford, 1991).
    """
    enough = ENOUGH_ABOVE if ends_early else most + 1
    exceeding = dealt = 0
    while dealt < most:
        marks = above(min(most - dealt, max(PERMUTATIONS, min(dealt, 50_000))))
        upto = exceeding + np.cumsum(marks)
        if upto[-1] >= enough:
            return float(enough / (dealt + 1 + int(np.searchsorted(upto, enough))))
        exceeding, dealt = int(upto[-1]), dealt + marks.size
    return (1 + exceeding) / (1 + most)


def check_permutations(permutations: int) -> None:
    """Refuse to say anything from no permutation.

    Raises:
        ValueError: There is none.
    """
    if permutations < 1:
        raise ValueError(f"a p-value needs at least one permutation; there are {permutations}")
