"""On the Ramp page: from which confidence a candidate may answer alone, and what the blend takes."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from workbench.scoring.latency_pairs import unmeasured
from workbench.scoring.thresholds import ThresholdReport, ThresholdRow, thresholds
from workbench.stats.wording import confidence
from workbench.ui import address, answers, curves, exports, figures, words
from workbench.ui.diff import visible
from workbench.ui.heights import metric, metrics, table_px
from workbench.ui.scope import Scope
from workbench.ui.session import ask, colours

AT_ONCE = 20_000
"""With more compared calls a page waits to be asked."""
SIGNALS = {
    "label_margin": "how far the best label leads the second",
    "token_quantile": "how probable the least sure of the answer's tokens were",
    "sample_agreement": "how many of several samples agree",
}


def panel(scope: Scope, compared: int) -> None:
    """Show the table of thresholds with its figure, or why there is none.

    Args:
        scope: The task and candidate.
        compared: How many calls are compared.
    """
    st.header("Confidence threshold", anchor=False, help=words.GLOSSARY["threshold"])
    if not compared:
        st.caption("Nothing is compared yet.")
        return
    over_all = address.switch(
        "Count harm over all calls (budget mode)",
        name="budget-mode",
        help="Bounds the share of all calls that are left to the candidate and get worse, instead of the "
        "harm among those left to it.",
    )
    wanted = f"thresholds.{scope.task}.{scope.candidate.name}"
    if compared > AT_ONCE and not st.session_state.get(wanted):
        st.caption(f"{words.counted(compared, 'compared call')}: this takes a while.")
        if not st.button("Work out thresholds", icon=":material/tune:", key="work-out-thresholds"):
            return
        st.session_state[wanted] = True
    with st.spinner("Working out thresholds", show_time=True):
        report = ask(thresholds, scope.task, scope.candidate.name, budget_mode=over_all)
    st.text(words.kept(visible(report.sentence)))
    if report.rows:
        _shown(report)
        exports.offer(
            "thresholds",
            task=scope.task,
            candidate=scope.candidate.name,
            filters={"budget": "on"} if over_all else None,
        )
    said_above = unmeasured(scope.task, scope.candidate)
    for note in report.notes:
        if note == said_above:
            continue
        st.caption(answers.quoted(note.replace("`", "")))


def _shown(report: ThresholdReport) -> None:
    if report.best is not None:
        _best(report, report.best)
    drawing = curves.threshold_curve(report, colours())
    st.plotly_chart(drawing.figure, key="thresholds", config=figures.CONFIG, alt=drawing.alt, theme=None)
    semantic = report.basis == "semantic"
    noun = "label" if semantic else "compared call"
    ranked = "not known" if report.auroc is None else words.percent(report.auroc)
    tuned = f"{words.counted(report.tuned_on, noun)}, reported on {words.count(report.reported_on)} others"
    st.caption(
        answers.quoted(
            f"Confidence: {SIGNALS.get(report.signal or '', report.signal)}. A harmed call has less of it "
            f"than another in this share of pairs: {ranked} (AUROC). Tuned on {tuned}. Filled points are "
            "proven; the dotted line is the lowest of them."
        ),
        help=words.GLOSSARY["auroc"],
    )
    frame = pd.DataFrame(
        {
            "Confidence": [confidence(row.confidence) for row in report.rows],
            "Routed": [words.percent(row.routed) for row in report.rows],
            "Risk, at most": [words.percent(row.risk.high) for row in report.rows],
            "Proven": ["yes" if row.proven else "no" if row.tested else "not tested" for row in report.rows],
            "On other calls, at most": [_others(row) for row in report.rows],
            "Fine, estimated": [words.percent(row.chance_fine, 0) for row in report.rows],
            "Cost a call": [_cost(row.cost_usd) for row in report.rows],
            "Latency": [_latency(row.latency_ms) for row in report.rows],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame), 8),
        column_config={
            name: st.column_config.TextColumn(name, help=told, width="small")
            for name, told in COLUMNS.items()
        },
        alt=f"{len(frame)} thresholds with routed share, risk, cost and latency. {drawing.alt}",
    )
    st.caption(answers.quoted(_frontier_alone(report.control_cost_usd, report.control_latency_ms)))


def _frontier_alone(usd: float | None, mean_ms: float | None) -> str:
    """Say what a call takes without a candidate, as far as it is known."""
    known = [*([] if usd is None else [_cost(usd)]), *([] if mean_ms is None else [_latency(mean_ms)])]
    unknown = [*(["cost"] if usd is None else []), *(["latency"] if mean_ms is None else [])]
    said = f"{' and '.join(known)} a call" if known else ""
    if unknown:
        said += f"{'; ' if known else ''}{' and '.join(unknown)} not known"
    return f"The frontier alone: {said}. A call that falls back pays for both."


def _best(report: ThresholdReport, best: ThresholdRow) -> None:
    """Show what the lowest proven threshold brings, beside the frontier alone."""
    with metrics("threshold"):
        metric("Lowest proven confidence", confidence(best.confidence))
        metric("Routed", words.percent(best.routed), help=COLUMNS["Routed"])
        metric(
            f"{curves.RISKS[report.budget_mode]}, at most",
            words.percent(best.risk.high),
            help=BUDGET if report.budget_mode else COLUMNS["Risk, at most"],
        )
        for name, value, alone in (
            ("Cost a call", _cost(best.cost_usd), _less(best.cost_usd, report.control_cost_usd)),
            ("Latency", _latency(best.latency_ms), _less(best.latency_ms, report.control_latency_ms)),
        ):
            st.metric(name, value, alone, delta_color="off", width="content", help=COLUMNS[name])


def _less(value: float | None, alone: float | None) -> str | None:
    """Say how a figure of the blend stands to the frontier's alone."""
    if value is None or not alone:
        return None
    return f"{words.percent(value / alone - 1)} against the frontier"


BUDGET = (
    "Upper bound on the share of all calls that are left to the candidate and get worse. More calls can be "
    "routed than where harm among the routed is bounded, and those that are may get worse more often."
)
COLUMNS = {
    "Confidence": "Calls with at least this confidence are left to the candidate; others fall back.",
    "Routed": "Share of all answers with at least this confidence.",
    "Risk, at most": "Upper bound on harm, from the half of the calls that thresholds are tuned on.",
    "Proven": "Thresholds are tested from cautious to permissive up to the first whose bound is above the "
    "tolerance; those before it are proven.",
    "On other calls, at most": "Upper bound on harm on the other half, and how many calls it is from.",
    "Fine, estimated": "Estimated chance that a call of just this confidence is fine. For display alone.",
    "Cost a call": "Mean of the blend: the candidate, and the frontier where it falls back.",
    "Latency": "Mean of the blend: the candidate's at production's pace, and the frontier's as logged.",
}


def _others(row: ThresholdRow) -> str:
    return f"{words.percent(row.reported.high)} (n = {words.count(row.reported.n)})"


def _cost(usd: float | None) -> str:
    return "not known" if usd is None else words.money(usd)


def _latency(found_ms: float | None) -> str:
    return "not known" if found_ms is None else f"{found_ms:,.0f}{words.NARROW}ms"
