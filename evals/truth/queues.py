"""Who chooses what is labelled: biased and adaptive queues certify nothing that is not so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from evals.truth.paths import Law
from evals.truth.table import DELTA, Row, Size, compared, generator, promised, spread, target
from evals.truth.worlds import Audit, Calls, Queue, World
from workbench import ramp
from workbench.records import Basis, LabelVerdict, Policy
from workbench.stats import audit, harm, weighted
from workbench.stats.audit import DrawRow, from_rows

NAME = "queues"
POLICY = Policy()
HIDDEN = World(0.08, 0.15, 0.053)
"""6 % harm, most of it in texts that look alike."""
SHOWN = World(0.08, 0.20, 0.0)
"""1.6 % harm, all of it in mismatches."""
LOOKS = range(20, 301, 20)
AIM = 0.95


def rows(size: Size) -> Iterator[Row]:
    """Yield what each way to choose labels certifies."""
    yield from _disagreements_only(size)
    yield from _picked(size)
    yield from _plan(size)
    yield from _mix(size)
    yield from _adaptive(size)


def _certified(cap: float) -> bool:
    return cap >= POLICY.ladder[-1]


def _disagreements_only(size: Size) -> Iterator[Row]:
    """Structural: labels on disagreements alone are enough, and honest."""
    for rate, what in ((0.06, "false"), (0.015, "true")):
        runs, certified = size.runs(120), 0
        rng = generator(NAME, "structural", rate)
        for _ in range(runs):
            task = Audit(Calls(World(0.09, rate / 0.09), rng))
            task.calls.add(800, batch=0)
            for _ in range(8):
                task.label(10)
                known = harm.regressions(audit.structural(task.calls.rows), DELTA).estimate
                if known.high <= POLICY.tolerance:
                    certified += 1
                    break
        world = f"structural, {rate:.1%} harm, labels on disagreements only, a look after every tenth"
        if what == "false":
            yield promised(NAME, world, "ever certifies 5 %", certified, runs)
        else:
            yield target(
                NAME, world, "ever certifies 5 %", certified / runs, 0.95, error=spread(certified, runs)
            )


def _picked(size: Size) -> Iterator[Row]:
    """Labels picked by hand: the harmless disagreements only, or all of a semantic task's mismatches."""
    runs = size.runs(60, least=12)
    rng = generator(NAME, "picked")
    structural, semantic = 0, 0
    for _ in range(runs):
        calls = Calls(World(0.09, 0.06 / 0.09), rng)
        calls.add(600, batch=0)
        easy = [
            replace(row, verdict=LabelVerdict.EQUAL, picked=True) if not row.agrees and not bad else row
            for row, bad in zip(calls.rows, calls.harmful, strict=True)
        ]
        known = ramp.recommend(from_rows(easy, basis=Basis.STRUCTURAL, days=10.0), POLICY)
        structural += _certified(known.cap)
        calls = Calls(HIDDEN, rng)
        calls.add(600, batch=0)
        mismatches = [
            row if row.agrees else replace(row, verdict=calls.verdict(place), picked=True)
            for place, row in enumerate(calls.rows)
        ]
        known = ramp.recommend(from_rows(mismatches, basis=Basis.SEMANTIC, days=10.0), POLICY)
        semantic += known.cap > 0
    yield promised(
        NAME, "structural, 6 % harm, only harmless disagreements picked", "certifies 5 %", structural, runs
    )
    yield promised(
        NAME, "semantic, 6 % harm, every mismatch labelled by hand", "allows any live traffic", semantic, runs
    )


def _plan(size: Size) -> Iterator[Row]:
    """Semantic, 5 of 100 labels on matches: honest, but it certifies next to nothing."""
    for world, name, what in (
        (HIDDEN, "6 % harm, hidden in matches", "false"),
        (SHOWN, "1.6 % harm", "true"),
    ):
        runs, certified = size.runs(40, least=10), 0
        rng = generator(NAME, "5/95", name)
        for _ in range(runs):
            calls = Calls(world, rng)
            calls.add(2000, batch=0)
            draws, largest = _biased_draws(calls, rng)
            for n in (100, 200, 300):
                known = audit.semantic(calls.rows, draws[:n], weight_max=largest)
                if harm.regressions(known, DELTA).estimate.high <= POLICY.tolerance:
                    certified += 1
                    break
        text = f"semantic, {name}, 5/95 plan, 300 labels"
        if what == "false":
            yield promised(NAME, text, "ever certifies 5 %", certified, runs)
        else:
            yield compared(NAME, text, "ever certifies 5 %", certified / runs, spread(certified, runs))


