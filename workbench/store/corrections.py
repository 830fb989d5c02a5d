"""Taking an import back, and resolving calls that two imports tell differently."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.records import BATCH_REQUEST_ID, Call, from_json
from workbench.store import late, live, replaced
from workbench.store.calls import to_call
from workbench.store.engine import quoted
from workbench.store.replaced import OF_CONTROL, OF_REQUEST, Step
from workbench.store.rereading import UNANSWERED

if TYPE_CHECKING:
    from workbench.store import Store, Writer

STORED, ARRIVED = "stored", "arrived"

_CALL_TABLES = """
SELECT c.table_name FROM duckdb_columns() c JOIN duckdb_tables() t USING (table_oid, database_name)
WHERE NOT t.internal AND c.column_name = 'call_id' AND database_name = current_database()
  AND NOT t.temporary AND c.table_name NOT IN ('conflict_resolutions', 'calls', 'late_facts')
ORDER BY c.table_name
"""
_AFFECTED = """
CREATE OR REPLACE TEMP TABLE taken_back AS
SELECT call_id, TRUE AS whole FROM calls WHERE manifest_id = $m
UNION ALL
SELECT call_id, FALSE FROM controls WHERE manifest_id = $m
    AND call_id NOT IN (SELECT call_id FROM calls WHERE manifest_id = $m)
"""
_OF_CONTROL = ("comparisons", "labels", "draws", "judge_votes")
"""What speaks of a pair of outputs, and means nothing once one of them is gone."""

_STAGED_AS = {"marks": "control_marks", "content_hash": "output_hash"}
"""What the store's columns of an output are called in a staged row, where that is another name."""
STAGED_OUTPUT = tuple(_STAGED_AS.get(name, name) for name in OF_CONTROL)
"""What a staged row says of an output."""


def manifest(store: Store, manifest_id: str) -> dict[str, Any] | None:
    """Return the row of an import, or None."""
    found = store.rows("SELECT * FROM manifests WHERE manifest_id = ?", (manifest_id,))
    return found[0] if found else None


def undone(store: Store, manifest_id: str) -> datetime | None:
    """Return when an import was taken back, in UTC, or None."""
    found: datetime | None = store.value(
        "SELECT undone_at FROM undone_imports WHERE manifest_id = ?", (manifest_id,)
    )
    return found


def resting(writer: Writer, manifest_id: str) -> dict[str, int]:
    """Return what rests on the calls of an import: answers of candidates, and labels of people."""
    writer.execute(_AFFECTED, {"m": manifest_id})
    mine = "WHERE call_id IN (SELECT call_id FROM temp.taken_back)"
    return {
        "observations": writer.value(f"SELECT count(*) FROM observations {mine}"),  # noqa: S608
        "labels": writer.value(f"SELECT count(*) FROM labels {mine} AND source <> 'gold'"),  # noqa: S608
    }


