"""What a running replay leaves in the spool: its lease, its parts, its heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from workbench.errors import EnvironmentalError
from workbench.replay.ledger import FOLDER, Ledger, recover
from workbench.store.spool import write_part

PART_ROWS = 200
PART_EVERY_S = 2.0
LEASE_WAIT_S = 3.0
DISK_FULL_WAIT_S = 60.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class ReplayLease:
    """The right to replay one task through one candidate; the kernel frees it when the process ends.

    Args:
        spool: The workspace's spool.
        name: What is leased: task and fingerprint.
        wait_s: How long to wait for a holder that is about to end.

    Raises:
        EnvironmentalError: Another process holds it; the message names that process.
    """

    def __init__(self, spool: Path, name: str, wait_s: float = LEASE_WAIT_S) -> None:
        self.answers = spool / FOLDER / name
        self._spool = spool
        folder = spool / "leases"
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}.lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = self._read()
                    os.close(self._descriptor)
                    raise EnvironmentalError(
                        f"Process {holder.get('pid', '?')} on {holder.get('host', '?')} is replaying this "
                        f"task through this candidate since {holder.get('since', '?')}.",
                        "Watch it in the app, or wait until it ends; then the same command goes on.",
                    ) from None
                time.sleep(0.05)
        self.epoch = int(self._read().get("epoch", 0)) + 1
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
            "epoch": self.epoch,
        }
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, msgspec.json.encode(note), 0)

    def _read(self) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(os.pread(self._descriptor, 4096, 0))
        except (OSError, msgspec.DecodeError):
            return {}
        return found if isinstance(found, dict) else {}

    def require(self) -> None:
        """See that the lease still stands before something is written under it.

        Raises:
            EnvironmentalError: Its file was removed or another process took it.
        """
        with contextlib.suppress(OSError):
            here, there = os.fstat(self._descriptor), self._path.stat()
            if here.st_ino == there.st_ino and self._read().get("epoch") == self.epoch:
                return
        raise EnvironmentalError(
            f"This replay lost its lease: {self._path} was removed or taken over.",
            "What was answered before is kept. Run the same command again to go on.",
        )

    def recover(self) -> int:
        """Hand in the answers that a killed holder had not yet written as parts; return how many."""
        return recover(self._spool, self.answers)

    def close(self) -> None:
        """Let another process have it."""
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)

    def __enter__(self) -> ReplayLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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


@dataclass(slots=True)
class Heartbeat:
    """Where a running replay stands, written each second for whoever watches."""

    spool: Path
    replay_id: str
    total: int
    before: int
    state: str = "running"
    note: str = ""
    done: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    in_flight: int = 0
    _started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Return how long this run has lasted."""
        return max(time.monotonic() - self._started, 1e-9)

    @property
    def calls_per_s(self) -> float:
        """Return the calls answered a second in this run."""
        return self.done / self.seconds

    def document(self) -> dict[str, Any]:
        """Return the heartbeat as plain data."""
        left = self.total - self.before - self.done
        rate = self.calls_per_s
        return {
            "replay_id": self.replay_id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "at": time.time(),
            "state": self.state,
            "note": self.note,
            "done": self.before + self.done,
            "total": self.total,
            "errors": self.errors,
            "retries": self.retries,
            "in_flight": self.in_flight,
            "calls_per_s": rate,
            "tokens_per_s": self.output_tokens / self.seconds,
            "eta_s": left / rate if rate > 0 and self.state == "running" else None,
        }

    def write(self) -> None:
        """Write the heartbeat in one step; a full disk is no reason to stop."""
        with contextlib.suppress(OSError):
            path = progress_path(self.spool, self.replay_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}.tmp")
            unfinished.write_bytes(msgspec.json.encode(self.document()))
            unfinished.replace(path)


def progress_path(spool: Path, replay_id: str) -> Path:
    """Return where a replay's heartbeat lies."""
    return spool / "progress" / f"{replay_id}.json"


def read_heartbeat(spool: Path, replay_id: str) -> Mapping[str, Any] | None:
    """Return a replay's last heartbeat, or None where there is none that can be read."""
    try:
        found = msgspec.json.decode(progress_path(spool, replay_id).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return found if isinstance(found, dict) else None
