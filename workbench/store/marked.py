"""Calls that are left out by their marks: those of the call and those of its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.store import Store

EXCLUDED = "(excluded)"
"""Stands for a workload with the calls that a profile leaves out."""

_MARKS = "list_concat(c.marks, coalesce(k.marks, []))"
_CARRYING = f"""
    calls c LEFT JOIN controls k USING (call_id)
    WHERE (list_has_any({_MARKS}, $exclude::VARCHAR[])
           OR (list_contains($exclude::VARCHAR[], 'no_time') AND c.occurred_at IS NULL)
           OR (list_contains($exclude::VARCHAR[], 'no_output') AND k.call_id IS NULL))
      AND c.call_id NOT IN (SELECT call_id FROM conflicts)
"""  # noqa: S608 -- a constant


def without(exclude: Sequence[str]) -> str:
    """Return the SQL, with the parameters task and exclude, that leaves a task's calls with some marks out.

    Args:
        exclude: The marks; without any there is nothing to leave out, and no parameter.
    """
    if not exclude:
        return ""
    return f"AND call_id NOT IN (SELECT c.call_id FROM {_CARRYING} AND c.task = $task)"  # noqa: S608 -- a constant


def parameters(task: str, exclude: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of `without`."""
    return {"task": task, "exclude": list(exclude)} if exclude else {"task": task}


def marked_calls(store: Store, task: str, exclude: Sequence[str]) -> dict[str, list[str]]:
    """Return the calls of a task that carry one of some marks, each with all of its marks."""
    if not exclude:
        return {}
    rows = store.rows(
        f"""
        SELECT c.call_id, list_concat({_MARKS},
               CASE WHEN c.occurred_at IS NULL THEN ['no_time'] ELSE []::VARCHAR[] END) AS marks
        FROM {_CARRYING} AND c.task = $task
        """,  # noqa: S608 -- constants
        parameters(task, exclude),
    )
    return {row["call_id"]: row["marks"] for row in rows}


def write_excluded(
    store: Store, profile_id: str, exclude: Sequence[str], by_task: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """Write which calls a profile leaves out; return how many, by task.

    Args:
        store: Where to write.
        profile_id: The profile.
        exclude: Marks that are left out of all calls.
        by_task: Marks that are left out of the calls of a task, beside those.
    """
    counts: dict[str, int] = {}
    own = {task: sorted({*exclude, *marks}) for task, marks in by_task.items() if marks}
    parts = [("c.task = $task", marks, {"task": task}) for task, marks in own.items()]
    if exclude:
        others: dict[str, Any] = {"tasks": list(own)}
        parts.append(("c.task NOT IN (SELECT unnest($tasks::VARCHAR[]))", list(exclude), others))
    with store.writing() as writer:
        for whose, marks, names in parts:
            source = f"FROM {_CARRYING} AND {whose}"
            found = f"SELECT c.task, count(*) AS n {source} GROUP BY ALL"
            for row in writer.rows(found, {"exclude": marks, **names}):
                counts[row["task"]] = int(row["n"])
            writer.execute(
                "INSERT INTO profile_calls (profile_id, call_seq, workload)"
                f" SELECT $profile, c.seq, '{EXCLUDED}' {source}",
                {"profile": profile_id, "exclude": marks, **names},
            )
    return dict(sorted(counts.items()))


def excluded_seqs(store: Store, profile_id: str) -> NDArray[np.int64]:
    """Return the seqs of the calls that a profile leaves out."""
    found: NDArray[np.int64] = store.columns(
        "SELECT call_seq FROM profile_calls WHERE profile_id = ? AND workload = ?",
        (profile_id, EXCLUDED),
    )["call_seq"]
    return found
