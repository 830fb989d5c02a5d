"""Files as bytes: opened, unpacked, capped, and refused where they can be no log."""

from __future__ import annotations

import codecs
import glob
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard

from workbench.errors import UsageError
from workbench.formats.base import display_name
from workbench.formats.frames import WholeFrames
from workbench.formats.paths import below, is_dead_link, may_list
from workbench.normal import Undecodable, as_count, decode_json

MAX_LINE_BYTES = 32 * 1024 * 1024
MAX_DOCUMENT_BYTES = 512 * 1024 * 1024
MAX_EXPANDED_BYTES = 256 * 1024**3
MAX_EXPANSION = 1_000
"""Compressed text expands 5 to 50 times; a thousandfold beyond 1 GB is an attack."""

MAX_EMPTY_BYTES = 16 * 1024 * 1024
"""Of white space without a break. Each empty line is counted: a billion, in a small file, take an hour."""

MAX_WINDOW_BYTES = 1 << 27
HEAD_BYTES = 64 * 1024
BROKEN_STREAM = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
_MAGIC = (
    (b"PK\x03\x04", "a ZIP or Excel file", "Unpack it, or save the sheet as CSV."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV or JSONL."),
    (b"%PDF", "a PDF", "Export the log as JSONL or CSV."),
    (b"\x80\x02", "a Python pickle", "Pickle can run code, so it is never read. Export as JSONL."),
    (b"\x80\x03", "a Python pickle", "Pickle can run code, so it is never read. Export as JSONL."),
    (b"\x80\x04", "a Python pickle", "Pickle can run code, so it is never read. Export as JSONL."),
    (b"\x80\x05", "a Python pickle", "Pickle can run code, so it is never read. Export as JSONL."),
    (b"BZh", "a bzip2 file", "Compress it with gzip or zstd instead."),
    (b"\xfd7zXZ", "an xz file", "Compress it with gzip or zstd instead."),
    (b"\xff\xfe", "UTF-16 text", "Save it as UTF-8."),
    (b"\xfe\xff", "UTF-16 text", "Save it as UTF-8."),
    (b"ARROW1", "an Arrow file", "Save it as Parquet."),
    (b"Obj\x01", "an Avro file", "Save it as Parquet or JSONL."),
)
REFUSED_SUFFIXES = {
    ".duckdb": ("a DuckDB database", "Export the table as Parquet or CSV."),
    ".pkl": ("a Python pickle", "Pickle can run code, so it is never read. Export as JSONL."),
    ".pickle": ("a Python pickle", "Pickle can run code, so it is never read. Export as JSONL."),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file is laid out: `kind` is jsonl, json, csv or parquet."""

    path: Path
    kind: str
    columns: tuple[str, ...] = ()
    delimiter: str = ","

    @property
    def name(self) -> str:
        """Return the name under which reports speak of the file."""
        return display_name(self.path)


def expansion_limit(path: Path) -> int:
    """Return to how many bytes a compressed file may expand."""
    return min(MAX_EXPANDED_BYTES, max(1 << 30, path.stat().st_size * MAX_EXPANSION))


def endless_space(path: Path) -> UsageError:
    """Return the error for a file that holds nothing for longer than any log."""
    return UsageError(
        f"{path} holds more than {MAX_EMPTY_BYTES >> 20} MB of nothing but white space in one place.",
        "No log does. Take that out, for example with: grep -v '^[[:space:]]*$' FILE > calls.jsonl",
    )


def expanded(path: Path) -> UsageError:
    """Return the error for a file that expands beyond any log."""
    return UsageError(
        f"{path} expands to more than {expansion_limit(path) >> 20:,} MB, far beyond its size.",
        "Logs do not compress like that. Unpack it yourself if you trust it.",
    )


class _Capped(io.RawIOBase):
    """A decompressed stream that refuses to expand without end."""

    def __init__(self, inner: Any, path: Path) -> None:
        self._inner, self._path, self._count = inner, path, 0
        self._broken: Exception | None = None
        self._limit = expansion_limit(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._broken is not None:
            raise self._broken
        got = 0
        try:
            while got < len(buffer) and (data := self._inner.read1(len(buffer) - got)):
                buffer[got : got + len(data)] = data
                got += len(data)
        except BROKEN_STREAM as error:
            # What was unpacked before the break is given first.
            self._broken = error
            if not got:
                raise
        self._count += got
        if self._count > self._limit:
            raise expanded(self._path)
        return got

    def close(self) -> None:
        self._inner.close()
        super().close()


class Meter:
    """Says how far the reading of a file is, in bytes of the file as it lies on disk."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None

    def watch(self, file: IO[bytes]) -> None:
        """Go by the position in this file."""
        self._file = file

    @property
    def position(self) -> int:
        """Return the position; 0 before and after the reading."""
        return 0 if self._file is None or self._file.closed else self._file.tell()


def open_bytes(path: Path, meter: Meter | None = None) -> io.BufferedReader:
    """Open a file for reading, decompressed where its first bytes say gzip or zstd."""
    file = path.open("rb")
    if meter is not None:
        meter.watch(file)
    start = file.read(4)
    file.seek(0)
    inner: Any
    if start[:2] == b"\x1f\x8b":
        inner = gzip.GzipFile(fileobj=file)
    elif start == b"\x28\xb5\x2f\xfd":
        inner = WholeFrames(file, MAX_WINDOW_BYTES)
    else:
        return file
    return io.BufferedReader(_Capped(inner, path), buffer_size=1 << 18)


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked; of a broken one, what can be.

    Raises:
        UsageError: Nothing of the compressed file can be unpacked.
    """
    head = b""
    with open_bytes(path) as stream:
        try:
            while len(head) < HEAD_BYTES and (data := stream.read1(HEAD_BYTES - len(head))):
                head += data
        except BROKEN_STREAM as error:
            if not head:
                raise UsageError(
                    f"{path}: the compressed file can't be read: {error}.", "Copy or export it again."
                ) from error
    return head


def broken_off(error: Exception) -> str:
    """Return the reason why nothing that follows in a compressed file is read."""
    return f"the compressed file breaks off here: {error}"


def refuse_binary(path: Path, head: bytes) -> None:
    """Refuse a file whose first bytes are not text.

    Raises:
        UsageError: It is binary; the message says what it is, the hint what to do.
    """
    if head[8:12] == b"DUCK":
        raise UsageError(f"{path} is a DuckDB database, not a log.", "Export the table as Parquet or CSV.")
    for magic, what, hint in _MAGIC:
        if head.startswith(magic):
            raise UsageError(f"{path} is {what}, not a log.", hint)
    if head[:4] == b"PAR1":
        raise UsageError(f"{path} is a compressed Parquet file.", "Unpack it: Parquet compresses by itself.")
    if _is_unmarked_utf16(head[:128]):
        raise UsageError(f"{path} is UTF-16 text, not a log.", "Save it as UTF-8.")
    controls = sum(head.count(byte) for byte in (b"\x00", b"\x01", b"\x02", b"\x03", b"\x04"))
    if controls > len(head) / 50:
        raise UsageError(
            f"{path} is a binary file, not a log.",
            "Import JSON, JSONL, CSV or Parquet; .gz and .zst are fine.",
        )


def _is_unmarked_utf16(head: bytes) -> bool:
    """Tell whether bytes are UTF-16 without its mark: its ASCII has a zero byte in every second place."""
    zeros = head[::2].count(0), head[1::2].count(0)
    return min(zeros) <= len(head) // 32 and max(zeros) > len(head) * 3 // 8


def refuse_other_text(path: Path, head: bytes) -> None:
    """Refuse a table whose first bytes are text, but not UTF-8.

    Args:
        path: The file, for the message.
        head: Its first bytes; a character that their end cuts is none the worse.

    Raises:
        UsageError: They are not UTF-8.
    """
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError as error:
        line = len((head[: error.start] + b".").splitlines())
        raise other_text(path, line, head[error.start]) from None


def other_text(path: Path, line: int, byte: int) -> UsageError:
    """Return the error for a table with a byte that is no part of a character in UTF-8."""
    return UsageError(
        f"{path} is not UTF-8 text: line {line:,} holds the byte 0x{byte:02X}.",
        "Save it as UTF-8 (in Excel: CSV UTF-8) and import that file.",
    )


_LOG_SUFFIXES = frozenset((".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".tab", ".parquet", ".log", ".txt"))
_PACKED = (".gz", ".zst")
_CAPTURE_COUNTS = re.compile(r"counts-\d{8}T\d{6}Z-\d+-[0-9a-f]+\.json")
"""What capture lost, which it keeps beside its log: no calls."""


def log_files(names: Iterable[Path | str]) -> list[Path]:
    """Return the files that names stand for; see `found_files`."""
    return [path for path, _ in found_files(names)]


def found_files(names: Iterable[Path | str]) -> list[tuple[Path, bool]]:
    """Return the files that names stand for: a file, a folder with all below it, or a pattern.

    Args:
        names: A folder gives its files whose names end like a log's (.jsonl, .json, .csv,
            .parquet and the like, also with .gz or .zst), hidden ones left out, in the order
            of their names, and links and folders that can't be followed, so that someone is
            told of them. A pattern (`*`, `?`, `[...]`, `**`) gives what it matches. Neither
            gives the counts that capture keeps beside its log.

    Returns:
        Each file, and whether it was named itself; the others were found.

    Raises:
        UsageError: A folder holds no log, or a pattern matches nothing.
    """
    found: list[tuple[Path, bool]] = []
    for name in names:
        path = Path(name)
        if _is_folder(path):
            inside = _once(sorted(each for each in below(path) if _is_told(each)))
            if not inside:
                raise UsageError(
                    f"{path} holds no logs: no file ends in .jsonl, .json, .csv or .parquet.",
                    "Name the files themselves; any ending will do then.",
                )
            found += [(each, False) for each in inside]
        elif any(char in str(name) for char in "*?[") and not path.exists():
            matched = [Path(each) for each in sorted(glob.glob(str(name), recursive=True))]  # noqa: PTH207 -- absolute patterns too
            matched = _once(each for each in matched if _may_be_file(each) and not _is_counts(each))
            if not matched:
                raise UsageError(
                    f"{name}: no file matches this pattern.", "Check the folder and the pattern."
                )
            found += [(each, False) for each in matched]
        else:
            found.append((path, True))
    return found


def _once(paths: Iterable[Path]) -> list[Path]:
    """Return each file once, however many links lead to it: a link to a folder above has no end."""
    found: dict[str, Path] = {}
    for path in paths:
        found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _is_folder(path: Path) -> bool:
    """Tell whether a path is a folder whose files can be listed; of one that can't, it is said why."""
    try:
        return path.is_dir() and may_list(path)
    except OSError:
        return False


def _may_be_file(path: Path) -> bool:
    return not os.path.isdir(path)  # noqa: PTH112 -- a `Path` raises where it may not look


def _is_told(path: Path) -> bool:
    """Tell whether what lies below a folder is a log by its name, or has to be said to have been left out."""
    return not _may_be_file(path) or is_dead_link(path) or _is_log(path)


def _is_log(path: Path) -> bool:
    if _is_counts(path):
        return False
    suffixes = [each.lower() for each in path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in _LOG_SUFFIXES


def capture_losses(paths: Iterable[Path]) -> dict[str, int]:
    """Return what capture could not write, by reason, as the counts beside its logs say.

    Args:
        paths: The logs; counts that are none, or can't be read, say nothing.
    """
    lost: dict[str, int] = {}
    for folder in dict.fromkeys(each.parent for each in paths):
        for path in sorted(folder.glob("counts-*.json")):
            if _is_counts(path) and path.is_file():
                for reason, number in _lost(path).items():
                    lost[reason] = lost.get(reason, 0) + number
    return lost


def _lost(path: Path) -> dict[str, int]:
    try:
        with path.open("rb") as file:
            found = decode_json(file.read(HEAD_BYTES)).value
    except (OSError, Undecodable):
        return {}
    counts = found.get("lost") if isinstance(found, dict) else None
    numbers = (
        {str(key)[:40]: as_count(item) for key, item in counts.items()} if isinstance(counts, dict) else {}
    )
    return {key: number for key, number in list(numbers.items())[:20] if number}


def _is_counts(path: Path) -> bool:
    return _CAPTURE_COUNTS.fullmatch(path.name) is not None
