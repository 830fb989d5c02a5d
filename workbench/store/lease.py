"""The turn on the store's file: one process at a time, handed over on request.

Two lock files beside the store, both taken with `flock`, so that the kernel frees
them when a process dies, however it dies:

- `<store>.lock` is held by the process that has the file open;
- `<store>.turn` is held by the one process that is next.

A process that wants the file takes the turn, waits for the lock, and lets the turn
go once it has the lock. The holder sees that the turn is taken and gives the file
up. It can't grab the file back, because for that it needs the turn as well.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import EnvironmentalError, StoreBusy

RETRY_S = 0.003
"""How often a waiting process tries again. Two system calls each time."""

_COMMAND_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has the store open, as it wrote itself down."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})" if self.command else f"process {self.pid}"


class Lease:
    """The right to open one store file.

    Args:
        store: Path of the store.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock_path = store.with_name(store.name + ".lock")
        self._turn_path = store.with_name(store.name + ".turn")
        self._lock: int | None = None
        self._turn: int | None = None

    def acquire(self, deadline: float) -> None:
        """Wait for the file.

        Args:
            deadline: When to give up, in seconds of `time.monotonic`. One try is always made.

        Raises:
            StoreBusy: Another process kept the file.
            EnvironmentalError: The folder of the store can't be written.
        """
        started = time.monotonic()
        lock = turn = None
        try:
            turn = self._open(self._turn_path)
            lock = self._open(self._lock_path)
            for descriptor in (turn, lock):
                while not _try(descriptor, fcntl.LOCK_EX):
                    if time.monotonic() >= deadline:
                        raise self.busy(time.monotonic() - started)
                    time.sleep(RETRY_S)
            fcntl.flock(turn, fcntl.LOCK_UN)
        except BaseException:
            _close(lock)
            _close(turn)
            raise
        self._lock, self._turn = lock, turn
        self.note()

    def wanted(self) -> bool:
        """Return whether another process waits for the file. Only the holder may ask."""
        if self._turn is None:
            return False
        if _try(self._turn, fcntl.LOCK_SH):
            fcntl.flock(self._turn, fcntl.LOCK_UN)
            return False
        return True

    def note(self, addition: str = "") -> None:
        """Write down who holds the file, for the message of those who wait."""
        if self._lock is None:
            return
        command = " ".join(part for part in (_command(), addition) if part)
        text = json.dumps({"pid": os.getpid(), "command": command}).encode()
        # A full disk must not keep anybody from the store: the note is a courtesy.
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, text, 0)

    def holder(self) -> Holder | None:
        """Return who wrote himself down last as holder; None if that can't be read."""
        try:
            note = json.loads(self._lock_path.read_text(encoding="utf-8"))
            return Holder(int(note["pid"]), str(note["command"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def busy(self, waited_s: float) -> StoreBusy:
        """Return the error that names the holder."""
        return busy(self._store, str(self.holder() or "another process"), waited_s)

    def release(self) -> None:
        """Let the file go; harmless if it isn't held."""
        lock, turn, self._lock, self._turn = self._lock, self._turn, None, None
        for descriptor in (lock, turn):
            if descriptor is not None:
                # A forked child may share the open file: closing alone would not unlock it.
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                _close(descriptor)

    def forget(self) -> None:
        """Drop the descriptors inherited by a forked child, leaving its parent's lock alone."""
        lock, turn, self._lock, self._turn = self._lock, self._turn, None, None
        _close(lock)
        _close(turn)

    def _open(self, path: Path) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise EnvironmentalError(
                f"{path} can't be opened for writing: {error.strerror}.",
                "The folder of the store must exist and be writable; name another in workbench.toml.",
            ) from error


def busy(store: Path, holder: str, waited_s: float) -> StoreBusy:
    """Return the error for a store that another process kept.

    Args:
        store: Path of the store.
        holder: Who has it, in words.
        waited_s: How long this process waited, in seconds.
    """
    return StoreBusy(
        f"{store} is in use by {holder}, which did not give it up within {waited_s:.1f} s.",
        "Wait until it is done, or end it, then run the same command again.",
    )


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _command() -> str:
    name = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    if name == "__main__.py":
        name = Path(sys.argv[0]).parent.name
    words = " ".join([name, *sys.argv[1:]])
    return "".join(letter for letter in words if letter.isprintable())[:_COMMAND_LENGTH]
