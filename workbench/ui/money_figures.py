"""Figures of traffic and money: what costs most, four ways to pay, where a GPU pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from workbench.costing.ways import CHEAPER, STAY, BreakEven, Way
from workbench.profiling import WorkloadReport
from workbench.stats.wording import plural
from workbench.ui.figures import FONT, Drawing, clipped
from workbench.ui.palette import LIGHT, Palette
from workbench.ui.words import count, money

MOST_BARS = 15
DASHES = ("solid", "dash", "dot", "dashdot")
_ROW = 34


def by_cost(workloads: Sequence[WorkloadReport], colours: Palette = LIGHT) -> Drawing:
    """Draw the workloads as bars: by cost a month, by logged cost, or by calls where nothing is priced.

    Args:
        workloads: In any order.
        colours: The theme's colours.
    """
    if any(each.usd_month is not None for each in workloads):
        what, values = "USD a month", [each.usd_month.point if each.usd_month else 0.0 for each in workloads]
        shown = [
            f"{money(each.usd_month.point)} a month" if each.usd_month else _lacking(each)
            for each in workloads
        ]
    elif any(each.logged_usd is not None for each in workloads):
        what, values = "USD in the log", [each.logged_usd or 0.0 for each in workloads]
        shown = [money(each.logged_usd) for each in workloads]
    else:
        what, values = "calls", [float(each.calls) for each in workloads]
        shown = [plural(each.calls, "call") for each in workloads]
    order = sorted(range(len(workloads)), key=lambda index: -values[index])
    rows = [(workloads[index].name, values[index], shown[index]) for index in order[:MOST_BARS]]
    if len(order) > MOST_BARS:
        others = [workloads[index] for index in order[MOST_BARS:]]
        rest = sum(values[index] for index in order[MOST_BARS:])
        told = plural(int(rest), "call") if what == "calls" else _together(others, what, rest)
        rows.append((f"{len(others)} {'other' if len(others) == 1 else 'others'}", rest, told))
    figure = _bars(
        [each[0] for each in rows], [each[1] for each in rows], [each[2] for each in rows], colours
    )
    alt = f"Workloads by {what}: " + "; ".join(f"{clipped(name)} {text}" for name, _, text in rows) + "."
    return Drawing(figure, alt)


def _together(others: Sequence[WorkloadReport], what: str, usd: float) -> str:
    """Return the money of several workloads: what is not known of one of them is not nothing."""
    known = [(each.usd_month if what == "USD a month" else each.logged_usd) is not None for each in others]
    if not any(known):
        return "not known"
    shown = f"{money(usd)} a month" if what == "USD a month" else money(usd)
    return shown if all(known) else f"{shown} and more"


def _lacking(each: WorkloadReport) -> str:
    return "not priced" if each.usd_per_call is None else "calls a day not known"


def ways(found: Sequence[Way], colours: Palette = LIGHT) -> Drawing:
    """Draw what a month costs in each way, with its limits.

    Args:
        found: The ways, in the order to show.
        colours: The theme's colours.
    """
    values = [each.usd_month.point if each.usd_month else 0.0 for each in found]
    texts = [money(each.usd_month.point) if each.usd_month else "not known" for each in found]
    # The frontier's colour for every way to stay with it.
    figure = _bars([each.name for each in found], values, texts, colours, own=(STAY, CHEAPER))
    alt = "Cost a month: " + "; ".join(f"{each.name} {text}" for each, text in zip(found, texts, strict=True))
    return Drawing(figure, alt + ".")


def break_even_curve(
    volumes: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    now: float | None,
    even: BreakEven | None,
    colours: Palette = LIGHT,
) -> Drawing:
    """Draw the cost of a month in each way against the volume.

    Args:
        volumes: Calls a day.
        lines: US dollars a month by way, one for each volume.
        now: Today's calls a day; None where they are not known.
        even: Where a GPU of one's own begins to pay.
        colours: The theme's colours.
    """
    figure = go.Figure()
    tints = (colours.control, colours.candidate, colours.text, colours.muted)
    for (name, values), dash, tint in zip(lines.items(), DASHES, tints, strict=False):
        figure.add_trace(
            go.Scatter(
                x=list(volumes),
                y=list(values),
                name=name,
                mode="lines",
                line={"color": tint, "width": 2.5, "dash": dash, "shape": "linear"},
                text=[money(each) for each in values],
                hovertemplate="%{x:,.0f} calls a day: %{text}<extra></extra>",
            )
        )
    top = max((max(values) for values in lines.values() if values), default=1.0)
    marks = [(now, "today")] if now else []
    if even is not None and even.calls_per_day is not None:
        marks.append((even.calls_per_day, "a GPU pays"))
    for index, (place, said) in enumerate(marks):
        figure.add_shape(
            type="line", x0=place, x1=place, y0=0, y1=1, yref="paper",
            line={"color": colours.muted, "width": 1.5, "dash": "dot"},
        )  # fmt: skip
        late = bool(volumes) and place > 0.7 * volumes[-1]
        figure.add_annotation(
            x=place, y=1.0 - 0.1 * index, yref="paper", text=said, showarrow=False, xshift=-4 if late else 4,
            xanchor="right" if late else "left", font={"size": 12, "color": colours.text},
            bgcolor=colours.ground,
        )  # fmt: skip
    figure.update_layout(
        height=330,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": -0.28, "x": 0, "font": {"color": colours.text}},
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": colours.text},
    )
    plain = {"fixedrange": True, "gridcolor": colours.line, "zerolinecolor": colours.line, "automargin": True}
    figure.update_xaxes(
        **plain, title={"text": "Calls a day", "font": {"size": 13}}, rangemode="tozero", tickformat=",.0f"
    )
    figure.update_yaxes(
        **plain, title={"text": "USD a month", "font": {"size": 13}}, range=[0, top * 1.06], tickformat=",.0f"
    )
    if even is None:
        said = "Self-hosting is not declared."
    elif even.calls_per_day is None:
        said = "A GPU never pays here."
    else:
        said = f"A GPU pays from {count(even.calls_per_day)} calls a day on."
    today = f" Today there are {count(now)}." if now else ""
    return Drawing(figure, f"Cost a month against calls a day for {', '.join(lines)}. {said}{today}")


def _bars(
    names: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    colours: Palette,
    own: Sequence[str] = (),
) -> go.Figure:
    """Return horizontal bars, each under its name, so that long names fit a narrow page."""
    top = max([*values, 0.0]) or 1.0
    places = list(range(len(names)))
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=places,
            orientation="h",
            width=0.36,
            marker={
                "color": [colours.control if name in own or not own else colours.candidate for name in names]
            },
            hoverinfo="skip",
        )
    )
    for place, name, text in zip(places, names, texts, strict=True):
        for x, anchor, said in ((0, "left", clipped(name, 44)), (1, "right", clipped(text, 24))):
            figure.add_annotation(
                x=x, y=place - 0.2, xref="paper", yref="y", xanchor=anchor, yanchor="bottom", text=said,
                showarrow=False, font={"size": 13, "color": colours.text},
            )  # fmt: skip
    figure.update_layout(
        height=24 + (_ROW + 14) * max(1, len(names)),
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": colours.text},
    )
    blank = {"visible": False, "fixedrange": True}
    figure.update_xaxes(**blank, range=[0, top])
    figure.update_yaxes(**blank, range=[len(names) - 0.5, -0.75])
    return figure
