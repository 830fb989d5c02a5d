"""Answers that are in no part yet, kept against a kill: one file a part to come, one frame a group.

A frame is handed to the operating system before its answers count, so that a killed
replay asks again what was in flight and nothing else. The file goes when its part is
complete; what a kill left is turned into that part by the next to hold the lease.

What survives: the end of the process, however it comes, costs nothing that counted. A
crash of the machine or a loss of power may cost the frames that are in no part yet, at
most some seconds of answers; those calls are asked again, as if they had been in flight.
Parts are forced to disk before their frames are forgotten, so that no crash takes them.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import EnvironmentalError
from workbench.store.spool import part_path, write_part

FOLDER = "answers"
"""Folder in the spool; a folder for each lease lies in it."""

_HEAD = struct.Struct("<II")
"""Length and checksum of the frame that follows."""

_encode = msgspec.msgpack.Encoder().encode


class Ledger:
    """The answers on their way into one part.

    Args:
        folder: Of the lease under which they are written.
        part: Name of the part to come.
    """

    def __init__(self, folder: Path, part: str) -> None:
        self.part = part
        self.size = 0
        self._path = folder / f"{part}.answers"
        self._torn = False
        self._descriptor: int | None = None

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Keep rows, all of them or none; they survive the end of this process, however it ends.

        Raises:
            OSError: They are not kept, most often for want of room. They may be added again.
        """
        if not rows:
            return
        body = _encode(rows)
        data = memoryview(_HEAD.pack(len(body), zlib.crc32(body)) + body)
        descriptor = self._open()
        if self._torn:
            os.ftruncate(descriptor, self.size)
            self._torn = False
        try:
            written = os.write(descriptor, data)
            while written < len(data):
                # A disk takes what has room; asked for the rest it says that it is full.
                written += os.write(descriptor, data[written:])
        except OSError:
            # Half a frame would hide the frames after it.
            self._torn = True
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self.size)
                self._torn = False
            raise
        self.size += len(data)

    def remove(self) -> None:
        """Forget the rows: their part is complete."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
            self._path.unlink(missing_ok=True)

    def _open(self) -> int:
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o666)
        return self._descriptor


def recover(spool: Path, folder: Path, table: str = "observations") -> int:
    """Turn what killed replays left into parts. Only for the holder of the lease.

    Args:
        spool: The workspace's spool.
        folder: Of the lease.
        table: What the answers are rows of.

    Returns:
        How many answers were recovered.

    Raises:
        EnvironmentalError: The parts can't be written; the answers stay where they are.
    """
    count = 0
    for path in sorted(folder.glob("*.answers")):
        try:
            rows = _read(path)
            # A part of this name that was loaded is not loaded again; one that waits is complete.
            if rows and not part_path(spool, table, path.stem).exists():
                write_part(spool, table, rows, path.stem)
                count += len(rows)
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(spool, error) from error
        except (ValueError, TypeError, msgspec.MsgspecError):
            # Whole, yet none of ours: it is put aside, and what it may have held is asked again.
            path.replace(path.with_suffix(".unreadable"))
    return count


def unwritable(spool: Path, error: OSError) -> EnvironmentalError:
    """Return the error of a spool that takes nothing."""
    return EnvironmentalError(
        f"{spool} can't be written: {error.strerror or error}.",
        "Make room on the disk, then run the same command again: it goes on.",
    )


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file up to the first frame that is not whole."""
    data, place = path.read_bytes(), 0
    rows: list[dict[str, Any]] = []
    while place + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, place)
        body = data[place + _HEAD.size : place + _HEAD.size + length]
        if not body or len(body) != length or zlib.crc32(body) != checksum:
            break
        rows.extend(msgspec.msgpack.decode(body))
        place += _HEAD.size + length
    return rows
