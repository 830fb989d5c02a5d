"""Calls in the store: reading them back and counting them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.records import DATED_SHARE, Call, Output, Request, from_json
from workbench.store import room, traffic_days
from workbench.store.import_sums import pairs

if TYPE_CHECKING:
    from workbench.store import Store

_ANSWERED = """
    FROM calls m WHERE m.served_by IS NULL AND m.model IS NOT NULL
      AND m.task IN (SELECT task FROM calls WHERE served_by IS NOT NULL)
"""
_AT_A_TIME = f"""(
    SELECT m.task, m.occurred_at, arg_max(m.model, m.seq) AS model
    {_ANSWERED} AND m.occurred_at IS NOT NULL GROUP BY ALL
)"""
FRONTIER_MODEL = f"""
CASE WHEN c.served_by IS NULL THEN c.model ELSE (
    SELECT any_value(s.model) FROM (
        SELECT x.call_id, coalesce(b.model, a.model, n.model) AS model
        FROM (SELECT call_id, task, occurred_at FROM calls WHERE served_by IS NOT NULL) x
        ASOF LEFT JOIN {_AT_A_TIME} b ON b.task = x.task AND b.occurred_at <= x.occurred_at
        ASOF LEFT JOIN {_AT_A_TIME} a ON a.task = x.task AND a.occurred_at >= x.occurred_at
        LEFT JOIN (
            SELECT m.task, coalesce(arg_max(m.model, m.occurred_at), max(m.model)) AS model
            {_ANSWERED} GROUP BY m.task
        ) n ON n.task = x.task
    ) s WHERE s.call_id = c.call_id
) END"""  # noqa: S608 - constants
"""Of a call `c`: the model as logged; where a candidate served it, the frontier's that was in force then.

That is the one that gave the task's last frontier answer before it; without an earlier one the first after
it, and where the call has no time, or no frontier answer has one, the newest. So neither a share that is
served nor a frontier that is replaced moves past calls into another slice.
"""

_CALL_SQL = """
SELECT c.call_id, c.source, c.native_id, c.task, c.request, c.control, c.occurred_at, c.session_id,
       c.served_by, c.sampling_rate, c.attributes, c.marks, c.control_marks,
       (SELECT arg_max(g.answer, g.seq) FROM gold g WHERE g.call_id = c.call_id) AS gold
FROM usable_calls c
"""


def load_calls(
    store: Store,
    task: str | None = None,
    *,
    call_ids: Iterable[str] | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> list[Call]:
    """Return usable calls in the order of import: those in an unresolved conflict are left out.

    Args:
        store: Where to read.
        task: Only this task's; None for all.
        call_ids: Only these.
        limit: How many at most.
        offset: How many to pass over.
    """
    where: list[str] = ["TRUE"]
    params: list[Any] = []
    if task is not None:
        where.append("c.task = ?")
        params.append(task)
    if call_ids is not None:
        where.append("c.call_id IN (SELECT unnest(?))")
        params.append(list(call_ids))
        if not params[-1]:
            return []
    tail = (
        " ORDER BY c.seq" + (f" LIMIT {int(limit)}" if limit is not None else "") + f" OFFSET {int(offset)}"
    )
    return [to_call(row) for row in store.rows(f"{_CALL_SQL} WHERE {' AND '.join(where)}{tail}", params)]


def in_utc(time: datetime | None) -> datetime | None:
    """Return a time of the store, which is in UTC, with its zone."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time


def to_call(row: Mapping[str, Any]) -> Call:
    """Return the record of a call's row, its derived marks included."""
    marks = list(dict.fromkeys([*(row["marks"] or ()), *(row["control_marks"] or ())]))
    if row["control"] is None:
        marks.append("no_output")
    if row["occurred_at"] is None:
        marks.append("no_time")
    return Call(
        call_id=row["call_id"],
        source=row["source"],
        native_id=row["native_id"],
        task=row["task"],
        request=from_json(row["request"], Request),
        control=from_json(row["control"], Output) if row["control"] is not None else None,
        occurred_at=in_utc(row["occurred_at"]),
        session_id=row["session_id"],
        served_by=row["served_by"],
        sampling_rate=row["sampling_rate"],
        attributes=json.loads(row["attributes"]),
        marks=tuple(marks),
        gold=row["gold"],
    )


def longest_run(store: Store) -> int:
    """Return how many characters 2,048 requests take where they are longest, for `Store.make_room`.

    Args:
        store: Where to read.
    """
    found = store.value(
        "SELECT max(chars) FROM (SELECT sum(input_chars) AS chars FROM calls GROUP BY rowid // ?)",
        (room.VECTOR_ROWS,),
    )
    return int(found or 0)


def count_calls(store: Store, task: str | None = None) -> int:
    """Return how many usable calls there are."""
    sql = "SELECT count(*) FROM usable_calls WHERE (? IS NULL OR task = ?)"
    return int(store.value(sql, (task, task)))


