"""Comparisons, embeddings, and the rows that evidence is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from workbench.compare.custom import EVALUATOR_ERROR
from workbench.records import Comparison, Output, from_json, to_json
from workbench.store import traffic_days
from workbench.store.call_costs import cached_tokens
from workbench.store.conflicting import not_in_conflict
from workbench.store.marked import parameters, without
from workbench.store.remembered import remembered

if TYPE_CHECKING:
    from workbench.store import Store

_TYPES: list[tuple[str, pa.DataType]] = [
    ("replay_id", pa.string()),
    ("call_id", pa.string()),
    ("repeat", pa.int32()),
    ("evaluator_version", pa.string()),
    ("verdict", pa.string()),
    ("score", pa.float64()),
    ("reason", pa.string()),
    ("identical", pa.bool_()),
    ("invalid", pa.bool_()),
    ("ignored_by", pa.string()),
    ("control_group", pa.string()),
    ("candidate_group", pa.string()),
    ("flags", pa.list_(pa.string())),
    ("details", pa.string()),
    ("call_seq", pa.int64()),
    ("observation_seq", pa.int64()),
    ("batch", pa.int32()),
    ("audit_order", pa.int64()),
    ("parts", pa.string()),
]
SCHEMA = pa.schema(_TYPES)
_OWN = (
    *("replay_id", "call_id", "repeat", "evaluator_version", "score", "reason"),
    *("identical", "invalid", "ignored_by", "control_group", "candidate_group"),
)

AUDIT_ORDER = "CASE WHEN length(p.audit_key) >= 15 THEN TRY_CAST('0x' || left(p.audit_key, 15) AS BIGINT) END"
"""The beginning of a planned call's audit key as a number, which orders calls as the key does."""
PLANNED = "LEFT JOIN replay_calls p ON p.replay_id = o.replay_id AND p.call_id = o.call_id"
NO_PARTS = "[]"

PENDING = """
FROM observations o
JOIN replays r ON r.replay_id = o.replay_id
JOIN usable_calls c ON c.call_id = o.call_id
WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.seq > ?
  AND NOT EXISTS (
      SELECT 1 FROM comparisons m
      WHERE m.replay_id = o.replay_id AND m.call_id = o.call_id AND m.repeat = o.repeat
        AND m.evaluator_version = ?)
"""
"""Takes the task, the candidate's fingerprint, `seq` after which to begin, and the evaluator version."""


def pending_count(store: Store, task: str, fingerprint: str, version: str) -> int:
    """Return how many observations are not compared under an evaluator version."""
    return int(store.value(f"SELECT count(*) {PENDING}", (task, fingerprint, 0, version)))


def recorded_controls(store: Store, task: str, *, limit: int) -> list[Output]:
    """Return recorded outputs of a task, the earliest first; errors are left out."""
    found = store.rows(
        """
        SELECT control FROM usable_calls
        WHERE task = ? AND control IS NOT NULL AND control_error_kind IS NULL ORDER BY seq LIMIT ?
        """,
        (task, limit),
    )
    return [from_json(row["control"], Output) for row in found]


def pending_outputs(
    store: Store,
    task: str,
    fingerprint: str,
    version: str,
    *,
    after: int,
    limit: int,
    requests_up_to: int = 0,
) -> list[dict[str, Any]]:
    """Return the next observations to compare with both outputs and the request, as JSON.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.
        version: The evaluator version.
        after: `seq` of the last one read before.
        limit: Rows at most.
        requests_up_to: Characters of JSON up to which requests are wanted; those that offer tools
            always are.

    Returns:
        Rows of seq, replay_id, call_id, repeat, request, tool_count, control, output, and where a comparison
        of it stands: call_seq, observation_seq, batch, audit_order.
    """
    return store.rows(
        f"""
        WITH pending AS (
            SELECT o.seq, o.replay_id, o.call_id, o.repeat, c.tool_count,
                   CASE WHEN c.tool_count > 0 OR length(c.request) <= ? THEN c.request END AS request,
                   c.control, o.output, c.seq AS call_seq
            {PENDING} ORDER BY o.seq LIMIT ?
        )
        SELECT o.*, o.seq AS observation_seq, p.batch, {AUDIT_ORDER} AS audit_order
        FROM pending o {PLANNED} ORDER BY o.seq
        """,  # noqa: S608 - constants of this module
        (requests_up_to, task, fingerprint, after, version, limit),
    )


def add(store: Store, comparisons: Sequence[Comparison], placed: Sequence[Mapping[str, Any]]) -> int:
    """Append comparisons; those already there under the same version are left as they are.

    Args:
        store: Where to write.
        comparisons: What was found of each pair.
        placed: The row of `pending_outputs` that each was made from.
    """
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for each, row in zip(comparisons, placed, strict=True):
        found = {name: getattr(each, name) for name in _OWN} | {
            "verdict": str(each.verdict),
            "flags": list(each.flags),
            "details": to_json(each.details).decode(),
            "parts": parts_of(each.details),
        }
        for name in SCHEMA.names:
            columns[name].append(found[name] if name in found else row[name])
    return add_columns(store, columns)


