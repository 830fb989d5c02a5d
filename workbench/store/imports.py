"""Loading an import into the store: what each staged row becomes, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.records import Call, Output, Rejected, Request, from_json, to_json
from workbench.store.staging import Staging

if TYPE_CHECKING:
    from workbench.store import Store, Writer

ModelPrice = tuple[str, float, float, float]
"""A model, and US dollars per million tokens of input, cached input and output."""

ACCEPTED, JOINED, SKIPPED, CONFLICT, ORPHAN = "accepted", "joined", "skipped", "conflict", "orphan"

_KEYS = ("row", "kind", "call_id", "request_hash", "content_hash", "output_hash", "gold", "parts")
_CALL_COLUMNS = (
    "call_id", "source", "native_id", "task", "occurred_at", "session_id", "served_by", "sampling_rate",
    "model", "language", "input_chars", "turn_depth", "tool_count", "request_hash", "content_hash",
    "request", "attributes", "marks",
)  # fmt: skip
_CONTROL_COLUMNS = {
    "call_id": "call_id",
    "output": "output",
    "text": "text",
    "error_kind": "error_kind",
    "latency_ms": "latency_ms",
    "input_tokens": "input_tokens",
    "cached_input_tokens": "cached_input_tokens",
    "output_tokens": "output_tokens",
    "control_marks": "marks",
    "output_hash": "content_hash",
}

_STAGED = """
CREATE OR REPLACE TEMP TABLE staged (
    row BIGINT, kind VARCHAR, call_id VARCHAR, request_hash VARCHAR, content_hash VARCHAR,
    output_hash VARCHAR, gold VARCHAR, parts INTEGER
)
"""

# What becomes of each staged row. A row that only fills a missing output is a filler: the first
# of an id joins, a repeat is skipped, another content is a conflict.
_JUDGE = """
CREATE OR REPLACE TEMP TABLE judged AS
WITH known AS (
    SELECT c.call_id, c.request_hash,
           CASE WHEN k.call_id IS NULL THEN '' ELSE coalesce(k.content_hash, '?') END AS output_hash
    FROM calls c LEFT JOIN controls k USING (call_id)
    WHERE c.call_id IN (SELECT call_id FROM staged)
),
earliest AS (SELECT call_id, min(row) AS row FROM staged WHERE kind = 'call' GROUP BY call_id),
base AS (
    SELECT call_id, request_hash, output_hash, NULL::BIGINT AS row FROM known
    UNION ALL
    SELECT s.call_id, s.request_hash, s.output_hash, s.row
    FROM staged s JOIN earliest e ON e.row = s.row
    WHERE s.call_id NOT IN (SELECT call_id FROM known)
),
first_look AS (
    SELECT s.row, s.call_id, s.content_hash, s.output_hash,
           CASE WHEN b.call_id IS NULL THEN 'orphan'
                WHEN s.row = b.row THEN 'accepted'
                WHEN s.kind = 'call' AND s.request_hash <> b.request_hash THEN 'conflict'
                WHEN s.output_hash = '' OR s.output_hash = b.output_hash THEN 'skipped'
                WHEN b.output_hash <> '' THEN 'conflict'
                ELSE 'filler' END AS outcome
    FROM staged s LEFT JOIN base b USING (call_id)
),
filler AS (
    SELECT call_id, min(row) AS row, arg_min(output_hash, row) AS output_hash
    FROM first_look WHERE outcome = 'filler' GROUP BY call_id
),
second_look AS (
    SELECT l.row, l.call_id, l.content_hash,
           CASE WHEN l.outcome <> 'filler' THEN l.outcome
                WHEN l.row = f.row THEN 'joined'
                WHEN l.output_hash = f.output_hash THEN 'skipped'
                ELSE 'conflict' END AS outcome
    FROM first_look l LEFT JOIN filler f USING (call_id)
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY call_id, content_hash, outcome ORDER BY row) AS copy
    FROM second_look
)
SELECT n.row, n.call_id,
       CASE WHEN n.outcome = 'conflict'
                 AND (n.copy > 1 OR x.call_id IS NOT NULL OR z.call_id IS NOT NULL) THEN 'skipped'
            ELSE n.outcome END AS outcome
