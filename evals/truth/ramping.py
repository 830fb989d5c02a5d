"""How often traffic is moved although harm is at or above the tolerance."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from evals.truth.paths import Floats, ever, ever_below, upper_crossings, wilson_upper
from evals.truth.table import DELTA, Row, Size, compared, exactly, generator, promised, spread, target
from workbench import ramp
from workbench.records import Policy
from workbench.stats import bounds
from workbench.stats.evidence import Evidence, Population

NAME = "false ramp"
POLICY = Policy()
DAYS, PER_DAY = 30, 100
GOAL = 0.25
FIRST, LAST = 20, 2000
LADDER = (0.0, 0.10, 0.50, 1.0)
"""The usual heuristic's stages: more than 95 % agree, then 10, 50, 100 %."""


def rows(size: Size) -> Iterator[Row]:
    """Yield how often each rule lets harm at or above the tolerance through."""
    yield from _every_call(size)
    yield from _thirty_days(size)


def _every_call(size: Size) -> Iterator[Row]:
    """Exact chances; statistics.md, section 1, has simulated ones: .307 for Wilson and .037 at 5 %."""
    limit = LAST if size.scale >= 1 else 500
    tolerance = POLICY.tolerance
    ours = upper_crossings(lambda bad, n: bounds.anytime_upper(bad, n, DELTA), tolerance, limit, within=True)
    exact = upper_crossings(lambda bad, n: bounds.exact_upper(bad, n, DELTA), tolerance, limit, within=True)
    for rate in (0.05, 0.06, 0.08):
        world = f"{rate:.0%} harm, every n from {FIRST} to {limit}"
        what = "ever says that harm is at most 5 %"
        yield exactly(NAME, world, f"{what}: anytime bound", ever_below(ours, rate, limit, first=FIRST))
        rivals: tuple[tuple[str, Callable[[Floats, float], NDArray[np.bool_]]], ...] = (
            ("more than 95 % agree", lambda bad, n: bad < tolerance * n - 1e-9),
            ("observed error at most 5 %", lambda bad, n: bad <= tolerance * n + 1e-9),
            ("Wilson", lambda bad, n: wilson_upper(bad, n, DELTA) <= tolerance),
        )
        for name, rule in rivals:
            yield compared(NAME, world, f"{what}: {name}", ever(rule, rate, limit, first=FIRST))
        chance = ever_below(exact, rate, limit, first=FIRST)
        yield compared(NAME, world, f"{what}: Clopper-Pearson", chance)


class Daily:
    """The decision as a table: what each share becomes after a day's look.

    More harm never raises the share, so what lies between two equal answers is known.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], tuple[list[int], list[float]]] = {}

    def __call__(self, day: int, harms: int, share: float) -> float:
        """Return the share that is recommended on a day for so many harms since the first."""
        places, answers = self._seen.setdefault((day, share), ([], []))
        at = bisect_left(places, harms)
        if at < len(places) and places[at] == harms:
            return answers[at]
        if 0 < at < len(places) and answers[at - 1] == answers[at]:
            return answers[at]
        found = self._ask(day, harms, share)
        places.insert(at, harms)
        answers.insert(at, found)
        return found

    def _ask(self, day: int, harms: int, share: float) -> float:
        n = day * PER_DAY
        task = Population(
            compared=n,
            disagreements=harms,
            audited=n,
            audited_disagreements=harms,
            harms=harms,
            looked=max(harms, 1),
        )
        state = ramp.State(share, days_in_stage=1.0, live_compared=PER_DAY)
        return ramp.recommend(Evidence(task, days=float(day)), POLICY, state).share


def _thirty_days(size: Size) -> Iterator[Row]:
    """A look a day, every disagreement labelled, the ramp's own pacing."""
    runs, daily = size.runs(200) if size.scale >= 1 else 30, Daily()
    for rate in (0.02, 0.04, 0.05, 0.06, 0.08) if size.scale >= 1 else (0.02, 0.05):
        rng = generator(NAME, "days")
        harms = np.cumsum(rng.binomial(PER_DAY, rate, size=(runs, DAYS)), axis=1)
        world = f"{rate:.0%} harm, {DAYS} days of {PER_DAY} calls, a look a day"
        what = "ever at 25 % of traffic or more"
        hits = sum(_reaches(path, daily) for path in harms.tolist())
        if rate >= POLICY.tolerance:
            yield promised(NAME, world, f"{what}: this rule", hits, runs)
        elif rate == 0.02:
            yield target(NAME, world, f"{what}: this rule", hits / runs, 0.98, error=spread(hits, runs))
        else:
            yield compared(NAME, world, f"{what}: this rule", hits / runs, spread(hits, runs))
        n = PER_DAY * np.arange(1, DAYS + 1)
        rivals = (
            ("more than 95 % agree", harms < POLICY.tolerance * n - 1e-9),
            ("observed error at most 5 %", harms <= POLICY.tolerance * n + 1e-9),
            ("Wilson", _wilson(harms) <= POLICY.tolerance),
        )
        for name, passes in rivals:
            hits = int((passes.sum(axis=1) >= LADDER.index(0.50)).sum())
            yield compared(NAME, world, f"{what}: {name}", hits / runs, spread(hits, runs))


def _wilson(harms: NDArray[np.int64]) -> Floats:
    columns = [
        wilson_upper(harms[:, day].astype(np.float64), float(PER_DAY * (day + 1)), DELTA)
        for day in range(DAYS)
    ]
    return np.stack(columns, axis=1)


def _reaches(path: list[int], daily: Daily) -> bool:
    share = 0.0
    for day, harms in enumerate(path, start=1):
        share = daily(day, harms, share)
        if share >= GOAL:
            return True
    return False