def parts_of(details: Mapping[str, Any]) -> str:
    """Return what evidence needs of per-field details: JSON [[path, equal, there, critical], ...].

    A field is there where the control has it, of lists in one item at least.
    """
    fields = details.get("fields", ())
    there = [each.get("there", each.get("control") != {"missing": True}) for each in fields]
    return msgspec.json.encode(
        [
            (each["path"], each["equal"], is_there, each.get("critical", False))
            for each, is_there in zip(fields, there, strict=True)
        ]
    ).decode()


def add_columns(store: Store, columns: Mapping[str, Any]) -> int:
    """Append comparisons given as columns, in one Arrow batch."""
    arrays = [pa.array(columns[field.name], type=field.type, from_pandas=True) for field in SCHEMA]
    return store.append("comparisons", pa.Table.from_arrays(arrays, schema=SCHEMA), ignore_known=True)


def vectors(store: Store, model: str, hashes: Sequence[str]) -> dict[str, list[float]]:
    """Return the known embeddings of one model by the hash of their text."""
    if not hashes:
        return {}
    rows = store.rows(
        "SELECT text_hash, vector FROM embeddings WHERE model = ? AND list_contains(?, text_hash)",
        (model, list(hashes)),
    )
    return {row["text_hash"]: row["vector"] for row in rows}


def add_vectors(store: Store, model: str, found: Mapping[str, Sequence[float]]) -> int:
    """Keep embeddings by the hash of their text."""
    table = pa.table(
        {
            "model": pa.array([model] * len(found), pa.string()),
            "text_hash": pa.array(list(found), pa.string()),
            "vector": pa.array(list(found.values()), pa.list_(pa.float32())),
        }
    )
    return store.append("embeddings", table, ignore_known=True)


def once(store: Store, task: str, fingerprint: str) -> str:
    """Return a condition on a comparison `m` of a replay `r`: of a call in several replays the first counts.

    It is fixed text, to stand after the others of a WHERE; empty where there is one replay, which is quicker.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.
    """
    replays = store.value(
        "SELECT count(*) FROM replays WHERE task = ? AND candidate_fingerprint = ?", (task, fingerprint)
    )
    return _FIRST if replays > 1 else ""


_FIRST = """
  AND NOT EXISTS (
      SELECT 1 FROM comparisons e JOIN replays q ON q.replay_id = e.replay_id
      WHERE e.call_id = m.call_id AND e.repeat = 0 AND e.evaluator_version = m.evaluator_version
        AND q.task = r.task AND q.candidate_fingerprint = r.candidate_fingerprint AND q.seq < r.seq)
"""


def summary(store: Store, task: str, fingerprint: str, version: str) -> list[dict[str, Any]]:
    """Return counts of repeat 0 by verdict and reason kind, each call once.

    Returns:
        Rows of verdict, ignored_by, invalid, missing (similarity), broken (an evaluator of one's
        own failed), error_kind, why (of what can't be compared), n.
    """
    return store.rows(
        f"""
        SELECT m.verdict, m.ignored_by, m.invalid, m.reason = 'similarity missing' AS missing,
               list_contains(m.flags, ?) AS broken, o.error_kind,
               CASE WHEN m.verdict = 'uncomparable' THEN m.reason END AS why, count(*) AS n
        FROM comparisons m
        JOIN replays r ON r.replay_id = m.replay_id
        JOIN observations o ON o.replay_id = m.replay_id AND o.call_id = m.call_id AND o.repeat = m.repeat
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND m.evaluator_version = ? AND m.repeat = 0
          AND {not_in_conflict(store, "m")} {once(store, task, fingerprint)}
        GROUP BY ALL
        """,  # noqa: S608 - a constant of this module
        (EVALUATOR_ERROR, task, fingerprint, version),
    )


def has_compared(store: Store, task: str, fingerprint: str, version: str) -> bool:
    """Say whether an answer of repeat 0 to a usable call was compared."""
    found = store.value(
        f"""
        SELECT 1 FROM comparisons m JOIN replays r ON r.replay_id = m.replay_id
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND m.evaluator_version = ? AND m.repeat = 0
          AND {not_in_conflict(store, "m")}
        LIMIT 1
        """,  # noqa: S608 - fixed text
        (task, fingerprint, version),
    )
    return found is not None


