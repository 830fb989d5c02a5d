"""Figures of cases, slices and replays: what they draw, and the sentence that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from workbench.records import Estimate
from workbench.stats import bounds
from workbench.store.cases import ScoreBin
from workbench.store.replay_facts import Pace, Times
from workbench.ui import case_figures, replay_figures
from workbench.ui.palette import DARK, LIGHT, Palette, between, channels, contrast

HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Cell:
    """One cell of the map."""

    task: str
    value: str
    differing: Estimate


def test_agreement_bars_carry_their_limits_and_their_n() -> None:
    """Each bar ends at its point, its whiskers at the limits; names from logs are escaped."""
    rates = {"total": bounds.exact(45, 50, 0.05), HOSTILE: bounds.exact(3, 4, 0.05)}
    drawing = case_figures.agreements(rates, "field", DARK)
    (bar,) = drawing.figure.data
    assert list(bar.x) == [0.9, 0.75]
    assert bar.x[0] + bar.error_x.array[0] == rates["total"].high
    assert bar.x[0] - bar.error_x.arrayminus[0] == rates["total"].low
    assert "<img" not in drawing.figure.to_json()
    assert "n\u00a0=\u00a050" in drawing.alt
    assert "n\u00a0=\u00a04" in drawing.figure.layout.yaxis.ticktext[1]


def test_scores_show_what_people_said_where_they_said_something() -> None:
    """Bars count cases by verdict; a circle stands on each bin with labels, and on no other."""
    bins = [
        ScoreBin(0.0, 0.5, {"mismatch": 6}, {"control_better": 3, "equal": 1}),
        ScoreBin(0.5, 1.0, {"match": 9, "ignored": 1, "mismatch": 2}, {}),
    ]
    drawing = case_figures.calibration(bins)
    equal, differing, judged = drawing.figure.data
    assert list(equal.y) == [0, 10]
    assert list(differing.y) == [6, 2]
    assert (list(judged.x), list(judged.y)) == ([0.25], [0.75])
    assert "18" in drawing.alt
    assert "75.0" in drawing.alt
    named = case_figures.calibration(bins, measure="NDCG")
    assert "NDCG of" in named.alt
    assert "imilarity" not in named.alt + named.figure.to_json()
    assert "none is labelled" in case_figures.calibration([ScoreBin(0.0, 1.0, {"match": 1}, {})]).alt


def test_the_map_leaves_cells_of_few_calls_pale() -> None:
    """Each cell says its share and its n; below twenty calls it has no colour; none is invented."""
    cells = [
        Cell("triage", "de", bounds.exact(30, 60, 0.05)),
        Cell("triage", HOSTILE, bounds.exact(2, 4, 0.05)),
        Cell("orders", "de", bounds.exact(0, 100, 0.05)),
    ]
    drawing = case_figures.slice_map(cells, "language")
    (heat,) = drawing.figure.data
    assert [list(row) for row in heat.z] == [[0.5, None], [0.0, None]]
    assert len(drawing.figure.layout.annotations) == 3
    assert "n = 4" in drawing.figure.layout.annotations[1].text
    assert "<img" not in drawing.figure.to_json()
    assert drawing.alt.count("n\u00a0=\u00a0") == 3


@pytest.mark.parametrize(
    ("n", "shown"),
    [(9_876, "n = 9,876"), (10_000, "n = 10k"), (169_074, "n = 169k"), (999_600, "n = 1.0M")],
)
def test_counts_of_the_map_fit_into_a_narrow_cell(n: int, shown: str) -> None:
    """On a telephone a count with six digits ran over its neighbours; the words for all keep every digit."""
    drawing = case_figures.slice_map([Cell("t", "de", bounds.exact(n // 8, n, 0.05))], "language")
    assert shown in drawing.figure.layout.annotations[0].text
    assert f"{n:,}" in drawing.alt


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_words_of_the_map_are_read_with_ease_on_every_colour(colours: Palette) -> None:
    """Each cell's text has the contrast of WCAG AA on the colour that the cell is drawn in."""
    for hundredth in range(101):
        cell = between(colours.empty, colours.candidate, hundredth / 100)
        assert contrast(channels(case_figures.readable(hundredth / 100, colours)), cell) >= 4.5
    assert case_figures.readable(None, colours) == colours.text
    cells = [Cell("t", str(n), bounds.exact(n, 100, 0.05)) for n in (0, 50, 100)]
    drawn = case_figures.slice_map(cells, "language", colours).figure.layout.annotations
    wanted = [case_figures.readable(part, colours) for part in (0.0, 0.5, 1.0)]
    assert [each.font.color for each in drawn] == wanted


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_limits_of_a_bar_are_seen_on_the_bar(colours: Palette) -> None:
    """Half of an interval lies on its bar: both halves have the contrast of WCAG AA."""
    (bar,) = case_figures.agreements({"total": bounds.exact(90, 100, 0.05)}, "field", colours).figure.data
    limits = channels(bar.error_x.color)
    assert contrast(limits, channels(bar.marker.color)) >= 4.5
    assert contrast(limits, channels(colours.ground)) >= 4.5
    assert contrast(channels(bar.marker.line.color), channels(colours.ground)) >= 3


