"""Replays: start one as the command it is, watch it from any page load, go on where it stopped."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench import replay
from workbench.errors import WorkbenchError
from workbench.replay import ReplayReport, ReplayStatus
from workbench.store import pages
from workbench.ui import answers, jobs, navigation, scope, words
from workbench.ui.diff import visible
from workbench.ui.jobs import Job
from workbench.ui.scope import Scope
from workbench.ui.session import complain, friendly, here, read

WATCH_EVERY_S = 2
TYPICAL_SAMPLE = 500
SHOWN = 20
INTERRUPTED = 130

STATES = {
    "running": ("running", ":material/progress_activity:"),
    "finished": ("finished", ":material/check_circle:"),
    "paused": ("paused: its server was down", ":material/pause_circle:"),
    "interrupted": ("interrupted", ":material/front_hand:"),
    "failed": ("failed", ":material/error:"),
    "stopped": ("stopped without a word", ":material/help:"),
}


def show() -> None:
    """Offer to start a replay, then show those that run and those that ran."""
    chosen = scope.choose(replayed=False)
    if chosen is None:
        return
    _start(chosen)
    _watch()


def _start(chosen: Scope) -> None:
    total = next((each.controls for each in read(pages.tasks) if each.task == chosen.task), 0)
    if not total:
        st.info("This task has no call with a recorded answer yet.", icon=":material/info:")
        return
    with st.container(border=True, key="start-replay"):
        limit = st.number_input(
            f"Calls to replay, of {total:,}",
            min_value=1,
            max_value=total,
            value=min(total, TYPICAL_SAMPLE),
            key=f"limit-{chosen.task}",
            width=260,
            help="A random sample. A larger number later adds to it; what is answered is not asked again.",
        )
        workspace = here().workspace
        commands = jobs.replay_commands(workspace, chosen.task, chosen.candidate.name, int(limit))
        with st.container(horizontal=True):
            busy = any(
                job.running and (job.task, job.candidate) == (chosen.task, chosen.candidate.name)
                for job in jobs.recent(workspace)
            )
            if st.button(
                "Start and compare",
                type="primary",
                icon=":material/play_arrow:",
                key="start",
                disabled=busy,
                help="This replay is running already." if busy else "It goes on when this page is closed.",
            ):
                jobs.start(workspace, chosen.task, chosen.candidate.name, commands)
                st.session_state.pop("replays.estimate", None)
                st.rerun()
            if st.button(
                "Estimate first", icon=":material/calculate:", key="estimate", help=words.GLOSSARY["dry_run"]
            ):
                st.session_state["replays.estimate"] = _estimate(chosen, int(limit))
        if report := st.session_state.get("replays.estimate"):
            _show_estimate(report)
        with st.expander("The same on the command line", icon=":material/terminal:"):
            st.code(
                "\n".join("workbench " + " ".join(each) for each in commands), language=None, wrap_lines=True
            )


def _estimate(chosen: Scope, limit: int) -> ReplayReport | WorkbenchError:
    now = here()
    try:
        return replay.replay(
            now.workspace, now.store, chosen.task, chosen.candidate.name, limit=limit, dry_run=True
        )
    except WorkbenchError as error:
        return error


def _show_estimate(report: ReplayReport | WorkbenchError) -> None:
    if isinstance(report, WorkbenchError):
        complain(report)
        return
    with st.container(horizontal=True, gap="large"):
        st.metric("Would be sent", words.count(report.planned - report.done), width="content")
        st.metric(
            "About", words.duration(report.estimated_seconds), width="content", help="From earlier answers."
        )
        st.metric("Tokens in", words.count(report.estimated_input_tokens), width="content")
        st.metric("Tokens out", words.count(report.estimated_output_tokens), width="content")
        st.metric("Cost", words.money(report.estimated_cost_usd), width="content")
    for note in report.notes:
        st.text(visible(note))


def _watch() -> None:
    """Show every replay, and look again every two seconds while one runs."""
    running = any(job.running for job in jobs.recent(here().workspace)) or any(
        each.state == "running" for each in _statuses()
    )

    @st.fragment(run_every=WATCH_EVERY_S if running else None)
    def panel() -> None:
        with friendly():
            now = here()
            found = jobs.recent(now.workspace)
            statuses = _statuses()
            for job in found:
                if job.running or _just_ended(job):
                    _job(job, statuses)
            if running and not any(job.running for job in found) and not _any_running(statuses):
                # The last one has ended: one full run takes the finished numbers over.
                st.rerun(scope="app")
            _all(statuses)

    panel()


def _statuses() -> list[ReplayStatus]:
    now = here()
    return list(reversed(replay.status(now.workspace, now.store)))


def _any_running(statuses: list[ReplayStatus]) -> bool:
    return any(each.state == "running" for each in statuses)


def _just_ended(job: Job) -> bool:
    """Say whether a job that ended badly is still worth a look: until another one starts."""
    newest = jobs.recent(here().workspace, 1)
    return bool(newest) and newest[0].name == job.name and (job.code or 0) != 0


def _job(job: Job, statuses: list[ReplayStatus]) -> None:
    with st.container(border=True, key=f"job-{job.name}"):
        status = next(
            (each for each in statuses if (each.task, each.candidate) == (job.task, job.candidate)), None
        )
        st.text(f"{job.task} / {job.candidate}")
        if job.running:
            if status is not None and status.planned:
                _bar(status)
            else:
                st.progress(0.0, text="Starting")
            if st.button("Stop", key=f"stop-{job.name}", icon=":material/stop_circle:"):
                jobs.stop(here().workspace, job.name)
                st.toast("Stopping after what is in flight. Starting again goes on from there.")
        elif job.code == INTERRUPTED:
            st.info(
                "Stopped. What was answered is kept; starting again goes on.", icon=":material/front_hand:"
            )
        else:
            st.error("This run did not end well. Its last lines say why.", icon=":material/error:")
        if lines := jobs.tail(job):
            with st.expander("What it says", icon=":material/terminal:", expanded=not job.running):
                answers.plain("\n".join(lines.splitlines()[-20:]), height=None)


def _bar(status: ReplayStatus) -> None:
    rate = f", {status.calls_per_s:,.1f} calls a second" if status.calls_per_s else ""
    left = f", about {words.duration(status.eta_s)} left" if status.eta_s is not None else ""
    st.progress(
        min(1.0, status.done / status.planned),
        text=f"{status.done:,} of {status.planned:,} answered{rate}{left}",
    )


def _all(statuses: list[ReplayStatus]) -> None:
    if not statuses:
        st.caption("No replay yet.")
        return
    st.subheader("All replays", anchor=False)
    for each in statuses[:SHOWN]:
        _one(each)
    if len(statuses) > SHOWN:
        st.caption(f"The newest {SHOWN} of {len(statuses):,}.")


def _one(each: ReplayStatus) -> None:
    said, icon = STATES.get(each.state, (each.state, ":material/help:"))
    resting = each.state not in ("running", "finished")
    with st.container(border=True, key=f"replay-{each.replay_id}"):
        with st.container(
            horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=True
        ):
            st.text(f"{each.task} / {each.candidate}", width=260)
            st.badge(said, icon=icon, color="orange" if resting else "green" if each.done else "gray")
            st.caption(f"{each.done:,} of {each.planned:,} answered · begun {words.ago(each.created_at)}")
            if resting:
                if st.button(
                    "Go on", key=f"resume-{each.replay_id}", icon=":material/resume:", type="primary"
                ):
                    _resume(each)
            elif st.button(
                "See the cases",
                key=f"cases-{each.replay_id}",
                icon=":material/compare_arrows:",
                disabled=not each.done,
            ):
                query = {"task": each.task, "candidate": each.candidate}
                st.switch_page(navigation.page("compare"), query_params=query)
        if each.state != "finished":
            _bar(each)
        if each.note:
            st.text(visible(each.note))
        _errors(each)


def _errors(status: ReplayStatus) -> None:
    if not status.errors:
        return
    rows = sorted(status.errors.items(), key=lambda each: -each[1])
    st.caption(f"{words.counted(sum(status.errors.values()), 'error')}, counted against the candidate:")
    st.dataframe(
        pd.DataFrame(
            [(words.ERROR_KINDS.get(kind, kind), count) for kind, count in rows], columns=["Error", "Calls"]
        ),
        hide_index=True,
        lazy=False,
        height="content",
        width=420,
        alt="; ".join(f"{words.ERROR_KINDS.get(kind, kind)}: {count}" for kind, count in rows),
    )


def _resume(status: ReplayStatus) -> None:
    workspace = here().workspace
    # The plan knows its calls; the size of the sample makes the command go on, not grow.
    commands = jobs.replay_commands(workspace, status.task, status.candidate, status.calls or None)
    jobs.start(workspace, status.task, status.candidate, commands)
    st.rerun(scope="app")
