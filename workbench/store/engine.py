"""DuckDB itself: how the file is opened, and what its errors mean."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from workbench.errors import EnvironmentalError, StoreIncompatible

STORAGE_VERSION = "v1.5.0"
"""Oldest DuckDB that must be able to read a store."""

ROW_GROUP_ROWS = 20_480
"""Rows packed together. DuckDB's own 122,880 hold a gigabyte of long calls in memory until a group is
full, and pack it on one core; a file may hold groups of different sizes."""
_LOADING = (
    "threads = 1",
    "disabled_compression_methods = 'dict_fsst'",
    "zstd_min_string_length = 256",
)
_ALIAS = "store"
_COMPANIONS = (".wal", ".wal.checkpoint", ".wal.recovery")
_HEADER = b"DUCK"
_LOCK_ERROR = re.compile(r"lock on file.*?\(PID (\d+)\)", re.DOTALL)
_NO_MEMORY = re.compile(r"failed to (?:pin block|allocate data) of size|out of memory", re.IGNORECASE)
"""What a commit says of memory, which is an error of the transaction to DuckDB."""
_KEPT_STATEMENTS = 500
"""Many times what one page or one command asks."""
_statements: dict[str, list[duckdb.Statement]] = {}
_FATAL = (duckdb.FatalException, duckdb.InternalException, duckdb.IOException)


class ForeignHolder(Exception):
    """Another program has the file open in DuckDB."""

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        self.pid = pid


class RowRefused(ValueError):
    """A row breaks the schema: its key is known already, or a needed value is missing."""


class MemoryShort(EnvironmentalError):
    """A statement needs more memory than there is, or than it may take; the store is unharmed."""


class Invalidated(EnvironmentalError):
    """The open database failed and must be reopened; what was committed is safe."""


class CommitShort(Invalidated, MemoryShort):
    """What was to be committed needs more memory than there is, or than it may take; nothing was stored."""


class Instance:
    """A DuckDB that may open one file and no other, with its configuration locked.

    Starting an instance takes 20 ms, attaching the file to a running one 1-2 ms: so the
    instance stays, and only the file is given up to other processes.

    Args:
        path: The one file; absolute.
        memory_mb: What DuckDB may take for data; what needs more goes to the disk beside the file. None
            leaves it to DuckDB, which takes most of the machine's. Given, one thread works: several pack
            what is loaded twice, in small groups and then in large ones, and each takes memory. Long texts
            are then packed by Zstandard and short ones not at all: that takes as much of the disk as
            DuckDB's own choice, which looks for words that repeat, and 0.6 of its time.
    """

    def __init__(self, path: Path, memory_mb: int | None = None) -> None:
        self.path = path
        with contextlib.suppress(ImportError):
            # DuckDB would load it in the middle of the first insert, with the file held.
            importlib.import_module("pandas")
        self._connection = duckdb.connect(":memory:")
        own = [path, *(path.with_name(path.name + end) for end in _COMPANIONS)]
        try:
            for setting in (
                "autoinstall_known_extensions = false",
                "autoload_known_extensions = false",
                "allow_community_extensions = false",
                "TimeZone = 'UTC'",
                f"write_buffer_row_group_memory_limit = '{32 if memory_mb else 128}MB'",
                *([f"memory_limit = '{memory_mb}MB'", *_LOADING] if memory_mb else []),
                f"temp_directory = {literal(f'{path}.tmp')}",
                f"allowed_paths = [{', '.join(literal(str(file)) for file in own)}]",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                run(self._connection, f"SET GLOBAL {setting}")
        except BaseException:
            self._connection.close()
            raise

    def attach(self) -> None:
        """Open the file; it is created, readable for older DuckDB, if it doesn't exist.

        Raises:
            ForeignHolder: Another process has it open.
            StoreIncompatible: It isn't a DuckDB file, is damaged or was made by a newer DuckDB.
        """
        try:
            # A file keeps the storage version it was made with.
            version = "" if self.path.exists() else f", STORAGE_VERSION '{STORAGE_VERSION}'"
            options = f"(ROW_GROUP_SIZE {ROW_GROUP_ROWS}{version})"
            run(self._connection, f"ATTACH {literal(str(self.path))} AS {_ALIAS} {options}")
        except duckdb.Error as error:
            held = _LOCK_ERROR.search(str(error))
            if held:
                raise ForeignHolder(int(held.group(1))) from error
            raise incompatible(self.path, error) from error

    def detach(self) -> None:
        """Close the file. All cursors must be closed."""
        run(self._connection, f"DETACH {_ALIAS}")

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Have a cursor on the attached file, for one call of one thread."""
        with contextlib.closing(self._connection.cursor()) as cursor:
            run(cursor, f"USE {_ALIAS}")
            yield cursor

    def close(self) -> None:
        """End the instance, and close the file if it is attached."""
        self._connection.close()

    def interrupt(self) -> None:
        """Stop what is running."""
        self._connection.interrupt()

    def abandon(self) -> None:
        """Never close the connection: in a forked child that would write into the parent's file."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))


def run(
    cursor: duckdb.DuckDBPyConnection, sql: str, params: list[Any] | dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Execute and fetch everything: a result left unread blocks its connection."""
    statements = parsed(cursor, sql)
    return cursor.execute(statements[0] if len(statements) == 1 else sql, params).fetchall()


