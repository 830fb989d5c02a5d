"""Files as streams of records: JSONL, JSON arrays and envelopes, CSV, Parquet, compressed or not.

JSONL, CSV and Parquet are read in bounded memory; a JSON document is held whole,
up to `MAX_DOCUMENT_BYTES`. What can't be read is a `Rejected` with its line, what
was never a log is a `UsageError`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import zstandard

from workbench.errors import UsageError, did_you_mean
from workbench.formats.base import Blank, Record, display_name, reject
from workbench.normal import Undecodable, clean_text, clean_value, decode_json
from workbench.records import Rejected

MAX_LINE_BYTES = 32 * 1024 * 1024
MAX_DOCUMENT_BYTES = 512 * 1024 * 1024
MAX_EXPANDED_BYTES = 256 * 1024**3
MAX_EXPANSION = 1_000
"""Compressed text expands 5 to 50 times; a thousandfold beyond 1 GB is an attack."""

ENVELOPES = ("traces", "runs", "data")
HEAD_BYTES = 64 * 1024
_PARQUET_ROWS = 512
_CALL_KEYS = frozenset({"request", "response", "messages", "body", "custom_id"})
_ENVELOPE_START = re.compile(r'\s*\{\s*(?:"[^"]*"\s*:\s*(?:"[^"]*"|[0-9.]+|null|true|false)\s*,\s*)*"(%s)"\s*:\s*\['
                             % "|".join(ENVELOPES))  # fmt: skip
_BROKEN_STREAM = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
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
_REFUSED_SUFFIXES = {
    ".duckdb": ("a DuckDB database", "Export the table as Parquet or CSV."),
    ".pkl": ("a Python pickle", "Pickle can run code, so it is never read. Export as JSONL."),
    ".pickle": ("a Python pickle", "Pickle can run code, so it is never read. Export as JSONL."),
}

csv.field_size_limit(MAX_LINE_BYTES)


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


def look(path: Path) -> Shape:
    """Tell how a file is laid out, from its content.

    Raises:
        UsageError: It is missing, empty, binary or not a log; the hint says what to do.
    """
    if not path.exists():
        siblings = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        close = did_you_mean(path.name, siblings) if len(siblings) < 1000 else ""
        raise UsageError(f"{path}: there is no such file.", close if close.startswith("Did") else "")
    if not path.is_file():
        raise UsageError(f"{path} is not a file.", "Name the files in it, for example with a wildcard.")
    refused = _REFUSED_SUFFIXES.get(path.suffix.lower())
    if refused:
        raise UsageError(f"{path} is {refused[0]}, not a log.", refused[1])
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty.", "Check the export that wrote it.")
    with path.open("rb") as file:
        start = file.read(16)
    if start[:4] == b"PAR1":
        return Shape(path, "parquet", _parquet_columns(path))
    head = _head(path)
    _refuse_binary(path, head)
    if not head.strip():
        raise UsageError(f"{path} holds nothing but white space.", "Check the export that wrote it.")
    return _text_shape(path, head)


def records(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    """Give every source record of a file, in order, with its line.

    Raises:
        UsageError: The file expands beyond any log, or a document is too large to hold.
    """
    reader = {"jsonl": _read_lines, "json": _read_document, "csv": _read_csv, "parquet": _read_parquet}
    return reader[shape.kind](shape)


class _Capped(io.RawIOBase):
    """A decompressed stream that refuses to expand without end."""

    def __init__(self, inner: IO[bytes], path: Path) -> None:
        self._inner, self._path, self._count = inner, path, 0
        self._limit = min(MAX_EXPANDED_BYTES, max(1 << 30, path.stat().st_size * MAX_EXPANSION))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        self._count += len(data)
        if self._count > self._limit:
            raise UsageError(
                f"{self._path} expands to more than {self._limit >> 20:,} MB, {MAX_EXPANSION} times its size.",
                "Logs do not compress like that. Unpack it yourself if you trust it.",
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


def open_bytes(path: Path) -> io.BufferedReader:
    """Open a file for reading, decompressed where its first bytes say gzip or zstd."""
    file = path.open("rb")
    start = file.read(4)
    file.seek(0)
    inner: Any
    if start[:2] == b"\x1f\x8b":
        inner = gzip.GzipFile(fileobj=file)
    elif start == b"\x28\xb5\x2f\xfd":
        inner = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            file, read_across_frames=True
        )
    else:
        return file
    return io.BufferedReader(_Capped(inner, path), buffer_size=1 << 18)


def _head(path: Path) -> bytes:
    with open_bytes(path) as stream:
        try:
            return stream.read(HEAD_BYTES)
        except _BROKEN_STREAM as error:
            raise UsageError(
                f"{path}: the compressed file can't be read: {error}.", "Copy or export it again."
            ) from error


def _refuse_binary(path: Path, head: bytes) -> None:
    if head[8:12] == b"DUCK":
        raise UsageError(f"{path} is a DuckDB database, not a log.", "Export the table as Parquet or CSV.")
    for magic, what, hint in _MAGIC:
        if head.startswith(magic):
            raise UsageError(f"{path} is {what}, not a log.", hint)
    if head[:4] == b"PAR1":
        raise UsageError(f"{path} is a compressed Parquet file.", "Unpack it: Parquet compresses by itself.")
    controls = sum(head.count(byte) for byte in (b"\x00", b"\x01", b"\x02", b"\x03", b"\x04"))
    if controls > len(head) / 50:
        raise UsageError(
            f"{path} is a binary file, not a log.",
            "Import JSON, JSONL, CSV or Parquet; .gz and .zst are fine.",
        )


def _plain_suffix(path: Path) -> str:
    suffixes = [each.lower() for each in path.suffixes]
    return next((each for each in reversed(suffixes) if each not in (".gz", ".zst")), "")


def _text_shape(path: Path, head: bytes) -> Shape:
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.splitlines()
    complete = lines if len(head) < HEAD_BYTES else lines[:-1]
    first = next((line for line in lines if line.strip()), "").strip()
    suffix = _plain_suffix(path)
    if first.startswith("[") and _starts_array(text.lstrip()):
        return Shape(path, "json")
    if first.startswith("{"):
        return Shape(path, _object_kind(text, complete, len(head) < HEAD_BYTES))
    is_table = suffix in (".csv", ".tsv", ".tab")
    if not is_table and any(line.lstrip().startswith("{") for line in complete):
        return Shape(path, "jsonl")
    if suffix in (".jsonl", ".ndjson", ".json"):
        return Shape(path, "jsonl")
    delimiter = max("\t,;|", key=first.count)
    if is_table or first.count(delimiter) > 0:
        columns = _csv_columns(path, delimiter)
        return Shape(path, "csv", columns, delimiter)
    raise UsageError(
        f"{path} is neither JSON, JSONL, CSV nor Parquet: it begins with {first[:60]!r}.",
        "Export the log in one of these.",
    )


def _starts_array(text: str) -> bool:
    rest = text[1:].lstrip()
    if rest.startswith("]"):
        return True
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except json.JSONDecodeError as error:
        return error.pos >= len(rest.rstrip()) - 1 and len(text) >= HEAD_BYTES // 2
    except (RecursionError, ValueError):
        return False
    return rest[end:].lstrip()[:1] in (",", "]", "")


def _object_kind(text: str, complete: list[str], whole: bool) -> str:
    filled = [line for line in complete if line.strip()]
    parsed = [value for value in map(_try_object, filled[:50]) if value is not None]
    if parsed:
        only = whole and len(filled) == 1
        return "json" if only and _envelope_key(parsed[0]) else "jsonl"
    if _ENVELOPE_START.match(text):
        return "json"
    return "json" if filled and filled[0].rstrip()[-1:] in "{[,:" else "jsonl"


def _try_object(line: str) -> dict[str, Any] | None:
    try:
        value = decode_json(line).value
    except Undecodable:
        return None
    return value if isinstance(value, dict) else None


def _envelope_key(value: dict[str, Any]) -> str | None:
    if _CALL_KEYS & value.keys():
        return None
    for key in ENVELOPES:
        items = value.get(key)
        if isinstance(items, list) and all(isinstance(item, dict) for item in items):
            return key
    return None


def _read_lines(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    line = 0
    with open_bytes(shape.path) as stream:
        try:
            while raw := stream.readline(MAX_LINE_BYTES + 1):
                line += 1
                if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                    while (piece := stream.readline(1 << 20)) and not piece.endswith(b"\n"):
                        pass
                    yield reject(shape.name, line, f"longer than {MAX_LINE_BYTES >> 20} MB", raw[:4096])
                    continue
                raw = raw.strip()
                if line == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                if not raw:
                    yield Blank(shape.name, line)
                    continue
                try:
                    decoded = decode_json(raw)
                except Undecodable as error:
                    yield reject(shape.name, line, str(error), raw)
                    continue
                yield Record(line, decoded.value, raw, decoded.repaired)
        except _BROKEN_STREAM as error:
            yield reject(shape.name, line + 1, f"the compressed file breaks off here: {error}", b"")


def _read_document(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    with open_bytes(shape.path) as stream:
        try:
            data = stream.read(MAX_DOCUMENT_BYTES + 1)
        except _BROKEN_STREAM as error:
            raise UsageError(
                f"{shape.path}: the compressed file breaks off: {error}.", "Copy it again."
            ) from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise UsageError(
            f"{shape.path} is one JSON document of more than {MAX_DOCUMENT_BYTES >> 20} MB.",
            "Turn it into one record a line, for example with `jq -c '.[]'`.",
        )
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    walker = _Walker(shape.name, text)
    start = text[: len(text) - len(text.lstrip())]
    if text.lstrip().startswith("["):
        yield from walker.items(len(start) + 1)
    else:
        yield from walker.document(len(start))


class _Walker:
    """Walks a JSON document item by item, so that each item keeps its line."""

    _decoder = json.JSONDecoder()
    _space = re.compile(r"[ \t\r\n]*")

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._line, self._counted = 1, 0

    def document(self, start: int) -> Iterator[Record | Rejected]:
        """Give the items of an envelope, or the document itself as one record."""
        text, position = self._text, self._skip(start + 1)
        try:
            while text[position : position + 1] == '"':
                key, position = self._decoder.raw_decode(text, position)
                position = self._skip(position)
                if text[position : position + 1] != ":":
                    break
                position = self._skip(position + 1)
                if key in ENVELOPES and text[position : position + 1] == "[":
                    if text[self._skip(position + 1) :][:1] in ("{", "]"):
                        yield from self.items(position + 1)
                        return
                _, position = self._decoder.raw_decode(text, position)
                position = self._skip(position)
                if text[position : position + 1] == ",":
                    position = self._skip(position + 1)
        except (ValueError, RecursionError):
            pass
        yield self._record(start, len(text.rstrip()))

    def items(self, start: int) -> Iterator[Record | Rejected]:
        """Give the items of the list whose first item begins at or after `start`."""
        text, position = self._text, self._skip(start)
        while position < len(text) and text[position] != "]":
            try:
                _, end = self._decoder.raw_decode(text, position)
            except (ValueError, RecursionError):
                line = self._line_at(position)
                reason = "the list breaks off here; what follows can't be read"
                yield reject(self._name, line, reason, text[position : position + 4096].encode())
                return
            yield self._record(position, end)
            position = self._skip(end)
            if text[position : position + 1] == ",":
                position = self._skip(position + 1)
            elif text[position : position + 1] != "]":
                line = self._line_at(position)
                rest = text[position : position + 4096].encode()
                yield reject(self._name, line, "the list breaks off here; what follows can't be read", rest)
                return

    def _record(self, start: int, end: int) -> Record | Rejected:
        line = self._line_at(start)
        raw = self._text[start:end].encode("utf-8", "replace")
        if len(raw) > MAX_LINE_BYTES:
            return reject(self._name, line, f"longer than {MAX_LINE_BYTES >> 20} MB", raw[:4096])
        try:
            decoded = decode_json(raw)
        except Undecodable as error:
            return reject(self._name, line, str(error), raw)
        return Record(line, decoded.value, raw, decoded.repaired or "\ufffd" in self._text[start:end])

    def _skip(self, position: int) -> int:
        found = self._space.match(self._text, position)
        return found.end() if found else position

    def _line_at(self, position: int) -> int:
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line


def _csv_columns(path: Path, delimiter: str) -> tuple[str, ...]:
    with open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            header = next(csv.reader(_capped_lines(text, []), delimiter=delimiter), [])
        except csv.Error as error:
            raise UsageError(f"{path}, line 1: {error}.", "Write the CSV file again.") from error
    names: list[str] = []
    for index, cell in enumerate(header):
        name = clean_text(cell)[0].strip() or f"column {index + 1}"
        names.append(name if name not in names else f"{name} ({index + 1})")
    return tuple(names)


def _capped_lines(text: io.TextIOWrapper, too_long: list[int]) -> Iterator[str]:
    number = 0
    while line := text.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) >= MAX_LINE_BYTES and not line.endswith("\n"):
            while (piece := text.readline(1 << 20)) and not piece.endswith("\n"):
                pass
            too_long.append(number)
            line = "\n"
        yield line


def _read_csv(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    too_long: list[int] = []
    width = len(shape.columns)
    with open_bytes(shape.path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(_capped_lines(text, too_long), delimiter=shape.delimiter)
        next(reader, None)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader, None)
            except csv.Error as error:
                yield reject(shape.name, line, f"not a CSV row: {error}", b"")
                continue
            except _BROKEN_STREAM as error:
                yield reject(shape.name, line, f"the compressed file breaks off here: {error}", b"")
                return
            if row is None:
                return
            joined = shape.delimiter.join(row)
            if too_long and line <= too_long[-1] <= reader.line_num:
                yield reject(
                    shape.name, line, f"longer than {MAX_LINE_BYTES >> 20} MB", joined[:4096].encode()
                )
            elif not any(row):
                yield Blank(shape.name, line)
            elif len(row) != width:
                reason = f"{len(row)} cells where the header has {width}"
                raw = joined.encode("utf-8", "surrogateescape")
                yield reject(shape.name, line, reason, raw)
            else:
                clean, repaired = clean_text(joined)
                value = dict(zip(shape.columns, row, strict=True))
                yield Record(line, clean_value(value) if repaired else value, None, repaired)


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            return tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"{path}: the Parquet file can't be read: {error}.", "Write it again.") from error


def _read_parquet(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    import pyarrow as pa
    from pyarrow import parquet

    row = 0
    with parquet.ParquetFile(shape.path) as file:
        try:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for value in batch.to_pylist():
                    row += 1
                    if all(cell is None or cell == "" for cell in value.values()):
                        yield Blank(shape.name, row)
                        continue
                    plain = {key: _plain(cell) for key, cell in value.items()}
                    clean = clean_value(plain)
                    yield Record(row, clean, None, clean != plain)
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            yield reject(shape.name, row + 1, f"the Parquet file breaks off here: {error}", b"")


def _plain(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, list):
        return [_plain(item) for item in cell]
    if isinstance(cell, tuple):
        return {str(key): _plain(item) for key, item in [cell]} if len(cell) == 2 else list(cell)
    if isinstance(cell, dict):
        return {str(key): _plain(item) for key, item in cell.items()}
    return cell
