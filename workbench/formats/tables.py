"""Tables as records: CSV and Parquet, in bounded memory."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.errors import UsageError
from workbench.formats.base import Blank, Record, reject
from workbench.formats.csv_rows import Row, Rows, has_between
from workbench.formats.files import (
    BROKEN_STREAM,
    MAX_LINE_BYTES,
    Shape,
    broken_off,
    expanded,
    expansion_limit,
    open_bytes,
    other_text,
)
from workbench.normal import clean_text, clean_value
from workbench.records import Rejected

MAX_COLUMNS = 10_000
"""More columns than this are an attack or a mistake; the widest logs have hundreds."""
MAX_BATCH_BYTES = 256 * 1024**2
"""What the texts of one batch of Parquet rows may take if all of them are the longest there is."""
MIN_COUNTED_ROWS = 10_000_000

_PARQUET_ROWS = 512
_ESCAPED = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is not UTF-8."""

csv.field_size_limit(MAX_LINE_BYTES)


def csv_columns(path: Path, delimiter: str) -> tuple[str, ...]:
    """Return the names of a CSV file's header; empty and repeated ones get the number of their column.

    Raises:
        UsageError: The header is not UTF-8, not CSV, or wider than any log.
    """
    with open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            header = next(csv.reader(_capped_lines(path, text, []), delimiter=delimiter), [])
        except csv.Error as error:
            raise UsageError(f"{path}, line 1: {error}.", "Write the CSV file again.") from error
        except BROKEN_STREAM as error:
            raise UsageError(f"{path}, line 1: {broken_off(error)}.", "Copy or export it again.") from error
    _refuse_width(path, len(header))
    return _told_apart([clean_text(cell)[0].strip() for cell in header])


