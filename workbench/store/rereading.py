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
"""Of a row without an id of its log, which stands here already under the id that another reading gave it."""

ALL_LINES = 2**62
"""Lines of a file that was read whole."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An import that stands: its files, by what they were read, and whether it found any call in them."""

    manifest_id: str
    files: list[dict[str, Any]]
    reading: int | None
    read_with: str | None
    redaction: str | None
    stored: bool


@dataclass(frozen=True, slots=True)
class Earlier:
    """A file of an import that an earlier one read under an older version.

    Attributes:
        file: Its name in this import.
        manifest_id: The earlier import.
        lines: How many lines of it that one read.
        stored: Whether that one found any call.
    """

    file: str
    manifest_id: str
    lines: int
    stored: bool


@dataclass(frozen=True, slots=True)
class ReadBefore:
    """What older versions read: files of an import, and all imports by older versions that stand."""

    files: Sequence[Earlier] = ()
    manifests: Sequence[str] = ()


def manifests(store: Store) -> list[Manifest]:
    """Return the imports that stand, oldest first."""
    rows = store.rows(
        """
        SELECT manifest_id, files, reading, read_with, redaction,
               coalesce(json_extract(report, '$.accepted')::BIGINT, 0)
               + coalesce(json_extract(report, '$.joined')::BIGINT, 0)
               + coalesce(json_extract(report, '$.skipped')::BIGINT, 0) > 0 AS stored
        FROM manifests ORDER BY seq
        """
    )
    return [Manifest(**row | {"files": json.loads(row["files"])}) for row in rows]


def hold_back(writer: Writer, staging: Staging, before: ReadBefore) -> dict[str, int]:
    """Keep judged rows without ids from being stored once more under the id of another reading.

    Such an id is made of what was read. The same call would count twice, and as two pieces of evidence.

    Args:
        writer: The open transaction, with the judged rows.
        staging: The complete parts.
        before: What older versions read.

    Returns:
        How many source records, by the earlier import.
    """
    known = [each for each in before.files if each.stored]
    if not known:
        return {}
    writer.execute("CREATE OR REPLACE TEMP TABLE places (row BIGINT, file VARCHAR, line BIGINT)")
    for table in staging.tables((UNNAMED, "file", "line")):
        late.stage_rows(writer, "places", table.filter(table[UNNAMED]).drop_columns(UNNAMED))
    with writer.lent("earlier", _table(known)):
        writer.execute(
            """
            CREATE OR REPLACE TEMP TABLE held AS
            SELECT j.row, min(e.manifest_id) AS manifest_id
            FROM judged j JOIN places p USING (row)
            JOIN earlier e ON e.file = p.file AND p.line <= e.lines
            WHERE j.outcome = 'accepted' GROUP BY ALL
            """
        )
    writer.execute(f"UPDATE judged SET outcome = '{HELD}' WHERE row IN (SELECT row FROM temp.held)")  # noqa: S608 -- a constant
    rows = writer.rows(
        "SELECT h.manifest_id, sum(1 + coalesce(s.parts, 0))::BIGINT AS n"
        " FROM temp.held h JOIN staged s USING (row) GROUP BY ALL ORDER BY ALL"
    )
    for name in ("places", "held"):
        writer.execute(f"DROP TABLE temp.{name}")
    return {row["manifest_id"]: row["n"] for row in rows}


def tell_apart(writer: Writer, manifest_id: str, before: ReadBefore) -> dict[str, int]:
    """Say of an import's conflicts which are records that an older version has read before.

    Not where anything else may be the reason: the stored version came by a newer reading or another file,
    the call was in conflict with another record, or the import itself holds two records of its id.

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
            """
            UPDATE conflicts SET read_before = found.manifest_id FROM (
                SELECT x.call_id, x.content_hash, min(e.manifest_id) AS manifest_id
                FROM conflicts x
                JOIN earlier e ON e.file = x.file AND x.line <= e.lines
                JOIN calls c ON c.call_id = x.call_id
                LEFT JOIN controls k ON k.call_id = x.call_id
                WHERE x.manifest_id = $m
                  AND list_contains($older, c.manifest_id)
                  AND (k.call_id IS NULL OR (list_contains($older, k.manifest_id)
                                             AND k.manifest_id IN (c.manifest_id, e.manifest_id)))
                  AND x.call_id NOT IN (
                      SELECT call_id FROM conflicts WHERE read_before IS NULL AND manifest_id <> $m
                      UNION ALL SELECT call_id FROM conflict_resolutions WHERE read_before IS NULL)
                  AND x.call_id NOT IN (
                      SELECT call_id FROM staged WHERE kind <> 'addition'
                      GROUP BY call_id, kind HAVING count(DISTINCT content_hash) > 1)
                GROUP BY ALL
            ) found
            WHERE conflicts.call_id = found.call_id AND conflicts.content_hash = found.content_hash
            """,
            mine,
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
        }
    )