FROM numbered n
LEFT JOIN conflicts x ON x.call_id = n.call_id AND x.content_hash = n.content_hash
LEFT JOIN conflict_resolutions z ON z.call_id = n.call_id AND z.content_hash = n.content_hash
"""

_LATE = """
CREATE OR REPLACE TEMP TABLE late (call_id VARCHAR, occurred_at TIMESTAMP, model VARCHAR)
"""

_GOLD = """
INSERT INTO gold (call_id, answer, origin, created_at)
WITH arrived AS (
    SELECT s.call_id, arg_max(s.gold, s.row) AS answer
    FROM staged s JOIN judged j USING (row)
    WHERE s.gold IS NOT NULL AND j.outcome IN ('accepted', 'joined', 'skipped')
    GROUP BY s.call_id
),
newest AS (
    SELECT call_id, arg_max(answer, seq) AS answer FROM gold
    WHERE call_id IN (SELECT call_id FROM arrived) GROUP BY call_id
)
SELECT a.call_id, a.answer, ?, ?
FROM arrived a LEFT JOIN newest n USING (call_id)
WHERE n.answer IS DISTINCT FROM a.answer
ORDER BY a.call_id
"""


@dataclass(slots=True)
class Loaded:
    """What one transaction made of the staged rows; `rejects` are outputs without a request.

    `parts` counts, by outcome, the further source records of the rows. `usd` is the cost of the
    outputs that have tokens and a price, `unpriced` counts the others by model.
    """

    counts: dict[str, int] = field(default_factory=dict)
    rejects: list[Rejected] = field(default_factory=list)
    rejected: int = 0
    gold: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    usd: float | None = None
    unpriced: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    first_at: datetime | None = None
    last_at: datetime | None = None
    open_conflicts: int = 0
    parts: dict[str, int] = field(default_factory=dict)


def load_staged(
    writer: Writer,
    staging: Staging,
    manifest_id: str,
    now: datetime,
    *,
    orphan_limit: int,
    tick: Callable[[int], None],
    prices: Sequence[ModelPrice] = (),
) -> Loaded:
    """Load an import's parts within the caller's transaction.

    Args:
        writer: The open transaction.
        staging: The complete parts.
        manifest_id: The import.
        now: When it happened, in UTC.
        orphan_limit: How many outputs without a request are kept as rejected rows.
        tick: Is told how many rows are done.
        prices: By which the outputs' cost is reckoned.

    Returns:
        What became of the rows, and sums over what was accepted.
    """
    writer.execute(_STAGED)
    for table in staging.tables(_KEYS):
        stage_rows(writer, "staged", table)
    writer.execute(_JUDGE)
    writer.execute(_LATE)
    loaded = Loaded()
    for outcome, count in pairs(writer, "SELECT outcome AS name, count(*) AS n FROM judged GROUP BY ALL"):
        loaded.counts[outcome] = count
    parts = (
        "SELECT j.outcome AS name, sum(s.parts) AS n FROM judged j JOIN staged s USING (row)"
        " WHERE s.parts > 0 GROUP BY ALL"
    )
    loaded.parts = dict(pairs(writer, parts))
    done = 0
    for table in staging.tables():
        _load_part(writer, table, manifest_id, loaded, orphan_limit)
        done += table.num_rows
        tick(done)
    writer.execute(
        "UPDATE calls SET occurred_at = coalesce(calls.occurred_at, late.occurred_at),"
        " model = coalesce(late.model, calls.model) FROM late WHERE calls.call_id = late.call_id"
    )
    before = writer.value("SELECT count(*) FROM gold")
    writer.execute(_GOLD, (f"import {manifest_id}", now))
    loaded.gold = writer.value("SELECT count(*) FROM gold") - before
    _summarise(writer, manifest_id, loaded, prices)
    for name in ("staged", "judged", "late"):
        writer.execute(f"DROP TABLE temp.{name}")
    return loaded


def stage_rows(writer: Writer, table: str, rows: pa.Table) -> None:
    """Fill a temporary table of this transaction, which the store's catalogue does not know."""
    writer._cursor.register("staged_rows", rows)
    try:
        writer.execute(f"INSERT INTO temp.{table} SELECT * FROM staged_rows")  # noqa: S608 -- a name of this module
    finally:
        writer._cursor.unregister("staged_rows")


