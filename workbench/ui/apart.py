"""Each response judged by itself: which of its fields are wrong, and what a choice then says."""

from __future__ import annotations

from typing import TypeVar

import streamlit as st

from workbench.records import AbsoluteJudgement
from workbench.review import ReviewItem
from workbench.ui import answers, card

SIDES = ("left", "right")

T = TypeVar("T")


def ask(item: ReviewItem, mark: str, known: AbsoluteJudgement | None = None) -> None:
    """Let a reviewer say which fields of each response are wrong, before they choose.

    Args:
        item: The pair.
        mark: What tells this question from every other on the page.
        known: What they said before.
    """
    wrong = wrong_on(item, known)
    for column, side, name in zip(st.columns(2), SIDES, card.TITLES, strict=True):
        column.pills(
            f"Wrong in {name.lower()}",
            list(item.fields),
            # Paths may be a model's own words.
            format_func=answers.quoted,
            selection_mode="multi",
            wrap=True,
            default=[each for each in wrong[side] if each in item.fields],
            key=f"wrong-{side}-{mark}",
        )


def judged(item: ReviewItem, choice: str, mark: str) -> AbsoluteJudgement:
    """Return what was said of each response, by the choice and the fields that were called wrong.

    Args:
        item: The pair.
        choice: left (only it is right), right, equal (both are) or both_bad (neither is).
        mark: As given to `ask`.
    """
    wrong = {side: st.session_state.get(f"wrong-{side}-{mark}") or () for side in SIDES}
    return item.absolute(
        choice in ("left", "equal"),
        choice in ("right", "equal"),
        left_wrong=wrong["left"],
        right_wrong=wrong["right"],
    )


def choice_of(item: ReviewItem, known: AbsoluteJudgement) -> str:
    """Return what a judgement looks like on this item's page: left, right, equal or both_bad."""
    left, right = _turned(item, known.control_right, known.candidate_right)
    if left and right:
        return "equal"
    return "left" if left else "right" if right else "both_bad"


def wrong_on(item: ReviewItem, known: AbsoluteJudgement | None) -> dict[str, tuple[str, ...]]:
    """Return the fields that were called wrong, by side."""
    if known is None:
        return dict.fromkeys(SIDES, ())
    left, right = _turned(item, known.control_wrong, known.candidate_wrong)
    return {"left": left, "right": right}


def _turned(item: ReviewItem, control: T, candidate: T) -> tuple[T, T]:
    """Return what belongs to control and candidate in the order of the page."""
    return (control, candidate) if item.shown_order == "control_left" else (candidate, control)
