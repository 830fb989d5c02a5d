"""Who has said what of a pair, and who has read it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from workbench.store.labels import CURRENT, Reads


def verdicts_on(store: Reads, pair: tuple[str, str]) -> list[dict[str, Any]]:
    """Return every verdict and skip on a pair in order, gold ones too; `current` marks those that stand.

    Returns:
        Rows of label_id, verdict, annotator, reasons, note, corrected, source, skipped, guideline_version,
        created_at, current. What takes a label back, without a word of its own, is none.
    """
    return store.rows(
        f"""
        SELECT l.label_id, l.verdict, l.annotator, l.reasons, l.note, l.corrected, l.source, l.skipped,
               l.guideline_version, l.created_at, {CURRENT} AS current
        FROM labels l
        WHERE l.replay_id = ? AND l.call_id = ? AND (l.verdict IS NOT NULL OR l.skipped) ORDER BY l.seq
        """,  # noqa: S608 - a constant of this module
        pair,
    )


def known_to(
    store: Reads, pairs: Sequence[tuple[str, str]], annotator: str, sources: Collection[str]
) -> set[tuple[str, str]]:
    """Return the pairs that somebody has said something of, or has read what others said of.

    Args:
        store: Where to read.
        pairs: Replay and call of each.
        annotator: Who.
        sources: Of their own labels, those that count.
    """
    calls = [call for _, call in pairs]
    found = store.rows(
        f"""
        SELECT l.replay_id, l.call_id FROM labels l
        WHERE l.call_id IN (SELECT unnest(?::VARCHAR[])) AND l.annotator = ? AND l.verdict IS NOT NULL
          AND list_contains(?::VARCHAR[], l.source) AND {CURRENT}
        UNION
        SELECT replay_id, call_id FROM openings
        WHERE call_id IN (SELECT unnest(?::VARCHAR[])) AND annotator = ?
        """,  # noqa: S608 - a constant of this module
        (calls, annotator, sorted(sources), calls, annotator),
    )
    return {(row["replay_id"], row["call_id"]) for row in found} & set(pairs)


def is_judging(
    store: Reads, pair: tuple[str, str], annotator: str, moment: datetime, plans: Collection[str]
) -> bool:
    """Say whether a pair lies on somebody's desk at a moment, drawn by one of some plans."""
    return bool(
        store.value(
            """
            SELECT count(*) FROM draws d JOIN leases e USING (draw_id)
            WHERE d.replay_id = ? AND d.call_id = ? AND list_contains(?, d.plan)
              AND e.annotator = ? AND e.expires_at > ?
              AND e.seq = (SELECT max(seq) FROM leases WHERE draw_id = d.draw_id)
            """,
            (*pair, sorted(plans), annotator, moment),
        )
    )
