"""Figures of curves: what a threshold brings, from cautious to permissive. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.scoring.thresholds import ThresholdReport, ThresholdRow
from workbench.stats.ladder import EPSILON
from workbench.stats.wording import confidence
from workbench.ui.figures import FONT, LAST_TICK_PX, Drawing, ends_of_runs, share_ticks
from workbench.ui.palette import LIGHT, Palette
from workbench.ui.words import NARROW, money, percent

HEADROOM = 1.15
RISKS = {False: "Worse, of those routed", True: "Routed and worse, of all"}
"""What is bounded: harm among the routed calls, or over all calls (budget mode)."""
MOST_SHOWN = 4.0
"""Bounds beyond so many tolerances lie above the figure: they say no more than that they are far too high.

An arrow at its edge says how high.
"""


def threshold_curve(report: ThresholdReport, colours: Palette = LIGHT) -> Drawing:
    """Draw the bound on risk, and cost and latency of the blend, over the share that is routed.

    Args:
        report: With at least one row.
        colours: The theme's colours.
    """
    rows = report.rows
    routed = [row.routed for row in rows]
    relative = _relative(report)
    figure = make_subplots(
        rows=2 if relative else 1,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.16,
        row_heights=[0.6, 0.4] if relative else [1.0],
    )
    limit = max(
        [HEADROOM * min(row.risk.high, MOST_SHOWN * report.tolerance) for row in rows]
        + [2 * report.tolerance]
    )
    _bounds(figure, rows, limit, colours)
    figure.add_hline(report.tolerance, line={"color": colours.control, "width": 2}, row=1, col=1)
    figure.add_annotation(
        x=1,
        y=report.tolerance,
        xanchor="right",
        yanchor="bottom",
        text=f"tolerance {percent(report.tolerance)}",
        showarrow=False,
        font={"color": colours.control, "size": 12},
        row=1,
        col=1,
    )
    if report.best is not None:
        _mark_best(figure, report.best, colours)
    if relative:
        figure.add_hline(1.0, line={"color": colours.control, "width": 1, "dash": "dash"}, row=2, col=1)
        figure.add_annotation(
            x=1,
            y=1.0,
            xanchor="right",
            yanchor="bottom",
            text="frontier alone",
            showarrow=False,
            font={"color": colours.control, "size": 12},
            row=2,
            col=1,
        )
    for name, values, dash in relative:
        figure.add_trace(
            go.Scatter(
                x=routed,
                y=values,
                mode="lines",
                line={"color": colours.text if dash == "solid" else colours.muted, "width": 2, "dash": dash},
                hoverinfo="skip",
            ),
            row=2,
            col=1,
        )
        figure.add_annotation(
            x=routed[0],
            y=values[0],
            xanchor="left",
            yanchor="top" if dash == "solid" else "bottom",
            text=name,
            showarrow=False,
            font={"color": colours.text, "size": 12},
            row=2,
            col=1,
        )
    _style(figure, limit, relative, colours, budget=report.budget_mode)
    return Drawing(figure, _alt(report))


def _bounds(figure: go.Figure, rows: Sequence[ThresholdRow], limit: float, colours: Palette) -> None:
    """Draw each threshold's bound, one above the figure as an arrow out of it with its height in words."""
    routed = [row.routed for row in rows]
    over = [row.risk.high > limit + EPSILON for row in rows]
    ends = ends_of_runs(over)
    line = {"color": colours.candidate, "width": 2.5}
    figure.add_trace(
        go.Scatter(x=routed, y=[row.risk.high for row in rows], mode="lines", line=line, hoverinfo="skip"),
        row=1,
        col=1,
    )
    figure.add_trace(
        go.Scatter(
            x=routed,
            y=[min(row.risk.high, limit) for row in rows],
            mode="markers+text",
            marker={
                "size": 9,
                "symbol": [
                    "triangle-up" if is_over else "circle" if row.proven else "circle-open"
                    for row, is_over in zip(rows, over, strict=True)
                ],
                "color": colours.candidate,
                "line": {"color": colours.candidate, "width": 2},
            },
            text=[f"{percent(row.risk.high)} ↑" if n in ends else "" for n, row in enumerate(rows)],
            textposition=["bottom left" if share > 0.5 else "bottom right" for share in routed],
            textfont={"size": 12, "color": colours.text},
            customdata=[_told(row) for row in rows],
            hovertemplate="%{customdata}<extra></extra>",
            cliponaxis=False,
        ),
        row=1,
        col=1,
    )


