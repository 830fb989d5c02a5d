"""Prompts that come later than their calls, which were stored with a template's arguments in their place.

What was asked decides what a replay asks, so that nothing is put in its place silently: the call with its
prompt waits as a conflict beside the stored one, and a person takes either, for one call or a whole import.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from workbench.normal import content_hash
from workbench.records import Request, from_json, to_json
from workbench.store.calls import to_call
from workbench.store.staging import ROW, Staging

if TYPE_CHECKING:
    from workbench.store import Writer

AT_ONCE = 500
"""Prompts looked at together; each may be long."""
NOT_RENDERED = "not_rendered"
_READ = (ROW, "kind", "call_id", "request", "marks", "file", "line")


def open_prompts(writer: Writer, staging: Staging, manifest_id: str) -> list[str]:
    """Open a conflict for every prompt that differs from what its call was stored with.

    Args:
        writer: The open transaction, with the judged rows.
        staging: The complete parts.
        manifest_id: The import.

    Returns:
        For each conflict that was opened, what else became of its row: added or skipped.
    """
    opened: list[str] = []
    for rows in _batches(staging):
        opened += _opened(writer, rows, manifest_id)
    return opened


def _batches(staging: Staging) -> Iterator[list[dict[str, Any]]]:
    for table in staging.tables(_READ):
        mine = table.filter(pc.and_(pc.equal(table["kind"], "addition"), pc.is_valid(table["request"])))
        for start in range(0, mine.num_rows, AT_ONCE):
            yield mine.slice(start, AT_ONCE).to_pylist()


def _opened(writer: Writer, rows: Sequence[dict[str, Any]], manifest_id: str) -> list[str]:
    ids = [row["call_id"] for row in rows]
    calls = {
        row["call_id"]: row
        for row in writer.rows(
            "SELECT c.*, NULL AS gold, k.output AS control, k.content_hash AS output_hash,"
            " k.marks AS control_marks FROM calls c LEFT JOIN controls k USING (call_id)"
            " WHERE c.call_id IN (SELECT unnest($ids::VARCHAR[])) AND list_contains(c.marks, $mark)",
            {"ids": ids, "mark": NOT_RENDERED},
        )
    }
    if not calls:
        return []
    known = {
        (row["call_id"], row["content_hash"])
        for row in writer.rows(
            "SELECT call_id, content_hash FROM conflicts WHERE call_id IN (SELECT unnest($ids::VARCHAR[]))"
            " UNION ALL SELECT call_id, content_hash FROM conflict_resolutions"
            " WHERE call_id IN (SELECT unnest($ids::VARCHAR[]))",
            {"ids": ids},
        )
    }
    outcomes = {
        row["row"]: row["outcome"]
        for row in writer.rows(
            "SELECT row, outcome FROM judged WHERE row IN (SELECT unnest(?::BIGINT[]))",
            [[row[ROW] for row in rows]],
        )
    }
    found: list[dict[str, Any]] = []
    opened: list[str] = []
    for row in rows:
        stored = calls.get(row["call_id"])
        if stored is None:
            continue
        told = _with_prompt(stored, row, manifest_id)
        if told is None or (row["call_id"], told["content_hash"]) in known:
            continue
        known.add((row["call_id"], told["content_hash"]))
        found.append(told)
        opened.append(outcomes[row[ROW]])
    writer.append("conflicts", found)
    return opened


def _with_prompt(stored: dict[str, Any], row: dict[str, Any], manifest_id: str) -> dict[str, Any] | None:
    """Return the row of a conflict: the stored call as it would be with its prompt; None if it is that."""
    call = to_call(stored)
    request = replace(call.request, messages=from_json(row["request"], Request).messages)
    request_hash = content_hash([request.messages, request.tools, request.response_format])
    if request_hash == stored["request_hash"]:
        return None
    # Not those that follow from the rows, such as that there is no output: one may still come.
    logged = (*(stored["marks"] or ()), *(row["marks"] or ()), *(stored["control_marks"] or ()))
    marks = dict.fromkeys(each for each in logged if each != NOT_RENDERED)
    return {
        "call_id": row["call_id"],
        "manifest_id": manifest_id,
        # As that of the call and its prompt in one import.
        "content_hash": content_hash(request_hash, stored["output_hash"] or ""),
        "file": row["file"],
        "line": row["line"],
        "call": to_json(replace(call, request=request, marks=tuple(marks))).decode(),
    }
