"""Records that come again and are read otherwise than by an older version of the program.

They are conflicts of two readings of one record, not of two records: both stay out of use as with any
conflict, but are told apart, and a person takes the new readings of all of them at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.store import late

if TYPE_CHECKING:
    from workbench.store import Store, Writer
    from workbench.store.staging import Staging

UNNAMED = "unnamed"
HELD = "held"
"""Of a row that stands here already under the id that another reading gave it."""
MADE_UP = "[0-9a-f]{32}#[0-9]+"
"""What ids look like that were made of what was read, where the log gives none."""

ALL_LINES = 2**62
"""Lines of a file that was read whole."""

UNANSWERED = "unanswered"
"""In a conflict, beside its call: the answer that stands came by the same record, which holds none."""

_CONTESTED = """
    SELECT call_id FROM conflicts WHERE read_before IS NULL AND manifest_id <> $m
    UNION ALL SELECT call_id FROM conflict_resolutions WHERE read_before IS NULL
"""
_TWO_RECORDS = """
    SELECT call_id FROM staged WHERE kind <> 'addition'
    GROUP BY call_id, kind HAVING count(DISTINCT content_hash) > 1
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An import that stands: its files, and by what they were read.

    Attributes:
        manifest_id: Its id.
        source: The sources of its files, after commas.
        files: Its files, as the report tells them.
        reading: The number of the readers; None where it was not noted yet.
        read_with: What was asked of them, hashed.
        redaction: How was redacted, as JSON.
        stored: Whether it found any call.
        judged: Whether each record was compared with the stored call of its id: none was rejected, held
            back or passed over as no call.
    """

    manifest_id: str
    source: str
    files: list[dict[str, Any]]
    reading: int | None
    read_with: str | None
    redaction: str | None
    stored: bool
    judged: bool


@dataclass(frozen=True, slots=True)
class Earlier:
    """A file of an import that an earlier one read under an older version.

    Attributes:
        file: Its name in this import.
        manifest_id: The earlier import.
        lines: How many lines of it that one read.
        stored: Whether that one found any call.
        judged: Whether that one compared each record with the stored call of its id.
        whole: Whether all files of that import come again in this one.
        alone: Whether no record of this import has to be joined with another.
    """

    file: str
    manifest_id: str
    lines: int
    stored: bool
    judged: bool
    whole: bool
    alone: bool


@dataclass(frozen=True, slots=True)
class ReadBefore:
    """What older versions read: files of an import, and all imports by older versions that stand."""

    files: Sequence[Earlier] = ()
    manifests: Sequence[str] = ()


def manifests(store: Store) -> list[Manifest]:
    """Return the imports that stand, oldest first."""
    rows = store.rows(
        """
        WITH told AS (
            SELECT *, accepted + joined + skipped - passed - held AS known FROM (
                SELECT manifest_id, source, files, reading, read_with, redaction, seq,
                       coalesce(json_extract(report, '$.accepted')::BIGINT, 0) AS accepted,
                       coalesce(json_extract(report, '$.joined')::BIGINT, 0) AS joined,
                       coalesce(json_extract(report, '$.skipped')::BIGINT, 0) AS skipped,
                       coalesce(json_extract(report, '$.conflicts')::BIGINT, 0)
                       + coalesce(json_extract(report, '$.blank')::BIGINT, 0) AS others,
                       coalesce(json_extract(report, '$.records')::BIGINT, -1) AS records,
                       coalesce(list_sum(json_extract(report, '$.skip_reasons.*')::BIGINT[]), 0) AS passed,
                       coalesce(list_sum(json_extract(report, '$.held.*')::BIGINT[]), 0) AS held
                FROM manifests
            )
        )
        SELECT manifest_id, source, files, reading, read_with, redaction,
               accepted + joined + skipped > 0 AS stored, known + others = records AS judged
        FROM told ORDER BY seq
        """
    )
    return [Manifest(**row | {"files": json.loads(row["files"])}) for row in rows]


def judge(writer: Writer, staging: Staging, before: ReadBefore) -> dict[str, int]:
    """Judge anew what older versions read under other ids, or with answers where this one finds none.

    Args:
        writer: The open transaction, with the judged rows.
        staging: The complete parts.
        before: What older versions read.

    Returns:
        How many source records are held back, by the earlier import.
    """
    known = [each for each in before.files if each.stored]
    if not known:
        return {}
    writer.execute(
        "CREATE OR REPLACE TEMP TABLE places (row BIGINT, unnamed BOOLEAN, file VARCHAR, line BIGINT)"
    )
    for table in staging.tables((UNNAMED, "file", "line")):
        late.stage_rows(writer, "places", table.select(["row", UNNAMED, "file", "line"]))
    with writer.lent("earlier", _table(known)):
        held = _hold_back(writer)
        _miss_answers(writer)
    writer.execute("DROP TABLE temp.places")
    return held


def _hold_back(writer: Writer) -> dict[str, int]:
    """Keep rows from being stored once more, which stand here under the id of another reading.

    So it is with rows without ids, whose ids are made of what was read, and with all rows of an import
    whose earlier ids are found no more. The same call would count twice, and as two pieces of evidence.
    """
    writer.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE held AS
        WITH renamed AS (
            SELECT c.manifest_id FROM calls c
            JOIN (SELECT DISTINCT manifest_id, whole FROM earlier) e USING (manifest_id)
            WHERE (e.whole OR regexp_full_match(c.native_id, '{MADE_UP}'))
              AND c.call_id NOT IN (SELECT call_id FROM staged)
        )
        SELECT j.call_id, min(e.manifest_id) AS manifest_id
        FROM judged j JOIN places p USING (row)
        JOIN earlier e ON e.file = p.file AND p.line <= e.lines
        WHERE j.outcome = 'accepted' AND (p.unnamed OR e.manifest_id IN (SELECT manifest_id FROM renamed))
        GROUP BY ALL
        """  # noqa: S608 -- a constant
    )
    # With all rows of the call: there is nothing that an answer could join.
    writer.execute(f"UPDATE judged SET outcome = '{HELD}' WHERE call_id IN (SELECT call_id FROM temp.held)")  # noqa: S608 -- a constant
    rows = writer.rows(
        "SELECT h.manifest_id, sum(1 + coalesce(s.parts, 0))::BIGINT AS n"
        " FROM temp.held h JOIN staged s USING (call_id) GROUP BY ALL ORDER BY ALL"
    )
    writer.execute("DROP TABLE temp.held")
    return {row["manifest_id"]: row["n"] for row in rows}


