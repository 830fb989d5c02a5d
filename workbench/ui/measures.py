"""Beside a replay: latency at the pace of production, and how often the frontier agrees with itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pandas as pd
import streamlit as st

from workbench.errors import UsageError
from workbench.records import told_errors
from workbench.replay.control import is_declared
from workbench.replay.latency import probe_latency
from workbench.replay.latency_report import Percentile, SpeedRun
from workbench.replay.noise import SAMPLE, NoiseReport, measure_noise_floor
from workbench.replay.report import ReplayReport
from workbench.scoring.noise import LEFT_OUT, NoiseFloor, floor_of
from workbench.scoring.retirement import leaving
from workbench.specs import CONTROL
from workbench.stats.noise import sentence
from workbench.store import pages
from workbench.ui import answers, exports, jobs, standing, words
from workbench.ui.diff import visible
from workbench.ui.heights import metric, metrics, table_px
from workbench.ui.scope import Scope
from workbench.ui.session import ask, here, read
from workbench.ui.starting import on_the_command_line, start_button, start_or_estimate

PROBE_CALLS = 300
SPEEDS = (1, 2, 4, 8)
SOURCES = {"asked_again": "Asked again", "duplicates": "Duplicates in the log"}
COLUMNS = {
    "Pace": "Multiple of production's pace; of the log's, where it is not known which share that is.",
    "p50": "Half of the calls are answered within this time.",
    "p95": "95 % of the calls are answered within this time: what a policy's latency_p95_ms is held to.",
    "p99": "99 % of the calls are answered within this time.",
    "First token p50": "Until the first piece of the answer, where the server streams: half of the calls.",
    "First token p95": "The same for 95 % of the calls.",
    "Answered": "Calls with an answer, of those that were to be sent.",
    "In flight": "Requests sent and not answered yet: on average, and at most.",
    "Errors": "Calls without a usable answer, by kind.",
}
_read_run = msgspec.json.Decoder(SpeedRun).decode


def latency(chosen: Scope) -> None:
    """Offer to measure latency at the log's own times, and show what was measured."""
    spec = chosen.candidate
    st.text(
        "A replay asks as fast as the server answers, so its times say nothing about production. "
        "This sends calls at the times that the log gives them, and keeps the times alone."
    )
    if spec.engine == "recorded":
        st.info("This candidate is recorded: no model runs, so there is no latency to measure.")
        return
    with st.container(horizontal=True):
        calls = st.number_input(
            "Calls for each pace",
            min_value=2,
            value=PROBE_CALLS,
            key=f"probe-calls-{chosen.task}-{spec.name}",
            width=200,
            help="Some 300 are enough for a 99th percentile with an upper limit.",
        )
        speeds = st.pills(
            "Pace",
            SPEEDS,
            selection_mode="multi",
            default=[1],
            format_func=lambda speed: f"{speed} ×",
            key=f"probe-speeds-{chosen.task}-{spec.name}",
            help="Multiples of production's pace, measured one after another on different calls.",
        )
    if not speeds:
        st.caption("Choose a pace to measure at.")
        _latency_table(chosen)
        return
    options = ["--probe", "latency"]
    for speed in sorted(speeds):
        options += jobs.option("speed", speed)
    commands = jobs.replay_commands(
        here().workspace, chosen.task, spec.name, int(calls), compare=False, options=options
    )
    start_or_estimate(
        chosen.task,
        spec.name,
        commands,
        label="Measure latency",
        tab="-latency",
        estimate=lambda: _probe_estimate(chosen, int(calls), speeds),
    )
    _latency_table(chosen)


def _probe_estimate(chosen: Scope, limit: int, speeds: Sequence[int]) -> ReplayReport:
    now = here()
    found = probe_latency(
        now.workspace,
        now.store,
        chosen.task,
        chosen.candidate.name,
        limit=limit,
        speed=sorted(speeds),
        dry_run=True,
    )
    assert found.planned is not None  # noqa: S101 - for the type checker: a dry run plans
    return found.planned


def _latency_table(chosen: Scope) -> None:
    fingerprint = here().workspace.fingerprint(chosen.candidate)
    runs = [(at, _read_run(text)) for at, text in read(pages.latency_runs, chosen.task, fingerprint)]
    if not runs:
        st.caption("Latency is not measured yet for this candidate as it is configured now.")
        return
    rows = [_latency_row(at, run) for at, run in runs]
    with st.container(key="latency-runs"):
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            lazy=False,
            height=table_px(len(rows)),
            column_config={
                name: st.column_config.TextColumn(f"{name}, ms" if name[-3:-2] == "p" else name, help=told)
                for name, told in COLUMNS.items()
            },
            alt="; ".join(
                f"{row['Pace']}: p50 {row['p50']}, p95 {row['p95']}, p99 {row['p99']}" for row in rows
            ),
        )
    limit = chosen.eval.policy.latency_p95_ms
    allowed = "" if limit is None else f" The policy allows {limit:,.0f} ms for p95."
    st.caption(
        "Milliseconds, and in brackets their limits, each 95 % sure; ? means too few calls for that limit. "
        f"Calls that got no answer count as infinitely slow.{allowed}"
    )
    exports.offer("latency-runs", task=chosen.task, candidate=chosen.candidate.name)
    for at, run in runs[:3]:
        with st.expander(f"{_pace(run)}, {words.ago(at)}", icon=":material/speed:"):
            answers.plain("\n".join(each.strip() for each in run.lines))


