"""Versions of a call that gave way to one that arrived later, so that an import taken back leaves no gap.

Each is kept beside what a resolved conflict gave up: the call part and the output part of the row, as they
stood, each with the import that brought it. Taken together they are the history of a call, oldest first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.normal import content_hash
from workbench.parts import SCHEMA
from workbench.records import to_json
from workbench.store import late, live
from workbench.store.calls import to_call

if TYPE_CHECKING:
    from workbench.store import Writer

OF_REQUEST = (
    "occurred_at", "session_id", "model", "language", "input_chars", "turn_depth", "tool_count",
    "request_hash", "content_hash", "request", "attributes", "marks", "served_by",
)  # fmt: skip
OF_CONTROL = (
    "output", "text", "error_kind", "latency_ms", "input_tokens", "cached_input_tokens", "output_tokens",
    "marks", "content_hash",
)  # fmt: skip
PARTS = ("call", "control")
_KEY = "replaced"
_COLUMNS = {"call": ("manifest_id", *OF_REQUEST), "control": ("manifest_id", *OF_CONTROL)}
_TABLE = {"call": "calls", "control": "controls"}
_KINDS = {
    "call": {name: SCHEMA.field(name).type for name in OF_REQUEST},
    "control": {name: SCHEMA.field(name).type for name in OF_CONTROL if name not in ("marks", "content_hash")}
    | {"marks": SCHEMA.field("control_marks").type},
}

Version = dict[str, dict[str, Any] | None]
"""The call part and the output part of a stored call, each None where there is none."""


AT_ONCE = 2_000
"""Calls replaced, or taken back, together; each may be long."""


@dataclass(frozen=True, slots=True)
class Step:
    """A version of a call that gave way to one that arrived.

    Attributes:
        call_id: The call.
        before: The version, as it stood.
        taken_by: The import whose version took its place.
        resolved_by: Who said so.
        resolved_at: In UTC.
        read_before: The earlier import that had read the same record otherwise; None where it was another.
    """

    call_id: str
    before: Version
    taken_by: str
    resolved_by: str
    resolved_at: datetime
    read_before: str | None = None


def current(writer: Writer, call_ids: Sequence[str]) -> dict[str, Version]:
    """Return the versions of calls as they stand."""
    found: dict[str, Version] = {each: dict.fromkeys(PARTS) for each in call_ids}
    for part in PARTS:
        columns = ", ".join(_COLUMNS[part])
        rows = writer.rows(
            f"SELECT call_id, {columns} FROM {_TABLE[part]} WHERE call_id IN (SELECT unnest(?::VARCHAR[]))",  # noqa: S608 -- names of this module
            [list(call_ids)],
        )
        for row in rows:
            found[row.pop("call_id")][part] = _plain(row)
    return found


def hashes(version: Version) -> tuple[str, str]:
    """Return by which hashes a version is known: of all of it, and of its output alone."""
    call, control = version["call"] or {}, version["control"] or {}
    output = control.get("content_hash") or ""
    return content_hash(call.get("request_hash"), output), content_hash("output", output)


def given_up(stored: Mapping[str, Any], version: Version) -> str:
    """Return what a resolution keeps of a version: the `Call` that a person reads, and its rows.

    Args:
        stored: The row of the call as it stands.
        version: The version.
    """
    call, control = version["call"] or {}, version["control"]
    row = {**stored, **call, "gold": None, "control": None, "control_marks": None}
    if call.get("occurred_at"):
        row["occurred_at"] = datetime.fromisoformat(call["occurred_at"])
    if control is not None:
        row |= {"control": control["output"], "control_marks": control["marks"]}
    return json.dumps(json.loads(to_json(to_call(row))) | {_KEY: version}, ensure_ascii=False)


def unrecorded(writer: Writer, manifest_id: str) -> int:
    """Return how many calls hold a version of an import, and what stood before is not on record.

    So it is where the conflict was resolved before such rows were kept.
    """
    found: int = writer.value(
        """
        SELECT count(*) FROM calls c LEFT JOIN controls k USING (call_id)
        WHERE (c.manifest_id = $m OR k.manifest_id = $m) AND c.call_id IN (
            SELECT call_id FROM conflict_resolutions WHERE manifest_id = $m AND kept = 'arrived'
            GROUP BY call_id HAVING count(json_extract(given_up, '$.replaced')) = 0
        )
        """,
        {"m": manifest_id},
    )
    return found


def take_back(writer: Writer, manifest_id: str) -> tuple[list[str], list[str]]:
    """Take an import out of the history of every call; those that held its version get the one before.

    What the import brought and nothing stood before is left, for the caller to remove.

    Returns:
        Calls that hold an earlier version again, and those of them whose request changed by it.
    """
    ids = [
        row["call_id"]
        for row in writer.rows(
            """
            SELECT call_id FROM conflict_resolutions
            WHERE kept = 'arrived' AND json_extract(given_up, '$.replaced') IS NOT NULL
              AND (manifest_id = $m OR json_extract_string(given_up, '$.replaced.call.manifest_id') = $m
                   OR json_extract_string(given_up, '$.replaced.control.manifest_id') = $m)
            GROUP BY call_id ORDER BY min(seq)
            """,
            {"m": manifest_id},
        )
    ]
    restored: list[str] = []
    asked_anew: list[str] = []
    for at in range(0, len(ids), AT_ONCE):
        changed: dict[str, list[tuple[str, dict[str, Any]]]] = {part: [] for part in PARTS}
        for call_id, before, after in _without(writer, ids[at : at + AT_ONCE], manifest_id):
            call = after["call"]
            if call is None or before == after:
                continue
            for part in PARTS:
                row = after[part]
                if row is not None and row != before[part]:
                    changed[part].append((call_id, row))
            restored.append(call_id)
            if (before["call"] or {})["request_hash"] != call["request_hash"]:
                asked_anew.append(call_id)
        for part, rows in changed.items():
            write(writer, part, rows)
    late.settle(writer, restored)
    live.mark_answers_of(writer, restored)
    return restored, asked_anew


def _without(writer: Writer, call_ids: Sequence[str], manifest_id: str) -> list[tuple[str, Version, Version]]:
    """Write histories of calls without an import; return call, what stands, and what stands without it."""
    steps, known = _steps(writer, call_ids)
    now = current(writer, call_ids)
    with writer.lent("known", known):
        writer.execute(
            "DELETE FROM conflict_resolutions"
            " WHERE (call_id, content_hash) IN (SELECT (call_id, content_hash) FROM known)"
        )
    again: list[Step] = []
    found = []
    for call_id in call_ids:
        mine, last = steps[call_id], dict[str, Any].fromkeys(PARTS)
        left: list[Version] = []
        takers = (None, *(each.taken_by for each in mine))
        for taken_by, version in zip(takers, (*(each.before for each in mine), now[call_id]), strict=True):
            # An answer may have gone with the reading that found it: by whom is known from the step.
            last = {
                part: last[part] if (row["manifest_id"] if row else taken_by) == manifest_id else row
                for part, row in version.items()
            }
            left.append(last)
        again += [
            replace(each, before=version)
            for each, version in zip(mine, left, strict=False)
            if each.taken_by != manifest_id and version["call"] is not None
        ]
        found.append((call_id, now[call_id], last))
    keep(writer, again)
    return found


def keep(writer: Writer, steps: Sequence[Step]) -> None:
    """Keep versions that give way to what arrived, each under both hashes that it is known by."""
    sql = "SELECT * FROM calls WHERE call_id IN (SELECT unnest(?::VARCHAR[]))"
    stored = {row["call_id"]: row for row in writer.rows(sql, [[each.call_id for each in steps]])}
    rows = []
    for each in steps:
        text = given_up(stored[each.call_id], each.before)
        rows += [
            {
                "call_id": each.call_id,
                "content_hash": known,
                "kept": "arrived",
                "manifest_id": each.taken_by,
                "given_up": text,
                "resolved_by": each.resolved_by,
                "resolved_at": each.resolved_at,
                "read_before": each.read_before,
            }
            for known in hashes(each.before)
        ]
    writer.append("conflict_resolutions", rows, ignore_known=True)


def _steps(writer: Writer, call_ids: Sequence[str]) -> tuple[dict[str, list[Step]], pa.Table]:
    """Return what gave way in calls, oldest first, and the keys of the resolutions that say so."""
    # A condition on the long texts would be asked of all rows, not of those of these calls.
    rows = writer.rows(
        """
        SELECT call_id, content_hash, given_up, manifest_id, resolved_by, resolved_at, read_before
        FROM conflict_resolutions
        WHERE call_id IN (SELECT unnest(?::VARCHAR[])) AND kept = 'arrived' ORDER BY seq
        """,
        [list(call_ids)],
    )
    keys: dict[str, list[str]] = {"call_id": [], "content_hash": []}
    found: dict[str, dict[str, Step]] = {each: {} for each in call_ids}
    for row in rows:
        before = json.loads(row.pop("given_up")).get(_KEY)
        if before is None:
            continue
        for name, values in keys.items():
            values.append(row[name])
        del row["content_hash"]
        row["taken_by"] = row.pop("manifest_id")
        found[row["call_id"]].setdefault(row["taken_by"], Step(**row, before=before))
    kinds = pa.schema([(name, pa.string()) for name in keys])
    return {each: list(steps.values()) for each, steps in found.items()}, pa.table(keys, schema=kinds)


def write(writer: Writer, part: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Write the call part or the output part of calls anew.

    Args:
        writer: The open transaction.
        part: Of `PARTS`.
        rows: Each with its call; a column that a row lacks becomes NULL.
    """
    if not rows:
        return
    names = _COLUMNS[part]
    fields = [(name, _KINDS[part].get(name, pa.string())) for name in ("call_id", *names)]
    columns = [{"call_id": call_id} | {name: _typed(name, row) for name in names} for call_id, row in rows]
    with writer.lent("versions", pa.Table.from_pylist(columns, pa.schema(fields))):
        if part == "control":
            writer.execute("DELETE FROM controls WHERE call_id IN (SELECT call_id FROM versions)")
            writer.execute("INSERT INTO controls BY NAME SELECT * FROM versions")
            return
        assignments = ", ".join(f"{name} = v.{name}" for name in names)
        writer.execute(
            f"UPDATE calls SET {assignments} FROM versions v WHERE calls.call_id = v.call_id"  # noqa: S608 -- names of this module
        )


def _typed(name: str, row: Mapping[str, Any]) -> Any:
    # Versions that were kept before there were live calls say of none who served it.
    value = row.get(name)
    return datetime.fromisoformat(value) if name == "occurred_at" and isinstance(value, str) else value


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
