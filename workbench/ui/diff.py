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


TOO_LONG = "Too long to mark the differences by word."
TOO_DIFFERENT = "The two share few words: the differences are not marked."
FEWEST_SHARED = 0.2
"""Share of letters in common below which marks would be nearly everywhere, and make both harder to read."""
SHORT_WORDS = 16
"""Of so few words one sees at once what a mark stands on."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Two answers as safe HTML. `unmarked` says why their differences are not marked, where they aren't."""

    left: Safe
    right: Safe
    unmarked: str = ""


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
    shown, unmarked = _marked(left, right)
    frames = [
        element("div", each, classes=f"wb-diff wb-{style}", own_direction=True, reachable=may_scroll(text))
        for each, text, style in zip(shown, (left, right), styles, strict=True)
    ]
    return Sides(frames[0], frames[1], unmarked)


def word_marks(left: str, right: str) -> tuple[Safe, Safe]:
    """Mark the words that only one of two texts has, without a frame around them."""
    return _marked(left, right)[0]


def _marked(left: str, right: str) -> tuple[tuple[Safe, Safe], str]:
    """Return both texts with marks, or as they are and why."""
    plain = joined(capped(left)), joined(capped(right))
    words = [words_of(visible(capped(each))) for each in (left, right)]
    if max(map(len, words)) > MAX_WORDS:
        return plain, TOO_LONG
    found = stretches(words[0], words[1])
    shared = 2 * sum(len(first.strip()) for equal, first, _ in found if equal)
    letters = sum(len(first.strip()) + len(second.strip()) for _, first, second in found)
    if min(map(len, words)) > SHORT_WORDS and shared < FEWEST_SHARED * letters:
        return plain, TOO_DIFFERENT
    sides: tuple[list[str], list[str]] = ([], [])
    for equal, *stretch in found:
        for side, text in zip(sides, stretch, strict=True):
            side.append(text if equal or not text.strip() else element("mark", text))
    return (joined(*sides[0]), joined(*sides[1])), ""
