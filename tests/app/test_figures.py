"""What the figures draw, and that their words say the same."""

from dataclasses import replace

import pytest
from app_reading import plain

from workbench.records import Basis, Estimate, SliceShare
from workbench.scoring.thresholds import ThresholdReport, ThresholdRow
from workbench.ui import figures
from workbench.ui.curves import threshold_curve
from workbench.ui.palette import DARK, LIGHT
from workbench.ui.words import NARROW

LADDER = (0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 1.0)


def estimate(point: float | None, low: float, high: float, n: float = 1000) -> Estimate:
    return Estimate(point, low, high, 0.95, "anytime", n, n)


def slice_share(value: str, harm: Estimate) -> SliceShare:
    return SliceShare("language", value, 0.5, harm.n, harm, 0.1, 0.01, "active", "")


def test_a_ladder_fills_stages_up_to_the_share_and_tints_up_to_the_cap() -> None:
    """0 % is never filled; the share is solid, the cap soft, the rest empty."""
    bars = figures.ladder(LADDER, 0.0, 0.01, 0.10).figure.data[0]
    assert list(bars.marker.color) == [
        LIGHT.empty,
        LIGHT.candidate,
        LIGHT.candidate_soft,
        LIGHT.candidate_soft,
        LIGHT.empty,
        LIGHT.empty,
        LIGHT.empty,
    ]
    assert [plain(text) for text in bars.text] == [
        "0 %", "1 %", "5 %", "10 %", "25 %", "50 %", "100 %",
    ]  # fmt: skip


def test_a_ladder_names_now_next_and_cap_where_they_stand() -> None:
    """Each mark stands at its stage; marks that meet share their words."""
    drawn = figures.ladder(LADDER, 0.0, 0.01, 0.10).figure.layout.annotations
    assert {(each.x, each.text) for each in drawn} == {(-0.47, "now"), (1, "next"), (3, "cap")}
    held = figures.ladder(LADDER, 0.0, 0.0, 0.0).figure.layout.annotations
    assert [(each.x, each.text) for each in held] == [(-0.47, "now · next · cap")]


def test_a_share_between_stages_is_drawn_between_them() -> None:
    """A slice-weighted or hand-set share is not moved to a stage."""
    marks = figures.ladder(LADDER, 0.03, 0.05, 0.05).figure.layout.annotations
    assert next(each.x for each in marks if each.text == "now") == pytest.approx(1.5)


def test_a_bound_draws_its_interval_and_the_tolerance() -> None:
    """The bar runs from L to U, the dot is the estimate, the line the tolerance."""
    drawing = figures.bound(estimate(0.04, 0.029, 0.062), 0.05)
    bar, dot = drawing.figure.data
    assert list(bar.x) == [0.029, 0.062]
    assert list(dot.x) == [0.04]
    assert [shape.x1 for shape in drawing.figure.layout.shapes] == [0.05, 0.05]
    assert drawing.figure.layout.meta["within"] is False
    assert "above the tolerance" in drawing.alt


def test_a_bound_is_held_against_what_the_next_stage_allows_too() -> None:
    """A second, quieter line; its words keep off those of the tolerance, and alt says what it means."""
    drawing = figures.bound(estimate(0.03, 0.005, 0.079), 0.05, allowed=(0.01, 0.2))
    line = next(each for each in drawing.figure.layout.shapes if each.x0 == 0.2)
    assert (line.line.color, line.line.dash) == (LIGHT.muted, "dot")
    assert drawing.figure.layout.xaxis.range[1] > 0.2
    by_text = {plain(each.text): each for each in drawing.figure.layout.annotations}
    allowed, tolerance = by_text["moving 1 % allows 20.0 %"], by_text["tolerance 5.0 %"]
    assert allowed.y > tolerance.y + 0.7
    said = "above the tolerance of 5.0 %, and within the 20.0 % that moving 1 % of the traffic allows"
    assert said in plain(drawing.alt)
    # A line that would run through the words on the tolerance stops below them.
    near = figures.bound(estimate(None, 0.0, 1.0), 0.05, allowed=(0.1, 0.1)).figure.layout.shapes[-1]
    assert (near.y1, line.y1 > near.y1) == (1, True)


def test_an_axis_of_shares_reads_as_the_text_does() -> None:
    """Ticks are round, have the space before the sign, a minus where they fall below nothing, and fit."""
    ticks = figures.share_ticks(0.3, -0.12)
    assert [plain(each) for each in ticks["ticktext"]] == ["−10 %", "0 %", "10 %", "20 %", "30 %"]
    assert ticks["tickvals"] == pytest.approx([-0.1, 0, 0.1, 0.2, 0.3])
    assert [plain(each) for each in figures.share_ticks(0.02)["ticktext"]] == [
        "0 %", "0.5 %", "1 %", "1.5 %", "2 %",
    ]  # fmt: skip
    drawn = figures.slice_bounds([slice_share("en", estimate(0.01, 0.0, 0.03))], 0.05).figure
    assert all("\u202f%" in each for each in drawn.layout.xaxis.ticktext)
    assert drawn.layout.xaxis.tickformat is None


def test_a_bound_at_the_tolerance_is_within() -> None:
    """Equal counts as within, whatever floating point adds."""
    assert figures.bound(estimate(0.01, 0.0, 0.1 * 0.1 + 1e-12), 0.01).figure.layout.meta["within"]


def test_no_estimate_draws_no_dot() -> None:
    """Without evidence the interval is all there is."""
    drawing = figures.bound(estimate(None, 0.0, 1.0, 0), 0.05)
    assert len(drawing.figure.data) == 1
    assert list(drawing.figure.data[0].x) == [0.0, 1.0]
    assert drawing.figure.layout.xaxis.range[1] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("high", [0.004, 0.05, 0.3, 0.999, 1.0])
