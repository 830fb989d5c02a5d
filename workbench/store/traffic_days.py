"""How many calls come on a day, over the period that an export covers: silent days count, too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.records import LEAST_RATE
from workbench.store.conflicting import not_in_conflict
from workbench.store.marked import parameters, without

if TYPE_CHECKING:
    from workbench.store import Store

DAYS = 28
"""Volume is that of the last days of an export."""
DAY_S = 86_400
LEAST_DAYS = 0.75
"""An export of a shorter time says nothing of a day: its hours may be the busiest, or the only ones."""

SCALED_CALLS = (
    f"CASE WHEN count(*) = count(*) FILTER (WHERE sampling_rate >= {LEAST_RATE:.9f}) "
    "THEN sum(1 / sampling_rate) END"
)
"""The calls that logged ones stand for; null where a rate is not known, or none that can be."""

RATES_DIFFER = (
    f"count(*) = count(*) FILTER (WHERE sampling_rate >= {LEAST_RATE:.9f}) "
    "AND min(sampling_rate) < max(sampling_rate)"
)
"""Whether each call's rate is known and they differ: then a mean counts each call as 1 / its rate."""


def daily(store: Store, traffic: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the calls of each day of the streams that workloads come in.

    A source is one export. All calls of it say which period it covers, so that days on which a workload
    has none count for it. Exports that follow one another are one stream; those that run beside one
    another are several, whose calls a day add up.

    Args:
        store: Where to read.
        traffic: Common table expressions that end in `traffic`: workload, source, occurred_at,
            sampling_rate. A constant.
        values: What they are asked with.

    Returns:
        Rows of workload, stream, age, calls, traffic, rest, first, span, until. `age` 0 are the 24 hours up
        to the end of the stream, and `DAYS` is all that came before its last days; a stream without calls
        of the workload in its last days has that row alone. `traffic` counts a logged call as 1 / sampling
        rate; None where a rate is not known. `rest` is that of the hours of the day that the first, cut
        day of the stream lacks, `first` that of the call with which the stream begins. `span` is how many
        of the last days the stream covers, and `until` when it ends, in seconds of the epoch.
    """
    exports = store.rows(
        f"""
        WITH {traffic},
        periods AS (
            SELECT source, epoch(min(occurred_at)) AS first, epoch(max(occurred_at)) AS last
            FROM calls WHERE occurred_at IS NOT NULL GROUP BY source
        )
        SELECT workload, source, first, last
        FROM (SELECT DISTINCT workload, source FROM traffic WHERE occurred_at IS NOT NULL)
        JOIN periods USING (source) ORDER BY workload, first, last, source
        """,  # noqa: S608 -- constants, here and below
        values,
    )
    streams = [row for found in by_workload(exports).values() for row in _streams(found)]
    if not streams:
        return []
    columns = ("workload", "source", "stream", "until", "span")
    return store.rows(
        f"""
        WITH {traffic},
        streams AS (
            SELECT unnest($s_workload::VARCHAR[]) AS workload, unnest($s_source::VARCHAR[]) AS source,
                   unnest($s_stream::INTEGER[]) AS stream, unnest($s_until::DOUBLE[]) AS until,
                   unnest($s_span::DOUBLE[]) AS span
        ),
        ages AS (
            SELECT workload, stream, until, span, sampling_rate,
                   (until - epoch(occurred_at)) / {DAY_S} AS days_ago,
                   least(floor(days_ago), {DAYS})::INTEGER AS age,
                   days_ago - floor(days_ago) >= span - floor(span) - 1e-9 AS is_rest,
                   days_ago >= span - 1e-9 AND span < {DAYS} AS is_first
            FROM traffic JOIN streams USING (workload, source) WHERE occurred_at IS NOT NULL
        )
        SELECT workload, stream, age, count(*) AS calls, {SCALED_CALLS} AS traffic,
               coalesce(sum(1 / sampling_rate) FILTER (is_rest), 0) AS rest,
               coalesce(sum(1 / sampling_rate) FILTER (is_first), 0) AS first, span, until
        FROM ages GROUP BY ALL ORDER BY ALL
        """,  # noqa: S608
        {**values, **{f"s_{name}": [row[name] for row in streams] for name in columns}},
    )


def of_task(store: Store, task: str, exclude: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return what `daily` does for a task, without the calls that carry an excluded mark."""
    traffic = f"""
        traffic AS (
            SELECT task AS workload, source, occurred_at, sampling_rate FROM calls c
            WHERE task = $task AND {not_in_conflict(store, "c")} {without(exclude)}
        )
    """  # noqa: S608
    return daily(store, traffic, parameters(task, exclude))


def of_tasks(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return what `daily` does for each task with calls that have a time."""
    traffic = "traffic AS (SELECT task AS workload, source, occurred_at, sampling_rate FROM usable_calls)"
    return by_workload(daily(store, traffic, {}))


def recent(days: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of the rows of a workload that say of its volume.

    They are the last days of each stream; where it has none with calls, what came before says at which rate
    calls are logged, and counts 0 calls.

    Args:
        days: Rows of `daily` of one workload.
    """
    found = []
    for stream in sorted({row["stream"] for row in days}):
        own = [row for row in days if row["stream"] == stream]
        found += [row for row in own if row["age"] < DAYS] or own
    return found


def mean_a_day(days: Sequence[dict[str, Any]]) -> float | None:
    """Return a workload's calls a day, None without times, for less than a day, or where a rate is not known.

    Args:
        days: Rows of `daily` of one workload.
    """
    found = recent(days)
    if not found or any(row["traffic"] is None for row in found) or not covers_a_day(found):
        return None
    streams = sorted({row["stream"] for row in found})
    return math.fsum(stream_a_day([row for row in found if row["stream"] == each]) for each in streams)


def covers_a_day(days: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether each stream is long enough to say anything of a day.

    Args:
        days: Rows of `daily` of one workload.
    """
    return all(row["span"] >= LEAST_DAYS for row in days)


def stream_a_day(days: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean calls of a day of one stream.

    It begins and ends within a day. What lies between its end and the time of day at which it began was seen
    on its whole days alone; the mean of those completes the last one. So the nights on both sides of a log
    of working hours count as silent, and those of a log of all hours don't. The call that begins it stands
    at the edge, and counts for none of the time behind it.

    Args:
        days: Its rows of `recent`, whose rates are known.
    """
    inside = [row for row in days if row["age"] < DAYS]
    traffic, whole = math.fsum(row["traffic"] for row in inside), int(days[0]["span"])
    if not whole:
        return traffic
    rest = math.fsum(row["rest"] for row in inside if row["age"] < whole)
    later = traffic - math.fsum(row["first"] for row in inside)
    return ((later or traffic) + rest / whole) / (whole + 1)


def by_workload(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each workload, in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["workload"], []).append(row)
    return found


def _streams(exports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the exports of a workload, sorted by their beginning, with stream, until and span of each."""
    streams: list[list[dict[str, Any]]] = []
    for export in exports:
        stream = next((each for each in streams if _follows(each, export)), None)
        if stream is None:
            streams.append([export])
        else:
            stream.append(export)
    found = []
    for number, stream in enumerate(streams):
        until = max(each["last"] for each in stream)
        span = min((until - min(each["first"] for each in stream)) / DAY_S, float(DAYS))
        found += [each | {"stream": number, "until": until, "span": span} for each in stream]
    return found


def _follows(stream: Sequence[dict[str, Any]], export: dict[str, Any]) -> bool:
    """Say whether an export goes on with a stream: exports that are cut by the day overlap a little.

    One of less than a day can't be told from a part of the stream that was exported by itself.
    """
    length = export["last"] - export["first"]
    if length < DAY_S:
        return True
    longest = max(stream, key=lambda each: float(each["last"]))
    shared = min(longest["last"], export["last"]) - export["first"]
    shorter = min(length, longest["last"] - longest["first"])
    return bool(shorter < DAY_S or 2 * shared <= shorter)
