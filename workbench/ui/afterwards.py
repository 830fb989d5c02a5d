"""What may be added to the label given last: reasons, a note, the right answer. And what it did."""

from __future__ import annotations

import streamlit as st

from workbench import review
from workbench.errors import WorkbenchError
from workbench.records import EvalKind, LabelVerdict
from workbench.review import REASONS
from workbench.ui import answers
from workbench.ui.seat import LAST, TROUBLE, Last, Place
from workbench.ui.session import here

CORRECTING = "review.correcting"
EFFECT = "review.effect"
GOLD = "It becomes a gold answer, and an example to train on."
SKIPS = (
    "not my language",
    "the request is unclear",
    "I don't know the subject",
    "personal data that I should not read",
)


def show(place: Place) -> None:
    """Offer what may be added to this person's last label; nothing where there is none.

    Args:
        place: Whose desk.
    """
    last = _last(place)
    if last is None:
        return
    if last.label.skipped:
        _why_skipped(last)
    elif last.label.verdict is LabelVerdict.EQUAL:
        st.caption(f"Saved: {last.said.lower()}.")
    else:
        _why(last)
    _effect(last)


def _last(place: Place) -> Last | None:
    last: Last | None = st.session_state.get(LAST)
    return last if last is not None and last.open.place == place else None


def _why_skipped(last: Last) -> None:
    mark = last.open.mark
    with st.container(border=True, key="review-reasons"):
        st.caption("Skipped; it counts as harm until somebody labels it. Why?")
        st.pills(
            "Why skipped",
            SKIPS,
            key=f"skipped-{mark}",
            label_visibility="collapsed",
            on_change=_say_why_skipped,
            args=(mark,),
        )


def _why(last: Last) -> None:
    mark = last.open.mark
    with st.container(border=True, key="review-reasons"):
        st.caption(f"Saved: {last.said}. Why? This adds to the label you just gave.")
        # Streamlit forgets a widget that was off the page; the label keeps what was said.
        _begin(f"reasons-{mark}", list(last.label.reasons))
        _begin(f"note-{mark}", last.label.note)
        st.pills(
            "Reasons",
            list(REASONS),
            format_func=REASONS.__getitem__,
            selection_mode="multi",
            key=f"reasons-{mark}",
            label_visibility="collapsed",
            on_change=_give_reasons,
            args=(mark,),
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text_input(
                "Note",
                key=f"note-{mark}",
                max_chars=2000,
                placeholder="A note, if you like",
                label_visibility="collapsed",
                on_change=_give_note,
                args=(mark,),
            )
            if st.session_state.get(CORRECTING) != mark:
                st.button(
                    "Write the right answer",
                    key=f"correct-{mark}",
                    icon=":material/edit:",
                    type="tertiary",
                    on_click=_correct,
                    args=(mark,),
                )
        if st.session_state.get(CORRECTING) == mark:
            _correction(last)


def _correct(mark: str) -> None:
    st.session_state[CORRECTING] = mark


def _correction(last: Last) -> None:
    mark, item = last.open.mark, last.open.item
    config = here().workspace.eval_for(last.open.place.task)
    key, said = f"corrected-{mark}", last.label.corrected
    if item.kind is EvalKind.LABEL and config.names_one_label and config.labels:
        _begin(key, said if said in config.labels else None)
        st.selectbox(
            "The right label",
            config.labels,
            index=None,
            format_func=answers.quoted,
            key=key,
            on_change=_give_answer,
            args=(mark,),
            help=GOLD,
        )
        return
    better = {"left": item.left, "right": item.right}.get(last.choice)
    _begin(key, said or (better.text or "" if better else ""))
    text = st.text_area("The right answer", key=key, max_chars=20_000, help=GOLD)
    # The better side stands there to begin with: it is nobody's answer until somebody says so.
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Save the right answer",
            key=f"save-corrected-{mark}",
            icon=":material/check:",
            on_click=_give_answer,
            args=(mark,),
            disabled=not (text or "").strip() and not said,
        )
        if said:
            st.caption("Saved as it stands." if text == said else "What is saved differs from this.")


def _begin(key: str, value: object) -> None:
    """Give a widget that is new on the page what the label holds already."""
    if key not in st.session_state:
        st.session_state[key] = value


def _effect(last: Last) -> None:
    """Say how the label moved the bound, where the eval lets reviewers see it."""
    now, place = here(), last.open.place
    if place.by_hand or not now.workspace.eval_for(place.task).review.show_effect:
        return
    known = st.session_state.get(EFFECT)
    if known is None or known[0] != last.label.label_id:
        found = review.effect_of(now.workspace, now.store, place.task, place.candidate, last.label)
        known = (last.label.label_id, found.text if found else "")
        st.session_state[EFFECT] = known
    if known[1]:
        st.caption(answers.quoted(known[1]))


def _say_why_skipped(mark: str) -> None:
    _amend(mark, note=st.session_state.get(f"skipped-{mark}") or "")


def _give_reasons(mark: str) -> None:
    _amend(mark, reasons=tuple(st.session_state.get(f"reasons-{mark}") or ()))


def _give_note(mark: str) -> None:
    _amend(mark, note=st.session_state.get(f"note-{mark}") or "")


def _give_answer(mark: str) -> None:
    _amend(mark, corrected=st.session_state.get(f"corrected-{mark}") or "")


def _amend(
    mark: str,
    *,
    reasons: tuple[str, ...] | None = None,
    note: str | None = None,
    corrected: str | None = None,
) -> None:
    """Add to the label given last what a person just said, and nothing that they did not."""
    last: Last | None = st.session_state.get(LAST)
    if last is None or last.open.mark != mark:
        return
    try:
        label = review.amend(
            here().store,
            last.label,
            last.open.place.annotator,
            reasons=reasons,
            note=note,
            corrected=corrected,
        )
        st.session_state[LAST] = Last(last.open, last.choice, label)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
