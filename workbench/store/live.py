"""Calls that a candidate served itself, and what the frontier says when it is asked for some of them.

The sample belongs to two replays: the asking, whose answers are the frontier's, and the candidate's live
replay, whose observations are the answers that stand in the log. What is compared, labelled and bounded
later is the second, like any other replay.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.store.call_costs import cached_tokens
from workbench.store.conflicting import not_in_conflict
from workbench.store.replays import (
    ASKING,
    FRAME_COLUMNS,
    LIVE,
    FrameRow,
    ReplayRow,
    frame_row,
    replays_of,
)

if TYPE_CHECKING:
    from workbench.store import Store, Writer

OF_LIVE = f"replay_id IN (SELECT replay_id FROM replays WHERE json_exists(plan, '$.{LIVE}'))"  # noqa: S608
"""Holds of a candidate's answers that come from the log."""

_FOLLOW = "UPDATE controls SET served_by = c.served_by FROM calls c WHERE c.call_id = controls.call_id"


def mark_answers(writer: Writer, manifest_id: str) -> None:
    """Say of the answers that an import brought to earlier calls who gave them."""
    writer.execute(
        f"{_FOLLOW} AND controls.manifest_id = ? AND c.served_by IS NOT NULL",
        (manifest_id,),
    )


def mark_answers_of(writer: Writer, call_ids: Sequence[str]) -> None:
    """Say of the answers of calls who gave them, after either was written anew."""
    writer.execute(f"{_FOLLOW} AND c.call_id IN (SELECT unnest(?::VARCHAR[]))", [list(call_ids)])


def changed(writer: Writer, call_ids: Sequence[str], new_requests: Collection[str]) -> None:
    """Follow a change of calls: what was asked for another request goes, and so does an answer that is none.

    The calls stay in their live sample, and get their observations again when that is settled.

    Args:
        writer: The open transaction.
        call_ids: The calls.
        new_requests: Those of them that hold another request.
    """
    mark_answers_of(writer, call_ids)
    among = "call_id IN (SELECT unnest(?::VARCHAR[]))"
    writer.execute(f"DELETE FROM asked_controls WHERE {among}", [list(new_requests)])  # noqa: S608
    as_before = [each for each in call_ids if each not in new_requests]
    writer.execute(f"DELETE FROM observations WHERE {among} AND {OF_LIVE}", [as_before])  # noqa: S608


def served_calls(store: Store, task: str, candidate: str, since: datetime) -> list[FrameRow]:
    """Return the usable calls that a candidate served and answered, in order of id.

    Args:
        store: Where to read.
        task: The task.
        candidate: Its name.
        since: Only calls from this time on (UTC without a zone): a call of unknown time may be older.
    """
    return store.each(
        frame_row,
        f"""
        SELECT {FRAME_COLUMNS}
        FROM calls c
        WHERE c.task = ? AND c.served_by = ? AND c.occurred_at >= ?
          AND {not_in_conflict(store, "c")}
          AND c.call_id IN (SELECT call_id FROM controls WHERE served_by IS NOT NULL)
        ORDER BY c.call_id
        """,  # noqa: S608 - constants
        (task, candidate, since),
    )


def already_asked(store: Store, call_ids: Collection[str]) -> dict[str, str | None]:
    """Return which of some calls the frontier was asked for, each with the kind of error it gave, if any."""
    found = store.rows(
        "SELECT call_id, error_kind FROM asked_controls WHERE call_id IN (SELECT unnest(?::VARCHAR[]))",
        (list(call_ids),),
    )
    return {row["call_id"]: row["error_kind"] for row in found}


def asking_of(store: Store, task: str, fingerprint: str) -> ReplayRow | None:
    """Return the replay that asks the frontier for a candidate's live calls, or None."""
    found = [row for row in replays_of(store, task, live=True) if row.plan.get(ASKING) == fingerprint]
    return found[-1] if found else None


def live_replay_of(store: Store, task: str, fingerprint: str) -> ReplayRow | None:
    """Return the live replay of a candidate, or None."""
    found = [row for row in replays_of(store, task, fingerprint, live=True) if LIVE in row.plan]
    return found[-1] if found else None


def settle(store: Store, asking: ReplayRow, candidate: str, fingerprint: str) -> int:
    """Keep what the frontier answered, and set the candidate's own answers beside it.

    The same again does nothing.

    Args:
        store: Where to write, with all parts loaded.
        asking: The replay that asked.
        candidate: The candidate's name.
        fingerprint: Its fingerprint.

    Returns:
        How many answers of the candidate can be compared that could not before.
    """
    known = live_replay_of(store, asking.task, fingerprint)
    replay_id = known.replay_id if known else f"live-{asking.replay_id}"
    with store.writing() as writer:
        _keep_answers(writer, asking.replay_id)
        if known is None:
            writer.append("replays", [_live_row(asking, replay_id, candidate, fingerprint)])
        writer.execute(
            """
            INSERT INTO replay_calls (replay_id, call_id, batch, rank, audit_key, inclusion_probability)
            SELECT ?, call_id, batch, rank, audit_key, inclusion_probability FROM replay_calls
            WHERE replay_id = ?
              AND call_id NOT IN (SELECT call_id FROM replay_calls WHERE replay_id = ?)
            """,
            (replay_id, asking.replay_id, replay_id),
        )
        waiting = """
            FROM asked_controls a
            JOIN controls k ON k.call_id = a.call_id AND k.served_by IS NOT NULL
            JOIN calls c ON c.call_id = a.call_id
            WHERE a.replay_id = ?
              AND a.call_id NOT IN (SELECT call_id FROM observations WHERE replay_id = ?)
        """
        both = (asking.replay_id, replay_id)
        count = int(writer.value(f"SELECT count(*) {waiting}", both))
        writer.execute(
            f"""
            INSERT INTO observations (replay_id, call_id, repeat, output, text, error_kind, attempts,
                                      latency_ms, input_tokens, output_tokens, started_at)
            SELECT ?, a.call_id, 0, k.output, k.text, k.error_kind, 1, k.latency_ms, k.input_tokens,
                   k.output_tokens, c.occurred_at
            {waiting} ORDER BY c.occurred_at, a.call_id
            """,
            (replay_id, *both),
        )
    return count


def _keep_answers(writer: Writer, asking: str) -> None:
    writer.execute(
        f"""
        INSERT INTO asked_controls (call_id, replay_id, output, text, error_kind, latency_ms, input_tokens,
                                    cached_input_tokens, output_tokens)
        SELECT o.call_id, o.replay_id, o.output, o.text, o.error_kind, o.latency_ms, o.input_tokens,
               {cached_tokens("o.output")},
               o.output_tokens
        FROM observations o
        WHERE o.replay_id = ? AND o.repeat = 0
          AND o.call_id NOT IN (SELECT call_id FROM asked_controls)
          AND o.call_id IN (SELECT call_id FROM calls WHERE served_by IS NOT NULL)
        """,  # noqa: S608 - a constant
        (asking,),
    )


def _live_row(asking: ReplayRow, replay_id: str, candidate: str, fingerprint: str) -> dict[str, Any]:
    return {
        "replay_id": replay_id,
        "task": asking.task,
        "candidate": candidate,
        "candidate_fingerprint": fingerprint,
        "seed": asking.seed,
        "repeats": 1,
        "plan": msgspec.json.encode({LIVE: True, "asking": asking.replay_id}).decode(),
        "created_at": datetime.now(UTC),
    }
