"""Figures of money: what they draw."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.costing.ways import WAYS, Amount, BreakEven, Way, exactly
from workbench.profiling import WorkloadReport
from workbench.ui import money_figures
from workbench.ui.palette import DARK, LIGHT


def test_both_ways_to_stay_have_the_frontiers_colour() -> None:
    """A discount makes the frontier cheaper and not a small model: blue stays, orange moves."""
    drawing = money_figures.ways([Way(each, None) for each in WAYS])
    (bars,) = drawing.figure.data
    colour_of = dict(zip(WAYS, bars.marker.color, strict=True))
    assert [colour_of[each] for each in WAYS] == [LIGHT.control] * 2 + [LIGHT.candidate] * 2
    assert all(f"{each} not known" in drawing.alt for each in WAYS)


def test_a_way_is_as_long_as_it_costs_and_an_unknown_one_has_no_length() -> None:
    """Length, text and alt text say the same; what is not known is said, not drawn."""
    found = [Way(WAYS[0], Amount(1200.0, 900.0, 1500.0)), Way(WAYS[1], None), Way(WAYS[2], exactly(80.5))]
    drawing = money_figures.ways(found, DARK)
    (bars,) = drawing.figure.data
    assert list(bars.x) == [1200.0, 0.0, 80.5]
    assert written(drawing) == [WAYS[0], "$1,200.00", WAYS[1], "not known", WAYS[2], "$80.50"]
    assert drawing.alt == f"Cost a month: {WAYS[0]} $1,200.00; {WAYS[1]} not known; {WAYS[2]} $80.50."
    assert drawing.figure.layout.xaxis.range == (0, 1200.0)


def workload(name: str, **fields: Any) -> WorkloadReport:
    """Return a workload of which only the name, its calls and its money are known."""
    plain = dict.fromkeys(WorkloadReport.__dataclass_fields__)
    money = {"usd_per_call": exactly(0.01) if fields.get("usd_month") or fields.get("logged_usd") else None}
    return WorkloadReport(**plain | {"name": name, "calls": 10} | money | fields)


def written(drawing: Any) -> list[str]:
    """Return what stands on a figure of bars, from the top, names before figures."""
    return [each.text for each in drawing.figure.layout.annotations]


@pytest.mark.parametrize(
    ("what", "rows", "lengths", "texts"),
    [
        (
            "USD a month",
            [
                workload("a", usd_month=Amount(5.0, 4.0, 6.0)),
                workload("b", logged_usd=900.0),
                workload("c", usd_month=exactly(250.0), calls=1),
                workload("d", calls=9_000),
            ],
            [250.0, 5.0, 0.0, 0.0],
            ["c", "$250.00 a month", "a", "$5.00 a month", "b", "calls a day not known", "d", "not priced"],
        ),
        (
            "USD in the log",
            [workload("a", logged_usd=0.5), workload("b", calls=900), workload("c", logged_usd=120.0)],
            [120.0, 0.5, 0.0],
            ["c", "$120.00", "a", "$0.50", "b", "not priced"],
        ),
        (
            "calls",
            [workload("a", calls=7), workload("b", calls=1_200)],
            [1200.0, 7.0],
            ["b", "1,200 calls", "a", "7 calls"],
        ),
    ],
)
def test_workloads_stand_by_what_is_known_of_all_the_dearest_first(
    what: str, rows: list[WorkloadReport], lengths: list[float], texts: list[str]
) -> None:
    """Money a month, else money in the log, else calls; what has no figure is last and says why."""
    drawing = money_figures.by_cost(rows)
    (bars,) = drawing.figure.data
    assert list(bars.x) == lengths
    assert list(bars.y) == list(range(len(rows)))
    assert written(drawing) == texts
    assert set(bars.marker.color) == {LIGHT.control}
    pairs = zip(texts[::2], texts[1::2], strict=True)
    assert drawing.alt == f"Workloads by {what}: " + "; ".join(f"{a} {b}" for a, b in pairs) + "."


def test_beyond_fifteen_the_others_are_one_bar() -> None:
    """It is as long as they are together; what of it is not known is no nothing."""
    dear = [workload(f"w{n}", usd_month=exactly(100.0 + n)) for n in range(15)]
    two = [workload("x", usd_month=exactly(2.0)), workload("y", usd_month=exactly(1.5))]
    for more, length, said in (
        (two, 3.5, ["2 others", "$3.50 a month"]),
        ([two[0], workload("z")], 2.0, ["2 others", "$2.00 a month and more"]),
        ([workload("z")], 0.0, ["1 other", "not known"]),
    ):
        drawing = money_figures.by_cost([*more, *dear])
        (bars,) = drawing.figure.data
        assert len(bars.x) == 16
        assert (bars.x[0], bars.x[-1]) == (114.0, length)
        assert written(drawing)[-2:] == said
        assert drawing.alt.endswith(f"{' '.join(said)}.")
    many = money_figures.by_cost([workload(f"w{n}", calls=n + 1) for n in range(20)])
    assert written(many)[-2:] == ["5 others", "15 calls"]


def test_a_name_from_a_log_is_text_in_a_figure() -> None:
    """Names are escaped and cut; an empty log draws nothing and fails nowhere."""
    drawing = money_figures.by_cost([workload('<a href="http://x">y</a>' + "z" * 200)])
    name = written(drawing)[0]
    assert "<" not in name
    assert name.endswith("…")
    assert "<" not in drawing.alt
    assert list(money_figures.by_cost([]).figure.data[0].x) == []


LINES = {WAYS[0]: [0.0, 500.0, 1000.0], WAYS[2]: [50.0, 60.0, 70.0], WAYS[3]: [400.0, 400.0, 800.0]}
VOLUMES = [0.0, 1_000.0, 2_000.0]


def test_the_curve_draws_each_way_against_the_volume() -> None:
    """A line each with its own dash and colour, over the volumes, up to the dearest."""
    drawing = money_figures.break_even_curve(VOLUMES, LINES, None, None)
    figure = drawing.figure
    assert {each.name: (list(each.x), list(each.y)) for each in figure.data} == {
        name: (VOLUMES, values) for name, values in LINES.items()
    }
    assert len({each.line.dash for each in figure.data}) == len(LINES)
    assert figure.data[0].line.color == LIGHT.control
    assert figure.layout.yaxis.range[0] == 0
    assert figure.layout.yaxis.range[1] >= 1000
    assert not figure.layout.shapes
    assert drawing.alt.endswith("Self-hosting is not declared.")


@pytest.mark.parametrize(
    ("now", "pays", "places", "sides", "said"),
    [
        (
            500.0,
            1_250.0,
            [500.0, 1250.0],
            ["left", "left"],
            "A GPU pays from 1,250 calls a day on. Today there are 500.",
        ),
        (1_900.0, None, [1900.0], ["right"], "A GPU never pays here. Today there are 1,900."),
        (None, 1_600.0, [1600.0], ["right"], "A GPU pays from 1,600 calls a day on."),
    ],
)
def test_today_and_the_break_even_are_marked_where_they_are(
    now: float | None, pays: float | None, places: list[float], sides: list[str], said: str
) -> None:
    """Each mark stands at its volume, written where there is room; the words say the same."""
    even = BreakEven(pays, None, None, 700.0, 5_000.0)
    drawing = money_figures.break_even_curve(VOLUMES, LINES, now, even)
    assert [(each.x0, each.x1) for each in drawing.figure.layout.shapes] == [(x, x) for x in places]
    marks = drawing.figure.layout.annotations
    assert [each.x for each in marks] == places
    assert [each.xanchor for each in marks] == sides
    assert [each.text for each in marks] == (["today"] if now else []) + (["a GPU pays"] if pays else [])
    assert drawing.alt.endswith(said)
