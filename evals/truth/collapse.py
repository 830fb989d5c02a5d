"""A candidate that has stopped giving the rare answer is caught, however high the agreement."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evals.truth.paths import ever_below, upper_crossings
from evals.truth.table import DELTA, Row, Size, compared, exactly, generator, spread, target
from workbench import ramp
from workbench.records import Basis, Policy, Recommendation
from workbench.stats import guards
from workbench.stats.audit import AuditRow, from_rows
from workbench.stats.evidence import OutcomeGroup

NAME = "label collapse"
POLICY = Policy()
CALLS, LOOKS = 1000, 4
AGREEMENT = 0.947
KEPT = 0.04
"""How often the collapsed candidate still gives the rare answer."""


def rows(size: Size) -> Iterator[Row]:
    """Yield how often collapse is caught, and how often it is seen where there is none."""
    for share in (0.10, 0.055):
        yield from _collapsed(size, share)
    yield from _healthy(size)
    crossings = upper_crossings(_agreement, guards.COLLAPSED, 500)
    world = "a group that agrees in exactly half of its calls, every n from 20 to 500"
    chance = ever_below(crossings, guards.COLLAPSED, 500, first=20)
    yield exactly(NAME, world, "ever called collapsed", chance)


def _agreement(agreements: float, n: float) -> float:
    return guards.group_agreement(OutcomeGroup("label", "rare", int(n), int(agreements)), DELTA).high


def _collapsed(size: Size, share: float) -> Iterator[Row]:
    """Collapse in a 90/10 task and in one whose rare answer makes up all that differs."""
    runs = size.runs(20, least=5)
    rng = generator(NAME, share)
    # A candidate that agrees on 94.7 % can't have lost more than 5.3 %: in a 90/10 task the rare tenth
    # is then two answers, of which it has given up one.
    lost = (1 - AGREEMENT) / (1 - KEPT)
    names = np.asarray(["common", "rare", "other"])
    chances = [1 - share, lost, max(share - lost, 0.0)]
    caught, heuristic, first = 0, 0, []
    for _ in range(runs):
        control = names[rng.choice(3, size=CALLS, p=np.asarray(chances) / sum(chances))]
        gone = (control == "rare") & (rng.random(CALLS) > KEPT)
        candidate = np.where(gone, "common", control)
        agree = np.cumsum(~gone)
        looks = np.arange(1, LOOKS + 1) * (CALLS // LOOKS)
        heuristic += bool((agree[looks - 1] > 0.95 * looks).any())
        seen = [n for n in looks.tolist() if _caught(_answer(control[:n], candidate[:n]))]
        caught += bool(seen) and seen[-1] == CALLS
        first.append(float(seen[0]) if seen else np.inf)
    world = f"{1 - share:.1%} common, one rare answer of {lost:.1%} given up, {AGREEMENT:.1%} agree"
    yield target(
        NAME, world, f"held at 0 % after {CALLS} calls", caught / runs, 0.99, error=spread(caught, runs)
    )
    yield compared(NAME, world, "calls until it is caught, median", float(np.median(first)))
    what = "more than 95 % agree: moves traffic at one of four looks"
    yield compared(NAME, world, what, heuristic / runs, spread(heuristic, runs))


def _healthy(size: Size) -> Iterator[Row]:
    runs, wrong = size.runs(20), 0
    rng = generator(NAME, "healthy")
    for _ in range(runs):
        control = np.where(rng.random(CALLS) < 0.1, "rare", "common")
        other = np.where(control == "rare", "common", "rare")
        candidate = np.where(rng.random(CALLS) > AGREEMENT, other, control)
        wrong += _caught(_answer(control, candidate))
    world = f"90/10, {AGREEMENT:.1%} agree, in both answers alike"
    yield target(NAME, world, "called collapsed", wrong / runs, 0.01, error=spread(wrong, runs), sense="<=")


def _answer(control: np.ndarray, candidate: np.ndarray) -> Recommendation:
    found = [
        AuditRow(
            f"c{at}",
            0,
            f"{at:06d}",
            agrees=first == second,
            identical=first == second,
            control_group=str(first),
            candidate_group=str(second),
        )
        for at, (first, second) in enumerate(zip(control, candidate, strict=True))
    ]
    return ramp.recommend(from_rows(found, basis=Basis.STRUCTURAL, days=10.0), POLICY)


def _caught(answer: Recommendation) -> bool:
    return answer.cap <= 0 and any(each.name == "outcome_groups" and not each.ok for each in answer.guards)