def take_back(writer: Writer, manifest_id: str, undone_by: str, now: datetime) -> tuple[dict[str, int], int]:
    """Remove all that an import brought, and all that rests on it.

    A call of this import goes with everything; of a call that it only gave an output, what
    speaks of that output goes. A call whose version it took the place of, as a person decided, gets that
    version again. What later imports brought under the same ids was held as a
    conflict with calls that are no more, and goes too.

    Args:
        writer: The open transaction.
        manifest_id: The import.
        undone_by: Who asked.
        now: In UTC.

    Returns:
        Removed rows by table, those with none left out, and how many calls hold an earlier version again.
    """
    writer.execute(_AFFECTED, {"m": manifest_id})
    restored, asked_anew = replaced.take_back(writer, manifest_id)
    again = "SELECT unnest(?::VARCHAR[])"
    writer.execute(f"DELETE FROM temp.taken_back WHERE call_id IN ({again})", [restored])  # noqa: S608 -- a constant
    writer.execute(f"INSERT INTO temp.taken_back SELECT *, FALSE FROM ({again})", [restored])  # noqa: S608 -- a constant
    source = writer.value("SELECT source FROM manifests WHERE manifest_id = ?", (manifest_id,))
    removed: dict[str, int] = {}

    def delete(table: str, where: str, params: Sequence[Any] = ()) -> None:
        name = quoted(table)
        count = writer.value(f"SELECT count(*) FROM {name} WHERE {where}", params)  # noqa: S608
        if count:
            writer.execute(f"DELETE FROM {name} WHERE {where}", params)  # noqa: S608
            removed[table] = removed.get(table, 0) + count

    whole = "call_id IN (SELECT call_id FROM temp.taken_back WHERE whole)"
    partly = "call_id IN (SELECT call_id FROM temp.taken_back WHERE NOT whole)"
    delete("leases", f"draw_id IN (SELECT draw_id FROM draws WHERE {whole} OR {partly})")  # noqa: S608
    for row in writer.rows(_CALL_TABLES):
        delete(row["table_name"], whole)
    for table in _OF_CONTROL:
        delete(table, partly)
    delete("observations", f"{partly} AND {live.OF_LIVE}")
    for table in ("observations", "asked_controls"):
        delete(table, "call_id IN (SELECT unnest(?::VARCHAR[]))", [asked_anew])
    changed_back = late.take_back(writer, manifest_id)
    if changed_back:
        removed["late_facts"] = changed_back
    delete("gold", "origin = ?", (f"import {manifest_id}",))
    for table in (
        "controls",
        "conflicts",
        "conflict_resolutions",
        "imported_labels",
        "rejects",
        "calls",
        "manifests",
    ):
        delete(table, "manifest_id = ?", (manifest_id,))
    # A profile holds words that prompts share, and labels: those of this import among them.
    writer.execute("DELETE FROM profile_calls WHERE profile_id IN (SELECT profile_id FROM profiles)")
    writer.execute("DELETE FROM profiles")
    writer.execute("DROP TABLE temp.taken_back")
    writer.append(
        "undone_imports",
        [
            {
                "manifest_id": manifest_id,
                "source": source,
                "removed": json.dumps(removed),
                "undone_by": undone_by,
                "undone_at": now,
            }
        ],
    )
    return removed, len(restored)


def open_conflicts(
    store: Store, *, call_ids: Sequence[str] | None = None, limit: int | None = 100, offset: int = 0
) -> list[dict[str, Any]]:
    """Return open conflicts, the stored call and what arrived under its id.

    Args:
        store: Where to read.
        call_ids: Only those of these calls.
        limit: How many at most; None for all.
        offset: How many to pass over.

    Returns:
        Rows of call_id, content_hash, manifest_id, read_before, file, line, stored and arrived (both
        `Call`), unanswered (whether the stored answer goes with the old reading), resting (how many
        observations and labels rest on the stored call), those of a call in the order of their imports.
    """
    rows = store.rows(
        """
        SELECT x.call_id, x.content_hash, x.manifest_id, x.read_before, x.file, x.line, x.call, c.source,
               coalesce(json_extract(x.call, $unanswered)::BOOLEAN, FALSE) AS unanswered,
               c.native_id, c.task, c.request, k.output AS control, c.occurred_at, c.session_id, c.served_by,
               c.sampling_rate, c.attributes, c.marks, k.marks AS control_marks, NULL AS gold,
               (SELECT count(*) FROM observations o WHERE o.call_id = x.call_id) AS observations,
               (SELECT count(*) FROM labels l WHERE l.call_id = x.call_id AND l.source <> 'gold') AS labels
        FROM conflicts x JOIN calls c USING (call_id) LEFT JOIN controls k USING (call_id)
        LEFT JOIN manifests m ON m.manifest_id = x.manifest_id
        WHERE ($ids IS NULL OR x.call_id IN (SELECT unnest($ids::VARCHAR[])))
        ORDER BY c.seq, m.seq, x.file, x.line, x.content_hash LIMIT $limit OFFSET $offset
        """,
        {
            "ids": None if call_ids is None else list(call_ids),
            "unanswered": f"$.{UNANSWERED}",
            "limit": limit,
            "offset": offset,
        },
    )
    return [
        {
            "call_id": row["call_id"],
            "content_hash": row["content_hash"],
            "manifest_id": row["manifest_id"],
            "read_before": row["read_before"],
            "file": row["file"],
            "line": row["line"],
            "stored": to_call(row),
            "arrived": from_json(row["call"], Call),
            "unanswered": row["unanswered"],
            "resting": {"observations": row["observations"], "labels": row["labels"]},
        }
        for row in rows
    ]


