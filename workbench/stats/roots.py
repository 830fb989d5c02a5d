"""Where a function crosses zero, without a second of imports for those who never ask."""

from __future__ import annotations

from collections.abc import Callable

TOLERANCE = 1e-12


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a continuous function crosses zero, to 1e-12.

    Source: Brent, Algorithms for Minimization without Derivatives, 1973, chapter 4.

    Args:
        function: Of opposite signs at the two limits.
        low: The lower limit.
        high: The upper limit.

    Raises:
        ValueError: The signs at the limits are the same.
    """
    # A third of the time in which a command starts, and most commands weigh nothing.
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=TOLERANCE))
