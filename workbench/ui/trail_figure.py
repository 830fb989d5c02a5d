"""The figure of evidence over time: the band around harm, the lines of stages, what was reached. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go

from workbench.scoring.trail import Trail
from workbench.stats.ladder import EPSILON
from workbench.stats.trail import Step
from workbench.ui.figures import FONT, Drawing, ends_of_runs, share_ticks
from workbench.ui.palette import LIGHT, Palette, channels
from workbench.ui.words import FIXED, count, counted, estimated, percent, stage

TICKS = 6
HEADROOM = 1.5
"""The axis ends at so many times the highest line: a bound beyond it says only that little is known.

What lies beyond is drawn leaving the figure, with an arrow at its edge that says how far it goes.
"""

LETTER, MARK_GAP, BEYOND_WORDS = 0.0165, 0.03, 0.22
"""How wide a letter is on 400 pixels, how far from a mark its words begin, and how wide words of what lies
beyond are: of the figure's width."""
LEAST_GAP, MARK_HEIGHT, LINE_HEIGHT = 0.005, 0.085, 0.065
"""How near and how far above or below a mark, or a line, its words lie, of the figure's height."""
PROBES = 8
"""Places at which the curve is looked at along words."""
_CORNERS = {"top right": (1, 1), "bottom left": (-1, -1), "top left": (-1, 1), "bottom right": (1, -1)}
"""Where words of a mark may stand: right or left of it, above or below; the first free one is taken."""


