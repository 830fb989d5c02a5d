"""Files of whole lines that one process alone writes, and a new one when one is full."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path


class LineFile:
    """Appends whole lines to a file of this process, and begins another when it is full.

    Every process writes files of its own, so no lock is needed between them. A line that
    can't be written whole is taken back.

    Args:
        folder: Made when the first line is written, for its owner alone.
        kind: Begins the file's name.
        max_bytes: A file that has so many is left, and the next one begun.
    """

    def __init__(self, folder: Path, kind: str, max_bytes: int) -> None:
        self._folder, self._kind, self._max_bytes = folder, kind, max_bytes
        self._begun = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}-{secrets.token_hex(3)}"
        self._number = 0
        self._file: int | None = None
        self._bytes = 0
        self._path = folder

    def append(self, line: bytes) -> None:
        """Write one line, its end included.

        Raises:
            OSError: It can't be written; nothing of it stays.
        """
        file, written = self._file, 0
        if file is not None and (self._bytes + len(line) > self._max_bytes or self._is_gone(file)):
            self.close()
            file = None
        if file is None:
            file = self._open()
        try:
            while written < len(line):
                written += os.write(file, line[written:])
        except OSError:
            self._take_back(file)
            raise
        self._bytes += written

    def _is_gone(self, file: int) -> bool:
        """Say whether somebody moved or removed the file: what is written to it then is lost."""
        try:
            return self._path.stat().st_ino != os.fstat(file).st_ino
        except OSError:
            return True

    def _open(self) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        self._path = self._folder / f"{self._kind}-{self._begun}-{self._number:04}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(self._path, flags, 0o600)
        self._bytes = 0
        return self._file

    def _take_back(self, file: int) -> None:
        """Cut off what was written of a line; a file without any goes."""
        try:
            os.ftruncate(file, self._bytes)
        except OSError:
            self.close()
        if self._bytes == 0:
            self.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    def close(self) -> None:
        """Leave the file; the next line begins another."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
        self._file = None