def _miss_answers(writer: Writer) -> None:
    """Note rows that hold no answer where the earlier import found one in the same record.

    What says nothing of an answer is known otherwise: it may come by another record, or have come.
    """
    writer.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE unanswered AS
        SELECT s.call_id, s.content_hash, min(s.row) AS row
        FROM staged s JOIN places p USING (row)
        JOIN earlier e ON e.file = p.file AND p.line <= e.lines AND e.whole AND e.alone
        JOIN calls c ON c.call_id = s.call_id AND c.manifest_id = e.manifest_id
        JOIN controls k ON k.call_id = s.call_id AND k.manifest_id = e.manifest_id
        WHERE s.kind = 'call' AND s.output_hash = ''
          AND s.call_id NOT IN (SELECT call_id FROM staged WHERE output_hash <> '')
          AND s.call_id NOT IN ({_TWO_RECORDS})
        GROUP BY ALL
        """  # noqa: S608 -- a constant
    )
    writer.execute(
        f"""
        UPDATE judged SET outcome = 'conflict' WHERE outcome = 'skipped' AND row IN (
            SELECT row FROM unanswered
            WHERE call_id NOT IN ({_CONTESTED})
              AND (call_id, content_hash) NOT IN (
                  SELECT (call_id, content_hash) FROM conflicts
                  UNION ALL SELECT (call_id, content_hash) FROM conflict_resolutions))
        """,  # noqa: S608 -- a constant
        {"m": ""},
    )


def tell_apart(writer: Writer, manifest_id: str, before: ReadBefore) -> dict[str, int]:
    """Say of an import's conflicts which are records that an older version has read before.

    Not where anything else may be the reason: the stored version came by a newer reading or another file
    (but where all records of this file agreed with what was stored), the call was in conflict with another
    record, or the import itself holds two records of its id.

    Args:
        writer: The open transaction, with the staged rows and the conflicts of the import.
        manifest_id: The import.
        before: What older versions read.

    Returns:
        How many source records, by the earlier import.
    """
    if not before.files:
        return {}
    mine = {"m": manifest_id, "older": list(before.manifests)}
    with writer.lent("earlier", _table(before.files)):
        writer.execute(
            f"""
            UPDATE conflicts SET read_before = found.manifest_id FROM (
                SELECT x.call_id, x.content_hash, min(e.manifest_id) AS manifest_id
                FROM conflicts x
                JOIN earlier e ON e.file = x.file AND x.line <= e.lines
                JOIN calls c ON c.call_id = x.call_id
                LEFT JOIN controls k ON k.call_id = x.call_id
                WHERE x.manifest_id = $m
                  AND list_contains($older, c.manifest_id)
                  AND (e.judged OR e.manifest_id IN (c.manifest_id, k.manifest_id))
                  AND (k.call_id IS NULL OR (list_contains($older, k.manifest_id)
                                             AND k.manifest_id IN (c.manifest_id, e.manifest_id)))
                  AND x.call_id NOT IN ({_CONTESTED})
                  AND x.call_id NOT IN ({_TWO_RECORDS})
                GROUP BY ALL
            ) found
            WHERE conflicts.call_id = found.call_id AND conflicts.content_hash = found.content_hash
            """,  # noqa: S608 -- constants
            mine,
        )
    if any(each.stored for each in before.files):
        writer.execute(
            f"""
            UPDATE conflicts SET call = json_merge_patch(call::JSON, '{{"{UNANSWERED}": true}}')
            WHERE manifest_id = $m AND read_before IS NOT NULL AND (call_id, content_hash) IN (
                SELECT (call_id, content_hash) FROM unanswered)
            """,  # noqa: S608 -- a constant
            {"m": manifest_id},
        )
    rows = writer.rows(
        """
        SELECT x.read_before, sum(1 + coalesce(s.parts, 0))::BIGINT AS n
        FROM conflicts x JOIN staged s USING (call_id, content_hash) JOIN judged j ON j.row = s.row
        WHERE x.manifest_id = $m AND x.read_before IS NOT NULL AND j.outcome = 'conflict'
        GROUP BY ALL ORDER BY ALL
        """,
        {"m": manifest_id},
    )
    return {row["read_before"]: row["n"] for row in rows}


def _table(earlier: Sequence[Earlier]) -> pa.Table:
    return pa.table(
        {
            "file": pa.array([each.file for each in earlier], pa.string()),
            "manifest_id": pa.array([each.manifest_id for each in earlier], pa.string()),
            "lines": pa.array([each.lines for each in earlier], pa.int64()),
            "judged": pa.array([each.judged for each in earlier], pa.bool_()),
            "whole": pa.array([each.whole for each in earlier], pa.bool_()),
            "alone": pa.array([each.alone for each in earlier], pa.bool_()),
        }
    )
