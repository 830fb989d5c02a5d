"""Answers that are in no part yet, kept against a kill: one file a part to come, one frame an answer.

A frame is handed to the operating system before the answer counts, so that a killed
replay asks again what was in flight and nothing else. The file goes when its part is
complete; what a kill left is turned into that part by the next to hold the lease.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.store.spool import part_path, write_part

FOLDER = "answers"
"""Folder in the spool; a folder for each lease lies in it."""

_HEAD = struct.Struct("<II")
"""Length and checksum of the frame that follows."""


class Ledger:
    """The answers on their way into one part.

    A disk that is full makes it keep less, never wrong: the part itself waits for room.

    Args:
        folder: Of the lease under which they are written.
        part: Name of the part to come.
    """

    def __init__(self, folder: Path, part: str) -> None:
        self.part = part
        self._path = folder / f"{part}.answers"
        self._size = 0
        self._descriptor: int | None = None

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep rows; they survive the end of this process, however it ends."""
        if not rows:
            return
        data = b"".join(_frame(row) for row in rows)
        try:
            if self._descriptor is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o666)
            if os.write(self._descriptor, data) == len(data):
                self._size += len(data)
                return
        except OSError:
            if self._descriptor is None:
                return
        # Half a frame would hide the frames after it.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, self._size)

    def remove(self) -> None:
        """Forget the rows: their part is complete."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
            self._path.unlink(missing_ok=True)


def recover(spool: Path, folder: Path) -> int:
    """Turn what killed replays left into parts. Only for the holder of the lease.

    Args:
        spool: The workspace's spool.
        folder: Of the lease.

    Returns:
        How many answers were recovered.
    """
    count = 0
    for path in sorted(folder.glob("*.answers")):
        rows = _read(path)
        # A part of this name that was loaded is not loaded again; one that waits is complete.
        if rows and not part_path(spool, "observations", path.stem).exists():
            write_part(spool, "observations", rows, path.stem)
            count += len(rows)
        path.unlink(missing_ok=True)
    return count


def _frame(row: dict[str, Any]) -> bytes:
    body = msgspec.msgpack.encode(row)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file up to the first frame that is not whole."""
    data, place, rows = path.read_bytes(), 0, []
    while place + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, place)
        body = data[place + _HEAD.size : place + _HEAD.size + length]
        if not body or len(body) != length or zlib.crc32(body) != checksum:
            break
        rows.append(msgspec.msgpack.decode(body))
        place += _HEAD.size + length
    return rows
