"""The parts of an import: rows of Arrow that a reading process writes and the store maps into memory.

A row is a call with or without its output (`kind` call), or an output alone (`kind` output).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.ipc as ipc

PART_ROWS = 2_048
PART_BYTES = 32 * 1024 * 1024
_SUFFIX = ".arrow"

_FIELDS: list[tuple[str, Any]] = [
    ("kind", pa.string()),
    ("call_id", pa.string()),
    ("source", pa.string()),
    ("native_id", pa.string()),
    ("task", pa.string()),
    ("occurred_at", pa.timestamp("us")),
    ("session_id", pa.string()),
    ("served_by", pa.string()),
    ("sampling_rate", pa.float64()),
    ("model", pa.string()),
    ("input_chars", pa.int32()),
    ("turn_depth", pa.int32()),
    ("tool_count", pa.int32()),
    ("request_hash", pa.string()),
    ("content_hash", pa.string()),
    ("attributes", pa.string()),
    ("marks", pa.list_(pa.string())),
    ("output_hash", pa.string()),
    ("text", pa.string()),
    ("error_kind", pa.string()),
    ("latency_ms", pa.float64()),
    ("input_tokens", pa.int64()),
    ("cached_input_tokens", pa.int64()),
    ("output_tokens", pa.int64()),
    ("logged_usd", pa.float64()),
    ("control_marks", pa.list_(pa.string())),
    ("gold", pa.string()),
    ("file", pa.string()),
    ("line", pa.int64()),
    ("answered_by", pa.string()),
    ("key_name", pa.string()),
    ("unnamed", pa.bool_()),
    ("parts", pa.int32()),
    ("language", pa.string()),
    ("request", pa.string()),
    ("output", pa.string()),
]
SCHEMA = pa.schema(_FIELDS)
"""`language` holds what of the text it is to be found out from.

