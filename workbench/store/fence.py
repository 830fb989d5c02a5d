"""Parts of workers that lost their lease are refused by their epoch.

Each run of a replay notes its epoch in the store before it asks anything. A part whose
name carries a lower one was written by a worker that another has replaced since: what
that worker had answered before was handed in when it was replaced, and what it writes
later is asked, and answered, by the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.store.database import Store, Writer

_PART = re.compile(r"observations-(?P<replay>[0-9a-f]{32})-(?P<epoch>\d{8})-.+\.parquet")


class _Reader(Protocol):
    def rows(self, sql: str, params: Any = ()) -> list[dict[str, Any]]:
        """Return the rows of a query."""


def late_parts(reader: _Reader, names: Iterable[str]) -> dict[str, str]:
    """Return those parts that were written under a lease that was lost, with the reason.

    Args:
        reader: Reads in the transaction that would load them.
        names: File names of parts.
    """
    marked = [match for name in names if (match := _PART.fullmatch(name))]
    if not marked:
        return {}
    rows = reader.rows(
        "SELECT replay_id, max(CAST(json_extract_string(detail, '$.epoch') AS BIGINT)) AS epoch "
        "FROM replay_events WHERE replay_id IN (SELECT unnest(?::VARCHAR[])) "
        "AND event IN ('started', 'resumed') GROUP BY replay_id",
        [sorted({match["replay"] for match in marked})],
    )
    current = {row["replay_id"]: row["epoch"] or 0 for row in rows}
    return {
        match[0]: f"written by a worker (epoch {int(match['epoch'])}) whose replay another worker had taken "
        f"over (epoch {current[match['replay']]})"
        for match in marked
        if int(match["epoch"]) < current.get(match["replay"], 0)
    }


def drop_outdated(writer: Writer, answers: pa.Table) -> int:
    """Remove answers to requests that a resolved conflict has replaced since the replay asked.

    A run holds the requests that it began with, so it counts when the run began, not the answer.

    Args:
        writer: The transaction that loaded them.
        answers: Rows of observations.

    Returns:
        How many rows were removed.
    """
    with writer.lent("answers", answers.select(["replay_id", "call_id"])):
        outdated = writer.rows(
            """
            SELECT DISTINCT a.replay_id, a.call_id
            FROM answers a
            JOIN conflict_resolutions r ON r.call_id = a.call_id AND r.kept = 'arrived'
            JOIN calls c ON c.call_id = a.call_id
            JOIN (SELECT replay_id, max(created_at) AS began FROM replay_events
                  WHERE event IN ('started', 'resumed') GROUP BY ALL) e ON e.replay_id = a.replay_id
            WHERE e.began < r.resolved_at
              AND json_extract_string(r.given_up, '$.replaced.call.request_hash') <> c.request_hash
            """
        )
    if not outdated:
        return 0
    pairs = [[each["replay_id"], each["call_id"]] for each in outdated]
    among = "WHERE [replay_id, call_id] IN (SELECT unnest(?::VARCHAR[][]))"
    count: int = writer.value(f"SELECT count(*) FROM observations {among}", [pairs])  # noqa: S608 -- a constant
    writer.execute(f"DELETE FROM observations {among}", [pairs])  # noqa: S608 -- a constant
    return count


def last_epoch(store: Store, task: str, fingerprint: str) -> int:
    """Return the highest epoch under which a task was replayed through a candidate; 0 without any."""
    found = store.value(
        "SELECT max(CAST(json_extract_string(e.detail, '$.epoch') AS BIGINT)) FROM replay_events e "
        "JOIN replays r USING (replay_id) WHERE r.task = ? AND r.candidate_fingerprint = ?",
        (task, fingerprint),
    )
    return int(found or 0)