def task_rows(store: Store) -> list[dict[str, Any]]:
    """Return every task with its counts.

    Returns:
        Rows of task, calls, with_output, requests (distinct), first_at, last_at, input_tokens,
        cached_input_tokens, output_tokens; most calls first.
    """
    return store.rows(
        """
        SELECT task, count(*) AS calls, count(control) AS with_output,
               count(DISTINCT request_hash) AS requests,
               min(occurred_at) AS first_at, max(occurred_at) AS last_at,
               coalesce(sum(control_input_tokens), 0)::BIGINT AS input_tokens,
               coalesce(sum(control_cached_input_tokens), 0)::BIGINT AS cached_input_tokens,
               coalesce(sum(control_output_tokens), 0)::BIGINT AS output_tokens
        FROM usable_calls GROUP BY task ORDER BY calls DESC, task
        """
    )


def preview_rows(
    store: Store, task: str | None = None, *, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Return a page of calls for a table: ids, times, sizes, the request and the output's text."""
    return store.rows(
        """
        SELECT call_id, native_id, source, task, occurred_at, model, language, input_chars, turn_depth,
               tool_count, request, control_text, control_error_kind, control_latency_ms,
               control_input_tokens, control_output_tokens, list_concat(marks, control_marks) AS marks
        FROM usable_calls WHERE (? IS NULL OR task = ?)
        ORDER BY seq LIMIT ? OFFSET ?
        """,
        (task, task, limit, offset),
    )


def manifest_rows(store: Store, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the imports, newest first, their reports parsed."""
    rows = store.rows("SELECT * FROM manifests ORDER BY seq DESC LIMIT ?", (limit,))
    return [row | {"files": json.loads(row["files"]), "report": json.loads(row["report"])} for row in rows]


@dataclass(frozen=True, slots=True)
class Volume:
    """How many calls a task has on a day. `calls_per_day` is None where that can't be known."""

    task: str
    calls: int
    days: float
    sampling_rate: float | None
    calls_per_day: float | None


def volumes(store: Store) -> dict[str, Volume]:
    """Return the daily volume of each task over the last days of its exports, see `traffic_days.daily`.

    A logged call stands for 1 / sampling rate calls. Unknown rates, or times of most calls, give no
    figure: the logs could be all of the traffic or a hundredth; nor do logs of less than a day. Calls
    without a time are taken to be spread as those with one.

    Args:
        store: Where to read.
    """
    by_task = traffic_days.of_tasks(store)
    found = {}
    for row in store.rows(
        "SELECT task, count(*) AS calls, count(occurred_at) AS dated FROM usable_calls GROUP BY task"
    ):
        days = by_task.get(row["task"], [])
        last = traffic_days.recent(days)
        mean = traffic_days.mean_a_day(days)
        is_dated = bool(last) and row["dated"] >= DATED_SHARE * row["calls"]
        rated = is_dated and all(each["traffic"] is not None for each in last)
        known = is_dated and mean is not None
        logged = sum(each["calls"] for each in last)
        found[row["task"]] = Volume(
            task=row["task"],
            calls=logged if last else row["calls"],
            days=max([1.0, *(each["span"] for each in last)]),
            sampling_rate=logged / sum(each["traffic"] for each in last) if rated else None,
            calls_per_day=mean * row["calls"] / row["dated"] if known and mean is not None else None,
        )
    return found


def model_tokens(store: Store, task: str | None = None) -> list[dict[str, Any]]:
    """Return calls and token sums of each model: model, calls, with_usage and the three sums."""
    return store.rows(
        """
        SELECT coalesce(model, 'unknown') AS model, count(*) AS calls,
               count(control_input_tokens) AS with_usage,
               coalesce(sum(control_input_tokens), 0)::BIGINT AS input_tokens,
               coalesce(sum(control_cached_input_tokens), 0)::BIGINT AS cached_input_tokens,
               coalesce(sum(control_output_tokens), 0)::BIGINT AS output_tokens
        FROM usable_calls WHERE (? IS NULL OR task = ?)
        GROUP BY ALL ORDER BY calls DESC, model
        """,
        (task, task),
    )


def daily_counts(store: Store, task: str | None = None) -> list[dict[str, Any]]:
    """Return how many logged calls each day has: day, task, calls."""
    return store.rows(
        """
        SELECT occurred_at::DATE AS day, task, count(*) AS calls FROM usable_calls
        WHERE occurred_at IS NOT NULL AND (? IS NULL OR task = ?)
        GROUP BY ALL ORDER BY day, task
        """,
        (task, task),
    )


def mark_counts(store: Store, task: str | None = None) -> dict[str, int]:
    """Return how many usable calls carry each mark."""
    sql = """
        SELECT mark AS name, count(*) AS n FROM (
            SELECT unnest(list_distinct(list_concat(list_concat(marks, control_marks),
                list_concat(CASE WHEN control IS NULL THEN ['no_output'] ELSE []::VARCHAR[] END,
                            CASE WHEN occurred_at IS NULL THEN ['no_time'] ELSE []::VARCHAR[] END)))) AS mark
            FROM usable_calls WHERE (? IS NULL OR task = ?)
        ) GROUP BY ALL ORDER BY n DESC, name
    """
    return dict(pairs(store, sql, (task, task)))
