"""How many calls come on a day, over the period that an export covers: silent days count, too."""

from __future__ import annotations

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
        Rows of workload, stream, age, calls, traffic, span, until. `age` 0 are the 24 hours up to the end
        of the stream, and `DAYS` is all that came before its last days; a stream without calls of the
        workload in its last days has that row alone. `traffic` counts a logged call as 1 / sampling
        rate; None where a rate is not known. `span` is how many of the last days the stream covers, and
        `until` when it ends, in seconds of the epoch.
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
                   least(floor((until - epoch(occurred_at)) / {DAY_S}), {DAYS})::INTEGER AS age
            FROM traffic JOIN streams USING (workload, source) WHERE occurred_at IS NOT NULL
        )
        SELECT workload, stream, age, count(*) AS calls, {SCALED_CALLS} AS traffic, span, until
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
    """Return a workload's calls a day, None without times or where a rate is not known.

    Args:
        days: Rows of `daily` of one workload.
    """
    found = recent(days)
    if not found or any(row["traffic"] is None for row in found):
        return None
    return float(sum(row["traffic"] / max(row["span"], 1.0) for row in found if row["age"] < DAYS))


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
