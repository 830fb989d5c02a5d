"""`Store`: the one way to the data."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb
import pyarrow as pa
from numpy.typing import NDArray

from workbench import priority
from workbench.errors import EnvironmentalError, StoreBusy
from workbench.store import arrow, engine, fence, lease, migrate, room, shared, spool

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
Params = Sequence[Any] | Mapping[str, Any]

ABSORB_ROWS = 2_000
"""Spool rows loaded in one transaction: some 30 ms, so that a label in between isn't held up."""

FETCHED_ROWS = 10_000
"""Rows held at a time as DuckDB gives them, on the way to what is made of them."""

CLOSED_TABLES = frozenset({"absorbed_parts", "calls", "conflicts", "controls", migrate.LEDGER})
"""Tables that spool parts may not fill: in those without a key an import sees to it that rows stand once."""

_CHANGES = re.compile(r"\s*(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|DELETE\s+FROM|UPDATE)\s+(\w+)\b", re.IGNORECASE)
_queries: ContextVar[set[str] | None] = ContextVar("queries", default=None)

_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_log = logging.getLogger(__name__)


class Writer:
    """One transaction. It holds when the `with` block of `Store.writing` ends without an error."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, catalogue: arrow.Catalogue) -> None:
        self._cursor = cursor
        self._catalogue = catalogue
        self.changed = False
        self.tables: set[str] | None = set()
        """Which tables were changed; None where that is not known."""

    def rows(self, sql: str, params: Params = ()) -> list[dict[str, Any]]:
        """Return the rows of a query, which sees what this transaction wrote."""
        return _rows(self._cursor, sql, params)

    def value(self, sql: str, params: Params = ()) -> Any:
        """Return the first column of the first row, or None."""
        return _value(self._cursor, sql, params)

    def append(self, table: str, rows: arrow.Rows, *, ignore_known: bool = False) -> int:
        """Add rows; see `Store.append`."""
        target = self._catalogue.table(table)
        content = arrow.content(target, rows)
        if content is None:
            return 0
        inserted = arrow.insert(self._cursor, target, content, ignore_known=ignore_known)
        if inserted > 0:
            self._note(table)
        return inserted

    @contextmanager
    def lent(self, name: str, rows: pa.Table) -> Iterator[None]:
        """Let statements read an Arrow table by a name, where it lies."""
        with arrow.lent(self._cursor, name, rows):
            yield

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run a statement that changes something. Values go in as parameters, never into the text."""
        found = _CHANGES.match(sql)
        self._note(found[1] if found and self._catalogue.knows(found[1]) else None)
        engine.run(self._cursor, sql, arrow.parameters(params))

    def _note(self, table: str | None) -> None:
        self.changed = True
        if table is None:
            self.tables = None
        elif self.tables is not None:
            self.tables.add(table)


