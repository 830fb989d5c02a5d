"""Differences between two answers, as HTML of escaped text alone."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.compare.differences import (
    MAX_CHARS,
    MAX_WORDS,
    FieldRow,
    capped,
    field_diff,
    is_unequal,
    parsed,
    stretches,
    words_of,
)
from workbench.ui.markup import Safe, element, joined, may_scroll, visible

__all__ = [
    "MAX_CHARS",
    "FieldRow",
    "Sides",
    "capped",
    "field_diff",
    "is_unequal",
    "parsed",
    "visible",
    "word_diff",
    "word_marks",
]


@dataclass(frozen=True, slots=True)
class Sides:
    """Two answers as safe HTML. `marked` is False where they were too long to compare by word."""

    left: Safe
    right: Safe
    marked: bool


def word_diff(left: str, right: str, styles: tuple[str, str] = ("control", "candidate")) -> Sides:
    """Mark the words that only one of two answers has.

    Args:
        left: One answer, of any length and content.
        right: The other.
        styles: How each side is drawn; `blind` does not tell which is which.

    Returns:
        Safe HTML of both: every character is escaped, and what turns text around or
        hides it is written out as its code point.
    """
    marks = _marked(left, right)
    shown = marks or (joined(capped(left)), joined(capped(right)))
    frames = [
        element("div", each, classes=f"wb-diff wb-{style}", own_direction=True, reachable=may_scroll(text))
        for each, text, style in zip(shown, (left, right), styles, strict=True)
    ]
    return Sides(frames[0], frames[1], marks is not None)


def word_marks(left: str, right: str) -> tuple[Safe, Safe]:
    """Mark the words that only one of two texts has, without a frame around them."""
    return _marked(left, right) or (joined(capped(left)), joined(capped(right)))


def _marked(left: str, right: str) -> tuple[Safe, Safe] | None:
    words = [words_of(visible(capped(each))) for each in (left, right)]
    if max(map(len, words)) > MAX_WORDS:
        return None
    sides: tuple[list[str], list[str]] = ([], [])
    for equal, *stretch in stretches(words[0], words[1]):
        for side, text in zip(sides, stretch, strict=True):
            side.append(text if equal or not text.strip() else element("mark", text))
    return joined(*sides[0]), joined(*sides[1])
