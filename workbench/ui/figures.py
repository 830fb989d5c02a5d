"""Figures: pure functions from records to plotly figures, with the sentence that replaces them.

Text that comes from logs is escaped before it reaches plotly, which would read tags in it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import plotly.graph_objects as go

from workbench.records import Estimate
from workbench.ui.palette import LIGHT, Palette
from workbench.ui.words import count, interval, percent, stage

FONT = '"Source Sans", "Segoe UI", sans-serif'
CONFIG = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False, "showAxisDragHandles": False}
"""What `st.plotly_chart(config=...)` gets: no tool bar, no zooming by accident."""

EPSILON = 1e-9

ALLOWED_AT, ALLOWED_TOP, ALLOWED_PX = 1.85, 2.65, 21
"""Where the words on what a stage allows stand, how far up the figure goes, and how much higher it is."""
DOT_PX = 8
"""How large the dot of an estimate is."""
LAST_TICK_PX = 20
"""Room beside a figure for the half of its last tick's words; without it plotly leaves them out."""
TOLERANCE_WORDS = 0.32
"""How wide the words on the tolerance are on a screen of 400 pixels, of the figure's width."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and what it says in words, for people who do not see it."""

    figure: go.Figure
    alt: str


class Sliced(Protocol):
    """What is drawn of a slice, declared or found."""

    @property
    def name(self) -> str:
        """Return what the slice is made by."""

    @property
    def value(self) -> str:
        """Return its value."""

    @property
    def harm(self) -> Estimate:
        """Return its harm with limits."""


def ladder(
    stages: Sequence[float], current: float, share: float, cap: float, colours: Palette = LIGHT
) -> Drawing:
    """Draw the ladder of shares: where traffic is, where it may go next, how far evidence reaches.

    Args:
        stages: The policy's ladder, rising, 0..1.
        current: Present share.
        share: Recommended share.
        cap: Largest share that the evidence supports.
        colours: The theme's colours.
    """
    fills, inks = [], []
    for each in stages:
        if 0 < each <= share + EPSILON:
            fills.append(colours.candidate)
            inks.append(colours.on_candidate)
        elif 0 < each <= cap + EPSILON:
            fills.append(colours.candidate_soft)
            inks.append(colours.text)
        else:
            fills.append(colours.empty)
            inks.append(colours.text)
    figure = go.Figure(
        go.Bar(
            x=list(range(len(stages))),
            y=[1.0] * len(stages),
            width=0.94,
            marker={"color": fills, "line": {"width": 0}, "cornerradius": 5},
            text=[stage(each) for each in stages],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": inks, "size": 13},
            hoverinfo="skip",
        )
    )
    for position, words in _marks(stages, current, share, cap).items():
        anchor, offset = _anchor(position, len(stages))
        figure.add_annotation(
            x=position + offset,
            y=1.06,
            yanchor="bottom",
            xanchor=anchor,
            text=" · ".join(words),
            showarrow=False,
            font={"size": 12, "color": colours.text},
        )
        figure.add_shape(
            type="line",
            x0=position - 0.47,
            x1=position + 0.47,
            y0=1.04,
            y1=1.04,
            line={"color": colours.text, "width": 2 if "now" in words else 1},
        )
    _bare(figure, height=76, colours=colours)
    figure.update_yaxes(range=[0, 1.75])
    figure.update_xaxes(range=[-0.5, len(stages) - 0.5])
    alt = (
        f"Ladder of traffic shares: now {stage(current)}, recommended {stage(share)}, "
        f"evidence supports up to {stage(cap)}."
    )
    return Drawing(figure, alt)