def count_conflicts(store: Store) -> tuple[int, int]:
    """Return how many conflicting records are open, and how many of them are stored ones read otherwise."""
    row = store.rows(
        "SELECT count(*) AS n, count(read_before) AS reread FROM conflicts JOIN calls USING (call_id)"
    )[0]
    return row["n"], row["reread"]


def conflicting_ids(store: Store, manifest_id: str | None = None, *, reread: bool = False) -> list[str]:
    """Return calls in conflict in the order of import.

    Args:
        store: Where to read.
        manifest_id: Only those that this import brought into it.
        reread: Only those whose own record was read otherwise.
    """
    rows = store.rows(
        """
        SELECT c.call_id FROM calls c
        WHERE c.call_id IN (
            SELECT call_id FROM conflicts
            WHERE ($m IS NULL OR manifest_id = $m) AND (NOT $reread OR read_before IS NOT NULL))
        ORDER BY c.seq
        """,
        {"m": manifest_id, "reread": reread},
    )
    return [row["call_id"] for row in rows]


def keep_stored(
    writer: Writer, call_ids: Sequence[str], resolved_by: str, now: datetime, *, reread: bool = False
) -> int:
    """Resolve conflicts of calls: the stored ones are right. What arrived is passed over from now on.

    Args:
        writer: The open transaction.
        call_ids: The calls.
        resolved_by: Who says so.
        now: In UTC.
        reread: Only where the same record was read otherwise; conflicts with other records stay open.

    Returns:
        How many conflicting records were given up.
    """
    where = "WHERE call_id IN (SELECT unnest($ids::VARCHAR[]))"
    where += " AND read_before IS NOT NULL" if reread else ""
    mine = {"ids": list(call_ids)}
    count: int = writer.value(f"SELECT count(*) FROM conflicts {where}", mine)  # noqa: S608 -- a constant
    _resolve_all(writer, where, mine, STORED, resolved_by, now)
    writer.execute(f"DELETE FROM conflicts {where}", mine)  # noqa: S608 -- a constant
    return count


@dataclass(frozen=True, slots=True)
class Taken:
    """A version that arrived and is right.

    Attributes:
        call_id: The call.
        content_hashes: Of the conflicting records that it is made of.
        manifest_id: The import that brought them.
        columns: Its staged row by column: what the store keeps of the request (`request` is None where
            only the output arrived) and of the output (likewise `output`).
        read_before: The earlier import that had read the same record otherwise; None where it was another.
        unanswered: Whether the stored output came by the same record, which holds none.
    """

    call_id: str
    content_hashes: Sequence[str]
    manifest_id: str
    columns: Mapping[str, Any]
    read_before: str | None = None
    unanswered: bool = False


