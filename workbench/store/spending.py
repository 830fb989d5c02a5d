"""What a replay has read and written so far, as far as its cost goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.records import ErrorKind, Output
from workbench.store import Store
from workbench.store.call_costs import cached_tokens

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


def is_metered(output: Output) -> bool:
    """Say whether an output came with counts of tokens that can be.

    No request is of no tokens, and no answer either: zeros are a server's way to count nothing.
    """
    usage = output.usage
    if usage.input_tokens is None or usage.output_tokens is None:
        return False
    wrote = output.text or output.tool_calls or output.reasoning
    return usage.input_tokens + (usage.cached_input_tokens or 0) > 0 and (
        usage.output_tokens > 0 or not wrote
    )


@dataclass(frozen=True, slots=True)
class Spending:
    """Tokens of all observations of a replay, failed ones included.

    `metered` of them came with counts of tokens (`is_metered`), for requests of so many characters.
    `unmetered` observations came without counts of tokens that can be, though the model may have
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
        "WITH told AS (SELECT o.input_tokens, o.output_tokens, o.text, length(c.request) AS characters, "  # noqa: S608 - a constant
        f"{cached_tokens('o.output')} AS cached, "
        "o.error_kind IS NULL OR list_contains(?::VARCHAR[], o.error_kind) AS billed, "
        "length(coalesce(o.text, '')) > 0 OR length(coalesce(o.output ->> '$.reasoning', '')) > 0 "
        "OR coalesce(json_array_length(o.output, '$.tool_calls'), 0) > 0 AS wrote "
        "FROM observations o JOIN calls c USING (call_id) WHERE o.replay_id = ?), "
        # As `is_metered` says it of an output.
        "seen AS (SELECT *, coalesce(input_tokens + coalesce(cached, 0) > 0 "
        "AND (output_tokens > 0 OR (output_tokens = 0 AND NOT wrote)), false) AS metered FROM told) "
        "SELECT coalesce(sum(input_tokens) FILTER (metered), 0)::BIGINT AS input_tokens, "
        "coalesce(sum(cached) FILTER (metered), 0)::BIGINT AS cached_input_tokens, "
        "coalesce(sum(output_tokens) FILTER (metered), 0)::BIGINT AS output_tokens, "
        "count(*) FILTER (metered) AS metered, "
        "coalesce(sum(characters) FILTER (metered), 0)::BIGINT AS metered_characters, "
        "count(*) FILTER (billed AND NOT metered) AS unmetered, "
        "coalesce(sum(characters) FILTER (billed AND NOT metered), 0)::BIGINT AS unmetered_characters, "
        "coalesce(sum(length(text)) FILTER (billed AND NOT metered), 0)::BIGINT "
        "AS unmetered_text_characters FROM seen",
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
