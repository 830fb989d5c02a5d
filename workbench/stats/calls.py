"""Compared calls as columns: what the evidence is computed from, a million of them in a second. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from workbench.stats.rows import AuditRow, Bools, Places, Table, in_audit_order

SliceKeys = tuple[tuple[str, str], ...]
"""(name, value) of every slice that a call belongs to."""

NO_NAME = -1


@dataclass(frozen=True, slots=True)
class Named:
    """A name for each call: `codes` are places in `names`, or -1 where a call has none."""

    names: tuple[str, ...]
    codes: Places

    @classmethod
    def of(cls, values: Iterable[str | None]) -> Named:
        """Return names as they come, one a call."""
        number: dict[str, int] = {}
        codes = [NO_NAME if name is None else number.setdefault(name, len(number)) for name in values]
        return cls(tuple(number), np.asarray(codes, dtype=np.int64))

    def places(self, among: Bools | None = None) -> Iterator[tuple[str, Places]]:
        """Yield each name with the places of its calls, ascending; names without calls are left out.

        Args:
            among: Only calls that are marked here.
        """
        known = self.codes != NO_NAME
        if among is not None:
            known &= among
        where = np.flatnonzero(known)
        for code, members in grouped(self.codes[where]):
            yield self.names[code], where[members]


@dataclass(frozen=True, slots=True)
class Calls:
    """Compared calls in audit order: `table` as columns, and beside it what groups them.

    Attributes:
        table: Properties that are true or false, verdicts and clusters.
        batch: Number of each call's batch, ascending.
        place_of: Where a call stands, by its id; of at least every call that was drawn or aimed at by its id.
        kind: Place in `kinds` of the slices that each call belongs to.
        kinds: Each set of slices that occurs.
        control: Outcome group of the frontier's answer.
        candidate: Outcome group of the candidate's.
        whole: Which calls are in the group of `control`: all that have one, but for those whose
            answer is guarded part by part.
        parts: By (kind, name) of a field or label, the calls whose control has it and
            whether the candidate agrees on it.
        ignored: How many differ only in what the eval ignores.
        logged: Comparable calls of each call's session in the log, 0 without a session; None says
            that all of them were compared.
    """

    table: Table
    batch: Places
    place_of: Mapping[str, int]
    kind: Places
    kinds: tuple[SliceKeys, ...]
    control: Named
    candidate: Named
    whole: Bools
    parts: Mapping[tuple[str, str], tuple[Places, Bools]] = field(default_factory=dict)
    ignored: int = 0
    logged: Places | None = None

    @classmethod
    def of(cls, rows: Iterable[AuditRow], session_calls: Mapping[str, int] | None = None) -> Calls:
        """Return rows in any order as columns.

        Args:
            rows: Compared calls, each once.
            session_calls: Comparable calls of the log by session.
        """
        ordered = in_audit_order(rows)
        number: dict[SliceKeys, int] = {}
        kind = [number.setdefault(row.slices, len(number)) for row in ordered]
        logged = None
        if session_calls is not None:
            sizes = [0 if row.session is None else session_calls.get(row.session, 0) for row in ordered]
            logged = np.asarray(sizes, dtype=np.int64)
        return cls(
            table=Table.of(ordered),
            batch=np.asarray([row.batch for row in ordered], dtype=np.int64),
            place_of={row.call_id: place for place, row in enumerate(ordered)},
            kind=np.asarray(kind, dtype=np.int64),
            kinds=tuple(number),
            control=Named.of(row.control_group for row in ordered),
            candidate=Named.of(row.candidate_group for row in ordered),
            whole=np.asarray(
                [row.control_group is not None and row.control_group not in row.labels for row in ordered],
                dtype=np.bool_,
            ),
            parts=_parts(ordered),
            ignored=sum(row.ignored for row in ordered),
            logged=logged,
        )

    def __len__(self) -> int:
        return len(self.table)

    def inside(self, key: tuple[str, str]) -> Bools:
        """Return which calls belong to a slice."""
        return inside(self.kind, self.kinds, key)

    def traffic(self) -> Counter[SliceKeys]:
        """Return how many calls there are of each set of slices."""
        return traffic(self.kind, self.kinds)

    def slices(self) -> dict[tuple[str, str], Places]:
        """Return where the calls of each slice stand, ascending."""
        occurring = np.flatnonzero(np.bincount(self.kind, minlength=len(self.kinds))).tolist()
        members: dict[tuple[str, str], Bools] = {}
        for number in occurring:
            for key in self.kinds[number]:
                members.setdefault(key, np.zeros(len(self.kinds), dtype=np.bool_))[number] = True
        return {key: np.flatnonzero(each[self.kind]) for key, each in members.items()}

    def groups(self, named: Iterable[tuple[str, str]] = ()) -> Iterator[tuple[str, str, Places, Bools, bool]]:
        """Yield kind, name, the calls of each outcome group, which of them agree there, and whether by part.

        By part means that not the whole answers agree or differ, but one field or label of them.

        Args:
            named: (kind, name) of groups that are yielded even where they have no calls.
        """
        nowhere = np.zeros(0, dtype=np.int64)
        whole = {name: nowhere for kind, name in named if kind == "label"}
        parts = {key: (nowhere, nowhere.astype(np.bool_)) for key in named if key[0] != "label"}
        whole |= dict(self.control.places(self.whole))
        parts |= self.parts
        for name, places in whole.items():
            if ("label", name) not in parts:
                yield "label", name, places, self.table.agrees[places], False
        for (kind, name), (places, agrees) in parts.items():
            yield kind, name, places, agrees, True


def inside(kind: Places, kinds: Sequence[SliceKeys], key: tuple[str, str]) -> Bools:
    """Return which calls belong to a slice: `kind` is the place of each call's slices in `kinds`."""
    return np.isin(kind, [number for number, keys in enumerate(kinds) if key in keys])


def traffic(kind: Places, kinds: Sequence[SliceKeys]) -> Counter[SliceKeys]:
    """Return how many calls there are of each of `kinds`: `kind` is the place of each call's slices there."""
    counts = np.bincount(kind, minlength=len(kinds)).tolist()
    return Counter(dict(zip(kinds, counts, strict=True)))


def grouped(codes: Places) -> Iterator[tuple[int, Places]]:
    """Yield each number that occurs with its places, both ascending."""
    if not codes.size:
        return
    # Small numbers are sorted by their digits, which takes a tenth of the time.
    narrow = codes.astype(np.uint16) if codes.min() >= 0 and codes.max() < 1 << 16 else codes
    order = np.argsort(narrow, kind="stable")
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    for members in np.split(order, cuts):
        yield int(codes[members[0]]), members


def _parts(ordered: Sequence[AuditRow]) -> dict[tuple[str, str], tuple[Places, Bools]]:
    found: dict[tuple[str, str], tuple[list[int], list[bool]]] = {}
    for place, row in enumerate(ordered):
        for kind, kept in (("label", row.labels), ("field", row.fields)):
            for name, agrees in kept.items():
                places, agreeing = found.setdefault((kind, name), ([], []))
                places.append(place)
                agreeing.append(agrees)
    return {
        key: (np.asarray(places, dtype=np.int64), np.asarray(agreeing, dtype=np.bool_))
        for key, (places, agreeing) in found.items()
    }
