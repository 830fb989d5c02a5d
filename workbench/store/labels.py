"""Draws, leases, labels and gold answers in the store: typed functions, all SQL of the review.

Rows are only ever added. A label stands until another one names it in
`supersedes`; a lease stands until it expires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from workbench.records import RESPONSE_ID, AbsoluteJudgement, Label, LabelVerdict


class Reads(Protocol):
    """What a store and an open transaction have in common."""

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Return rows as dictionaries."""
        ...

    def value(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row, or None."""
        ...


class Adds(Reads, Protocol):
    """What can also take rows."""

    def append(self, table: str, rows: Sequence[Mapping[str, Any]], *, ignore_known: bool = False) -> int:
        """Add rows and return how many were new."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What one queue is about: a task, a candidate's fingerprint, an evaluator version."""

    task: str
    fingerprint: str
    evaluator_version: str

    @property
    def params(self) -> tuple[str, str, str]:
        """Return the three as parameters, in the order of the fields."""
        return (self.task, self.fingerprint, self.evaluator_version)


CURRENT = "NOT EXISTS (SELECT 1 FROM labels s WHERE s.supersedes = l.label_id)"
"""Of a label `l`: no later row supersedes it."""
_RESPONSE_ID = f"json_extract_string(c.attributes, '$.{RESPONSE_ID}') AS {RESPONSE_ID}"


def in_utc(found: list[dict[str, Any]], *columns: str) -> list[dict[str, Any]]:
    """Give the times of rows their zone, so that they compare with any clock."""
    for row in found:
        for name in columns:
            if row[name] is not None and row[name].tzinfo is None:
                row[name] = row[name].replace(tzinfo=UTC)
    return found


def pool_signature(store: Reads, scope: Scope) -> tuple[Any, ...]:
    """Return what changes whenever the pairs that count may have changed; cheap to ask for."""
    row = store.rows(
        """
        WITH mine AS (SELECT replay_id, seq FROM replays WHERE task = ? AND candidate_fingerprint = ?)
        SELECT (SELECT string_agg(replay_id, ' ' ORDER BY seq) FROM mine) AS replays,
               (SELECT count(*) FROM replay_calls JOIN mine USING (replay_id)) AS planned,
               (SELECT count(*) FROM comparisons WHERE evaluator_version = ? AND repeat = 0) AS compared,
               (SELECT count(*) FROM conflicts) AS conflicts
        """,
        scope.params,
    )[0]
    return tuple(row.values())


def draw_rows(store: Reads, scope: Scope) -> list[dict[str, Any]]:
    """Return every draw of a scope in the order of drawing."""
    found = store.rows(
        """
        SELECT * FROM draws
        WHERE task = ? AND candidate_fingerprint = ? AND evaluator_version = ? ORDER BY seq
        """,
        scope.params,
    )
    return in_utc(found, "created_at")


def has_draws(store: Reads, scope: Scope) -> bool:
    """Say whether a scope has any draw."""
    sql = "SELECT 1 FROM draws WHERE task = ? AND candidate_fingerprint = ? AND evaluator_version = ? LIMIT 1"
    return store.value(sql, scope.params) is not None


def draw_row(store: Reads, draw_id: str) -> dict[str, Any] | None:
    """Return one draw, or None."""
    found = in_utc(store.rows("SELECT * FROM draws WHERE draw_id = ?", (draw_id,)), "created_at")
    return found[0] if found else None


def lease_rows(store: Reads, scope: Scope) -> list[dict[str, Any]]:
    """Return every lease of a scope's draws in order: draw_id, annotator, seq, expires_at."""
    found = store.rows(
        """
        SELECT l.* FROM leases l JOIN draws d USING (draw_id)
        WHERE d.task = ? AND d.candidate_fingerprint = ? AND d.evaluator_version = ? ORDER BY l.seq
        """,
        scope.params,
    )
    return in_utc(found, "expires_at")


def count_reviewed(store: Reads, scope: Scope, apart: Iterable[str] = ()) -> int:
    """Return how many of a candidate's pairs have a standing verdict of any source but those kept apart."""
    return int(
        store.value(
            f"""
            SELECT count(DISTINCT (l.replay_id, l.call_id)) FROM labels l JOIN replays r USING (replay_id)
            WHERE r.task = ? AND r.candidate_fingerprint = ? AND l.verdict IS NOT NULL AND {CURRENT}
              AND NOT list_contains(?, l.source)
            """,  # noqa: S608 - a constant of this module
            (scope.task, scope.fingerprint, list(apart)),
        )
        or 0
    )


def offered_draw(store: Reads, draw_id: str, annotator: str) -> dict[str, Any] | None:
    """Return a draw that was ever offered to somebody, or None."""
    found = store.rows(
        """
        SELECT * FROM draws
        WHERE draw_id = ? AND draw_id IN (SELECT draw_id FROM leases WHERE annotator = ?)
        """,
        (draw_id, annotator),
    )
    return in_utc(found, "created_at")[0] if found else None


def held_draw(
    store: Reads, scope: Scope, annotator: str, now: datetime, plans: Iterable[str]
) -> dict[str, Any] | None:
    """Return the draw of some plans that somebody holds under a lease in force, not answered, or None."""
    found = store.rows(
        f"""
        SELECT d.draw_id, d.replay_id, d.call_id FROM leases e JOIN draws d USING (draw_id)
        WHERE e.annotator = ? AND e.expires_at > ?
          AND d.task = ? AND d.candidate_fingerprint = ? AND d.evaluator_version = ?
          AND list_contains(?, d.plan)
          AND NOT EXISTS (SELECT 1 FROM labels l WHERE l.draw_id = d.draw_id AND l.annotator = e.annotator
                          AND (l.verdict IS NOT NULL OR l.skipped) AND {CURRENT})
        ORDER BY d.seq LIMIT 1
        """,  # noqa: S608 - a constant of this module
        (annotator, now, *scope.params, list(plans)),
    )
    return found[0] if found else None


def label_rows(store: Reads, task: str, fingerprint: str) -> list[dict[str, Any]]:
    """Return every label row about a candidate's pairs in order, those taken back included.

    The column `current` says whether no later row supersedes it.
    """
    found = store.rows(
        """
        SELECT l.* FROM labels l JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? ORDER BY l.seq
        """,
        (task, fingerprint),
    )
    return _with_current(found)


def _with_current(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of each row whether a later one supersedes it; a label and what supersedes it are of one pair.

    Found here rather than by a join of the table with itself, for which every key would wait.
    """
    superseded = {row["supersedes"] for row in found}
    return [row | {"current": row["label_id"] not in superseded} for row in found]


def standing_labels(store: Reads, scope: Scope) -> list[dict[str, Any]]:
    """Return the current labels with a verdict on pairs compared under the scope's evaluator."""
    return store.rows(
        f"""
        SELECT l.* FROM labels l JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND l.verdict IS NOT NULL AND {CURRENT}
          AND EXISTS (SELECT 1 FROM comparisons c WHERE c.replay_id = l.replay_id
                      AND c.call_id = l.call_id AND c.repeat = 0 AND c.evaluator_version = ?)
        ORDER BY l.seq
        """,  # noqa: S608 - a constant of this module
        scope.params,
    )


def compared_pairs(store: Reads, scope: Scope) -> set[tuple[str, str]]:
    """Return the labelled pairs that were compared under the scope's evaluator."""
    found = store.rows(
        """
        SELECT DISTINCT l.replay_id, l.call_id FROM labels l JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ?
          AND EXISTS (SELECT 1 FROM comparisons c WHERE c.replay_id = l.replay_id
                      AND c.call_id = l.call_id AND c.repeat = 0 AND c.evaluator_version = ?)
        """,
        scope.params,
    )
    return {(row["replay_id"], row["call_id"]) for row in found}


def labels_on_draw(store: Reads, draw_id: str, annotator: str) -> list[dict[str, Any]]:
    """Return one person's label rows on one draw in order, with `current`."""
    found = store.rows(
        "SELECT * FROM labels WHERE draw_id = ? AND annotator = ? ORDER BY seq", (draw_id, annotator)
    )
    return _with_current(found)


def labels_on_pair(store: Reads, replay_id: str, call_id: str) -> list[dict[str, Any]]:
    """Return every label row on one pair in order, with `current`."""
    found = store.rows(
        "SELECT * FROM labels WHERE replay_id = ? AND call_id = ? ORDER BY seq", (replay_id, call_id)
    )
    return _with_current(found)


def own_labels(
    store: Reads,
    scope: Scope,
    annotator: str,
    *,
    sources: Iterable[str] = ("queue",),
    text: str | None = None,
    limit: int | None = 100,
) -> list[dict[str, Any]]:
    """Return somebody's standing labels and skips about a candidate, newest first.

    Args:
        store: Where to read.
        scope: Whose pairs.
        annotator: Whose labels.
        sources: Labels of these sources.
        text: Only where request, note or corrected answer hold this, whatever the case.
        limit: At most so many; None for all.
    """
    return store.rows(
        f"""
        SELECT l.* FROM labels l JOIN replays r USING (replay_id) LEFT JOIN calls c USING (call_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND l.annotator = ?
          AND list_contains(?, l.source) AND (l.verdict IS NOT NULL OR l.skipped) AND {CURRENT}
          AND (?::VARCHAR IS NULL
               OR contains(lower(concat_ws(chr(10), l.note, l.corrected, c.request)), lower(?)))
        ORDER BY l.seq DESC LIMIT ?
        """,  # noqa: S608 - a constant of this module
        (scope.task, scope.fingerprint, annotator, list(sources), text, text, limit),
    )


def pending_undo(store: Reads, scope: Scope, annotator: str, now: datetime) -> str | None:
    """Return the draw somebody took a label back from as their last act and still holds, or None."""
    found: str | None = store.value(
        """
        SELECT acted.draw_id FROM (
            SELECT l.draw_id, l.verdict, l.skipped FROM labels l JOIN draws d USING (draw_id)
            WHERE d.task = ? AND d.candidate_fingerprint = ? AND d.evaluator_version = ?
              AND l.annotator = ?
            ORDER BY l.seq DESC LIMIT 1
        ) acted
        WHERE acted.verdict IS NULL AND NOT acted.skipped
          AND EXISTS (SELECT 1 FROM leases e
                      WHERE e.draw_id = acted.draw_id AND e.annotator = ? AND e.expires_at > ?)
        """,
        (*scope.params, annotator, annotator, now),
    )
    return found


def task_of_replay(store: Reads, replay_id: str) -> str | None:
    """Return the task of a replay, or None."""
    found: str | None = store.value("SELECT task FROM replays WHERE replay_id = ?", (replay_id,))
    return found


def candidate_of_replay(store: Reads, replay_id: str) -> str | None:
    """Return the name that a replay's candidate had, or None."""
    found: str | None = store.value("SELECT candidate FROM replays WHERE replay_id = ?", (replay_id,))
    return found


def pair_content(store: Reads, replay_id: str, call_id: str) -> dict[str, Any] | None:
    """Return request, control and observation of one pair as JSON texts, or None."""
    found = store.rows(
        """
        SELECT c.request, k.output AS control, o.output AS observed
        FROM observations o JOIN calls c USING (call_id) JOIN frontier_outputs k USING (call_id)
        WHERE o.replay_id = ? AND o.call_id = ? AND o.repeat = 0
        """,
        (replay_id, call_id),
    )
    return found[0] if found else None


def known_labels(store: Reads, label_ids: Sequence[str]) -> set[str]:
    """Return which of these label ids the store holds."""
    sql = "SELECT label_id FROM labels WHERE list_contains(?, label_id)"
    return {row["label_id"] for row in store.rows(sql, (list(label_ids),))} if label_ids else set()


def observed_pairs(store: Reads, task: str, fingerprint: str) -> list[dict[str, Any]]:
    """Return replay_id and the ids of the call of every observed pair, earliest replay first."""
    return store.rows(
        f"""
        SELECT o.replay_id, o.call_id, c.native_id, c.source, {_RESPONSE_ID}
        FROM observations o JOIN replays r USING (replay_id) JOIN calls c USING (call_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.repeat = 0
        QUALIFY row_number() OVER (PARTITION BY o.call_id ORDER BY r.seq) = 1
        """,  # noqa: S608 -- a text of this file
        (task, fingerprint),
    )


def pairs_of(store: Reads, task: str, fingerprint: str) -> list[dict[str, Any]]:
    """Return replay_id and call_id of every observed pair of every replay of a candidate."""
    return store.rows(
        """
        SELECT o.replay_id, o.call_id FROM observations o JOIN replays r USING (replay_id)
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.repeat = 0
        """,
        (task, fingerprint),
    )


def task_calls(store: Reads, task: str) -> list[dict[str, Any]]:
    """Return call_id, native_id and response_id, if kept, of every usable call of a task."""
    return store.rows(
        f"SELECT call_id, native_id, {_RESPONSE_ID} FROM usable_calls c WHERE task = ?",  # noqa: S608 -- ours
        (task,),
    )


def export_rows(store: Reads, task: str | None, fingerprint: str | None) -> list[dict[str, Any]]:
    """Return every standing label and skip with its provenance, in order.

    Args:
        store: Where to read.
        task: Only this task's; None for all.
        fingerprint: Only this candidate's; None for all.
    """
    found = store.rows(
        f"""
        SELECT l.label_id, c.native_id AS id, l.call_id, l.replay_id, r.task, r.candidate, l.verdict,
               l.annotator, l.reasons, l.note, l.corrected, l.source, l.skipped, l.shown_order, l.draw_id,
               d.plan, d.position, d.stratum, d.stratum_share,
               coalesce(l.draw_probability, nullif(d.draw_probability, 0)) AS draw_probability,
               nullif(d.weight, 0) AS weight, nullif(d.weight_max, 0) AS weight_max,
               l.control_right, l.candidate_right, l.control_wrong, l.candidate_wrong,
               d.evaluator_version, d.created_at AS drawn_at, l.guideline_version, g.text AS guidelines,
               l.created_at
        FROM labels l JOIN replays r USING (replay_id) JOIN calls c USING (call_id)
        LEFT JOIN draws d USING (draw_id)
        LEFT JOIN guideline_texts g ON g.task = r.task AND g.version = l.guideline_version
        WHERE (?::VARCHAR IS NULL OR r.task = ?) AND (?::VARCHAR IS NULL OR r.candidate_fingerprint = ?)
          AND (l.verdict IS NOT NULL OR l.skipped) AND {CURRENT}
        ORDER BY l.seq
        """,  # noqa: S608 - a constant of this module
        (task, task, fingerprint, fingerprint),
    )
    return in_utc(found, "drawn_at", "created_at")


def candidates_replayed(store: Reads, task: str) -> list[str]:
    """Return the fingerprints that have replays of a task, oldest first."""
    rows = store.rows(
        "SELECT candidate_fingerprint AS f FROM replays WHERE task = ? GROUP BY f ORDER BY min(seq)", (task,)
    )
    return [row["f"] for row in rows]


def to_label(row: dict[str, Any]) -> Label:
    """Return the record of a label's row."""
    in_utc([row], "created_at")
    return Label(
        label_id=row["label_id"],
        replay_id=row["replay_id"],
        call_id=row["call_id"],
        verdict=LabelVerdict(row["verdict"]) if row["verdict"] else None,
        annotator=row["annotator"],
        reasons=tuple(row["reasons"] or ()),
        note=row["note"],
        corrected=row["corrected"],
        shown_order=row["shown_order"],
        draw_id=row["draw_id"],
        draw_probability=row["draw_probability"],
        guideline_version=row["guideline_version"],
        source=row["source"],
        supersedes=row["supersedes"],
        skipped=bool(row["skipped"]),
        created_at=row["created_at"],
        absolute=_absolute(row),
    )


def _absolute(row: Mapping[str, Any]) -> AbsoluteJudgement | None:
    if row.get("control_right") is None or row.get("candidate_right") is None:
        return None
    wrong = (tuple(row[name] or ()) for name in ("control_wrong", "candidate_wrong"))
    return AbsoluteJudgement(bool(row["control_right"]), bool(row["candidate_right"]), *wrong)


def from_label(label: Label) -> dict[str, Any]:
    """Return the row of a label; the store adds `seq`."""
    each = label.absolute
    return {
        "label_id": label.label_id,
        "replay_id": label.replay_id,
        "call_id": label.call_id,
        "verdict": label.verdict.value if label.verdict else None,
        "annotator": label.annotator,
        "reasons": list(label.reasons),
        "note": label.note,
        "corrected": label.corrected,
        "shown_order": label.shown_order,
        "draw_id": label.draw_id,
        "draw_probability": label.draw_probability,
        "guideline_version": label.guideline_version,
        "source": label.source,
        "supersedes": label.supersedes,
        "skipped": label.skipped,
        "created_at": label.created_at,
        "control_right": each.control_right if each else None,
        "candidate_right": each.candidate_right if each else None,
        "control_wrong": list(each.control_wrong) if each else None,
        "candidate_wrong": list(each.candidate_wrong) if each else None,
    }


def add_lease(store: Adds, draw_id: str, annotator: str, expires_at: datetime) -> None:
    """Offer a draw to somebody until a time (UTC)."""
    store.append("leases", [{"draw_id": draw_id, "annotator": annotator, "expires_at": expires_at}])


def add_label(store: Adds, label: Label) -> int:
    """Add one label; 0 where its id is known already."""
    return store.append("labels", [from_label(label)], ignore_known=True)
