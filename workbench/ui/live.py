"""Calls that a candidate served itself: how many are compared in this stage, and asking for more of them."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from workbench.records import told_errors
from workbench.replay.control import is_declared
from workbench.replay.live import LiveStatus, live_status, replay_live
from workbench.replay.report import ReplayReport
from workbench.specs import CONTROL
from workbench.stats.wording import percent
from workbench.ui import jobs, navigation, words
from workbench.ui.heights import metric, metrics
from workbench.ui.scope import Scope
from workbench.ui.session import ask, here
from workbench.ui.starting import start_or_estimate


def served(chosen: Scope) -> None:
    """Show where the live calls of the stage stand, and offer to ask the frontier for some of them."""
    st.text(
        "What the candidate served has no frontier answer to compare with. The frontier is asked again for a "
        "random sample: the next stage needs that, and a rise of harm in it takes the share back."
    )
    found = ask(live_status, chosen.task, chosen.candidate.name)
    if found is None:
        st.info("No share is in force for this candidate, so nothing of it is live.", icon=":material/info:")
        _to_ramp(chosen, "See what may move")
        return
    _numbers(found)
    if found.compared >= found.needed:
        st.text("The next stage needs no more of them. What it waits for otherwise stands on Ramp.")
        _to_ramp(chosen, "See the next stage")
    if not found.served:
        st.info(
            "The log holds no call that it served in this stage. Import what the gateway logged since; a "
            "record says who served it by `served_by` in its metadata, or by the model's name.",
            icon=":material/upload:",
        )
        navigation.link("upload", "Upload a log", icon=":material/upload_file:")
        return
    if not is_declared(here().workspace):
        st.text("Nothing says where the frontier can be asked. Name it control in workbench.toml:")
        st.code(
            f"workbench candidate add {CONTROL} --engine openai --base-url URL --api-key-env NAME",
            language=None,
            wrap_lines=True,
        )
        return
    _ask(chosen, found)


def _to_ramp(chosen: Scope, label: str) -> None:
    navigation.link(
        "ramp",
        label,
        icon=":material/stacked_line_chart:",
        task=chosen.task,
        candidate=chosen.candidate.name,
    )


def _numbers(found: LiveStatus) -> None:
    with metrics("live-calls"):
        metric("Share in force", percent(found.share))
        metric("Since", f"{found.since:%Y-%m-%d %H:%M} UTC")
        metric("Served", words.count(found.served), help="Calls of this stage in the log.")
        metric("Asked for", words.count(found.asked))
        metric(
            "Compared",
            words.count(found.compared)
            if found.compared >= found.needed
            else f"{words.count(found.compared)} of {words.count(found.needed)}",
            help=f"The next stage needs {words.count(found.needed)}, beside its time in this one.",
        )
        if found.compared:
            metric(
                "Agree",
                f"{words.count(found.agreeing)} ({words.percent(found.agreeing / found.compared)})",
                help="Of the compared ones. The bound on Ramp counts them with all others.",
            )
        metric(
            "Lasts until, at least" if found.until > datetime.now(UTC) else "Enough time since",
            f"{found.until:%Y-%m-%d %H:%M} UTC",
            help="The least time in a stage that the policy asks for (minimum_days_in_stage).",
        )
    if found.failed:
        failed = words.count(sum(found.failed.values()))
        st.warning(
            f"The frontier failed on {failed} of them: {told_errors(found.failed)}.",
            icon=":material/warning:",
        )


def _ask(chosen: Scope, found: LiveStatus) -> None:
    name = chosen.candidate.name
    limit = st.number_input(
        f"Calls of this stage to ask for, of {found.served:,}",
        min_value=1,
        max_value=found.served,
        value=min(max(found.needed, found.asked), found.served),
        key=f"live-limit-{chosen.task}-{name}",
        width=300,
        help="A random sample; a larger number adds to it. It costs what the frontier costs.",
    )
    commands = jobs.replay_commands(
        here().workspace, chosen.task, name, int(limit), compare=False, options=["--live"]
    )
    start_or_estimate(
        chosen.task,
        name,
        commands,
        label="Ask the frontier",
        tab="-live",
        estimate=lambda: _estimate(chosen, int(limit)),
    )


def _estimate(chosen: Scope, limit: int) -> ReplayReport:
    now = here()
    return replay_live(
        now.workspace, now.store, chosen.task, chosen.candidate.name, limit=limit, dry_run=True
    ).replay
