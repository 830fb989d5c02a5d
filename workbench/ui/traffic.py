"""Traffic: what is run, what it costs, what of it could move, and names for what has none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from workbench import access
from workbench.errors import WorkbenchError
from workbench.profiling import ProfileReport, WorkloadReport
from workbench.profiling.costs import MeasuredSaving, measured_savings
from workbench.profiling.naming import draft, misfits, name_workloads
from workbench.profiling.report import told_imputed
from workbench.records import UNASSIGNED, Output, Request, from_json, told_error
from workbench.roles import Right
from workbench.store import workloads
from workbench.traffic.shapes import ShapeKind
from workbench.traffic.suitability import Speaks
from workbench.ui import address, answers, exports, figures, looked, markup, money_figures, navigation, words
from workbench.ui.diff import visible
from workbench.ui.heights import counts, metric, metrics, table_px, told_columns
from workbench.ui.session import ask, colours, complain, here, read

PAGE = 50
NAME_PX, NAME_MOST_PX = 8, 520
"""A letter of a workload's name, and all of it at most, in its table."""
LANGUAGES_SHOWN = 5
_SIGNS = {Speaks.FOR: "✓ for", Speaks.AGAINST: "✗ against", Speaks.UNCLEAR: "? unclear"}


def show() -> None:
    """Show the profile, and one workload in full."""
    report = looked.newest_profile("traffic")
    if report is None:
        return
    _summary(report)
    drawing = money_figures.by_cost(report.workloads, colours())
    st.plotly_chart(drawing.figure, key="traffic-bars", config=figures.CONFIG, alt=drawing.alt, theme=None)
    _table(report)
    names = [each.workload for each in report.workloads]
    labels = {each.workload: _named(each) for each in report.workloads}
    # Which one is first changes with what comes in: a link keeps to the one that was looked at.
    chosen = address.select("Workload", names, name="workload", labels=labels, is_always_shown=True)
    _workload(report, next(each for each in report.workloads if each.workload == chosen))


def _summary(report: ProfileReport) -> None:
    forecast = report.forecast_usd_month
    with metrics("traffic"):
        metric("Calls in the log", words.count(report.calls))
        metric("Workloads", words.count(len(report.workloads)))
        metric(
            "Cost a month",
            words.money(forecast.point) if forecast else "not known",
            help="Calls a day times the cost of a call, over the workloads for which both are known.",
        )
        metric(
            "Without a task",
            words.percent(report.unassigned / report.calls if report.calls else 0.0),
            help="Calls that no task takes. They are sorted by what their prompts share.",
        )
    if report.excluded:
        st.caption(answers.quoted(report.told_excluded))
    if report.told_unread:
        st.caption(report.told_unread + ".")
    if report.warning:
        st.warning(answers.quoted(report.warning), icon=":material/warning:")
    if report.unknown_volume:
        st.caption(
            answers.quoted(
                f"For {words.counted(len(report.unknown_volume), 'workload')} no figure a day or a month is "
                f"shown. {words.KNOW_VOLUME} Not known are the calls a day of:"
            )
        )
        st.text(visible(report.told_unknown))
    if quiet := [each for each in report.workloads if each.told_quiet]:
        st.text(visible("; ".join(f"{each.name}: {each.told_quiet}" for each in quiet)))
    if report.imputed:
        st.caption(told_imputed(report.imputed) + ".")
    for said in report.notes:
        st.text(visible(f"{said}."))
    if report.left_out:
        st.caption(
            answers.quoted(
                "Left out of the costs, since no price ([[prices]] in workbench.toml) or no token counts are "
                "known:"
            )
        )
        st.text(visible(", ".join(report.left_out)))


def _named(each: WorkloadReport) -> str:
    if each.is_task:
        return visible(each.name)
    return f"{visible(each.name)} (found)" if each.rule is not None else f"{visible(each.name)} (no task)"


