"""Labels that other tools recorded: kept with their source, shown beside their calls, in no bound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.access import requires
from workbench.parts import LABEL_TEXTS
from workbench.records import Rejected
from workbench.roles import Right
from workbench.store.import_sums import pairs
from workbench.store.late import stage_rows
from workbench.store.staging import Numbered

if TYPE_CHECKING:
    from workbench.store import Store, Writer

_MAKE = f"""
CREATE OR REPLACE TEMP TABLE staged_labels (
    row BIGINT, label_id VARCHAR, is_record BOOLEAN, {", ".join(f"{name} VARCHAR" for name in LABEL_TEXTS)},
    created_at TIMESTAMP, file VARCHAR, line BIGINT
)
"""
_JUDGE = """
CREATE OR REPLACE TEMP TABLE judged_labels AS
WITH numbered AS (
    SELECT row, label_id, content_hash,
           row_number() OVER (PARTITION BY label_id ORDER BY row) AS copy,
           first_value(content_hash) OVER (PARTITION BY label_id ORDER BY row) AS first_hash
    FROM staged_labels
)
SELECT n.row,
       CASE WHEN k.label_id IS NULL AND n.copy = 1 THEN 'new'
            WHEN n.content_hash = coalesce(k.content_hash, n.first_hash) THEN 'known'
            ELSE 'conflict' END AS outcome
FROM numbered n LEFT JOIN imported_labels k USING (label_id)
"""
_ATTACHED = """
SELECT count(*) FROM staged_labels s JOIN judged_labels j USING (row)
WHERE j.outcome = 'new'
  AND NOT (s.target_kind IN ('call', 'call_or_session') AND s.target_id IN (SELECT native_id FROM calls))
  AND NOT (s.target_kind IN ('session', 'call_or_session') AND s.target_id IN (
        SELECT session_id FROM calls WHERE session_id IS NOT NULL))
  AND NOT (s.target_kind = 'trace' AND s.target_id IN (
        SELECT trace FROM (SELECT json_extract_string(attributes, '$.trace_id') AS trace FROM calls)
        WHERE trace IS NOT NULL))
  AND NOT (s.target_kind = 'span' AND s.target_id IN (SELECT split_part(native_id, ':', 2) FROM calls))
"""
_OF_TASK = """
SELECT l.*, c.call_id, c.native_id AS call_native_id FROM imported_labels l JOIN calls c ON
    (l.target_kind IN ('call', 'call_or_session') AND l.target_id = c.native_id)
WHERE c.task = $task
UNION ALL
SELECT l.*, c.call_id, c.native_id FROM imported_labels l JOIN calls c ON
    (l.target_kind IN ('session', 'call_or_session') AND l.target_id = c.session_id)
WHERE c.task = $task
UNION ALL
SELECT l.*, c.call_id, c.native_id FROM imported_labels l JOIN calls c ON
    (l.target_kind = 'trace' AND l.target_id = json_extract_string(c.attributes, '$.trace_id'))
WHERE c.task = $task
UNION ALL
SELECT l.*, c.call_id, c.native_id FROM imported_labels l JOIN calls c ON
    (l.target_kind = 'span' AND l.target_id = split_part(c.native_id, ':', 2))
