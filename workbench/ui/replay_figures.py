"""Figures of replays: how long answers took, how many came when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from workbench.store.replay_facts import Pace, Times
from workbench.ui.figures import FONT, Drawing, round_numbers
from workbench.ui.palette import LIGHT, Palette
from workbench.ui.words import count, counted, duration

IN_FULL = ",~r"
"""Numbers in full, "5,000" and "0.5", as the words beside the figure have them."""
MARKS = ("p50", "p95", "p99")


def times(found: Times, colours: Palette = LIGHT) -> Drawing:
    """Draw how long the answers of a replay took, with its percentiles.

    Args:
        found: Of one replay, with at least one timed answer.
        colours: The theme's colours.
    """
    edges = found.edges
    width = edges[1] - edges[0]
    figure = go.Figure(
        go.Bar(
            x=[edge + width / 2 for edge in edges],
            y=list(found.counts),
            width=width * 0.94,
            marker={"color": colours.candidate, "line": {"width": 0}},
            hoverinfo="skip",
        )
    )
    top = max(found.counts)
    for place, (mark, value) in enumerate(zip(MARKS, found.percentiles, strict=True)):
        figure.add_shape(
            type="line",
            x0=value,
            x1=value,
            y0=0,
            y1=top * 1.05,
            line={"color": colours.text, "width": 1.5, "dash": "dot"},
        )
        figure.add_annotation(
            x=value,
            y=top * (1.1 + 0.13 * place),
            text=f"{mark} {value:,.0f} ms",
            showarrow=False,
            xanchor="left" if value < 0.7 * edges[-1] else "right",
            font={"size": 12, "color": colours.text},
        )
    _framed(figure, 230, colours)
    figure.update_xaxes(
        title={"text": "Milliseconds to the whole answer", "font": {"size": 13}},
        range=[0, edges[-1] + width],
        tickformat=IN_FULL,
    )
    figure.update_yaxes(
        title=_upright("Answers"), range=[0, top * 1.5], tickvals=round_numbers(top), tickformat=IN_FULL
    )
    told = ", ".join(f"{mark} {value:,.0f} ms" for mark, value in zip(MARKS, found.percentiles, strict=True))
    return Drawing(figure, f"Time to the whole answer of {counted(found.timed, 'answer')}: {told}.")


def pace(found: Pace, colours: Palette = LIGHT) -> Drawing:
    """Draw how many answers and errors a second came over time.

    Args:
        found: Of one replay.
        colours: The theme's colours.
    """
    unit, size = ("minutes", 60.0) if found.offsets_s[-1] > 180 else ("seconds", 1.0)
    begins = [offset / size for offset in found.offsets_s]
    rates = [n / found.step_s for n in found.answered]
    figure = go.Figure(
        go.Bar(
            x=begins,
            y=rates,
            offset=0,
            width=found.step_s / size * 0.92,
            name="answered",
            marker={"color": colours.control, "line": {"width": 0}},
            hoverinfo="skip",
        )
    )
    if any(found.failed):
        figure.add_trace(
            go.Bar(
                x=begins,
                y=[n / found.step_s for n in found.failed],
                base=rates,
                offset=0,
                width=found.step_s / size * 0.92,
                name="errors",
                marker={"color": colours.candidate, "pattern": {"shape": "/"}, "line": {"width": 0}},
                hoverinfo="skip",
            )
        )
    _framed(figure, 230, colours)
    figure.update_layout(
        barmode="overlay",
        showlegend=any(found.failed),
        legend={"orientation": "h", "y": 1.18, "x": 0},
        margin={"l": 4, "r": 4, "t": 30, "b": 4},
    )
    highest = max(n + failed / found.step_s for n, failed in zip(rates, found.failed, strict=True))
    figure.update_xaxes(
        title={"text": f"{unit.capitalize()} since the first request", "font": {"size": 13}},
        # The time before the first answer is part of it.
        range=[0, (found.offsets_s[-1] + found.step_s) / size],
        nticks=6,
    )
    figure.update_yaxes(
        title=_upright("Answers a second"),
        range=[0, highest * 1.08 or 1.0],
        tickvals=round_numbers(highest),
        tickformat=IN_FULL,
    )
    return Drawing(figure, _pace_told(found, rates))


def _upright(text: str) -> dict[str, Any]:
    """Return the title of an upright axis, clear of its numbers."""
    return {"text": text, "font": {"size": 13}, "standoff": 14}


def _pace_told(found: Pace, rates: Sequence[float]) -> str:
    total, failed = sum(found.answered), sum(found.failed)
    span = duration(found.offsets_s[-1] + found.step_s)
    return (
        f"{counted(total, 'answer')} and {counted(failed, 'error')} in {span}, at most "
        f"{count(max(rates, default=0.0))} answers a second. Each bar: {duration(found.step_s)}."
    )


def _framed(figure: go.Figure, height: int, colours: Palette) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 4, "t": 8, "b": 4},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": colours.text},
    )
    plain = {"showgrid": False, "zeroline": False, "fixedrange": True, "automargin": True}
    figure.update_xaxes(**plain)
    figure.update_yaxes(**plain, gridcolor=colours.line)
