"""Replays: ask a candidate, measure its latency, ask the frontier again; each is the command it is."""

from __future__ import annotations

import streamlit as st

from workbench import replay
from workbench.compare import basis, evaluator_version
from workbench.replay import ReplayReport
from workbench.scoring.targets import targets
from workbench.stats.reach import reach
from workbench.store import overview as aggregates
from workbench.store import pages
from workbench.ui import address, answers, jobs, live, measures, running, scope, words
from workbench.ui.scope import Scope
from workbench.ui.session import ask, here, read
from workbench.ui.starting import start_or_estimate

TYPICAL_SAMPLE = 500
TABS = {"replay": "Replay", "latency": "Latency", "live": "Live calls", "noise": "Noise floor"}
"""What the address may open (`measure=latency`), and its tab."""


def show() -> None:
    """Offer to start a replay or a measurement, then show those that run and those that ran."""
    chosen = scope.choose(replayed=False)
    if chosen is None:
        return
    total = read(pages.controls, chosen.task)
    if not total:
        st.info("This task has no call with a recorded answer yet.", icon=":material/info:")
    else:
        tabs = address.tabs(TABS, name="measure")
        with tabs["replay"]:
            _replay(chosen, total)
        with tabs["latency"]:
            measures.latency(chosen)
        with tabs["live"]:
            live.served(chosen)
        with tabs["noise"]:
            measures.noise_floor(chosen, total)
    running.watch()


def _replay(chosen: Scope, total: int) -> None:
    workspace, name = here().workspace, chosen.candidate.name
    limit = st.number_input(
        f"Calls to replay, of {total:,}",
        min_value=1,
        max_value=total,
        value=min(total, TYPICAL_SAMPLE),
        key=f"limit-{chosen.task}",
        width=260,
        help="A random sample. A larger number later adds to it; what is answered is not asked again.",
    )
    st.caption(answers.quoted(words.kept(_reach(chosen, int(limit)))))
    usd, minutes, options = _limits(chosen)
    commands = jobs.replay_commands(workspace, chosen.task, name, int(limit), options=options)
    start_or_estimate(
        chosen.task,
        name,
        commands,
        label="Start and compare",
        tab="",
        estimate=lambda: _estimate(chosen, int(limit), usd, minutes),
    )


def _reach(chosen: Scope, calls: int) -> str:
    """Say what a sample of this size can prove at best, and at the rate seen so far."""
    counts = read(aggregates.compared)
    rates = [
        differing / compared
        for config, name, fingerprint in ask(targets)
        if (config.task, name) == (chosen.task, chosen.candidate.name)
        for compared, differing in [counts.get((config.task, fingerprint, evaluator_version(config)), (0, 0))]
        if compared
    ]
    rate = rates[0] if rates else None
    return reach(calls, chosen.eval.policy, rate).sentence(basis(chosen.eval))


def _limits(chosen: Scope) -> tuple[float | None, float | None, list[str]]:
    """Let a person say what a replay may cost; return money, minutes and all as options."""
    spec = chosen.candidate
    priced = here().workspace.price_of(spec.price or spec.model) is not None
    with st.expander("What it may take", icon=":material/tune:"), st.container(horizontal=True):
        usd = st.number_input(
            "US dollars at most",
            min_value=0.01,
            value=None,
            step=1.0,
            key=f"usd-{chosen.task}-{spec.name}",
            width=200,
            disabled=not priced,
            placeholder="no limit" if priced else "not priced",
            help="It pauses before it would cost more, earlier runs included."
            if priced
            else "Its model has no row in [[prices]] of workbench.toml.",
        )
        minutes = st.number_input(
            "Minutes at most",
            min_value=0.1,
            value=None,
            step=5.0,
            format="%.3g",
            key=f"minutes-{chosen.task}-{spec.name}",
            width=200,
            placeholder="no limit",
            help="It pauses then; starting again goes on.",
        )
        most = st.number_input(
            "Requests in flight at most",
            min_value=1,
            value=None,
            step=1,
            key=f"most-{chosen.task}-{spec.name}",
            width=240,
            placeholder=f"{spec.concurrency}, as declared",
            help="Fewer are sent where more don't make the server faster.",
        )
        checks = st.checkbox(
            "Check the candidate first",
            value=True,
            key=f"checks-{chosen.task}-{spec.name}",
            help="Five tiny calls, none of the task, see whether it can be asked what the sample asks.",
        )
    options = [
        *jobs.option("budget-usd", usd),
        *jobs.option("budget-minutes", minutes),
        *jobs.option("concurrency", most),
        *([] if checks else ["--no-checks"]),
    ]
    return usd, minutes, options


def _estimate(chosen: Scope, limit: int, usd: float | None, minutes: float | None) -> ReplayReport:
    now = here()
    return replay.replay(
        now.workspace,
        now.store,
        chosen.task,
        chosen.candidate.name,
        limit=limit,
        budget_usd=usd,
        budget_minutes=minutes,
        dry_run=True,
    )