def _refuse_width(path: Path, columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise UsageError(
            f"{path} has {columns:,} columns; {MAX_COLUMNS:,} are read at most.",
            "Export the columns of the log alone.",
        )


def _told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Number every column whose name is empty or not its own, so that a mapping can't mean the wrong one."""
    often = Counter(names)
    found = [
        name if often[name] == 1 and name else f"{name} ({number})" if name else f"column {number}"
        for number, name in enumerate(names, start=1)
    ]
    return tuple(found) if len(set(found)) == len(found) else _told_apart(found)


def _capped_lines(path: Path, text: io.TextIOWrapper, too_long: list[int]) -> Iterator[str]:
    number = 0
    while line := text.readline(MAX_LINE_BYTES):
        number += 1
        # A spreadsheet writes all of a table in one encoding: repaired, every umlaut in it would be lost.
        if not line.isascii() and (escaped := _ESCAPED.search(line)):
            raise other_text(path, number, ord(escaped.group()) - 0xDC00)
        if len(line) >= MAX_LINE_BYTES and not line.endswith("\n"):
            while (piece := text.readline(1 << 20)) and not piece.endswith("\n"):
                pass
            too_long.append(number)
            line = "\n"
        yield line


def read_csv(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    """Give the rows of a CSV file, each with the line it begins in.

    Raises:
        UsageError: It is not UTF-8, or expands beyond any log.
    """
    too_long: list[int] = []
    width = len(shape.columns)
    with open_bytes(shape.path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        rows = Rows(_capped_lines(shape.path, text, too_long), shape.delimiter, width, MAX_LINE_BYTES)
        try:
            for row in rows:
                yield _csv_row(shape, row, has_between(too_long, row.line, row.line + row.lines - 1))
        except BROKEN_STREAM as error:
            yield reject(shape.name, rows.line, broken_off(error), b"")


def _csv_row(shape: Shape, row: Row, is_cut: bool) -> Record | Rejected | Blank:
    cells = row.cells
    joined = row.said if cells is None else shape.delimiter.join(cells)
    if is_cut:
        return reject(shape.name, row.line, f"longer than {MAX_LINE_BYTES >> 20} MB", joined[:4096].encode())
    if cells is None:
        return reject(shape.name, row.line, row.reason, joined.encode("utf-8", "surrogateescape"))
    if not any(cells):
        return Blank(shape.name, row.line)
    if len(cells) != len(shape.columns):
        reason = f"{len(cells)} cells where the header has {len(shape.columns)}"
        return reject(shape.name, row.line, reason, joined.encode("utf-8", "surrogateescape"))
    _, repaired = clean_text(joined)
    value = dict(zip(shape.columns, cells, strict=True))
    return Record(row.line, clean_value(value) if repaired else value, None, repaired)


def parquet_columns(path: Path) -> tuple[str, ...]:
    """Return the columns of a Parquet file.

    Raises:
        UsageError: It can't be read, or says of itself that it holds more than any log.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            names = tuple(str(name) for name in file.schema_arrow.names)
            rows = file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        why = str(error).rstrip(".")
        raise UsageError(f"{path}: the Parquet file can't be read: {why}.", "Write it again.") from error
    _refuse_width(path, len(names))
    if rows > max(MIN_COUNTED_ROWS, path.stat().st_size):
        raise UsageError(
            f"{path} claims {rows:,} rows, more than it has bytes.", "Logs are not like that. Write it again."
        )
    return _told_apart(names)


def read_parquet(shape: Shape) -> Iterator[Record | Rejected | Blank]:
    """Give the rows of a Parquet file; `line` is the number of the row.

    Raises:
        UsageError: It expands beyond any log.
    """
    import pyarrow as pa
    from pyarrow import parquet

    row, left = 0, expansion_limit(shape.path)
    try:
        with parquet.ParquetFile(shape.path) as file:
            columns = (file.schema.column(index) for index in range(file.metadata.num_columns))
            texts = [each.path for each in columns if each.physical_type == "BYTE_ARRAY"]
        with (
            parquet.ParquetFile(shape.path) as file,
            parquet.ParquetFile(shape.path, read_dictionary=texts) as shared,
        ):
            for group in range(file.metadata.num_row_groups):
                longest = _longest_shared(shared, group, texts)
                size = max(1, min(_PARQUET_ROWS, MAX_BATCH_BYTES // longest))
                for batch in file.iter_batches(batch_size=size, row_groups=[group]):
                    for value in batch.rename_columns(list(shape.columns)).to_pylist():
                        row += 1
                        length = sum(len(cell) for cell in value.values() if isinstance(cell, str | bytes))
                        if (left := left - length) < 0:
                            raise expanded(shape.path)
                        yield _parquet_row(shape.name, row, length, value)
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        what = str(error) or type(error).__name__
        yield reject(shape.name, row + 1, f"the Parquet file breaks off here: {what}", b"")


def _parquet_row(name: str, row: int, length: int, value: dict[str, Any]) -> Record | Rejected | Blank:
    if all(cell is None or cell == "" for cell in value.values()):
        return Blank(name, row)
    if length > MAX_LINE_BYTES:
        return reject(name, row, f"longer than {MAX_LINE_BYTES >> 20} MB", b"")
    plain = {key: _plain(cell) for key, cell in value.items()}
    clean = clean_value(plain)
    return Record(row, clean, None, clean != plain)


def _longest_shared(file: Any, group: int, texts: list[str]) -> int:
    """Return the length of the longest text that many rows of a row group may share, at least 1.

    A few kilobytes can say "this text of 50 MB" in every row. One row tells: read as a
    dictionary, each column comes with all texts that its rows share.

    Args:
        file: Opened so that `texts` are read as dictionaries.
        group: The number of the row group.
        texts: Columns of text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    longest = 1
    for batch in islice(file.iter_batches(batch_size=1, row_groups=[group], columns=texts), 1):
        for array in batch.columns:
            if pa.types.is_dictionary(array.type) and len(array.dictionary):
                longest = max(longest, pc.max(pc.binary_length(array.dictionary)).as_py() or 1)
    return longest


def _plain(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    if isinstance(cell, list):
        return [_plain(item) for item in cell]
    if isinstance(cell, tuple):
        return {str(key): _plain(item) for key, item in [cell]} if len(cell) == 2 else list(cell)
    if isinstance(cell, dict):
        return {str(key): _plain(item) for key, item in cell.items()}
    if isinstance(cell, float) and not math.isfinite(cell):
        # In Parquet NaN is how pandas says "missing": nothing that would need repair.
        return None
    return cell
