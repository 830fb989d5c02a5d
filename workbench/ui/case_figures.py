"""Figures of cases and slices: agreement by field, scores with what people said, tasks by slice. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import plotly.graph_objects as go

from workbench.records import Estimate, LabelVerdict, Verdict
from workbench.ui.figures import FONT, LAST_TICK_PX, Drawing, clipped, share_ticks
from workbench.ui.palette import LIGHT, Palette, between, channels, contrast
from workbench.ui.words import count, counted, interval, percent

LEAST_TOP = 0.01
"""The darkest cell of the map stands for at least this share."""
READABLE = 4.5
"""Least contrast of text (WCAG 2.2, AA)."""
FEW = 20
"""Below so many calls a cell of the map says more about chance than about the slice."""


class Cell(Protocol):
    """One task and one value of a slice."""

    @property
    def task(self) -> str:
        """Return the task."""

    @property
    def value(self) -> str:
        """Return the slice's value."""

    @property
    def differing(self) -> Estimate:
        """Return how often the answers differ."""


class Scores(Protocol):
    """Cases whose score lies between two limits."""

    @property
    def low(self) -> float:
        """Return the lower limit."""

    @property
    def high(self) -> float:
        """Return the upper limit."""

    @property
    def verdicts(self) -> Mapping[str, int]:
        """Return cases by verdict."""

    @property
    def labels(self) -> Mapping[str, int]:
        """Return cases by what people said of them."""


def agreements(rates: Mapping[str, Estimate], noun: str, colours: Palette = LIGHT) -> Drawing:
    """Draw how often each field, or each of the frontier's labels, agrees: a bar with its limits.

    Args:
        rates: Agreement by name, in the order to show.
        noun: What the names are, for the sentence: field, label.
        colours: The theme's colours.
    """
    names = list(rates)
    points = [rates[name].point or 0.0 for name in names]
    figure = go.Figure(
        go.Bar(
            x=points,
            y=list(range(len(names))),
            orientation="h",
            # Pale within its line, so that the limits are seen on the bar too.
            marker={
                "color": colours.good,
                "line": {"color": colours.control, "width": 1.5},
                "cornerradius": 3,
            },
            width=0.62,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, rates[n].high - p) for n, p in zip(names, points, strict=True)],
                "arrayminus": [max(0.0, p - rates[n].low) for n, p in zip(names, points, strict=True)],
                "color": colours.text,
                "thickness": 1.4,
                "width": 5,
            },
            hoverinfo="skip",
        )
    )
    _framed(figure, 62 + 44 * max(1, len(names)), colours)
    figure.update_layout(margin_r=LAST_TICK_PX)
    figure.update_xaxes(
        **share_ticks(1.0), range=[0, 1.02], showticklabels=True, showgrid=True, automargin=True
    )
    figure.update_yaxes(
        tickvals=list(range(len(names))),
        # Below the name, where a narrow page has room for it.
        ticktext=[
            f"{clipped(name or 'the whole answer', 24)}<br>"
            f"<span style='font-size:12px'>{interval(rates[name])}</span>"
            for name in names
        ],
        range=[len(names) - 0.5, -0.5],
        showticklabels=True,
        # Names keep clear of their bars.
        ticks="outside",
        ticklen=6,
        tickcolor="rgba(0,0,0,0)",
        automargin=True,
    )
    alt = f"Agreement by {noun}. " + " ".join(f"{name}: {interval(rates[name])}." for name in names)
    return Drawing(figure, alt)


def calibration(bins: Sequence[Scores], colours: Palette = LIGHT, *, measure: str = "Similarity") -> Drawing:
    """Draw how alike the answers are, and above it how often people found the frontier's better.

    Where alike answers are often worse, the score is no guide; bins without labels have no point.

    Args:
        bins: Cases by score, from low to high.
        colours: The theme's colours.
        measure: What the score is called.
    """
    centres = [(each.low + each.high) / 2 for each in bins]
    figure = go.Figure()
    for verdicts, name, colour in (
        ((Verdict.MATCH, Verdict.IGNORED), "equal by the rules", colours.control),
        ((Verdict.MISMATCH,), "differing", colours.candidate),
    ):
        figure.add_trace(
            go.Bar(
                x=centres,
                y=[sum(each.verdicts.get(verdict, 0) for verdict in verdicts) for each in bins],
                name=name,
                marker={"color": colour, "line": {"width": 0}},
                hoverinfo="skip",
            )
        )
    judged = [each for each in bins if sum(each.labels.values())]
    worse = [_worse(each) for each in judged]
    figure.add_trace(
        go.Scatter(
            x=[(each.low + each.high) / 2 for each in judged],
            y=worse,
            yaxis="y2",
            mode="markers+lines",
            name="labelled: frontier better",
            line={"color": colours.text, "width": 1.5, "dash": "dot"},
            marker={
                "color": colours.ground,
                "size": [7 + min(9.0, sum(each.labels.values()) ** 0.5) for each in judged],
                "line": {"color": colours.text, "width": 2},
            },
            text=[f"{percent(w)} of {sum(e.labels.values())}" for w, e in zip(worse, judged, strict=True)],
            hoverinfo="skip",
        )
    )
    _framed(figure, 320, colours)
    figure.update_layout(
        barmode="stack",
        bargap=0.04,
        showlegend=True,
        legend={"orientation": "h", "y": 1.14, "x": 0},
        margin={"l": 4, "r": 4, "t": 34, "b": 4},
        yaxis={
            "showticklabels": True,
            "title": {"text": "Calls", "font": {"size": 13}, "standoff": 14},
            "automargin": True,
        },
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "visible": bool(judged),
            "range": [-0.02, 1.05],
            **share_ticks(1.0),
            "title": {"text": "Frontier better, of the labelled", "font": {"size": 13}},
            "showgrid": False,
            "fixedrange": True,
            "automargin": True,
        },
    )
    figure.update_xaxes(
        range=[-0.01, 1.01],
        showticklabels=True,
        title={"text": f"{measure} of the two answers", "font": {"size": 13}},
        automargin=True,
    )
    return Drawing(figure, _calibration_told(bins, judged, measure))


