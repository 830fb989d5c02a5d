"""What runs and what ran: a job while it works, its pace and its errors, and every replay there is."""

from __future__ import annotations

import re

import streamlit as st

from workbench import access, replay
from workbench.access import requires_somewhere
from workbench.config import Workspace
from workbench.errors import WorkbenchError
from workbench.replay import ReplayStatus
from workbench.roles import Right
from workbench.specs import CONTROL
from workbench.store import Store, pages
from workbench.ui import answers, exports, jobs, navigation, replay_answers, replay_pairs, words
from workbench.ui.diff import visible
from workbench.ui.heights import metric, metrics
from workbench.ui.jobs import Job
from workbench.ui.session import ask, friendly, here, read

WATCH_EVERY_S = 2
SHOWN = 20
INTERRUPTED = 130

STATES = {
    "running": ("running", ":material/progress_activity:"),
    "finished": ("finished", ":material/check_circle:"),
    "paused": ("paused", ":material/pause_circle:"),
    "interrupted": ("interrupted", ":material/front_hand:"),
    "failed": ("failed", ":material/error:"),
    "stopped": ("stopped without a word", ":material/help:"),
}
CHECKS = {
    "passed": ":material/check_circle:",
    "failed": ":material/error:",
    "warning": ":material/warning:",
    "skipped": ":material/do_not_disturb_on:",
}
PAUSING = "pausing-"
_PROGRESS = re.compile(r"[a-z][a-z -]*: ([\d,]+)(?: of ([\d,]+))? ")
KINDS = {"replay": "", "latency": " · latency", "live": " · live calls", "noise": "", "demo": ""}


def watch() -> None:
    """Show every job and replay, and look again every two seconds while one runs."""
    at_work = _at_work(_visible(jobs.recent(here().workspace)), _statuses())

    @st.fragment(run_every=WATCH_EVERY_S if at_work else None)
    def panel() -> None:
        with friendly():
            found = _visible(jobs.recent(here().workspace))
            statuses = _statuses()
            for job in found:
                if job.running or _just_ended(job):
                    _job(job, statuses)
            if at_work - _at_work(found, statuses):
                # One has ended: a full run takes its numbers over, and lets its buttons be pressed again.
                st.rerun(scope="app")
            _all(statuses, {(job.task, job.candidate) for job in found if job.running})

    panel()


def _visible(found: list[Job]) -> list[Job]:
    """Return the jobs on tasks that this person sees."""
    return [job for job in found if access.may(Right.SEE, job.task) or access.may(Right.REPLAY, job.task)]


def titled(task: str, candidate: str) -> str:
    """Return the name of a replay; the control is no candidate, and is called what it is."""
    return f"{task} / {'frontier, asked again' if candidate == CONTROL else candidate}"


def _statuses() -> list[ReplayStatus]:
    now = here()
    return list(reversed(replay.status(now.workspace, now.store)))


def _at_work(found: list[Job], statuses: list[ReplayStatus]) -> set[str]:
    """Return what runs: jobs by name, replays by id."""
    return {job.name for job in found if job.running} | {
        each.replay_id for each in statuses if each.state == "running"
    }


def _just_ended(job: Job) -> bool:
    """Say whether a job that ended badly is still worth a look: until another one starts."""
    newest = jobs.recent(here().workspace, 1)
    return bool(newest) and newest[0].name == job.name and (job.code or 0) != 0


