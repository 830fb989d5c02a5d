"""Conflicts: pairs on which people differ, read with what each said, and decided by a key."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench import access, review
from workbench.errors import WorkbenchError
from workbench.records import EvalKind
from workbench.review import REASONS, CastVote, Conflict, ConflictHead, Decision
from workbench.ui import answers, apart, card, exports, guideline_versions, words
from workbench.ui.diff import visible
from workbench.ui.heights import table_px
from workbench.ui.markup import element
from workbench.ui.markup import show as show_html
from workbench.ui.scope import Scope
from workbench.ui.seat import CHOICES, CHOICES_APART, ITEM, NOTICE, TROUBLE, notice
from workbench.ui.session import complain, here

OPENED = "review.conflict"
SAID = {choice: said for choice, said, _ in CHOICES}
_APART = {choice: said for choice, said, _ in CHOICES_APART}
CALLED = {
    (True, False): _APART["left"],
    (False, True): _APART["right"],
    (True, True): _APART["equal"],
    (False, False): _APART["both_bad"],
}
"""What was said of each response by itself, by whether the first and the second were called right."""
SHOWN = 50


def show(scope: Scope, annotator: str, *, each_apart: bool = False) -> None:
    """Show the open conflicts; whoever opens one is not asked for a blind verdict on it any more.

    Args:
        scope: The task and the candidate.
        annotator: Who decides.
        each_apart: Whether they say of each response if it is right, instead of which is better.
    """
    if trouble := st.session_state.pop(TROUBLE, None):
        complain(trouble, blind=scope.task)
    notice()
    whose = (here().workspace, here().store, scope.task, scope.candidate.name, annotator)
    # Not remembered: it depends on the clock which pairs somebody still holds.
    heads = review.conflicts(*whose)
    opened = st.session_state.get(OPENED)
    if opened in {each.key for each in heads}:
        _decide(scope, annotator, review.open_conflict(*whose, opened), each_apart)
        return
    if heads:
        _list(heads)
        exports.offer(
            "conflicts",
            task=scope.task,
            candidate=scope.candidate.name,
            filters={"who": "" if access.current().signed_in else annotator},
            rows=len(heads),
            blind=True,
        )
    else:
        st.info(
            "Nobody differs. A pair that two people judge differently waits here for a decision.",
            icon=":material/handshake:",
        )
    _decided(review.decisions(*whose), annotator)


def _list(heads: list[ConflictHead]) -> None:
    st.caption(
        f"{words.counted(len(heads), 'pair')} on which people differ; until somebody decides, the worse "
        "verdict counts. Opening one shows what each said: you will not be asked for it blind again."
    )
    for head in heads:
        with st.container(
            border=True, horizontal=True, vertical_alignment="center", key=f"conflict-{head.key}"
        ):
            st.text(visible(f"Call {head.native_id}"), width="stretch")
            st.text(words.counted(head.votes, "label"), width="content")
            if head.own:
                st.text("one is yours", width="content")
            if head.barred:
                st.text(head.barred, width="content")
            else:
                st.button("Open", key=f"open-{head.key}", on_click=_open, args=(head.key,))


def _open(key: str | None) -> None:
    st.session_state[OPENED] = key
    # Whoever reads what others said of the pair on their desk is not asked for it any more.
    st.session_state.pop(ITEM, None)


def _decided(found: list[Decision], annotator: str) -> None:
    """Show what this person decided, each with a button that takes it back."""
    if not found:
        return
    with st.expander(f"{words.counted(len(found), 'pair')} you decided", key="decided"):
        for each in found[:SHOWN]:
            with st.container(
                horizontal=True, vertical_alignment="center", key=f"decided-{each.label.label_id}"
            ):
                st.text(visible(f"Call {each.native_id}"), width="stretch")
                st.text(words.ago(each.label.created_at), width="content")
                st.button(
                    "Take back",
                    key=f"take-back-{each.label.label_id}",
                    icon=":material/undo:",
                    on_click=_take_back,
                    args=(each, annotator),
                )


def _take_back(decision: Decision, annotator: str) -> None:
    try:
        review.take_decision_back(here().store, decision.label, annotator)
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[NOTICE] = "Taken back: the pair is open again, and your decision is kept beside it."


def _decide(scope: Scope, annotator: str, conflict: Conflict, each_apart: bool) -> None:
    item = conflict.item
    each_apart = each_apart and item.absolute_possible
    show_html(
        element(
            "div",
            card.request_card(item.request),
            card.pair_card(item.left, item.right, rules=item.field_rules, keys=("1", "2")),
            classes="wb-item",
        )
    )
    _votes(conflict)
    if conflict.guidelines_differ:
        versions = [vote.guideline_version for vote in conflict.votes]
        guideline_versions.offer(scope, versions, key="conflict")
    mark = conflict.key
    st.pills(
        "Reasons",
        list(REASONS),
        format_func=REASONS.__getitem__,
        selection_mode="multi",
        key=f"decide-reasons-{mark}",
    )
    st.text_input("Note", key=f"decide-note-{mark}", max_chars=2000, placeholder="Why, for both of them")
    st.text_input(
        "The right answer",
        key=f"decide-corrected-{mark}",
        max_chars=20_000,
        placeholder="If neither is",
        help="It becomes a gold answer, and an example to train on.",
    )
    if each_apart and item.kind is EvalKind.FIELDS:
        apart.ask(item, f"decide-{mark}")
    with st.container(horizontal=True, key="review-buttons"):
        for choice, said, key in CHOICES_APART if each_apart else CHOICES:
            st.button(
                said,
                key=f"decide-{choice}-{mark}",
                shortcut=key,
                type="primary" if choice in ("left", "right") else "secondary",
                on_click=_settle,
                args=(conflict, annotator, choice, each_apart),
            )
        st.button("Back to the list", key=f"back-{mark}", on_click=_open, args=(None,))


def _votes(conflict: Conflict) -> None:
    if conflict.guidelines_differ:
        st.info("They were made under different guidelines.", icon=":material/history:")
    frame = pd.DataFrame(
        {
            "Who": [visible(vote.annotator) for vote in conflict.votes],
            "Said": [_said(vote) for vote in conflict.votes],
            "Reasons": [
                "; ".join(REASONS.get(word, visible(word)) for word in vote.reasons)
                for vote in conflict.votes
            ],
            "Note": [visible(vote.note) for vote in conflict.votes],
            "Right answer": [visible(vote.corrected or "") for vote in conflict.votes],
            "Guidelines": [words.guidelines(vote.guideline_version) for vote in conflict.votes],
            "When": [words.ago(vote.created_at) for vote in conflict.votes],
        }
    )
    alt = "; ".join(f"{vote.annotator}: {_said(vote)}" for vote in conflict.votes)
    st.dataframe(frame, hide_index=True, lazy=False, height=table_px(len(frame)), alt=answers.quoted(alt))


def _said(vote: CastVote) -> str:
    wrong = [
        f"{name}: {', '.join(map(visible, paths))}"
        for name, paths in zip(("wrong in 1", "wrong in 2"), (vote.left_wrong, vote.right_wrong), strict=True)
        if paths
    ]
    if vote.left_right is None or vote.right_right is None:
        said = SAID.get(vote.choice, vote.choice)
    else:
        said = CALLED[vote.left_right, vote.right_right]
    return f"{said} ({'; '.join(wrong)})" if wrong else said


def _settle(conflict: Conflict, annotator: str, choice: str, each_apart: bool) -> None:
    mark = conflict.key
    now = here()
    judged = apart.judged(conflict.item, choice, f"decide-{mark}") if each_apart else None
    try:
        review.adjudicate(
            now.workspace,
            now.store,
            conflict,
            annotator,
            None if judged else conflict.item.verdict(choice),
            absolute=judged,
            reasons=() if choice == "equal" else st.session_state.get(f"decide-reasons-{mark}") or (),
            note=st.session_state.get(f"decide-note-{mark}") or "",
            corrected=st.session_state.get(f"decide-corrected-{mark}") or None,
        )
    except WorkbenchError as error:
        st.session_state[TROUBLE] = error
        return
    st.session_state[OPENED] = None
    st.session_state.pop(ITEM, None)
    st.session_state[NOTICE] = "Decided. What each said is kept."
