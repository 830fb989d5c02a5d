"""Known right answers in the store, and the pairs that they can judge."""

from __future__ import annotations

from typing import Any

from workbench.store.labels import CURRENT, Reads, Scope, in_utc

BY_HAND = "by hand"
"""Origin of answers from a first look. They are right answers, but no label that a bound takes in follows."""


def _answers(*, judging: bool) -> str:
    """Return the query of right answers; those from a first look by hand only where they judge no pair.

    An adjudicated answer outranks the others, of which the newest counts. Answers that reviewers called
    right by themselves count where nobody gave one in words and all of them are the same.
    """
    apart = f"origin <> '{BY_HAND}'" if judging else "true"
    origin = (
        f"CASE l.source WHEN 'adjudicated' THEN 'adjudication' WHEN 'by_hand' THEN '{BY_HAND}' "
        "ELSE 'reviewers' END"
    )
    return f"""
given AS (
    SELECT * FROM (
        SELECT call_id, answer, seq, origin, created_at, 2 AS standing, NULL::VARCHAR AS replay_id FROM gold
        UNION ALL
        SELECT l.call_id, l.corrected, l.seq, {origin},
               l.created_at, if(l.source = 'adjudicated', 3, 2), l.replay_id
        FROM labels l
        WHERE l.corrected IS NOT NULL AND l.verdict IS NOT NULL AND {CURRENT}
          AND l.source NOT IN ('gold', 'attention')
        UNION ALL
        SELECT l.call_id, if(l.control_right, k.text, o.text), l.seq, {origin},
               l.created_at, if(l.source = 'adjudicated', 3, 1), l.replay_id
        FROM labels l JOIN frontier_outputs k ON k.call_id = l.call_id
        JOIN observations o ON o.replay_id = l.replay_id AND o.call_id = l.call_id AND o.repeat = 0
        WHERE (l.control_right OR l.candidate_right) AND l.corrected IS NULL AND l.verdict IS NOT NULL
          AND {CURRENT} AND l.source NOT IN ('gold', 'attention')
    ) WHERE {apart}
),
newest AS (
    SELECT * FROM given WHERE answer IS NOT NULL AND answer <> ''
    WINDOW calls AS (PARTITION BY call_id)
    QUALIFY row_number() OVER (PARTITION BY call_id ORDER BY standing DESC, seq DESC) = 1
        AND (standing > 1 OR min(answer) OVER calls = max(answer) OVER calls)
)
"""  # noqa: S608 - constants


def newest_gold(store: Reads, task: str) -> dict[str, str]:
    """Return the newest imported gold answer of every call of a task that has one, by call id."""
    rows = store.rows(
        """
        SELECT g.call_id, g.answer FROM gold g JOIN calls c USING (call_id) WHERE c.task = ?
        QUALIFY row_number() OVER (PARTITION BY g.call_id ORDER BY g.seq DESC) = 1
        """,
        (task,),
    )
    return {row["call_id"]: row["answer"] for row in rows}


def answers(store: Reads, task: str) -> list[dict[str, Any]]:
    """Return the right answer of every call of a task that has one.

    Returns:
        Rows of native_id, call_id, answer, origin, created_at.
    """
    found = store.rows(
        f"""
        WITH {_answers(judging=False)}
        SELECT c.native_id, n.call_id, n.answer, n.origin, n.created_at
        FROM newest n JOIN calls c USING (call_id) WHERE c.task = ? ORDER BY c.native_id, n.call_id
        """,  # noqa: S608 - constants of this module
        (task,),
    )
    return in_utc(found, "created_at")


def gold_pairs(store: Reads, scope: Scope) -> list[dict[str, Any]]:
    """Return every compared pair whose call has a right answer, with all four texts.

    A pair on which the answer was given itself is left out: its reviewer has judged it. So are answers
    from the ten looked at by hand, which nothing that enters a bound may follow from.

    Returns:
        Rows of replay_id, call_id, request, control, observed, answer, gold_seq,
        compared (the comparison's verdict), and of the standing gold label:
        label_id, verdict, corrected (or None).
    """
    return store.rows(
        f"""
        WITH {_answers(judging=True)},
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
        JOIN frontier_outputs k ON k.call_id = m.call_id
        JOIN observations o ON o.replay_id = m.replay_id AND o.call_id = m.call_id AND o.repeat = 0
        LEFT JOIN standing s ON s.replay_id = m.replay_id AND s.call_id = m.call_id
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND m.evaluator_version = ? AND m.repeat = 0
          AND m.verdict <> 'uncomparable' AND g.replay_id IS DISTINCT FROM m.replay_id
          AND NOT EXISTS (SELECT 1 FROM conflicts x WHERE x.call_id = m.call_id)
        ORDER BY r.seq, m.call_id
        """,  # noqa: S608 - constants of this module
        scope.params,
    )


def outdated_gold_labels(store: Reads, scope: Scope) -> list[dict[str, Any]]:
    """Return the standing gold labels of a candidate for which no right answer is left.

    An answer that was only outranked leaves its label standing: a vote goes where it was
    taken back, not where somebody else said something newer.
    """
    return store.rows(
        f"""
        WITH {_answers(judging=True)}
        SELECT l.* FROM labels l JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND l.source = 'gold' AND l.verdict IS NOT NULL
          AND {CURRENT}
          AND NOT EXISTS (SELECT 1 FROM given g WHERE g.call_id = l.call_id AND g.answer IS NOT NULL
                          AND g.replay_id IS DISTINCT FROM l.replay_id)
        ORDER BY l.seq
        """,  # noqa: S608 - constants of this module
        (scope.task, scope.fingerprint),
    )
