"""Where an import waits until it is complete: a folder of Parquet parts under the spool.

The folder of a killed import is swept up by the next one: its lock is free.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

PART_ROWS = 5_000
PART_BYTES = 32 * 1024 * 1024

_FIELDS: list[tuple[str, Any]] = [
    ("row", pa.int64()),
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
    ("language", pa.string()),
    ("input_chars", pa.int32()),
    ("turn_depth", pa.int32()),
    ("tool_count", pa.int32()),
    ("request_hash", pa.string()),
    ("content_hash", pa.string()),
    ("request", pa.string()),
    ("attributes", pa.string()),
    ("marks", pa.list_(pa.string())),
    ("output", pa.string()),
    ("output_hash", pa.string()),
    ("text", pa.string()),
    ("error_kind", pa.string()),
    ("latency_ms", pa.float64()),
    ("input_tokens", pa.int64()),
    ("cached_input_tokens", pa.int64()),
    ("output_tokens", pa.int64()),
    ("control_marks", pa.list_(pa.string())),
    ("gold", pa.string()),
    ("file", pa.string()),
    ("line", pa.int64()),
    ("key_name", pa.string()),
    ("parts", pa.int32()),
]
SCHEMA = pa.schema(_FIELDS)
"""One staged row: a call with or without its output (`kind` call), or an output alone.

`parts` counts the further source records that went into it.
"""

_LOCK = "lock"
_FRESH_S = 60.0


class Staging:
    """The parts of one import, in a folder of its own that no one else may sweep.

    Args:
        spool: The store's spool.
        import_id: Names the folder.
        schema: Of the rows; the first column numbers them.
        inside: Another staging, entered already, whose folder holds these rows, too.
    """

    def __init__(
        self, spool: Path, import_id: str, schema: Any = SCHEMA, *, inside: Staging | None = None
    ) -> None:
        self._schema, self._inside = schema, inside
        self._root = spool / "imports"
        self._folder: Path = inside._folder if inside is not None else self._root / import_id
        self._lock: IO[str] | None = None
        self._columns: list[list[Any]] = [[] for _ in self._schema.names]
        self._bytes = 0
        self.rows = 0
        self.parts: list[Path] = []

    def __enter__(self) -> Staging:
        if self._inside is not None:
            return self
        self._root.mkdir(parents=True, exist_ok=True)
        sweep(self._root)
        self._folder.mkdir()
        self._lock = (self._folder / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._inside is None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def add(self, values: Sequence[Any], size: int) -> None:
        """Add one row.

        Args:
            values: In the order of the schema, without the row number.
            size: Roughly how many bytes it takes; decides when a part is written.
        """
        columns = self._columns
        columns[0].append(self.rows)
        for index, value in enumerate(values, 1):
            columns[index].append(value)
        self.rows += 1
        self._bytes += size
        if len(columns[0]) >= PART_ROWS or self._bytes >= PART_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting as a part."""
        if not self._columns[0]:
            return
        arrays = [
            pa.array(column, field.type) for column, field in zip(self._columns, self._schema, strict=True)
        ]
        name = "part" if self._inside is None else "more"
        path = self._folder / f"{name}-{len(self.parts):06d}.parquet"
        pq.write_table(
            pa.table(arrays, schema=self._schema),
            path,
            compression="zstd",
            compression_level=1,
            use_dictionary=False,
        )
        self.parts.append(path)
        self._columns = [[] for _ in self._schema.names]
        self._bytes = 0

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Give the parts in order, with all columns or some."""
        for path in self.parts:
            yield pq.read_table(path, columns=list(columns) if columns else None, memory_map=True)


def sweep(root: Path) -> int:
    """Remove the folders of imports that were killed.

    Args:
        root: The folder of all staging folders.

    Returns:
        How many were removed.
    """
    removed = 0
    for folder in root.iterdir():
        lock = folder / _LOCK
        if not folder.is_dir() or folder.is_symlink():
            continue
        try:
            with lock.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            # Another process may have made the folder just now and not its lock.
            if not _old(folder):
                continue
        except OSError:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        removed += 1
    return removed


def _old(folder: Path) -> bool:
    try:
        newest = folder.stat().st_mtime
    except OSError:
        return False
    return time.time() - newest > _FRESH_S
