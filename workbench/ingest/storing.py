"""Loading what was read in a thread of its own, while the rest is still being read."""

from __future__ import annotations

import contextvars
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from workbench.errors import StoreBusy

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.costing.pricing import ModelPrice
    from workbench.store import Store, Writer
    from workbench.store.imports import Loaded
    from workbench.store.staging import Staging

T = TypeVar("T")

PATIENT_BYTES = 512 * 1024 * 1024
"""Others wait for the store as long as something is loaded. With files beyond this they wait only for
what is loaded after everything was read: until then, loading gives way to them and begins again."""
BEGIN_AT = 0.1
"""From which share of the records on: by then it shows how much is to come."""


def is_long(paths: Sequence[Path]) -> bool:
    """Say whether reading files takes so long that others should not wait for it."""
    return sum(each.stat().st_size for each in paths if each.is_file()) > PATIENT_BYTES


_LONGER, _SHORT_BYTES = 1.2, 128 * 1024 * 1024
"""So many times longer may two thousand rows be than the first ones were, for which memory was found; for
up to so many bytes there is enough in any case."""
_LOOK_S, _TELL_S = 0.1, 0.3
"""So often it is seen whether another process waits for the store, and told how much is loaded."""


class _Stopped(Exception):
    """The import ended early: nothing of it is to be kept."""


class _GaveWay(Exception):
    """Another process wants the store while there is still much to read."""


class _TooLong(Exception):
    """What came later is so much longer that the database may need more memory than it was given."""


class Storing:
    """One transaction that begins while files are read, if all that comes may simply be added.

    Args:
        store: Returns the open store.
        staging: Holds the parts.
        manifest_id: The import.
        wanted: Whether to begin before everything is read.
        gives_way: Whether to end the transaction when another process wants the store meanwhile.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        staging: Staging,
        manifest_id: str,
        *,
        wanted: bool,
        gives_way: bool = False,
    ) -> None:
        self._store, self._staging, self._manifest_id = store, staging, manifest_id
        self._wanted, self._gives_way, self._reading = wanted, gives_way, True
        self._loaded = 0
        self._parts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._rest: queue.SimpleQueue[Callable[[Writer, Loaded], None] | None] = queue.SimpleQueue()
        self._prices: Sequence[ModelPrice] = ()
        self._worker = ThreadPoolExecutor(1)
        self._running: Future[bool] | None = None

    def __enter__(self) -> Storing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rest.put(None)
        self._parts.put(None)
        self._worker.shutdown(wait=True)

    def settled(self, name: str) -> None:
        """Take the next part in the order of the rows.

        Raises:
            Exception: What went wrong while earlier ones were loaded.
        """
        self._parts.put(name)
        if self._running is not None and self._running.done():
            self._running.result()

    def reached(self, records: int, expected: int | None) -> None:
        """Hear how many records are read of how many, and begin if the time has come."""
        if self._wanted and self._running is None and expected and records >= BEGIN_AT * expected:
            # In the context of this thread: it says who acts.
            self._running = self._worker.submit(contextvars.copy_context().run, self._load)

    def finish(
        self,
        prices: Sequence[ModelPrice],
        rest: Callable[[Writer, Loaded], None],
        tick: Callable[[int], None],
    ) -> bool:
        """End the transaction with what comes after the parts; return False where there is none to end.

        Args:
            prices: By which the outputs' cost is reckoned.
            rest: Writes what is left, within the transaction; `ToJudge` before it began ends that.
            tick: Is told how many rows are loaded.

        Returns:
            Whether it was committed; if not, nothing was written and everything is still to be loaded.
        """
        if self._running is None:
            return False
        self._prices, self._reading = prices, False
        self._rest.put(rest)
        self._parts.put(None)
        while not wait([self._running], timeout=_TELL_S).done:
            tick(self._loaded)
        return self._running.result()

    def _load(self) -> bool:
        from workbench.store import MemoryShort, RowRefused
        from workbench.store.early import EarlyLoad, ToJudge

        ending = False
        try:
            store, run_bytes = self._store(), self._staging.longest_run(of_more=True)
            store.make_room(run_bytes)
            with store.writing() as writer:
                early = EarlyLoad(writer, self._manifest_id)
                early.take(self._tables())
                rest = self._rest.get()
                if rest is None:
                    raise _Stopped
                if self._staging.longest_run() > max(_LONGER * run_bytes, _SHORT_BYTES):
                    raise _TooLong
                loaded = early.finish(self._prices)
                ending = True
                rest(writer, loaded)
        except StoreBusy:
            if not self._gives_way:
                raise
            return False  # There is time until everything is read.
        except (ToJudge, _GaveWay, _Stopped, _TooLong):
            return False
        except (RowRefused, MemoryShort):
            if ending:  # What is counted by then would be counted twice.
                raise
            return False
        return True

    def _tables(self) -> Iterator[pa.Table]:
        while True:
            if self._gives_way and self._reading and self._store().is_wanted:
                raise _GaveWay
            try:
                name = self._parts.get(timeout=_LOOK_S if self._gives_way and self._reading else None)
            except queue.Empty:
                continue
            if name is None:
                return
            part = self._staging.part(name)
            yield part
            self._loaded += part.num_rows