def evidence_trail(
    trail: Trail, colours: Palette = LIGHT, *, accepted: Sequence[tuple[int, float]] = ()
) -> Drawing:
    """Draw how the bound moved, step by step in the order in which the evidence came.

    Steps stand at even distances: a batch of calls is spaced by ratio, verdicts one by one.

    Args:
        trail: With at least one step.
        colours: The theme's colours.
        accepted: Shares that were accepted, as (step, share).
    """
    lines = trail.limits or ((trail.policy.tolerance, trail.policy.ladder[-1]),)
    top = min(1.0, HEADROOM * max(bound for bound, _ in lines))
    skipped = _skipped(trail.steps, top)
    steps = trail.steps[skipped:]
    floor = min([0.0, *(max(each.harm.low, -top) for each in steps)])
    x = list(range(len(steps)))
    high = [each.harm.high for each in steps]
    low = [each.harm.low for each in steps]
    points = [(n, each.harm.point) for n, each in enumerate(steps) if each.harm.point is not None]
    figure = go.Figure()
    beyond = _written(ends_of_runs([value > top + EPSILON for value in high]), len(high))
    for first, last in _said(steps):
        middle = (first + last) / 2
        # Where it is said how high a bound above the figure is, the word stands below the edge.
        is_free = all(abs(n - middle) > BEYOND_WORDS * len(high) for n in beyond)
        figure.add_vrect(
            x0=first - 0.5, x1=last + 0.5, fillcolor=colours.empty, line={"width": 0}, layer="below"
        )
        figure.add_annotation(
            x=middle,
            y=1,
            yref="paper",
            yanchor="bottom" if is_free else "top",
            text="labels",
            showarrow=False,
            font={"size": 12, "color": colours.muted},
        )
    plain = {"mode": "lines", "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(x=x, y=low, line={"width": 0}, **plain))
    figure.add_trace(
        go.Scatter(x=x, y=high, line={"width": 0}, fill="tonexty", fillcolor=_veil(colours), **plain)
    )
    figure.add_trace(
        go.Scatter(
            x=[n for n, _ in points],
            y=[point for _, point in points],
            line={"color": colours.muted, "width": 1.5, "dash": "dot"},
            **plain,
        )
    )
    figure.add_trace(
        go.Scatter(
            x=x,
            y=high,
            mode="lines+markers" if len(steps) == 1 else "lines",
            line={"color": colours.candidate, "width": 2.5},
            text=[told(each) for each in steps],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    _mark_beyond(figure, high, top, colours)
    decided = [(max(place - skipped, 0), share) for place, share in accepted]
    room = _Room(high, [bound for bound, _ in lines], (floor, top), [step for step, _ in decided])
    marks = {each.step - skipped: each.stage for each in trail.reached}
    _mark_stages(figure, marks, room, colours)
    for bound, supported in sorted(lines, key=lambda each: (not _is_own(each[0], trail), -each[0])):
        _line(figure, bound, supported, room, colours, is_own=_is_own(bound, trail))
    for step, share in decided:
        figure.add_vline(step, line={"color": colours.text, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=step,
            y=0.98,
            yref="paper",
            yanchor="top",
            xanchor="right" if step > len(steps) / 2 else "left",
            text=f" accepted {stage(share)} ",
            showarrow=False,
            font={"size": 12, "color": colours.text},
        )
    _style(figure, steps, (floor, top), colours)
    return Drawing(figure, alt(trail))


def _is_own(bound: float, trail: Trail) -> bool:
    return abs(bound - trail.policy.tolerance) < EPSILON


def _line(
    figure: go.Figure, bound: float, supported: float, room: _Room, colours: Palette, *, is_own: bool
) -> None:
    """Draw what a bound supports, with its words where they are free; the tolerance has its words always."""
    style = {"width": 2 if is_own else 1, "dash": "solid" if is_own else "dash"}
    figure.add_hline(bound, line={"color": colours.control, **style})
    text = f"{percent(bound)}: up to {stage(supported)}{' · tolerance' if is_own else ''}"
    place = room.beside(bound, len(text))
    if place is None and not is_own:
        return
    side, edge = place or ("left", "bottom")
    before = room.decided_within(len(text)) if side == "right" else None
    end = 0 if side == "left" else 1
    figure.add_annotation(
        x=end if before is None else before,
        xref="paper" if before is None else "x",
        xanchor=side,
        y=bound,
        yanchor=edge,
        text=text if before is None else f"{text}{FIXED}",
        showarrow=False,
        font={"size": 12, "color": colours.control},
    )


def told(step: Step) -> str:
    """Return what was known at a step and what followed from it."""
    harm = step.harm
    labels = f", {counted(step.labels, 'label')}" if step.labels else ""
    when = f", {step.at:%Y-%m-%d %H:%M} UTC" if step.at else ""
    return (
        f"{counted(step.calls, 'call')}{labels}{when}: between {percent(harm.low)} and {percent(harm.high)}, "
        f"estimate {estimated(harm.point)}; supports {stage(step.cap)}"
    )


def alt(trail: Trail) -> str:
    """Return what the figure says in words."""
    first, last = trail.steps[0], trail.steps[-1]
    return (
        f"Bound on harm as evidence came in. First {told(first)}. Now {told(last)}. "
        f"Tolerance {percent(trail.policy.tolerance)}. {milestones(trail)}"
    )


def milestones(trail: Trail) -> str:
    """Say when each stage came within reach, those reached by the same step together."""
    groups: dict[int, list[float]] = {}
    for each in trail.reached:
        groups.setdefault(each.step, []).append(each.stage)
    if not groups:
        return "No stage has come within reach yet."
    said = []
    for step, stages in groups.items():
        known = trail.steps[step]
        labels = f" and {counted(known.labels, 'label')}" if known.labels else ""
        said.append(f"{stage(max(stages))} with {counted(known.calls, 'call')}{labels}")
    text = "; ".join(said)
    lost = trail.steps[-1].cap < max(each.stage for each in trail.reached) - 1e-9
    after = f" Now the bound supports {stage(trail.steps[-1].cap)}." if lost else ""
    return f"Within reach of the bound: {text}.{after}"


def _skipped(steps: Sequence[Step], top: float) -> int:
    """Return how many first steps tell nothing but that the bound is off the figure."""
    inside = next((n for n, each in enumerate(steps) if each.harm.high < top), 1)
    return max(inside - 1, 0)


@dataclass(frozen=True, slots=True)
class _Words:
    """Where words stand: from which place to which, and between which heights."""

    left: float
    right: float
    low: float
    high: float

    def meets(self, other: _Words) -> bool:
        """Say whether words would run into others."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.low < other.high
            and other.low < self.high
        )


@dataclass(frozen=True, slots=True)
class _Room:
    """Where words stand clear of the curve, of the lines and of other words, also at 400 pixels.

    `high` is the curve, `lines` are the heights of the lines, `span` is the lowest and highest value drawn,
    `decided` the steps at which a share was accepted, and `taken` the words that stand already.
    """

    high: Sequence[float]
    lines: Sequence[float]
    span: tuple[float, float]
    decided: Sequence[int] = ()
    taken: list[_Words] = field(default_factory=list)

    def at(self, step: int, letters: int) -> str:
        """Return where the words of a mark on the curve stand, which are taken from then on."""
        value, width = self.high[step], self._width(letters) + MARK_GAP * len(self.high)
        spots = {
            name: self._words(step, value, right * width, up * MARK_HEIGHT)
            for name, (right, up) in _CORNERS.items()
        }
        corner = min(spots, key=lambda name: self._crossings(spots[name]) + PROBES * self._hit(spots[name]))
        self.taken.append(spots[corner])
        return corner

    def beside(self, bound: float, letters: int) -> tuple[str, str] | None:
        """Return at which end of a line its words are free, and with which edge on it; None where nowhere."""
        last, width = len(self.high) - 1, self._width(letters)
        spots = {
            (side, edge): self._words(start, bound, reach, up * LINE_HEIGHT)
            for edge, up in (("bottom", 1), ("top", -1))
            for side, start, reach in (("left", 0, width), ("right", last, -width))
        }
        free = {name: each for name, each in spots.items() if not self._hit(each)}
        if not free:
            return None
        place = min(free, key=lambda name: self._crossings(free[name]))
        self.taken.append(free[place])
        return place

    def decided_within(self, letters: int) -> int | None:
        """Return the first decision whose line words at the right end would cross: they end before it."""
        start = len(self.high) - 1 - self._width(letters)
        return min((each for each in self.decided if each > start), default=None)

    def _width(self, letters: int) -> float:
        return LETTER * letters * len(self.high)

    def _words(self, step: float, value: float, reach: float, rise: float) -> _Words:
        height = self.span[1] - self.span[0]
        low, high = sorted(value + each * height for each in (math.copysign(LEAST_GAP, rise), rise))
        return _Words(min(step, step + reach), max(step, step + reach), low, high)

    def _hit(self, words: _Words) -> int:
        """Count the lines and the words that others would run into."""
        lines = sum(words.low <= each <= words.high for each in self.lines)
        return lines + sum(words.meets(each) for each in self.taken) + (words.low < self.span[0])

    def _crossings(self, words: _Words) -> int:
        """Count the places of the curve that run through words."""
        last, wide = len(self.high) - 1, words.right - words.left
        places = [words.left + wide * n / PROBES for n in range(PROBES + 1)]
        inside = [self._curve(place) for place in places if 0 <= place <= last]
        # Words that would leave the figure are the worst.
        outside = len(places) - len(inside)
        return sum(words.low <= each <= words.high for each in inside) + outside * PROBES

    def _curve(self, place: float) -> float:
        before = min(int(place), len(self.high) - 1)
        after = min(before + 1, len(self.high) - 1)
        return self.high[before] + (place - before) * (self.high[after] - self.high[before])


def _mark_stages(figure: go.Figure, marks: Mapping[int, float], room: _Room, colours: Palette) -> None:
    high = room.high
    words = {step: stage(each) for step, each in marks.items()}
    figure.add_trace(
        go.Scatter(
            x=list(marks),
            y=[high[step] for step in marks],
            mode="markers+text",
            marker={"size": 10, "color": colours.candidate, "line": {"color": colours.ground, "width": 2}},
            text=list(words.values()),
            textposition=[room.at(step, len(each)) for step, each in words.items()],
            textfont={"size": 12, "color": colours.text},
            hoverinfo="skip",
            cliponaxis=False,
        )
    )


def _mark_beyond(figure: go.Figure, high: Sequence[float], top: float, colours: Palette) -> None:
    """Point out of the figure at both ends of each run of bounds that lie above it, and say how high."""
    ends = ends_of_runs([value > top + EPSILON for value in high])
    if not ends:
        return
    written = _written(ends, len(high))
    figure.add_trace(
        go.Scatter(
            x=ends,
            y=[top] * len(ends),
            mode="markers+text",
            marker={"size": 10, "symbol": "triangle-up", "color": colours.candidate},
            text=[f"{percent(high[n])} ↑" if n in written else "" for n in ends],
            # Above the figure, where the line that falls from there does not cross it.
            textposition=["top left" if n > 0.9 * len(high) else "top right" for n in ends],
            textfont={"size": 12, "color": colours.text},
            hoverinfo="skip",
            cliponaxis=False,
        )
    )


def _written(ends: Sequence[int], steps: int) -> list[int]:
    """Return the ends that have words; those that would run into others are left to whoever points there."""
    written = list(ends[:1])
    for n in ends[1:]:
        if n - written[-1] > BEYOND_WORDS * steps:
            written.append(n)
    return written


def _said(steps: Sequence[Step]) -> list[tuple[int, int]]:
    """Return the first and last step of each run of verdicts."""
    runs: list[tuple[int, int]] = []
    for n, each in enumerate(steps):
        if each.kind != "labels":
            continue
        if runs and runs[-1][1] == n - 1:
            runs[-1] = (runs[-1][0], n)
        else:
            runs.append((n, n))
    return runs


def _ticks(steps: Sequence[Step]) -> tuple[list[int], list[str]]:
    wanted = sorted({round(n * (len(steps) - 1) / (TICKS - 1)) for n in range(TICKS)})
    names = [
        f"{count(steps[n].calls)}<br>call{'' if steps[n].calls == 1 else 's'}"
        if steps[n].kind == "calls"
        else f"{count(steps[n].labels)}<br>label{'' if steps[n].labels == 1 else 's'}"
        for n in wanted
    ]
    return wanted, names


def _style(figure: go.Figure, steps: Sequence[Step], span: tuple[float, float], colours: Palette) -> None:
    figure.update_layout(
        height=340,
        margin={"l": 4, "r": 12, "t": 22, "b": 4},
        showlegend=False,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": colours.text},
        hoverlabel={"bgcolor": colours.ground, "font": {"color": colours.text}},
    )
    places, names = _ticks(steps)
    figure.update_xaxes(
        tickvals=places,
        ticktext=names,
        tickangle=0,
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        automargin=True,
        range=[-0.5, max(len(steps) - 0.5, 0.5)],
    )
    figure.update_yaxes(
        **share_ticks(span[1], span[0]),
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        automargin=True,
        range=[span[0], span[1] * 1.02],
        title={"text": "Calls that get worse", "font": {"size": 13}, "standoff": 14},
    )


def _veil(colours: Palette) -> str:
    red, green, blue = channels(colours.candidate)
    return f"rgba({red},{green},{blue},0.14)"