def bound(
    harm: Estimate,
    tolerance: float,
    colours: Palette = LIGHT,
    *,
    allowed: tuple[float, float] | None = None,
) -> Drawing:
    """Draw an interval of harm against the tolerance, and against what a stage allows beyond it.

    Args:
        harm: The estimate; `high` is the bound that decides.
        tolerance: The largest harm that the team accepts.
        colours: The theme's colours.
        allowed: A stage and the largest bound that it allows (`ladder.allowed`); None where that is the
            tolerance.
    """
    low, high = max(0.0, harm.low), min(1.0, harm.high)
    limit = _nice_limit(max(high, tolerance, allowed[1] if allowed else 0.0) * 1.12)
    figure = go.Figure()
    figure.add_shape(
        type="rect", x0=0, x1=tolerance, y0=0, y1=1, line={"width": 0}, fillcolor=colours.good, layer="below"
    )
    figure.add_shape(
        type="line", x0=tolerance, x1=tolerance, y0=0, y1=1, line={"color": colours.control, "width": 2}
    )
    figure.add_trace(
        go.Scatter(
            x=[low, high],
            y=[0.5, 0.5],
            mode="lines",
            line={"color": colours.candidate, "width": 9},
            hoverinfo="skip",
        )
    )
    if harm.point is not None:
        figure.add_trace(
            go.Scatter(
                x=[harm.point],
                y=[0.5],
                mode="markers",
                marker={
                    "color": colours.ground,
                    "size": 9,
                    "line": {"color": colours.candidate, "width": 2.5},
                },
                hoverinfo="skip",
            )
        )
    _label(figure, tolerance, 1.02, f"tolerance {percent(tolerance)}", colours.control, limit, "bottom")
    # Below the line of the tolerance, which it would touch where both are near.
    _label(figure, high, -0.05, f"at most {percent(high)}", colours.text, limit, "top")
    if allowed is not None:
        _mark_allowed(figure, tolerance, allowed, limit, colours)
    _bare(figure, height=74 if allowed is None else 74 + ALLOWED_PX, colours=colours)
    figure.update_xaxes(range=[-0.015 * limit, 1.015 * limit])
    figure.update_yaxes(range=[-0.6, 1.8 if allowed is None else ALLOWED_TOP])
    side = "within" if high <= tolerance + EPSILON else "above"
    figure.update_layout(meta={"within": high <= tolerance + EPSILON})
    alt = (
        f"Share of calls that get worse: {interval(harm)}; "
        f"the bound is {side} the tolerance of {percent(tolerance)}"
    )
    if allowed is not None:
        share, most = allowed
        side = "within" if high <= most + EPSILON else "above"
        alt += f", and {side} the {percent(most)} that moving {stage(share)} of the traffic allows"
    return Drawing(figure, f"{alt}.")


def _mark_allowed(
    figure: go.Figure, tolerance: float, allowed: tuple[float, float], limit: float, colours: Palette
) -> None:
    """Mark what a stage allows: thin and broken, its words on a line above those of the tolerance."""
    share, most = allowed
    # The line reaches up to its words unless those of the tolerance stand in its way.
    is_clear = most - tolerance > TOLERANCE_WORDS * limit
    figure.add_shape(
        type="line",
        x0=most,
        x1=most,
        y0=0,
        y1=ALLOWED_AT if is_clear else 1,
        line={"color": colours.muted, "width": 1.5, "dash": "dot"},
    )
    words = f"moving {stage(share)} allows {percent(most)}"
    _label(figure, most, ALLOWED_AT, words, colours.muted, limit, "bottom")


