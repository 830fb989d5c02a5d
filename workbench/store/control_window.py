"""Who answered the newest calls of a task as its frontier, and under which system prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.store import Store

_BY = {
    "model": "coalesce(c.model, json_extract_string(k.output, '$.model'))",
    "prompt": """CASE WHEN json_extract_string(c.request, '$.messages[0].role') IN ('system', 'developer')
                 THEN md5(coalesce(json_extract_string(c.request, '$.messages[0].content'), '')) END""",
}
KEYS = tuple(_BY)
"""What a control is told by: the model's name as logged, a hash of its system prompt."""

_OF_CALLS = f"""
    SELECT c.seq, {", ".join(f"{sql} AS {name}" for name, sql in _BY.items())}
    FROM calls c JOIN frontier_outputs k ON k.call_id = c.call_id"""  # noqa: S608 - constants of this module


def newest_controls(store: Store, task: str, limit: int) -> list[dict[str, Any]]:
    """Return model and prompt of a task's newest calls that the frontier answered in production.

    Args:
        store: Where to read.
        task: The task.
        limit: Calls at most; those without a time are none of the newest.
    """
    return store.rows(
        f"""
        WITH newest AS (
            SELECT call_id FROM calls
            WHERE task = ? AND served_by IS NULL AND occurred_at IS NOT NULL
              AND call_id NOT IN (SELECT call_id FROM conflicts)
            ORDER BY occurred_at DESC, seq DESC LIMIT ?
        )
        {_OF_CALLS} WHERE c.call_id IN (SELECT call_id FROM newest)
        """,  # noqa: S608 - constants of this module
        (task, limit),
    )


def controls_of(store: Store, seqs: Sequence[int]) -> list[dict[str, Any]]:
    """Return seq, model and prompt of some calls, by their numbers in the store."""
    return store.rows(
        f"{_OF_CALLS} WHERE c.seq IN (SELECT unnest(?::BIGINT[]))",
        (list(seqs),),
    )
