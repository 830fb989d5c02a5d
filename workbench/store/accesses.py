"""Who read the text of calls, and who took it out: noted beside the work, never in its way.

Views are gathered in memory and handed to the spool every few seconds by a thread of its own, so
that a page neither waits for the store nor for the disk, whoever holds the store. A call looked
at again within ten minutes counts once. An export is noted before it is made: where that can't
be written, nothing is taken out.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import access
from workbench.errors import EnvironmentalError, StoreBusy
from workbench.store import spool

if TYPE_CHECKING:
    from workbench.store import Store

TABLE = "accesses"
FLUSH_S = 5.0
"""How long a view stays in memory at most: so much of the log a killed app loses."""

AGAIN_S = 600.0
"""Within so long the same call, seen by the same person in the same way, counts once."""

REMEMBERED = 100_000
"""Views remembered for that; beyond it the memory is begun anew, and calls may count twice."""

PARTS_KEPT = 100
"""From so many waiting parts on the log is loaded into the store unasked."""

_log = logging.getLogger(__name__)


class Kind(StrEnum):
    """What was done with the text of calls."""

    CASES = "cases"
    CASE = "case"
    REVIEW = "review"
    CONFLICT = "labels that differ"
    IMPORTS = "imports that differ"
    TRAFFIC = "traffic"
    REJECTS = "rejected lines"
    EXPORT_TABLE = "export of a table"
    EXPORT_LABELS = "export of labels"
    EXPORT_BATCH = "export of requests"
    EXPORT_GOLD = "export of right answers"
    EXPORT_REJECTS = "export of rejected lines"
    HAND_OVER = "export to a labelling tool"


@dataclass(frozen=True, slots=True)
class Access:
    """One entry of the log. `task` is None where several or none are meant; the time is UTC, without zone."""

    created_at: datetime
    actor: str
    signed_in: bool
    kind: str
    task: str | None
    calls: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What a query showed: of which kind, on which task, which calls."""

    kind: Kind
    task: str | None
    calls: tuple[str, ...]


_collected: ContextVar[list[Seen] | None] = ContextVar("workbench_seen", default=None)


@contextmanager
def collecting() -> Iterator[list[Seen]]:
    """Gather what a query shows instead of noting it: its result may be shown again without it."""
    found: list[Seen] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def viewed(store: Store, kind: Kind, task: str | None, calls: Collection[str]) -> None:
    """Note that who acts now sees the text of calls. It returns at once and opens nothing.

    Args:
        store: Whose calls.
        kind: How they are seen.
        task: Of which task; None for several or none.
        calls: Their ids.
    """
    if not calls:
        return
    seen = Seen(kind, task, tuple(calls))
    gathered = _collected.get()
    if gathered is not None:
        gathered.append(seen)
    else:
        note(store, seen)


def note(store: Store, seen: Seen) -> None:
    """Note what was gathered with `collecting`, for who acts now."""
    actor = access.current()
    _notebook(store).add((actor.name, actor.signed_in, seen.kind, seen.task or ""), seen.calls)


def exported(store: Store, kind: Kind, task: str | None, calls: int) -> None:
    """Note that who acts now takes the text of calls out, before it is done.

    Args:
        store: Whose calls.
        kind: In which form.
        task: Of which task; None for several or none.
        calls: How many.

    Raises:
        EnvironmentalError: It can't be noted, so it must not be done.
    """
    actor = access.current()
    row = _row(actor.name, actor.signed_in, kind, task or "", calls)
    try:
        spool.write_part(store.spool, TABLE, [row])
    except OSError as error:
        raise EnvironmentalError(
            f"The access log can't be written ({error.strerror or error}), so nothing was exported.",
            f"Check that {store.spool} is writable and its disk has space left.",
        ) from error


