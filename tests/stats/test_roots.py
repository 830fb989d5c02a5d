"""Roots: the same as SciPy's, for every function that the bounds ask about, and an error for the others."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from workbench.stats.roots import TOLERANCE, root

SHAPES: dict[str, Callable[[float], float]] = {
    "a line": lambda x: x,
    "steep": lambda x: math.expm1(300 * x),
    "flat at the root": lambda x: x**9,
    "infinite at a limit": lambda x: -math.inf if x <= -0.9 else math.log((x + 0.9) / 0.9),
    "a jump": lambda x: 1.0 if x > 0 else -1.0,
    "a logarithm": lambda x: math.log1p(x) - x / 2 if x > -1 else -math.inf,
    "infinite on both sides": lambda x: math.inf if x > 0.5 else (-math.inf if x < -0.5 else x),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@given(at=st.floats(0.0, 1.0), turned=st.booleans())
def test_the_root_is_where_the_sign_changes(shape: Callable[[float], float], at: float, turned: bool) -> None:
    """It lies within the tolerance, in no more steps than bisecting twice would take."""
    asked = []

    def function(x: float) -> float:
        asked.append(x)
        return -shape(x - at) if turned else shape(x - at)

    low, high = at - 0.97, at + 1.5
    found = root(function, low, high)
    steps = len(asked)
    assert steps <= 100
    assert low <= found <= high
    before, after = function(found - 4 * TOLERANCE), function(found + 4 * TOLERANCE)
    assert before == 0 or after == 0 or (before > 0) is not (after > 0)


@given(a=st.floats(0.01, 50), b=st.floats(-5, 5), low=st.floats(-3, -1e-3), high=st.floats(1e-3, 3))
def test_it_is_the_one_that_scipy_finds(a: float, b: float, low: float, high: float) -> None:
    """For a function with one root between the limits."""

    def function(x: float) -> float:
        return math.tanh(a * x) + b * x**2 * (0.0 if b * x < 0 else 1.0) * math.copysign(1, x)

    if function(low) * function(high) < 0:
        assert root(function, low, high) == pytest.approx(brentq(function, low, high, xtol=1e-13), abs=3e-12)


def test_a_root_at_a_limit_is_that_limit() -> None:
    """Bounds end at 0 and 1."""
    assert root(lambda x: x, 0.0, 1.0) == 0.0
    assert root(lambda x: x - 1, 0.0, 1.0) == 1.0


@pytest.mark.parametrize(
    ("function", "words"), [(lambda x: 1.0 + x, "one sign"), (lambda x: math.nan, "not a number")]
)
def test_what_has_no_root_is_an_error(function: Callable[[float], float], words: str) -> None:
    """A bound is never made up."""
    with pytest.raises(ValueError, match=words):
        root(function, 0.0, 1.0)
