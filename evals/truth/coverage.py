"""Every bound against known rates, with a look after every call."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import binom

from evals.truth.paths import (
    Law,
    ever,
    ever_above,
    ever_below,
    lower_crossings,
    upper_crossings,
    wilson_upper,
)
from evals.truth.table import DELTA, Row, Size, compared, exactly, generator, promised
from workbench.stats import bounds, harm, weighted
from workbench.stats.evidence import Population

NAME = "coverage"
RATES = (0.01, 0.05, 0.20)
MORE_RATES = (0.005, 0.01, 0.03, 0.05, 0.10, 0.20, 0.40)
SNAPSHOTS = ((59, 0.05), (200, 0.02), (1000, 0.05))
SETTINGS = (
    # disagreement, harm among them, how many of 100 disagreements lapse, cleared out of order
    ("9 % disagree, 2 % harm", 0.09, 2 / 9, 0.0, False),
    ("5 % disagree, all harm", 0.05, 1.0, 0.0, False),
    ("30 % disagree, 5 % harm", 0.30, 1 / 6, 0.0, True),
    ("12 % disagree, 3 % harm, one in ten lapses", 0.12, 0.25, 0.1, True),
)


def rows(size: Size) -> Iterator[Row]:
    """Yield the error rate of each bound."""
    yield from _anytime(size)
    yield from _snapshot()
    yield from _audited(size)
    yield from _weighted(size)
    yield from _net(size)


def _anytime(size: Size) -> Iterator[Row]:
    limit = 5000 if size.scale > 1 else 1000 if size.scale == 1 else 400
    for rate in MORE_RATES if size.scale > 1 else RATES:
        world = f"{rate:.1%} bad, every n to {limit}"
        above = upper_crossings(lambda bad, n: bounds.anytime_upper(bad, n, DELTA), rate, limit)
        below = lower_crossings(lambda bad, n: bounds.anytime_lower(bad, n, DELTA), rate, limit)
        yield exactly(NAME, world, "anytime upper bound ever below the truth", ever_below(above, rate, limit))
        yield exactly(NAME, world, "anytime lower bound ever above the truth", ever_above(below, rate, limit))
        wilson = ever(lambda bad, n, p=rate: wilson_upper(bad, n, DELTA) < p, rate, limit, first=1)  # type: ignore[misc]
        yield compared(NAME, world, "Wilson, the same looks", wilson)
        exact = upper_crossings(lambda bad, n: bounds.exact_upper(bad, n, DELTA), rate, limit)
        yield compared(NAME, world, "Clopper-Pearson, the same looks", ever_below(exact, rate, limit))


def _snapshot() -> Iterator[Row]:
    for n, rate in SNAPSHOTS:
        bad = np.arange(n + 1)
        wrong = np.asarray([bounds.exact_upper(int(each), n, DELTA) < rate for each in bad])
        chance = float(binom.pmf(bad[wrong], n, rate).sum())
        world = f"{rate:.1%} bad, one look at n = {n}"
        yield exactly(NAME, world, "exact upper bound below the truth", chance)
        wrong = wilson_upper(bad.astype(np.float64), n, DELTA) < rate
        yield compared(NAME, world, "Wilson, the same look", float(binom.pmf(bad[wrong], n, rate).sum()))


def _audited(size: Size) -> Iterator[Row]:
    """Structural: a replay of 600 calls, then 100 a day; labels come in order, a look after each."""
    for world, disagree, harmful, lapse, scattered in SETTINGS if size.scale >= 1 else SETTINGS[::3]:
        runs, truth = size.runs(300), disagree * harmful
        rng = generator(NAME, world)

        def covers(point: tuple[int, ...], truth: float = truth) -> bool:
            harms, clean, standing, fine, unseen = point
            task = Population(
                compared=standing - fine,
                disagreements=standing,
                audited=harms - clean,
                audited_disagreements=1 - unseen,
                harms=harms,
                looked=1,
            )
            return harm.regressions(task, DELTA).estimate.high >= truth

        law = Law(covers)
        missed = sum(
            not all(law(point) for point in _audit_path(rng, disagree, harmful, lapse, scattered))
            for _ in range(runs)
        )
        yield promised(NAME, f"{world}; labels in order", "harm bound ever below the truth", missed, runs)


def _audit_path(
    rng: np.random.Generator, disagree: float, harmful: float, lapse: float, scattered: bool
) -> Iterator[tuple[int, ...]]:
    """Yield states as (harms, -clean audited, standing disagreements, -agreeing or cleared, not begun)."""
    total = 1000
    differs = rng.random(total) < disagree
    bad = differs & (rng.random(total) < harmful)
    lapsed = differs & (rng.random(total) < lapse)
    places = np.flatnonzero(differs)
    early = set(rng.choice(places, places.size // 5, replace=False).tolist()) if scattered else set()
    seen = 600
    judged = np.zeros(total, dtype=np.bool_)
    judged[sorted(early)] = True
    for turn, place in enumerate(places):
        seen = min(max(600, int(place) + 1) + 100 * (turn // 20), total)
        judged[place] = True
        waiting = places[~judged[places]]
        audited = min(int(waiting[0]) if waiting.size else seen, seen)
        counted = judged[:seen] & ~lapsed[:seen]
        cleared = int((counted & ~bad[:seen]).sum())
        standing = int(differs[:seen].sum()) - cleared
        inside = slice(audited)
        harms = int(((bad | lapsed) & differs)[inside].sum())
        begun = bool((differs & ~lapsed)[inside].any()) or not differs[:seen].any()
        yield harms, harms - audited, standing, standing - seen, 0 if begun else 1


def _weighted(size: Size) -> Iterator[Row]:
    """Draws by a fixed plan from two kinds of calls, a look after every draw."""
    plans = (
        ("80/20 queue, 7 % mismatches, 3.3 % harm", 0.07, 0.4, 0.005, 0.8 * 0.07 + 0.2),
        ("80/20 queue, 7 % mismatches, harm hidden in matches", 0.07, 0.05, 0.05, 0.8 * 0.07 + 0.2),
        ("5/95 plan, 7 % mismatches, harm hidden in matches", 0.07, 0.2, 0.05, 0.95),
    )
    for world, share, in_mismatch, in_match, aim in plans if size.scale >= 1 else plans[::2]:
        runs, draws = size.runs(200), 300 if size.scale >= 1 else 150
        heavy, light = (1 - share) / (1 - aim), share / aim
        truth = share * in_mismatch + (1 - share) * in_match
        largest = max(heavy, light)

        def covers(
            point: tuple[int, ...],
            truth: float = truth,
            values: tuple[float, ...] = (heavy, light, 0.0),
            largest: float = largest,
        ) -> bool:
            counts = (point[0], point[1], -point[2])
            return weighted.upper(values, DELTA, weight_max=largest, counts=counts) >= truth

        law, rng = Law(covers), generator(NAME, world)
        missed = 0
        for _ in range(runs):
            mismatch = rng.random(draws) < aim
            bad = rng.random(draws) < np.where(mismatch, in_mismatch, in_match)
            first, second = np.cumsum(bad & ~mismatch), np.cumsum(bad & mismatch)
            clean = np.cumsum((~bad).astype(np.int64))
            missed += not all(
                law(point) for point in zip(first.tolist(), second.tolist(), (-clean).tolist(), strict=True)
            )
        yield promised(NAME, world, "weighted bound ever below the truth", missed, runs)


def _net(size: Size) -> Iterator[Row]:
    """Worse minus better, a look after every tenth call."""
    for worse, better in ((0.05, 0.03), (0.04, 0.09)):
        runs, total = size.runs(120), 300
        truth = worse - better
        sign = -1 if truth > 0 else 1

        def covers(point: tuple[int, ...], truth: float = truth, sign: int = sign) -> bool:
            bad, good, equal = point[0], -point[1], sign * point[2]
            n = bad + good + equal
            task = Population(
                compared=n,
                disagreements=bad + good,
                audited=n,
                audited_disagreements=bad + good,
                harms=bad,
                audited_better=good,
                cleared=good,
                cleared_better=good,
                looked=bad + good,
            )
            return harm.net(task, DELTA).estimate.high >= truth

        law, world = Law(covers), f"{worse:.0%} worse, {better:.0%} better"
        rng = generator(NAME, world)
        missed = 0
        for _ in range(runs):
            drawn = rng.random(total)
            bad, good = np.cumsum(drawn < worse), np.cumsum(drawn > 1 - better)
            looks = range(19, total, 10)
            missed += not all(
                law((int(bad[at]), -int(good[at]), sign * (at + 1 - int(bad[at]) - int(good[at]))))
                for at in looks
            )
        yield promised(NAME, world, "bound on the balance ever below the truth", missed, runs)
