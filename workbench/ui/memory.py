"""Answers of the store, kept until a table that they rest on changes."""

from __future__ import annotations

import json
import os
import pickle
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from workbench.store import Store, queries_made

R = TypeVar("R")
Question = tuple[str, ...]

LOG_VARIABLE = "WORKBENCH_QUERY_LOG"
"""Environment variable that names a file for the time that each question of a page took."""
KEPT = 400
KEPT_S = 120.0
"""What is said may depend on the time: an item offered to a reviewer lapses without a commit."""
ARRIVING = frozenset({"observations", "replay_events", "absorbed_parts", "leases"})
"""Tables that grow every second while a replay runs or people label."""
CHEAP_S = 0.1
HOLD = 20.0
MOST_HOLD_S = 30.0
"""An answer that took long to work out is kept for twenty times as long, and half a minute at most,
while all that happens is that answers of a running replay come in."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as bytes, so that nobody changes it, with what it is true for.

    `decided` and `arrived` are the numbers (see `Store.version_of`) of the tables that it read:
    of those that decide, and of those that only arrive.
    """

    content: bytes
    tables: frozenset[str]
    decided: int
    arrived: int
    since_s: float
    took_s: float

    def holds(self, store: Store) -> bool:
        """Say whether it would be the same now, or nearly."""
        age_s = time.monotonic() - self.since_s
        if age_s > KEPT_S or store.version_of(self.tables - ARRIVING) != self.decided:
            return False
        hold_s = 0.0 if self.took_s < CHEAP_S else min(HOLD * self.took_s, MOST_HOLD_S)
        return age_s < hold_s or store.version_of(self.tables & ARRIVING) == self.arrived


_kept: OrderedDict[Question, Kept] = OrderedDict()
_locks: dict[Question, threading.Lock] = {}
_lock = threading.Lock()


def answer(question: Question, store: Store, call: Callable[[], R]) -> R:
    """Return what is remembered of a question, or ask, once for all who ask at the same time.

    Args:
        question: What tells it from others.
        store: What it is put to.
        call: Asks it. What it returns can be pickled.
    """
    began = time.monotonic()
    with _lock:
        asking = _locks.setdefault(question, threading.Lock())
    with asking:
        with _lock:
            known = _kept.get(question)
        is_new = known is None or not known.holds(store)
        if known is None or is_new:
            known = _asked(store, call)
        with _lock:
            _kept[question] = known
            _kept.move_to_end(question)
            while len(_kept) > KEPT:
                gone, _ = _kept.popitem(last=False)
                _locks.pop(gone, None)
    _note(question, time.monotonic() - began, is_new)
    found: R = pickle.loads(known.content)  # noqa: S301 - bytes that this process wrote, kept in its memory
    return found


def forget() -> None:
    """Forget everything, so that it is asked again."""
    with _lock:
        _kept.clear()


def _note(question: Question, took_s: float, is_new: bool) -> None:
    """Write down how long a question took, where a benchmark wants to know: its name alone, no data.

    `asked` says that the store was asked, and nothing was remembered.
    """
    if log := os.environ.get(LOG_VARIABLE):
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123 - one short line, appended at once
            line = {"question": question[-2], "ms": round(1000 * took_s, 3), "asked": is_new}
            file.write(json.dumps(line) + "\n")


def _asked(store: Store, call: Callable[[], R]) -> Kept:
    before, since_s = store.version(), time.monotonic()
    with queries_made() as queries:
        found = call()
    tables = store.tables_of(queries)
    # Whatever was committed meanwhile may be in the answer or not: then it holds for no later look.
    decided = min(store.version_of(tables - ARRIVING), before)
    arrived = min(store.version_of(tables & ARRIVING), before)
    took_s = time.monotonic() - since_s
    return Kept(pickle.dumps(found), tables, decided, arrived, since_s, took_s)
