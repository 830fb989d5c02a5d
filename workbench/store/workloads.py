"""Traffic by workload: a task, or a mined template of calls without one. Aggregates alone leave the store."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.access import requires
from workbench.costing.pricing import ModelPrice
from workbench.records import UNASSIGNED
from workbench.roles import Right
from workbench.store import Store, accesses, traffic_days
from workbench.store.call_costs import (
    PRICES,
    at_batch_price,
    by_model,
    cached_tokens,
    logged_cost,
    price_parameters,
)
from workbench.store.marked import EXCLUDED
from workbench.store.traffic_days import RATES_DIFFER

LABEL_CHARS = 60
SHORT_ANSWERS = 400
NOT_WHOLE = ["refusal", "truncated"]
"""Marks of answers that say nothing of what a workload's answers are."""
WRITTEN_AT_ONCE = 50_000
"""Rows of one transaction: some 20 ms, so that a label in between isn't held up."""
PERCENTILE_CALLS, PERCENTILES_OF = 2_000_000, 50_000
"""In more calls than these altogether, the percentiles of a workload rest on so many of its calls."""
ABANDONED_S = 24 * 3600.0

USABLE = "call_id NOT IN (SELECT call_id FROM conflicts)"

# The rows of an unfinished profile are never asked for: its id stands nowhere. Whoever needs an answer joins
# what is needed of it: whole answers of all calls would go through the memory of a join, or to the disk.
TRAFFIC = f"""
    traffic AS (
        SELECT c.*, CASE WHEN c.task <> '{UNASSIGNED}' THEN c.task
                         ELSE coalesce(p.workload, '{UNASSIGNED}') END AS workload
        FROM calls c
        LEFT JOIN (SELECT call_seq, workload FROM profile_calls WHERE profile_id = $profile) p
          ON p.call_seq = c.seq
        WHERE p.workload IS DISTINCT FROM '{EXCLUDED}' AND c.{USABLE}
    )
"""  # noqa: S608 -- a constant

_MEASURED = f"""
    {TRAFFIC},
    draws AS (SELECT unnest($drawn::VARCHAR[]) AS workload, unnest($below::VARCHAR[]) AS below),
    measured AS (
        SELECT t.*, below, below IS NULL OR t.call_id < below AS drawn, k.*
        FROM traffic t LEFT JOIN draws USING (workload) LEFT JOIN (
            SELECT call_id AS answered, input_tokens AS control_input_tokens,
                   cached_input_tokens AS control_cached_input_tokens,
                   output_tokens AS control_output_tokens, latency_ms AS control_latency_ms,
                   if(text IS NULL, NULL, hash(text)) AS text_hash
            FROM controls
        ) k ON k.answered = t.call_id
    )
"""  # noqa: S608 -- a constant

_WEIGHT = "CASE WHEN list_contains($weighted::VARCHAR[], workload) THEN 1 / sampling_rate ELSE 1 END"

_LATENCIES = {"latency_p50_ms": 0.5, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}
_TOKENS_IN = "(control_input_tokens + coalesce(control_cached_input_tokens, 0))"


def new_profile_id(now_s: float | None = None) -> str:
    """Return an id for a profile that begins now; ids sort by their time, given in seconds."""
    at = time.time() if now_s is None else now_s
    return f"profile-{int(at * 1000):014d}-{uuid.uuid4().hex[:8]}"


def newest_call(store: Store) -> int:
    """Return the seq of the newest call, 0 without any."""
    return int(store.value("SELECT coalesce(max(seq), 0) FROM calls"))


def without_task(store: Store) -> int:
    """Return how many usable calls no task takes."""
    sql = f"SELECT count(*) FROM calls WHERE task = ? AND {USABLE}"  # noqa: S608 -- constants, here and below
    return int(store.value(sql, (UNASSIGNED,)))


