"""How the bound on harm moved while evidence came in, and when each stage came within its reach. Pure.

The evidence is replayed in the order in which it came: calls in audit order, batch by batch, and between
the batches what people said, verdict by verdict. At every step the bound is the one that the decision
would have used with what was known then, so that the last step is the decision's own. It is one
anytime-valid process (see `harm`): looking at every step errs no more often than looking once.

Two things are taken as they are known now, at every step: how much calls of one cluster count (as in
`sensitivity`), and items that were handed out and never answered, which count as harm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from workbench.records import Basis, Estimate, LabelVerdict, Policy
from workbench.stats import guards, ladder
from workbench.stats.audit import Audit, population_of, structural_of
from workbench.stats.drawn import outcome_of
from workbench.stats.evidence import Evidence, Population, WeightedOutcome
from workbench.stats.harm import net, regressions
from workbench.stats.rows import NO_VERDICT, SEVERITY, Bools, DrawRow, Table

CALL_POINTS = 48
"""So many points a batch of calls has at most, evenly spaced in ratio, besides those at which a stage is
reached."""
LABEL_POINTS = 160
"""So many points the verdicts between two batches have at most, evenly spaced."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch of compared calls: the places from `first` up to, not including, `last` in audit order.

    `order` says when it came among batches, draws and verdicts, `at` is the time of its last answer.
    """

    first: int
    last: int
    order: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What counts for one call from a moment on: a verdict, or None where it was taken back.

    `place` is that of the call in audit order. `picked` says that nobody of the queue gave it, `elsewhere`
    that nobody gave it here.
    """

    place: int
    verdict: LabelVerdict | None
    order: int
    picked: bool = False
    elsewhere: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """The bound once so much was known: `calls` compared, `labels` of them with a standing verdict.

    `harm` is what the decision looks at (net harm where the policy asks for that), `cap` the largest
    stage that it supports. `kind` says what came last: calls or labels.
    """

    calls: int
    labels: int
    harm: Estimate
    cap: float
    kind: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """A stage of the ladder, and the first step at which the evidence supported it."""

    stage: float
    step: int


class Board(Protocol):
    """What is known at a moment, as the walk through the evidence changes it."""

    def hear(self, said: Said) -> None:
        """Take in a verdict."""

    def population(self, calls: int, order: float) -> Population:
        """Return the evidence with so many calls, and draws up to an order."""


class AuditBoard:
    """A structural comparison. Only calls that differ, or that somebody spoke of, are looked at again.

    Args:
        table: All compared calls in audit order, as they stand now.
        said: Everything that was said.
        icc: Planned correlation within a cluster.
    """

    def __init__(self, table: Table, said: Sequence[Said], icc: float) -> None:
        self._whole = structural_of(table, icc)
        doubtful = ~table.agrees | table.normalised
        doubtful[[each.place for each in said]] = True
        self._places = np.flatnonzero(doubtful)
        self._table = table.take(self._places)
        self._verdict = np.full(self._places.size, NO_VERDICT, dtype=np.int8)
        self._picked = np.zeros(self._places.size, dtype=np.bool_)
        self._elsewhere = np.zeros(self._places.size, dtype=np.bool_)

    def hear(self, said: Said) -> None:
        """Take in a verdict."""
        place = int(np.searchsorted(self._places, said.place))
        self._verdict[place] = NO_VERDICT if said.verdict is None else SEVERITY.index(said.verdict)
        self._picked[place] = said.verdict is not None and said.picked
        self._elsewhere[place] = said.verdict is not None and said.elsewhere

    def population(self, calls: int, order: float) -> Population:
        """Return the evidence of the first calls, whatever was drawn of them."""
        del order
        known = int(np.searchsorted(self._places, calls))
        before = np.arange(known)
        table = replace(
            self._table.take(before),
            verdict=self._verdict[:known],
            picked=self._picked[:known],
            elsewhere=self._elsewhere[:known],
        )
        audit = Audit.of(table)
        audited = int(self._places[audit.audited]) if audit.audited < known else calls
        effects = self._whole.disagreement_effect, self._whole.harm_effect
        return population_of(table, audit, compared=calls, audited=audited, effects=effects)


class DrawBoard:
    """A semantic comparison: draws of the queue count in their order, up to the first one still open.

    Args:
        whole: The evidence as it stands now.
        draws: Every draw in order, as it stands now.
        places: The place of each draw's call in audit order; None where it is compared no more.
        orders: When each draw was made.
        differs: Of every compared call in audit order, whether the answers differ.
    """

    def __init__(
        self,
        whole: Population,
        draws: Sequence[DrawRow],
        places: Sequence[int | None],
        orders: Sequence[int],
        differs: Bools,
    ) -> None:
        self._whole = whole
        self._draws = [
            # A draw that is answered now was open until then.
            (replace(draw, verdict=None), place, order)
            for draw, place, order in zip(draws, places, orders, strict=True)
        ]
        self._said: dict[int, Said] = {}
        self._differing = np.concatenate([[0], np.cumsum(differs, dtype=np.int64)])

    def hear(self, said: Said) -> None:
        """Take in a verdict."""
        self._said[said.place] = said
        if said.verdict is None:
            del self._said[said.place]

    def population(self, calls: int, order: float) -> Population:
        """Return the evidence of the draws up to an order."""
        outcomes = []
        for draw, place, drawn in self._draws:
            said = None if place is None else self._said.get(place)
            counts = said is not None and not said.picked
            if drawn > order or not (counts or draw.lapsed):
                break
            heard = replace(draw, verdict=said.verdict if said is not None and counts else None)
            outcomes.append(WeightedOutcome(draw.weight, outcome_of(heard)))
        return replace(
            self._whole,
            compared=calls,
            disagreements=int(self._differing[calls]),
            draws=tuple(outcomes),
            looked=sum(place < calls for place in self._said),
            unseen=sum(place < calls and said.elsewhere for place, said in self._said.items()),
        )


