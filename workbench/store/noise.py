"""What the noise floor is made of: answers to a second asking, duplicates in the log, and the floors kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.store import Store

ANSWERED_BY = (
    "CASE WHEN served_by IS NULL THEN coalesce(model, json_extract_string(control, '$.model')) "
    "ELSE json_extract_string(control, '$.model') END"
)
"""Of a usable call: the model that answered as the frontier, as logged.

The output's own name for it is read only where the call has none, or names the candidate that served it.
"""


def recorded_models(store: Store, task: str) -> dict[str | None, int]:
    """Return how many usable calls of a task each model answered, as logged; most calls first.

    None stands for calls whose model the log does not name.
    """
    rows = store.rows(
        f"SELECT {ANSWERED_BY} AS model, count(*) AS n FROM usable_calls "  # noqa: S608 - a constant of this module
        "WHERE task = ? AND control IS NOT NULL GROUP BY 1 ORDER BY n DESC, model",
        (task,),
    )
    return {row["model"]: int(row["n"]) for row in rows}


def calls_answered_by(store: Store, task: str, models: Sequence[str | None]) -> set[str]:
    """Return the usable calls of a task that were answered by some models, as logged."""
    rows = store.rows(
        f"SELECT call_id FROM usable_calls WHERE task = ? AND control IS NOT NULL "  # noqa: S608 - a constant
        f"AND (list_contains(?, {ANSWERED_BY}) OR (? AND {ANSWERED_BY} IS NULL))",
        (task, [each for each in models if each is not None], None in models),
    )
    return {row["call_id"] for row in rows}


def second_answers(store: Store, task: str, fingerprint: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what is known of each answer to a second asking, by (replay, call).

    Returns:
        error_kind, finish_reason, flags, `answered` (the model that answered) and
        `logged` (the model of the recorded answer).
    """
    rows = store.rows(
        f"""
        SELECT o.replay_id, o.call_id, o.error_kind,
               json_extract_string(o.output, '$.finish_reason') AS finish_reason,
               json_extract_string(o.output, '$.flags') AS flags,
               json_extract_string(o.output, '$.model') AS answered, {ANSWERED_BY} AS logged
        FROM observations o
        JOIN replays r ON r.replay_id = o.replay_id
        JOIN usable_calls c ON c.call_id = o.call_id
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND o.repeat = 0
        """,  # noqa: S608 - a constant of this module
        (task, fingerprint),
    )
    return {(row["replay_id"], row["call_id"]): row for row in rows}


def repeated_requests(store: Store, task: str, *, limit: int, answers: int) -> list[dict[str, Any]]:
    """Return calls whose request the log holds more than once, the requests in an order of chance.

    Args:
        store: Where to read.
        task: The task.
        limit: Requests at most.
        answers: Calls of one request at most, the earliest.

    Returns:
        Rows of request_hash, call_id, native_id, occurred_at, session_id, logged (the
        model), request (where it has tools), parameters (which the hash leaves out), control,
        error_kind, marks; calls of one request stand together, in order of time.
    """
    return store.rows(
        f"""
        WITH often AS (
            SELECT request_hash FROM usable_calls WHERE task = ? AND control IS NOT NULL
            GROUP BY 1 HAVING count(*) > 1 ORDER BY md5(request_hash), request_hash LIMIT ?
        )
        SELECT request_hash, call_id, native_id, occurred_at, session_id, {ANSWERED_BY} AS logged,
               CASE WHEN tool_count > 0 THEN request END AS request,
               json_extract_string(request, '$.parameters') AS parameters, control,
               control_error_kind AS error_kind, list_concat(marks, control_marks) AS marks
        FROM usable_calls JOIN often USING (request_hash)
        WHERE task = ? AND control IS NOT NULL
        QUALIFY row_number() OVER (
            PARTITION BY request_hash ORDER BY occurred_at NULLS LAST, native_id, seq
        ) <= ?
        ORDER BY request_hash, occurred_at NULLS LAST, native_id, seq
        """,  # noqa: S608 - a constant of this module
        (task, limit, task, answers),
    )


def newest_floors(store: Store, task: str | None = None) -> list[dict[str, Any]]:
    """Return the newest floor of each task and evaluator version: task, evaluator_version, floor."""
    return store.rows(
        "SELECT task, evaluator_version, arg_max(floor, seq) AS floor FROM noise_floors "
        "WHERE (?::VARCHAR IS NULL OR task = ?) GROUP BY ALL ORDER BY task, evaluator_version",
        (task, task),
    )


def keep_floor(store: Store, task: str, version: str, floor: str, at: datetime) -> None:
    """Append a floor, as JSON."""
    store.append(
        "noise_floors",
        [{"task": task, "evaluator_version": version, "floor": floor, "created_at": at}],
    )
