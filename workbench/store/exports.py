"""Samples whose requests were written to a file, to be asked elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from workbench.store import Store
from workbench.store.replays import PlannedCall, event_row

EVENT = "exported"


@dataclass(frozen=True, slots=True)
class ExportedSample:
    """A sample that was written to a file: what belongs to it, and its calls.

    `calls` holds each call's chance to be in the sample.
    """

    export_id: str
    detail: dict[str, Any]
    calls: dict[str, float]


def write_export(store: Store, calls: Sequence[PlannedCall], detail: Mapping[str, Any]) -> str:
    """Store which calls were exported, in one transaction.

    An export is no replay: its calls have no row in `replays`, and nothing was answered.

    Args:
        store: The store.
        calls: The whole sample.
        detail: Names `task`, `candidate`, `fingerprint`, `seed` and `patch`.

    Returns:
        The id under which the calls stand.
    """
    export_id = f"export-{uuid.uuid4().hex}"
    with store.writing() as writer:
        writer.append(
            "replay_calls",
            [
                {
                    "replay_id": export_id,
                    "call_id": each.call_id,
                    "batch": each.batch,
                    "rank": each.rank,
                    "audit_key": each.audit_key,
                    "inclusion_probability": each.inclusion_probability,
                }
                for each in calls
            ],
        )
        writer.append("replay_events", [event_row(export_id, EVENT, detail)])
    return export_id


def last_export(
    store: Store, task: str, *, candidate: str | None = None, fingerprint: str | None = None
) -> ExportedSample | None:
    """Return the newest sample exported for a candidate, by its name or by its fingerprint."""
    rows = store.rows(
        "SELECT replay_id, detail FROM replay_events WHERE event = ? "
        "AND json_extract_string(detail, '$.task') = ? "
        "AND (?::VARCHAR IS NULL OR json_extract_string(detail, '$.candidate') = ?) "
        "AND (?::VARCHAR IS NULL OR json_extract_string(detail, '$.fingerprint') = ?) "
        "ORDER BY seq DESC LIMIT 1",
        (EVENT, task, candidate, candidate, fingerprint, fingerprint),
    )
    if not rows:
        return None
    export_id = rows[0]["replay_id"]
    calls = store.rows(
        "SELECT call_id, inclusion_probability FROM replay_calls WHERE replay_id = ?", (export_id,)
    )
    chances = {row["call_id"]: row["inclusion_probability"] for row in calls}
    return ExportedSample(export_id, msgspec.json.decode(rows[0]["detail"]), chances)


def planned_calls(store: Store, replay_id: str) -> list[PlannedCall]:
    """Return the sample of a replay in the order of sending."""
    rows = store.rows(
        "SELECT call_id, batch, rank, audit_key, inclusion_probability FROM replay_calls "
        "WHERE replay_id = ? ORDER BY batch, rank",
        (replay_id,),
    )
    return [PlannedCall(**row) for row in rows]


def shared_native_ids(store: Store, task: str) -> frozenset[str]:
    """Return the log's ids that stand for several calls of a task, from several sources."""
    rows = store.rows(
        "SELECT native_id FROM calls WHERE task = ? GROUP BY native_id HAVING count(*) > 1", (task,)
    )
    return frozenset(row["native_id"] for row in rows)
