"""Slices of a task's calls, worked out for all of them at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.slices import name_of
from workbench.specs import EvalConfig
from workbench.stats.calls import SliceKeys, inside, traffic
from workbench.stats.cluster import DENSE
from workbench.stats.rows import Bools, Places
from workbench.store.remembered import remembered
from workbench.store.slicing import sliced_calls

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class Sliced:
    """Which slices each usable call of a task belongs to.

    Attributes:
        seq: Number of each call in the store, ascending.
        kind: Place in `kinds` of each call.
        kinds: Each set of slices that occurs.
    """

    seq: Places
    kind: Places
    kinds: tuple[SliceKeys, ...]

    def traffic(self) -> Counter[SliceKeys]:
        """Return how many calls there are of each set of slices."""
        return traffic(self.kind, self.kinds)

    def of(self, seq: pd.Series[Any]) -> tuple[Places, tuple[SliceKeys, ...]]:
        """Return the kinds of some of the calls; a call that is not usable belongs to no slice.

        Args:
            seq: Their numbers in the store.
        """
        asked = seq.to_numpy(dtype=np.int64)
        if not self.seq.size:
            return np.zeros(asked.size, dtype=np.int64), ((),)
        place = places_of(self.seq, asked)
        known = self.seq[place] == asked
        kind = self.kind[place]
        if known.all():
            return kind, self.kinds
        return np.where(known, kind, len(self.kinds)), (*self.kinds, ())

    def inside(self, key: tuple[str, str]) -> Bools:
        """Return which calls belong to a slice."""
        return inside(self.kind, self.kinds, key)


def places_of(seqs: Places, asked: Places) -> Places:
    """Return where numbers stand among others, which are ascending; any place for one that isn't there."""
    first, span = int(seqs[0]), int(seqs[-1] - seqs[0]) + 1
    if span > DENSE * seqs.size:
        return np.minimum(np.searchsorted(seqs, asked), seqs.size - 1)
    # Most often they follow each other, and looking up is faster than searching.
    place = np.zeros(span, dtype=np.int64)
    place[seqs - first] = np.arange(seqs.size)
    found: Places = place[np.clip(asked - first, 0, span - 1)]
    return found


def sliced(store: Store, config: EvalConfig) -> Sliced | None:
    """Return the slices that an eval declares, of every usable call of its task; None if it declares none."""
    if not config.slices:
        return None
    return remembered(
        store,
        ("sliced", config.task, config.slices),
        lambda: _sliced(store, config),
        lambda found: found.seq.nbytes + found.kind.nbytes,
    )


def _sliced(store: Store, config: EvalConfig) -> Sliced:
    seq, parts = sliced_calls(store, config.task, config.slices)
    kind = np.zeros(seq.size, dtype=np.int64)
    known: list[SliceKeys] = [()]
    for rule, (values, own) in zip(config.slices, parts, strict=True):
        joined, kind = _numbered(kind * max(len(values), 1) + own)
        pairs: Iterable[tuple[int, int]] = (divmod(code, max(len(values), 1)) for code in joined)
        known = [(*known[before], (name_of(rule), values[value])) for before, value in pairs]
    return Sliced(seq, kind, tuple(known))


def _numbered(codes: Places) -> tuple[list[int], Places]:
    """Return each number that occurs, ascending, and for every call the place of its own."""
    counts = np.bincount(codes)
    occurring = np.flatnonzero(counts)
    place = np.zeros(counts.size, dtype=np.int64)
    place[occurring] = np.arange(occurring.size)
    return occurring.tolist(), place[codes]
