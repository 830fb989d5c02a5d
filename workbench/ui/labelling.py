"""Review: one pair at a time, blind, judged by a key and committed with it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import streamlit as st

from workbench import review
from workbench.errors import WorkbenchError
from workbench.records import Label, LabelVerdict, Output
from workbench.review import REASONS, ReviewItem, ReviewProgress
from workbench.ui import answers, navigation
from workbench.ui.diff import parsed, word_diff
from workbench.ui.scope import Scope
from workbench.ui.session import begin, complain, friendly, here

NAME = "review.annotator"
ITEM = "review.item"
LAST = "review.last"
TROUBLE = "review.trouble"
BOTH = ("blind", "blind")

CHOICES = (
    ("left", "Response 1 better", "1"),
    ("right", "Response 2 better", "2"),
    ("equal", "Equal", "E"),
    ("both_bad", "Both bad", "B"),
)


@dataclass(frozen=True, slots=True)
class Open:
    """The item in front of one reviewer, and what it belongs to."""

    task: str
    candidate: str
    annotator: str
    item: ReviewItem


@dataclass(frozen=True, slots=True)
class Last:
    """The label given last, which reasons and a note may still be added to."""

    open: Open
    choice: str
    label: Label


def show(scope: Scope) -> None:
    """Ask for a name once, then show one item after the other.

    A key runs this part alone, not the page around it, so that the next item comes at once.
    """
    _show(scope.task, scope.candidate.name)


@st.fragment
def _show(task: str, candidate: str) -> None:
    with friendly():
        # Read anew at each key: the eval and its guidelines may have been edited meanwhile.
        workspace = begin().workspace
        _desk(Scope(workspace.eval_for(task), workspace.candidate(candidate)))


def _desk(scope: Scope) -> None:
    annotator = _annotator()
    if annotator is None:
        return
    if trouble := st.session_state.pop(TROUBLE, None):
        complain(trouble)
    current = _current(scope, annotator)
    if current is None:
        _finished(scope)
        _last(scope, annotator)
        _undo_button(scope, annotator, "end")
        return
    item = current.item
    _progress(item.progress)
    if item.guidelines:
        with st.expander("Guidelines", icon=":material/menu_book:"):
            # Written by the team in guidelines.md, not by a model: still shown as plain text.
            st.text(item.guidelines)
    with st.container(border=True, key="review-request"):
        st.caption("Request")
        answers.show_request(item.request, height=None)
    _responses(item)
    _buttons(scope, current)
    _last(scope, annotator)


def _annotator() -> str | None:
    name = st.session_state.get(NAME)
    if name:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(f"Labelling as {name}", width="content")
            if st.button("Change", type="tertiary", key="change-annotator"):
                for key in (NAME, ITEM, LAST):
                    st.session_state.pop(key, None)
                st.rerun()
        return str(name)
    with st.form("annotator", width=420):
        typed = st.text_input(
            "Your name",
            max_chars=80,
            help="Stored with each label, so that two reviewers can be told apart.",
        )
        if st.form_submit_button("Start", type="primary") and (typed or "").strip():
            st.session_state[NAME] = (typed or "").strip()
            st.rerun()
    st.caption(
        "You will see a request and two responses. Nothing tells you which model wrote which. "
        "Say which is better, with a click or a key."
    )
    return None


def _current(scope: Scope, annotator: str) -> Open | None:
    """Return the item on this reviewer's desk, drawing the next one where there is none."""
    wanted = (scope.task, scope.candidate.name, annotator)
    held: Open | None = st.session_state.get(ITEM)
    if held is not None and (held.task, held.candidate, held.annotator) == wanted:
        return held
    now = here()
    item = review.next_item(now.workspace, now.store, *wanted)
    st.session_state[ITEM] = Open(*wanted, item) if item else None
    found: Open | None = st.session_state[ITEM]
    return found


def _progress(progress: ReviewProgress) -> None:
    if progress.needed:
        st.progress(min(1.0, progress.labelled / progress.needed), text=answers.quoted(progress.text))
    else:
        st.text(progress.text)


def _responses(item: ReviewItem) -> None:
    left, right = (_readable(each) for each in (item.left, item.right))
    sides = word_diff(left, right, BOTH)
    one, two = st.columns(2)
    one.markdown("**Response 1**")
    one.html(sides.left)
    two.markdown("**Response 2**")
    two.html(sides.right)


def _readable(output: Output) -> str:
    """Return an answer to read; JSON without a frame is spread over lines, so that fields align."""
    text = answers.output_text(output)
    if text[:1] in ("{", "[") and (value := parsed(text)) is not None:
        return json.dumps(value, ensure_ascii=False, indent=2)
    return text