def _load_part(writer: Writer, table: pa.Table, manifest_id: str, loaded: Loaded, orphan_limit: int) -> None:
    rows = table.column("row")
    first, last = rows[0].as_py(), rows[-1].as_py()
    found = writer.rows("SELECT row, outcome FROM judged WHERE row BETWEEN ? AND ?", (first, last))
    outcomes = {each["row"]: each["outcome"] for each in found}
    listed = [outcomes[row] for row in range(first, last + 1)]
    accepted = table.filter(pa.array([each == ACCEPTED for each in listed]))
    if accepted.num_rows:
        calls = accepted.select(_CALL_COLUMNS)
        writer.append("calls", calls.append_column("manifest_id", _constant(manifest_id, calls.num_rows)))
        _append_controls(writer, accepted.filter(pc.is_valid(accepted.column("output"))), manifest_id)
    if JOINED in loaded.counts:
        joined = table.filter(pa.array([each == JOINED for each in listed]))
        _append_controls(writer, joined, manifest_id)
        if joined.num_rows:
            stage_rows(writer, "late", joined.select(["call_id", "occurred_at", "model"]))
    if CONFLICT in loaded.counts:
        conflicting = table.filter(pa.array([each == CONFLICT for each in listed]))
        writer.append("conflicts", [_conflict(row, manifest_id) for row in conflicting.to_pylist()])
    if ORPHAN in loaded.counts:
        orphans = table.filter(pa.array([each == ORPHAN for each in listed]))
        loaded.rejected += orphans.num_rows
        room = orphan_limit - len(loaded.rejects)
        loaded.rejects.extend(_orphan(row) for row in orphans.slice(0, max(room, 0)).to_pylist())


def _append_controls(writer: Writer, table: pa.Table, manifest_id: str) -> None:
    if not table.num_rows:
        return
    controls = table.select(list(_CONTROL_COLUMNS)).rename_columns(list(_CONTROL_COLUMNS.values()))
    writer.append("controls", controls.append_column("manifest_id", _constant(manifest_id, table.num_rows)))


def _constant(value: str, count: int) -> Any:
    return pa.repeat(value, count)


def _conflict(row: Mapping[str, Any], manifest_id: str) -> dict[str, Any]:
    call = Call(
        call_id=row["call_id"],
        source=row["source"],
        native_id=row["native_id"],
        task=row["task"] or "",
        request=from_json(row["request"], Request) if row["request"] else Request(messages=()),
        control=from_json(row["output"], Output) if row["output"] else None,
        occurred_at=row["occurred_at"],
        session_id=row["session_id"],
        attributes=json.loads(row["attributes"] or "{}"),
        marks=tuple(row["marks"] or ()),
        gold=row["gold"],
    )
    return {
        "call_id": row["call_id"],
        "manifest_id": manifest_id,
        "content_hash": row["content_hash"],
        "file": row["file"],
        "line": row["line"],
        "call": to_json(call).decode(),
    }


def _orphan(row: Mapping[str, Any]) -> Rejected:
    name = row["key_name"] or "id"
    reason = f"no request with {name} {row['native_id'][:100]!r} in source {row['source']!r}"
    return Rejected(row["file"], row["line"], reason, row["content_hash"], (row["text"] or "")[:200])


def _summarise(writer: Writer, manifest_id: str, loaded: Loaded, prices: Sequence[ModelPrice]) -> None:
    """Sum up what this import added: new calls, and new outputs of older calls."""
    mine = (manifest_id,)
    marks = """
        SELECT mark AS name, count(*) AS n FROM (
            SELECT unnest(marks) AS mark FROM calls WHERE manifest_id = $m
            UNION ALL SELECT unnest(marks) FROM controls WHERE manifest_id = $m
            UNION ALL SELECT 'no_output' FROM calls c WHERE manifest_id = $m
                AND NOT EXISTS (SELECT 1 FROM controls k WHERE k.call_id = c.call_id)
            UNION ALL SELECT 'no_time' FROM calls WHERE manifest_id = $m AND occurred_at IS NULL
        ) GROUP BY ALL ORDER BY n DESC, name
    """
    loaded.marks = dict(pairs(writer, marks, {"m": manifest_id}))
    for name in ("model", "language", "task"):
        sql = (
            f"SELECT coalesce({name}, 'unknown') AS name, count(*) AS n FROM calls WHERE manifest_id = ?"  # noqa: S608 -- names of this tuple
            " GROUP BY ALL ORDER BY n DESC, name LIMIT 100"
        )
        setattr(loaded, f"{name}s", dict(pairs(writer, sql, mine)))
    span = writer.rows(
        "SELECT min(occurred_at) AS first_at, max(occurred_at) AS last_at FROM calls WHERE manifest_id = ?",
        mine,
    )[0]
    loaded.first_at, loaded.last_at = span["first_at"], span["last_at"]
    sums = writer.rows(
        "SELECT sum(input_tokens)::BIGINT AS input, sum(cached_input_tokens)::BIGINT AS cached_input,"
        " sum(output_tokens)::BIGINT AS output FROM controls WHERE manifest_id = ?",
        mine,
    )[0]
    loaded.tokens = {key: value or 0 for key, value in sums.items()}
    loaded.usd, loaded.unpriced = _costs(writer, manifest_id, prices)
    loaded.open_conflicts = writer.value("SELECT count(DISTINCT call_id) FROM conflicts")


