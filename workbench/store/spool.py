"""Parts: how workers hand in rows without ever opening the store.

A part is one Parquet file, `<table>-<unique>.parquet`. It appears complete or not at
all, and the store loads it once (see `Store.absorb`). Names sort in the order of
writing, so that rows get their sequence numbers in that order.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.store import arrow

QUARANTINE = "quarantine"
"""Folder in the spool for parts that can't be loaded, each beside a text file that says why."""

MAX_PART_BYTES = 1 << 30
"""A part may not unpack to more; workers write parts of a few megabytes."""

_NAME = re.compile(r"(?P<table>[a-z][a-z0-9_]*)-(?P<unique>[A-Za-z0-9][A-Za-z0-9._-]*)\.parquet")
_ABANDONED_S = 24 * 3600.0
_counter = itertools.count()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A part that could not be loaded, and why."""

    path: Path
    reason: str


class BadPart(ValueError):
    """A part is broken or foreign."""


def write_part(spool: Path, table: str, rows: Sequence[Mapping[str, Any]], name: str | None = None) -> Path:
    """Write rows for a table of the store as one part.

    Args:
        spool: Folder; made if it doesn't exist.
        table: Table of the store.
        rows: At least one; keys are columns.
        name: What tells this part from others of the table. A part of the same name is
            loaded once, however often it is written. Made up when not given.

    Returns:
        The part, complete and on disk.

    Raises:
        ValueError: There are no rows, or table or name can't be part of a file name.
        TypeError: Values of one column have different types.
    """
    if not rows:
        raise ValueError("A part needs at least one row.")
    unique = name or f"{time.time_ns():016x}-{os.getpid():x}-{next(_counter):x}-{uuid.uuid4().hex[:8]}"
    path = part_path(spool, table, unique)
    content = arrow.from_rows(rows)
    with written_whole(path) as file:
        pq.write_table(content, file)
    return path


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears complete and on disk when the block ends, or not at all.

    Args:
        path: The file. Its folder is made if it doesn't exist.

    Raises:
        OSError: The file can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_to_disk(path.parent)


def part_path(spool: Path, table: str, name: str) -> Path:
    """Return where a part of a name lies until it is loaded.

    Raises:
        ValueError: Table or name can't be part of a file name.
    """
    file_name = f"{table}-{name}.parquet"
    if not _NAME.fullmatch(file_name):
        raise ValueError(f"{file_name!r} is no name for a part.")
    return spool / file_name


def waiting(spool: Path) -> list[Path]:
    """Return the parts not loaded yet, in order of name; sweep up what killed writers left."""
    if not spool.is_dir():
        return []
    parts = []
    for entry in os.scandir(spool):
        if entry.name.endswith(".parquet") and not entry.name.startswith("."):
            parts.append(Path(entry.path))
        elif entry.name.startswith(".") and entry.name.endswith(".part"):
            with contextlib.suppress(OSError):
                if time.time() - entry.stat().st_mtime > _ABANDONED_S:
                    Path(entry.path).unlink()
    return sorted(parts, key=lambda path: path.name.partition("-")[::2])


def read_part(path: Path, known: arrow.Catalogue, closed: frozenset[str]) -> tuple[str, pa.Table]:
    """Read a part and check it against the store's catalogue.

    Args:
        path: The part.
        known: Tables and columns of the store.
        closed: Tables that parts may not fill.

    Returns:
        The table's name and the rows, with the types of its columns.

    Raises:
        BadPart: It is broken or foreign.
        FileNotFoundError: Somebody else has loaded it.
    """
    named = _NAME.fullmatch(path.name)
    if named is None or named["table"] in closed:
        raise BadPart("its name is not <table>-<unique>.parquet of a table that takes parts")
    table = named["table"]
    try:
        with pq.ParquetFile(path) as file:
            groups = (file.metadata.row_group(index) for index in range(file.metadata.num_row_groups))
            if sum(group.total_byte_size for group in groups) > MAX_PART_BYTES:
                raise BadPart(f"it unpacks to more than {MAX_PART_BYTES:,} bytes")
            target = known.table(table)
            target.check(file.schema_arrow.names)
            return table, arrow.fitted(file.read(), target.types)
    except FileNotFoundError:
        raise
    except BadPart:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadPart(str(error).strip().splitlines()[0] if str(error).strip() else "it is broken") from error


def quarantine(path: Path, reason: str) -> Quarantined:
    """Put a part aside, with a text file that says why."""
    folder = path.parent / QUARANTINE
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    if target.exists():
        target = folder / f"{path.stem}.{uuid.uuid4().hex[:8]}.parquet"
    with contextlib.suppress(FileNotFoundError):
        path.replace(target)
        target.with_suffix(".txt").write_text(reason + "\n", encoding="utf-8")
    return Quarantined(target, reason)


def quarantined(spool: Path) -> list[Quarantined]:
    """Return the parts put aside, with the reasons."""
    found = []
    for path in sorted((spool / QUARANTINE).glob("*.parquet")):
        try:
            reason = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        except OSError:
            reason = "unknown"
        found.append(Quarantined(path, reason))
    return found


def sync_to_disk(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's names, before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