def _latency_row(at: datetime, run: SpeedRun) -> dict[str, Any]:
    whole = {each.q: _ms(each) for each in run.latency}
    first = {each.q: _ms(each) for each in run.first_token}
    return {
        "Pace": _pace(run),
        "p50": whole.get(0.50, "–"),
        "p95": whole.get(0.95, "–"),
        "p99": whole.get(0.99, "–"),
        "First token p50": first.get(0.50, "–"),
        "First token p95": first.get(0.95, "–"),
        "Answered": f"{run.answered:,} of {run.calls:,}",
        "In flight": f"{run.mean_in_flight:,.1f}, {run.most_in_flight:,} at most",
        "Errors": told_errors(run.errors),
        "Measured": words.ago(at),
    }


def _pace(run: SpeedRun) -> str:
    return f"{run.speed:g} × {'production' if run.rate_known else 'the log'}"


def _ms(each: Percentile) -> str:
    if each.ms is None:
        return "never"
    low, high = ("?" if limit is None else f"{limit:,.0f}" for limit in (each.low_ms, each.high_ms))
    return f"{each.ms:,.0f} ({low}–{high})"


def noise_floor(chosen: Scope, total: int) -> None:
    """Show how often the frontier agrees with itself, and offer to measure it."""
    st.text(
        "How often does the frontier agree with itself? No candidate can agree with its logged answers on "
        "more than the square root of that. It explains disagreement, and never raises a share."
    )
    now = here()
    floor = floor_of(now.store, chosen.eval)
    if floor is None:
        st.caption("Not measured yet for this task under its eval as it stands.")
    else:
        _floor(chosen, floor)
    for each in ask(leaving, datetime.now(UTC).date(), task=chosen.task):
        st.warning(answers.quoted(each.text), icon=":material/event_busy:")
    if is_declared(now.workspace):
        _ask_again(chosen, total)
    else:
        _look_for_duplicates(chosen)
    _last_words(chosen.task)


def _floor(chosen: Scope, floor: NoiseFloor) -> None:
    with metrics("floor"):
        r, most = floor.agreement, floor.ceiling
        metric("Agrees with itself", words.percent(r.point), help=words.GLOSSARY["noise"])
        metric("Limits", f"{100 * r.low:.1f}–{words.percent(r.high)}")
        metric("A candidate, at most", words.percent(most.point))
        metric("Requests" if floor.source == "duplicates" else "Calls", words.count(r.n))
    row = standing.row_of(chosen.task, chosen.candidate.name)
    agreement = row.agreement.point if row else None
    st.text(sentence(r, agreement, structural=floor.structural))
    asked = ", ".join(each for each in floor.models if each)
    st.caption(
        answers.quoted(
            f"{SOURCES.get(floor.source, floor.source)}{f': {asked}' if asked else ''} · "
            f"measured {words.ago(floor.measured_at)} · each limit {words.stage(r.level)} sure"
        )
    )
    for why, n in floor.left_out.items():
        st.caption(f"Left out: {n:,} that {LEFT_OUT.get(why, why)}.")
    for note in floor.notes:
        st.caption(answers.quoted(note))


def _ask_again(chosen: Scope, total: int) -> None:
    limit = st.number_input(
        f"Calls to ask the frontier again, of {total:,}",
        min_value=1,
        max_value=total,
        value=min(total, SAMPLE),
        key=f"noise-limit-{chosen.task}",
        width=300,
        help="A random sample of the calls that it answered itself; a larger number adds to it. It costs "
        "what the frontier costs.",
    )
    commands = jobs.replay_commands(here().workspace, chosen.task, CONTROL, int(limit))
    start_or_estimate(
        chosen.task,
        CONTROL,
        commands,
        label="Ask the frontier again",
        tab="-noise",
        estimate=lambda: _estimate(chosen, int(limit)),
    )


def _estimate(chosen: Scope, limit: int) -> ReplayReport:
    now = here()
    found: NoiseReport = measure_noise_floor(now.workspace, now.store, chosen.task, limit=limit, dry_run=True)
    if found.replay is None:
        raise UsageError("The recorded model can't be asked.", found.what_to_do)
    return found.replay


def _look_for_duplicates(chosen: Scope) -> None:
    st.text(
        "Nothing says where the recorded model can be asked. Name it control in workbench.toml, or take "
        "requests that the log holds more than once:"
    )
    st.code(
        f"workbench candidate add {CONTROL} --engine openai --base-url URL --api-key-env NAME",
        language=None,
        wrap_lines=True,
    )
    commands = jobs.replay_commands(here().workspace, chosen.task, CONTROL, None)
    if start_button(
        chosen.task, CONTROL, commands, label="Look for duplicates in the log", key="start-noise"
    ):
        st.rerun()
    on_the_command_line(commands)


def _last_words(task: str) -> None:
    """Show what the last measurement said: it may be that the floor can't be measured, and why."""
    newest = next(
        (job for job in jobs.recent(here().workspace, jobs.KEPT) if job.task == task and job.kind == "noise"),
        None,
    )
    if newest is None or newest.running or newest.code != 0:
        return
    lines = [each for each in jobs.tail(newest).splitlines() if not each.startswith("$ ")]
    with st.expander(
        f"What the last measurement said, {words.ago(newest.started_at)}", icon=":material/terminal:"
    ):
        st.text(visible("\n".join(lines[-12:])))
