"""Importing logs: files in, calls in the store, and a count for every source record."""

from workbench.ingest.corrections import (
    Conflict,
    ImportRow,
    Resolution,
    UndoReport,
    conflict_count,
    conflicts,
    list_imports,
    resolve_conflicts,
    undo_import,
)
from workbench.ingest.importing import import_files, readers_for
from workbench.ingest.preview import Column, Preview, preview
from workbench.ingest.report import ImportReport, rejects_csv, write_rejects
from workbench.ingest.rows import call_id, default_source

__all__ = [
    "Column",
    "Conflict",
    "ImportReport",
    "ImportRow",
    "Preview",
    "Resolution",
    "UndoReport",
    "call_id",
    "conflict_count",
    "conflicts",
    "default_source",
    "import_files",
    "list_imports",
    "preview",
    "readers_for",
    "rejects_csv",
    "resolve_conflicts",
    "undo_import",
    "write_rejects",
]
