"""One reviewer's desk: a pair in front of them, judged by a key and committed with it, then the next.

A key runs this part alone. The pair and its buttons are sent first; what belongs to the
label given last comes after them, so that it never holds up the next item.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from workbench import review
from workbench.errors import WorkbenchError
from workbench.records import Label
from workbench.review import ReviewItem, ReviewProgress
from workbench.ui import card, navigation
from workbench.ui.markup import Safe, element, show
from workbench.ui.session import begin, complain, friendly, here

ITEM = "review.item"
LAST = "review.last"
TROUBLE = "review.trouble"

CHOICES = (
    ("left", "Response 1 better", "1"),
    ("right", "Response 2 better", "2"),
    ("equal", "Equal", "E"),
    ("both_bad", "Both bad", "B"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose desk it is, and what is judged there."""

    task: str
    candidate: str
    annotator: str


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


@st.fragment
def desk(place: Place) -> None:
    """Show one item after the other, until nothing is left for this person.

    Args:
        place: Whose desk.
    """
    from workbench.ui import afterwards

    with friendly():
        begin()
        if trouble := st.session_state.pop(TROUBLE, None):
            complain(trouble)
        current = _current(place)
        if current is None:
            _finished(place)
            _undo_button(place, "end")
        else:
            _item(current)
        afterwards.show(place)


def held() -> Open | None:
    """Return the item on the desk, or None."""
    found: Open | None = st.session_state.get(ITEM)
    return found


def _current(place: Place) -> Open | None:
    """Return the item on this reviewer's desk, drawing the next one where there is none."""
    known = held()
    if known is not None and known.place == place:
        return known
    now = here()
    item = review.next_item(now.workspace, now.store, place.task, place.candidate, place.annotator)
    found = Open(place, item) if item else None
    st.session_state[ITEM] = found
    return found


def _item(current: Open) -> None:
    item = current.item
    show(
        element(
            "div",
            progress_line(item.progress),
            card.request_card(item.request),
            card.pair_card(item.left, item.right, keys=("1", "2")),
            classes="wb-item",
        )
    )
    # The item is part of each key: a key pressed too late finds no button, and labels nothing.
    with st.container(horizontal=True, key="review-buttons"):
        for choice, label, key in CHOICES:
            st.button(
                label,
                key=f"{choice}-{current.mark}",
                shortcut=key,
                type="primary" if choice in ("left", "right") else "secondary",
                on_click=_submit,
                args=(current.mark, choice),
            )
        st.button("Skip", key=f"skip-{current.mark}", shortcut="S", on_click=_skip, args=(current.mark,))
        _undo_button(current.place, current.mark)


def progress_line(progress: ReviewProgress) -> Safe:
    """Return how far the labelling is, tied to the decision."""
    pieces = [element("span", progress.text)]
    if progress.needed:
        done = progress.labelled / progress.needed
        pieces.insert(0, element("progress", done=done, label=progress.text))
    return element("div", *pieces, classes="wb-progress")


def _undo_button(place: Place, mark: str) -> None:
    st.button("Undo", key=f"undo-{mark}", shortcut="Z", icon=":material/undo:", on_click=_undo, args=(place,))


def _held(mark: str) -> Open | None:
    """Return the item on the desk if it is the one that the button was drawn for."""
    current = held()
    return current if current is not None and current.mark == mark else None


def _submit(mark: str, choice: str) -> None:
    current = _held(mark)
    if current is None:
        return
    now = here()
    try:
        label = review.submit(
            now.workspace, now.store, current.item, current.place.annotator, current.item.verdict(choice)
        )
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[LAST] = Last(current, choice, label)
    st.session_state[ITEM] = None


def _skip(mark: str) -> None:
    current = _held(mark)
    if current is None:
        return
    now = here()
    try:
        label = review.skip(now.workspace, now.store, current.item, current.place.annotator)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[LAST] = Last(current, "skip", label)
    st.session_state[ITEM] = None


def _undo(place: Place) -> None:
    now = here()
    try:
        item = review.undo(now.workspace, now.store, place.task, place.candidate, place.annotator)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[LAST] = None
    if item is not None:
        st.session_state[ITEM] = Open(place, item)
        st.toast("Taken back. Judge it again.", icon=":material/undo:")
    else:
        st.toast("There is nothing of yours to take back.")


def _finished(place: Place) -> None:
    now = here()
    show(progress_line(review.progress(now.workspace, now.store, place.task, place.candidate)))
    st.success("Nothing waits for your label here. Thank you.", icon=":material/task_alt:")
    # A button, since the address of a link would tell the candidate while second reviews may still come.
    if st.button("See what the labels changed", icon=":material/stacked_line_chart:", key="see-ramp"):
        query = {"task": place.task, "candidate": place.candidate}
        st.switch_page(navigation.page("ramp"), query_params=query)
