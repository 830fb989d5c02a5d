"""Numbered migrations: a store is created, brought up to date or refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import duckdb

from workbench.errors import EnvironmentalError, StoreIncompatible
from workbench.store import engine
from workbench.store.spool import sync_to_disk

LEDGER = "workbench_migrations"
"""Name of the table that says which migrations a file has; a file without it isn't a store."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sql: str


def bundled() -> list[Migration]:
    """Return the migrations that come with this version, in order."""
    folder = resources.files("workbench.store") / "migrations"
    steps = [
        Migration(int(entry.name[:4]), entry.name.removesuffix(".sql"), entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return sorted(steps, key=lambda step: step.number)


def create(path: Path, steps: list[Migration]) -> None:
    """Make an empty store with the current schema.

    The file gets its name only when it is complete, so that a killed process leaves
    no half-made store.

    Args:
        path: Where; nothing may be there.
        steps: The migrations to apply.
    """
    unfinished = path.with_name(path.name + ".new")
    _remove(unfinished)
    with engine.opened(unfinished) as connection, _transaction(connection):
        engine.run(
            connection,
            f"CREATE TABLE {LEDGER} "
            "(number INTEGER PRIMARY KEY, name VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL)",
        )
        for step in steps:
            _apply(connection, step)
    sync_to_disk(unfinished)
    unfinished.replace(path)
    sync_to_disk(path.parent)


def applied(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Return the number of the newest migration a file has.

    Raises:
        StoreIncompatible: The file is a DuckDB database, but not a store.
    """
    try:
        found = engine.run(connection, f"SELECT max(number) FROM {LEDGER}")  # noqa: S608 - a constant
    except duckdb.CatalogException as error:
        raise StoreIncompatible(
            f"{path} is a DuckDB database, but not a store of this program.",
            "Name another file under `store` in workbench.toml; it is created when it doesn't exist.",
        ) from error
    return int(found[0][0] or 0)


def check(version: int, path: Path, steps: list[Migration]) -> bool:
    """Return whether the file needs migrations.

    Raises:
        StoreIncompatible: The file was made by a newer version.
    """
    newest = steps[-1].number
    if version > newest:
        raise StoreIncompatible(
            f"{path} was made by a newer version: it has schema {version}, this version knows {newest}.",
            f"Update this program, or restore a backup ({path.name}.backup-v{newest}-...) beside the store.",
        )
    return version < newest


def upgrade(path: Path, version: int, steps: list[Migration]) -> Path:
    """Bring an older store up to date, after a verified backup.

    The store must be closed, and the caller must hold its lease.

    Args:
        path: The store.
        version: Its newest migration.
        steps: All migrations.

    Returns:
        Where the backup is.

    Raises:
        EnvironmentalError: The backup could not be made; the store is as it was.
        StoreIncompatible: A migration failed; the store is as before that migration.
    """
    backup = back_up(path, version)
    step = steps[-1]
    try:
        with engine.opened(path) as connection:
            for step in steps:
                if step.number > version:
                    with _transaction(connection):
                        _apply(connection, step)
    except duckdb.Error as error:
        raise StoreIncompatible(
            f"{path} could not be migrated: {step.name} failed ({_first_line(error)}).",
            f"The data is unchanged, and a copy from before is {backup}; report this with the message above.",
        ) from error
    return backup


def back_up(path: Path, version: int) -> Path:
    """Copy a closed store and prove that the copy holds the same rows.

    Args:
        path: The store; the caller must hold its lease.
        version: Its newest migration, for the name.

    Returns:
        The copy, beside the store.

    Raises:
        EnvironmentalError: It could not be written or differs.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    backup = path.with_name(f"{path.name}.backup-v{version}-{stamp}")
    unfinished = backup.with_name(backup.name + ".part")
    try:
        expected = _counts(path)
        shutil.copyfile(path, unfinished)
        sync_to_disk(unfinished)
        found = _counts(unfinished)
    except (OSError, duckdb.Error) as error:
        _remove(unfinished)
        raise EnvironmentalError(
            f"No backup of {path} could be made before migrating it: {_first_line(error)}",
            "Free some space in that folder, then try again; the store is unchanged.",
        ) from error
    if found != expected:
        _remove(unfinished)
        raise EnvironmentalError(
            f"The backup of {path} differs from the store; nothing was migrated.",
            "Check the disk, then try again; the store is unchanged.",
        )
    unfinished.replace(backup)
    sync_to_disk(backup.parent)
    return backup


def _counts(path: Path) -> dict[str, int]:
    """Return rows by table, with everything in the one file (no write-ahead log left)."""
    with engine.opened(path) as connection:
        tables = engine.run(
            connection,
            "SELECT table_name FROM duckdb_tables() "
            "WHERE NOT internal AND database_name = current_database()",
        )
        counts = {
            name: engine.run(connection, f"SELECT count(*) FROM {engine.quoted(name)}")[0][0]  # noqa: S608
            for (name,) in tables
        }
        engine.run(connection, "CHECKPOINT")
    return counts


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    engine.run(connection, "BEGIN TRANSACTION")
    try:
        yield
        engine.run(connection, "COMMIT")
    except BaseException:
        engine.run(connection, "ROLLBACK")
        raise


def _apply(connection: duckdb.DuckDBPyConnection, step: Migration) -> None:
    engine.run(connection, step.sql)
    engine.run(
        connection,
        f"INSERT INTO {LEDGER} VALUES (?, ?, ?)",  # noqa: S608 - a constant
        [step.number, step.name, datetime.now(UTC).replace(tzinfo=None)],
    )


def _remove(path: Path) -> None:
    for leftover in (path, path.with_name(path.name + ".wal")):
        leftover.unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