WHERE c.task = $task
"""


@dataclass(slots=True)
class LoadedLabels:
    """What became of staged labels.

    `records` counts, by outcome, those that are source records by themselves; `names` the new
    ones by origin and name; `without_call` the new ones whose call is not here.
    """

    records: dict[str, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    without_call: int = 0
    conflicts: list[Rejected] = field(default_factory=list)


def load_staged(writer: Writer, staged: Numbered, manifest_id: str, *, limit: int) -> LoadedLabels:
    """Load an import's labels within the caller's transaction; a known one is left as it is.

    Args:
        writer: The open transaction; the import's calls are loaded already.
        staged: Their complete parts.
        manifest_id: The import.
        limit: How many conflicting labels are kept as rejected rows.
    """
    loaded = LoadedLabels()
    if not staged.rows:
        return loaded
    writer.execute(_MAKE)
    for _, table in staged.tables():
        stage_rows(writer, "staged_labels", table)
    writer.execute(_JUDGE)
    counted = (
        "SELECT outcome AS name, count(*) AS n FROM judged_labels JOIN staged_labels USING (row)"
        " WHERE is_record GROUP BY ALL"
    )
    loaded.records = dict(pairs(writer, counted))
    names = (
        "SELECT origin || ' ' || name AS name, count(*) AS n"
        " FROM judged_labels JOIN staged_labels USING (row)"
        " WHERE outcome = 'new' GROUP BY ALL ORDER BY n DESC, name LIMIT 100"
    )
    loaded.names = dict(pairs(writer, names))
    loaded.without_call = writer.value(_ATTACHED) or 0
    conflicting = writer.rows(
        "SELECT file, line, native_id, name, content_hash, value"
        " FROM judged_labels JOIN staged_labels USING (row) WHERE outcome = 'conflict' ORDER BY row LIMIT ?",
        [limit],
    )
    loaded.conflicts = [
        Rejected(
            row["file"],
            row["line"],
            f"the label {row['native_id'][:80]!r} is known with another content, which is kept",
            row["content_hash"],
            row["value"][:200],
        )
        for row in conflicting
    ]
    columns = ", ".join(("label_id", *LABEL_TEXTS, "created_at"))
    writer.execute(
        f"INSERT INTO imported_labels (manifest_id, {columns})"  # noqa: S608 -- names of this module
        f" SELECT ?, {columns} FROM staged_labels JOIN judged_labels USING (row)"
        " WHERE outcome = 'new' ORDER BY row",
        (manifest_id,),
    )
    for name in ("staged_labels", "judged_labels"):
        writer.execute(f"DROP TABLE temp.{name}")
    return loaded


def _task_of_call(given: Mapping[str, Any]) -> str | None:
    found: str | None = given["store"].value("SELECT task FROM calls WHERE call_id = ?", [given["call_id"]])
    return found


@requires(Right.READ, task=_task_of_call)
def labels_of_call(store: Store, call_id: str) -> list[dict[str, Any]]:
    """Return the imported labels of one call, of its session and of its trace, oldest first.

    Returns:
        Rows of origin, name, kind, value (decoded), comment, annotator, annotator_kind,
        target_kind and created_at.
    """
    # Most stores hold none, and to find a call by its id all ids are looked through.
    if not store.value("SELECT count(*) FROM imported_labels"):
        return []
    found = store.rows("SELECT native_id, session_id, attributes FROM calls WHERE call_id = ?", (call_id,))
    if not found:
        return []
    native_id, session = found[0]["native_id"], found[0]["session_id"]
    trace = json.loads(found[0]["attributes"] or "{}").get("trace_id")
    rows = store.rows(
        """
        SELECT origin, name, kind, value, comment, annotator, annotator_kind, target_kind, created_at
        FROM imported_labels
        WHERE (target_kind IN ('call', 'call_or_session') AND target_id = $native)
           OR (target_kind IN ('session', 'call_or_session') AND target_id = $session)
           OR (target_kind = 'trace' AND target_id = $trace)
           OR (target_kind = 'span' AND target_id = split_part($native, ':', 2))
        ORDER BY seq
        """,
        {"native": native_id, "session": session, "trace": trace if isinstance(trace, str) else None},
    )
    return [row | {"value": json.loads(row["value"])} for row in rows]


@requires(Right.READ)
def labels_of_task(store: Store, task: str, *, limit: int = 10_000) -> list[dict[str, Any]]:
    """Return the imported labels about the calls of a task, with call_id, in the order they came.

    A label of a session or a trace comes once for each of its calls.
    """
    sql = f"SELECT * FROM ({_OF_TASK}) ORDER BY seq, call_id LIMIT {int(limit)}"  # noqa: S608 -- of this module
    rows: Sequence[dict[str, Any]] = store.rows(sql, {"task": task})
    return [
        row | {"value": json.loads(row["value"]), "attributes": json.loads(row["attributes"])} for row in rows
    ]
