"""Loading an import into the store: what each staged row becomes, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.costing.pricing import ModelPrice
from workbench.records import Call, Output, Rejected, Request, from_json, to_json
from workbench.store import conflicting, late, live, rereading
from workbench.store.answered import Answered, Costs
from workbench.store.import_sums import pairs, summarise, summed_up
from workbench.store.rereading import ReadBefore
from workbench.store.staging import Staging

if TYPE_CHECKING:
    from workbench.store import Writer

GROUP_ROWS, GROUP_BYTES = 20_000, 32 * 1024 * 1024
"""So much is loaded by one statement."""

ACCEPTED, JOINED, SKIPPED, CONFLICT, ORPHAN = "accepted", "joined", "skipped", "conflict", "orphan"
ADDED = "added"
"""Of a row that says tokens and model of an output that had none."""

_KEYS = ("row", "kind", "call_id", "request_hash", "content_hash", "output_hash", "gold", "parts",
         "input_tokens", "output_tokens", "sampling_rate")  # fmt: skip
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
    "served_by": "served_by",
}

_STAGED = """
CREATE OR REPLACE TEMP TABLE staged (
    row BIGINT, kind VARCHAR, call_id VARCHAR, request_hash VARCHAR, content_hash VARCHAR,
    output_hash VARCHAR, gold VARCHAR, parts INTEGER, input_tokens BIGINT, output_tokens BIGINT,
    sampling_rate DOUBLE
)
"""

_ARRIVING = """
CREATE OR REPLACE TEMP TABLE arriving (kind VARCHAR, call_id VARCHAR, gold VARCHAR, parts INTEGER)
"""

# What becomes of each staged row. A row that only fills a missing output is a filler: the first
# of an id joins, a repeat is skipped, another content is a conflict. An addition says tokens and
# model of an output: the first of an id is added to an output without tokens, others are skipped.
_JUDGE = """
CREATE OR REPLACE TEMP TABLE judged AS
WITH known AS (
    SELECT c.call_id, c.request_hash,
           CASE WHEN k.call_id IS NULL THEN '' ELSE coalesce(k.content_hash, '?') END AS output_hash,
           k.input_tokens, k.output_tokens
    FROM calls c LEFT JOIN controls k USING (call_id)
    WHERE c.call_id IN (SELECT call_id FROM staged)
),
earliest AS (SELECT call_id, min(row) AS row FROM staged WHERE kind = 'call' GROUP BY call_id),
base AS (
    SELECT call_id, request_hash, output_hash, NULL::BIGINT AS row, input_tokens, output_tokens FROM known
    UNION ALL
    SELECT s.call_id, s.request_hash, s.output_hash, s.row, s.input_tokens, s.output_tokens
    FROM staged s JOIN earliest e ON e.row = s.row
    WHERE s.call_id NOT IN (SELECT call_id FROM known)
),
first_look AS (
    SELECT s.row, s.call_id, s.content_hash, s.output_hash,
           CASE WHEN b.call_id IS NULL THEN 'orphan'
                WHEN s.kind = 'addition' THEN
                    CASE WHEN b.output_hash <> '' AND b.input_tokens IS NULL AND b.output_tokens IS NULL
                         THEN 'addition' ELSE 'skipped' END
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
adding AS (SELECT call_id, min(row) AS row FROM first_look WHERE outcome = 'addition' GROUP BY call_id),
second_look AS (
    SELECT l.row, l.call_id, l.content_hash,
           CASE WHEN l.outcome = 'addition' THEN CASE WHEN l.row = a.row THEN 'added' ELSE 'skipped' END
                WHEN l.outcome <> 'filler' THEN l.outcome
                WHEN l.row = f.row THEN 'joined'
                WHEN l.output_hash = f.output_hash THEN 'skipped'
                ELSE 'conflict' END AS outcome
    FROM first_look l LEFT JOIN filler f USING (call_id) LEFT JOIN adding a USING (call_id)
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

_RATES_LEFT = """
SELECT c.manifest_id AS name, count(DISTINCT c.call_id) AS n
FROM judged j JOIN staged s USING (row) JOIN calls c ON c.call_id = j.call_id
WHERE j.outcome = 'skipped' AND s.kind = 'call' AND s.sampling_rate IS NOT NULL
  AND c.sampling_rate IS DISTINCT FROM s.sampling_rate
GROUP BY ALL ORDER BY ALL
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

    `parts` counts, by outcome, the further source records of the rows. `costs` are those of the outputs.
    `prompts_waiting` are prompts that came later than their calls and wait for a person. `served` counts
    calls by the candidate that served them. `read_otherwise` counts conflicts of two readings of one
    record, `held` rows that stand there under the ids of another reading, both by the import that an older
    version read. `rates_left` counts, by the import that brought them, known calls that keep the sampling
    rate they have, though they came with another. `conflicts_within` are with calls of this very import.
    """

    counts: dict[str, int] = field(default_factory=dict)
    rejects: list[Rejected] = field(default_factory=list)
    rejected: int = 0
    gold: int = 0
    marks: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)
    models: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    first_at: datetime | None = None
    last_at: datetime | None = None
    open_conflicts: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    added_tokens: dict[str, int | None] = field(default_factory=dict)
    unrendered: dict[str, int] = field(default_factory=dict)
    prompts_waiting: int = 0
    read_otherwise: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    rates_left: dict[str, int] = field(default_factory=dict)
    conflicts_within: int = 0


def load_staged(
    writer: Writer,
    staging: Staging,
    manifest_id: str,
    now: datetime,
    *,
    orphan_limit: int,
    tick: Callable[[int], None],
    prices: Sequence[ModelPrice] = (),
    before: ReadBefore | None = None,
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
        before: What older versions of the program read.

    Returns:
        What became of the rows, and sums over what was accepted.
    """
    loaded = Loaded()
    if not staging.rows:
        summarise(writer, manifest_id, loaded, joined=False)
        return loaded
    before = before or ReadBefore()
    judged = bool(before.files) or not _all_new(writer, staging, loaded)
    if judged:
        _judge(writer, staging, loaded, before)
    answered = Answered()
    done = 0
    for table in grouped(staging.tables()):
        outcomes = _outcomes(writer, table) if judged else None
        load_rows(writer, table, outcomes, manifest_id, loaded, answered, orphan_limit)
        done += table.num_rows
        tick(done)
    if judged:
        if CONFLICT in loaded.counts:
            loaded.read_otherwise = rereading.tell_apart(writer, manifest_id, before)
            loaded.conflicts_within = conflicting.within(writer, manifest_id)
        late.write_calls(writer, manifest_id)
        if JOINED in loaded.counts:
            live.mark_answers(writer, manifest_id)
        before = writer.value("SELECT count(*) FROM gold")
        writer.execute(_GOLD, (f"import {manifest_id}", now))
        loaded.gold = writer.value("SELECT count(*) FROM gold") - before
        if ADDED in loaded.counts:
            loaded.added_tokens = late.write_tokens(writer, manifest_id)
        _open_prompts(writer, staging, manifest_id, loaded)
        if ADDED in loaded.counts:
            loaded.unrendered = late.unrendered(writer)
        late.end(writer)
        for name in ("staged", "judged", "unanswered"):
            writer.execute(f"DROP TABLE IF EXISTS temp.{name}")
    summed_up(writer, manifest_id, loaded, answered, prices, joined=JOINED in loaded.counts)
    return loaded


def _open_prompts(writer: Writer, staging: Staging, manifest_id: str, loaded: Loaded) -> None:
    """Put prompts that came later than their calls beside these, as conflicts that a person resolves.

    A record whose tokens joined is counted so; one that brought nothing but its prompt is in conflict.
    """
    if not writer.value("SELECT count(*) FROM staged WHERE kind = 'addition'"):
        return
    from workbench.store import rendered  # It builds on what calls are read with, and that on this.

    opened = rendered.open_prompts(writer, staging, manifest_id)
    loaded.prompts_waiting = len(opened)
    alone = sum(outcome == SKIPPED for outcome in opened)
    if alone:
        loaded.counts[SKIPPED] -= alone
        loaded.counts[CONFLICT] = loaded.counts.get(CONFLICT, 0) + alone


def _all_new(writer: Writer, staging: Staging, loaded: Loaded) -> bool:
    """Say whether every row is a call with an id that nothing else has: then there is nothing to judge.

    So it is with most imports, and judging takes as long as a third of the loading.
    """
    # On the disk if need be: all keys at once may be more than fits.
    writer.execute(_ARRIVING)
    for table in staging.tables(("kind", "call_id", "gold", "parts")):
        late.stage_rows(writer, "arriving", table.drop_columns("row"))
    found = writer.rows(
        "SELECT count(*) = count(DISTINCT call_id) AND bool_and(kind = 'call') AND count(gold) = 0"
        " AND NOT EXISTS (SELECT 1 FROM calls WHERE call_id IN (SELECT call_id FROM arriving)) AS alone,"
        " sum(parts)::BIGINT AS parts FROM arriving"
    )[0]
    writer.execute("DROP TABLE temp.arriving")
    if not found["alone"]:
        return False
    loaded.counts[ACCEPTED] = staging.rows
    if found["parts"]:
        loaded.parts[ACCEPTED] = found["parts"]
    return True


def _judge(writer: Writer, staging: Staging, loaded: Loaded, before: ReadBefore) -> None:
    """Put into a temporary table what becomes of each row, and count it."""
    writer.execute(_STAGED)
    for table in staging.tables(_KEYS):
        late.stage_rows(writer, "staged", table)
    writer.execute(_JUDGE)
    loaded.held = rereading.judge(writer, staging, before)
    late.begin(writer)
    for outcome, count in pairs(writer, "SELECT outcome AS name, count(*) AS n FROM judged GROUP BY ALL"):
        loaded.counts[outcome] = count
    parts = (
        "SELECT j.outcome AS name, sum(s.parts) AS n FROM judged j JOIN staged s USING (row)"
        " WHERE s.parts > 0 GROUP BY ALL"
    )
    loaded.parts = dict(pairs(writer, parts))
    loaded.rates_left = dict(pairs(writer, _RATES_LEFT))


def grouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Give small parts together: a statement for each would cost more than its rows."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        waiting.append(table)
        rows, size = rows + table.num_rows, size + table.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)


def _outcomes(writer: Writer, table: pa.Table) -> list[str]:
    rows = table.column("row")
    first, last = rows[0].as_py(), rows[-1].as_py()
    found = writer.rows("SELECT row, outcome FROM judged WHERE row BETWEEN ? AND ?", (first, last))
    outcomes = {each["row"]: each["outcome"] for each in found}
    return [outcomes[row] for row in range(first, last + 1)]


def load_rows(
    writer: Writer,
    table: pa.Table,
    listed: Sequence[str] | None,
    manifest_id: str,
    loaded: Loaded,
    answered: Answered,
    orphan_limit: int,
) -> None:
    """Load rows by what becomes of each; None: they are all accepted."""
    accepted = table if listed is None else table.filter(pa.array([each == ACCEPTED for each in listed]))
    if accepted.num_rows:
        calls = accepted.select(_CALL_COLUMNS)
        writer.append("calls", calls.append_column("manifest_id", pa.repeat(manifest_id, calls.num_rows)))
        output = accepted.column("output")
        whole = accepted.filter(pc.is_valid(output)) if output.null_count else accepted
        _append_controls(writer, whole, manifest_id, answered)
    if listed is None:
        return
    if JOINED in loaded.counts:
        joined = table.filter(pa.array([each == JOINED for each in listed]))
        _append_controls(writer, joined, manifest_id, answered)
        if joined.num_rows:
            late.put_outputs(writer, joined)
    if ADDED in loaded.counts:
        added = table.filter(pa.array([each == ADDED for each in listed]))
        if added.num_rows:
            answered.add(added)
            late.put_tokens(writer, added)
    if CONFLICT in loaded.counts:
        conflicting = table.filter(pa.array([each == CONFLICT for each in listed]))
        writer.append("conflicts", [_conflict(row, manifest_id) for row in conflicting.to_pylist()])
    if ORPHAN in loaded.counts:
        orphans = table.filter(pa.array([each == ORPHAN for each in listed]))
        loaded.rejected += orphans.num_rows + (pc.sum(orphans.column("parts")).as_py() or 0)
        room = orphan_limit - len(loaded.rejects)
        loaded.rejects.extend(_orphan(row) for row in orphans.slice(0, max(room, 0)).to_pylist())


def _append_controls(writer: Writer, table: pa.Table, manifest_id: str, answered: Answered) -> None:
    if not table.num_rows:
        return
    answered.add(table)
    controls = table.select(list(_CONTROL_COLUMNS)).rename_columns(list(_CONTROL_COLUMNS.values()))
    writer.append("controls", controls.append_column("manifest_id", pa.repeat(manifest_id, table.num_rows)))


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
        served_by=row["served_by"],
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


def append_manifest(writer: Writer, row: Mapping[str, Any]) -> None:
    """Write the row that makes an import visible."""
    writer.append("manifests", [row])
