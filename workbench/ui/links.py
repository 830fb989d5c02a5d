"""How filters are written in an address, and read from it again. Pure.

What is written is read back as it was; what nobody wrote is read as None, and never fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

MOST_CHARS = 2_000
"""Longer values of an address are nobody's filter."""
_SPAN = ".."
NOT_GIVEN = "none"
"""Stands for a number that was taken out."""
_NOTHING = "%"
"""Stands for no value of several; within one, the sign is written otherwise."""


def read_choice(asked: str, options: Sequence[str]) -> str | None:
    """Return the option that an address names, or None."""
    return asked if asked in options else None


def read_text(asked: str, limit: int) -> str | None:
    """Return a text of an address, or None where it is longer than anybody could have typed it."""
    return asked if len(asked) <= limit else None


def write_number(value: float) -> str:
    """Return a number as an address carries it: whole ones without a point."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def read_number(asked: str, allowed: Callable[[float], bool]) -> float | None:
    """Return the number that an address names, or None where it is none, endless or not allowed.

    Args:
        asked: What the address says.
        allowed: Says whether a number will do.
    """
    if len(asked) > MOST_CHARS:
        return None
    try:
        value = float(asked)
    except ValueError:
        return None
    return value if math.isfinite(value) and allowed(value) else None


def read_amount(asked: str, least: float, most: float) -> float | str | None:
    """Return the number that an address names, `NOT_GIVEN`, or None where it is neither.

    Args:
        asked: What the address says.
        least: The smallest number allowed.
        most: The largest one.
    """
    return asked if asked == NOT_GIVEN else read_number(asked, lambda value: least <= value <= most)


def write_span(span: tuple[float, float]) -> str:
    """Return a range of numbers as an address carries it."""
    return _SPAN.join(map(write_number, span))


def read_span(asked: str, least: float, most: float) -> tuple[float, float] | None:
    """Return the range that an address names, or None where it is none inside `least` to `most`."""
    parts = asked.split(_SPAN)
    if len(parts) != 2:
        return None
    low, high = (read_number(part, lambda value: least <= value <= most) for part in parts)
    return (low, high) if low is not None and high is not None and low <= high else None


def write_several(values: Sequence[str]) -> str:
    """Return several values, or none, as an address carries them."""
    return (
        _NOTHING if not values else ",".join(each.replace("%", "%25").replace(",", "%2C") for each in values)
    )


def read_several(asked: str, options: Sequence[str]) -> list[str] | None:
    """Return the values that an address names, each once, or None where one of them is no option."""
    if not asked or len(asked) > MOST_CHARS:
        return None
    if asked == _NOTHING:
        return []
    values = [each.replace("%2C", ",").replace("%25", "%") for each in asked.split(",")]
    return list(dict.fromkeys(values)) if set(values) <= set(options) else None
