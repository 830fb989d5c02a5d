"""What the store knows of replays: candidates, drawn samples, observations, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern
from typing import Any

import msgspec
import pyarrow as pa

from workbench.records import Observation, to_json
from workbench.specs import Candidate
from workbench.store import Store

LIVE, ASKING = "live", "live_of"
"""Keys of a replay's plan: of a candidate's live replay, and of the asking, which names its candidate."""

SYSTEM_HASH = """CASE WHEN json_extract_string(c.request, '$.messages[0].role') IN ('system', 'developer')
                 THEN md5(coalesce(json_extract_string(c.request, '$.messages[0].content'), '')) END"""
"""Of a call `c`: what its system prompt is told by; NULL where it has none."""

FRAME_COLUMNS = f"c.call_id, c.native_id, coalesce({SYSTEM_HASH}, ''), coalesce(c.input_chars, 0)"
"""Of a call `c`: what `frame_row` takes."""


@dataclass(frozen=True, slots=True)
class ReplayRow:
    """One replay as the store holds it."""

    replay_id: str
    seq: int
    task: str
    candidate: str
    candidate_fingerprint: str
    seed: int
    repeats: int
    plan: dict[str, Any]
    created_at: datetime

    @property
    def is_live(self) -> bool:
        """Say whether its calls are those that a candidate served."""
        return LIVE in self.plan or ASKING in self.plan


@dataclass(frozen=True, slots=True)
class FrameRow:
    """A call that may be drawn, with what decides the order of sending."""

    call_id: str
    native_id: str
    system_hash: str
    input_chars: int


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call of a drawn sample, in the place where it is sent and audited."""

    call_id: str
    batch: int
    rank: int
    audit_key: str
    inclusion_probability: float


def replays_of(
    store: Store, task: str | None = None, fingerprint: str | None = None, *, live: bool = False
) -> list[ReplayRow]:
    """Return replays, oldest first.

    Args:
        store: Where to read.
        task: Of one task; None for all.
        fingerprint: Of one candidate; None for all.
        live: Those of live calls too, which no command but their own goes on with (see `live`).
    """
    rows = store.rows(
        "SELECT replay_id, seq, task, candidate, candidate_fingerprint, seed, repeats, plan, created_at "
        "FROM replays WHERE (?::VARCHAR IS NULL OR task = ?) "
        "AND (?::VARCHAR IS NULL OR candidate_fingerprint = ?) ORDER BY seq",
        (task, task, fingerprint, fingerprint),
    )
    found = [ReplayRow(**(row | {"plan": msgspec.json.decode(row["plan"])})) for row in rows]
    return found if live else [row for row in found if not row.is_live]


def frame_row(call_id: str, native_id: str, system_hash: str, chars: int) -> FrameRow:
    """Return a call that may be drawn, from `FRAME_COLUMNS`."""
    # Most calls share their system prompt: one text for all of them, not one each.
    return FrameRow(call_id, native_id, intern(system_hash), chars)


def frame(store: Store, task: str) -> list[FrameRow]:
    """Return the calls of a task that may be replayed, in order of id: usable, with prompt and control."""
    return store.each(
        frame_row,
        f"SELECT {FRAME_COLUMNS} FROM usable_calls c WHERE task = ? AND control IS NOT NULL "  # noqa: S608
        # A log may hold a call whose prompt was made from a template that it does not hold.
        "AND (turn_depth = 0 AND input_chars = 0) IS NOT TRUE ORDER BY call_id",
        (task,),
    )


def drawn(store: Store, replay_id: str) -> dict[str, int]:
    """Return the calls of a replay's sample with their batch."""
    rows = store.rows("SELECT call_id, batch FROM replay_calls WHERE replay_id = ?", (replay_id,))
    return {row["call_id"]: row["batch"] for row in rows}


def write_plan(
    store: Store,
    row: ReplayRow,
    spec: Candidate,
    calls: Sequence[PlannedCall],
    event: str,
    detail: Mapping[str, Any],
) -> None:
    """Store a replay, a batch of its sample and what happens to it, in one transaction.

    Args:
        store: The store.
        row: The replay; one that is stored already stays as it is.
        spec: The candidate, remembered under its fingerprint. It holds no key.
        calls: The new batch; may be empty.
        event: started or resumed.
        detail: What belongs to the event.
    """
    now = datetime.now(UTC)
    with store.writing() as writer:
        writer.append(
            "candidates",
            [
                {
                    "fingerprint": row.candidate_fingerprint,
                    "name": spec.name,
                    "spec": to_json(spec).decode(),
                    "created_at": now,
                }
            ],
            ignore_known=True,
        )
        head = {
            "replay_id": row.replay_id,
            "task": row.task,
            "candidate": row.candidate,
            "candidate_fingerprint": row.candidate_fingerprint,
            "seed": row.seed,
            "repeats": row.repeats,
            "plan": msgspec.json.encode(row.plan).decode(),
            "created_at": row.created_at,
        }
        writer.append("replays", [head], ignore_known=True)
        if calls:
            writer.append(
                "replay_calls",
                pa.table(
                    {
                        "replay_id": [row.replay_id] * len(calls),
                        "call_id": [each.call_id for each in calls],
                        "batch": pa.array([each.batch for each in calls], pa.int32()),
                        "rank": [each.rank for each in calls],
                        "audit_key": [each.audit_key for each in calls],
                        "inclusion_probability": [each.inclusion_probability for each in calls],
                    }
                ),
            )
        writer.append("replay_events", [event_row(row.replay_id, event, detail, now)])


