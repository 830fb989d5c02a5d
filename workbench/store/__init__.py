"""The store: one DuckDB file, many threads and processes. Nothing else imports duckdb.

The names are loaded when they are asked for: an import reads its files while DuckDB is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.store.database import Store, Writer, queries_made
    from workbench.store.engine import RowRefused
    from workbench.store.spool import Quarantined

__all__ = ["Quarantined", "RowRefused", "Store", "Writer", "queries_made"]

_HOME = {
    "Quarantined": "spool",
    "RowRefused": "engine",
    "Store": "database",
    "Writer": "database",
    "queries_made": "database",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found
