"""Versions of a call that gave way to one that arrived later, so that an import taken back leaves no gap.

Each is kept beside what a resolved conflict gave up: the call part and the output part of the row, as they
stood, each with the import that brought it. Taken together they are the history of a call, oldest first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.normal import content_hash
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

Version = dict[str, dict[str, Any] | None]
"""The call part and the output part of a stored call, each None where there is none."""


@dataclass(slots=True)
class _Step:
    """One version that arrived and was taken: what stood before, and the resolution that says so."""

    before: Version
    taken_by: str
    resolved_by: str
    resolved_at: datetime


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
    restored, asked_anew = [], []
    for call_id in ids:
        before, after = _without(writer, call_id, manifest_id)
        if after["call"] is None or before == after:
            continue
        for part in PARTS:
            if after[part] != before[part] and after[part] is not None:
                _write(writer, call_id, part, after[part] or {})
        late.settle(writer, [call_id])
        restored.append(call_id)
        if (before["call"] or {})["request_hash"] != after["call"]["request_hash"]:
            asked_anew.append(call_id)
    return restored, asked_anew


def _without(writer: Writer, call_id: str, manifest_id: str) -> tuple[Version, Version]:
    """Write a call's history without an import; return what stands, and what stands without it."""
    steps = _steps(writer, call_id)
    now = current(writer, [call_id])[call_id]
    last: Version = dict.fromkeys(PARTS)
    kept: list[Version] = []
    for version in (*(each.before for each in steps), now):
        rest: Version = {}
        for part in PARTS:
            row = version[part]
            rest[part] = last[part] if row is not None and row["manifest_id"] == manifest_id else row
        kept.append(rest)
        last = rest
    for step in steps:
        for known in hashes(step.before):
            writer.execute(
                "DELETE FROM conflict_resolutions WHERE call_id = ? AND content_hash = ? AND manifest_id = ?"
                " AND json_extract(given_up, '$.replaced') IS NOT NULL",
                (call_id, known, step.taken_by),
            )
    for step, version in zip(steps, kept, strict=False):
        if step.taken_by != manifest_id and version["call"] is not None:
            keep(writer, {call_id: version}, step.taken_by, step.resolved_by, step.resolved_at)
    return now, kept[-1]


def keep(
    writer: Writer, versions: Mapping[str, Version], taken_by: str, resolved_by: str, resolved_at: datetime
) -> None:
    """Keep versions that give way to what arrived, each under both hashes that it is known by.

    Args:
        writer: The open transaction.
        versions: By call, as they stood.
        taken_by: The import whose versions take their places.
        resolved_by: Who said so.
        resolved_at: In UTC.
    """
    stored = writer.rows(
        "SELECT * FROM calls WHERE call_id IN (SELECT unnest(?::VARCHAR[]))", [list(versions)]
    )
    rows = []
    for call in stored:
        version = versions[call["call_id"]]
        text = given_up(call, version)
        rows += [
            {
                "call_id": call["call_id"],
                "content_hash": known,
                "kept": "arrived",
                "manifest_id": taken_by,
                "given_up": text,
                "resolved_by": resolved_by,
                "resolved_at": resolved_at,
            }
            for known in hashes(version)
        ]
    writer.append("conflict_resolutions", rows, ignore_known=True)


def _steps(writer: Writer, call_id: str) -> list[_Step]:
    rows = writer.rows(
        """
        SELECT given_up, manifest_id, resolved_by, resolved_at FROM conflict_resolutions
        WHERE call_id = ? AND kept = 'arrived' AND json_extract(given_up, '$.replaced') IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY manifest_id ORDER BY seq) = 1
        ORDER BY seq
        """,
        (call_id,),
    )
    return [
        _Step(json.loads(row["given_up"])[_KEY], row["manifest_id"], row["resolved_by"], row["resolved_at"])
        for row in rows
    ]


def _write(writer: Writer, call_id: str, part: str, row: dict[str, Any]) -> None:
    columns = _COLUMNS[part]
    if part == "call":
        assignments = ", ".join(f"{name} = ?" for name in columns)
        sql = f"UPDATE calls SET {assignments} WHERE call_id = ?"  # noqa: S608 -- names of this module
        # Versions that were kept before there were live calls say of none who served it.
        writer.execute(sql, [*(row.get(name) for name in columns), call_id])
        live.mark_answers_of(writer, [call_id])
        return
    names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
    sql = f"INSERT OR REPLACE INTO controls ({names}, call_id) VALUES ({marks}, ?)"  # noqa: S608
    writer.execute(sql, [*(row[name] for name in columns), call_id])
    live.mark_answers_of(writer, [call_id])


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
