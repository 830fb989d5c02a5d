"""The log of accepted shares: rows are added and read, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.store.labels import Reads, in_utc

if TYPE_CHECKING:
    from workbench.store import Store
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


def last_entry_hash(store: Reads) -> str:
    """Return the hash of the newest decision of any task, or nothing where there is none."""
    return str(store.value("SELECT entry_hash FROM ramp_decisions ORDER BY seq DESC LIMIT 1") or "")


def add_decision(writer: Writer, row: Mapping[str, Any]) -> None:
    """Append one decision."""
    writer.append("ramp_decisions", [row])


def compared_digests(store: Store, task: str, fingerprint: str, version: str) -> list[dict[str, Any]]:
    """Return what was compared in each closed batch, as a number that changes with any of it.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.
        version: The evaluator version.

    Returns:
        Rows of replay_id, batch, calls and digest, which does not depend on the order of rows.
    """
    return store.rows(
        """
        SELECT p.replay_id, p.batch, count(*) AS calls,
               CAST(sum(CAST(md5_number_lower(concat_ws(
                   '|', p.call_id, p.audit_key, m.verdict, m.identical, m.invalid, m.ignored_by,
                   coalesce(m.control_group, '?'), coalesce(m.candidate_group, '?'), m.details
               )) AS HUGEINT)) AS VARCHAR) AS digest
        FROM replays r
        JOIN replay_calls p USING (replay_id)
        LEFT JOIN comparisons m
          ON m.replay_id = p.replay_id AND m.call_id = p.call_id AND m.repeat = 0 AND m.evaluator_version = ?
        WHERE r.task = ? AND r.candidate_fingerprint = ?
          AND NOT EXISTS (SELECT 1 FROM conflicts x WHERE x.call_id = p.call_id)
        GROUP BY p.replay_id, p.batch
        HAVING count(*) FILTER (WHERE m.verdict IS NULL) = 0
        ORDER BY p.replay_id, p.batch
        """,
        (version, task, fingerprint),
    )
