"""A number that changes with every commit, for caches that never open the store."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path

_NUMBER = struct.Struct("<q")


class Versions:
    """The counter beside one store. Only the process that holds the store writes it.

    Even: nothing is being committed. Odd: a commit is under way, or its process died
    in the middle of it; whether its rows are visible is then unknown until the store
    is opened again, and the number read is one that is never read twice.

    Args:
        store: Path of the store.
    """

    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".version")

    def read(self) -> int:
        """Return the current number: equal numbers mean equal contents."""
        number = self._stored()
        return -time.time_ns() if number is None or number % 2 else number

    def settle(self, *, renew: bool = False) -> None:
        """Make the number even, after the store was opened.

        Args:
            renew: Whether the store is another one than before, such as a new one.
        """
        number = self._stored()
        if number is None or renew:
            # Never smaller than a number already seen, even if the file was deleted.
            self._write(max(time.time_ns() // 1000 * 2, (number or 0) + 2) // 2 * 2)
        elif number % 2:
            self._write(number + 1)

    def begin(self) -> None:
        """Say that a commit begins."""
        number = self._stored()
        self._write(1 if number is None else number | 1)

    def end(self) -> None:
        """Say that the commit is over, whether it held or not."""
        self.settle()

    def _stored(self) -> int | None:
        try:
            return int(_NUMBER.unpack(self._path.read_bytes())[0])
        except (OSError, struct.error):
            return None

    def _write(self, number: int) -> None:
        # Eight bytes in one call: a reader sees the old number or the new one.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.pwrite(descriptor, _NUMBER.pack(number), 0)
        finally:
            with contextlib.suppress(OSError):
                os.close(descriptor)