class Store:
    """The store of a workspace: one DuckDB file, safe for threads and polite to processes.

    It opens the file when needed and gives it up when another process asks for it.
    Make one with `Store.open`; several in one process share one connection.
    """

    def __init__(self, path: Path, spool_folder: Path, wait_s: float, memory_mb: int | None = None) -> None:
        self.path = path
        self.spool = spool_folder
        self.wait_s = wait_s
        self._shared = shared.share(path, memory_mb)
        self._base_mb: int | None = None
        self._closed = False
        self._local = threading.local()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        spool: Path | None = None,
        wait_s: float = 30.0,
        memory_mb: int | None = None,
        grows: bool = True,
    ) -> Store:
        """Open a store, making or migrating it if need be.

        Args:
            path: The DuckDB file.
            spool: Folder of parts to absorb; beside the store unless given.
            wait_s: How long any call waits for another process, in seconds.
            memory_mb: What the database may take in this process, for loading whatever size; it then works
                with one thread. None leaves it to DuckDB. Whoever opens it first in a process says.
            grows: Whether `make_room` may give it more.

        Raises:
            StoreBusy: Another process did not give the file up in time.
            StoreIncompatible: It isn't a store, is damaged, or was made by a newer version.
            EnvironmentalError: Its folder can't be made or written.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentalError(
                f"The folder of the store {path} can't be made: {error.strerror or error}.",
                "Name another file under `store` in workbench.toml.",
            ) from error
        store = cls(path, spool or path.with_name(path.name + ".spool"), wait_s, memory_mb)
        try:
            with store._gate().call(wait_s):
                pass
        except BaseException:
            store.close()
            raise
        store._base_mb = memory_mb if grows else None
        return store

    def make_room(self, run_bytes: int) -> None:
        """Let the database take what long texts need, if it was opened so; not within a call.

        Args:
            run_bytes: What 2,048 rows take where they are longest; see `room.longest_run`.
        """
        if self._base_mb is not None:
            self._gate().grow(room.room_mb(self._base_mb, run_bytes))

    def rows(self, sql: str, params: Params = ()) -> list[dict[str, Any]]:
        """Return all rows of a query as dictionaries; times are UTC without a zone.

        Args:
            sql: One SELECT.
            params: Values for `?` or `$name`.
        """
        return self._read(lambda cursor: _rows(cursor, sql, params))

    def each(self, make: Callable[..., T], sql: str, params: Params = ()) -> list[T]:
        """Return what is made of each row of a query, for results of a million rows.

        Args:
            make: Takes a row's values, one argument a column. It must not use the store.
            sql: One SELECT.
            params: Values for `?` or `$name`.
        """
        return self._read(lambda cursor: _made(make, _run(cursor, sql, params)))

    def value(self, sql: str, params: Params = ()) -> Any:
        """Return the first column of the first row of a query, or None if there is no row."""
        return self._read(lambda cursor: _value(cursor, sql, params))

    def columns(self, sql: str, params: Params = ()) -> dict[str, NDArray[Any]]:
        """Return a query's rows as one array a column, for results of a million rows.

        Args:
            sql: One SELECT.
            params: Values for `?` or `$name`.

        Returns:
            Masked arrays where a value is missing; times are UTC without a zone.
        """
        found: dict[str, Any] = self._read(lambda cursor: _run(cursor, sql, params).fetchnumpy())
        return found

    def frame(self, sql: str, params: Params = ()) -> pd.DataFrame:
        """Return a query's rows as a data frame; times are UTC without a zone."""
        return self._read(lambda cursor: _run(cursor, sql, params).df())

    def append(self, table: str, rows: arrow.Rows, *, ignore_known: bool = False) -> int:
        """Add rows to a table in a transaction of their own, or in the one of this thread.

        Text that can't be stored (NUL, lone surrogates) is replaced by U+FFFD.

        Args:
            table: A table of the schema.
            rows: Keys are columns; columns that no row has take their defaults.
            ignore_known: Whether rows whose key is there already are passed over.

        Returns:
            How many rows were added.

        Raises:
            ValueError: There is no such table or column.
            TypeError: A value doesn't fit its column.
            RowRefused: A key is there already, or a needed value is missing.
        """
        with self.writing() as writer:
            return writer.append(table, rows, ignore_known=ignore_known)

    def writing(self) -> AbstractContextManager[Writer]:
        """Begin a transaction; it is committed when the `with` block ends without an error.

        One thread of a process writes at a time. A nested `writing` of the same thread
        joins the outer transaction, and so do `append` and the reading methods.
        """
        return self._writing()

    @property
    def is_writing(self) -> bool:
        """Say whether this thread has a transaction open."""
        return getattr(self._local, "writer", None) is not None

    @property
    def is_wanted(self) -> bool:
        """Say whether another process waits for the file; to be asked within a transaction."""
        return self._gate().wanted()

    def version(self) -> int:
        """Return a number that changes with every commit of any process; doesn't open the file."""
        return self._gate().versions.read()

    def version_of(self, tables: Collection[str]) -> int:
        """Return a number that changes with every commit to some tables; doesn't open the file.

        It may change with others, too: where another program wrote, or one was cut short.

        Args:
            tables: Their names.
        """
        return self._gate().versions.read_of(tables)

    def tables_of(self, queries: Collection[str]) -> frozenset[str]:
        """Return the tables that queries read, views seen through.

        Args:
            queries: What `queries_made` collected.
        """
        catalogue = self._gate().catalogue(self.wait_s)
        return frozenset().union(*(catalogue.named_in(each) for each in queries))

    def absorb(self, *, wait_s: float | None = None, rest: bool = False) -> int:
        """Load the spool's parts, each exactly once, then delete them.

        A part that can't be loaded goes to the spool's `quarantine` folder with the
        reason, see `quarantined`.

        Args:
            wait_s: How long to wait for another process, in seconds; 0 loads what is
                possible now, for callers who will come again.
            rest: Whether to close the file afterwards until the next call. That frees the
                memory of its indexes, which grow with every row; reopening costs some 5 ms.

        Returns:
            How many rows were added.
        """
        inserted = 0
        waiting = spool.waiting(self.spool)
        if not waiting:
            return 0
        try:
            catalogue = self._gate().catalogue(self.wait_s if wait_s is None else wait_s)
            group: list[tuple[Path, str, pa.Table]] = []
            for path in waiting:
                try:
                    table, content = spool.read_part(path, catalogue, CLOSED_TABLES)
                except FileNotFoundError:
                    continue
                except spool.BadPart as error:
                    self._quarantine(path, str(error))
                    continue
                if group and sum(part[2].num_rows for part in group) + content.num_rows > ABSORB_ROWS:
                    inserted += self._load(group, wait_s)
                    group = []
                group.append((path, table, content))
            if group:
                inserted += self._load(group, wait_s)
        except StoreBusy:
            if wait_s != 0:
                raise
        if rest:
            self._gate().rest()
        return inserted

    def quarantined(self) -> list[spool.Quarantined]:
        """Return the spool's parts that could not be loaded, with the reasons."""
        return spool.quarantined(self.spool)

    def close(self) -> None:
        """Give the connection back; the last store of a process on this file closes it."""
        if not self._closed:
            self._closed = True
            if self._shared.pid == os.getpid():
                shared.unshare(self._shared)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _gate(self) -> shared.Shared:
        if self._closed:
            raise RuntimeError(f"The store {self.path} was closed.")
        if self._shared.pid != os.getpid():
            # A forked child must not use its parent's connection.
            self._shared = shared.share(self.path)
            self._local = threading.local()
        return self._shared

    def _read(self, query: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        gate = self._gate()
        writer: Writer | None = getattr(self._local, "writer", None)
        if writer is not None:
            return query(writer._cursor)
        priority.give_way()
        for last in (False, True):
            try:
                with _cursor(gate, self.wait_s) as (cursor, _):
                    return query(cursor)
            except engine.Invalidated:
                # Another thread's failed commit takes the database down for all; a read can be repeated.
                if last:
                    raise
        raise AssertionError

    @contextmanager
    def _writing(self, wait_s: float | None = None) -> Iterator[Writer]:
        gate = self._gate()
        outer: Writer | None = getattr(self._local, "writer", None)
        if outer is not None:
            yield outer
            return
        wait_s = self.wait_s if wait_s is None else wait_s
        started = time.monotonic()
        if not gate.write_lock.acquire(timeout=wait_s):
            raise lease.busy(self.path, "another part of this program", time.monotonic() - started)
        try:
            remaining_s = max(0.0, wait_s - (time.monotonic() - started))
            with _cursor(gate, remaining_s) as (cursor, catalogue):
                engine.run(cursor, "BEGIN TRANSACTION")
                writer = Writer(cursor, catalogue)
                self._local.writer = writer
                try:
                    yield writer
                except BaseException:
                    # A database that failed as a whole has rolled back already.
                    with contextlib.suppress(duckdb.Error):
                        engine.run(cursor, "ROLLBACK")
                    raise
                finally:
                    self._local.writer = None
                self._commit(gate, cursor, writer)
        finally:
            gate.write_lock.release()

    def _commit(self, gate: shared.Shared, cursor: duckdb.DuckDBPyConnection, writer: Writer) -> None:
        if writer.changed:
            gate.versions.begin()
        try:
            engine.run(cursor, "COMMIT")
        except duckdb.Error as error:
            # Whatever the reason, most often a full disk: nothing is acknowledged, and the file is reopened.
            raise engine.failed(self.path, error) from error
        finally:
            if writer.changed:
                gate.versions.end(writer.tables)

    def _load(self, group: list[tuple[Path, str, pa.Table]], wait_s: float | None) -> int:
        """Load parts in one transaction; if that fails, one by one, to find the bad ones."""
        try:
            inserted = self._load_together(group, wait_s)
        except (engine.RowRefused, duckdb.DataError) as error:
            if len(group) == 1:
                self._quarantine(group[0][0], str(error).strip().splitlines()[0])
                return 0
            return sum(self._load([part], wait_s) for part in group)
        self._gate().offer()
        for path, _, _ in group:
            path.unlink(missing_ok=True)
        return inserted

    def _load_together(self, group: list[tuple[Path, str, pa.Table]], wait_s: float | None) -> int:
        inserted = 0
        with self._writing(wait_s) as writer:
            names = [path.name for path, _, _ in group]
            known = {
                row["part"]
                for row in writer.rows(
                    "SELECT part FROM absorbed_parts WHERE part IN (SELECT unnest(?))", [names]
                )
            }
            late = fence.late_parts(writer, names)
            for path, table, content in group:
                if path.name in known:
                    continue
                if path.name in late:
                    self._quarantine(path, late[path.name])
                    continue
                inserted += writer.append(table, content, ignore_known=True)
                if table == "observations":
                    inserted -= fence.drop_outdated(writer, content)
                done = {
                    "part": path.name,
                    "table_name": table,
                    "rows": content.num_rows,
                    "absorbed_at": datetime.now(UTC),
                }
                writer.append("absorbed_parts", [done])
        return inserted

    def _quarantine(self, path: Path, reason: str) -> None:
        aside = spool.quarantine(path, reason)
        _log.warning("A part of the spool could not be loaded and was moved to %s: %s", aside.path, reason)


@contextmanager
def queries_made() -> Iterator[set[str]]:
    """Collect the text of all queries that this thread makes in the `with` block."""
    outer, made = _queries.get(), set[str]()
    token = _queries.set(made)
    try:
        yield made
    finally:
        _queries.reset(token)
        if outer is not None:
            outer |= made


def note_queries(queries: Collection[str]) -> None:
    """Count queries that were made before among those that this thread makes in `queries_made`."""
    made = _queries.get()
    if made is not None:
        made |= set(queries)


@contextmanager
def _cursor(
    gate: shared.Shared, wait_s: float
) -> Iterator[tuple[duckdb.DuckDBPyConnection, arrow.Catalogue]]:
    with gate.call(wait_s) as opened, opened.instance.cursor() as cursor:
        yield cursor, opened.catalogue


def _run(cursor: duckdb.DuckDBPyConnection, sql: str, params: Params) -> duckdb.DuckDBPyConnection:
    statements = engine.parsed(cursor, sql)
    if len(statements) != 1 or statements[0].type not in _READS:
        raise ValueError("Reading takes one SELECT; changes go through `append` or `writing`.")
    made = _queries.get()
    if made is not None:
        made.add(sql)
    return cursor.execute(statements[0], arrow.parameters(params))


def _rows(cursor: duckdb.DuckDBPyConnection, sql: str, params: Params) -> list[dict[str, Any]]:
    return arrow.rows_of(_run(cursor, sql, params))


def _made(make: Callable[..., T], cursor: duckdb.DuckDBPyConnection) -> list[T]:
    found: list[T] = []
    while rows := cursor.fetchmany(FETCHED_ROWS):
        found += [make(*row) for row in rows]
    return found


def _value(cursor: duckdb.DuckDBPyConnection, sql: str, params: Params) -> Any:
    for row in _rows(cursor, sql, params):
        return next(iter(row.values()))
    return None
