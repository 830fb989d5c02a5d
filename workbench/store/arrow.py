"""Rows to Arrow tables and back, with columns from the store's own catalogue."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import did_you_mean
from workbench.parts import PIECES, joined
from workbench.store import engine

Types = Mapping[str, pa.DataType | None]
"""Arrow types by column; None where Arrow finds the type itself."""


Rows: TypeAlias = Sequence[Mapping[str, Any]] | pa.Table
"""Rows by column, or an Arrow table."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the store, as its catalogue has it."""

    name: str
    types: Types
    keyed: bool

    def check(self, columns: Iterable[str]) -> None:
        """Refuse names that aren't columns of this table.

        Raises:
            ValueError: There is no such column.
        """
        for column in columns:
            if column not in self.types:
                raise ValueError(
                    f"Table {self.name} has no column {column!r}. {did_you_mean(column, self.types)}"
                )


class Catalogue:
    """The tables of an open store: the only names that ever become part of a statement.

    Args:
        cursor: On the open store.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        types: dict[str, dict[str, pa.DataType | None]] = {}
        keyed = {}
        for table, column, kind, has_key in engine.run(cursor, _CATALOGUE_QUERY):
            element: pa.DataType | None = _TYPES.get(kind.removesuffix("[]"))
            if element is not None and kind.endswith("[]"):
                element = pa.list_(element)
            types.setdefault(table, {})[column] = element
            keyed[table] = bool(has_key)
        self._tables = {name: Table(name, columns, keyed[name]) for name, columns in types.items()}
        self._views = dict(engine.run(cursor, _VIEWS_QUERY))

    def table(self, name: str) -> Table:
        """Return a table by name.

        Raises:
            ValueError: There is no such table.
        """
        if name not in self._tables:
            raise ValueError(f"The store has no table {name!r}. {did_you_mean(name, self._tables)}")
        return self._tables[name]

    def knows(self, name: str) -> bool:
        """Say whether there is a table of this name."""
        return name in self._tables

    def named_in(self, sql: str) -> frozenset[str]:
        """Return the tables whose names stand in a query, or in a view that it names.

        A column of the same name counts, too: rather one table too many than one too few.
        """
        words = set(_WORDS.findall(sql))
        found = words & self._tables.keys()
        for view in words & self._views.keys():
            found |= self.named_in(self._views[view]) if self._views[view] != sql else set()
        return frozenset(found)


REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_WORDS = re.compile(r"\w+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_TYPES: dict[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "SMALLINT": pa.int16(),
    "DOUBLE": pa.float64(),
    "FLOAT": pa.float32(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMP": pa.timestamp("us"),
    "DATE": pa.date32(),
    "BLOB": pa.binary(),
}
_CATALOGUE_QUERY = """
SELECT c.table_name, c.column_name, c.data_type, t.has_primary_key
FROM duckdb_columns() c JOIN duckdb_tables() t USING (table_oid, database_name)
WHERE NOT t.internal AND database_name = current_database()
ORDER BY c.table_name, c.column_index
"""
_VIEWS_QUERY = r"""
SELECT view_name, regexp_replace(sql, '^CREATE VIEW \S+ ', '') FROM duckdb_views()
WHERE NOT internal AND database_name = current_database()
"""


def from_rows(rows: Sequence[Mapping[str, Any]], types: Types | None = None) -> pa.Table:
    """Return rows as an Arrow table.

    A key that only some rows have is null in the others. Text that no database can
    hold (NUL, lone surrogates) is replaced by the replacement character.

    Args:
        rows: At least one.
        types: Arrow types by column; without them Arrow finds them.

    Raises:
        TypeError: A value doesn't fit its column.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    arrays = [_array(name, [row.get(name) for row in rows], (types or {}).get(name)) for name in names]
    return pa.table(arrays, names=names)


def content(table: Table, rows: Rows) -> pa.Table | None:
    """Return rows as what goes into a table of the catalogue; None if there are none.

    Raises:
        ValueError: There is no such column.
        TypeError: A value doesn't fit its column.
    """
    if isinstance(rows, pa.Table):
        table.check(rows.column_names)
        return fitted(rows, table.types) if rows.num_rows else None
    rows = list(rows)
    table.check(dict.fromkeys(name for row in rows for name in row))
    return from_rows(rows, table.types) if rows else None


