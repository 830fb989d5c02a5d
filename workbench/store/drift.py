"""What came into the log after a candidate was evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.store.calls import FRONTIER_MODEL

if TYPE_CHECKING:
    import pandas as pd

    from workbench.store import Store


def first_replay_at(store: Store, task: str, fingerprint: str) -> datetime | None:
    """Return when a candidate's first sample of a task was drawn, UTC without a zone, or None."""
    found: datetime | None = store.value(
        "SELECT min(created_at) FROM replays WHERE task = ? AND candidate_fingerprint = ?",
        (task, fingerprint),
    )
    return found


def imported_after(store: Store, task: str, moment: datetime) -> pd.DataFrame:
    """Return the task's usable calls that were imported after a moment, in the order in which they came.

    Args:
        store: Where to read.
        task: The task.
        moment: UTC without a zone.

    Returns:
        Columns seq, call_id, occurred_at; the order is that of import, then of the calls' own times.
    """
    return store.frame(
        """
        SELECT c.seq, c.call_id, c.occurred_at FROM usable_calls c JOIN manifests m USING (manifest_id)
        WHERE c.task = ? AND m.created_at > ? ORDER BY m.seq, c.occurred_at NULLS LAST, c.call_id
        """,
        (task, moment),
    )


def some_calls(
    store: Store, task: str, moment: datetime, *, after: bool, limit: int, requests: bool = False
) -> list[dict[str, Any]]:
    """Return a random part of the calls that came after a moment, or of the others, by a hash of their ids.

    Args:
        store: Where to read.
        task: The task.
        moment: UTC without a zone.
        after: Those imported after it; else all others.
        limit: Calls at most.
        requests: Whether requests are wanted; they are large.

    Returns:
        Rows of call_id, language, input_chars, turn_depth, tool_count, model, attributes and request.
    """
    wanted = "c.request" if requests else "NULL AS request"
    return store.rows(
        f"""
        SELECT c.call_id, c.language, c.input_chars, c.turn_depth, c.tool_count, c.attributes,
               {FRONTIER_MODEL} AS model,
               {wanted}
        FROM usable_calls c LEFT JOIN manifests m USING (manifest_id)
        WHERE c.task = ? AND coalesce(m.created_at > ?, false) = ? ORDER BY md5(c.call_id) LIMIT ?
        """,  # noqa: S608 - one of two fixed texts
        (task, moment, after, limit),
    )


def requests_of(store: Store, call_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return call_id and request of some calls."""
    return store.rows(
        "SELECT call_id, request FROM calls WHERE call_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY call_id",
        (list(call_ids),),
    )