def _buttons(scope: Scope, current: Open) -> None:
    item = current.item
    # The item is part of each key: a key pressed too late finds no button, and labels nothing.
    mark = f"{item.item_id}-{item.attempt}"
    with st.container(horizontal=True, key="review-buttons"):
        for choice, label, key in CHOICES:
            st.button(
                label,
                key=f"{choice}-{mark}",
                shortcut=key,
                type="primary" if choice in ("left", "right") else "secondary",
                on_click=_submit,
                args=(item.item_id, item.attempt, choice),
            )
        st.button(
            "Skip",
            key=f"skip-{mark}",
            shortcut="S",
            on_click=_skip,
            args=(item.item_id, item.attempt),
            help="A skipped case counts as harmful until somebody labels it.",
        )
        _undo_button(scope, current.annotator, mark)


def _undo_button(scope: Scope, annotator: str, mark: str) -> None:
    st.button(
        "Undo",
        key=f"undo-{mark}",
        shortcut="Z",
        icon=":material/undo:",
        on_click=_undo,
        args=(scope.task, scope.candidate.name, annotator),
        help="Take your last label or skip back.",
    )


def _held(item_id: str, attempt: int) -> Open | None:
    """Return the item on the desk if it is the one that the button was drawn for."""
    current: Open | None = st.session_state.get(ITEM)
    if current is None or (current.item.item_id, current.item.attempt) != (item_id, attempt):
        return None
    return current


def _submit(item_id: str, attempt: int, choice: str) -> None:
    current = _held(item_id, attempt)
    if current is None:
        return
    now = here()
    verdict = current.item.verdict(choice)
    try:
        label = review.submit(now.workspace, now.store, current.item, current.annotator, verdict)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[LAST] = Last(current, choice, label)
    st.session_state[ITEM] = None


def _skip(item_id: str, attempt: int) -> None:
    current = _held(item_id, attempt)
    if current is None:
        return
    now = here()
    try:
        review.skip(now.workspace, now.store, current.item, current.annotator)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[LAST] = None
    st.session_state[ITEM] = None


def _undo(task: str, candidate: str, annotator: str) -> None:
    now = here()
    try:
        item = review.undo(now.workspace, now.store, task, candidate, annotator)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[LAST] = None
    if item is not None:
        st.session_state[ITEM] = Open(task, candidate, annotator, item)
        st.toast("Taken back. Judge it again.", icon=":material/undo:")
    else:
        st.toast("There is nothing of yours to take back.")


def _last(scope: Scope, annotator: str) -> None:
    """Offer reasons and a note for the label given last, where it was worse or both bad."""
    last: Last | None = st.session_state.get(LAST)
    if last is None or (last.open.task, last.open.candidate) != (scope.task, scope.candidate.name):
        return
    said = next(label for choice, label, _ in CHOICES if choice == last.choice)
    if last.label.verdict is LabelVerdict.EQUAL:
        st.caption(f"Saved: {said.lower()}.")
        return
    mark = f"{last.open.item.item_id}-{last.open.item.attempt}"
    with st.container(border=True, key="review-reasons"):
        st.caption(f"Saved: {said}. Why? (adds to the label you just gave)")
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
        st.text_input(
            "Note",
            key=f"note-{mark}",
            max_chars=2000,
            placeholder="A note, if you like",
            label_visibility="collapsed",
            on_change=_amend,
            args=(mark,),
        )


def _amend(mark: str) -> None:
    last: Last | None = st.session_state.get(LAST)
    if last is None or f"{last.open.item.item_id}-{last.open.item.attempt}" != mark:
        return
    try:
        label = review.amend(
            here().store,
            last.label,
            last.open.annotator,
            reasons=st.session_state.get(f"reasons-{mark}") or (),
            note=st.session_state.get(f"note-{mark}") or "",
        )
        st.session_state[LAST] = Last(last.open, last.choice, label)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error


def _finished(scope: Scope) -> None:
    now = here()
    with friendly():
        _progress(review.progress(now.workspace, now.store, scope.task, scope.candidate.name))
    st.success("Nothing waits for your label here. Thank you.", icon=":material/task_alt:")
    # A button, since the address of a link would tell the candidate while second reviews may still come.
    if st.button("See what the labels changed", icon=":material/stacked_line_chart:", key="see-ramp"):
        query = {"task": scope.task, "candidate": scope.candidate.name}
        st.switch_page(navigation.page("ramp"), query_params=query)
