"""Tables as records: CSV and Parquet, in bounded memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.errors import UsageError
from workbench.formats.base import Blank, Record, reject
from workbench.formats.files import BROKEN_STREAM, MAX_LINE_BYTES, Shape, open_bytes
from workbench.normal import clean_text, clean_value
from workbench.records import Rejected

_PARQUET_ROWS = 512

csv.field_size_limit(MAX_LINE_BYTES)


def csv_columns(path: Path, delimiter: str) -> tuple[str, ...]:
    """Return the names of a CSV file's header; empty and repeated ones get a number."""
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


def read_csv(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    """Give the rows of a CSV file, each with the line it begins in."""
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
            except BROKEN_STREAM as error:
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
                _, repaired = clean_text(joined)
                value = dict(zip(shape.columns, row, strict=True))
                yield Record(line, clean_value(value) if repaired else value, None, repaired)


def parquet_columns(path: Path) -> tuple[str, ...]:
    """Return the columns of a Parquet file.

    Raises:
        UsageError: It can't be read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            return tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"{path}: the Parquet file can't be read: {error}.", "Write it again.") from error


def read_parquet(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    """Give the rows of a Parquet file; `line` is the number of the row."""
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
