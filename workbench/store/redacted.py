"""How the calls in the store were redacted when they were imported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.store import Store


def treatments(store: Store, source: str) -> list[str | None]:
    """Return how the calls of a source were redacted: each way once, None for as logged."""
    rows = store.rows(
        "SELECT DISTINCT redaction FROM manifests WHERE manifest_id IN"
        " (SELECT DISTINCT manifest_id FROM calls WHERE source = ?)",
        (source,),
    )
    return [row["redaction"] for row in rows]


def redacted_calls(store: Store, task: str) -> tuple[frozenset[str], set[str]]:
    """Return the calls of a task that were imported redacted, and the fingerprints of the secrets used."""
    rows = store.rows(
        "SELECT c.call_id, m.redaction FROM calls c JOIN manifests m USING (manifest_id)"
        " WHERE c.task = ? AND m.redaction IS NOT NULL",
        (task,),
    )
    described = {row["redaction"] for row in rows}
    return frozenset(row["call_id"] for row in rows), {json.loads(each)["key"] for each in described}