def evaluator_errors(
    store: Store, task: str, fingerprint: str, version: str, *, limit: int
) -> dict[str, int]:
    """Return why an evaluator of one's own failed on pairs of repeat 0, the commonest reasons first."""
    found = store.rows(
        f"""
        SELECT m.reason, count(*) AS n FROM comparisons m JOIN replays r ON r.replay_id = m.replay_id
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND m.evaluator_version = ? AND m.repeat = 0
          AND list_contains(m.flags, ?) AND {not_in_conflict(store, "m")}
        GROUP BY m.reason ORDER BY n DESC, m.reason LIMIT ?
        """,  # noqa: S608 - fixed text
        (task, fingerprint, version, EVALUATOR_ERROR, limit),
    )
    return {row["reason"]: int(row["n"]) for row in found}


def replayed(store: Store) -> list[dict[str, Any]]:
    """Return every task and candidate with observations: task, candidate, fingerprint, observations."""
    return store.rows(
        """
        SELECT r.task, arg_max(r.candidate, r.seq) AS candidate, r.candidate_fingerprint AS fingerprint,
               sum(n) AS observations, max(r.seq) AS seq
        FROM replays r
        JOIN (SELECT replay_id, count(*) AS n FROM observations WHERE repeat = 0 GROUP BY replay_id) o
          ON o.replay_id = r.replay_id
        GROUP BY r.task, r.candidate_fingerprint ORDER BY r.task, seq
        """
    )


def fingerprint_by_name(store: Store, name: str) -> str | None:
    """Return the newest fingerprint stored under a candidate's name, or None."""
    found: str | None = store.value(
        "SELECT fingerprint FROM candidates WHERE name = ? ORDER BY seq DESC LIMIT 1", (name,)
    )
    return found


