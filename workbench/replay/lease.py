"""The right to replay one task through one candidate: one worker at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from workbench.errors import EnvironmentalError
from workbench.replay.ledger import FOLDER, recover

LEASE_WAIT_S = 3.0


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
