"""HTML from escaped text alone: the one place where the app makes any.

A piece of HTML is of type `Safe`, and only `element` makes one. Whatever else is put into
it is text: it is escaped, and characters that hide text or turn it around are written out.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

TAGS = frozenset(
    {"b", "code", "details", "div", "em", "kbd", "mark", "progress", "span", "summary"}
    | {"li", "ol", "p", "ul"}
    | {"table", "tbody", "td", "th", "thead", "tr"}
)
"""None of them loads, links, posts or runs anything."""

FRAME_LINES, NARROW_CHARS = 13, 22
"""What the lowest frame (ui/style.py) shows at a width of 400 pixels: lines, and wide characters in each."""

_CLASSES = re.compile(r"[a-z][a-z0-9-]*( [a-z][a-z0-9-]*)*")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)


class Safe(str):
    """HTML that `element` made. Put together with text it becomes plain text again."""

    __slots__ = ()


def element(
    tag: str,
    *content: str,
    classes: str = "",
    own_direction: bool = False,
    label: str = "",
    is_open: bool = False,
    done: float | None = None,
    reachable: bool = False,
) -> Safe:
    """Return one element with its content; what is not `Safe` is escaped.

    Args:
        tag: One of `TAGS`.
        content: Text from anywhere, or elements.
        classes: Class names, our own words.
        own_direction: Whether the text decides for itself if it runs from right to left.
        label: What a screen reader says of it.
        is_open: Whether a `details` shows what it holds.
        done: How full a `progress` is, 0..1.
        reachable: Whether the keyboard stops here, to scroll what is longer than its frame.

    Raises:
        ValueError: The tag or a class name is none of ours.
    """
    if tag not in TAGS or (classes and not _CLASSES.fullmatch(classes)):
        raise ValueError(f"No element is made of {tag!r} with the classes {classes!r}.")
    attributes = f' class="{classes}"' if classes else ""
    attributes += ' dir="auto"' if own_direction else ""
    attributes += f' aria-label="{html.escape(visible(label))}"' if label else ""
    attributes += " open" if is_open else ""
    attributes += f' value="{min(1.0, max(0.0, done)):.4f}" max="1"' if done is not None else ""
    attributes += ' tabindex="0" role="group"' if reachable else ""
    return Safe(f"<{tag}{attributes}>{joined(*content)}</{tag}>")


def joined(*content: str) -> Safe:
    """Return pieces one after the other; what is not `Safe` is escaped."""
    return Safe("".join(each if isinstance(each, Safe) else html.escape(visible(each)) for each in content))


def visible(text: str) -> str:
    """Write out characters that hide text or turn it around, as their code point."""
    return _INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def may_scroll(text: str) -> bool:
    """Say whether a text may be longer than the frame it is shown in, on the narrowest screen."""
    lines = text[: NARROW_CHARS * FRAME_LINES + FRAME_LINES].split("\n")
    return sum(1 + len(line) // NARROW_CHARS for line in lines) > FRAME_LINES


def show(piece: Safe, place: DeltaGenerator | None = None) -> None:
    """Write HTML into the page.

    Args:
        piece: What `element` made.
        place: Where to write; the page unless given.

    Raises:
        TypeError: It is ordinary text.
    """
    if not isinstance(piece, Safe):
        raise TypeError("Only HTML that was made of escaped text is shown as HTML.")
    (place or st).html(str(piece))
