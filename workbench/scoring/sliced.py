"""Slices of a task's calls, worked out for all of them at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.slices import column_of, entry_values, name_of
from workbench.specs import EvalConfig, SliceRule
from workbench.stats.calls import SliceKeys, inside, traffic
from workbench.stats.rows import Bools, Places
from workbench.store import comparisons as rows

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class Sliced:
    """Which slices each usable call of a task belongs to.

    Attributes:
        seq: Number of each call in the store, ascending.
        kind: Place in `kinds` of each call.
        kinds: Each set of slices that occurs.
        call_ids: Id of each call.
    """

    seq: Places
    kind: Places
    kinds: tuple[SliceKeys, ...]
    call_ids: pd.Series[Any]

    def traffic(self) -> Counter[SliceKeys]:
        """Return how many calls there are of each set of slices."""
        return traffic(self.kind, self.kinds)

    def of(self, seq: pd.Series[Any]) -> tuple[Places, tuple[SliceKeys, ...]]:
        """Return the kinds of some of the calls; a call that is not usable belongs to no slice.

        Args:
            seq: Their numbers in the store.
        """
        asked = seq.to_numpy(dtype=np.int64)
        place = np.minimum(np.searchsorted(self.seq, asked), max(self.seq.size - 1, 0))
        if not self.seq.size:
            return np.zeros(asked.size, dtype=np.int64), ((),)
        known = self.seq[place] == asked
        kind = self.kind[place]
        if known.all():
            return kind, self.kinds
        return np.where(known, kind, len(self.kinds)), (*self.kinds, ())

    def inside(self, key: tuple[str, str]) -> Bools:
        """Return which calls belong to a slice."""
        return inside(self.kind, self.kinds, key)


def sliced(store: Store, config: EvalConfig) -> Sliced | None:
    """Return the slices that an eval declares, of every usable call of its task; None if it declares none."""
    if not config.slices:
        return None
    wanted = [rule.by for rule in config.slices if rule.by.startswith("attributes.")]
    frame = rows.traffic_frame(store, config.task, wanted)
    n = len(frame)
    kind = np.zeros(n, dtype=np.int64)
    known: list[SliceKeys] = [()]
    sources: dict[str, tuple[Places, list[Any]]] = {}
    for rule in config.slices:
        column = column_of(rule)
        if column not in sources:
            codes, distinct = pd.factorize(frame[column])
            # A missing value has code -1: the last entry.
            entries = [*map(_whole, distinct.tolist()), None]
            sources[column] = np.where(codes < 0, len(entries) - 1, codes), entries
        codes, entries = sources[column]
        values, value = _coded(rule, entries, codes)
        joined, kind = np.unique(kind * max(len(values), 1) + value, return_inverse=True)
        pairs = (divmod(code, max(len(values), 1)) for code in joined.tolist())
        known = [(*known[before], (name_of(rule), values[own])) for before, own in pairs]
    return Sliced(frame["seq"].to_numpy(dtype=np.int64), kind, tuple(known), frame["call_id"])


def _coded(rule: SliceRule, entries: list[Any], codes: Places) -> tuple[list[str], Places]:
    """Return the values of a slice, and for every call the place of its value."""
    counts = np.bincount(codes, minlength=len(entries)).tolist()
    number_of: dict[str, int] = {}
    own = [number_of.setdefault(each, len(number_of)) for each in entry_values(rule, entries, counts)]
    return list(number_of), np.asarray(own, dtype=np.int64)[codes]


def _whole(entry: Any) -> Any:
    """Return a whole number as one: a column with a missing value holds its numbers as fractions."""
    return int(entry) if isinstance(entry, float) and entry.is_integer() else entry