def latest(
    store: Store, limit: int = 100, *, actor: str | None = None, tasks: Sequence[str] | None = None
) -> list[Access]:
    """Return the newest entries, those that wait in the spool or in this process among them.

    Args:
        store: Where the log is.
        limit: Entries at most.
        actor: Of one person alone.
        tasks: Of these tasks alone.
    """
    _notebook(store).flush()
    try:
        store.absorb()
    except StoreBusy as error:
        _log.debug("What waits in the spool is not shown yet: %s", error)
    rows = store.rows(
        """SELECT created_at, actor, signed_in, kind, task, calls FROM accesses
           WHERE (?::VARCHAR IS NULL OR actor = ?) AND (? OR list_contains(?::VARCHAR[], task))
           ORDER BY created_at DESC, seq DESC LIMIT ?""",
        (actor, actor, tasks is None, list(tasks or ()), limit),
    )
    return [Access(**row | {"task": row["task"] or None}) for row in rows]


def flush(store: Store) -> None:
    """Hand what this process has gathered to the spool."""
    _notebook(store).flush()


class Notebook:
    """The views that this process has gathered for one store."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.pid = os.getpid()
        self._store = weakref.ref(store)
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, bool, str, str], int] = {}
        self._known: dict[tuple[Any, ...], float] = {}
        self._writer: threading.Timer | None = None

    def add(self, key: tuple[str, bool, str, str], calls: Collection[str]) -> None:
        """Count calls that were not seen by this person, in this way, a moment ago."""
        now = time.monotonic()
        with self._lock:
            if len(self._known) > REMEMBERED:
                self._known.clear()
            fresh = 0
            for call in dict.fromkeys(calls):
                last = self._known.get((*key, call))
                if last is None or now - last >= AGAIN_S:
                    self._known[*key, call] = now
                    fresh += 1
            if not fresh:
                return
            self._counts[key] = self._counts.get(key, 0) + fresh
            if self._writer is None:
                self._writer = threading.Timer(FLUSH_S, self._write)
                self._writer.daemon = True
                self._writer.start()

    def flush(self) -> None:
        """Write what was gathered as a part of the spool; what can't be written is kept for later."""
        with self._lock:
            timer, self._writer = self._writer, None
            gathered: dict[tuple[str, bool, str, str], int] = {}
            if self.folder.parent.is_dir():  # A workspace that was deleted does not come back for its log.
                gathered, self._counts = self._counts, {}
        if timer is not None:
            timer.cancel()
        if not gathered:
            return
        rows = [_row(*key, calls) for key, calls in gathered.items()]
        try:
            spool.write_part(self.folder, TABLE, rows)
        except OSError as error:
            _log.warning("The access log stays in memory, %s can't be written: %s", self.folder, error)
            with self._lock:
                for key, calls in gathered.items():
                    self._counts[key] = self._counts.get(key, 0) + calls

    def _write(self) -> None:
        self.flush()
        store = self._store()
        if store is not None and len(spool.waiting(self.folder)) >= PARTS_KEPT:
            try:
                store.absorb(wait_s=0)
            except (EnvironmentalError, RuntimeError) as error:
                _log.debug("The spool is loaded another time: %s", error)
        with self._lock:
            if self._counts and self._writer is None:
                self._writer = threading.Timer(FLUSH_S, self._write)
                self._writer.daemon = True
                self._writer.start()


def _row(actor: str, signed_in: bool, kind: str, task: str, calls: int) -> dict[str, Any]:
    return {
        "access_id": uuid.uuid4().hex,
        "created_at": datetime.now(UTC),
        "actor": actor,
        "signed_in": signed_in,
        "kind": str(kind),
        "task": task,
        "calls": calls,
    }


_notebooks: dict[Path, Notebook] = {}
_notebooks_lock = threading.Lock()


def _notebook(store: Store) -> Notebook:
    folder = Path(os.path.abspath(store.spool))  # noqa: PTH100 - links are not followed, nothing is read
    with _notebooks_lock:
        found = _notebooks.get(folder)
        if found is None or found.pid != os.getpid():
            found = _notebooks[folder] = Notebook(folder, store)
        return found


def _flush_all() -> None:
    for each in list(_notebooks.values()):
        if each.pid == os.getpid():
            each.flush()


def _after_fork() -> None:
    global _notebooks_lock
    _notebooks_lock = threading.Lock()
    _notebooks.clear()


atexit.register(_flush_all)
os.register_at_fork(after_in_child=_after_fork)
