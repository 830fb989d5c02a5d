"""The store: one DuckDB file, many threads and processes. Nothing else imports duckdb."""

from workbench.store.database import Store, Writer, queries_made
from workbench.store.engine import RowRefused
from workbench.store.spool import Quarantined

__all__ = ["Quarantined", "RowRefused", "Store", "Writer", "queries_made"]