def _job(job: Job, statuses: list[ReplayStatus]) -> None:
    with st.container(border=True, key=f"job-{job.name}"):
        st.text(visible(titled(job.task, job.candidate) + KINDS[job.kind]))
        if job.running:
            status = next(
                (
                    each
                    for each in statuses
                    if (each.task, each.candidate) == (job.task, job.candidate) and each.state == "running"
                ),
                None,
            )
            if status is not None and status.planned and job.kind not in jobs.BESIDE:
                bar(status)
                _pace(status)
            else:
                _own_words(job)
            is_pausing = bool(st.session_state.get(PAUSING + job.name))
            st.button(
                "Pausing" if is_pausing else "Pause",
                key=f"stop-{job.name}",
                icon=":material/pause_circle:",
                # To be asked twice would end it at once.
                disabled=is_pausing or not access.may(Right.REPLAY, job.task),
                help="What is in flight is still waited for; what was answered is kept.",
                on_click=_pause,
                args=(job.name,),
            )
            if is_pausing:
                st.caption("What is in flight is waited for. Go on takes it up from there.")
        elif job.code == INTERRUPTED:
            st.info(
                "Stopped. What was answered is kept; starting again goes on.", icon=":material/front_hand:"
            )
        else:
            why = "Its last lines say why." if _reads(job) else "Whoever may replay it reads why."
            st.error(f"This run did not end well. {why}", icon=":material/error:")
        if (lines := jobs.tail(job)) and _reads(job):
            with st.expander("What it says", icon=":material/terminal:", expanded=not job.running):
                answers.plain("\n".join(lines.splitlines()[-20:]), height=None)


def _pause(name: str) -> None:
    jobs.stop(here().workspace, name)
    st.session_state[PAUSING + name] = True


def _reads(job: Job) -> bool:
    """Say whether this person may read what a job writes: errors, in which a server may quote a call."""
    return access.may(Right.READ, job.task) or access.may(Right.REPLAY, job.task)


def _own_words(job: Job) -> None:
    """Show what a job says of its progress before the first call, after the last, and without a replay."""
    text, share = "Starting", 0.0
    for line in jobs.tail(job).splitlines():
        if line.startswith("$ "):
            text, share = ("Comparing" if line.startswith("$ workbench compare") else "Starting"), 0.0
        elif found := _PROGRESS.match(line):
            done, total = (int(each.replace(",", "")) if each else 0 for each in found.groups())
            said = line if _reads(job) else found.group(0)
            text, share = answers.quoted(said), min(1.0, done / total) if total else 0.0
    st.progress(share, text=text)


def bar(status: ReplayStatus) -> None:
    """Draw how much of a replay is answered."""
    st.progress(
        min(1.0, status.done / max(status.planned, 1)),
        text=f"{status.done:,} of {status.planned:,} answered",
    )


def _pace(status: ReplayStatus) -> None:
    """Show how fast a replay goes, what it costs and what was asked again."""
    with metrics(f"pace-{status.replay_id}"):
        metric("Calls a second", _rate(status.calls_per_s))
        metric("Tokens a second", _rate(status.tokens_per_s), help="Written by the model.")
        metric("Left", words.duration(status.eta_s), help="At the pace of the last 30 s.")
        if status.in_flight is not None:
            # Lowered a moment ago, the limit holds for the next; those that fly end.
            most = f" of {max(status.limit, status.in_flight):,}" if status.limit else ""
            metric(
                "In flight",
                f"{status.in_flight:,}{most}",
                help="Requests sent and not answered yet, and how many it dares to have. More are tried "
                "while they make the server faster, fewer when it is overloaded.",
            )
        if status.spent_usd is not None:
            metric("Spent", words.money(status.spent_usd), help="By the price table.")


def _rate(per_s: float | None) -> str:
    return "–" if per_s is None else f"{per_s:,.1f}" if per_s < 100 else f"{per_s:,.0f}"


def _all(statuses: list[ReplayStatus], shown: set[tuple[str, str]]) -> None:
    if not statuses:
        st.caption("No replay yet.")
        return
    st.header("All replays", anchor=False)
    # One that runs is never below the fold, however long ago it was begun.
    ordered = sorted(statuses, key=lambda each: each.state != "running")
    newest = {(each.task, each.candidate): each.replay_id for each in reversed(statuses)}
    for each in ordered[:SHOWN]:
        above = (each.task, each.candidate) in shown
        _one(each, above=above, newest=newest[each.task, each.candidate] == each.replay_id)
    if len(ordered) > SHOWN:
        st.caption(f"Those that run, then the newest: {SHOWN} of {len(ordered):,}.")
    with st.container(horizontal=True):
        exports.offer("replays", label="Export replays", rows=len(statuses))
        if any(each.errors for each in statuses):
            exports.offer("errors", label="Export errors")
    replay_pairs.show(statuses)


