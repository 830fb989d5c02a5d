"""Is newly imported traffic like what was evaluated? The last check of it, and another one."""

from __future__ import annotations

import streamlit as st

from workbench import access
from workbench.roles import Right
from workbench.scoring.traffic_check import TrafficCheck, last_check
from workbench.scoring.watching import watch
from workbench.ui import answers, words
from workbench.ui.diff import visible
from workbench.ui.scope import Scope
from workbench.ui.session import ask, friendly, here

NOTES = "newer.notes"
"""Under this key a session holds when somebody last looked, and what was to be said of it."""


def show(scope: Scope) -> None:
    """Show what the last check found, and offer to look again."""
    found = ask(last_check, scope.task, scope.candidate.name)
    st.subheader("Is new traffic like the evaluated?", anchor=False, help=words.GLOSSARY["traffic_check"])
    if found is None:
        st.text("Not checked yet. Look after each import: a share rests on what was evaluated.")
    else:
        _findings(found)
    _look(scope, "Look now" if found is None else "Look again")


def _findings(found: TrafficCheck) -> None:
    if not found.new_calls:
        st.text(f"No call was imported after {found.since:%Y-%m-%d %H:%M} UTC.")
    elif found.moved:
        what = answers.quoted(" and ".join(found.moved))
        st.warning(
            f"Another {what}: the share grows only if the newer calls carry it alone"
            f"{'.' if found.content_moved else ', or the evaluated harm by the new mix does.'}",
            icon=":material/shuffle:",
        )
    else:
        st.text("No shift seen in the mix." if found.content is None else "No shift seen.")
    looked_at, notes = st.session_state.get(NOTES, (None, ()))
    for line in (*found.lines, *(notes if looked_at == found.checked_at else ())):
        st.text(visible(line.strip()))
    st.caption(
        f"{words.counted(found.new_calls, 'call')} imported after {found.since:%Y-%m-%d}, "
        f"looked at {found.checked_at:%Y-%m-%d %H:%M} UTC."
    )


def _look(scope: Scope, label: str) -> None:
    allowed = access.may(Right.REPLAY, scope.task)
    pressed = st.button(
        label,
        icon=":material/search:",
        key="look-at-traffic",
        disabled=not allowed,
        help=f"Embeds up to 800 inputs on this machine with {scope.eval.embedder}, each once, "
        "and compared newer ones where the content is new."
        if allowed
        else "Your role does not look for drift.",
    )
    if not pressed:
        return
    with friendly(), st.spinner("Looking at the newer calls", show_time=True):
        check = watch(here().workspace, here().store, scope.task, scope.candidate.name).check
        st.session_state[NOTES] = (check.checked_at, check.notes)
        st.rerun()
