"""The guidelines that labels were made under, word for word, kept with the first label of each version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from workbench.store.labels import Adds, Reads, in_utc


def keep(store: Adds, task: str, version: str, text: str, moment: datetime) -> bool:
    """Keep the text of a version, once; return whether it was new.

    Args:
        store: Where it goes: the transaction of the label that is made under it.
        task: The task.
        version: The version that labels carry.
        text: The guidelines, as the team wrote them.
        moment: Now, in UTC.
    """
    sql = "SELECT 1 FROM guideline_texts WHERE task = ? AND version = ? LIMIT 1"
    if store.value(sql, (task, version)) is not None:
        return False
    row = {"task": task, "version": version, "text": text, "created_at": moment}
    return bool(store.append("guideline_texts", [row], ignore_known=True))


def versions(store: Reads, task: str) -> list[dict[str, Any]]:
    """Return every version of a task that was kept or that labels carry.

    Returns:
        Rows of version, text and created_at (None where it was not kept), labels (verdicts and skips
        given under it, superseded ones among them), the newest first.
    """
    found = store.rows(
        """
        WITH used AS (
            SELECT l.guideline_version AS version, count(*) AS labels, max(l.seq) AS last
            FROM labels l JOIN replays r USING (replay_id)
            WHERE r.task = ? AND l.guideline_version IS NOT NULL AND (l.verdict IS NOT NULL OR l.skipped)
            GROUP BY 1
        )
        SELECT version, k.text, k.created_at, coalesce(u.labels, 0) AS labels
        FROM (SELECT * FROM guideline_texts WHERE task = ?) k FULL JOIN used u USING (version)
        ORDER BY greatest(coalesce(u.last, 0), coalesce(k.seq, 0)) DESC
        """,
        (task, task),
    )
    return in_utc(found, "created_at")
