"""One server at a time on a GPU: locks that hold for all processes of this machine.

One lock file a device in the folder for temporary files, taken with `flock`, so that the
kernel frees it when its holder ends, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from workbench.errors import EnvironmentalError

RETRY_S = 0.2


class DeviceLock:
    """The right to run a server on some devices of this machine.

    Args:
        devices: Their names. All are taken in the order given: sorted names can't deadlock.
        folder: Where lock files lie; that of temporary files unless given.
    """

    def __init__(self, devices: Sequence[str], folder: Path | None = None) -> None:
        self.devices = tuple(devices)
        self._folder = folder or Path(tempfile.gettempdir())
        self._held: list[int] = []

    async def acquire(self, wait_s: float, purpose: str, say: Callable[[str], None]) -> None:
        """Wait for all devices.

        Args:
            wait_s: How long to wait, in seconds.
            purpose: What they are wanted for, for the message of those who wait then.
            say: Told whom this waits for.

        Raises:
            EnvironmentalError: Another process kept one; the message names it.
        """
        deadline = time.monotonic() + wait_s
        try:
            for device in self.devices:
                await self._take(device, deadline, wait_s, purpose, say)
        except BaseException:
            self.release()
            raise

    async def _take(
        self, device: str, deadline: float, wait_s: float, purpose: str, say: Callable[[str], None]
    ) -> None:
        path = self._folder / f"shadow-workbench-device-{re.sub(r'[^A-Za-z0-9-]', '_', device)}.lock"
        descriptor = _open(path)
        try:
            while not _try(descriptor):
                holder = _holder(descriptor)
                if time.monotonic() >= deadline:
                    raise EnvironmentalError(
                        f"Device {device} is taken: {holder} runs a server on it, and did not end it "
                        f"within {wait_s:.0f} s.",
                        "Wait until it is done, or give this one another GPU with CUDA_VISIBLE_DEVICES.",
                    )
                say(f"waits for device {device}, held by {holder}")
                await asyncio.sleep(RETRY_S)
        except BaseException:
            os.close(descriptor)
            raise
        self._held.append(descriptor)
        note = msgspec.json.encode({"pid": os.getpid(), "command": _command(), "for": purpose})
        # A file of another user can't be written everywhere: the note is a courtesy.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, note, 0)

    def release(self) -> None:
        """Let the devices go; harmless if none is held."""
        for descriptor in self._held:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
        self._held = []


def _open(path: Path) -> int:
    """Open a lock file that users share.

    Linux refuses O_CREAT for other users' files in such folders: hence in two steps.
    """
    common = os.O_CLOEXEC | os.O_NOFOLLOW
    for _ in range(10):
        for mode in (os.O_RDWR, os.O_RDONLY):
            with contextlib.suppress(FileNotFoundError, PermissionError):
                return os.open(path, mode | common)
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | common, 0o666)
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, 0o666)
            return descriptor
    raise EnvironmentalError(
        f"The lock file {path} can't be opened.", "Remove it, or name another folder with TMPDIR."
    )


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    try:
        note = msgspec.json.decode(os.pread(descriptor, 4096, 0))
        return f"process {int(note['pid'])} ({note['command']}, for {note['for']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _command() -> str:
    words = [Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python", *sys.argv[1:]]
    return "".join(letter for letter in " ".join(words) if letter.isprintable())[:100]
