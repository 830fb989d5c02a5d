"""What every statistic refuses: an argument that makes a number out of a mistake. Pure.

A rate given in percent, a count that can't be, a value that is missing: each would come out as a bound that
looks like any other, and often as one that is too good.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

SLACK = 1e-9
"""Counts over a design effect are off by rounding; more than this is a mistake."""


def check_delta(delta: float) -> None:
    """Refuse what is no error probability.

    Args:
        delta: Inside 0..1; 0.05 is 5 %.

    Raises:
        ValueError: It is not.
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta, an error probability, must be inside 0..1 (0.05 is 5 %); it is {delta:g}")


def check_rate(rate: float, name: str) -> None:
    """Refuse what is no rate.

    Args:
        rate: 0..1; 0.05 is 5 %.
        name: What it is called.

    Raises:
        ValueError: It is not.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"{name} must be within 0..1 (0.05 is 5 %); it is {rate:g}")


def check_counts(bad: float, n: float) -> None:
    """Refuse counts that can't be: bad calls are a part of all calls.

    Args:
        bad: Bad calls, not necessarily whole.
        n: All calls.

    Raises:
        ValueError: One is negative, missing or infinite, or more are bad than there are.
    """
    # Asked this way round, a count that is not a number is refused, too.
    if not (0 <= n < math.inf and -SLACK * (1 + n) <= bad <= n + SLACK * (1 + n)):
        raise ValueError(f"{bad:g} bad calls of {n:g} can't be")


def check_effect(deff: float) -> None:
    """Refuse a design effect below 1, which would make more of the calls than there are.

    Args:
        deff: At least 1.

    Raises:
        ValueError: It is not, or not finite.
    """
    if not 1 - SLACK <= deff < math.inf:
        raise ValueError(f"a design effect must be at least 1; it is {deff:g}")


def known_values(
    values: ArrayLike, name: str, *, least: float = -math.inf, most: float = math.inf
) -> NDArray[np.float64]:
    """Return values as an array, where none is missing and all are within limits.

    Args:
        values: Of any shape.
        name: What one of them is called.
        least: None is less.
        most: None is more.

    Raises:
        ValueError: One is missing or outside.
    """
    found = np.asarray(values, dtype=np.float64)
    if np.isnan(found).any():
        raise ValueError(f"{name} is missing; leave such calls out")
    if found.size and not (found.min() >= least and found.max() <= most):
        raise ValueError(
            f"{name} must be within {least:g}..{most:g}; there are {found.min():g}..{found.max():g}"
        )
    return found


def check_same_length(**sizes: int) -> None:
    """Refuse sequences that don't belong together.

    Args:
        sizes: The length of each, by name.

    Raises:
        ValueError: Two differ.
    """
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{size} {name}" for name, size in sizes.items())
        raise ValueError(f"{said} don't belong together")
