"""Checks of newly imported traffic: rows are added and read, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.store.labels import Reads, Scope

if TYPE_CHECKING:
    from workbench.store import Store
    from workbench.store.database import Writer


MIX, CONTENT = "mix", "content"
"""What is looked at, each counted by itself."""


@dataclass(frozen=True, slots=True)
class LooksKept:
    """The looks at one evaluation that were kept, by kind.

    `numbers` has the number of each look by the hash of what it was at; `uncounted` how many there were
    before they were counted.
    """

    numbers: dict[str, dict[str, int]]
    uncounted: dict[str, int]


def looks_kept(store: Reads, task: str, fingerprint: str) -> LooksKept:
    """Return the looks at a task's traffic that were kept for a candidate.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.
    """
    rows = store.rows(
        """
        SELECT mix_look, mix_windows, mix <> '[]' AS mix, content_look, content_windows,
               content IS NOT NULL AS content
        FROM traffic_checks WHERE task = ? AND candidate_fingerprint = ? ORDER BY seq
        """,
        (task, fingerprint),
    )
    numbers: dict[str, dict[str, int]] = {MIX: {}, CONTENT: {}}
    uncounted = {MIX: 0, CONTENT: 0}
    for row in rows:
        for kind in (MIX, CONTENT):
            number = row[f"{kind}_look"]
            if number is not None:
                numbers[kind].setdefault(row[f"{kind}_windows"], number)
            elif row[kind] and row["mix_look"] is None and row["content_look"] is None:
                uncounted[kind] += 1
    return LooksKept(numbers, uncounted)


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


def check_to_aim_at(store: Store, scope: Scope) -> str | None:
    """Return the id of the check whose calls include the most mismatches that a queue has not drawn, or None.

    Args:
        store: Where to read.
        scope: What the queue is about.
    """
    found = store.rows(
        """
        SELECT check_id FROM (
            SELECT check_id, seq, unnest(told_apart) AS call_id FROM traffic_checks
            WHERE task = $task AND candidate_fingerprint = $fingerprint
        )
        WHERE call_id IN (
            SELECT m.call_id FROM comparisons m JOIN replays r USING (replay_id)
            WHERE r.task = $task AND r.candidate_fingerprint = $fingerprint
              AND m.evaluator_version = $version AND m.repeat = 0 AND m.verdict = 'mismatch'
        ) AND call_id NOT IN (
            SELECT call_id FROM draws
            WHERE task = $task AND candidate_fingerprint = $fingerprint AND evaluator_version = $version
        )
        GROUP BY check_id, seq ORDER BY count(*) DESC, seq DESC LIMIT 1
        """,
        {"task": scope.task, "fingerprint": scope.fingerprint, "version": scope.evaluator_version},
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