def _biased_draws(calls: Calls, rng: np.random.Generator) -> tuple[list[DrawRow], float]:
    kinds: tuple[list[int], list[int]] = ([], [])
    for place, row in enumerate(calls.rows):
        kinds[not row.agrees].append(place)
    share = len(kinds[1]) / len(calls.rows)
    weights = (1 - share) / (1 - AIM), share / AIM
    draws = []
    for mismatch in (rng.random(300) < AIM).tolist():
        place = int(rng.choice(kinds[mismatch]))
        draws.append(DrawRow(f"c{place}", weights[mismatch], calls.verdict(place)))
    return draws, max(weights)


def _mix(size: Size) -> Iterator[Row]:
    """Semantic, the product's own queue, a look after every tenth draw."""
    cases = (
        (HIDDEN, "6 % harm, hidden in matches", "false"),
        (World(0.08, 0.60, 0.002), "5 % harm, in mismatches", "false"),
        (SHOWN, "1.6 % harm, in mismatches", "true"),
    )
    for world, name, what in cases:
        runs, certified, below, outside = size.runs(24, least=12), 0, 0, 0
        rng = generator(NAME, "80/20", name)
        for run in range(runs):
            calls = Calls(world, rng)
            calls.add(300 if what == "false" else 600, batch=0)
            task = Queue(calls, seed=run)
            sure, wrong, far = False, False, False
            for _ in LOOKS if what == "true" else LOOKS[:8]:
                task.label(20)
                known = audit.semantic(calls.rows, task.draws, weight_max=1.25)
                high = harm.regressions(known, DELTA).estimate.high
                wrong, far = wrong or high < calls.harm, far or high < world.harm
                sure = sure or high <= POLICY.tolerance
                if sure and what == "true":
                    break
            certified, below, outside = certified + sure, below + wrong, outside + far
        text = f"semantic, {name}, 80/20 queue, a look after every 20th label"
        if what == "true":
            share, error = certified / runs, spread(certified, runs)
            yield target(NAME, text, "certifies 5 % within 300 labels", share, 0.85, error=error, runs=runs)
            continue
        yield promised(NAME, text, "bound ever below the harm of the compared calls", below, runs)
        yield promised(NAME, text, "bound ever below the harm of all traffic", outside, runs)
        if world.harm > POLICY.tolerance:
            yield promised(NAME, text, "ever certifies 5 %", certified, runs)


def _adaptive(size: Size) -> Iterator[Row]:
    """A queue that aims at the kind of call where most harm was found so far."""
    shares, rates = np.asarray([0.70, 0.22, 0.08]), np.asarray([0.02, 0.10, 0.15])
    truth, draws = float(shares @ rates), 200
    heavy = shares / (0.8 * shares + 0.2)
    largest = 1 / 0.8
    values = (*heavy.tolist(), largest, 0.0)

    def covers(point: Sequence[int]) -> bool:
        counts = (*point[:4], -point[4])
        return weighted.upper(values, DELTA, weight_max=largest, counts=counts) >= truth

    law, rng = Law(covers), generator(NAME, "adaptive")
    runs, missed = size.runs(200), 0
    for _ in range(runs):
        counts, seen, found = [0, 0, 0, 0, 0], np.ones(3), np.full(3, 0.5)
        covered = True
        for turn, (first, second) in enumerate(rng.random((draws, 2)).tolist(), start=1):
            aim = int(np.argmax(found / seen))
            chances = 0.8 * shares
            chances[aim] += 0.2
            kind = min(int(np.searchsorted(np.cumsum(chances), first)), 2)
            bad = second < rates[kind]
            seen[kind] += 1
            found[kind] += bad
            if bad:
                counts[kind if kind == aim else 3] += 1
            else:
                counts[4] -= 1
            if turn % 5 == 0 and covered:
                covered = law(counts)
        missed += not covered
    world = f"three kinds of calls, {truth:.1%} harm, aimed at the kind found worst, a look after every 5th"
    yield promised(NAME, world, "bound ever below the truth", missed, runs)