def test_the_interval_always_fits_the_axis(high: float) -> None:
    """No bound is cut off by its own axis."""
    assert figures.bound(estimate(high / 2, 0, high), 0.05).figure.layout.xaxis.range[1] >= high


def test_a_confusion_counts_rows_by_frontier_answer() -> None:
    """Shares are of each frontier answer; declared labels come first, others after them."""
    drawing = figures.confusion({("a", "a"): 9, ("a", "b"): 1, ("b", "x"): 2}, ["b", "a"])
    heat = drawing.figure.data[0]
    assert list(drawing.figure.layout.yaxis.ticktext) == ["b", "a", "x"]
    assert [list(row) for row in heat.z] == [[0, 0, 1], [0.1, 0.9, 0], [0, 0, 0]]
    assert "9 of 12 answers agree" in drawing.alt


def test_names_from_a_log_carry_no_markup_into_plotly() -> None:
    """Plotly reads tags in its texts, so names are escaped and cut."""
    hostile = '<a href="https://example.org">x</a>' + "y" * 100
    ticks = figures.confusion({(hostile, "a"): 1}, ["a"]).figure.layout.yaxis.ticktext
    assert all("<" not in each for each in ticks)
    shown = figures.slice_bounds([slice_share(hostile, estimate(0.1, 0, 0.2))], 0.05)
    assert "<" not in shown.figure.layout.yaxis.ticktext[0]
    assert len(figures.clipped("z" * 1_000_000)) == 22


def test_each_slice_gets_its_own_line() -> None:
    """Slices are drawn in the given order, each from its L to its U."""
    drawn = figures.slice_bounds(
        [slice_share("en", estimate(0.01, 0.0, 0.03)), slice_share("de", estimate(None, 0.0, 1.0, 3))], 0.05
    )
    lines = [trace for trace in drawn.figure.data if trace.mode == "lines"]
    assert [list(line.x) for line in lines] == [[0.0, 0.03], [0.0, 1.0]]
    assert "language en" in drawn.alt
    # What the line is stands at it, and names keep clear of the dot of an estimate of nothing.
    (said,) = drawn.figure.layout.annotations
    assert (plain(said.text), said.x, said.yanchor) == ("tolerance 5.0 %", 0.05, "bottom")
    assert drawn.figure.layout.yaxis.ticklabelstandoff >= 6


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_text_is_readable_on_every_ground_it_stands_on(colours) -> None:
    """WCAG AA: 4.5 for text, 3 for the lines that carry meaning."""
    for ground in (colours.ground, colours.empty, colours.good, colours.candidate_soft):
        assert contrast(colours.text, ground) >= 4.5
    assert contrast(colours.on_candidate, colours.candidate) >= 4.5
    assert contrast(colours.muted, colours.ground) >= 4.5
    assert contrast(colours.control, colours.ground) >= 4.5
    assert contrast(colours.candidate, colours.ground) >= 3


def report(**changes: object) -> ThresholdReport:
    """Return a report of three thresholds, the middle one proven."""
    rows = tuple(
        ThresholdRow(
            confidence=confidence,
            routed=routed,
            risk=Estimate(high / 2, 0.0, high, 0.95, "anytime", 100, 100),
            proven=proven,
            tested=True,
            reported=Estimate(high / 2, 0.0, high, 0.95, "anytime", 100, 100),
            chance_fine=0.9,
            cost_usd=cost,
            latency_ms=None,
        )
        for confidence, routed, high, proven, cost in (
            (0.9, 0.2, 0.06, False, 0.9),
            (0.5, 0.5, 0.04, True, 0.6),
            (0.1, 1.0, 0.9, False, 0.1),
        )
    )
    found = ThresholdReport(
        task="t",
        candidate="c",
        signal="label_margin",
        basis=Basis.STRUCTURAL,
        budget_mode=False,
        tolerance=0.05,
        level=0.95,
        calls=200,
        known=200,
        tuned_on=100,
        reported_on=100,
        planned_labels=None,
        auroc=0.8,
        informative=True,
        rows=rows,
        best=rows[1],
        control_cost_usd=1.0,
        control_latency_ms=None,
        sentence="",
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_threshold_curve_tells_proven_points_from_others() -> None:
    """Proven points are filled; what lies far above the tolerance is an arrow with its height in words."""
    drawing = threshold_curve(report())
    line, points, cost = drawing.figure.data
    assert list(points.marker.symbol) == ["circle-open", "circle", "triangle-up"]
    assert max(points.y) < 0.9
    assert list(line.y) == [0.06, 0.04, 0.9]
    assert [plain(each) for each in points.text] == [
        "",
        "",
        "90.0 % ↑",
    ]
    assert points.cliponaxis is False
    assert "at most 90.0" in drawing.alt.replace(NARROW, " ")
    assert "The lowest proven threshold: confidence 0.5" in drawing.alt
    assert list(cost.y) == [0.9, 0.6, 0.1]


def test_no_threshold_reads_as_certain() -> None:
    """A confidence of 0.9996 has its four digits where a point is told, not those of 1."""
    found = report()
    rows = tuple(replace(each, confidence=0.9996) for each in found.rows)
    drawing = threshold_curve(replace(found, rows=rows, best=rows[1]))
    assert "confidence 0.9996" in drawing.alt
    assert all(each.startswith("confidence 0.9996,") for each in drawing.figure.data[1].customdata)


def test_a_threshold_curve_without_prices_shows_risk_alone() -> None:
    """What is not known on both sides is left out, never drawn as nothing."""
    drawing = threshold_curve(report(control_cost_usd=None, best=None), DARK)
    assert len(drawing.figure.data) == 2
    assert drawing.alt.endswith("No threshold is proven.")
