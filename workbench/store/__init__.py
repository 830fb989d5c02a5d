"""The store: one DuckDB file, many threads and processes. Nothing else imports duckdb.

The names are loaded when they are asked for: an import reads its files while DuckDB is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.lazy import loading

if TYPE_CHECKING:
    from workbench.store.database import Store, Writer, queries_made
    from workbench.store.engine import MemoryShort, RowRefused
    from workbench.store.spool import Quarantined

__all__ = ["MemoryShort", "Quarantined", "RowRefused", "Store", "Writer", "queries_made"]

_HOMES = {
    "database": ("Store", "Writer", "queries_made"),
    "engine": ("MemoryShort", "RowRefused"),
    "spool": ("Quarantined",),
}

__getattr__ = loading(__name__, _HOMES)