def _table(report: ProfileReport) -> None:
    savings = ask(measured_savings)
    rows = [
        (
            _named(each),
            each.calls,
            each.calls_per_day.point if each.calls_per_day else None,
            each.usd_month.point if each.usd_month else None,
            *_could_save(each, savings.get(each.workload)),
            f"{each.speaks_for} of {len(each.checks)}",
            each.shape.kind.value,
            each.input_tokens,
            each.output_tokens,
            each.latency_p95_ms,
        )
        for each in report.workloads
    ]
    frame = pd.DataFrame(
        rows,
        columns=[
            "Workload", "Calls", "Calls a day", "USD a month", "Could save", "Known from", "Speaks for",
            "Answers", "Tokens in", "Tokens out", "p95 ms",
        ],
    )  # fmt: skip
    longest = max(map(len, frame["Workload"]), default=0)
    # Numbers, so that they are put in order as such, in the words of all other sums.
    in_words: Any = frame.style.format(_dollars, subset=["USD a month", "Could save"], na_rep="–")
    picked = st.dataframe(
        in_words,
        hide_index=True,
        lazy=False,
        placeholder="–",
        on_select="rerun",
        selection_mode="single-row",
        key="traffic-table",
        height=table_px(len(frame), 12),
        column_config={
            **told_columns(frame),
            **counts("Calls"),
            **{
                name: st.column_config.NumberColumn(format="%,.0f", help=words.COLUMNS.get(name))
                for name in ("Calls a day", "Tokens in", "Tokens out", "p95 ms")
            },
            # Commands take the name: it is not to be cut.
            "Workload": st.column_config.TextColumn(width=min(NAME_PX * longest + 20, NAME_MOST_PX)),
            # Aligned alike, also where no sum of the column is known.
            "USD a month": st.column_config.NumberColumn(),
            "Could save": st.column_config.NumberColumn(help=words.COLUMNS["Could save"]),
        },
        alt=f"{len(frame)} workloads, those with the most to save by price first.",
    )
    _open_picked(report, list(picked.selection.rows))
    exports.offer("workloads", rows=len(frame))
    by_price = (
        f"at the price of {answers.quoted(report.small_model)} and the frontier's tokens, at most, until a "
        "candidate is replayed"
        if report.small_model
        else "not known without a price for a small model (set costs.hosted\\_model)"
    )
    st.caption(
        "Could save, if all of it moved. Measured: with the tokens and fall-backs of the candidate named, of "
        f"several the one that saves most; below nothing it costs more. By price: {by_price}."
    )


def _dollars(usd: Any) -> str:
    return words.money(usd)


def _could_save(each: WorkloadReport, measured: MeasuredSaving | None) -> tuple[float | None, str | None]:
    """Return what all of a workload on a small model would save a month, and how that is known."""
    if measured is not None:
        return measured.usd_month, f"measured: {visible(measured.candidate)}"
    return each.could_save_usd_month, None if each.could_save_usd_month is None else "price alone"


def _open_picked(report: ProfileReport, rows: list[int]) -> None:
    """Open the workload of a row that was clicked just now; what was chosen below since then stays."""
    if rows != st.session_state.get("traffic.picked", []):
        st.session_state["traffic.picked"] = rows
        if rows and rows[0] < len(report.workloads):
            st.query_params["workload"] = report.workloads[rows[0]].workload


def _workload(report: ProfileReport, each: WorkloadReport) -> None:
    with st.container(border=True, key="workload"):
        st.header(answers.quoted(each.name), anchor=False)
        _facts(each)
        parts: dict[str, tuple[str, Callable[[], None]]] = {
            "suitability": ("Suitability", lambda: _checks(each))
        }
        if access.may(Right.READ, each.workload if each.is_task else None):
            parts["prompt"] = ("Prompt", lambda: _prompt(each))
            parts["answers"] = ("Answers", lambda: _answers(each))
            parts["calls"] = ("Calls", lambda: _calls(report, each))
        if access.may(Right.IMPORT):
            parts["naming"] = ("Make it a task", lambda: _naming(report, each))
        tabs = address.tabs({name: title for name, (title, _) in parts.items()}, name="part")
        for name, (_, show_part) in parts.items():
            # Text of calls that nobody sees is neither read nor noted as read.
            if tabs[name].open:
                with tabs[name]:
                    show_part()


