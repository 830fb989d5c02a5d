"""Review: who labels, what the task asks for, and the views of the page."""

from __future__ import annotations

import streamlit as st

from workbench import access, review
from workbench.records import EvalKind
from workbench.roles import Right
from workbench.scoring.case_filters import pool_of
from workbench.store import facets
from workbench.ui import address, answers, conflicts, desk, guidelines, markup, my_labels, repeats
from workbench.ui.diff import visible
from workbench.ui.scope import Scope
from workbench.ui.seat import ITEM, LAST, Place
from workbench.ui.session import ask, friendly, here, read
from workbench.ui.whose import NAME, note_what_was_read

REVIEWER = "reviewer"
PAIR_CHARS = 200
"""Of a call's id in the address, which opens that pair."""

LABEL, BY_HAND, MINE, CONFLICTS = "label", "by-hand", "mine", "conflicts"
VIEWS = {LABEL: "Label", BY_HAND: "Ten by hand", MINE: "My labels", CONFLICTS: "Conflicts"}
WAYS = {"pair": "Which is better?", "apart": "Is each right?"}

__all__ = ["ITEM", "LAST", "NAME", "show"]


def show(scope: Scope) -> None:
    """Ask for a name once, then show the view that the address names.

    Args:
        scope: The task and the candidate.
    """
    with friendly(blind=scope.task):
        _show(scope)


def _show(scope: Scope) -> None:
    annotator = _annotator()
    if annotator is None:
        return
    note_what_was_read(annotator)
    repeats.ignore()
    picked = st.query_params.get("pair", "")[:PAIR_CHARS] or None
    with st.container(horizontal=True, vertical_alignment="center", key="review-head"):
        views = dict(VIEWS)
        if not access.may(Right.ADJUDICATE, scope.task):
            # Others' labels are no reviewer's business while they judge blind.
            del views[CONFLICTS]
        view = address.segmented("View", views, name="view")
        apart = _way(scope, view)
        _guidelines(scope)
        languages = _person(scope, annotator)
    if warning := ask(review.agreement, scope.task, scope.candidate.name).warning:
        st.warning(answers.quoted(warning), icon=":material/groups:")
    if view == MINE:
        my_labels.show(scope, annotator)
    elif view == CONFLICTS:
        conflicts.show(scope, annotator, each_apart=apart)
    else:
        desk.desk(
            Place(
                scope.task,
                scope.candidate.name,
                annotator,
                scope.eval.guideline_version,
                apart,
                view == BY_HAND,
                languages,
                picked if view == LABEL else None,
            )
        )


def _annotator() -> str | None:
    actor = access.current()
    if actor.signed_in:
        return actor.name
    name = st.session_state.get(NAME)
    if name:
        return str(name)
    with st.form("annotator", width=420):
        # Kept in the address, so that after a reload one key is enough to go on.
        typed = st.text_input(
            "Your name",
            value=st.query_params.get(REVIEWER, "")[:80],
            max_chars=80,
            help="Stored with each label, so that two reviewers can be told apart.",
        )
        if st.form_submit_button("Start", type="primary") and (typed or "").strip():
            st.session_state[NAME] = st.query_params[REVIEWER] = (typed or "").strip()
            st.rerun()
    st.caption(
        "You will see a request and two responses. Nothing tells you which model wrote which. "
        "Say which is better, with a click or a key."
    )
    return None


def _way(scope: Scope, view: str) -> bool:
    """Let a reviewer compare both responses, or judge each by itself where that is possible."""
    if view == MINE or scope.eval.kind not in (EvalKind.LABEL, EvalKind.FIELDS):
        return False
    return address.segmented("Question", WAYS, name="way") == "apart"


def _guidelines(scope: Scope) -> None:
    if scope.eval.guidelines:
        with st.popover("Guidelines", icon=":material/menu_book:"):
            markup.show(guidelines.card(scope.eval.guidelines))
            st.caption(
                f"Version {scope.eval.guideline_version[:6]}; each label keeps the version it was made under."
            )


def _person(scope: Scope, annotator: str) -> tuple[str, ...] | None:
    """Show who labels, and return the languages they say they read; None where they don't say."""
    pool = pool_of(here().workspace, scope.task, scope.candidate.name)
    offered = read(facets.languages, pool)
    with st.popover(answers.quoted(annotator[:24]), icon=":material/person:"):
        st.text(f"Labelling as {visible(annotator)}")
        chosen: list[str] = []
        if len(offered) > 1:
            assigned = scope.eval.review.languages.get(annotator)
            chosen = address.several(
                "Languages you read",
                offered,
                name="languages",
                default=assigned or (),
                labels=answers.quoted,
                help="Without a choice you get those that the eval assigns to you."
                if assigned
                else "Without a choice you get every language.",
            )
        if not access.current().signed_in and st.button(
            "Label as somebody else", type="tertiary", key="change-annotator"
        ):
            for key in (NAME, ITEM, LAST):
                st.session_state.pop(key, None)
            st.rerun()
    return tuple(chosen) or None
