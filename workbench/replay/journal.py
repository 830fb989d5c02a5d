"""What a running replay leaves in the spool: its parts."""

from __future__ import annotations

import asyncio
import errno
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.errors import EnvironmentalError
from workbench.replay.lease import ReplayLease
from workbench.replay.ledger import Ledger
from workbench.store.spool import write_part

PART_ROWS = 200
PART_EVERY_S = 2.0
DISK_FULL_WAIT_S = 60.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class PartWriter:
    """Collect rows and write them as parts, about every two seconds.

    Args:
        spool: The workspace's spool.
        replay_id: Whose observations.
        lease: Under which they are written.
        warn: Told when the disk is full, and when it is no longer.
    """

    def __init__(
        self, spool: Path, replay_id: str, lease: ReplayLease, warn: Callable[[str], None] = lambda _: None
    ) -> None:
        self._spool = spool
        self._lease = lease
        self._prefix = f"{replay_id}-{lease.epoch:08d}-{secrets.token_hex(4)}"
        self._count = 1
        self._ledger = Ledger(lease.answers, self._name())
        self._rows: list[dict[str, Any]] = []
        self._lock = asyncio.Lock()
        self._written_at = time.monotonic()
        self._warn = warn

    async def add(self, rows: list[dict[str, Any]]) -> None:
        """Take rows, safe from a kill from now on; write a part when there are enough."""
        self._ledger.add(rows)
        self._rows.extend(rows)
        if len(self._rows) >= PART_ROWS:
            await self.flush()

    async def flush_if_due(self) -> None:
        """Write a part if the last one is old."""
        if self._rows and time.monotonic() - self._written_at >= PART_EVERY_S:
            await self.flush()

    async def flush(self) -> None:
        """Write what there is. Waits while the disk is full.

        Raises:
            EnvironmentalError: The disk stays full, or the lease is lost.
        """
        async with self._lock:
            rows, self._rows = self._rows, []
            if not rows:
                return
            ledger, self._count = self._ledger, self._count + 1
            self._ledger = Ledger(self._lease.answers, self._name())
            # Apart and shielded: a part that was begun is finished, whatever stops the replay.
            writing = asyncio.ensure_future(self._write(rows, ledger.part))
            try:
                await asyncio.shield(writing)
            except BaseException:
                await asyncio.wait({writing})
                if writing.exception() is not None:
                    self._rows = rows + self._rows
                else:
                    ledger.remove()
                raise
            ledger.remove()
            self._written_at = time.monotonic()

    def _name(self) -> str:
        return f"{self._prefix}-{self._count:08d}"

    async def _write(self, rows: list[dict[str, Any]], name: str) -> None:
        self._lease.require()
        deadline = time.monotonic() + DISK_FULL_WAIT_S
        full = False
        while True:
            try:
                await asyncio.to_thread(write_part, self._spool, "observations", rows, name)
            except OSError as error:
                if error.errno not in _FULL or time.monotonic() > deadline:
                    raise EnvironmentalError(
                        f"{self._spool} can't be written: {error.strerror or error}.",
                        "Make room on the disk, then run the same command again: it goes on.",
                    ) from error
                full = True
                self._warn("the disk is full: waiting for room")
                await asyncio.sleep(1.0)
            else:
                if full:
                    self._warn("")
                return