def has_begun(store: Store, task: str, fingerprint: str) -> bool:
    """Say whether a batch of a candidate has some answers, and others not."""
    whole = store.value(
        """
        WITH mine AS (SELECT replay_id FROM replays WHERE task = ? AND candidate_fingerprint = ?)
        SELECT (SELECT count(*) FROM replay_calls JOIN mine USING (replay_id))
             = (SELECT count(*) FROM observations JOIN mine USING (replay_id) WHERE repeat = 0)
        """,
        (task, fingerprint),
    )
    if whole:  # Mostly so: then no answer need be looked for.
        return False
    return bool(
        store.value(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM replays r JOIN replay_calls p USING (replay_id)
                LEFT JOIN observations o
                  ON o.replay_id = p.replay_id AND o.call_id = p.call_id AND o.repeat = 0
                WHERE r.task = ? AND r.candidate_fingerprint = ?
                GROUP BY p.replay_id, p.batch HAVING count(o.seq) BETWEEN 1 AND count(*) - 1
            )
            """,
            (task, fingerprint),
        )
    )


def candidates_tried(store: Store, task: str, fingerprint: str, control: str) -> int:
    """Return how many candidates were compared on calls that one was compared on too, itself included.

    A candidate that was changed counts as another.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The one's.
        control: Name under which the frontier itself is asked again: no candidate.
    """
    return remembered(
        store,
        ("candidates_tried", task, fingerprint, control),
        lambda: _tried(store, task, fingerprint, control),
        lambda _: 100,
    )


def _tried(store: Store, task: str, fingerprint: str, control: str) -> int:
    known = store.value(
        "SELECT count(DISTINCT candidate_fingerprint) FROM replays WHERE task = ? AND candidate <> ?",
        (task, control),
    )
    if known <= 1:  # Mostly so: then the samples need not be read.
        return int(known)
    # A comparison that does not know its call (an older row) counts as one of the same call: one too many
    # makes the bound no smaller.
    return int(
        store.value(
            """
            WITH mine AS NOT MATERIALIZED (
                SELECT m.call_seq FROM comparisons m JOIN replays r USING (replay_id)
                WHERE r.task = $1 AND r.candidate_fingerprint = $2
            ), others AS NOT MATERIALIZED (
                SELECT r.candidate_fingerprint, m.call_seq FROM comparisons m JOIN replays r USING (replay_id)
                WHERE r.task = $1 AND r.candidate_fingerprint <> $2 AND r.candidate <> $3
            )
            SELECT count(DISTINCT candidate_fingerprint) FROM (
                SELECT candidate_fingerprint FROM replays r
                WHERE task = $1 AND candidate_fingerprint = $2 AND candidate <> $3
                  AND EXISTS (SELECT 1 FROM comparisons m WHERE m.replay_id = r.replay_id)
                UNION ALL
                SELECT candidate_fingerprint FROM others
                WHERE call_seq IS NULL OR EXISTS (SELECT 1 FROM mine WHERE call_seq IS NULL)
                UNION ALL
                SELECT o.candidate_fingerprint FROM others o JOIN mine m ON m.call_seq = o.call_seq)
            """,
            (task, fingerprint, control),
        )
    )


def held_out_share(store: Store, task: str, fingerprint: str) -> float:
    """Return what share of a task's calls was held out of a candidate's samples for its examples, 0..1."""
    return float(
        store.value(
            """
            SELECT coalesce(max(held / nullif(held + usable, 0)), 0.0) FROM (
                SELECT CAST(json_extract_string(plan, '$.held_out') AS DOUBLE) AS held,
                       CAST(json_extract_string(plan, '$.usable') AS DOUBLE) AS usable
                FROM replays WHERE task = ? AND candidate_fingerprint = ?)
            """,
            (task, fingerprint),
        )
    )


def redacted_share(store: Store, task: str, fingerprint: str) -> tuple[int, int]:
    """Return how many calls of a candidate's replays were redacted in what was asked, and of how many.

    Without any it is (0, 0).
    """
    any_redacted = "SELECT 1 FROM calls WHERE task = ? AND list_contains(marks, 'redacted') LIMIT 1"
    if store.value(any_redacted, (task,)) is None:  # Mostly so: then no sample need be read.
        return 0, 0
    row = store.rows(
        """
        SELECT count(*) FILTER (WHERE list_contains(c.marks, 'redacted')) AS redacted, count(*) AS calls
        FROM calls c WHERE c.call_id IN (
            SELECT p.call_id FROM replays r JOIN replay_calls p USING (replay_id)
            WHERE r.task = ? AND r.candidate_fingerprint = ?)
        """,
        (task, fingerprint),
    )[0]
    return int(row["redacted"]), int(row["calls"])


def volume(store: Store, task: str, exclude: Sequence[str] = ()) -> dict[str, Any]:
    """Return how much traffic a task's log holds, without the calls that carry an excluded mark.

    Returns:
        calls, first and last time (UTC), `undated` calls without a time, `a_day` calls over the last days
        of its exports (`traffic_days.daily`), each divided by its sampling rate (None where a rate is not
        known), and `days` that those cover.
    """
    found: dict[str, Any] = remembered(
        store, ("volume", task, *exclude), lambda: _volume(store, task, exclude), len
    )
    return dict(found)


def _volume(store: Store, task: str, exclude: Sequence[str]) -> dict[str, Any]:
    row = store.rows(
        f"""
        SELECT count(*) AS calls, min(occurred_at) AS first, max(occurred_at) AS last,
               count(*) - count(occurred_at) AS undated
        FROM calls c
        WHERE task = $task AND {not_in_conflict(store, "c")} {without(exclude)}
        """,  # noqa: S608
        parameters(task, exclude),
    )[0]
    days = traffic_days.of_task(store, task, exclude)
    covered = max((each["span"] for each in days), default=0.0)
    return row | {"a_day": traffic_days.mean_a_day(days), "days": covered}


def control_usage(store: Store, task: str) -> list[dict[str, Any]]:
    """Return token sums of the recorded frontier outputs by model.

    Returns:
        Rows of model, calls, measured, input_tokens, cached_input_tokens,
        output_tokens; sums are over the measured calls.
    """
    return store.rows(
        """
        SELECT coalesce(json_extract_string(control, '$.model'), model) AS model, count(*) AS calls,
               count(*) FILTER (WHERE known) AS measured,
               coalesce(sum(control_input_tokens) FILTER (WHERE known), 0) AS input_tokens,
               coalesce(sum(control_cached_input_tokens) FILTER (WHERE known), 0) AS cached_input_tokens,
               coalesce(sum(control_output_tokens) FILTER (WHERE known), 0) AS output_tokens
        FROM (SELECT *, control_input_tokens IS NOT NULL AND control_output_tokens IS NOT NULL AS known
              FROM usable_calls WHERE task = ? AND control IS NOT NULL)
        GROUP BY 1 ORDER BY calls DESC, model
        """,
        (task,),
    )


def candidate_usage(store: Store, task: str, fingerprint: str) -> dict[str, Any]:
    """Return token sums of a candidate's outputs (repeat 0).

    Returns:
        calls, measured, input_tokens (uncached), cached_input_tokens, output_tokens; sums are over the
        measured calls.
    """
    return store.rows(
        f"""
        SELECT count(*) AS calls, count(*) FILTER (WHERE known) AS measured,
               coalesce(sum(input_tokens) FILTER (WHERE known), 0) AS input_tokens,
               coalesce(sum({cached_tokens("output")})
                        FILTER (WHERE known), 0) AS cached_input_tokens,
               coalesce(sum(output_tokens) FILTER (WHERE known), 0) AS output_tokens
        FROM (SELECT o.*, o.input_tokens IS NOT NULL AND o.output_tokens IS NOT NULL AS known
              FROM observations o JOIN replays r USING (replay_id)
              WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.repeat = 0)
        """,  # noqa: S608 - a constant
        (task, fingerprint),
    )[0]
