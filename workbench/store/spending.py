"""What a replay has read and written so far, as far as its cost goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.records import ErrorKind
from workbench.store import Store

BILLED = frozenset(
    (
        ErrorKind.TIMEOUT,
        ErrorKind.INVALID_RESPONSE,
        ErrorKind.EMPTY,
        ErrorKind.CONTENT_FILTER,
        ErrorKind.WRONG_MODEL,
        ErrorKind.NOT_A_NUMBER,
    )
)
"""Failures after which the model may have read and written all the same."""


@dataclass(frozen=True, slots=True)
class Spending:
    """Tokens of all observations of a replay, failed ones included.

    `metered` of them came with counts of tokens, for requests of so many characters.
    `unmetered` observations came without counts of tokens, though the model may have
    worked; the lengths of their requests and answers stand in for them.
    `unrecorded_usd` is what runs noted of calls that left no observation.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    metered: int = 0
    metered_characters: int = 0
    unmetered: int = 0
    unmetered_characters: int = 0
    unmetered_text_characters: int = 0
    unrecorded_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the frontier model read and wrote for some calls; `unknown` of them log no tokens."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    characters: int = 0
    unknown: int = 0
    unknown_characters: int = 0
    unknown_text_characters: int = 0


def spending(store: Store, replay_id: str) -> Spending:
    """Return what a replay has read and written so far."""
    row = store.rows(
        "WITH seen AS (SELECT o.input_tokens, o.output_tokens, o.text, length(c.request) AS characters, "
        "TRY_CAST(json_extract_string(o.output, '$.usage.cached_input_tokens') AS BIGINT) AS cached, "
        "o.input_tokens IS NULL AND "
        "(o.error_kind IS NULL OR list_contains(?::VARCHAR[], o.error_kind)) AS unmetered "
        "FROM observations o JOIN calls c USING (call_id) WHERE o.replay_id = ?) "
        "SELECT coalesce(sum(input_tokens), 0)::BIGINT AS input_tokens, "
        "coalesce(sum(cached), 0)::BIGINT AS cached_input_tokens, "
        "coalesce(sum(output_tokens), 0)::BIGINT AS output_tokens, "
        "count(input_tokens) AS metered, "
        "coalesce(sum(characters) FILTER (input_tokens IS NOT NULL), 0)::BIGINT AS metered_characters, "
        "count(*) FILTER (unmetered) AS unmetered, "
        "coalesce(sum(characters) FILTER (unmetered), 0)::BIGINT AS unmetered_characters, "
        "coalesce(sum(length(text)) FILTER (unmetered), 0)::BIGINT AS unmetered_text_characters FROM seen",
        (sorted(BILLED), replay_id),
    )[0]
    unrecorded = store.value(
        "SELECT coalesce(sum(CAST(json_extract_string(detail, '$.unrecorded_usd') AS DOUBLE)), 0.0) "
        "FROM replay_events WHERE replay_id = ?",
        (replay_id,),
    )
    return Spending(**row, unrecorded_usd=float(unrecorded))


def recorded(store: Store, call_ids: Sequence[str]) -> Recorded:
    """Return what the frontier model read and wrote for some calls."""
    row = store.rows(
        "WITH seen AS (SELECT control_input_tokens + coalesce(control_cached_input_tokens, 0) AS input, "
        "control_output_tokens AS output, length(request) AS characters, "
        "length(coalesce(control_text, CAST(control AS VARCHAR))) AS text_characters, "
        "control_input_tokens IS NULL OR control_output_tokens IS NULL AS unknown "
        "FROM usable_calls WHERE call_id IN (SELECT unnest(?::VARCHAR[]))) "
        "SELECT count(*) AS calls, "
        "coalesce(sum(input) FILTER (NOT unknown), 0)::BIGINT AS input_tokens, "
        "coalesce(sum(output) FILTER (NOT unknown), 0)::BIGINT AS output_tokens, "
        "coalesce(sum(characters), 0)::BIGINT AS characters, "
        "count(*) FILTER (unknown) AS unknown, "
        "coalesce(sum(characters) FILTER (unknown), 0)::BIGINT AS unknown_characters, "
        "coalesce(sum(text_characters) FILTER (unknown), 0)::BIGINT AS unknown_text_characters FROM seen",
        (list(call_ids),),
    )[0]
    return Recorded(**row)


def retried(store: Store, replay_id: str) -> dict[str, int]:
    """Return how many attempts of a replay were given up and made again, by kind of failure."""
    rows = store.rows(
        "SELECT kind, count(*) AS n FROM (SELECT unnest(string_split(retried, ',')) AS kind "
        "FROM observations WHERE replay_id = ? AND retried IS NOT NULL) GROUP BY kind ORDER BY kind",
        (replay_id,),
    )
    return {row["kind"]: row["n"] for row in rows}


def last_pace(store: Store, fingerprint: str, at_least: int = 20) -> float | None:
    """Return the calls a second of a candidate's last run of some length, or None without one."""
    value = store.value(
        "SELECT answered / seconds FROM (SELECT e.seq, "
        "TRY_CAST(json_extract_string(e.detail, '$.answered') AS DOUBLE) AS answered, "
        "TRY_CAST(json_extract_string(e.detail, '$.seconds') AS DOUBLE) AS seconds "
        "FROM replay_events e JOIN replays r USING (replay_id) WHERE r.candidate_fingerprint = ?) "
        "WHERE answered >= ? AND seconds > 0 ORDER BY seq DESC LIMIT 1",
        (fingerprint, at_least),
    )
    return None if value is None else float(value)