def _why_not(each: ReplayStatus, *, above: bool, newest: bool) -> str | None:
    """Return why a replay can't be gone on with here, or None: its command would do something else."""
    if above:
        return "Its command is still at work."
    if not newest:
        return "A newer replay of this candidate has taken its place."
    if not access.may(Right.REPLAY, each.task):
        return "Your role does not start runs."
    if each.candidate == CONTROL:
        return None
    if all(spec.name != each.candidate for spec in here().workspace.config.candidates):
        return "This candidate is not declared any more."
    try:
        changed = ask(_fingerprint, each.candidate) != each.fingerprint
    except WorkbenchError as error:
        return answers.quoted(error.message)
    return "The candidate has changed since: start it above, as another one." if changed else None


@requires_somewhere(Right.SEE, Right.REPLAY)
def _fingerprint(workspace: Workspace, _store: Store, candidate: str) -> str:
    return workspace.fingerprint(workspace.candidate(candidate))


def _one(each: ReplayStatus, *, above: bool, newest: bool) -> None:
    """Show a replay; `above` says that a job at work on it is shown already."""
    said, icon = STATES.get(each.state, (each.state, ":material/help:"))
    resting = each.state not in ("running", "finished")
    with st.container(border=True, key=f"replay-{each.replay_id}"):
        with st.container(
            horizontal=True,
            vertical_alignment="center",
            horizontal_alignment="distribute",
            wrap=True,
            key=f"facts-{each.replay_id}",
        ):
            st.text(visible(titled(each.task, each.candidate)), width=260)
            st.badge(said, icon=icon, color="orange" if resting else "green" if each.done else "gray")
            st.caption(_facts(each))
            if resting:
                why_not = _why_not(each, above=above, newest=newest)
                if st.button(
                    "Go on",
                    key=f"resume-{each.replay_id}",
                    icon=":material/resume:",
                    type="primary",
                    disabled=why_not is not None,
                    help=why_not,
                ):
                    _resume(each)
            elif each.candidate != CONTROL and st.button(
                "See the cases",
                key=f"cases-{each.replay_id}",
                icon=":material/compare_arrows:",
                disabled=not each.done,
            ):
                query = {"task": each.task, "candidate": each.candidate}
                st.switch_page(navigation.page("compare"), query_params=query)
        if each.state != "finished" and not (above and each.state == "running"):
            bar(each)
            if each.state == "running":
                _pace(each)
        if each.note:
            st.text(visible(each.note))
        if each.state == "paused" and "--budget-usd" in _commands_again(each)[0]:
            st.caption("Going on keeps its budget. For more, set it above and start again.")
        _checks(each)
        replay_answers.errors(each)
        replay_answers.times_and_pace(each)


def _facts(each: ReplayStatus) -> str:
    parts = [f"{each.done:,} of {each.planned:,} answered", f"begun {words.ago(each.created_at)}"]
    if each.state != "running" and each.spent_usd is not None:
        parts.append(words.money(each.spent_usd).replace("$", "\\$"))
    if each.retried:
        parts.append(f"{words.counted(sum(each.retried.values()), 'request')} sent again")
    return " · ".join(parts)


def _checks(each: ReplayStatus) -> None:
    """Show what the calls before the first one found."""
    found = read(pages.checks, each.replay_id)
    if not found:
        return
    odd = sum(state not in ("passed", "skipped") for state, _ in found.values())
    label = f"{words.counted(len(found), 'check')} before the first call" + (
        f", {odd} to read" if odd else ""
    )
    with st.expander(label, icon=":material/fact_check:"):
        for name, (state, message) in found.items():
            st.markdown(f"{CHECKS.get(state, '')} **{answers.quoted(name)}** {answers.quoted(state)}")
            st.text(visible(message))


def _commands_again(status: ReplayStatus) -> list[list[str]]:
    allowed = read(pages.budget, status.replay_id)
    return jobs.again(here().workspace, status.task, status.candidate, status.calls, allowed)


def _resume(status: ReplayStatus) -> None:
    jobs.start(here().workspace, status.task, status.candidate, _commands_again(status))
    st.rerun(scope="app")
