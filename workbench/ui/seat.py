"""What a reviewer's session remembers: the item in front of them, and the label given last."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from workbench import review
from workbench.records import Label
from workbench.review import ReviewItem

ITEM = "review.item"
LAST = "review.last"
TROUBLE = "review.trouble"
NOTICE = "review.notice"

CHOICES = (
    ("left", "Response 1 better", "1"),
    ("right", "Response 2 better", "2"),
    ("equal", "Equal", "E"),
    ("both_bad", "Both bad", "B"),
)
CHOICES_APART = (
    ("left", "Only 1 is right", "1"),
    ("right", "Only 2 is right", "2"),
    ("equal", "Both right", "E"),
    ("both_bad", "Both wrong", "B"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose desk it is, and what is judged there, how.

    With `apart`, each response is judged by itself. With `by_hand`, ten calls are looked at
    before a whole replay is paid for. `languages` are those this person reads; None takes
    the eval's assignment. `picked` is a call that somebody chose to judge, in no bound.
    """

    task: str
    candidate: str
    annotator: str
    guideline_version: str = ""
    apart: bool = False
    by_hand: bool = False
    languages: tuple[str, ...] | None = None
    picked: str | None = None

    @property
    def choices(self) -> tuple[tuple[str, str, str], ...]:
        """Return what can be chosen: the choice, its words and its key."""
        return CHOICES_APART if self.apart else CHOICES


@dataclass(frozen=True, slots=True)
class Open:
    """The item in front of one reviewer."""

    place: Place
    item: ReviewItem

    @property
    def mark(self) -> str:
        """Return what tells this item from every other, and from itself after an undo."""
        return f"{self.item.item_id}-{self.item.attempt}"


@dataclass(frozen=True, slots=True)
class Last:
    """The label or skip given last, which reasons, a note and a right answer may still be added to."""

    open: Open
    choice: str
    label: Label

    @property
    def said(self) -> str:
        """Return what was chosen, in the words of its button."""
        return next((said for choice, said, _ in self.open.place.choices if choice == self.choice), "Skipped")


def held() -> Open | None:
    """Return the item on the desk, or None."""
    found: Open | None = st.session_state.get(ITEM)
    return found


def notice() -> None:
    """Show what a button has to say. It can't itself: what a callback writes replaces the page's top."""
    if text := st.session_state.pop(NOTICE, None):
        st.toast(text)


def said_of(label: Label) -> str:
    """Return in the words of the page what a label says, never which model it is about."""
    choice = review.choice_made(label)
    choices = CHOICES_APART if label.absolute is not None else CHOICES
    return next((said for each, said, _ in choices if each == choice), "Skipped")
