"""Where a function crosses zero, without a third of a second of imports for those who ask."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

TOLERANCE = 1e-12


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a continuous function crosses zero, to 1e-12.

    Inverse quadratic interpolation where three points say that it is safe, else bisection, so that it
    ends for any function, infinite at a limit or flat beside its root. SciPy's `brentq` gives the same
    and takes 0.2 s to load, in each command that decides.

    Source: Chandrupatla, A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear
    function without using derivatives, Advances in Engineering Software 28, 1997.

    Args:
        function: Of opposite signs at the two limits.
        low: The lower limit.
        high: The upper limit.

    Raises:
        ValueError: The signs at the limits are the same, or a value is not a number.
    """
    newest, across = low, high
    at_newest, at_across = _valued(function, newest), _valued(function, across)
    if at_newest == 0:
        return newest
    if at_across == 0:
        return across
    if (at_newest > 0) is (at_across > 0):
        raise ValueError(f"The function has one sign at {low!r} and at {high!r}.")
    part = 0.5
    while True:
        point = newest + part * (across - newest)
        at_point = _valued(function, point)
        if (at_point > 0) is (at_newest > 0):
            before, at_before = newest, at_newest
        else:
            before, at_before = across, at_across
            across, at_across = newest, at_newest
        newest, at_newest = point, at_point
        best, at_best = min((newest, at_newest), (across, at_across), key=lambda each: abs(each[1]))
        least = (TOLERANCE / 2 + 2 * sys.float_info.epsilon * abs(best)) / abs(across - newest)
        if at_best == 0 or least > 0.5:
            return best
        part = _part(newest, across, before, at_newest, at_across, at_before)
        part = min(max(part, least), 1 - least)


def _part(a: float, b: float, c: float, fa: float, fb: float, fc: float) -> float:
    """Return how far from a to b the next point lies: a is the newest, b across the root, c before it."""
    ratio = (a - b) / (c - b)
    height = (fa - fb) / (fc - fb)
    # Not a number where two of them are infinite: then no parabola is looked for.
    if height * height < ratio and (1 - height) * (1 - height) < 1 - ratio:
        return fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
    return 0.5


def _valued(function: Callable[[float], float], point: float) -> float:
    found = float(function(point))
    if math.isnan(found):
        raise ValueError(f"The function is not a number at {point!r}.")
    return found