def confusion(
    counts: Mapping[tuple[str, str], int],
    labels: Sequence[str],
    colours: Palette = LIGHT,
    *,
    sides: tuple[str, str] = ("Frontier", "Candidate"),
) -> Drawing:
    """Draw how often the candidate gave each answer where the frontier gave each answer.

    Args:
        counts: Calls by (frontier's answer, candidate's answer).
        labels: The answers in order; answers outside them follow in order of their names.
        colours: The theme's colours.
        sides: Who answered: rows, columns.
    """
    seen = {each for pair in counts for each in pair}
    order = [each for each in labels if each in seen] + sorted(seen - set(labels))
    rows = [[counts.get((control, candidate), 0) for candidate in order] for control in order]
    totals = [sum(row) for row in rows]
    shares = [[n / total if total else 0.0 for n in row] for row, total in zip(rows, totals, strict=True)]
    names = [clipped(each) for each in order]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(range(len(order))),
            y=list(range(len(order))),
            text=[[count(n) if n else "" for n in row] for row in rows],
            texttemplate="%{text}",
            textfont={"size": 12},
            hoverinfo="skip",
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            showscale=False,
            colorscale=[[0, colours.empty], [1, colours.control]],
        )
    )
    _bare(figure, height=96 + 34 * max(2, len(order)), colours=colours)
    ticks = {"tickvals": list(range(len(order))), "ticktext": names, "showticklabels": True}
    figure.update_xaxes(
        **ticks, side="top", title={"text": f"{sides[1]} said", "font": {"size": 13}}, automargin=True
    )
    figure.update_yaxes(
        **ticks,
        autorange="reversed",
        title={"text": f"{sides[0]} said", "font": {"size": 13}, "standoff": 12},
        automargin=True,
    )
    agreeing = sum(counts.get((each, each), 0) for each in order)
    alt = f"{count(agreeing)} of {count(sum(totals))} answers agree. " + " ".join(
        f"Where the {sides[0].lower()} said {name}: {count(row[index])} of {count(total)} the same."
        for index, (name, row, total) in enumerate(zip(order, rows, totals, strict=True))
        if total
    )
    return Drawing(figure, alt)


def slice_bounds(slices: Sequence[Sliced], tolerance: float, colours: Palette = LIGHT) -> Drawing:
    """Draw the harm of each slice as an interval against the tolerance.

    Args:
        slices: The slices, in the order to show.
        tolerance: The largest harm that the team accepts.
        colours: The theme's colours.
    """
    figure = go.Figure()
    limit = _nice_limit(max([tolerance, *(min(1.0, each.harm.high) for each in slices)]) * 1.05)
    figure.add_shape(
        type="rect",
        x0=0,
        x1=tolerance,
        y0=0,
        y1=1,
        yref="paper",
        line={"width": 0},
        fillcolor=colours.good,
        layer="below",
    )
    for index, each in enumerate(slices):
        figure.add_trace(
            go.Scatter(
                x=[max(0.0, each.harm.low), min(1.0, each.harm.high)],
                y=[index, index],
                mode="lines",
                line={"color": colours.candidate, "width": 7},
                hoverinfo="skip",
            )
        )
        if each.harm.point is not None:
            figure.add_trace(
                go.Scatter(
                    x=[each.harm.point],
                    y=[index],
                    mode="markers",
                    marker={
                        "color": colours.ground,
                        "size": DOT_PX,
                        "line": {"color": colours.candidate, "width": 2},
                    },
                    hoverinfo="skip",
                )
            )
    figure.add_shape(
        type="line",
        x0=tolerance,
        x1=tolerance,
        y0=0,
        y1=1,
        yref="paper",
        line={"color": colours.control, "width": 2},
    )
    figure.add_annotation(
        x=tolerance,
        y=1,
        yref="paper",
        xanchor="left" if tolerance < limit / 2 else "right",
        yanchor="bottom",
        text=f"tolerance {percent(tolerance)}",
        showarrow=False,
        font={"color": colours.control, "size": 12},
    )
    _bare(figure, height=76 + 30 * max(1, len(slices)), colours=colours)
    figure.update_layout(margin_r=LAST_TICK_PX, margin_t=22)
    figure.update_xaxes(
        **share_ticks(limit), range=[-0.015 * limit, 1.015 * limit], showticklabels=True, automargin=True
    )
    figure.update_yaxes(
        range=[len(slices) - 0.5, -0.5],
        tickvals=list(range(len(slices))),
        ticktext=[clipped(f"{each.name} = {each.value}", 28) for each in slices],
        # An estimate of nothing stands on the axis, half of its dot before it.
        ticklabelstandoff=DOT_PX,
        showticklabels=True,
        automargin=True,
    )
    alt = f"Harm by slice against the tolerance of {percent(tolerance)}. " + " ".join(
        f"{each.name} {each.value}: {interval(each.harm)}." for each in slices
    )
    return Drawing(figure, alt)