def _facts(each: WorkloadReport) -> None:
    volume = each.calls_per_day
    lines = [
        f"{words.counted(each.calls, 'call')}, {words.percent(each.share)} of the log",
        f"{_whole(volume.point)} calls a day ({_whole(volume.low)}–{_whole(volume.high)})"
        if volume
        else "calls a day not known",
        _cost(each),
    ]
    lines += [told for told in (each.told_quiet, each.told_percentiles) if told]
    if each.latencies:
        p50, p95, p99 = (_ms(each.latency_p50_ms), _ms(each.latency_p95_ms), _ms(each.latency_p99_ms))
        lines.append(f"half of the calls within {p50}, 95 % within {p95}, 99 % within {p99}")
    else:
        lines.append("no latencies in the log")
    if each.input_tokens is not None and each.output_tokens is not None:
        cached = f", {words.percent(each.cached_share)} of input cached" if each.cached_share else ""
        lines.append(
            f"{words.count(each.input_tokens)} tokens in, {words.count(each.output_tokens)} out{cached}"
        )
    lines.append(f"{words.percent(each.duplicate_share)} duplicates")
    lines.append(f"{words.percent(each.multi_turn_share)} with more than one turn (at most {each.turns_max})")
    lines.append(f"{words.percent(each.tool_share)} with tools")
    lines.append("languages: " + spoken(each.languages, each.calls))
    st.text(words.kept(" · ".join(lines)))
    if each.imputed:
        st.caption(told_imputed(each.imputed) + ".")
    for said in each.notes:
        st.text(visible(f"{said}."))
    if each.left_out:
        st.caption("Calls of these models are left out of its costs:")
        st.text(visible(", ".join(each.left_out)))


