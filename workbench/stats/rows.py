"""Looked-at calls and draws of the queue as records, and the same calls as columns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.records import LabelVerdict
from workbench.stats.cluster import numbered

SEVERITY = (
    LabelVerdict.CANDIDATE_BETTER,
    LabelVerdict.EQUAL,
    LabelVerdict.BOTH_BAD,
    LabelVerdict.CONTROL_BETTER,
)
"""Verdicts from best to worst for the candidate."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One compared call, repeat 0, of a closed batch.

    `batch` numbers batches in the order they were closed, over all replays.
    `identical` says that the raw outputs are equal. `verdict` is the one people
    arrived at (see `combine`). `lapsed` says that it was drawn, then skipped or its
    lease ran out, without a verdict since. `picked` says that its verdict came by
    hand, by import or from a gold answer rather than from the queue, `elsewhere` that nobody
    gave it here: it is from an import or a gold answer alone. `confirmed` says of
    a pair that agrees only after normalisation that a second reviewer, or the lapse
    of the second review, confirmed the harm. `critical` says that a critical label
    or field differs, `critical_reason` that a reviewer called the harm critical.
    `fields` holds, for each required field of the control, whether it agrees, and `labels`,
    where answers hold several labels, for each guarded one of the control whether the candidate
    gives it, too.
    """

    call_id: str
    batch: int
    audit_key: str
    agrees: bool
    identical: bool = False
    invalid: bool = False
    ignored: bool = False
    session: str | None = None
    request_hash: str | None = None
    verdict: LabelVerdict | None = None
    lapsed: bool = False
    picked: bool = False
    elsewhere: bool = False
    confirmed: bool = False
    critical: bool = False
    critical_reason: bool = False
    control_group: str | None = None
    candidate_group: str | None = None
    slices: tuple[tuple[str, str], ...] = ()
    fields: Mapping[str, bool] = field(default_factory=dict)
    labels: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DrawRow:
    """One draw of the queue, in draw order.

    `verdict` None without `lapsed` means that the draw is still open. `probability` is
    that of its stratum when it was drawn, `weight` the stratum's share over it. `focus` is
    the slice (name, value) whose mismatches the draw was aimed at; None where at all of them. Where it is no
    slice, `aimed_at` holds the ids of its calls.
    `batches` counts the batches it was drawn from; None stands for all that there are.
    """

    call_id: str
    weight: float
    verdict: LabelVerdict | None = None
    lapsed: bool = False
    critical_reason: bool = False
    focus: tuple[str, str] | None = None
    batches: int | None = None
    aimed_at: frozenset[str] | None = None


def combine(verdicts: Sequence[LabelVerdict], adjudicated: LabelVerdict | None = None) -> LabelVerdict | None:
    """Return the verdict that counts: the adjudicated one, else the worst for the candidate.

    Args:
        verdicts: The standing verdict of each reviewer.
        adjudicated: What an adjudicator decided, if anyone did.
    """
    if adjudicated is not None:
        return adjudicated
    return max(verdicts, key=SEVERITY.index, default=None)


def in_audit_order(rows: Iterable[AuditRow]) -> list[AuditRow]:
    """Return rows in the order in which disagreements are to be labelled."""
    return sorted(rows, key=lambda row: (row.batch, row.audit_key, row.call_id))


NO_VERDICT = -1
_PLACES = {None: NO_VERDICT} | {verdict: number for number, verdict in enumerate(SEVERITY)}
WORSE, BETTER = SEVERITY.index(LabelVerdict.CONTROL_BETTER), SEVERITY.index(LabelVerdict.CANDIDATE_BETTER)

Bools = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Table:
    """Compared calls in audit order, one array of length n for each property of `AuditRow`.

    `verdict` is the place in `SEVERITY`, or -1. `session` and `request` number the
    clusters; a call without one has a number of its own. An invalid output is a
    disagreement, whatever the comparator made of it.
    """

    agrees: Bools
    identical: Bools
    invalid: Bools
    verdict: NDArray[np.int8]
    lapsed: Bools
    picked: Bools
    elsewhere: Bools
    confirmed: Bools
    critical: Bools
    critical_reason: Bools
    session: Places
    request: Places

    @classmethod
    def of(cls, ordered: Sequence[AuditRow]) -> Table:
        """Return rows that stand in audit order as columns."""
        verdicts = [place_of_verdict(row.verdict) for row in ordered]
        return cls(
            agrees=_flags(row.agrees and not row.invalid for row in ordered),
            identical=_flags(row.identical for row in ordered),
            invalid=_flags(row.invalid for row in ordered),
            verdict=np.asarray(verdicts, dtype=np.int8),
            lapsed=_flags(row.lapsed for row in ordered),
            picked=_flags(row.picked for row in ordered),
            elsewhere=_flags(row.elsewhere for row in ordered),
            confirmed=_flags(row.confirmed for row in ordered),
            critical=_flags(row.critical for row in ordered),
            critical_reason=_flags(row.critical_reason for row in ordered),
            session=numbered([row.session for row in ordered]),
            request=numbered([row.request_hash for row in ordered]),
        )

    def __len__(self) -> int:
        return int(self.agrees.size)

    def take(self, places: Places, agrees: Bools | None = None) -> Table:
        """Return some of the calls.

        Args:
            places: Which, ascending.
            agrees: What counts as agreement instead: then there is nothing to normalise.
        """
        columns: dict[str, Any] = {name: getattr(self, name)[places] for name in self.__slots__}
        found = Table(**columns)
        if agrees is None:
            return found
        return replace(found, agrees=agrees & ~found.invalid, identical=agrees)

    @property
    def clusters(self) -> tuple[Places, Places]:
        """Return the number of each call's session and of its request."""
        return self.session, self.request

    @property
    def looked(self) -> Bools:
        """Return which calls have a verdict of any source."""
        return np.asarray(self.verdict != NO_VERDICT, dtype=np.bool_)

    @property
    def unseen(self) -> Bools:
        """Return which calls have a verdict that nobody gave here."""
        return self.looked & self.elsewhere

    @property
    def harmful(self) -> Bools:
        """Return which calls were found worse."""
        return np.asarray(self.verdict == WORSE, dtype=np.bool_)

    @property
    def better(self) -> Bools:
        """Return which calls were found better."""
        return np.asarray(self.verdict == BETTER, dtype=np.bool_)

    @property
    def settled(self) -> Bools:
        """Return which calls have a verdict of any source, or lapsed."""
        return self.looked | self.lapsed

    @property
    def normalised(self) -> Bools:
        """Return which pairs agree only after normalisation."""
        return self.agrees & ~self.identical

    def counting(self, covered: bool) -> Bools:
        """Return which verdicts count: all of them only where they cover everything in doubt."""
        return self.looked if covered else self.looked & ~self.picked


@dataclass(frozen=True, slots=True, eq=False)
class Differing:
    """All disagreements of a structural comparison, in audit order.

    `places` says where each stands among all compared calls, from 0 and ascending: a label reaches as far
    as the next one that is open.
    """

    table: Table
    places: Places

    @classmethod
    def of(cls, table: Table) -> Differing:
        """Return those of all compared calls, which stand in audit order."""
        where = np.flatnonzero(~table.agrees)
        return cls(table.take(where), where)

    @property
    def nbytes(self) -> int:
        """Return how much memory it takes."""
        columns = (getattr(self.table, name) for name in self.table.__slots__)
        return sum(each.nbytes for each in (self.places, *columns))


def place_of_verdict(verdict: LabelVerdict | None) -> int:
    """Return where a verdict stands in `SEVERITY`, or -1."""
    return _PLACES[verdict]


def _flags(values: Iterable[bool]) -> Bools:
    return np.fromiter(values, dtype=np.bool_)


def count(marked: Bools) -> int:
    """Return how many calls are marked."""
    return int(np.count_nonzero(marked))
