"""Calls that come in clusters: what the design effect gives back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evals.truth.table import DELTA, Row, Size, compared, generator, promised, spread
from workbench.records import Policy
from workbench.stats import bounds, cluster

NAME = "clusters"
ICC, CLUSTERS, EACH = 0.25, 60, 10
RATES = (0.05, 0.10)
FIRST, FEWEST = 3, cluster.FEW_CLUSTERS
"""Clusters at the first look, and those below which a share stays at 10 %, whatever the bound says."""
LIKE_ONE = 1.0
"""Correlation where all calls of a session are right, or all wrong."""


def rows(size: Size) -> Iterator[Row]:
    """Yield the error rates with and without the correction."""
    for rate in RATES if size.scale >= 1 else RATES[:1]:
        runs = size.runs(300, least=200)
        rng = generator(NAME, rate)
        narrow = rate * (1 - ICC) / ICC, (1 - rate) * (1 - ICC) / ICC
        chances = rng.beta(*narrow, size=(runs, CLUSTERS))
        bad = rng.random((runs, CLUSTERS, EACH)) < chances[:, :, None]
        world = f"{rate:.0%} bad, correlation {ICC}, {CLUSTERS} clusters of {EACH}"
        missed = dict.fromkeys(("anytime", "looks", "early", "exact", "plain", "plain looks"), 0)
        for outcomes in bad.reshape(runs, -1).astype(np.float64):
            for name, wrong in _errors(outcomes, rate).items():
                missed[name] += wrong
        yield promised(
            NAME, world, "corrected anytime bound below the truth, one look", missed["anytime"], runs
        )
        what = f"corrected anytime bound ever below it, a look after every fifth cluster from {FEWEST} on"
        yield promised(NAME, world, what, missed["looks"], runs)
        for name, what in (
            (
                "early",
                f"corrected anytime bound, looks from {FIRST} clusters on (a share stays at 10 % there)",
            ),
            ("exact", "corrected exact bound, one look (approximate: .065 in statistics.md)"),
            ("plain", "uncorrected exact bound, one look"),
            ("plain looks", f"uncorrected anytime bound, looks from {FIRST} clusters on"),
        ):
            yield compared(NAME, world, what, missed[name] / runs, spread(missed[name], runs))
    yield from _alike(size)


def _alike(size: Size) -> Iterator[Row]:
    """Yield what happens where calls of a session are wholly alike, and the policy plans for less."""
    rate, runs = RATES[0], size.runs(300, least=200)
    bad = generator(NAME, "alike").random((runs, CLUSTERS)) < rate
    planned, told = 0, 0
    for sessions in bad:
        outcomes = np.repeat(sessions, EACH).astype(np.float64)
        planned += _ever_below(outcomes, rate, Policy().icc)
        told += _ever_below(outcomes, rate, LIKE_ONE)
    world = f"{rate:.0%} bad, correlation {LIKE_ONE:g}, {CLUSTERS} clusters of {EACH}"
    what = f"corrected anytime bound ever below it, looks from {FEWEST} clusters on"
    yield compared(
        NAME,
        world,
        f"{what}, icc {Policy().icc:g} as in a plain policy",
        planned / runs,
        spread(planned, runs),
    )
    yield promised(NAME, world, f"{what}, icc {LIKE_ONE:g} in the policy", told, runs)


def _ever_below(outcomes: np.ndarray, rate: float, icc: float) -> bool:
    ids = np.repeat(np.arange(CLUSTERS), EACH)
    for count in range(FEWEST, CLUSTERS + 1):
        n = count * EACH
        effect = cluster.design_effect(outcomes[:n], [ids[:n]], icc)
        if bounds.anytime(float(outcomes[:n].sum()), n, DELTA, deff=effect.value).high < rate:
            return True
    return False


def _errors(outcomes: np.ndarray, rate: float) -> dict[str, bool]:
    ids = np.repeat(np.arange(CLUSTERS), EACH)
    looks, early, plain = False, False, False
    for count in (*range(FIRST, FEWEST), *range(FEWEST, CLUSTERS + 1, 5)):
        n = count * EACH
        bad = float(outcomes[:n].sum())
        effect = cluster.design_effect(outcomes[:n], [ids[:n]], Policy().icc)
        corrected = bounds.anytime(bad, n, DELTA, deff=effect.value).high < rate
        early = early or corrected
        looks = looks or (corrected and count >= FEWEST)
        plain = plain or bounds.anytime_upper(bad, n, DELTA) < rate
    return {
        "anytime": corrected,
        "looks": looks,
        "early": early,
        "exact": bounds.exact(bad, n, DELTA, deff=effect.value).high < rate,
        "plain": bounds.exact_upper(bad, n, DELTA) < rate,
        "plain looks": plain,
    }
