"""Candidates of one task on one chart: harm against the cost of a call, latency as size. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from workbench.records import Estimate
from workbench.scoring import OverviewRow
from workbench.ui.figures import FONT, Drawing, clipped, round_numbers, share_ticks
from workbench.ui.palette import LIGHT, Palette
from workbench.ui.words import NARROW, duration, interval, money, percent

PER = 1_000
"""Costs are shown of so many calls: one alone costs fractions of a cent."""
SMALLEST, LARGEST = 13.0, 42.0
UNMEASURED = 13.0
SPREAD_ON_LOG = 8.0
"""From this ratio of costs on, the axis of cost is logarithmic."""
NAME_CHARS = 16
LABEL_PX, CHAR_PX, LINE_PX, LINE_ROOM_PX = 8.0, 7.0, 15.0, 2.0
NARROW_PX, TALL_PX = 280.0, 260.0
"""Room that names are laid out for: a phone's. Where they do not meet there, they meet nowhere."""
Box = tuple[float, float, float, float]
"""Left, right, bottom and top, in pixels."""
PLACES = ("top right", "bottom right", "top left", "bottom left", "top center", "bottom center")


def candidates(rows: Sequence[OverviewRow], tolerance: float, colours: Palette = LIGHT) -> Drawing:
    """Draw each candidate at what a thousand calls cost and at its bound on harm, above its interval.

    The area of a mark is its 95th percentile of latency; one that was never measured at production's
    pace is a hollow diamond. Candidates without a known cost are named in the words alone.

    Args:
        rows: The candidates of one task.
        tolerance: The largest harm that the team accepts.
        colours: The theme's colours.
    """
    drawn = [row for row in rows if row.candidate_usd is not None]
    figure = go.Figure()
    top = _top([row.recommendation.harm.high for row in drawn], tolerance)
    figure.add_shape(
        type="rect",
        x0=0,
        x1=1,
        xref="paper",
        y0=0,
        y1=tolerance,
        line={"width": 0},
        fillcolor=colours.good,
        layer="below",
    )
    figure.add_hline(tolerance, line={"color": colours.control, "width": 2})
    costs = [PER * row.candidate_usd.point for row in drawn if row.candidate_usd is not None]
    control = next((PER * row.control_usd.point for row in rows if row.control_usd is not None), None)
    low, high, is_log = _span([*costs, *([control] if control else [])])
    _tolerance_label(figure, tolerance, colours)
    if control is not None:
        _control_line(figure, control, is_log, colours)
    slowest = max((_ms(row.latency_p95_ms) or 0.0 for row in drawn), default=0.0)
    places = _places(
        [
            (_fraction(cost, low, high, is_log), min(1.0, row.recommendation.harm.high) / top, _named(row))
            for row, cost in zip(drawn, costs, strict=True)
        ],
        _tolerance_box(tolerance, top),
        _tolerance_line(tolerance, top),
    )
    for row, cost, place in zip(drawn, costs, places, strict=True):
        harm = row.recommendation.harm
        ms = _ms(row.latency_p95_ms)
        figure.add_trace(
            go.Scatter(
                x=[cost, cost],
                y=[max(0.0, harm.low), min(1.0, harm.high)],
                mode="lines",
                line={"color": colours.candidate, "width": 2},
                hoverinfo="skip",
            )
        )
        figure.add_trace(
            go.Scatter(
                x=[cost],
                y=[min(1.0, harm.high)],
                mode="markers+text",
                marker={
                    "size": _size(ms, slowest),
                    "symbol": "diamond-open" if ms is None else "circle",
                    "color": colours.candidate if ms is None else colours.candidate_soft,
                    "line": {"color": colours.candidate, "width": 2},
                },
                text=[_named(row)],
                textposition=place,
                textfont={"size": 12, "color": colours.text},
                cliponaxis=False,
                hovertext=[_told(row)],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    _style(figure, low, high, is_log, top, colours)
    return Drawing(figure, _alt(rows, tolerance, control))


def _top(highs: Sequence[float], tolerance: float) -> float:
    return min(1.12, 1.3 * max([2 * tolerance, *highs]))


def _span(costs: Sequence[float]) -> tuple[float, float, bool]:
    """Return where the axis of cost begins and ends, and whether it is logarithmic."""
    known = [each for each in costs if each > 0]
    if not known:
        return 0.0, 1.0, False
    least, most = min(known), max(known)
    if most / least >= SPREAD_ON_LOG and len(known) == len(costs):
        room = (most / least) ** 0.15
        return least / room, most * room, True
    return 0.0, 1.18 * most, False


def _fraction(cost: float, low: float, high: float, is_log: bool) -> float:
    if is_log:
        return math.log(cost / low) / math.log(high / low)
    return (cost - low) / (high - low)


def _places(points: Sequence[tuple[float, float, str]], *others: Box) -> list[str]:
    """Return where each name stands beside its mark, clear of other names and marks while there is room.

    Args:
        points: Place across and up, both 0..1 of the chart, and the name.
        others: What else is written or drawn on the chart.
    """
    taken = list(others)
    marks = [_mark(across, up) for across, up, _ in points]
    found = [""] * len(points)
    for at in sorted(range(len(points)), key=lambda at: points[at][:2]):
        across, up, name = points[at]
        boxes = [_box(across, up, name, place) for place in PLACES]
        met = [*taken, *marks[:at], *marks[at + 1 :]]
        costs = [sum(_shared(box, other) for other in met) + 10 * _outside(box) for box in boxes]
        best = min(range(len(PLACES)), key=costs.__getitem__)
        found[at] = PLACES[best]
        taken.append(boxes[best])
    return found


def _mark(across: float, up: float) -> Box:
    """Return where a mark is drawn, in pixels."""
    x, y = across * NARROW_PX, up * TALL_PX
    return x - LABEL_PX, x + LABEL_PX, y - LABEL_PX, y + LABEL_PX


def _tolerance_box(tolerance: float, top: float) -> Box:
    """Return where the tolerance is named, in pixels."""
    bottom = tolerance / top * TALL_PX
    return NARROW_PX - CHAR_PX * len(_tolerance_text(tolerance)), NARROW_PX, bottom, bottom + LINE_PX


def _tolerance_line(tolerance: float, top: float) -> Box:
    """Return where the line of the tolerance is drawn, in pixels, with some room: it strikes out no name."""
    height = tolerance / top * TALL_PX
    return 0.0, NARROW_PX, height - LINE_ROOM_PX, height + LINE_ROOM_PX


def _tolerance_text(tolerance: float) -> str:
    return f"tolerance {percent(tolerance)}"


def _box(across: float, up: float, name: str, place: str) -> Box:
    """Return left, right, bottom and top of a name in pixels."""
    width = CHAR_PX * len(name)
    x, y = across * NARROW_PX, up * TALL_PX
    left = {"right": x + LABEL_PX, "left": x - LABEL_PX - width, "center": x - width / 2}[place.split()[1]]
    bottom = y + LABEL_PX if place.startswith("top") else y - LABEL_PX - LINE_PX
    return left, left + width, bottom, bottom + LINE_PX


def _shared(one: Box, other: Box) -> float:
    """Return the area that two boxes share."""
    wide = min(one[1], other[1]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[2], other[2])
    return max(0.0, wide) * max(0.0, tall)


def _outside(box: Box) -> float:
    """Return how far a box stands out of the chart, in pixels."""
    return sum(max(0.0, each) for each in (-box[0], box[1] - NARROW_PX, -box[2], box[3] - TALL_PX))


def _ticks(low: float, high: float) -> list[float]:
    """Return at most five round numbers within a range that spans several times its beginning."""
    found = [
        digit * 10.0**power
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digit in (1, 2, 5)
        if low <= digit * 10.0**power <= high
    ]
    return found if len(found) <= 5 else found[:: math.ceil(len(found) / 5)]


def _ms(latency: Estimate | None) -> float | None:
    if latency is None or latency.point is None or not math.isfinite(latency.point):
        return None
    return latency.point


def _size(ms: float | None, slowest: float) -> float:
    """Return the diameter of a mark in pixels: its area grows with the latency."""
    if ms is None or slowest <= 0:
        return UNMEASURED
    return max(SMALLEST, LARGEST * math.sqrt(ms / slowest))


def _named(row: OverviewRow) -> str:
    name = clipped(row.candidate, NAME_CHARS)
    return f"{name} (synthetic)" if row.synthetic else name


def latency_text(latency: Estimate | None) -> str:
    """Return the 95th percentile of latency in words, or that nobody measured it."""
    ms = _ms(latency)
    if ms is None:
        return "not measured" if latency is None else "no answer came"
    return f"{ms:,.0f}{NARROW}ms" if ms < 10_000 else duration(ms / 1000)


def _told(row: OverviewRow) -> str:
    cost = money(PER * row.candidate_usd.point) if row.candidate_usd else "not priced"
    return (
        f"{_named(row)}: {interval(row.recommendation.harm)} get worse, {cost} a thousand calls, "
        f"95th percentile of latency {latency_text(row.latency_p95_ms)}"
    )


def _alt(rows: Sequence[OverviewRow], tolerance: float, control: float | None) -> str:
    frontier = "" if control is None else f" The frontier costs {money(control)} a thousand calls."
    hidden = [row.candidate for row in rows if row.candidate_usd is None]
    missing = f" Not drawn, since their cost is not known: {', '.join(hidden)}." if hidden else ""
    return (
        f"Bound on harm against cost, tolerance {percent(tolerance)}. "
        + " ".join(f"{_told(row)}." for row in rows if row.candidate_usd is not None)
        + frontier
        + missing
    )


def _tolerance_label(figure: go.Figure, tolerance: float, colours: Palette) -> None:
    figure.add_annotation(
        x=0.995,
        xref="paper",
        y=tolerance,
        xanchor="right",
        yanchor="bottom",
        text=_tolerance_text(tolerance),
        # The frontier's line would run through it.
        bgcolor=colours.ground,
        showarrow=False,
        font={"size": 12, "color": colours.control},
    )


def _control_line(figure: go.Figure, control: float, is_log: bool, colours: Palette) -> None:
    figure.add_vline(control, line={"color": colours.control, "width": 2, "dash": "dot"})
    figure.add_annotation(
        x=math.log10(control) if is_log else control,
        y=1,
        yref="paper",
        xanchor="right",
        yanchor="top",
        text=f"frontier {money(control)} ",
        showarrow=False,
        font={"size": 12, "color": colours.control},
    )


def _style(figure: go.Figure, low: float, high: float, is_log: bool, top: float, colours: Palette) -> None:
    figure.update_layout(
        height=340,
        margin={"l": 4, "r": 8, "t": 8, "b": 4},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": colours.text},
        hoverlabel={"bgcolor": colours.ground, "font": {"color": colours.text}},
    )
    axis = {"gridcolor": colours.line, "zeroline": False, "fixedrange": True, "automargin": True}
    ends = [math.log10(low), math.log10(high)] if is_log else [low, high]
    figure.update_xaxes(
        **axis,
        type="log" if is_log else "linear",
        range=ends,
        title={"text": "Cost of a thousand calls", "font": {"size": 13}},
    )
    if is_log:
        ticks = _ticks(low, high)
        figure.update_xaxes(tickvals=ticks, ticktext=[money(each) for each in ticks])
    else:
        ticks = round_numbers(high)
        figure.update_xaxes(tickvals=ticks, ticktext=[money(each) for each in ticks])
    figure.update_yaxes(
        **axis,
        range=[-0.02 * top, top],
        **share_ticks(top),
        title={"text": "Calls that get worse", "standoff": 16, "font": {"size": 13}},
    )


__all__ = ["candidates", "latency_text"]
