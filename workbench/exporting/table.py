"""A table on its way into a file: in batches, as CSV without formulas or as Parquet as it is."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import UsageError
from workbench.normal import csv_cell
from workbench.records import to_json

CSV, PARQUET = "csv", "parquet"
FORMS = (CSV, PARQUET)
EVERY = 1_000_000_000
"""A limit for what a file holds: all there are."""

Row = Mapping[str, Any]

TEXT, WHOLE, NUMBER, YES = pa.string(), pa.int64(), pa.float64(), pa.bool_()
TEXTS = pa.list_(pa.string())
TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True)
class Table:
    """What is written. `has_raw_text` says that it holds what users or models wrote.

    `columns` are in the order of the file; keys of a row that are no column are left out. `batches`
    are read once.
    """

    columns: Mapping[str, pa.DataType]
    batches: Iterable[Sequence[Row]]
    has_raw_text: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows a file holds, and whether more were left out."""

    rows: int
    cut: bool = False


def write(
    table: Table, file: IO[bytes], form: str, *, most_rows: int | None = None, most_bytes: int | None = None
) -> Written:
    """Write a table batch by batch.

    Args:
        table: What to write.
        file: Open for bytes.
        form: One of `FORMS`.
        most_rows: More are left out.
        most_bytes: No batch is begun beyond; Parquet counts what it has written of a batch before.
    """
    writer = _ParquetRows(file, table.columns) if form == PARQUET else _CsvRows(file, table.columns)
    written = 0
    start = file.tell()
    cut = False
    for batch in table.batches:
        if most_bytes is not None and file.tell() - start >= most_bytes:
            cut = bool(batch)
            break
        room = len(batch) if most_rows is None else most_rows - written
        writer.add(batch[:room])
        written += min(len(batch), room)
        if len(batch) > room:
            cut = True
            break
    writer.close()
    return Written(written, cut)


def write_file(
    table: Table, path: Path, form: str, *, before: Callable[[Written], None] | None = None
) -> Written:
    """Write a table to a file that appears whole or not at all.

    Args:
        table: What to write.
        path: Where; its folder is made.
        form: One of `FORMS`.
        before: Hears how much it is before the file appears; what it raises keeps it from appearing.

    Raises:
        UsageError: It can't be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            done = write(table, file, form)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            before(done)
        part.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} can't be written: {error.strerror or error}.", "Name a file in a folder of yours."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return done


class _CsvRows:
    def __init__(self, file: IO[bytes], columns: Mapping[str, pa.DataType]) -> None:
        self._names = list(columns)
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", errors="replace")
        self._writer = csv.writer(self._text)
        self._writer.writerow(self._names)
        self._text.flush()

    def add(self, batch: Sequence[Row]) -> None:
        self._writer.writerows([csv_cell(_plain(row.get(name))) for name in self._names] for row in batch)
        self._text.flush()

    def close(self) -> None:
        self._text.flush()
        self._text.detach()


class _ParquetRows:
    def __init__(self, file: IO[bytes], columns: Mapping[str, pa.DataType]) -> None:
        self._schema = pa.schema(list(columns.items()))
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def add(self, batch: Sequence[Row]) -> None:
        columns = [
            pa.array([_plain(row.get(field.name)) for row in batch], field.type, from_pandas=True)
            for field in self._schema
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _plain(value: Any) -> Any:
    return to_json(value).decode() if isinstance(value, dict) else value