def _worse(each: Scores) -> float:
    return each.labels.get(LabelVerdict.CONTROL_BETTER, 0) / sum(each.labels.values())


def _calibration_told(bins: Sequence[Scores], judged: Sequence[Scores], measure: str) -> str:
    total = sum(sum(each.verdicts.values()) for each in bins)
    if not judged:
        return (
            f"{measure} of {counted(total, 'pair')} of answers; none is labelled, so nothing says how far "
            "to trust it."
        )
    labels = sum(sum(each.labels.values()) for each in judged)
    said = " ".join(
        f"{measure} {each.low:.2f} to {each.high:.2f}: frontier better in {percent(_worse(each))} of "
        f"{sum(each.labels.values())}."
        for each in judged
    )
    return f"{measure} of {counted(total, 'pair')} of answers, {count(labels)} of them labelled. {said}"


def readable(part: float | None, colours: Palette) -> str:
    """Return the colour in which words are read best on a cell of the map.

    Args:
        part: How far the cell's colour is from none to the darkest, 0..1; None for one without a colour.
        colours: The theme's colours.
    """
    if part is None:
        return colours.text
    cell = between(colours.empty, colours.candidate, min(part, 1.0))
    # Between both colours neither may do; of white and black one always does.
    for each in (colours.text, colours.on_candidate, "#ffffff"):
        if contrast(channels(each), cell) >= READABLE:
            return each
    return "#000000"


def slice_map(cells: Sequence[Cell], by: str, colours: Palette = LIGHT) -> Drawing:
    """Draw how often the answers differ, tasks down and values of a slice across.

    Each cell says its share and its calls; one of few calls has no colour, since it says little.

    Args:
        cells: In the order to show; a task or value stands where it comes first.
        by: What the slice is made by.
        colours: The theme's colours.
    """
    tasks = list(dict.fromkeys(each.task for each in cells))
    values = list(dict.fromkeys(each.value for each in cells))
    known = {(each.task, each.value): each.differing for each in cells}
    shares: list[list[float | None]] = []
    for task in tasks:
        row = [known.get((task, value)) for value in values]
        shares.append([each.point if each is not None and each.n >= FEW else None for each in row])
    top = max([share for row in shares for share in row if share is not None], default=0.0)
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(range(len(values))),
            y=list(range(len(tasks))),
            zmin=0,
            zmax=max(top, LEAST_TOP),
            xgap=3,
            ygap=3,
            showscale=False,
            hoverinfo="skip",
            colorscale=[[0, colours.empty], [1, colours.candidate]],
        )
    )
    for (task, value), rate in known.items():
        part = (rate.point or 0.0) / max(top, LEAST_TOP) if rate.n >= FEW else None
        figure.add_annotation(
            x=values.index(value),
            y=tasks.index(task),
            text=f"{percent(rate.point)}<br><span style='font-size:12px'>n = {_brief(rate.n)}</span>",
            showarrow=False,
            font={"size": 12, "color": readable(part, colours)},
        )
    _framed(figure, 66 + 54 * max(1, len(tasks)), colours)
    figure.update_xaxes(
        tickvals=list(range(len(values))),
        ticktext=[clipped(value, 14) for value in values],
        showticklabels=True,
        side="top",
        automargin=True,
    )
    figure.update_yaxes(
        tickvals=list(range(len(tasks))),
        ticktext=[clipped(task, 24) for task in tasks],
        showticklabels=True,
        autorange="reversed",
        automargin=True,
    )
    alt = f"Share of differing answers by task and {by}. " + " ".join(
        f"{each.task}, {each.value}: {interval(each.differing)}." for each in cells
    )
    return Drawing(figure, alt)


def _brief(n: float) -> str:
    """Return a count that a narrow cell holds: 9,876, 169k, 1.2M; the table below has all of its digits."""
    if n < 10_000:
        return count(n)
    return f"{n / 1e3:,.0f}k" if n < 999_500 else f"{n / 1e6:,.1f}M"


def _framed(figure: go.Figure, height: int, colours: Palette) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 4, "r": 4, "t": 6, "b": 4},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": colours.text},
    )
    plain = {"showgrid": False, "zeroline": False, "fixedrange": True, "gridcolor": colours.line}
    figure.update_xaxes(**plain)
    figure.update_yaxes(**plain)
