"""Numbers of JSON that no double can hold, kept and compared exactly."""

from __future__ import annotations

import math
import re
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any

MAX_DIGITS = 4300
"""Numbers written with more characters are not read; Python's own limit for whole numbers."""

_NONZERO = re.compile(r"[1-9]")
_CONTEXT = Context(prec=2 * MAX_DIGITS, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Enough digits for an exact difference wherever one is small beside the numbers."""


def read_fraction(written: str) -> float | Decimal:
    """Return a JSON number with a point or an exponent.

    That is the double all programs read, and where there is none (1e400, or 1e-400, which is
    not 0) the number as it is written. Neither takes longer for a large exponent.

    Args:
        written: The number as the text holds it.

    Raises:
        ValueError: It has more than `MAX_DIGITS` characters, or an exponent of 19 digits and more.
    """
    found = float(written)
    if math.isfinite(found) and (found or not _NONZERO.search(re.split("[eE]", written, maxsplit=1)[0])):
        return found
    if len(written) > MAX_DIGITS:
        raise ValueError(f"a number of {len(written)} characters")
    try:
        return Decimal(written)
    except InvalidOperation:
        raise ValueError("an exponent beyond what can be compared") from None


def exact_number(value: Any) -> int | Decimal | None:
    """Return a finite number exactly as it is written in decimals, or None.

    Args:
        value: A number, or a text that `Decimal` understands.
    """
    if isinstance(value, int | Decimal):
        return value
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError, TypeError):
        return None
    return found if found.is_finite() else None


def is_near(left: int | Decimal, right: int | Decimal, tolerance: float, relative: float) -> bool:
    """Say whether two numbers differ by at most a tolerance. Symmetric.

    Args:
        left: One number.
        right: The other.
        tolerance: The largest difference allowed, of any two numbers.
        relative: The largest difference allowed as a share of the larger one.
    """
    if left == right:
        return True
    first, second = Decimal(left), Decimal(right)
    largest = max(first.copy_abs(), second.copy_abs())
    allowed = max(Decimal(repr(tolerance)), _CONTEXT.multiply(Decimal(repr(relative)), largest))
    return allowed > 0 and _CONTEXT.subtract(first, second).copy_abs() <= allowed


def holds_infinity(value: Any) -> bool:
    """Say whether a JSON value of no unusual depth holds a number that was too large to be read."""
    if isinstance(value, dict):
        return any(map(holds_infinity, value.values()))
    if isinstance(value, list):
        return any(map(holds_infinity, value))
    return isinstance(value, float) and math.isinf(value)
