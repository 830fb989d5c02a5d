"""Known right answers in the store, and the pairs that they can judge."""

from __future__ import annotations

from typing import Any

from workbench.store.labels import CURRENT, Reads, Scope


def newest_gold(store: Reads, task: str) -> dict[str, str]:
    """Return the newest gold answer of every call of a task that has one, by call id."""
    rows = store.rows(
        """
        SELECT g.call_id, g.answer FROM gold g JOIN calls c USING (call_id) WHERE c.task = ?
        QUALIFY row_number() OVER (PARTITION BY g.call_id ORDER BY g.seq DESC) = 1
        """,
        (task,),
    )
    return {row["call_id"]: row["answer"] for row in rows}


def gold_pairs(store: Reads, scope: Scope) -> list[dict[str, Any]]:
    """Return every compared pair whose call has a gold answer, with all four texts.

    Returns:
        Rows of replay_id, call_id, request, control, observed, answer, gold_seq,
        compared (the comparison's verdict), and of the standing gold label:
        label_id, verdict, corrected (or None).
    """
    return store.rows(
        f"""
        WITH newest AS (
            SELECT call_id, answer, seq FROM gold
            QUALIFY row_number() OVER (PARTITION BY call_id ORDER BY seq DESC) = 1
        ),
        standing AS (
            SELECT l.* FROM labels l WHERE l.source = 'gold' AND {CURRENT}
            QUALIFY row_number() OVER (PARTITION BY l.replay_id, l.call_id ORDER BY l.seq DESC) = 1
        )
        SELECT m.replay_id, m.call_id, c.request, k.output AS control, o.output AS observed, g.answer,
               g.seq AS gold_seq, m.verdict AS compared, s.label_id, s.verdict, s.corrected
        FROM comparisons m
        JOIN replays r USING (replay_id)
        JOIN newest g ON g.call_id = m.call_id
        JOIN calls c ON c.call_id = m.call_id
        JOIN controls k ON k.call_id = m.call_id
        JOIN observations o ON o.replay_id = m.replay_id AND o.call_id = m.call_id AND o.repeat = 0
        LEFT JOIN standing s ON s.replay_id = m.replay_id AND s.call_id = m.call_id
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND m.evaluator_version = ? AND m.repeat = 0
          AND m.verdict <> 'uncomparable'
          AND NOT EXISTS (SELECT 1 FROM conflicts x WHERE x.call_id = m.call_id)
        ORDER BY r.seq, m.call_id
        """,  # noqa: S608 - a constant of this module
        scope.params,
    )