def fitted(table: pa.Table, types: Types) -> pa.Table:
    """Return a table with the types of the store's columns and text that can be stored.

    Args:
        table: Its columns must be known already.
        types: Arrow types by column.

    Raises:
        pa.ArrowInvalid: A value doesn't fit its column, or text isn't UTF-8.
    """
    arrays = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        wanted = types[name]
        if wanted not in (None, column.type) and not is_in_pieces(column.type):
            column = column.cast(wanted)
        column.validate(full=True)
        if is_in_pieces(column.type):
            if not _may_hold_nul(column):
                arrays.append(column)
                continue
            column = pa.chunked_array([joined(*chunk.flatten()) for chunk in column.chunks], pa.string())
        if _may_hold_nul(column) and pc.any(pc.match_substring(column, "\0")).as_py():
            column = pc.replace_substring(column, "\0", REPLACEMENT)
        arrays.append(column)
    return pa.table(arrays, names=table.column_names)


def is_in_pieces(kind: pa.DataType) -> bool:
    """Say whether a column holds texts in two pieces, which are put together where they are stored."""
    return bool(kind == PIECES)


def _may_hold_nul(column: Any) -> bool:
    """Look at text as it lies in memory, which takes next to no time beside asking each value."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if is_in_pieces(column.type):
        return any(_may_hold_nul(piece) for chunk in chunks for piece in chunk.flatten())
    if pa.types.is_dictionary(column.type):
        return any(_may_hold_nul(chunk.dictionary) for chunk in chunks)
    if not pa.types.is_string(column.type):
        return False
    texts = (text for chunk in chunks for text in chunk.buffers()[2:] if text is not None and text.size)
    return any(not np.frombuffer(text, np.uint8).min() for text in texts)


def cleaned(value: Any) -> Any:
    """Return a value with text that can be stored: NUL and lone surrogates replaced, at any depth."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, Mapping):
        return {cleaned(key): cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return value


def parameters(values: Sequence[Any] | Mapping[str, Any]) -> list[Any] | dict[str, Any]:
    """Return query parameters as DuckDB wants them: storable text, times in UTC without a zone."""
    if isinstance(values, Mapping):
        return {name: _parameter(value) for name, value in values.items()}
    return [_parameter(value) for value in values]


def rows_of(cursor: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Fetch all rows of the query just executed."""
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def insert(
    cursor: duckdb.DuckDBPyConnection, table: Table, rows: pa.Table, *, ignore_known: bool = False
) -> int:
    """Insert a fitted Arrow table into a table of the catalogue.

    Args:
        cursor: With a transaction open, or not.
        table: From the catalogue.
        rows: Columns missing from it take their defaults.
        ignore_known: Whether rows whose key is there already are passed over.

    Returns:
        How many rows were inserted.
    """
    columns = ", ".join(engine.quoted(name) for name in rows.column_names)
    values = ", ".join(_value_of(field) for field in rows.schema)
    # DuckDB refuses ON CONFLICT where there is no key that could conflict.
    known = " ON CONFLICT DO NOTHING" if ignore_known and table.keyed else ""
    with lent(cursor, "appended_rows", rows):
        inserted = engine.run(
            cursor,
            f"INSERT INTO {engine.quoted(table.name)} ({columns}) SELECT {values} FROM appended_rows{known}",  # noqa: S608 - identifiers from the catalogue
        )
    return int(inserted[0][0])


def _value_of(field: pa.Field) -> str:
    """Return the expression that stores a column."""
    name = engine.quoted(field.name)
    return f"coalesce({name}.begins, '') || {name}.rest" if is_in_pieces(field.type) else name


class _Lent:
    """A table that can be taken back: DuckDB keeps what has a name in a transaction until its end."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows: Any = rows

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.rows.__arrow_c_stream__(requested_schema)


@contextmanager
def lent(cursor: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> Iterator[None]:
    """Let statements read an Arrow table by a name, where it lies, until the block ends.

    Args:
        cursor: Runs the statements.
        name: Of no table.
        rows: The table.
    """
    shared = _Lent(rows)
    cursor.register(name, shared)
    try:
        yield
    finally:
        shared.rows = None
        # Impossible in a transaction that just failed; the name goes with the cursor then.
        with contextlib.suppress(duckdb.Error):
            cursor.unregister(name)


def _array(name: str, values: list[Any], kind: pa.DataType | None) -> Any:
    if any(type(value) is str and "\0" in value for value in values) or (
        kind is not None and pa.types.is_list(kind)
    ):
        values = cleaned(values)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array(cleaned(values), kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise TypeError(f"A value of column {name} doesn't fit {kind or 'one type'}: {error}") from error


def _parameter(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, str):
        return str(cleaned(value))
    if isinstance(value, (list, tuple)):
        return [_parameter(item) for item in value]
    return value