def _costs(
    writer: Writer, manifest_id: str, prices: Sequence[ModelPrice]
) -> tuple[float | None, dict[str, int]]:
    """Return what an import's outputs cost, None where none has a price, and the rest by model."""
    uses = writer.rows(
        """
        WITH prices AS (
            SELECT unnest($models::VARCHAR[]) AS model, unnest($inputs::DOUBLE[]) AS pi,
                   unnest($cached::DOUBLE[]) AS pc, unnest($outputs::DOUBLE[]) AS po
        ),
        uses AS (
            SELECT coalesce(json_extract_string(k.output, '$.model'), c.model, 'unknown') AS model,
                   k.input_tokens AS i, coalesce(k.cached_input_tokens, 0) AS c, k.output_tokens AS o
            FROM controls k LEFT JOIN calls c USING (call_id)
            WHERE k.manifest_id = $manifest AND (k.error_kind IS NULL OR k.input_tokens IS NOT NULL)
        )
        SELECT CASE WHEN i + o + pi IS NULL THEN u.model END AS left_out, count(*) AS n,
               sum((i * pi + c * pc + o * po) / 1e6) AS usd
        FROM uses u LEFT JOIN prices p ON p.model = u.model
        GROUP BY left_out ORDER BY left_out IS NOT NULL, n DESC, left_out LIMIT 101
        """,
        {
            "manifest": manifest_id,
            "models": [each[0] for each in prices],
            "inputs": [each[1] for each in prices],
            "cached": [each[2] for each in prices],
            "outputs": [each[3] for each in prices],
        },
    )
    priced = [each["usd"] for each in uses if each["left_out"] is None]
    unpriced = {each["left_out"]: int(each["n"]) for each in uses if each["left_out"] is not None}
    return (priced[0] if priced else None), unpriced


def pairs(reader: Any, sql: str, params: Any = ()) -> Iterator[tuple[str, int]]:
    """Give the rows of a query with the columns name and n."""
    for row in reader.rows(sql, params):
        yield row["name"], int(row["n"])


def append_rejects(writer: Writer, manifest_id: str, rejects: Sequence[Rejected]) -> int:
    """Keep rejected records; the same record of the same content is kept once.

    Returns:
        How many were new.
    """
    if not rejects:
        return 0
    hashes = sorted({each.content_hash for each in rejects})
    known = {
        (row["line"], row["content_hash"], row["reason"])
        for row in writer.rows(
            "SELECT line, content_hash, reason FROM rejects WHERE content_hash IN (SELECT unnest(?))",
            [hashes],
        )
    }
    fresh = [each for each in rejects if (each.line, each.content_hash, each.reason) not in known]
    rows = [
        {
            "manifest_id": manifest_id,
            "file": each.file,
            "line": each.line,
            "reason": each.reason,
            "content_hash": each.content_hash,
            "snippet": each.snippet,
        }
        for each in fresh
    ]
    return writer.append("rejects", rows)


def treatments(store: Store, source: str) -> list[str | None]:
    """Return how the calls of a source were redacted: each way once, None for as logged."""
    rows = store.rows(
        "SELECT DISTINCT redaction FROM manifests WHERE manifest_id IN"
        " (SELECT DISTINCT manifest_id FROM calls WHERE source = ?)",
        (source,),
    )
    return [row["redaction"] for row in rows]


def append_manifest(writer: Writer, row: Mapping[str, Any]) -> None:
    """Write the row that makes an import visible."""
    writer.append("manifests", [row])
