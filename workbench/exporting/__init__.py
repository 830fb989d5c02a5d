"""Every table of the app as a file, from the app, the command line and Python alike.

>>> from workbench.exporting import TABLES
>>> "cases" in TABLES
True
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

from workbench import access
from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError, did_you_mean
from workbench.exporting.asked import Asked
from workbench.exporting.catalogue import RIGHTS, TABLES, is_withheld
from workbench.exporting.leaving import may_leave, raw_text_leaves
from workbench.exporting.table import CSV, FORMS, PARQUET, Table, Written, write, write_file
from workbench.roles import Right
from workbench.store import Store

__all__ = [
    "CSV",
    "FORMS",
    "MOST_BYTES",
    "MOST_ROWS",
    "PARQUET",
    "TABLES",
    "Asked",
    "Table",
    "TableExport",
    "Written",
    "export_table",
    "form_of",
    "is_withheld",
    "table_bytes",
]

MOST_ROWS = 100_000
"""Rows that a browser is given; the command line writes all."""
MOST_BYTES = 64_000_000
"""Bytes beyond which a browser is given no further batch."""


@dataclass(frozen=True, slots=True)
class TableExport:
    """What was written, and where."""

    table: str
    path: str
    form: str
    rows: int
    raw_text: bool

    @property
    def text(self) -> str:
        """Return the same as a person reads it."""
        said = " It holds what users and models wrote." if self.raw_text else ""
        return f"{self.rows:,} rows of {self.table} written to {self.path}.{said}"


def form_of(path: Path) -> str:
    """Return what a file is to be, by its name.

    Raises:
        UsageError: It is none of `FORMS`.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise UsageError(f"{path}: can't write {path.suffix or 'a file without a suffix'}.", _use())
    return form


def _use() -> str:
    return f"Use {' or '.join(f'.{each}' for each in FORMS)}."


def _table(workspace: Workspace, store: Store, name: str, asked: Asked) -> Table:
    if name not in TABLES:
        raise UsageError(f"There is no table {name!r}.", did_you_mean(name, TABLES))
    access.require(*RIGHTS.get(name, (Right.SEE,)), task=asked.task)
    # A table of all tasks is whole or none: in a file nothing says that one is missing.
    whole = workspace if asked.task is not None else replace(workspace, tolerant=False)
    table = TABLES[name](whole, store, asked)
    if table.has_raw_text:
        may_leave(asked.task)
    return table


@requires(Right.SEE, Right.LABEL, task=lambda given: given["asked"].task)
def export_table(
    workspace: Workspace, store: Store, name: str, path: Path, asked: Asked, *, form: str | None = None
) -> TableExport:
    """Write one table of the app to a file, whole; it appears complete or not at all.

    In CSV, texts that a spreadsheet would run as a formula start with an apostrophe; Parquet holds
    every value as it is.

    Args:
        workspace: Names evals, candidates and prices.
        store: Holds everything else.
        name: One of `TABLES`.
        path: Where to write.
        asked: What of it.
        form: One of `FORMS`; what the suffix says unless given.

    Raises:
        UsageError: The table, a filter or the form is not known, or the file can't be written.
    """
    form = form or form_of(path)
    table = _table(workspace, store, name, asked)

    def leaving(done: Written) -> None:
        if table.has_raw_text:
            raw_text_leaves(store, task=asked.task, rows=done.rows)

    done = write_file(table, path, form, before=leaving)
    return TableExport(name, str(path), form, done.rows, table.has_raw_text)


@requires(Right.SEE, Right.LABEL, task=lambda given: given["asked"].task)
def table_bytes(
    workspace: Workspace,
    store: Store,
    name: str,
    asked: Asked,
    form: str,
    *,
    most_rows: int = MOST_ROWS,
    most_bytes: int = MOST_BYTES,
) -> bytes:
    """Return one table of the app as the content of a file, up to a size that a browser takes.

    Args:
        workspace: As for `export_table`.
        store: As for `export_table`.
        name: One of `TABLES`.
        asked: What of it.
        form: One of `FORMS`.
        most_rows: More are left out.
        most_bytes: Beyond it no batch is begun.
    """
    table = _table(workspace, store, name, asked)
    file = io.BytesIO()
    done = write(table, file, form, most_rows=most_rows, most_bytes=most_bytes)
    if table.has_raw_text:
        raw_text_leaves(store, task=asked.task, rows=done.rows)
    return file.getvalue()
