"""What a reviewer's desk needs beside draws and labels: languages, names, checks, and who has read what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from workbench.store.labels import CURRENT, Adds, Reads, Scope


def add_opening(store: Adds, pair: tuple[str, str], annotator: str, moment: datetime) -> None:
    """Note that somebody reads what others said of a pair."""
    row = {"replay_id": pair[0], "call_id": pair[1], "annotator": annotator, "created_at": moment}
    store.append("openings", [row])


def attention_rows(store: Reads, task: str, fingerprint: str | None) -> list[dict[str, Any]]:
    """Return every attention check shown: annotator, expected (words joined by |), verdict or None."""
    return store.rows(
        f"""
        SELECT e.annotator, d.expected, l.verdict
        FROM draws d JOIN (SELECT DISTINCT draw_id, annotator FROM leases) e USING (draw_id)
        LEFT JOIN labels l ON l.draw_id = d.draw_id AND l.annotator = e.annotator
             AND l.verdict IS NOT NULL AND {CURRENT}
        WHERE d.plan = 'attention' AND d.task = ?
          AND (?::VARCHAR IS NULL OR d.candidate_fingerprint = ?)
        ORDER BY d.seq
        """,  # noqa: S608 - a constant of this module
        (task, fingerprint, fingerprint),
    )


def opened_pairs(store: Reads, scope: Scope, annotator: str) -> set[tuple[str, str]]:
    """Return the pairs of a candidate on which somebody has read what others said."""
    found = store.rows(
        """
        SELECT DISTINCT o.replay_id, o.call_id FROM openings o JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.annotator = ?
        """,
        (scope.task, scope.fingerprint, annotator),
    )
    return {(row["replay_id"], row["call_id"]) for row in found}


def has_opened(store: Reads, pair: tuple[str, str], annotator: str) -> bool:
    """Say whether somebody has read what others said of a pair."""
    sql = "SELECT count(*) FROM openings WHERE replay_id = ? AND call_id = ? AND annotator = ?"
    return bool(store.value(sql, (*pair, annotator)))


def openings(store: Reads, scope: Scope) -> dict[str, set[tuple[str, str]]]:
    """Return the pairs of a candidate on which anybody has read what others said, by who did."""
    found: dict[str, set[tuple[str, str]]] = {}
    for row in store.rows(
        """
        SELECT DISTINCT o.annotator, o.replay_id, o.call_id FROM openings o JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ?
        """,
        (scope.task, scope.fingerprint),
    ):
        found.setdefault(row["annotator"], set()).add((row["replay_id"], row["call_id"]))
    return found


def observed_texts(store: Reads, scope: Scope, calls: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return the pairs a candidate answered, compared or not; a call once.

    Args:
        store: Where to read.
        scope: Whose pairs.
        calls: Only of calls with one of these ids, their own or the log's; None for all.

    Returns:
        Rows of replay_id, call_id, native_id, identical (text and tool calls of both sides are
        the same, and neither is an error).
    """
    return store.rows(
        """
        SELECT o.replay_id, o.call_id, c.native_id,
               coalesce(o.error_kind IS NULL AND k.error_kind IS NULL AND o.text = k.text
                        AND json_extract(o.output, '$.tool_calls') IS NOT DISTINCT FROM
                            json_extract(k.output, '$.tool_calls'), false) AS identical
        FROM observations o JOIN replays r USING (replay_id) JOIN usable_calls c USING (call_id)
        JOIN frontier_outputs k ON k.call_id = o.call_id
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.repeat = 0
          AND (? OR list_contains(?, o.call_id) OR list_contains(?, c.native_id))
        QUALIFY row_number() OVER (PARTITION BY o.call_id ORDER BY r.seq) = 1
        """,
        (scope.task, scope.fingerprint, calls is None, list(calls or ()), list(calls or ())),
    )


def native_ids(store: Reads, call_ids: Sequence[str]) -> dict[str, str]:
    """Return the native id of calls, by call id."""
    sql = "SELECT call_id, native_id FROM calls WHERE list_contains(?, call_id)"
    found = store.rows(sql, (list(call_ids),)) if call_ids else []
    return {row["call_id"]: row["native_id"] for row in found}


def call_languages(store: Reads, scope: Scope) -> dict[str, str]:
    """Return the language of every call that a candidate answered, where it is known."""
    found = store.rows(
        """
        SELECT DISTINCT c.call_id, c.language FROM replay_calls p JOIN replays r USING (replay_id)
        JOIN calls c ON c.call_id = p.call_id
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND c.language IS NOT NULL
        """,
        (scope.task, scope.fingerprint),
    )
    return {row["call_id"]: row["language"] for row in found}