def first_without_task(store: Store) -> int:
    """Return the seq of the first call that no task takes, or 0."""
    return int(store.value("SELECT coalesce(min(seq), 0) FROM calls WHERE task = ?", (UNASSIGNED,)))


def write_workloads(
    store: Store, profile_id: str, seqs: NDArray[np.int64], places: NDArray[np.int32], names: Sequence[str]
) -> None:
    """Write the workload of each call, a part at a time; nobody sees them before the profile is there.

    `seqs` and `places` are those of each call, in the same order; a place is one of `names`.
    """
    words = pa.array(names, pa.string())
    for start in range(0, len(seqs), WRITTEN_AT_ONCE):
        part = slice(start, start + WRITTEN_AT_ONCE)
        coded = pa.DictionaryArray.from_arrays(pa.array(places[part], pa.int32()), words)
        own = coded.cast(pa.string())
        ids = pa.array([profile_id] * len(own), pa.string())
        store.append(
            "profile_calls",
            pa.table({"profile_id": ids, "call_seq": pa.array(seqs[part], pa.int64()), "workload": own}),
        )


def write_profile(store: Store, profile_id: str, fingerprint: str, last_call: int, report: str) -> None:
    """Make a profile the one that counts, and take away the calls of all others."""
    with store.writing() as writer:
        writer.append(
            "profiles",
            [
                {
                    "profile_id": profile_id,
                    "fingerprint": fingerprint,
                    "last_call": last_call,
                    "report": report,
                    "created_at": datetime.now(UTC),
                }
            ],
        )
        # Another profile may be at work: its calls stay. What a killed one left goes after a day.
        writer.execute(
            "DELETE FROM profile_calls WHERE profile_id <> $own AND "
            "(profile_id < $old OR profile_id IN (SELECT profile_id FROM profiles))",
            {"own": profile_id, "old": new_profile_id(time.time() - ABANDONED_S)},
        )
        writer.execute("DELETE FROM profiles WHERE profile_id <> ?", (profile_id,))


def newest_profile(store: Store) -> dict[str, Any] | None:
    """Return the profile that counts: profile_id, fingerprint, last_call, report, created_at; or None."""
    rows = store.rows(
        "SELECT profile_id, fingerprint, last_call, report, created_at "
        "FROM profiles ORDER BY seq DESC LIMIT 1"
    )
    return rows[0] if rows else None


def move_calls(store: Store, task: str, seqs: Sequence[int]) -> int:
    """Give calls without a task to one; those in a replay stay. Return how many were moved."""
    moved = 0
    for start in range(0, len(seqs), WRITTEN_AT_ONCE):
        part = list(seqs[start : start + WRITTEN_AT_ONCE])
        with store.writing() as writer:
            there = (
                "seq IN (SELECT unnest(?)) AND task = ? AND call_id NOT IN (SELECT call_id FROM replay_calls)"
            )
            count = int(writer.value(f"SELECT count(*) FROM calls WHERE {there}", (part, UNASSIGNED)))  # noqa: S608
            if not count:
                continue
            writer.execute(f"UPDATE calls SET task = ? WHERE {there}", (task, part, UNASSIGNED))  # noqa: S608
            move = {"task": task, "from_task": UNASSIGNED, "calls": count, "created_at": datetime.now(UTC)}
            writer.append("task_moves", [move])
            moved += count
    return moved


def weighted(store: Store, profile_id: str) -> list[str]:
    """Return the workloads whose calls were logged at different rates, all of them known."""
    return store.each(
        str,
        f"WITH {TRAFFIC} SELECT workload FROM traffic GROUP BY workload HAVING {RATES_DIFFER} ORDER BY ALL",  # noqa: S608
        {"profile": profile_id},
    )


