"""What was made of the store's rows, kept in this process until a table that it was read from changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.store.database import note_queries, queries_made

if TYPE_CHECKING:
    from workbench.store import Store

T = TypeVar("T")

KEPT_BYTES = 400_000_000
"""All that is kept may take so much memory; the least recently used goes first."""


TRIES = 5


class TornRead(Exception):
    """Two queries that belong together saw different rows: somebody committed between them."""


@dataclass(frozen=True, slots=True)
class _Kept:
    content: Any
    n_bytes: int
    version: int
    tables: frozenset[str]
    queries: frozenset[str]


_kept: OrderedDict[tuple[Any, ...], _Kept] = OrderedDict()
_locks: dict[tuple[Any, ...], threading.Lock] = {}
_lock = threading.Lock()


def remembered(
    store: Store, question: tuple[Any, ...], make: Callable[[], T], size_of: Callable[[T], int]
) -> T:
    """Return what `make` returned before, or what it returns now where a table that it read has changed.

    Inside a transaction it always asks, since nobody else sees what that has added so far.

    Args:
        store: Where `make` reads.
        question: What tells it from others of the same store.
        make: Reads; called again where it raises `TornRead`. Whoever gets its answer must not change it.
        size_of: How many bytes an answer takes.
    """
    if store.is_writing:
        return _made(make)
    key = (str(store.path), *question)
    with _lock:
        asking = _locks.setdefault(key, threading.Lock())
    with asking:
        with _lock:
            known = _kept.get(key)
        if known is not None and store.version_of(known.tables) == known.version:
            note_queries(known.queries)
            with _lock:
                if key in _kept:
                    _kept.move_to_end(key)
            content: T = known.content
            return content
        before = store.version()
        with queries_made() as queries:
            found = _made(make)
        tables = store.tables_of(queries)
        # Whatever was committed meanwhile may be in the answer or not: then it holds for no later look.
        version = min(store.version_of(tables), before)
        _keep(key, _Kept(found, size_of(found), version, tables, frozenset(queries)))
    return found


def located(known: NDArray[np.uint64], asked: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return where hashes stand among the known ones.

    Raises:
        TornRead: One is not known.
    """
    import pandas as pd

    codes, distinct = pd.factorize(asked)
    if not codes.size:
        return codes
    place = pd.Index(known).get_indexer(pd.Index(distinct))
    if (place < 0).any():
        raise TornRead
    return np.asarray(place[codes], dtype=np.int64)


def _made(make: Callable[[], T]) -> T:
    for _ in range(TRIES - 1):
        try:
            return make()
        except TornRead:
            continue
    return make()


def forget() -> None:
    """Forget everything."""
    with _lock:
        _kept.clear()


def _keep(key: tuple[Any, ...], kept: _Kept) -> None:
    with _lock:
        _kept.pop(key, None)
        _kept[key] = kept
        taken = sum(each.n_bytes for each in _kept.values())
        while taken > KEPT_BYTES and _kept:
            gone, least = _kept.popitem(last=False)
            taken -= least.n_bytes
            if gone != key:
                _locks.pop(gone, None)