def clipped(text: str, length: int = 22) -> str:
    """Return text from a log, cut to a length and escaped for plotly."""
    line = " ".join(text.split())
    return html.escape(line if len(line) <= length else line[: length - 1] + "…")


def _marks(stages: Sequence[float], current: float, share: float, cap: float) -> dict[float, list[str]]:
    marks: dict[float, list[str]] = {}
    for value, word in ((current, "now"), (share, "next"), (cap, "cap")):
        marks.setdefault(_position(stages, value), []).append(word)
    return marks


def _position(stages: Sequence[float], value: float) -> float:
    """Return where a share lies on evenly spaced stages, between two where it is none of them."""
    for index, each in enumerate(stages):
        if abs(each - value) < EPSILON:
            return float(index)
        if each > value:
            before = stages[index - 1] if index else 0.0
            return max(0.0, index - 1 + (value - before) / (each - before))
    return float(len(stages) - 1)


def _anchor(position: float, places: int) -> tuple[str, float]:
    """Return how a mark hangs on its stage: at the ends of the ladder it grows inwards."""
    if position < 1:
        return "left", -0.47
    if position > places - 2:
        return "right", 0.47
    return "center", 0.0


def _label(figure: go.Figure, x: float, y: float, text: str, colour: str, limit: float, anchor: str) -> None:
    side = "left" if x < 0.2 * limit else "right" if x > 0.8 * limit else "center"
    figure.add_annotation(
        x=x,
        y=y,
        text=text,
        showarrow=False,
        xanchor=side,
        yanchor=anchor,
        font={"size": 12, "color": colour},
    )


def _nice_limit(value: float) -> float:
    for limit in (0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8):
        if value <= limit:
            return limit
    return 1.0


def _bare(figure: go.Figure, *, height: int, colours: Palette) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": colours.text},
        bargap=0.06,
    )
    blank = {
        "visible": True,
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "fixedrange": True,
    }
    figure.update_xaxes(**blank)
    figure.update_yaxes(**blank)


__all__ = [
    "CONFIG",
    "LAST_TICK_PX",
    "Drawing",
    "Sliced",
    "bound",
    "clipped",
    "confusion",
    "ends_of_runs",
    "ladder",
    "round_numbers",
    "share_ticks",
    "slice_bounds",
]


def round_numbers(top: float, most: int = 5) -> list[float]:
    """Return some round numbers from 0 to the largest that is drawn.

    Args:
        top: The largest.
        most: Up to so many.
    """
    if top <= 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(top))
    steps = (power / 5, power / 2, power, 2 * power, 5 * power)
    step = next(each for each in steps if top / each < most - EPSILON)
    return [n * step for n in range(math.floor(top / step + EPSILON) + 1)]


def share_ticks(top: float, low: float = 0.0) -> dict[str, Any]:
    """Return what an axis of shares takes: round ones, written as all other shares are.

    Args:
        top: The largest that is drawn, 0..1.
        low: The smallest; below 0 for a balance.
    """
    values = round_numbers(top, most=6)
    step = values[1] if len(values) > 1 else 1.0
    below = [-n * step for n in range(math.floor(-low / step + EPSILON), 0, -1)]
    return {"tickvals": [*below, *values], "ticktext": [stage(each) for each in (*below, *values)]}


def ends_of_runs(flags: Sequence[bool]) -> list[int]:
    """Return the places at which a run of what is true begins or ends, where it needs words."""
    return [
        n
        for n, is_set in enumerate(flags)
        if is_set and not (0 < n < len(flags) - 1 and flags[n - 1] and flags[n + 1])
    ]
