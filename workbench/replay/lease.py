"""The right to replay one task through one candidate: one worker at a time, each with a higher epoch.

A lease is a file whose name ends in its epoch. Its holder keeps it locked, so that the
kernel frees it when the process ends, however it ends, and writes into it every second
that it lives. Who finds it free, or its holder silent for too long (stopped, or hung),
makes the file of the next epoch: only one can. A holder that wakes up again sees that
its file is gone and writes nothing more; what it wrote unseen in that moment is refused
by its epoch where parts are loaded (see `workbench.store.fence`). The method is that of
fencing tokens: Gray and Cheriton, Leases, 1989; Burrows, The Chubby lock service, 2006.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from workbench.errors import EnvironmentalError
from workbench.replay.ledger import FOLDER, recover

LEASE_WAIT_S = 3.0
"""How long a worker waits for a holder that is about to end."""
SILENCE_S = 30.0
"""A holder that has not been heard of for so long is taken for stopped; WORKBENCH_LEASE_S sets it."""
REPLAYING = "replaying this task through this candidate"
_NOTE_BYTES = 512
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class LeaseLost(EnvironmentalError):
    """Another worker took the replay over; this one may write nothing more."""

    @classmethod
    def of_this_worker(cls) -> LeaseLost:
        """Return the error for a worker that finds its lease gone."""
        return cls(
            "This worker was silent for too long and lost its lease: another worker goes on with the "
            "replay, or the lease was removed.",
            "What was answered before is kept. Run the same command again to watch or go on.",
        )


class ReplayLease:
    """The right to replay one task through one candidate.

    Args:
        spool: The workspace's spool.
        name: What is leased: task and fingerprint.
        wait_s: How long to wait for a holder that is about to end.
        above: The epoch is higher than this: the last one that the store knows.
        doing: What its holder does, for the message to others.

    Raises:
        EnvironmentalError: Another process holds it; the message names that process.
    """

    def __init__(
        self,
        spool: Path,
        name: str,
        wait_s: float = LEASE_WAIT_S,
        above: int = 0,
        doing: str = REPLAYING,
    ) -> None:
        self._doing = doing
        self.answers = spool / FOLDER / name
        self.silence_s = float(os.environ.get("WORKBENCH_LEASE_S", SILENCE_S))
        self._spool = spool
        self._folder = spool / "leases"
        self._name = name
        self._pulsed: float | None = None
        self._ended = threading.Event()
        self._since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._take(wait_s, above)
        except OSError as error:
            raise EnvironmentalError(
                f"{self._folder} can't be written: {error.strerror or error}.",
                "Make room or mend the folder's rights, then run the same command again.",
            ) from error
        threading.Thread(target=self._live, name="lease", daemon=True).start()

    def _take(self, wait_s: float, above: int) -> int:
        deadline = time.monotonic() + wait_s
        heard: tuple[object, float] = (None, time.monotonic())
        while True:
            newest, path = self._newest()
            note = None if path is None else _holder_of(path)
            if path is None or note is None:
                if (descriptor := self._claim(max(newest, above) + 1)) is not None:
                    return descriptor
                continue
            now = time.monotonic()
            beat = (note.get("epoch"), note.get("beat"))
            heard = heard if heard[0] == beat else (beat, now)
            here = note.get("boot") == boot_id()
            silent_s = now - (float(note.get("beat") or now) if here else heard[1])
            if silent_s >= self.silence_s:
                if (descriptor := self._claim(max(newest, above) + 1)) is not None:
                    return descriptor
                continue
            # The clock of another machine says nothing here: its silence is waited for.
            if now >= deadline and (here or heard[1] > deadline - wait_s):
                raise self._busy(note, silent_s)
            time.sleep(0.05)

    def _busy(self, note: dict[str, Any], silent_s: float) -> EnvironmentalError:
        who = f"Process {note.get('pid', '?')} on {note.get('host', '?')}"
        wait = "Watch it in the app, or wait" if self._doing == REPLAYING else "Wait"
        hint = f"{wait} until it ends; then the same command goes on."
        if silent_s > self.silence_s / 3:
            who = f"{who}, not heard of for {silent_s:.0f} s,"
            hint = f"After {self.silence_s:g} s of silence the same command takes over."
        since = note.get("since", "?")
        return EnvironmentalError(f"{who} is {self._doing} since {since}.", hint)

    def _newest(self) -> tuple[int, Path | None]:
        """Return the highest epoch that was ever taken, with its file."""
        pattern = re.compile(re.escape(self._name) + r"\.(\d{8})\.lease")
        found = [
            (int(match[1]), Path(entry.path))
            for entry in os.scandir(self._folder)
            if (match := pattern.fullmatch(entry.name))
        ]
        return max(found, default=(0, None), key=lambda each: each[0])

    def _claim(self, epoch: int) -> int | None:
        """Make the file of an epoch, locked from its first moment; None where another was faster."""
        path = self._folder / f"{self._name}.{epoch:08d}.lease"
        unfinished = self._folder / f".{self._name}.{secrets.token_hex(8)}"
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self.epoch = epoch
            os.pwrite(descriptor, self._note(), 0)
            try:
                os.link(unfinished, path)
            except OSError as error:
                if error.errno not in _NO_LINKS or path.exists():
                    raise
                unfinished.rename(path)
        except BaseException as error:
            os.close(descriptor)
            unfinished.unlink(missing_ok=True)
            if isinstance(error, FileExistsError):
                return None
            raise
        unfinished.unlink(missing_ok=True)
        if self._newest()[0] != epoch:
            # Slept between looking and taking: others have come and gone meanwhile.
            path.unlink(missing_ok=True)
            os.close(descriptor)
            return None
        for entry in list(os.scandir(self._folder)):
            older = re.fullmatch(re.escape(self._name) + r"\.(\d{8})\.lease", entry.name)
            if older and int(older[1]) < epoch:
                Path(entry.path).unlink(missing_ok=True)
        return descriptor

    def _note(self) -> bytes:
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "boot": boot_id(),
            "since": self._since,
            "epoch": self.epoch,
            "beat": time.monotonic() if self._pulsed is None else self._pulsed,
        }
        # One length, one write: a reader never sees half a note.
        return msgspec.json.encode(note).ljust(_NOTE_BYTES)

    def _live(self) -> None:
        """Say every second that this worker lives, until it ends or has lost the lease."""
        while not self._ended.wait(min(1.0, self.silence_s / 5)):
            with contextlib.suppress(OSError):
                if not self.held():
                    return
                os.pwrite(self._descriptor, self._note(), 0)

    @contextmanager
    def pulsed(self) -> Iterator[None]:
        """Count as alive in this block only while `pulse` is called: a loop that hangs is silent."""
        self._pulsed = time.monotonic()
        try:
            yield
        finally:
            self._pulsed = None

    def pulse(self) -> None:
        """Say that the loop turns."""
        self._pulsed = time.monotonic()

    def held(self) -> bool:
        """Say whether the lease still stands. Costs a microsecond."""
        if self._ended.is_set():
            return False
        try:
            return os.fstat(self._descriptor).st_nlink > 0
        except OSError:
            return False

    def require(self) -> None:
        """See that the lease still stands before something is written under it.

        Raises:
            LeaseLost: Its file was removed, or another process took the replay over.
        """
        if not self.held():
            raise LeaseLost.of_this_worker()

    def recover(self, table: str = "observations") -> int:
        """Hand in the answers that an earlier holder had not yet written as parts; return how many."""
        return recover(self._spool, self.answers, table)

    def close(self) -> None:
        """Let another process have it. Its file stays, so that epochs only rise."""
        self._ended.set()
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)

    def __enter__(self) -> ReplayLease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _holder_of(path: Path) -> dict[str, Any] | None:
    """Return what the holder of a lease wrote down, or None where nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            found = msgspec.json.decode(os.pread(descriptor, _NOTE_BYTES, 0))
        except msgspec.DecodeError:
            return {}
        return found if isinstance(found, dict) else {}
    else:
        return None
    finally:
        os.close(descriptor)


@cache
def boot_id() -> str:
    """Return what tells this start of this machine from others: its monotonic clock is one."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()
