"""On Ramp: how the evidence grew, and when each stage came within reach."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from workbench.rollout import LogEntry
from workbench.scoring.trail import Trail, evidence_over_time
from workbench.ui import answers, figures, words
from workbench.ui.scope import Scope
from workbench.ui.session import ask, colours
from workbench.ui.trail_figure import evidence_trail, milestones

AT_ONCE = 200_000
"""With more compared calls a page waits to be asked."""


def show(scope: Scope, compared: int, log: Sequence[LogEntry]) -> None:
    """Show the figure, or why there is none.

    Args:
        scope: The task and the candidate.
        compared: How many calls are compared.
        log: Its decisions, newest first.
    """
    st.header("How the evidence grew", anchor=False, help=words.GLOSSARY["bound"])
    if not compared:
        st.caption("Nothing is compared yet.")
        return
    wanted = f"trail.{scope.task}.{scope.candidate.name}"
    if compared > AT_ONCE and not st.session_state.get(wanted):
        st.caption(f"{words.counted(compared, 'compared call')}: this takes a few seconds.")
        if not st.button("Replay the evidence", icon=":material/timeline:", key="replay-evidence"):
            return
        st.session_state[wanted] = True
    with st.spinner("Replaying the evidence", show_time=True):
        trail = ask(evidence_over_time, scope.task, scope.candidate.name)
    if not trail.steps:
        st.caption("No batch of comparisons is complete yet.")
        return
    drawing = evidence_trail(trail, colours(), accepted=accepted_at(trail, log))
    st.plotly_chart(drawing.figure, key="trail", config=figures.CONFIG, alt=drawing.alt, theme=None)
    st.text(milestones(trail))
    counted = "worse minus better" if trail.policy.harm == "net" else "calls that get worse"
    st.caption(
        answers.quoted(
            f"Line: the bound on {counted}, {words.stage(trail.policy.level)} sure at every step, "
            "however often you look. Band: down to its lower limit; dotted: the estimate. Each step is what "
            "this page would have said then: a verdict that was changed later counts until it was changed. "
            "How much calls of one session count, and items that were never answered, are as known now; "
            "guards and slices are not replayed."
        )
    )


def accepted_at(trail: Trail, log: Sequence[LogEntry]) -> list[tuple[int, float]]:
    """Return where decisions stand among the steps, by time: the last step known to be before each."""
    found: dict[int, float] = {}
    for entry in reversed(log):
        before = [
            n
            for n, each in enumerate(trail.steps)
            if each.at is not None and each.at <= entry.decision.decided_at
        ]
        if before:
            found[before[-1]] = entry.decision.share
    return list(found.items())
