"""Importing logs: files in, calls in the store, and a count for every source record."""

from workbench.ingest.importing import import_files
from workbench.ingest.preview import Column, Preview, preview
from workbench.ingest.report import ImportReport, write_rejects
from workbench.ingest.rows import call_id, default_source

__all__ = [
    "Column",
    "ImportReport",
    "Preview",
    "call_id",
    "default_source",
    "import_files",
    "preview",
    "write_rejects",
]
