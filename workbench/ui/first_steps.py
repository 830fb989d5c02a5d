"""An empty workspace: upload a log, or build the demo beside it and look at that."""

from __future__ import annotations

import streamlit as st

from workbench import demo
from workbench.journey import Journey
from workbench.ui import answers, jobs, portfolio
from workbench.ui.diff import visible
from workbench.ui.jobs import Job
from workbench.ui.session import DEMO, here

WATCH_EVERY_S = 1.5
NAMES = ("demo", "sample logs")
"""What stands for task and candidate of the job that builds the demo."""


def show(way: Journey) -> None:
    """Say what the workbench does, and offer both ways in.

    Args:
        way: The stages, the first of which is next.
    """
    st.text(
        "The workbench reads the log of calls your team makes to a large model, asks a small model the same "
        "questions, and says how much traffic may move, and how sure that is."
    )
    portfolio.checklist(way)
    _demo()


def _demo() -> None:
    workspace = here().workspace
    place = demo.beside(workspace)
    with st.container(border=True, key="demo"):
        st.header("Or look at the demo first", anchor=False)
        st.text(
            "Logs of an invented shop, answered by a synthetic small model with planted mistakes. It is "
            "built in a folder of its own and shown to you alone; this workspace stays as it is. It takes "
            "about a minute."
        )
        st.caption(answers.quoted(f"Folder: {place.name}. On the command line: workbench demo"))
        newest = next(
            (each for each in jobs.recent(workspace, jobs.KEPT) if each.kind == "demo"),
            None,
        )
        if newest is not None and newest.running:
            _watch(newest.name)
        elif demo.is_demo(place) and newest is not None and newest.code == 0:
            if st.button("Open the demo", type="primary", icon=":material/science:", key="open-demo"):
                st.session_state[DEMO] = True
                st.rerun()
        else:
            if newest is not None and newest.code != 0:
                st.error("The demo was not built. Its last lines say why.", icon=":material/error:")
                answers.plain("\n".join(jobs.tail(newest).splitlines()[-8:]))
            if st.button("Build the demo", icon=":material/science:", key="build-demo"):
                command = ["demo", "--root", str(place), "--no-app", "--without-model"]
                jobs.start(workspace, *NAMES, [command])
                st.rerun()


def _watch(name: str) -> None:
    """Show the last line of the job, and look again until it has ended."""

    @st.fragment(run_every=WATCH_EVERY_S)
    def panel() -> None:
        job = next((each for each in jobs.recent(here().workspace, jobs.KEPT) if each.name == name), None)
        if job is None or not job.running:
            st.rerun(scope="app")
        else:
            st.markdown(":material/progress_activity: **Building the demo**")
            st.text(visible(last_line(job)))

    panel()


def last_line(job: Job) -> str:
    """Return the last thing that a job said, before it said anything that it starts."""
    lines = [each for each in jobs.tail(job).splitlines() if each and not each.startswith("$ ")]
    return lines[-1] if lines else "Starting"
