"""The result sink: what a running replay leaves in the spool, and how it gets into the store."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.replay.lease import ReplayLease
from workbench.replay.ledger import Ledger, unwritable
from workbench.store.spool import write_part

PART_ROWS = 2_000
"""A part has about so many rows at most: one transaction of the store loads it."""
PART_BYTES = 8 << 20
"""So many bytes of answers make a part as well, whatever their number."""
PART_EVERY_S = 2.0
"""And so many seconds do, so that who watches sees answers soon."""
TURNS = 4
"""For so many turns of the loop a group waits for more answers, while each brings some."""
PARTS_BEHIND = 2
"""With so many parts unwritten the replay waits: memory must not grow where a disk is slow."""
ABSORB_ROWS = 20_000
"""So many rows in parts are loaded into the store on the way."""
ROOM_EVERY_S = 1.0
DISK_FULL_WAIT_S = 60.0
_FULL = (errno.ENOSPC, errno.EDQUOT)

Row = Mapping[str, Any]


@dataclass(slots=True)
class _Batch:
    """The rows of one part to come, and the ledger that holds them until it is complete."""

    ledger: Ledger
    rows: list[Row] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)


class PartWriter:
    """Acknowledge answers in groups, and write them as parts, about every two seconds.

    An answer counts once `add` returns: it lies in the ledger by then. Answers that
    come close together, in a few turns of the event loop, are handed to the ledger in one
    write. On a full disk
    nothing is acknowledged: the replay stands still until there is room.

    Args:
        spool: The workspace's spool.
        replay_id: Whose observations.
        lease: Under which they are written.
        warn: Told when the disk is full, and when it is no longer (an empty text).
        absorb: Loads waiting parts into the store; called in a thread, now and then.
        table: What the answers are rows of.
    """

    def __init__(
        self,
        spool: Path,
        replay_id: str,
        lease: ReplayLease,
        warn: Callable[[str], None] = lambda _: None,
        absorb: Callable[[], object] | None = None,
        table: str = "observations",
    ) -> None:
        self._spool = spool
        self._table = table
        self._lease = lease
        self._prefix = f"{replay_id}-{lease.epoch:08d}-{secrets.token_hex(4)}"
        self._count = 0
        self._warn = warn
        self._group: list[tuple[Sequence[Row], Callable[[], object] | None, asyncio.Future[None] | None]] = []
        self.unsettled = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._full_since: float | None = None
        self._batch = self._begin()
        self._sealed: deque[_Batch] = deque()
        self._writing = asyncio.Lock()
        self._draining: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None
        self._absorb = absorb
        self._absorbing: asyncio.Task[None] | None = None
        self._to_absorb = 0

    async def add(self, rows: Sequence[Row], kept: Callable[[], object] | None = None) -> None:
        """Take rows; they are safe from a kill when this returns.

        Args:
            rows: Rows of the table.
            kept: Called in the moment they are safe, also where the caller was cancelled meanwhile.

        Raises:
            EnvironmentalError: The disk can't be written or stays full, or the lease is lost.
        """
        if not rows:
            return
        done = asyncio.get_running_loop().create_future()
        self._join(rows, kept, done)
        await done
        self._raise_failed()
        if self.is_behind:
            await self._drain()

    def take(self, rows: Sequence[Row], kept: Callable[[], object] | None = None) -> None:
        """Take rows without waiting until they are safe; `unsettled` counts those that are not yet.

        Args:
            rows: Rows of the table.
            kept: Called in the moment they are safe; never, where they do not become so.

        Raises:
            EnvironmentalError: Earlier rows could not be kept: the disk, or the lease.
        """
        self._raise_failed()
        if rows:
            self._join(rows, kept, None)

    @property
    def is_behind(self) -> bool:
        """Say whether so many parts are unwritten that no more rows should come."""
        return len(self._sealed) >= PARTS_BEHIND

    async def settle(self) -> None:
        """Wait until all rows that were taken are safe, and not too many parts unwritten.

        Raises:
            EnvironmentalError: They can't be kept: the disk, or the lease.
        """
        await self._settled.wait()
        self._raise_failed()
        if self.is_behind:
            await self._drain()

    def _join(
        self, rows: Sequence[Row], kept: Callable[[], object] | None, done: asyncio.Future[None] | None
    ) -> None:
        if not self._group:
            self._settled.clear()
            asyncio.get_running_loop().call_soon(self._gather, 0, TURNS)
        self._group.append((rows, kept, done))
        self.unsettled += len(rows)

    async def flush_if_due(self) -> None:
        """Begin a part if the oldest answer in none waits for long; who calls this does not wait for it."""
        if self._batch.rows and time.monotonic() - self._batch.since >= PART_EVERY_S:
            self._seal()
            self._drain_soon()

    async def flush(self) -> None:
        """Write what there is. Waits while the disk is full.

        Raises:
            EnvironmentalError: The disk stays full, or the lease is lost.
        """
        await self._settled.wait()
        self._seal()
        if self._draining is not None:
            await asyncio.wait({self._draining})
        self._raise_failed()
        await self._drain()

    def _raise_failed(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _begin(self) -> _Batch:
        self._count += 1
        return _Batch(Ledger(self._lease.answers, f"{self._prefix}-{self._count:08d}"))

    def _gather(self, size: int, turns: int) -> None:
        """Wait while answers keep coming: a write for each turn of the loop costs as much as a call."""
        if turns and len(self._group) > size:
            asyncio.get_running_loop().call_soon(self._gather, len(self._group), turns - 1)
        else:
            self._commit()

    def _commit(self) -> None:
        """Hand the group to the ledger, and tell all who wait."""
        batch, group = self._batch, self._group
        rows = [row for each, _, _ in group for row in each]
        try:
            self._lease.require()
            batch.ledger.add(rows)
        except OSError as error:
            now = time.monotonic()
            self._full_since = self._full_since or now
            if error.errno in _FULL and now - self._full_since < DISK_FULL_WAIT_S:
                self._warn("the disk is full: waiting for room")
                asyncio.get_running_loop().call_later(ROOM_EVERY_S, self._commit)
            else:
                self._refuse(unwritable(self._spool, error))
            return
        except WorkbenchError as error:
            self._refuse(error)
            return
        if self._full_since is not None:
            self._full_since = None
            self._warn("")
        self._group = []
        self.unsettled = 0
        self._settled.set()
        if not batch.rows:
            batch.since = time.monotonic()
        batch.rows += rows
        for _, kept, done in group:
            if kept is not None:
                kept()
            if done is not None and not done.done():
                done.set_result(None)
        if len(batch.rows) >= PART_ROWS or batch.ledger.size >= PART_BYTES:
            self._seal()
            self._drain_soon()

    def _refuse(self, error: WorkbenchError) -> None:
        """Tell all who wait that their answers do not count: they will be asked again."""
        self._failed = error
        group, self._group = self._group, []
        self._settled.set()
        for _, _, done in group:
            if done is not None and not done.done():
                done.set_exception(error)

    def _drain_soon(self) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())
            self._draining.add_done_callback(self._drained)

    def _drained(self, draining: asyncio.Task[None]) -> None:
        self._draining = None
        if not draining.cancelled():
            # Asked for in any case: an error that nobody asks for is printed with its traceback.
            error = draining.exception()
            self._failed = self._failed or error
            if self._sealed and self._failed is None:
                self._drain_soon()

    def _seal(self) -> None:
        if self._batch.rows:
            self._sealed.append(self._batch)
            self._batch = self._begin()

    async def _drain(self) -> None:
        """Write the sealed batches, oldest first; one that fails stays, and so does its ledger."""
        async with self._writing:
            while self._sealed:
                batch = self._sealed[0]
                # Apart and shielded: a part that was begun is finished, whatever stops the replay.
                writing = asyncio.create_task(self._write(batch))
                try:
                    await asyncio.shield(writing)
                finally:
                    await asyncio.wait({writing})
                    if writing.exception() is None:
                        self._sealed.popleft()
                        batch.ledger.remove()
                        self._absorb_some(len(batch.rows))

    async def _write(self, batch: _Batch) -> None:
        self._lease.require()
        deadline = time.monotonic() + DISK_FULL_WAIT_S
        full = False
        while True:
            try:
                await asyncio.to_thread(write_part, self._spool, self._table, batch.rows, batch.ledger.part)
            except OSError as error:
                if error.errno not in _FULL or time.monotonic() > deadline:
                    raise unwritable(self._spool, error) from error
                full = True
                self._warn("the disk is full: waiting for room")
                await asyncio.sleep(ROOM_EVERY_S)
            else:
                if full:
                    self._warn("")
                return

    def _absorb_some(self, rows: int) -> None:
        self._to_absorb += rows
        if self._absorb is None or self._to_absorb < ABSORB_ROWS:
            return
        if self._absorbing is None or self._absorbing.done():
            self._to_absorb = 0
            self._absorbing = asyncio.create_task(asyncio.to_thread(self._absorb_quietly))

    def _absorb_quietly(self) -> None:
        # What fails here is said by the absorbing at the end, where nothing else is lost by it.
        if self._absorb is not None:
            with contextlib.suppress(WorkbenchError, OSError):
                self._absorb()