def walk(
    board: Board, basis: Basis, batches: Sequence[Arrival], said: Sequence[Said], policy: Policy
) -> tuple[list[Step], list[Reached]]:
    """Replay the evidence, and return its steps and when each stage was reached.

    Args:
        board: What is known; nothing yet.
        basis: What agreement proves: where it proves nothing, calls alone move no bound.
        batches: The batches in order, which hold every call once.
        said: What was said, in order.
        policy: Kind of harm, level and ladder.

    Returns:
        The steps, thinned where there are many, and for each stage that was ever supported the first of
        them at which it was. Among calls that is the very call; among more than 160 verdicts between two
        batches it is the next point that is shown.
    """
    steps: list[Step] = []
    heard = calls = 0
    order: float = 0
    for batch in batches:
        until = heard
        while until < len(said) and said[until].order < batch.order:
            until += 1
        steps += _verdicts(board, said[heard:until], calls, policy)
        heard, order = until, batch.order
        whole = basis is Basis.STRUCTURAL
        steps += _calls(board, batch, policy, max((each.cap for each in steps), default=0.0), thorough=whole)
        calls = batch.last
    steps += _verdicts(board, said[heard:], calls, policy)
    if calls:
        last = max([order, *(each.order for each in said)])
        now = board.population(calls, math.inf)
        # Items that lapsed after the last verdict.
        if not steps or now != board.population(calls, last):
            steps.append(_step(now, policy, "labels", None))
    return steps, reached(steps, policy)


def reached(steps: Sequence[Step], policy: Policy) -> list[Reached]:
    """Return for each stage above 0 the first step that supports it; stages never supported are left out."""
    found = []
    for stage in policy.ladder[1:]:
        first = next((n for n, each in enumerate(steps) if each.cap >= stage - ladder.EPSILON), None)
        if first is not None:
            found.append(Reached(stage, first))
    return found


def limits(policy: Policy) -> list[tuple[float, float]]:
    """Return (bound, stage): the largest stage that each bound still supports, the largest bound first."""
    found: dict[float, float] = {}
    for stage in policy.ladder[1:]:
        bound = ladder.bound_needed(stage, policy)
        supported = ladder.cap_of(bound, policy)
        if supported > 0:
            # 0.01 / 0.05 is not quite 0.2.
            found[round(bound, 9)] = supported
    return sorted(found.items(), reverse=True)


def _calls(board: Board, batch: Arrival, policy: Policy, best: float, *, thorough: bool) -> list[Step]:
    if batch.last <= batch.first:
        return []

    def at(calls: int) -> Step:
        when = batch.at if calls == batch.last else None
        return _step(board.population(calls, batch.order), policy, "calls", when)

    if not thorough:
        return [at(batch.last)]
    wanted = np.geomspace(batch.first + 1, batch.last, CALL_POINTS).round().astype(int)
    found: list[Step] = []
    before = batch.first
    for calls in sorted({*wanted.tolist(), batch.last}):
        step = at(calls)
        for stage in policy.ladder[1:]:
            if best + ladder.EPSILON < stage <= step.cap + ladder.EPSILON:
                low, high = before, calls
                while high - low > 1:
                    middle = (low + high) // 2
                    if at(middle).cap >= stage - ladder.EPSILON:
                        high = middle
                    else:
                        low = middle
                if high < calls and (not found or found[-1].calls < high):
                    found.append(at(high))
                before = high
        best = max(best, step.cap)
        found.append(step)
        before = calls
    return found


def _verdicts(board: Board, said: Sequence[Said], calls: int, policy: Policy) -> list[Step]:
    shown = set(np.linspace(0, len(said) - 1, min(len(said), LABEL_POINTS)).round().astype(int).tolist())
    found = []
    for number, each in enumerate(said):
        board.hear(each)
        if calls and number in shown:
            found.append(_step(board.population(calls, each.order), policy, "labels", each.at))
    return found


def _step(population: Population, policy: Policy, kind: str, at: datetime | None) -> Step:
    delta = policy.delta
    judged = net(population, delta) if policy.harm == "net" else regressions(population, delta)
    evidence = Evidence(task=population)
    cap = ladder.cap_of(judged.estimate.high, policy)
    seen = guards.looked_at(evidence, policy, cap)
    if not seen.ok:
        cap = min(cap, seen.ceiling)
    if not guards.enough_pairs(evidence, policy).ok:
        cap = 0.0
    return Step(population.compared, population.looked, judged.estimate, cap, kind, at)
