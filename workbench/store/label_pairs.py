"""Pairs of answers that differ in nothing a label's verdict depends on, judged once and stored for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.store.comparisons import AUDIT_ORDER, NO_PARTS, PENDING, PLANNED

if TYPE_CHECKING:
    from workbench.store import Store

_KINDS = {
    "has_control": "c.control IS NOT NULL",
    "control_text": "c.control_text",
    "control_error": "c.control_error_kind",
    "control_finish": "json_extract_string(c.control, '$.finish_reason')",
    "control_flags": "json_extract_string(c.control, '$.flags')",
    "text": "o.text",
    "error_kind": "o.error_kind",
}
"""All that a label's verdict depends on."""
_JUDGED = {
    "verdict": "VARCHAR",
    "score": "DOUBLE",
    "reason": "VARCHAR",
    "identical": "BOOLEAN",
    "invalid": "BOOLEAN",
    "ignored_by": "VARCHAR",
    "control_group": "VARCHAR",
    "candidate_group": "VARCHAR",
    "flags": "VARCHAR[]",
    "details": "VARCHAR",
}
_EVERY = (1 << 63) - 1

_NAMES = ", ".join(_KINDS)
_WANTED = ", ".join(f"{sql} AS {name}" for name, sql in _KINDS.items())
_PAIRS = f"""
pairs AS (
    SELECT o.seq, o.replay_id, o.call_id, o.repeat, c.seq AS call_seq, {_WANTED} {PENDING} AND o.seq <= ?
),
kinds AS (SELECT min(seq) AS first, count(*) AS n, {_NAMES} FROM pairs GROUP BY {_NAMES})
"""  # noqa: S608 - constants of this module


def waiting_until(store: Store, task: str, fingerprint: str, version: str, *, limit: int) -> int:
    """Return the `seq` up to which so many observations wait to be compared."""
    found = store.value(
        f"SELECT max(seq) FROM (SELECT o.seq {PENDING} ORDER BY o.seq LIMIT ?)",  # noqa: S608 - a constant
        (task, fingerprint, 0, version, limit),
    )
    return int(found or 0)


def waiting(
    store: Store, task: str, fingerprint: str, version: str, *, until: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return the kinds of pairs that wait to be compared, in the order in which each first came in.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: The candidate's.
        version: The evaluator version.
        until: `seq` of the last observation that counts; None for all.
        limit: Kinds at most.

    Returns:
        Rows of first (`seq` of the first pair), n (how many pairs), has_control, control_text,
        control_error, control_finish, control_flags, text, error_kind.
    """
    return store.rows(
        f"WITH {_PAIRS} SELECT * FROM kinds ORDER BY first LIMIT ?",  # noqa: S608 - a constant
        (task, fingerprint, 0, version, _EVERY if until is None else until, limit),
    )


def add(
    store: Store,
    task: str,
    fingerprint: str,
    version: str,
    *,
    until: int | None,
    judged: Sequence[dict[str, Any]],
) -> None:
    """Store the verdict of each kind for all pairs of that kind which wait to be compared.

    Args:
        store: Where to write.
        task: The task.
        fingerprint: The candidate's.
        version: The evaluator version.
        until: As it was given to `waiting`.
        judged: The kind's `first`, and what a comparison holds.
    """
    shape = msgspec.json.encode([{"first": "BIGINT"} | _JUDGED]).decode()
    # No ON CONFLICT: what is compared already is not among the pairs, and with it one thread alone inserts.
    same = " AND ".join(f"o.{name} IS NOT DISTINCT FROM k.{name}" for name in _KINDS)
    with store.writing() as writer:
        writer.execute(
            f"""
            INSERT INTO comparisons (replay_id, call_id, repeat, evaluator_version, {", ".join(_JUDGED)},
                                     call_seq, observation_seq, batch, audit_order, parts)
            WITH {_PAIRS},
            verdicts AS (SELECT unnest(from_json(?, '{shape}'), recursive := true))
            SELECT o.replay_id, o.call_id, o.repeat, ?, {", ".join(f"v.{name}" for name in _JUDGED)},
                   o.call_seq, o.seq, p.batch, {AUDIT_ORDER}, '{NO_PARTS}'
            FROM verdicts v JOIN kinds k ON k.first = v.first JOIN pairs o ON {same} {PLANNED}
            """,  # noqa: S608 - constants of this module
            (
                *(task, fingerprint, 0, version, _EVERY if until is None else until),
                *(msgspec.json.encode(judged).decode(), version),
            ),
        )
