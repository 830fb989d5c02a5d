"""Whether calls and conflicts of an import stand once: no keys say so, as these would have to fit in memory.

Of ids, hashes of eight bytes are compared first: that takes a fraction of the memory and the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.store import Writer

_ALONE = """
WITH mine AS MATERIALIZED (SELECT hash(call_id) AS id FROM calls WHERE manifest_id = $m)
SELECT (SELECT count(*) FROM mine) = (SELECT count(*) FROM (SELECT DISTINCT id FROM mine))
  AND NOT EXISTS (SELECT 1 FROM calls WHERE manifest_id <> $m AND hash(call_id) IN (SELECT id FROM mine))
"""
_TWICE = """
SELECT count(*) FROM (
    SELECT call_id FROM calls WHERE call_id IN (SELECT call_id FROM calls WHERE manifest_id = $m)
    GROUP BY call_id HAVING count(*) > 1
)
"""
_CONFLICTS_TWICE = """
SELECT count(*) FROM (
    SELECT call_id, content_hash FROM conflicts
    WHERE call_id IN (SELECT call_id FROM conflicts WHERE manifest_id = $m)
    GROUP BY ALL HAVING count(*) > 1
)
"""


def twice(writer: Writer, manifest_id: str) -> int:
    """Return how many calls of an import are in the store more than once.

    Args:
        writer: The transaction that adds them.
        manifest_id: The import.
    """
    mine = {"m": manifest_id}
    if writer.value(_ALONE, mine):
        return 0
    found: int = writer.value(_TWICE, mine)
    return found


def conflicts_twice(writer: Writer, manifest_id: str) -> int:
    """Return how many records of an import are held as a conflict more than once.

    Args:
        writer: The transaction that adds them.
        manifest_id: The import.
    """
    found: int = writer.value(_CONFLICTS_TWICE, {"m": manifest_id})
    return found
