"""Checks of newly imported traffic: rows are added and read, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.store.labels import Reads

if TYPE_CHECKING:
    from workbench.store.database import Writer


def newest_check(store: Reads, task: str, fingerprint: str) -> dict[str, Any] | None:
    """Return the newest check of a task and candidate, or None.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.
    """
    found = store.rows(
        "SELECT * FROM traffic_checks WHERE task = ? AND candidate_fingerprint = ? ORDER BY seq DESC LIMIT 1",
        (task, fingerprint),
    )
    return found[0] if found else None


def newest_naming_check(store: Reads, task: str, fingerprint: str) -> str | None:
    """Return the id of the newest check of a task and candidate that named calls, or None."""
    found = store.rows(
        """
        SELECT check_id FROM traffic_checks
        WHERE task = ? AND candidate_fingerprint = ? AND len(told_apart) > 0 ORDER BY seq DESC LIMIT 1
        """,
        (task, fingerprint),
    )
    return found[0]["check_id"] if found else None


def calls_named(store: Reads, task: str, fingerprint: str) -> dict[str, frozenset[str]]:
    """Return the calls of new content that each check of a task and candidate named, by its id."""
    found = store.rows(
        """
        SELECT check_id, told_apart FROM traffic_checks
        WHERE task = ? AND candidate_fingerprint = ? AND len(told_apart) > 0 ORDER BY seq
        """,
        (task, fingerprint),
    )
    return {row["check_id"]: frozenset(row["told_apart"]) for row in found}


def add_check(writer: Writer, row: Mapping[str, Any]) -> None:
    """Append one check."""
    writer.append("traffic_checks", [row])
