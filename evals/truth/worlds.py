"""Tasks with a known share of harm, and reviewers who find it, as the rows that the workbench reads."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from workbench.records import Basis, LabelVerdict, Verdict
from workbench.sampling import Exhausted, PoolItem, QueueDraw, next_draw
from workbench.stats.audit import AuditRow, DrawRow, from_rows
from workbench.stats.evidence import Evidence

PLANNED_WEIGHT_MAX = 1.25


@dataclass(frozen=True, slots=True)
class World:
    """What is true of a task: how often outputs differ, and how often each kind is harm (0..1)."""

    differing: float
    harm_differing: float
    harm_agreeing: float = 0.0

    @property
    def harm(self) -> float:
        """Return the true share of calls that get worse."""
        return self.differing * self.harm_differing + (1 - self.differing) * self.harm_agreeing


class Calls:
    """Calls of a world, more of them as days go by. What a reviewer would say is fixed by the call."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self.world, self.rng = world, rng
        self.rows: list[AuditRow] = []
        self.harmful: list[bool] = []

    def add(self, n: int, batch: int) -> None:
        """Compare more calls, as one closed batch in audit order."""
        differs = self.rng.random(n) < self.world.differing
        rates = np.where(differs, self.world.harm_differing, self.world.harm_agreeing)
        harmful = self.rng.random(n) < rates
        start = len(self.rows)
        self.rows += [
            AuditRow(
                call_id=f"c{start + place}",
                batch=batch,
                audit_key=f"{place:06d}",
                agrees=not differing,
                identical=not differing,
            )
            for place, differing in enumerate(differs.tolist())
        ]
        self.harmful += harmful.tolist()

    def verdict(self, place: int) -> LabelVerdict:
        """Return what a reviewer says of a call."""
        return LabelVerdict.CONTROL_BETTER if self.harmful[place] else LabelVerdict.EQUAL

    @property
    def harm(self) -> float:
        """Return the share of harm among the calls that are there."""
        return sum(self.harmful) / len(self.harmful)


class Audit:
    """A structural task: reviewers label disagreements in audit order."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.labels = 0
        self._next = 0

    def label(self, n: int) -> None:
        """Label the next disagreements."""
        rows = self.calls.rows
        while n and self._next < len(rows):
            place = self._next
            if not rows[place].agrees:
                rows[place] = replace(rows[place], verdict=self.calls.verdict(place))
                n, self.labels = n - 1, self.labels + 1
            self._next += 1

    def evidence(self, days: float) -> Evidence:
        """Return what is known."""
        return from_rows(self.calls.rows, basis=Basis.STRUCTURAL, days=days)


class Queue:
    """A semantic task: reviewers label what the queue draws."""

    def __init__(self, calls: Calls, seed: int) -> None:
        self.calls, self.seed = calls, seed
        self.draws: list[DrawRow] = []
        self._drawn: dict[str, float] = {}
        self._pool: list[PoolItem] = []

    @property
    def labels(self) -> int:
        """Return how many draws were labelled."""
        return len(self.draws)

    def label(self, n: int) -> None:
        """Label what the queue draws next, as far as it goes."""
        for _ in range(n):
            drawn = self.draw()
            if drawn is None:
                return
            verdict = self.calls.verdict(int(drawn.call_id[1:]))
            self.draws.append(DrawRow(drawn.call_id, drawn.weight, verdict))

    def draw(self) -> QueueDraw | None:
        """Draw the next call; None where the queue has run out."""
        for row in self.calls.rows[len(self._pool) :]:
            kind = Verdict.MATCH if row.agrees else Verdict.MISMATCH
            self._pool.append(PoolItem(row.call_id, kind, 0.9 if row.agrees else 0.4))
        drawn = next_draw(self._pool, self._drawn, seed=self.seed, position=len(self._drawn))
        if isinstance(drawn, Exhausted):
            return None
        self._drawn[drawn.call_id] = drawn.weight
        return drawn

    def evidence(self, days: float) -> Evidence:
        """Return what is known."""
        return from_rows(
            self.calls.rows,
            basis=Basis.SEMANTIC,
            draws=self.draws,
            weight_max=PLANNED_WEIGHT_MAX,
            days=days,
        )


def compared_call(at: int, is_harmed: bool, slices: tuple[tuple[str, str], ...] = ()) -> AuditRow:
    """Return a call that differs and was judged worse, or agrees to the letter.

    Args:
        at: Its place in the order of the audit.
        is_harmed: Which of both.
        slices: Name and value of each slice that holds it.
    """
    return AuditRow(
        f"c{at}",
        0,
        f"{at:06d}",
        agrees=not is_harmed,
        identical=not is_harmed,
        verdict=LabelVerdict.CONTROL_BETTER if is_harmed else None,
        slices=slices,
    )