def spoken(languages: Mapping[str, int], calls: int) -> str:
    """Return the languages of a workload in words, the commonest first, and how many more there are.

    Args:
        languages: Calls by language, the commonest first.
        calls: Of the workload.
    """
    told = [f"{name or 'unknown'} {words.percent(count / calls)}" for name, count in languages.items()]
    more = len(told) - LANGUAGES_SHOWN
    return ", ".join(told[:LANGUAGES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _whole(number: float) -> str:
    return words.count(round(number) if number >= 10 else number)


def _cost(each: WorkloadReport) -> str:
    if each.usd_per_call is None:
        return "not priced"
    a_call = f"{words.money(each.usd_per_call.point)} a call"
    return f"{a_call}, {words.money(each.usd_month.point)} a month" if each.usd_month else a_call


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}{words.NARROW}ms"


def _checks(each: WorkloadReport) -> None:
    st.caption("No score: each line stands for itself, with what was measured and why it counts.")
    # Not a grid, which would cut sentences off.
    head = markup.element(
        "tr", *(markup.element("th", name) for name in ("Question", "Speaks", "Measured", "Why"))
    )
    lines = [
        markup.element(
            "tr",
            markup.element("th", check.name),
            *(
                markup.element("td", words.kept(cell))
                for cell in (_SIGNS[check.speaks], check.value, check.reason)
            ),
        )
        for check in each.checks
    ]
    markup.show(
        markup.element(
            "table",
            markup.element("thead", head),
            markup.element("tbody", *lines),
            classes="wb-evidence wb-checks",
            label="Suitability",
        )
    )
    exports.offer("suitability", filters={"workload": each.workload})


def _prompt(each: WorkloadReport) -> None:
    if not each.template:
        st.text("These calls share no part of their prompts.")
        return
    st.caption("What all its prompts share; … stands for what differs.")
    answers.plain(each.template, limit=2_000)


def _answers(each: WorkloadReport) -> None:
    shape = each.shape
    kind = shape.eval_kind.replace("_", " ")
    st.text(f"{shape.kind.value} ({words.percent(shape.coverage)}); likely eval: {kind}")
    if shape.kind is ShapeKind.LABELS:
        frame = pd.DataFrame([(visible(k), v) for k, v in shape.labels.items()], columns=["Answer", "Calls"])
        st.dataframe(
            frame,
            hide_index=True,
            lazy=False,
            column_config=counts("Calls"),
            height=table_px(len(frame), 10),
            alt=f"{len(frame)} answers.",
        )
        exports.offer("answers", filters={"workload": each.workload}, rows=len(frame))
    elif shape.schema is not None:
        answers.plain(json.dumps(shape.schema, ensure_ascii=False, indent=2), limit=8_000, height=320)
    elif shape.tools:
        answers.plain("\n".join(f"{name}: {count:,}" for name, count in shape.tools.items()), limit=4_000)


def _calls(report: ProfileReport, each: WorkloadReport) -> None:
    last = max(1, -(-each.calls // PAGE))
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        page = address.page(last)
        exports.offer("calls", filters={"workload": each.workload}, rows=each.calls)
    rows = read(
        workloads.workload_page, report.profile_id, each.workload, limit=PAGE, offset=(page - 1) * PAGE
    )
    requests = [from_json(row["request"], Request) for row in rows]
    frame = pd.DataFrame(
        [
            (
                visible(row["native_id"]),
                row["occurred_at"],
                _first_line(request),
                visible((row["control_text"] or told_error(row["control_error_kind"] or ""))[:200]),
            )
            for row, request in zip(rows, requests, strict=True)
        ],
        columns=["Id", "Time (UTC)", "Asked", "Answered"],
    )
    st.dataframe(
        frame, hide_index=True, lazy=False, height=300, alt=f"Calls of this workload, page {page} of {last}."
    )
    if not rows:
        return
    at = {row["call_id"]: number for number, row in enumerate(rows)}
    said = {row["call_id"]: visible(row["native_id"]) for row in rows}
    opened = at[address.select("Open a call", list(at), name="call", labels=said)]
    answers.show_request(requests[opened])
    st.caption("Answer")
    control = rows[opened]["control"]
    answers.plain(answers.output_text(from_json(control, Output) if control else None), limit=6_000)


def _first_line(request: Request) -> str:
    turns = [each for each in request.messages if each.role == "user"]
    return visible(" ".join(answers.message_text(turns[-1]).split())[:200]) if turns else ""


def _naming(report: ProfileReport, each: WorkloadReport) -> None:
    if each.has_eval:
        where = f": evals/{visible(each.name)}/eval.toml" if each.is_task else ""
        st.text(f"It is a task with an eval already{where}.")
        if not each.is_task:
            return
        navigation.link("replays", "Replay it", icon=":material/play_circle:", task=each.name)
        return
    if not each.is_task and each.rule is None:
        st.text(
            "These calls share no prompt, so that no rule can take them. "
            "Write a [match] rule by hand, or import them with a task."
        )
        return
    others = [o for o in report.workloads if o.rule is not None and o.workload != each.workload]
    merged: Sequence[str] = ()
    name = each.name
    if not each.is_task:
        name = st.text_input(
            "Name of the task", each.name, max_chars=100, key=f"task-name-{each.workload}"
        ).strip()
        labels = {other.workload: _named(other) for other in others}
        if others:
            merged = st.multiselect(
                "Merge with", list(labels), format_func=labels.__getitem__, key=f"task-merge-{each.workload}"
            )
    chosen = [each, *(other for other in others if other.workload in merged)]
    if name in here().workspace.evals:
        st.caption("There is an eval of this name: the rules are added to it, and the rest of it stays.")
        for said in misfits(here().workspace.evals[name], chosen):
            st.warning(answers.quoted(said), icon=":material/rule:")
    else:
        st.caption("This is written to evals/…/eval.toml, to be edited there:")
        answers.plain(draft(report, chosen, name or UNASSIGNED), limit=6_000, height=300)
    if not st.button("Make it a task", type="primary", key=f"make-task-{each.workload}"):
        return
    try:
        done = name_workloads(here().workspace, here().store, [w.workload for w in chosen], name)
    except WorkbenchError as error:
        complain(error)
        return
    st.session_state["traffic.done"] = done
    st.query_params["workload"] = done.task
    st.rerun()


def show_done() -> None:
    """Say what the last click did."""
    done = st.session_state.pop("traffic.done", None)
    if done is not None:
        what = "is a task now" if done.created else "has further rules"
        st.success(
            f"{answers.quoted(done.task)} {what}. {words.counted(done.moved, 'stored call')} moved to it.",
            icon=":material/check:",
        )
