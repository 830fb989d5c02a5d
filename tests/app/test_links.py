"""Filters in an address: what is written is read back, what nobody wrote is None."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from workbench.ui import links

TEXTS = st.text(max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(TEXTS, max_size=6, unique=True).filter(lambda each: each != [""]))
def test_several_values_are_read_as_they_were_written(values: list[str]) -> None:
    """Commas and percent signs within a value are no end of it."""
    assert links.read_several(links.write_several(values), values) == values


@given(NUMBERS)
def test_a_number_is_read_as_it_was_written(value: float) -> None:
    """Every finite number survives, to its last digit."""
    assert links.read_number(links.write_number(value), lambda _: True) == value


@given(NUMBERS, NUMBERS)
def test_a_range_is_read_as_it_was_written(one: float, other: float) -> None:
    """Both ends survive, in their order."""
    span = (min(one, other), max(one, other))
    assert links.read_span(links.write_span(span), -math.inf, math.inf) == span


@given(
    st.text(max_size=60) | st.sampled_from(["nan", "inf", "1e999", "9..1", "..", "a..b", "0..2", "%", "1_0"])
)
def test_what_nobody_wrote_never_fails(asked: str) -> None:
    """Whatever an address says is a value that may be there, or None."""
    assert links.read_choice(asked, ["a", "b"]) in ("a", "b", None)
    number = links.read_number(asked, lambda value: 0 <= value <= 1)
    assert number is None or 0 <= number <= 1
    span = links.read_span(asked, 0.0, 1.0)
    assert span is None or 0 <= span[0] <= span[1] <= 1
    several = links.read_several(asked, ["a", "b"])
    assert several is None or set(several) <= {"a", "b"}
    assert links.read_text(asked, 20) in (asked, None)
