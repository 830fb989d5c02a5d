"""What the store knows of latency: arrival times of the log, probes, and the shape of a sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from workbench.store import Store
from workbench.store.calls import in_utc


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call of the log and when it came."""

    call_id: str
    occurred_at: datetime | None


@dataclass(frozen=True, slots=True)
class SampleShape:
    """What the requests of a sample hold. `lengths` are estimated tokens, the longest last."""

    has_system: bool
    has_turns: bool
    has_tools: bool
    response_formats: tuple[str, ...]
    lengths: tuple[int, ...]


def arrivals(store: Store, task: str) -> list[Arrival]:
    """Return a task's usable calls in the order of their times; those without one come last."""
    rows = store.rows(
        "SELECT call_id, occurred_at FROM usable_calls WHERE task = ? ORDER BY occurred_at NULLS LAST, seq",
        (task,),
    )
    return [Arrival(row["call_id"], in_utc(row["occurred_at"])) for row in rows]


def control_latencies(store: Store, call_ids: Sequence[str]) -> list[float]:
    """Return the frontier's own latencies of some calls in ms, where the log has them."""
    rows = store.rows(
        "SELECT latency_ms FROM frontier_outputs WHERE call_id IN (SELECT unnest(?::VARCHAR[])) "
        "AND latency_ms IS NOT NULL AND error_kind IS NULL",
        (list(call_ids),),
    )
    return [float(row["latency_ms"]) for row in rows]


def write_probe(store: Store, head: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]) -> None:
    """Store a probe and its calls in one transaction: whole or not at all."""
    row = {**head, "report": msgspec.json.encode(head["report"]).decode(), "created_at": datetime.now(UTC)}
    with store.writing() as writer:
        writer.append("latency_probes", [row])
        writer.append("latency_probe_calls", list(calls))


@dataclass(frozen=True, slots=True)
class Probe:
    """A stored probe. `latencies_ms` are in order of sending, infinite where no answer came.

    `place` counts the probes at this speed of what serves the candidate now, from 1.
    """

    probe_id: str
    speed: float
    rate_known: bool
    calls_per_s: float
    created_at: datetime
    latencies_ms: tuple[float, ...]
    place: int = 1


def newest_probe(
    store: Store, task: str, fingerprint: str, *, least_speed: float = 0.0, serving: str | None = None
) -> Probe | None:
    """Return the newest probe of a candidate at the least speed it was probed at, or None.

    Args:
        store: The store.
        task: The task.
        fingerprint: The candidate's.
        least_speed: Slower probes are passed over, and with a speed above 0 those of which
            nobody knows what share of the traffic the log holds.
        serving: Hash of what serves the candidate now; probes of another server are passed
            over. None takes all.
    """
    rows = store.rows(
        "SELECT probe_id, speed, rate_known, calls_per_s, created_at, "
        "row_number() OVER (PARTITION BY speed ORDER BY seq) AS place FROM latency_probes "
        "WHERE task = ? AND candidate_fingerprint = ? AND speed >= ? AND (rate_known OR ? <= 0) "
        "AND (?::VARCHAR IS NULL OR json_extract_string(report, '$.serving') = ?) "
        "ORDER BY speed, seq DESC LIMIT 1",
        (task, fingerprint, least_speed, least_speed, serving, serving),
    )
    if not rows:
        return None
    calls = store.rows(
        "SELECT latency_ms, unanswered FROM latency_probe_calls WHERE probe_id = ? "
        "AND (unanswered OR latency_ms IS NOT NULL) ORDER BY position",
        (rows[0]["probe_id"],),
    )
    found = tuple(math.inf if row["unanswered"] else float(row["latency_ms"]) for row in calls)
    return Probe(**rows[0], latencies_ms=found)


def paired_latencies(store: Store, probe_id: str) -> list[tuple[float, float]]:
    """Return the latencies in ms of a probe's calls, the frontier's as logged and the candidate's.

    The candidate's is infinite where no answer came. Calls are left out whose recorded answer is an error
    or has no latency, and those that the candidate answered uselessly.
    """
    rows = store.rows(
        "SELECT k.latency_ms AS control_ms, p.latency_ms, p.unanswered FROM latency_probe_calls p "
        "JOIN frontier_outputs k USING (call_id) WHERE p.probe_id = ? AND k.latency_ms >= 0 "
        "AND k.error_kind IS NULL AND (p.unanswered OR p.latency_ms IS NOT NULL) ORDER BY p.position",
        (probe_id,),
    )
    return [
        (float(row["control_ms"]), math.inf if row["unanswered"] else float(row["latency_ms"]))
        for row in rows
    ]


def sample_shape(store: Store, call_ids: Sequence[str], own_limit: int | None, quantiles: int) -> SampleShape:
    """Return what the requests of a sample hold.

    Args:
        store: The store.
        call_ids: The sample.
        own_limit: Room for an answer, where the candidate sets it; else each request's own.
        quantiles: A larger sample gives as many lengths, the longest among them.
    """
    row = store.rows(
        f"""
        WITH asked AS (
            SELECT request, tool_count,
                   json_extract_string(request, '$.messages[*].role') AS roles,
                   CASE WHEN json_type(request, '$.response_format') = 'OBJECT'
                   THEN coalesce(json_extract_string(request, '$.response_format.type'), 'json_schema')
                   END AS format,
                   coalesce(k.input_tokens + coalesce(k.cached_input_tokens, 0), length(request) // 4)
                   + coalesce(?::BIGINT, {_LIMIT}, 0) AS tokens
            FROM calls LEFT JOIN controls k USING (call_id)
            WHERE call_id IN (SELECT unnest(?::VARCHAR[]))
        )
        SELECT coalesce(bool_or(list_has_any(roles, ['system', 'developer'])), false) AS has_system,
               coalesce(bool_or(list_contains(roles, 'assistant')), false) AS has_turns,
               coalesce(bool_or(tool_count > 0), false) AS has_tools,
               coalesce(list_sort(list(DISTINCT format) FILTER (format IS NOT NULL)), []) AS response_formats,
               coalesce(quantile_disc(tokens, ?::DOUBLE[]), []) AS lengths
        FROM asked
        """,  # noqa: S608 - a constant of this module
        (own_limit, list(call_ids), [(index + 1) / quantiles for index in range(quantiles)]),
    )[0]
    return SampleShape(
        **(row | {"response_formats": tuple(row["response_formats"]), "lengths": tuple(row["lengths"])})
    )


_LIMIT = ", ".join(
    f"try_cast(json_extract_string(request, '$.parameters.{key}') AS BIGINT)"
    for key in ("max_completion_tokens", "max_tokens", "max_output_tokens", "max_new_tokens")
)