def totals(store: Store, profile_id: str, weighted: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return a row of counts, sums, shares and quantiles for each workload, most calls first.

    Args:
        store: Where to read.
        profile_id: The profile that names the workloads.
        weighted: Workloads of which a logged call counts as 1 / its sampling rate, in all but counts, the
            most turns and the share of duplicates.
    """
    values = {"profile": profile_id, "weighted": list(weighted), **_percentile_draws(store, profile_id)}
    rows = store.rows(
        f"""
        WITH {_MEASURED}, weighed AS (SELECT *, {_WEIGHT} AS w, {_TOKENS_IN} AS tokens_in FROM measured)
        SELECT workload, any_value(task) AS task, count(*) AS calls, count(answered) AS answers,
               min(occurred_at) AS first_at, max(occurred_at) AS last_at,
               count(occurred_at) AS dated, count(sampling_rate) AS rated,
               min(sampling_rate) AS rate_low, max(sampling_rate) AS rate_high, sum(w) AS weight,
               {_mean("tokens_in")} AS input_tokens, {_mean("control_output_tokens")} AS output_tokens,
               -- Who names cached tokens leaves them out where there are none; who never does says nothing.
               CASE WHEN count(control_cached_input_tokens) > 0
                    THEN sum(w * control_cached_input_tokens) FILTER (control_input_tokens IS NOT NULL)
                         / nullif(sum(w * tokens_in), 0)
               END AS cached_share,
               {_mean("input_chars")} AS input_chars,
               -- Together, since each keeps all its values.
               quantile_cont(control_latency_ms, [0.5, 0.95, 0.99]) FILTER (drawn) AS latency_ms,
               count(control_latency_ms) AS latencies,
               quantile_cont(turn_depth, 0.5) FILTER (drawn) AS turns_p50,
               nullif(count(*) FILTER (call_id < below), 0) AS percentiles_of, max(turn_depth) AS turns_max,
               {_mean("(turn_depth > 1)::INTEGER")} AS multi_turn_share,
               {_mean("(tool_count > 0)::INTEGER")} AS tool_share,
               1 - count(DISTINCT request_hash) / count(*) AS duplicate_share,
               approx_count_distinct(text_hash) AS distinct_answers
        FROM weighed GROUP BY workload ORDER BY calls DESC, workload
        """,  # noqa: S608
        values,
    )
    quantiles = _weighted_quantiles(store, values)
    for row in rows:
        row.update(zip(_LATENCIES, row.pop("latency_ms") or (None,) * 3, strict=True))
    return [row | quantiles.get(row["workload"], {}) for row in rows]


def _percentile_draws(store: Store, profile_id: str) -> dict[str, list[str]]:
    """Return which calls percentiles rest on where there are too many: exact ones keep a value of each.

    Returns:
        Values of `_MEASURED`: of each such workload, the hash below which calls are drawn; it names them at
        random.
    """
    found: dict[str, list[str]] = {"drawn": [], "below": []}
    if int(store.value("SELECT count(*) FROM calls")) > PERCENTILE_CALLS:
        sql = f"WITH {TRAFFIC} SELECT workload, count(*) AS n FROM traffic GROUP BY ALL ORDER BY ALL"  # noqa: S608
        for row in store.rows(sql, {"profile": profile_id}):
            if row["n"] > PERCENTILES_OF:
                found["drawn"].append(row["workload"])
                found["below"].append(f"{16**8 * PERCENTILES_OF // row['n']:08x}")
    return found


def _weighted_quantiles(store: Store, values: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the quantiles of `totals` of some workloads: the least value that reaches the share of calls."""
    weighted = values["weighted"]
    found: dict[str, dict[str, float | None]] = {name: {} for name in weighted}
    wanted = [
        *(("control_latency_ms", share, name) for name, share in _LATENCIES.items()),
        ("turn_depth", 0.5, "turns_p50"),
    ]
    for value, share, name in wanted if weighted else ():
        rows = store.rows(
            f"""
            WITH {_MEASURED},
            added AS (
                SELECT workload, {value} AS value,
                       sum(1 / sampling_rate) OVER (PARTITION BY workload ORDER BY {value}) AS so_far,
                       sum(1 / sampling_rate) OVER (PARTITION BY workload) AS whole
                FROM measured
                WHERE drawn AND list_contains($weighted::VARCHAR[], workload) AND {value} IS NOT NULL
            )
            SELECT workload, min(value) FILTER (so_far >= {share} * whole * (1 - 1e-12)) AS value
            FROM added GROUP BY workload
            """,  # noqa: S608
            values,
        )
        for row in rows:
            found[row["workload"]][name] = float(row["value"])
    return found


def _mean(value: str) -> str:
    return f"(sum(w * ({value})) / sum(w) FILTER (({value}) IS NOT NULL))"


def daily_traffic(store: Store, profile_id: str) -> list[dict[str, Any]]:
    """Return the calls of each of the last days of every workload, as `traffic_days.daily` does."""
    return traffic_days.daily(store, TRAFFIC, {"profile": profile_id})


def model_costs(
    store: Store, profile_id: str, prices: Sequence[ModelPrice], weighted: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return tokens and costs by workload and model.

    Args:
        store: Where to read.
        profile_id: The profile that names the workloads.
        prices: The newest price of each model.
        weighted: As for `totals`.

    Returns:
        Rows of workload and the columns of `call_costs.by_model`, the commonest model first.
    """
    return store.rows(
        f"""
        WITH {TRAFFIC}, {PRICES},
        found AS (
            SELECT workload, coalesce(answered_by, model, '') AS model, k.* EXCLUDE (call_id, answered_by),
                   {_WEIGHT} AS w
            FROM traffic t JOIN (
                SELECT call_id, json_extract_string(output, '$.model') AS answered_by, error_kind,
                       input_tokens AS i, coalesce(cached_input_tokens, 0) AS c, output_tokens AS o,
                       {logged_cost("output")} AS logged, {at_batch_price("marks")} AS batched
                FROM controls
            ) k ON k.call_id = t.call_id
        ),
        {by_model("found")}
        SELECT * FROM by_model ORDER BY workload, calls DESC, model
        """,  # noqa: S608
        {"profile": profile_id, "weighted": list(weighted), **price_parameters(prices)},
    )


def languages(store: Store, profile_id: str, most: int = 12) -> list[dict[str, Any]]:
    """Return the most frequent languages of each workload: workload, language (None unknown), calls."""
    return store.rows(
        f"""
        WITH {TRAFFIC}
        SELECT workload, language, count(*) AS calls FROM traffic GROUP BY workload, language
        QUALIFY row_number() OVER (PARTITION BY workload ORDER BY count(*) DESC, language) <= $most
        ORDER BY workload, calls DESC, language
        """,  # noqa: S608
        {"profile": profile_id, "most": most},
    )


def short_answers(store: Store, profile_id: str) -> list[dict[str, Any]]:
    """Return the most frequent short answers of each workload: workload, text, calls, is_whole.

    An answer that is not whole is a refusal or was cut short wherever it was given.
    """
    return store.rows(
        f"""
        WITH {TRAFFIC}
        SELECT workload, text, count(*) AS calls, bool_or(whole) AS is_whole
        FROM traffic JOIN (
            SELECT call_id, text, error_kind IS NULL AND NOT list_has_any(marks, $not_whole) AS whole
            FROM controls WHERE length(text) <= {LABEL_CHARS}
        ) USING (call_id)
        GROUP BY workload, text
        QUALIFY row_number() OVER (PARTITION BY workload ORDER BY count(*) DESC, text)
                <= {SHORT_ANSWERS}
        ORDER BY workload, calls DESC, text
        """,  # noqa: S608
        {"profile": profile_id, "not_whole": NOT_WHOLE},
    )


def weekly_mix(store: Store, profile_id: str, weeks: int = 12) -> list[dict[str, Any]]:
    """Return calls by week, language and size: workload, week, language, size (log2 of characters), calls."""
    return store.rows(
        f"""
        WITH {TRAFFIC}
        SELECT workload, date_trunc('week', occurred_at)::DATE AS week, coalesce(language, '') AS language,
               floor(log2(greatest(input_chars, 1)))::INTEGER AS size, count(*) AS calls
        FROM traffic
        WHERE occurred_at > (SELECT max(occurred_at) FROM calls WHERE {USABLE}) - to_weeks($weeks::INTEGER)
        GROUP BY ALL ORDER BY ALL
        """,  # noqa: S608
        {"profile": profile_id, "weeks": weeks},
    )


@requires(Right.READ, task="workload")
def workload_page(
    store: Store, profile_id: str, workload: str, *, limit: int = 50, offset: int = 0
) -> list[dict[str, Any]]:
    """Return a page of a workload's calls for a table, newest import last."""
    found = store.rows(
        f"""
        WITH {TRAFFIC},
        page AS (SELECT seq FROM traffic WHERE workload = $workload ORDER BY seq LIMIT $limit OFFSET $offset)
        SELECT call_id, native_id, source, occurred_at, model, language, input_chars, turn_depth, tool_count,
               request, control, left(control_text, 500) AS control_text, control_error_kind,
               control_latency_ms, control_input_tokens, control_output_tokens
        FROM usable_calls WHERE seq IN (SELECT seq FROM page) ORDER BY seq
        """,  # noqa: S608
        {"profile": profile_id, "workload": workload, "limit": limit, "offset": offset},
    )
    accesses.viewed(store, accesses.Kind.TRAFFIC, workload, [row["call_id"] for row in found])
    return found


UNPRICED = (0.0, 0.0, 0.0)
"""Stands for a price that is not known: what a call costs is then not to be read."""


def candidate_costs(
    store: Store, task: str, fingerprint: str, version: str, price: tuple[float, float, float]
) -> dict[str, Any]:
    """Return what a candidate's answers took: tokens, cost of a call, and how many fell back.

    Args:
        store: Where to read.
        task: The task.
        fingerprint: Of the candidate.
        version: Of the evaluator: what it calls invalid falls back.
        price: US dollars per million tokens of input, cached input and output.

    Returns:
        calls, measured (with tokens), tokens and usd (means of those), usd_deviation, judged, fallen.
    """
    return store.rows(
        f"""
        WITH mine AS (
            SELECT replay_id FROM replays WHERE task = $task AND candidate_fingerprint = $fingerprint
        ),
        counted AS (
            SELECT count(*) AS calls, count(i + o) AS measured, avg(i + c + o) AS tokens, avg(usd) AS usd,
                   coalesce(stddev_samp(usd), 0) AS usd_deviation
            FROM (
                SELECT input_tokens AS i, output_tokens AS o, coalesce({cached_tokens("output")}, 0) AS c,
                       (i * $pi + c * $pc + o * $po) / 1e6 AS usd
                FROM observations WHERE repeat = 0 AND replay_id IN (FROM mine)
            )
        ),
        compared AS (
            SELECT replay_id, call_id, invalid FROM comparisons
            WHERE repeat = 0 AND evaluator_version = $version AND replay_id IN (FROM mine)
        ),
        -- What was compared says itself whether it falls back; of the rest, what failed does.
        unheard AS (
            SELECT count(*) AS n FROM (
                SELECT replay_id, call_id FROM observations
                WHERE repeat = 0 AND error_kind IS NOT NULL AND replay_id IN (FROM mine)
            ) ANTI JOIN compared USING (replay_id, call_id)
        )
        SELECT *, calls AS judged,
               (SELECT n FROM unheard) + (SELECT count(*) FROM compared WHERE invalid) AS fallen
        FROM counted
        """,  # noqa: S608 - a constant
        {
            "task": task,
            "fingerprint": fingerprint,
            "version": version,
            "pi": price[0],
            "pc": price[1],
            "po": price[2],
        },
    )[0]