def take_arrived(writer: Writer, taken: Sequence[Taken], resolved_by: str, now: datetime) -> None:
    """Resolve conflicts: versions that arrived are right, and take the place of the stored ones.

    What was compared, voted by judges or labelled from gold answers speaks of the version that goes, and
    goes with it; so does what candidates answered, where the request is another one. The caller makes
    sure that no label of a person rests on the stored calls.

    Args:
        writer: The open transaction.
        taken: One version a call; as many calls as may be held in memory.
        resolved_by: Who says so.
        now: In UTC.
    """
    if not taken:
        return
    ids = [each.call_id for each in taken]
    mine, where = {"ids": ids}, "WHERE call_id IN (SELECT unnest($ids::VARCHAR[]))"
    old = replaced.current(writer, ids)
    # A record may say all of the call, or its output alone: either is known from now on.
    replaced.keep(
        writer,
        [
            Step(each.call_id, old[each.call_id], each.manifest_id, resolved_by, now, each.read_before)
            for each in taken
        ],
    )
    pairs = pa.table(
        {
            "call_id": [each.call_id for each in taken for _ in each.content_hashes],
            "content_hash": [known for each in taken for known in each.content_hashes],
        }
    )
    with writer.lent("taken_pairs", pairs):
        among = "(call_id, content_hash) IN (SELECT (call_id, content_hash) FROM taken_pairs)"
        _resolve_all(writer, f"{where} AND NOT {among}", mine, ARRIVED, resolved_by, now)
        writer.execute(f"DELETE FROM conflict_resolutions WHERE {among}")  # noqa: S608 -- a constant
    late.settle(writer, ids)
    for table in ("conflicts", "comparisons", "judge_votes"):
        writer.execute(f"DELETE FROM {table} {where}", mine)  # noqa: S608 -- names of this function
    writer.execute(f"DELETE FROM labels {where} AND source = 'gold'", mine)  # noqa: S608 -- a constant
    new_requests = [
        each.call_id
        for each in taken
        if each.columns["request"] is not None
        and each.columns["request_hash"] != (old[each.call_id]["call"] or {})["request_hash"]
    ]
    asked = {"ids": new_requests}
    if new_requests:
        writer.execute(f"DELETE FROM observations {where}", asked)  # noqa: S608 -- a constant
    requests = [each for each in taken if each.columns["request"] is not None]
    replaced.write(writer, "call", [(each.call_id, _request(each, old[each.call_id])) for each in requests])
    outputs = [each for each in taken if each.columns["output"] is not None]
    replaced.write(writer, "control", [(each.call_id, _output(each)) for each in outputs])
    gone = {"ids": [each.call_id for each in taken if each.unanswered]}
    writer.execute(f"DELETE FROM leases WHERE draw_id IN (SELECT draw_id FROM draws {where})", gone)  # noqa: S608
    for table in ("controls", "draws"):
        writer.execute(f"DELETE FROM {table} {where}", gone)  # noqa: S608 -- names of this function
    live.changed(writer, ids, new_requests)


def _request(taken: Taken, old: replaced.Version) -> dict[str, Any]:
    """Return the stored row of a version's request.

    Where an output came by a record of its own, as in batches, that one told the time and the model.
    """
    columns, call = taken.columns, old["call"] or {}
    row = {"manifest_id": taken.manifest_id} | {name: columns[name] for name in OF_REQUEST}
    if len(taken.content_hashes) == 1 and (columns["output"] is not None or old["control"] is None):
        return row
    told = json.loads(call["attributes"])
    if BATCH_REQUEST_ID in told:
        attributes = json.loads(row["attributes"]) | {BATCH_REQUEST_ID: told[BATCH_REQUEST_ID]}
        row["attributes"] = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
    return row | {"occurred_at": row["occurred_at"] or call["occurred_at"], "model": call["model"]}


def _output(taken: Taken) -> dict[str, Any]:
    names = zip(OF_CONTROL, STAGED_OUTPUT, strict=True)
    return {"manifest_id": taken.manifest_id} | {name: taken.columns[staged] for name, staged in names}


def _resolve_all(
    writer: Writer, where: str, params: Mapping[str, Any], kept: str, resolved_by: str, now: datetime
) -> None:
    writer.execute(
        f"""
        INSERT OR IGNORE INTO conflict_resolutions
            (call_id, content_hash, kept, manifest_id, given_up, resolved_by, resolved_at, read_before)
        SELECT call_id, content_hash, $kept, manifest_id, call, $by, $now, read_before FROM conflicts {where}
        """,  # noqa: S608 -- constants of this module
        {**params, "kept": kept, "by": resolved_by, "now": now},
    )
