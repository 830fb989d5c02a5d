"""The log of accepted shares: rows are added and read, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.store.labels import Reads, in_utc

if TYPE_CHECKING:
    from workbench.store.database import Writer


def decision_rows(
    store: Reads, task: str | None = None, candidate: str | None = None
) -> list[dict[str, Any]]:
    """Return decisions in the order in which they were taken.

    Args:
        store: Where to read.
        task: Of one task; None for all.
        candidate: On one candidate; None for all.
    """
    found = store.rows(
        """
        SELECT * FROM ramp_decisions
        WHERE (?::VARCHAR IS NULL OR task = ?) AND (?::VARCHAR IS NULL OR candidate = ?) ORDER BY seq
        """,
        (task, task, candidate, candidate),
    )
    return in_utc(found, "decided_at", "expires_at")


def accepted(store: Reads) -> list[tuple[str, str]]:
    """Return task and candidate wherever a share above nothing was ever accepted, in order."""
    found = store.rows("SELECT DISTINCT task, candidate FROM ramp_decisions WHERE share > 0 ORDER BY ALL")
    return [(row["task"], row["candidate"]) for row in found]


def last_entry_hash(store: Reads) -> str:
    """Return the hash of the newest decision of any task, or nothing where there is none."""
    return str(store.value("SELECT entry_hash FROM ramp_decisions ORDER BY seq DESC LIMIT 1") or "")


def add_decision(writer: Writer, row: Mapping[str, Any]) -> None:
    """Append one decision."""
    writer.append("ramp_decisions", [row])