def _mark_best(figure: go.Figure, best: ThresholdRow, colours: Palette) -> None:
    """Mark the lowest proven threshold, with what it routes."""
    figure.add_vline(best.routed, line={"color": colours.text, "width": 1, "dash": "dot"}, row="all", col=1)
    figure.add_annotation(
        x=best.routed,
        y=1,
        yref="y domain",
        xanchor="right" if best.routed > 0.5 else "left",
        yanchor="top",
        text=f" lowest proven: {percent(best.routed)} routed ",
        showarrow=False,
        font={"color": colours.text, "size": 12},
        row=1,
        col=1,
    )


def _relative(report: ThresholdReport) -> list[tuple[str, list[float], str]]:
    """Return cost and latency of the blend as shares of the frontier alone, as far as they are known."""
    found = []
    for name, alone, values, dash in (
        ("cost", report.control_cost_usd, [row.cost_usd for row in report.rows], "solid"),
        ("latency", report.control_latency_ms, [row.latency_ms for row in report.rows], "dash"),
    ):
        known = [each for each in values if each is not None]
        if alone and len(known) == len(values):
            found.append((name, [each / alone for each in known], dash))
    return found


def _told(row: ThresholdRow) -> str:
    state = "proven" if row.proven else "not proven"
    taken = [
        *([] if row.cost_usd is None else [money(row.cost_usd)]),
        *([] if row.latency_ms is None else [f"{row.latency_ms:,.0f}{NARROW}ms"]),
    ]
    takes = f"; {' and '.join(taken)} a call" if taken else ""
    return (
        f"confidence {confidence(row.confidence)}, {percent(row.routed)} routed: "
        f"at most {percent(row.risk.high)} get worse ({state}){takes}"
    )


def _style(
    figure: go.Figure,
    limit: float,
    relative: Sequence[tuple[str, list[float], str]],
    colours: Palette,
    *,
    budget: bool,
) -> None:
    figure.update_layout(
        height=400 if relative else 260,
        margin={"l": 4, "r": LAST_TICK_PX, "t": 8, "b": 4},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": colours.text},
        hoverlabel={"bgcolor": colours.ground, "font": {"color": colours.text}},
    )
    axis = {
        "gridcolor": colours.line,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
    }
    figure.update_xaxes(**axis, **share_ticks(1.0), range=[0, 1.02])
    figure.update_yaxes(**axis)
    figure.update_yaxes(
        title={"text": RISKS[budget], "font": {"size": 13}, "standoff": 14},
        **share_ticks(limit),
        range=[0, limit * 1.02],
        row=1,
        col=1,
    )
    last = 2 if relative else 1
    figure.update_xaxes(title={"text": "Calls left to the candidate", "font": {"size": 13}}, row=last, col=1)
    if relative:
        most = max(1.0, *(max(values) for _, values, _ in relative))
        figure.update_yaxes(
            title={"text": "Of the frontier's", "font": {"size": 13}, "standoff": 14},
            **share_ticks(most),
            range=[0, most * 1.2],
            row=2,
            col=1,
        )


def _alt(report: ThresholdReport) -> str:
    first, last = report.rows[0], report.rows[-1]
    text = (
        f"{RISKS[report.budget_mode]}, at most, over the share of calls left to the candidate: "
        f"{_told(first)}; {_told(last)}. "
        f"Tolerance {percent(report.tolerance)}. "
    )
    if report.best is None:
        return f"{text}No threshold is proven."
    return f"{text}The lowest proven threshold: {_told(report.best)}."


__all__ = ["threshold_curve"]
