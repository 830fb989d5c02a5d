"""What may be added to the label given last: reasons, a note, the right answer."""

from __future__ import annotations

import streamlit as st

from workbench import review
from workbench.errors import WorkbenchError
from workbench.records import EvalKind, LabelVerdict
from workbench.review import REASONS
from workbench.ui.desk import CHOICES, LAST, TROUBLE, Last, Place
from workbench.ui.session import here

CORRECTING = "review.correcting"
SAID = {choice: label for choice, label, _ in CHOICES} | {"skip": "Skipped"}


def show(place: Place) -> None:
    """Offer what may be added to this person's last label; nothing where there is none.

    Args:
        place: Whose desk.
    """
    last = _last(place)
    if last is None:
        return
    if last.label.verdict is LabelVerdict.EQUAL or last.label.skipped:
        st.caption(f"Saved: {SAID[last.choice].lower()}.")
        return
    mark = last.open.mark
    with st.container(border=True, key="review-reasons"):
        st.caption(f"Saved: {SAID[last.choice]}. Why? This adds to the label you just gave.")
        st.pills(
            "Reasons",
            list(REASONS),
            format_func=REASONS.__getitem__,
            selection_mode="multi",
            key=f"reasons-{mark}",
            label_visibility="collapsed",
            on_change=_amend,
            args=(mark,),
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text_input(
                "Note",
                key=f"note-{mark}",
                max_chars=2000,
                placeholder="A note, if you like",
                label_visibility="collapsed",
                on_change=_amend,
                args=(mark,),
            )
            _offer_correction(mark)
        if st.session_state.get(CORRECTING) == mark:
            _correction(last)


def _last(place: Place) -> Last | None:
    last: Last | None = st.session_state.get(LAST)
    return last if last is not None and last.open.place == place else None


def _offer_correction(mark: str) -> None:
    def start() -> None:
        st.session_state[CORRECTING] = mark

    if st.session_state.get(CORRECTING) != mark:
        st.button(
            "Write the right answer",
            key=f"correct-{mark}",
            icon=":material/edit:",
            type="tertiary",
            on_click=start,
        )


def _correction(last: Last) -> None:
    mark = last.open.mark
    labels = here().workspace.eval_for(last.open.place.task).labels
    if last.open.item.kind is EvalKind.LABEL and labels:
        st.selectbox(
            "The right label",
            labels,
            index=None,
            key=f"corrected-{mark}",
            on_change=_amend,
            args=(mark,),
            help="It becomes a gold answer, and an example to train on.",
        )
        return
    better = {"left": last.open.item.left, "right": last.open.item.right}.get(last.choice)
    st.text_area(
        "The right answer",
        value=better.text or "" if better else "",
        key=f"corrected-{mark}",
        max_chars=20_000,
        on_change=_amend,
        args=(mark,),
        help="It becomes a gold answer, and an example to train on.",
    )


def _amend(mark: str) -> None:
    last: Last | None = st.session_state.get(LAST)
    if last is None or last.open.mark != mark:
        return
    try:
        label = review.amend(
            here().store,
            last.label,
            last.open.place.annotator,
            reasons=st.session_state.get(f"reasons-{mark}") or (),
            note=st.session_state.get(f"note-{mark}") or "",
            corrected=st.session_state.get(f"corrected-{mark}"),
        )
        st.session_state[LAST] = Last(last.open, last.choice, label)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
