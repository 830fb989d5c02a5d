"""Figures of money: what they draw."""

from __future__ import annotations

from workbench.costing.ways import WAYS, Way
from workbench.ui import money_figures
from workbench.ui.palette import LIGHT


def test_both_ways_to_stay_have_the_frontiers_colour() -> None:
    """A discount makes the frontier cheaper and not a small model: blue stays, orange moves."""
    drawing = money_figures.ways([Way(each, None) for each in WAYS])
    (bars,) = drawing.figure.data
    colour_of = dict(zip(WAYS, bars.marker.color, strict=True))
    assert [colour_of[each] for each in WAYS] == [LIGHT.control] * 2 + [LIGHT.candidate] * 2
    assert all(f"{each} not known" in drawing.alt for each in WAYS)