`unnamed`: the log gives no id, so `native_id` is a hash, and equal rows are told apart later.
`parts` counts the further source records that went into it. The last three are the long ones.
"""

LABEL_TEXTS = (
    "source", "origin", "native_id", "target_kind", "target_id", "name", "kind", "value", "comment",
    "annotator", "annotator_kind", "attributes", "content_hash",
)  # fmt: skip
_LABEL_FIELDS: list[tuple[str, Any]] = [
    ("label_id", pa.string()),
    ("is_record", pa.bool_()),
    *((name, pa.string()) for name in LABEL_TEXTS),
    ("created_at", pa.timestamp("us")),
    ("file", pa.string()),
    ("line", pa.int64()),
]
LABELS = pa.schema(_LABEL_FIELDS)
"""A label of another tool; `is_record` says whether it is a source record by itself."""

_REQUEST, _BEGINS = "request", "request_begins"
"""Most requests of a log begin with one of few prompts: a part holds each of these once, in a column of its
own, and `read` puts them back."""

PIECES = pa.struct([("begins", pa.dictionary(pa.int32(), pa.string())), ("rest", pa.string())])
"""A text in two pieces; null where the second one is."""

CALL_PARTS, LABEL_PARTS = "part", "label"
"""How the names of parts begin, by what they hold."""


def _texts(column: Sequence[bytes | None]) -> Any:
    """Return texts in UTF-8 as a column: one behind the other, and where each ends.

    They are neither decoded nor copied one by one on the way.
    """
    missing = column.count(None)
    there = pa.array([each is not None for each in column], pa.bool_()).buffers()[1] if missing else None
    texts = [each or b"" for each in column] if missing else cast("Sequence[bytes]", column)
    ends = array("i", accumulate(map(len, texts), initial=0))
    buffers = [there, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
    return pa.Array.from_buffers(pa.string(), len(column), buffers, missing)


class PartWriter:
    """Writes rows as parts whose names, in order, are the order of the rows.

    Args:
        folder: Where the parts go.
        written: Is told the name of every part that is complete.
        schema: Of the rows.
        prefix: How the names of the parts begin.
    """

    def __init__(
        self,
        folder: Path,
        written: Callable[[str], None],
        schema: pa.Schema = SCHEMA,
        prefix: str = CALL_PARTS,
    ) -> None:
        self._folder, self._written = folder, written
        self._schema, self._prefix = schema, prefix
        self._line_at = schema.get_field_index("line")
        self._values: list[Any] = []
        self._long: list[bytes | None] = []
        self._begins: list[bytes | None] = []
        self._bytes = 0
        self._file, self._line, self._count, self._shared = 0, 0, 0, False

    def add(
        self,
        values: Sequence[Any],
        size: int,
        long: Sequence[bytes | None] = (),
        begins: bytes | None = None,
    ) -> None:
        """Add one row.

        Args:
            values: In the order of the schema.
            size: Roughly how many bytes it takes; decides when a part is written.
            long: What follows them: texts in UTF-8 for the last columns, as many for every row.
            begins: How its request begins, where others begin so too; the one in `long` goes on from there.
        """
        if not self._begins:
            self._line = values[self._line_at]
        # One behind the other: a row less is to be kept, and a column is every so many of them.
        self._values += values
        self._long += long
        self._begins.append(begins)
        # They stand once in the file, and in every row of what is read.
        self._bytes += size if begins is None else size + len(begins)
        if len(self._begins) >= PART_ROWS or self._bytes >= PART_BYTES:
            self.flush()

    def begin_file(self, number: int, *, shared: bool = False) -> None:
        """Go on with another file.

        Args:
            number: Parts stand in the order of these numbers.
            shared: Whether other writers have a share in the file: then a part stands where its
                first line does, and the caller flushes before lines of another writer.
        """
        self.flush()
        self._file, self._shared = number, shared

    def flush(self) -> None:
        """Write what is waiting as a part."""
        rows = len(self._begins)
        if not rows:
            return
        # The long columns come after the others.
        arrays = [
            _array(column, field.type)
            for column, field in zip(_columns(self._values, rows), self._schema, strict=False)
        ]
        arrays += [_texts(column) for column in _columns(self._long, rows)]
        schema = self._schema
        if self._begins.count(None) < len(self._begins):
            arrays.append(_repeated(self._begins))
            schema = schema.append(pa.field(_BEGINS, arrays[-1].type))
        first = self._line if self._shared else 0
        name = f"{self._prefix}-{self._file:06d}-{first:012d}-{self._count:08d}{_SUFFIX}"
        self._count += 1
        write(pa.table(arrays, schema=schema), self._folder / name)
        self._values, self._long, self._begins = [], [], []
        self._bytes = 0
        self._written(name)


def _columns(values: list[Any], rows: int) -> Iterator[list[Any]]:
    """Give the columns of rows that stand one behind the other."""
    width = len(values) // rows
    for place in range(width):
        yield values[place::width]


def _array(column: list[Any], kind: Any) -> Any:
    """Return a column; of most, all rows say the same, and that is told in a fifth of the time."""
    first = column[0]
    if (
        first != column[-1]
        or not (first is None or first == [] or type(first) is str)
        or column.count(first) < len(column)
    ):
        return pa.array(column, kind)
    if first == []:  # A scalar of a list is not repeated, it is copied row by row.
        ends = pa.repeat(pa.scalar(0, pa.int32()), len(column) + 1)
        return pa.ListArray.from_arrays(ends, pa.array([], kind.value_type))
    return pa.repeat(pa.scalar(first, kind), len(column))


def _repeated(column: Sequence[bytes | None]) -> Any:
    """Return texts in UTF-8 as a column in which each of them stands once."""
    places: dict[bytes | None, int | None] = {None: None}
    known = [places.setdefault(each, len(places) - 1) for each in column]
    return pa.DictionaryArray.from_arrays(pa.array(known, pa.int32()), _texts([*places][1:]))


def write(table: pa.Table, path: Path) -> None:
    """Write a part whole or not at all; it lives for minutes, so it is not packed."""
    passing = path.with_name(path.name + ".tmp")
    with pa.OSFile(str(passing), "wb") as sink, ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    # Whoever has the old file mapped keeps it.
    passing.replace(path)


def read(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Map a part into memory, with all of its columns or some: nothing is read before it is used.

    But for requests, of which those whose prompt stands apart are put together.
    """
    table = _mapped(path)
    if _BEGINS in table.column_names and (columns is None or _REQUEST in columns):
        place = table.schema.get_field_index(_REQUEST)
        requests = joined(table.column(_BEGINS), table.column(place))
        table = table.set_column(place, table.schema.field(place), requests)
    wanted = (name for name in table.column_names if name != _BEGINS) if columns is None else columns
    return table.select(list(wanted))


def read_in_pieces(path: Path) -> pa.Table:
    """Map a part as `read` does; its requests are in `PIECES`, and no text is copied."""
    table = _mapped(path).combine_chunks()
    place = table.schema.get_field_index(_REQUEST)
    if _BEGINS in table.column_names:
        begins = table.column(_BEGINS).chunk(0)
    else:
        begins = pa.nulls(table.num_rows, PIECES.field(0).type)
    pieces = pa.StructArray.from_arrays([begins, table.column(place).chunk(0)], fields=list(PIECES))
    table = table.set_column(place, pa.field(_REQUEST, PIECES), pieces)
    return table.drop_columns(_BEGINS) if _BEGINS in table.column_names else table


def joined(begins: Any, rest: Any) -> Any:
    """Return whole texts: how they begin, if anything is known of it, and how they go on; null stays null."""
    import pyarrow.compute as pc  # A process that only writes parts needs none of it.

    whole = pc.binary_join_element_wise(
        begins.cast(pa.string()), rest, "", null_handling="replace", null_replacement=""
    )
    return pc.if_else(pc.is_valid(rest), whole, None) if rest.null_count else whole


def _mapped(path: Path) -> pa.Table:
    return ipc.open_file(pa.memory_map(str(path))).read_all()


def row_count(path: Path) -> int:
    """Return how many rows a part holds."""
    return int(read(path, ()).num_rows)


def listed(folder: Path, prefix: str = CALL_PARTS) -> list[Path]:
    """Return the parts of a folder in the order of their rows."""
    return sorted(folder.glob(f"{prefix}-*{_SUFFIX}"))


def file_number(path: Path) -> int:
    """Return the number of the file that a part's rows are from."""
    return int(path.name.split("-")[1])
