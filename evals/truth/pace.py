"""How many days and labels a good candidate takes, stage by stage, with the ramp's own pacing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from evals.truth.table import AT_MOST, Row, Size, compared, generator, median, target
from evals.truth.worlds import Audit, Calls, Queue, World
from workbench import ramp
from workbench.records import Policy

NAME = "pace"
PER_DAY = 100
PER_REVIEWER = 20
LONGEST = 30
POLICY = Policy()
REPLAYED = 800

BARS: dict[tuple[str, float], tuple[float, float, float, float]] = {
    # days and labels to 10 %, days and labels to 100 %; inf where nothing is aimed at.
    ("structural", 0.01): (4, 80, 12, 240),
    ("structural", 0.02): (6, 120, 16, 320),
    ("structural", 0.03): (10, 200, 30, 600),
    ("semantic", 0.01): (6, 120, 12, 260),
    ("semantic", 0.02): (8, 160, 25, 500),
    ("semantic", 0.03): (12, 240, math.inf, math.inf),
}
"""Targets, not promises: a month for 3 %, half of that for less."""


def rows(size: Size) -> Iterator[Row]:
    """Yield days and labels to 10 % and to 100 % at several rates of harm."""
    runs = size.runs(5, least=5)  # Of fewer a median says nothing.
    rates = (0.01, 0.02, 0.03, 0.04) if size.scale >= 1 else (0.01, 0.04)
    makers: tuple[tuple[str, str, Callable[[float, int], Audit | Queue]], ...] = (
        ("structural", f"{PER_DAY} calls and {PER_REVIEWER} labels a day, 9 % disagree", _structural),
        (
            "semantic",
            f"replay of {REPLAYED} over 10 days, {PER_REVIEWER} labels a day, 8 % mismatch",
            _semantic,
        ),
    )
    for basis, setting, make in makers:
        for rate in rates:
            found = [_run(make(rate, run), days=10 if basis == "semantic" else 0) for run in range(runs)]
            yield from _figures(basis, setting, rate, found)


def _figures(
    basis: str, setting: str, rate: float, found: list[dict[float, tuple[int, int]]]
) -> Iterator[Row]:
    world = f"{basis}, {rate:.0%} harm, {setting}"
    never = (math.inf, math.inf)
    bars = BARS.get((basis, rate), (math.inf,) * 4)
    for stage, days_bar, labels_bar in ((0.10, *bars[:2]), (1.0, *bars[2:])):
        for what, at, bar in (("days", 0, days_bar), ("labels", 1, labels_bar)):
            middle, error = median([each.get(stage, never)[at] for each in found])
            text = f"{what} to {stage:.0%}, median"
            if math.isfinite(bar):
                yield target(NAME, world, text, middle, bar, error=error, sense=AT_MOST)
            else:
                yield compared(NAME, world, text, middle, error)
    entered = [
        f"{stage:.0%}: day {median([each.get(stage, never)[0] for each in found])[0]:.0f}"
        for stage in POLICY.ladder[1:]
        if math.isfinite(median([each.get(stage, never)[0] for each in found])[0])
    ]
    reached = sum(1.0 in each for each in found) / len(found)
    yield compared(NAME, world, f"reach 100 % in {LONGEST} days ({', '.join(entered) or 'none'})", reached)


def _structural(rate: float, run: int) -> Audit:
    return Audit(Calls(World(0.09, rate / 0.09), generator(NAME, "structural", rate, run)))


def _semantic(rate: float, run: int) -> Queue:
    # Most harm sits where texts differ, some of it in texts that look alike.
    world = World(0.08, 0.8 * rate / 0.08, 0.2 * rate / 0.92)
    calls = Calls(world, generator(NAME, "semantic", rate, run))
    calls.add(REPLAYED, batch=0)
    return Queue(calls, seed=run)


def _run(task: Audit | Queue, *, days: int) -> dict[float, tuple[int, int]]:
    """Return the day and the labels with which each stage was first reached.

    Args:
        task: Calls and labels; a structural one grows by a day's calls.
        days: How many days of traffic were replayed before the first day.
    """
    state, entered, reached = ramp.State(), 1, dict[float, tuple[int, int]]()
    for day in range(1, LONGEST + 1):
        if isinstance(task, Audit):
            task.calls.add(PER_DAY, batch=day)
        task.label(PER_REVIEWER)
        state = ramp.State(state.share, float(day - entered), PER_DAY * (day - entered))
        share = ramp.recommend(task.evidence(float(days + day)), POLICY, state).share
        if share != state.share:
            state, entered = ramp.State(share), day
            for stage in POLICY.ladder[1:]:
                if share >= stage:
                    reached.setdefault(stage, (day, task.labels))
        if share >= POLICY.ladder[-1]:
            break
    return reached
