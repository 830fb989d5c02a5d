"""Importing logs: files in, calls in the store, and a count for every source record.

The names are loaded when they are asked for: the processes that read files need few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.lazy import loading

if TYPE_CHECKING:
    from workbench.ingest.children import readers_for
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
    from workbench.ingest.importing import import_files
    from workbench.ingest.previewing import Column, Preview, preview
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

_HOMES = {
    "children": ("readers_for",),
    "corrections": (
        "Conflict",
        "ImportRow",
        "Resolution",
        "UndoReport",
        "conflict_count",
        "conflicts",
        "list_imports",
        "resolve_conflicts",
        "undo_import",
    ),
    "importing": ("import_files",),
    "previewing": ("Column", "Preview", "preview"),
    "report": ("ImportReport", "rejects_csv", "write_rejects"),
    "rows": ("call_id", "default_source"),
}
__getattr__ = loading(__name__, _HOMES)