def event_row(
    replay_id: str, event: str, detail: Mapping[str, Any], at: datetime | None = None
) -> dict[str, Any]:
    """Return a row of `replay_events`."""
    return {
        "replay_id": replay_id,
        "event": event,
        "detail": msgspec.json.encode(detail).decode(),
        "created_at": at or datetime.now(UTC),
    }


def pending(store: Store, replay_id: str, repeats: int) -> list[tuple[str, int]]:
    """Return what has no observation yet, as (call, repeat) in the order of sending.

    Every call is asked once before any is repeated.
    """
    rows = store.rows(
        "SELECT p.call_id, r.repeat FROM replay_calls p "
        "CROSS JOIN (SELECT unnest(range(?::BIGINT))::INTEGER AS repeat) r "
        "ANTI JOIN (SELECT call_id, repeat FROM observations WHERE replay_id = ?) o "
        "ON o.call_id = p.call_id AND o.repeat = r.repeat "
        "WHERE p.replay_id = ? ORDER BY r.repeat, p.batch, p.rank",
        (repeats, replay_id, replay_id),
    )
    return [(row["call_id"], row["repeat"]) for row in rows]


def requests_of(store: Store, call_ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return native id and request (as JSON) of calls."""
    found = store.each(
        lambda call_id, native_id, request: (call_id, (native_id, request)),
        "SELECT call_id, native_id, request FROM calls WHERE call_id IN (SELECT unnest(?::VARCHAR[]))",
        (list(call_ids),),
    )
    return dict(found)


def observation_row(observation: Observation) -> dict[str, Any]:
    """Return an observation as a row of its table, or of a part."""
    output = observation.output
    return {
        "replay_id": observation.replay_id,
        "call_id": observation.call_id,
        "repeat": observation.repeat,
        "output": to_json(output).decode(),
        "text": output.text,
        "error_kind": output.error.kind.value if output.error else None,
        "attempts": observation.attempts,
        "latency_ms": None if output.latency_ms is None else float(output.latency_ms),
        "input_tokens": output.usage.input_tokens,
        "output_tokens": output.usage.output_tokens,
        "started_at": observation.started_at,
    }


@dataclass(frozen=True, slots=True)
class Tally:
    """What a replay has so far. `planned` and `done` count (call, repeat)."""

    calls: int = 0
    batches: int = 0
    planned: int = 0
    done: int = 0
    errors: dict[str, int] | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float | None = None
    last_event: str = ""
    last_detail: dict[str, Any] | None = None
    last_event_at: datetime | None = None


def tally(store: Store, replay: ReplayRow) -> Tally:
    """Count what a replay planned and what it has."""
    plan = store.rows(
        "SELECT count(*) AS calls, coalesce(max(batch), 0) AS batches FROM replay_calls WHERE replay_id = ?",
        (replay.replay_id,),
    )[0]
    found = store.rows(
        "SELECT count(*) AS done, coalesce(sum(input_tokens), 0)::BIGINT AS input_tokens, "
        "coalesce(sum(output_tokens), 0)::BIGINT AS output_tokens, "
        "median(latency_ms) AS latency_ms FROM observations WHERE replay_id = ?",
        (replay.replay_id,),
    )[0]
    errors = store.rows(
        "SELECT error_kind, count(*) AS n FROM observations "
        "WHERE replay_id = ? AND error_kind IS NOT NULL GROUP BY error_kind ORDER BY error_kind",
        (replay.replay_id,),
    )
    events = store.rows(
        "SELECT event, detail, created_at FROM replay_events WHERE replay_id = ? ORDER BY seq DESC LIMIT 1",
        (replay.replay_id,),
    )
    last: dict[str, Any] = events[0] if events else {"event": "", "detail": "{}", "created_at": None}
    return Tally(
        calls=plan["calls"],
        batches=plan["batches"],
        planned=plan["calls"] * replay.repeats,
        errors={row["error_kind"]: row["n"] for row in errors},
        last_event=last["event"],
        last_detail=msgspec.json.decode(last["detail"]),
        last_event_at=last["created_at"],
        **found,
    )


def typical_latency_ms(store: Store, fingerprint: str) -> float | None:
    """Return the median latency of a candidate's earlier answers, or None without any."""
    value = store.value(
        "SELECT median(o.latency_ms) FROM observations o JOIN replays r USING (replay_id) "
        "WHERE r.candidate_fingerprint = ? AND o.error_kind IS NULL",
        (fingerprint,),
    )
    return None if value is None else float(value)