def test_times_and_pace_say_in_words_what_they_draw() -> None:
    """Percentiles stand on their places; answers and errors a second are counts over the stretch."""
    times = replay_figures.times(Times(3, (10.0, 20.0, 30.0), (0.0, 15.0, 30.0), (1, 1, 1)))
    assert sum(times.figure.data[0].y) == 3
    assert [each.x for each in times.figure.layout.annotations] == [10.0, 20.0, 30.0]
    assert "p95 20" in times.alt
    pace = replay_figures.pace(Pace(datetime(2026, 1, 1, tzinfo=UTC), 2.0, (0.0, 2.0), (4, 6), (0, 2)))
    assert list(pace.figure.data[0].y) == [2.0, 3.0]
    assert list(pace.figure.data[1].y) == [0.0, 1.0]
    assert "10\u00a0answers and 2\u00a0errors in 4\u202fs" in pace.alt
    clean = replay_figures.pace(Pace(datetime(2026, 1, 1, tzinfo=UTC), 2.0, (0.0,), (4,), (0,)))
    assert len(clean.figure.data) == 1


def test_the_axes_of_a_replay_begin_at_nothing_and_say_their_units() -> None:
    """The wait before the first answer is seen; numbers are round, and none stands above what is drawn."""
    late = Pace(datetime(2026, 1, 1, tzinfo=UTC), 2.0, (6.0, 8.0), (48, 34), (0, 10))
    drawing = replay_figures.pace(late)
    x, y = drawing.figure.layout.xaxis, drawing.figure.layout.yaxis
    assert (x.title.text, y.title.text) == ("Seconds since the first request", "Answers a second")
    assert list(x.range) == [0, 10]
    assert list(y.tickvals) == [0, 5, 10, 15, 20]
    assert y.range[0] == 0
    assert y.range[1] > 24
    assert "Each bar: 2\u202fs." in drawing.alt
    minutes = replay_figures.pace(Pace(datetime(2026, 1, 1, tzinfo=UTC), 60.0, (0.0, 240.0), (3, 0), (0, 0)))
    assert minutes.figure.layout.xaxis.title.text == "Minutes since the first request"
    assert list(minutes.figure.layout.xaxis.range) == [0, 5]
    assert list(minutes.figure.layout.yaxis.tickvals) == pytest.approx([0, 0.02, 0.04])
    times = replay_figures.times(Times(3, (10.0, 20.0, 30.0), (0.0, 15.0, 30.0), (1, 7, 1)))
    assert list(times.figure.layout.yaxis.tickvals) == [0, 2, 4, 6]
    none = replay_figures.pace(Pace(datetime(2026, 1, 1, tzinfo=UTC), 2.0, (0.0,), (0,), (0,)))
    assert list(none.figure.layout.yaxis.tickvals) == [0]
