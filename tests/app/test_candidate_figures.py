"""The chart of a task's candidates draws what it says, whatever they cost and however they are called."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from overview_rows import row

from workbench.costing.ways import exactly
from workbench.records import Estimate
from workbench.scoring import OverviewRow
from workbench.ui import candidate_figures
from workbench.ui.candidate_figures import candidates
from workbench.ui.palette import DARK, LIGHT

HOSTILE = "<b>x</b><img src=x onerror=alert(1)>"
BASE = row()


def made(name: str, usd: float | None, ms: float | None = None) -> OverviewRow:
    latency = None if ms is None else Estimate(ms, ms / 2, 2 * ms, 0.95, "order statistics", 300, 300)
    cost = None if usd is None else exactly(usd)
    return replace(
        BASE, candidate=name, candidate_usd=cost, control_usd=exactly(2e-3), latency_p95_ms=latency
    )


def marks(drawn: candidate_figures.Drawing) -> list[Any]:
    return [each for each in drawn.figure.data if each.mode == "markers+text"]


def test_each_candidate_stands_at_its_cost_and_its_bound() -> None:
    """The mark at the upper limit, a line down to the lower one, the tolerance and the frontier beside."""
    drawn = candidates([made("a", 1e-4, 200.0), made("b", 3e-4, 800.0)], 0.05)
    first, second = marks(drawn)
    assert (first.x[0], first.y[0]) == (0.1, BASE.recommendation.harm.high)
    lines = [each for each in drawn.figure.data if each.mode == "lines"]
    assert list(lines[0].y) == [BASE.recommendation.harm.low, BASE.recommendation.harm.high]
    assert math.isclose((second.marker.size / first.marker.size) ** 2, 4.0, rel_tol=1e-6)
    texts = [each.text for each in drawn.figure.layout.annotations]
    assert any("tolerance" in each for each in texts)
    assert any("frontier $2.00" in each for each in texts)
    assert any(each.y0 == each.y1 == 0.05 for each in drawn.figure.layout.shapes)


def test_the_words_say_what_the_chart_shows() -> None:
    """Names, bounds, costs, latencies, and who is not drawn."""
    said = candidates([made("a", 1e-4, 200.0), made("b", 3e-4), made("free", None)], 0.05).alt
    assert "tolerance 5.0" in said
    assert "a: " in said
    assert "$0.10 a thousand calls" in said
    assert "latency 200" in said
    assert "b: " in said
    assert "not measured" in said
    assert "Not drawn, since their cost is not known: free." in said


def test_what_was_never_measured_is_told_apart_without_colour() -> None:
    """A hollow diamond against a filled circle, and the text says so too."""
    known, unknown = marks(candidates([made("a", 1e-4, 200.0), made("b", 3e-4)], 0.05, DARK))
    assert known.marker.symbol == "circle"
    assert unknown.marker.symbol == "diamond-open"
    assert known.marker.line.color == DARK.candidate != LIGHT.candidate


def test_names_from_a_configuration_are_no_markup() -> None:
    """Plotly reads tags in text: none of a name's reaches it."""
    drawn = candidates([made(HOSTILE, 1e-4)], 0.05)
    text = str(drawn.figure.to_dict())
    assert "<img" not in text
    assert "<b>x" not in text


def test_nothing_priced_draws_no_mark_and_no_failure() -> None:
    """All are in the words."""
    drawn = candidates([made("a", None), made("b", None)], 0.05)
    assert marks(drawn) == []
    assert "a, b" in drawn.alt


COSTS = st.lists(st.floats(1e-7, 1.0), min_size=1, max_size=7, unique=True)


@given(COSTS, st.floats(0.001, 0.5))
@settings(max_examples=40, deadline=None)
def test_every_mark_lies_inside_the_frame(costs: list[float], tolerance: float) -> None:
    """Whatever the spread of costs, on either kind of axis."""
    drawn = candidates([made(f"model-{n}", usd) for n, usd in enumerate(costs)], tolerance)
    axis = drawn.figure.layout.xaxis
    low, high = axis.range
    for each in marks(drawn):
        x = math.log10(each.x[0]) if axis.type == "log" else each.x[0]
        assert low - 1e-9 <= x <= high + 1e-9
        bottom, top = drawn.figure.layout.yaxis.range
        assert bottom <= each.y[0] <= top
    assert axis.tickvals is None or 1 <= len(axis.tickvals) <= 5


def test_a_made_candidate_is_named_whole_and_does_not_hide_the_tolerance() -> None:
    """Its name says that it is synthetic, and stands where the tolerance is not named."""
    drawn = candidates([replace(made("planted", 1.9e-3), synthetic=True)], 0.05)
    (mark,) = marks(drawn)
    assert mark.text[0] == "planted (synthetic)"
    label = candidate_figures._tolerance_box(0.05, 0.2)
    points = [(0.4, 0.2, "planted (synthetic)")]
    (place,) = candidate_figures._places(points, label)
    assert candidate_figures._shared(candidate_figures._box(*points[0], place), label) == 0
    (alone,) = candidate_figures._places(points)
    assert candidate_figures._shared(candidate_figures._box(*points[0], alone), label) > 0


def test_names_of_neighbours_do_not_meet_where_there_is_room() -> None:
    """Five candidates of much the same cost and harm, on the width of a phone."""
    points = [(0.1 + 0.03 * n, 0.15 + 0.2 * (n % 4), f"model-{n}b") for n in range(5)]
    places = candidate_figures._places(points)
    boxes = [candidate_figures._box(*point, place) for point, place in zip(points, places, strict=True)]
    assert all(candidate_figures._shared(one, other) == 0 for one, other in combinations(boxes, 2))


@given(st.floats(0.06, 0.9), st.floats(0.05, 0.9))
@settings(max_examples=100, deadline=None)
def test_the_tolerance_strikes_out_no_name(across: float, up: float) -> None:
    """However near to it a bound lies, above or below."""
    line = candidate_figures._tolerance_line(0.1, 0.2)
    point = (across, max(0.1, up), "small")
    (place,) = candidate_figures._places([point], line)
    assert candidate_figures._shared(candidate_figures._box(*point, place), line) == 0


def test_no_name_runs_through_the_mark_of_another_candidate() -> None:
    """Two bounds of nearly the same height, side by side on a telephone."""
    first, _, _ = candidate_figures._places([(0.12, 0.79, "smollm2"), (0.29, 0.84, "stub"), (0.4, 0.05, "p")])
    assert first != "top right"
