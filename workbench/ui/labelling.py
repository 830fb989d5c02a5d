"""Review: who labels, what the task asks for, and the desk."""

from __future__ import annotations

import streamlit as st

from workbench.ui import desk
from workbench.ui.desk import ITEM, LAST, Place
from workbench.ui.scope import Scope

NAME = "review.annotator"
REVIEWER = "reviewer"

__all__ = ["ITEM", "LAST", "NAME", "show"]


def show(scope: Scope) -> None:
    """Ask for a name once, then show one item after the other.

    Args:
        scope: The task and the candidate.
    """
    annotator = _annotator()
    if annotator is None:
        return
    _guidelines(scope)
    desk.desk(Place(scope.task, scope.candidate.name, annotator))


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


def _guidelines(scope: Scope) -> None:
    if scope.eval.guidelines:
        with st.expander(
            f"Guidelines, version {scope.eval.guideline_version[:6]}", icon=":material/menu_book:"
        ):
            # Written by the team in guidelines.md, not by a model: still shown as plain text.
            st.text(scope.eval.guidelines)
