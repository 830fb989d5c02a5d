"""The drift detector: how long until it sees a change, and how often it sees one where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

import numpy as np

from evals.truth.table import (
    AT_MOST,
    DELTA,
    ERRORS_ALLOWED,
    Row,
    Size,
    compared,
    generator,
    median,
    promised,
    target,
)
from workbench.stats import bounds, content, drift, mix

NAME = "drift"
RATE = 0.05
EVALUATED = 1000
LONGEST = 30_000


def rows(size: Size) -> Iterator[Row]:
    """Yield false alarms and delays."""
    yield from _false_alarms(size)
    yield from _delays(size)
    yield from _mix(size)
    yield from _content(size)


def _first_alarm(p0: float, outcomes: np.ndarray) -> float:
    """Return after how many calls the detector alarms first; inf where it does not."""
    detector = drift.EDetector(p0)
    for outcome in outcomes.tolist():
        if detector.observe(outcome):
            return float(detector.calls)
    return float("inf")


def _false_alarms(size: Size) -> Iterator[Row]:
    rng, runs, calls = generator(NAME, "false"), size.runs(120), 1000
    alarms = sum(_first_alarm(RATE, rng.random(calls) < RATE) <= calls for _ in range(runs))
    world = f"{RATE:.0%} differ as evaluated, p0 = {RATE:.0%}"
    what = f"an alarm within {calls} calls (at most calls / 10,000)"
    yield promised(NAME, world, what, alarms, runs, delta=calls / drift.ALARM)
    runs = size.runs(20, least=5)
    waits = np.minimum([_first_alarm(RATE, rng.random(LONGEST) < RATE) for _ in range(runs)], LONGEST)
    error = float(waits.std(ddof=1)) / sqrt(runs)
    yield Row(
        NAME,
        world,
        f"calls between false alarms, mean (waits cut off at {LONGEST})",
        float(waits.mean()),
        error,
        drift.ALARM - ERRORS_ALLOWED * error,
        ">=",
        level=drift.ALARM,
    )
    runs, alarms = size.runs(60), 0
    for _ in range(runs):
        p0 = bounds.anytime_upper(int(rng.binomial(EVALUATED, RATE)), EVALUATED, DELTA)
        alarms += _first_alarm(p0, rng.random(calls) < RATE) <= calls
    world = f"{RATE:.0%} differ as evaluated, p0 = bound from {EVALUATED} calls"
    what = f"an alarm within {calls} calls (at most 5 % + calls / 10,000)"
    yield promised(NAME, world, what, alarms, runs, delta=DELTA + calls / drift.ALARM)


def _delays(size: Size) -> Iterator[Row]:
    rng, runs = generator(NAME, "delay"), size.runs(60)
    wide = bounds.anytime_upper(RATE * EVALUATED, EVALUATED, DELTA)
    # statistics.md: about 200 where p0 is the true rate, about 370 at .062; a third more is still well.
    for p0, factor, bar in ((RATE, 2.0, 270.0), (RATE, 3.0, 120.0), (0.062, 2.0, 490.0), (wide, 2.0, None)):
        delays = [_first_alarm(p0, rng.random(5000) < factor * RATE) for _ in range(runs)]
        middle, error = median(delays)
        world = f"{RATE:.0%} rises to {factor * RATE:.0%}, p0 = {p0:.1%}"
        what = "calls until the alarm, median"
        if bar is None:
            yield compared(NAME, world, f"{what} (p0: bound from {EVALUATED} calls)", middle, error)
        else:
            yield target(NAME, world, what, middle, bar, error=error, sense=AT_MOST)


def _mix(size: Size) -> Iterator[Row]:
    rng, runs = generator(NAME, "mix"), size.runs(120)
    shares, other = np.asarray([0.6, 0.25, 0.1, 0.05]), np.asarray([0.45, 0.30, 0.15, 0.10])
    found = {"same": 0, "moved": 0}
    for run in range(runs):
        before = rng.multinomial(500, shares)
        for name, now in (("same", shares), ("moved", other)):
            after = rng.multinomial(300, now)
            counts = [{str(at): int(n) for at, n in enumerate(each)} for each in (before, after)]
            shift = mix.population_stability(counts[0], counts[1], seed=run, permutations=199)
            found[name] += shift.p_value <= DELTA
    world = "mix of four slices, 500 calls against 300"
    yield promised(
        NAME, f"{world}, the same", "population stability says shift (p <= .05)", found["same"], runs
    )
    share = found["moved"] / runs
    yield target(NAME, f"{world}, 15 points moved", "population stability says shift", share, 0.9)


def _content(size: Size) -> Iterator[Row]:
    rng, runs = generator(NAME, "content"), size.runs(20)
    false, true = 0, 0
    for run in range(runs):
        before, after = rng.normal(size=(80, 8)), rng.normal(size=(60, 8))
        false += content.two_sample(before, after, seed=run, permutations=19).p_value <= DELTA
        after[:, 0] += 1.0
        true += content.two_sample(before, after, seed=run, permutations=19).p_value <= DELTA
    world = "embeddings of 8 dimensions, 80 calls against 60"
    yield promised(NAME, f"{world}, the same", "two-sample test says new (p <= .05)", false, runs)
    yield compared(NAME, f"{world}, one dimension off by 1 sd", "two-sample test says new", true / runs)
