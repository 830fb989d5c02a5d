"""Starting commands from a page: a button, what it runs, and what a dry run says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from workbench import access
from workbench.errors import WorkbenchError
from workbench.replay import ReplayReport
from workbench.roles import Right
from workbench.ui import jobs, words
from workbench.ui.diff import visible
from workbench.ui.heights import metric, metrics
from workbench.ui.session import complain, here


def start_button(
    task: str, candidate: str, commands: Sequence[Sequence[str]], *, label: str, key: str
) -> bool:
    """Offer to start commands, and start them; two of one candidate never run at once.

    Returns:
        Whether they were started now.
    """
    workspace = here().workspace
    busy = any(
        job.running and (job.task, job.candidate) == (task, candidate) for job in jobs.recent(workspace)
    )
    allowed = access.may(Right.REPLAY, task)
    pressed = st.button(
        label,
        type="primary",
        icon=":material/play_arrow:",
        key=key,
        disabled=busy or not allowed,
        help="Your role does not start runs."
        if not allowed
        else "A run of this candidate on this task is at work."
        if busy
        else "It goes on when this page is closed.",
    )
    if pressed:
        jobs.start(workspace, task, candidate, commands)
    return pressed


def start_or_estimate(
    task: str,
    candidate: str,
    commands: Sequence[Sequence[str]],
    *,
    label: str,
    tab: str,
    estimate: Callable[[], ReplayReport],
) -> None:
    """Offer to start commands, to see what they would take first, and to copy them.

    An estimate stands as long as it is of these commands.

    Args:
        task: The task they are about.
        candidate: The candidate they are about.
        commands: As of `jobs.start`.
        label: Of the button that starts them.
        tab: What the buttons' keys end in.
        estimate: Makes the estimate; an error meant for people is shown in its place.
    """
    key, known = f"estimate{tab}", f"estimated{tab}"
    with st.container(horizontal=True):
        if start_button(task, candidate, commands, label=label, key=f"start{tab}"):
            st.session_state.pop(known, None)
            st.rerun()
        if st.button("Estimate first", icon=":material/calculate:", key=key, help=words.GLOSSARY["dry_run"]):
            st.session_state[known] = (commands, _made(estimate))
    about = st.session_state.get(known)
    if about and about[0] == commands:
        show_estimate(about[1])
    on_the_command_line(commands)


def _made(estimate: Callable[[], ReplayReport]) -> ReplayReport | WorkbenchError:
    try:
        return estimate()
    except WorkbenchError as error:
        return error


def on_the_command_line(commands: Sequence[Sequence[str]]) -> None:
    """Show the commands that a button runs."""
    with st.expander("The same on the command line", icon=":material/terminal:"):
        lines = "\n".join("workbench " + " ".join(each) for each in commands)
        st.code(lines, language=None, wrap_lines=True)


def show_estimate(report: ReplayReport | WorkbenchError) -> None:
    """Show what a dry run says, or why it can't say anything."""
    if isinstance(report, WorkbenchError):
        complain(report)
        return
    with metrics("estimate"):
        metric("Would be sent", words.count(report.planned - report.done))
        known_by = "At the times of the log." if report.at_log_pace else "From earlier answers."
        metric("About", words.duration(report.estimated_seconds), help=known_by)
        metric("Tokens in", words.count(report.estimated_input_tokens))
        metric("Tokens out", words.count(report.estimated_output_tokens))
        metric("Cost", words.money(report.estimated_cost_usd))
    for note in report.notes:
        st.text(visible(note))
