"""Calls in conflict: neither of their versions is used until a person says which one is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.store import Store, Writer


def not_in_conflict(store: Store, row: str) -> str:
    """Return the condition that a row's call is not in conflict; where none is, one that costs nothing.

    In most stores nothing is in conflict, and to look for the ids of all calls among none takes as long as
    the rest of a question.

    Args:
        store: Where it is asked.
        row: The name of a table of the question, with a column `call_id`.
    """
    if not store.value("SELECT count(*) FROM conflicts"):
        return "TRUE"
    return f"{row}.call_id NOT IN (SELECT call_id FROM conflicts)"  # noqa: S608 - a name of ours


def within(writer: Writer, manifest_id: str) -> int:
    """Return how many calls that an import brought are in conflict with another record of the same import."""
    return int(
        writer.value(
            "SELECT count(DISTINCT c.call_id) FROM conflicts x JOIN calls c USING (call_id)"
            " WHERE x.manifest_id = $m AND c.manifest_id = $m",
            {"m": manifest_id},
        )
    )
