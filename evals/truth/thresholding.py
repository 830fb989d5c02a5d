"""Confidence thresholds: those that are called proven against the lowest one that looks good."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.truth.paths import upper_crossings
from evals.truth.table import DELTA, Row, Size, compared, generator, promised, spread, target
from workbench.records import Policy
from workbench.stats import bounds, thresholds

NAME = "thresholds"
TOLERANCE = Policy().tolerance
POOL, LABELS = 2000, 600
LOOKS = (200, 400, 600)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Risk:
    """Harm falls with confidence c, uniform in 0..1: most * (1 - c) ** power of the calls are harmed."""

    name: str
    most: float
    power: float

    def harmed(self, scores: Floats, rng: np.random.Generator) -> Floats:
        """Return 1 for harmed calls and 0 for others."""
        return np.asarray(rng.random(scores.size) < self.most * (1 - scores) ** self.power, dtype=np.float64)

    def routed(self, threshold: float) -> float:
        """Return the true harm among calls with at least this confidence."""
        return float(self.most * (1 - threshold) ** self.power / (self.power + 1))

    def overall(self, threshold: float) -> float:
        """Return the true share of all calls that are routed and harmed."""
        return self.routed(threshold) * (1 - threshold)


WORLDS = (
    Risk("harm falls early with confidence", 0.50, 3.0),
    Risk("harm falls steadily with confidence", 0.30, 1.0),
    Risk("harm falls late", 0.25, 0.5),
    Risk("confidence says nothing, 5.5 % harm", 0.055, 0.0),
)


def rows(size: Size) -> Iterator[Row]:
    """Yield how often a threshold is called proven that is not."""
    for world in WORLDS if size.scale >= 1 else (WORLDS[0], WORLDS[-1]):
        yield from _rows(size, world)
    if size.scale > 1:
        yield _many_looks()


def _rows(size: Size, world: Risk) -> Iterator[Row]:
    runs = size.runs(25, least=12)
    rng = generator(NAME, world.name)
    broken = dict.fromkeys(("one", "looks", "snapshot", "three", "three looks", "budget", "observed"), 0)
    useful, useful_three, routed = 0, 0, []
    for _ in range(runs):
        pool, scores = rng.random(POOL), rng.random(LABELS)
        losses = world.harmed(scores, rng)
        grid = thresholds.frozen_grid(pool)

        def find(
            n: int = LABELS,
            *,
            pool: Floats = pool,
            scores: Floats = scores,
            losses: Floats = losses,
            grid: tuple[float, ...] = grid,
            method: str = "anytime",
            starts: int = 1,
            budget_mode: bool = False,
        ) -> float | None:
            found = thresholds.learn_then_test(
                scores[:n],
                losses[:n],
                pool,
                tolerance=TOLERANCE,
                delta=DELTA,
                grid=grid,
                method=method,
                starts=starts,
                budget_mode=budget_mode,
            )
            return None if found.best is None else found.best.confidence

        first = [find(n) for n in LOOKS]
        broken["one"] += _breaks(world.routed, first[-1])
        broken["looks"] += any(_breaks(world.routed, each) for each in first)
        broken["snapshot"] += _breaks(world.routed, find(method="exact"))
        several = [find(n, starts=3) for n in LOOKS]
        broken["three"] += _breaks(world.routed, several[-1])
        broken["three looks"] += any(_breaks(world.routed, each) for each in several)
        broken["budget"] += _breaks(world.overall, find(budget_mode=True))
        broken["observed"] += _breaks(world.routed, _lowest_observed(grid, scores, losses))
        useful, useful_three = useful + (first[-1] is not None), useful_three + (several[-1] is not None)
        routed.append(0.0 if first[-1] is None else 1 - first[-1])
    for name, how in (
        ("one", "fixed-sequence, anytime, one look"),
        ("looks", "fixed-sequence, anytime, looks at 200, 400, 600 labels"),
        ("snapshot", "fixed-sequence, exact, one look"),
        ("three", "three starts, anytime, one look"),
        ("three looks", "three starts, anytime, looks at 200, 400, 600 labels"),
        ("budget", "budget mode, anytime, one look"),
    ):
        yield promised(NAME, world.name, f"proven, but risk above 5 %: {how}", broken[name], runs)
    what = "risk above 5 %: lowest threshold whose observed error is at most 5 %"
    yield compared(NAME, world.name, what, broken["observed"] / runs, spread(broken["observed"], runs))
    if world.power > 0:
        what = f"a threshold is proven with {LABELS} labels"
        share, error = useful / runs, spread(useful, runs)
        if world is WORLDS[0]:
            yield target(NAME, world.name, f"{what}, one start", share, 0.8, error=error)
        else:
            yield compared(NAME, world.name, f"{what}, one start", share, error)
        yield compared(
            NAME, world.name, f"{what}, three starts", useful_three / runs, spread(useful_three, runs)
        )
        best = min((TOLERANCE * (world.power + 1) / world.most) ** (1 / world.power), 1.0)
        what = f"share routed, one start, mean (best possible {best:.2f})"
        yield compared(NAME, world.name, what, float(np.mean(routed)), None)


def _many_looks() -> Row:
    """Harm just above the tolerance everywhere, one start, a look after every 50th label.

    The start is fixed by the planned number of labels. Only where that threshold passes can anything be
    proven, so only there the real walk is asked; what it says is what counts.
    """
    runs, labels, rate = 3000, 1500, TOLERANCE * 1.01
    least = bounds.calls_needed(0, TOLERANCE, DELTA) or labels
    crossings = upper_crossings(
        lambda bad, n: bounds.anytime_upper(bad, n, DELTA), TOLERANCE + 1e-9, labels, within=True
    )
    enough = np.full(labels + 1, labels + 1)
    enough[: crossings.size] = crossings[: labels + 1]
    rng, broken = generator(NAME, "many looks"), 0
    for _ in range(runs):
        pool, scores = rng.random(POOL // 4), rng.random(labels)
        losses = (rng.random(labels) < rate).astype(np.float64)
        grid = thresholds.frozen_grid(pool)
        chosen = scores[:, None] >= np.asarray(grid)
        first = int(np.argmax([labels * np.mean(pool >= step) >= least for step in grid]))
        calls, bad = chosen.cumsum(axis=0), (chosen & (losses[:, None] > 0)).cumsum(axis=0)
        for n in range(LOOKS[0], labels + 1, 50):
            if calls[n - 1, first] < enough[bad[n - 1, first]]:
                continue
            found = thresholds.learn_then_test(
                scores[:n],
                losses[:n],
                pool,
                tolerance=TOLERANCE,
                delta=DELTA,
                grid=grid,
                planned_labels=labels,
            )
            if found.best is not None:
                broken += 1
                break
    world = f"confidence says nothing, {rate:.2%} harm"
    what = "proven, but risk above 5 %: fixed-sequence, anytime, a look every 50 labels from 200 to 1,500"
    return promised(NAME, world, what, broken, runs)


def _breaks(risk: Callable[[float], float], threshold: float | None) -> bool:
    return threshold is not None and risk(threshold) > TOLERANCE + 1e-12


def _lowest_observed(grid: tuple[float, ...], scores: Floats, losses: Floats) -> float | None:
    passing = [each for each in grid if _observed(each, scores, losses) <= TOLERANCE]
    return min(passing, default=None)


def _observed(threshold: float, scores: Floats, losses: Floats) -> float:
    chosen = scores >= threshold
    return float(losses[chosen].mean()) if chosen.any() else math.inf
