"""Calls shown to a candidate as solved examples, and what must not be drawn beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workbench.normal import naive_utc
from workbench.store import Store

_ALIKE = """
WITH last_message AS (
    SELECT call_id, list_filter(
        json_extract(request, '$.messages[*]'), lambda m: json_extract_string(m, '$.role') = 'user'
    )[-1] AS message
    FROM usable_calls WHERE task = ?
),
last_text AS (
    SELECT call_id, trim(regexp_replace(lower(nfc_normalize(
        CASE json_type(message, '$.content')
            WHEN 'VARCHAR' THEN json_extract_string(message, '$.content')
            ELSE array_to_string(json_extract_string(message, '$.content[*].text'), ' ')
        END)), '[^\\p{L}\\p{M}\\p{N}]+', ' ', 'g')) AS words
    FROM last_message
)
SELECT call_id FROM last_text
WHERE words <> '' AND words IN (
    SELECT words FROM last_text WHERE call_id IN (SELECT unnest(?::VARCHAR[])))
"""
"""Calls that end on the same user message; case, white space and punctuation are no difference."""

SESSION_MOST = 100
"""A session of more calls is no conversation, but a user's or a job's id."""

_SAME_SESSION = """
SELECT call_id FROM usable_calls WHERE task = $1 AND session_id IN (
    SELECT session_id FROM usable_calls WHERE task = $1 AND session_id IN (
        SELECT session_id FROM calls WHERE call_id IN (SELECT unnest($2::VARCHAR[])))
    GROUP BY session_id HAVING count(*) <= $3)
"""

_FREE = """
WITH taken AS (
    SELECT DISTINCT request_hash FROM calls WHERE task = $1 AND (
        call_id IN (SELECT call_id FROM replay_calls)
        OR call_id IN (SELECT call_id FROM gold) OR call_id IN (SELECT call_id FROM labels))
)
SELECT call_id, coalesce(control_text, '') AS text FROM usable_calls
WHERE task = $1 AND control IS NOT NULL AND control_error_kind IS NULL
  AND NOT list_has_any(control_marks, ['truncated', 'refusal'])
  AND list_contains(json_extract_string(request, '$.messages[*].role'), 'user')
  AND request_hash NOT IN (SELECT request_hash FROM taken)
QUALIFY row_number() OVER (PARTITION BY request_hash ORDER BY call_id) = 1
ORDER BY call_id
"""


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """A call that is named as an example, with all that could speak against it."""

    call_id: str
    native_id: str
    source: str
    task: str
    request: str
    request_hash: str
    control: str | None
    in_conflict: bool


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Calls that must not be drawn: the same request as an example, or only its last message or session."""

    same: frozenset[str]
    alike: frozenset[str]


def find_named(store: Store, ids: Sequence[str]) -> list[ExampleRow]:
    """Return every call that one of the ids names, as its own id or as the log's, usable or not."""
    rows = store.rows(
        "SELECT c.call_id, c.native_id, c.source, c.task, c.request, c.request_hash, k.output AS control, "
        "c.call_id IN (SELECT call_id FROM conflicts) AS in_conflict "
        "FROM calls c LEFT JOIN frontier_outputs k USING (call_id) "
        "WHERE c.call_id IN (SELECT unnest($1::VARCHAR[])) OR c.native_id IN (SELECT unnest($1::VARCHAR[])) "
        "ORDER BY c.seq",
        (list(ids),),
    )
    return [ExampleRow(**row) for row in rows]


def held_out(store: Store, task: str, examples: Sequence[str]) -> HeldOut:
    """Return which calls of a task an example gives away.

    Args:
        store: The store.
        task: The task.
        examples: Ids of the calls shown (`call_id`).
    """
    same = store.rows(
        "SELECT call_id FROM usable_calls WHERE task = ? AND request_hash IN "
        "(SELECT request_hash FROM calls WHERE call_id IN (SELECT unnest(?::VARCHAR[])))",
        (task, list(examples)),
    )
    alike = store.rows(_ALIKE, (task, list(examples)))
    alike += store.rows(_SAME_SESSION, (task, list(examples), SESSION_MOST))
    found = frozenset(row["call_id"] for row in same)
    return HeldOut(found, frozenset(row["call_id"] for row in alike) - found)


def evaluated(store: Store, task: str, examples: Sequence[str]) -> dict[str, list[str]]:
    """Return what examples, or calls with the same request, were already evaluated by.

    Returns:
        For each such example: names of candidates replayed on it, `gold`, `label`.
    """
    rows = store.rows(
        """
        WITH twins AS (
            SELECT e.call_id AS example, t.call_id
            FROM calls e JOIN calls t ON t.request_hash = e.request_hash AND t.task = e.task
            WHERE e.call_id IN (SELECT unnest(?::VARCHAR[]))
        )
        SELECT example, 'replayed through ' || r.candidate AS why
        FROM twins JOIN replay_calls p USING (call_id) JOIN replays r USING (replay_id) WHERE r.task = ?
        UNION SELECT example, 'has a gold answer' FROM twins JOIN gold USING (call_id)
        UNION SELECT example, 'was labelled' FROM twins JOIN labels USING (call_id)
        ORDER BY example, why
        """,
        (list(examples), task),
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["example"], []).append(row["why"])
    return found


def shown_before(store: Store, task: str) -> set[str]:
    """Return the ids of calls that candidates replayed on a task are shown, as their patches name them."""
    found = store.rows(
        "SELECT DISTINCT unnest(json_extract_string(c.spec, '$.patch.examples[*]')) AS name "
        "FROM candidates c JOIN replays r ON r.candidate_fingerprint = c.fingerprint WHERE r.task = ?",
        (task,),
    )
    return {row["name"] for row in found}


def changed_since(store: Store, call_ids: Sequence[str], since: datetime) -> bool:
    """Say whether one of some calls took the place of another version of it after a moment (in UTC)."""
    return bool(
        store.value(
            "SELECT count(*) FROM conflict_resolutions WHERE kept <> 'stored' AND resolved_at > ? "
            "AND call_id IN (SELECT unnest(?::VARCHAR[]))",
            (naive_utc(since), list(call_ids)),
        )
    )


def free_calls(store: Store, task: str) -> list[tuple[str, str]]:
    """Return the calls of a task that may become examples, with the text of their control.

    No sample holds them or a call with the same request, nobody labelled them, no gold
    answer is known, and their control is a whole answer. Of calls with the same request
    one is returned.
    """
    return [(row["call_id"], row["text"]) for row in store.rows(_FREE, (task,))]


def count_systems(store: Store, task: str) -> int:
    """Return how many different first messages of the system a task's calls have."""
    return int(
        store.value(
            "SELECT count(DISTINCT md5(json_extract_string(request, '$.messages[0].content'))) "
            "FROM usable_calls WHERE task = ? "
            "AND json_extract_string(request, '$.messages[0].role') IN ('system', 'developer')",
            (task,),
        )
        or 0
    )