def parsed(cursor: duckdb.DuckDBPyConnection, sql: str) -> list[duckdb.Statement]:
    """Return the statements of a text, kept: taking a text anew is half the time of a small query."""
    statements = _statements.get(sql)
    if statements is None:
        if len(_statements) >= _KEPT_STATEMENTS:
            _statements.clear()
        statements = _statements[sql] = cursor.extract_statements(sql)
    return statements


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Have a cursor on a file that is opened for this purpose alone; the caller holds its lease."""
    instance = Instance(path)
    try:
        instance.attach()
        with instance.cursor() as cursor:
            yield cursor
        instance.detach()
    finally:
        instance.close()


def looks_like_database(path: Path) -> bool:
    """Return whether a file starts like a DuckDB file. Don't ask while the file is open in this process."""
    with path.open("rb") as file:
        return file.read(12)[8:] == _HEADER


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def quoted(identifier: str) -> str:
    """Return an identifier from the catalogue, quoted."""
    return '"' + identifier.replace('"', '""') + '"'


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn DuckDB's errors into ours; a wrong query stays what it is, a bug.

    Raises:
        Invalidated: The disk is full, the file damaged, or another thread met that before.
        RowRefused: A constraint doesn't hold.
        MemoryShort: There is too little memory.
    """
    try:
        yield
    except duckdb.ConstraintException as error:
        raise RowRefused(_first_line(error)) from error
    except duckdb.OutOfMemoryException as error:
        raise MemoryShort(
            f"The query on {path} needs more memory than there is: {_first_line(error)}",
            "Close other programs or use a machine with more memory; the store is unharmed.",
        ) from error
    except duckdb.Error as error:
        if isinstance(error, _FATAL) or type(error) is duckdb.Error or "invalidated" in str(error):
            raise failed(path, error) from error
        raise


def failed(path: Path, error: duckdb.Error) -> Invalidated:
    """Return the error for a database that must be reopened."""
    if _NO_MEMORY.search(str(error)):
        return CommitShort(
            f"What was to be stored in {path} needs more memory than there is, or than it may take: "
            f"{_first_line(error)}",
            "Nothing of it was stored, and what was there is kept. Close other programs, use a machine with "
            "more memory, or store less at once.",
        )
    return Invalidated(
        f"{path} could not be read or written: {_first_line(error)}",
        "Check that its disk is well and has space left, then try again: what was committed is kept. "
        "If it can't be read again, restore a backup.",
    )


def incompatible(path: Path, error: duckdb.Error) -> StoreIncompatible:
    """Return the error for a file that can't be opened."""
    text = _first_line(error)
    if "newer" in text or "version number" in text:
        return StoreIncompatible(
            f"{path} was written by a newer DuckDB than {duckdb.__version__}: {text}",
            "Update this program or its duckdb package, or restore a backup.",
        )
    return StoreIncompatible(
        f"{path} is damaged or isn't a store: {text}",
        _restore_hint(path),
    )


def _restore_hint(path: Path) -> str:
    backups = sorted(path.parent.glob(f"{path.name}.backup-*"), key=lambda file: file.stat().st_mtime)
    if backups:
        return f"Restore a backup, the newest is {backups[-1]}, or name another file in workbench.toml."
    return "Restore a copy of it, or name another file under `store` in workbench.toml."


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
