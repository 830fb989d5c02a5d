"""Who answered the newest calls of a task as its frontier, and under which system prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.store.conflicting import not_in_conflict
from workbench.store.noise import ANSWERED_BY
from workbench.store.replays import SYSTEM_HASH

if TYPE_CHECKING:
    from workbench.store import Store

_BY = {"model": ANSWERED_BY, "prompt": SYSTEM_HASH}
KEYS = tuple(_BY)
"""What a control is told by: the model's name as logged, a hash of its system prompt."""

_OF_CALLS = f"""
    SELECT seq, {", ".join(f"{sql} AS {name}" for name, sql in _BY.items())}
    FROM usable_calls c WHERE control IS NOT NULL"""  # noqa: S608 - constants


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
            SELECT call_id FROM calls c
            WHERE task = ? AND served_by IS NULL AND occurred_at IS NOT NULL
              AND {not_in_conflict(store, "c")}
            ORDER BY occurred_at DESC, seq DESC LIMIT ?
        )
        {_OF_CALLS} AND call_id IN (SELECT call_id FROM newest)
        """,  # noqa: S608 - constants of this module
        (task, limit),
    )


def controls_of(store: Store, seqs: Sequence[int]) -> list[dict[str, Any]]:
    """Return seq, model and prompt of some calls, by their numbers in the store."""
    return store.rows(
        f"{_OF_CALLS} AND seq IN (SELECT unnest(?::BIGINT[]))",
        (list(seqs),),
    )
