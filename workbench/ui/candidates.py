"""The candidates of one task beside each other: by size, by harm and cost, and as a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from workbench.records import Policy
from workbench.scoring import OverviewRow, SizeLadder, size_ladder
from workbench.scoring.sizes import BY_COST, Rung
from workbench.stats import ladder
from workbench.ui import answers, candidate_figures, figures, words
from workbench.ui.diff import visible
from workbench.ui.heights import table_px, told_columns
from workbench.ui.session import colours


def show(rows: Sequence[OverviewRow], policy: Policy) -> None:
    """Show a chart and a table of a task's candidates, the smallest first.

    Args:
        rows: Rows of one task, at least two.
        policy: What the team accepts.
    """
    found = size_ladder(rows, policy)
    with st.container(border=True, key="candidates"):
        st.header("Candidates by size", anchor=False, help=words.GLOSSARY["size_ladder"])
        st.markdown(f"**{answers.quoted(words.kept(found.sentence))}**")
        drawing = candidate_figures.candidates(rows, policy.tolerance, colours())
        st.plotly_chart(
            drawing.figure, key="candidates-chart", config=figures.CONFIG, alt=drawing.alt, theme=None
        )
        st.caption(
            "Larger marks answer more slowly (95th percentile at production's pace); hollow ones were never "
            "measured. Lines are intervals, marks their upper ends."
        )
        unknown = [row.candidate for row in rows if row.candidate_usd is None]
        if unknown:
            st.text(visible(f"Not drawn, since no price or no tokens are known: {', '.join(unknown)}."))
        table(rows, found, policy)


def table(rows: Sequence[OverviewRow], found: SizeLadder, policy: Policy) -> None:
    """Show the same as a table, in the order of the ladder.

    Args:
        rows: Rows of one task.
        found: Their order.
        policy: What the team accepts.
    """
    by_name = {row.candidate: row for row in rows}
    ordered = [by_name[each.candidate] for each in found.rungs]
    frame = pd.DataFrame(
        {
            "Candidate": [
                visible(f"{row.candidate} (synthetic)" if row.synthetic else row.candidate) for row in ordered
            ],
            "Size": [size(row, found) for row in ordered],
            "Bound holds for": [_stage(each, policy) for each in found.rungs],
            "Calls that get worse": [words.interval(row.recommendation.harm) for row in ordered],
            "Next": [words.stage(row.recommendation.share) for row in ordered],
            "Evidence reaches": [words.stage(row.recommendation.cap) for row in ordered],
            "Cost of 1,000 calls": [_cost(row) for row in ordered],
            "Latency p95": [candidate_figures.latency_text(row.latency_p95_ms) for row in ordered],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        lazy=False,
        height=table_px(len(frame), 12),
        column_config=told_columns(frame),
        alt="; ".join(
            f"{row.candidate}: at most {words.percent(row.recommendation.harm.high)}" for row in ordered
        ),
    )


def _stage(rung: Rung, policy: Policy) -> str:
    supported = ladder.cap_of(rung.high, policy) if rung.cap > 0 else 0.0
    return words.stage(supported) if supported > 0 else "no stage"


def size(row: OverviewRow, found: SizeLadder) -> str:
    """Return a candidate's size in words."""
    if row.size_billions is not None:
        billions = row.size_billions
        return (
            f"{billions:g}{words.FIXED}billion"
            if billions >= 1
            else f"{1000 * billions:g}{words.FIXED}million"
        )
    return "by its cost" if found.by == BY_COST else "unknown"


def _cost(row: OverviewRow) -> str:
    if row.candidate_usd is None:
        return "not priced"
    return words.money(candidate_figures.PER * row.candidate_usd.point)
