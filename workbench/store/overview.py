"""What the overview reads: one aggregate a task, or a task and candidate, whatever the store holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from workbench import access
from workbench.access import requires_somewhere
from workbench.costing.pricing import ModelPrice
from workbench.normal import content_hash, naive_utc
from workbench.roles import Right
from workbench.store.call_costs import PRICES, at_batch_price, by_model, logged_cost, price_parameters
from workbench.store.conflicting import not_in_conflict
from workbench.store.engine import literal, quoted
from workbench.store.marked import parameters, without
from workbench.store.remembered import remembered
from workbench.store.replays import LIVE
from workbench.store.traffic_days import RATES_DIFFER

if TYPE_CHECKING:
    from workbench.store import Store

Pair = tuple[str, str]
"""A task and a candidate's fingerprint."""

BY_REPLAY = ("comparisons", "labels", "observations", "replay_calls")
BY_PAIR = ("draws", "latency_probes", "replays", "traffic_checks")
BY_TASK = ("calls", "noise_floors", "task_moves")
FOR_ALL = (
    "asked_controls",
    "candidates",
    "conflict_resolutions",
    "conflicts",
    "controls",
    "gold",
    "manifests",
    "undone_imports",
)
BY_DRAW = ("leases",)
WATCHED = frozenset((*BY_REPLAY, *BY_PAIR, *BY_TASK, *FOR_ALL, *BY_DRAW))
"""Tables that a decision, its money or its ages are made from."""

UNWATCHED = frozenset(
    (
        # What was accepted stands in the key of the row itself (ui/standing.py).
        *(
            "accesses",
            "ramp_decisions",
            "absorbed_parts",
            "embeddings",
            "imported_labels",
            "judge_runs",
            "judge_votes",
        ),
        *(
            "late_facts",
            "latency_probe_calls",
            "guideline_texts",
            "openings",
            "profile_calls",
            "profiles",
            "rejects",
            "replay_events",
        ),
        "workbench_migrations",
    )
)
"""Tables that change nothing of it, or never without one of the others."""


def stamps(store: Store, *, lapse_after: timedelta, now: datetime) -> dict[Pair, str]:
    """Return, for each task and candidate that was replayed, what changes whenever its evidence may have.

    Rows are only ever added, or taken out with a count that changes, so that counts and the newest
    sequence numbers of the tables say enough. Draws that nobody answers count as harm once their lease
    is over: how many are over is part of it.

    Args:
        store: Where to read.
        lapse_after: How long a draw may wait before it lapses.
        now: The present, in UTC.

    Returns:
        A hash by (task, fingerprint).
    """
    moment = naive_utc(now)
    numbered = {
        row["table_name"]: bool(row["numbered"])
        for row in store.rows(
            """SELECT table_name, max((column_name = 'seq')::INT) AS numbered FROM duckdb_columns()
               WHERE NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables()) GROUP BY 1"""
        )
    }
    # What nobody has thought of yet counts for every pair.
    unknown = numbered.keys() - WATCHED - UNWATCHED
    parts = [_newest(name, numbered[name]) for name in sorted((*FOR_ALL, *unknown))]
    parts += [
        f"SELECT '{name}', task, NULL, count(*), max(seq) FROM {name} GROUP BY task"  # noqa: S608 - constants, here and below
        for name in BY_TASK
    ]
    # Whether candidates were tried on the same calls depends on the others' replays, too.
    parts.append(
        """SELECT 'compared', task, NULL, count(*), count(DISTINCT candidate_fingerprint) FROM replays
           WHERE replay_id IN (SELECT replay_id FROM comparisons) GROUP BY task"""
    )
    for name in BY_REPLAY:
        last = "max(seq)" if numbered[name] else "0"
        parts.append(
            f"""SELECT '{name}', r.task, r.candidate_fingerprint, sum(t.n), max(t.last)
                FROM (SELECT replay_id, count(*) AS n, {last} AS last FROM {name} GROUP BY replay_id) t
                JOIN replays r USING (replay_id) GROUP BY ALL"""  # noqa: S608
        )
    parts += [
        f"SELECT '{name}', task, candidate_fingerprint, count(*), max(seq) FROM {name} GROUP BY ALL"  # noqa: S608
        for name in BY_PAIR
    ]
    parts.append(
        """SELECT 'leases', d.task, d.candidate_fingerprint,
                  count(*) FILTER (WHERE l.expires_at <= $now), max(l.seq)
           FROM leases l JOIN draws d USING (draw_id) GROUP BY ALL"""
    )
    parts.append(
        """SELECT 'waited', task, candidate_fingerprint, count(*), 0 FROM draws
           WHERE created_at <= $lapsing GROUP BY ALL"""
    )
    # One statement: of twenty, each would wait for its turn beside other visitors.
    whole = f"FROM ({' UNION ALL '.join(parts)}) AS t (name, task, fingerprint, n, last) ORDER BY ALL"
    every: list[Any] = []
    tasks: dict[str, list[Any]] = {}
    found: dict[Pair, list[Any]] = {}
    for row in store.rows(whole, {"now": moment, "lapsing": moment - lapse_after}):
        said = (row["name"], row["n"], row["last"])
        if row["task"] is None:
            every.append(said)
        elif row["fingerprint"] is None:
            tasks.setdefault(row["task"], []).append(said)
        else:
            found.setdefault((row["task"], row["fingerprint"]), []).append(said)
    return {
        pair: content_hash("overview", repr((every, tasks.get(pair[0], []), mine)))
        for pair, mine in found.items()
    }


def _newest(name: str, numbered: bool) -> str:
    last = "max(seq)" if numbered else "0"
    return f"SELECT {literal(name)}, NULL, NULL, count(*), {last} FROM {quoted(name)}"  # noqa: S608


@requires_somewhere(*Right)
def compared(store: Store) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Return how much was compared, of every task and candidate at once.

    Returns:
        Compared calls and those that differ, by (task, fingerprint, evaluator version).
    """
    rows = store.rows(
        """
        SELECT r.task, r.candidate_fingerprint AS fingerprint, m.evaluator_version AS version,
               count(*) AS n, count(*) FILTER (WHERE m.verdict = 'mismatch') AS differing
        FROM comparisons m JOIN replays r USING (replay_id)
        WHERE m.repeat = 0 AND m.verdict <> 'uncomparable' GROUP BY ALL
        """
    )
    actor = access.current()
    return {
        (row["task"], row["fingerprint"], row["version"]): (int(row["n"]), int(row["differing"]))
        for row in rows
        if actor.rights(row["task"])
    }


def labelled(store: Store) -> dict[Pair, int]:
    """Return how many labels by people stand, by (task, fingerprint)."""
    rows = store.rows(
        """
        SELECT r.task, r.candidate_fingerprint AS fingerprint, count(*) AS n
        FROM labels l JOIN replays r USING (replay_id)
        WHERE l.verdict IS NOT NULL AND l.source <> 'gold'
          AND l.label_id NOT IN (SELECT supersedes FROM labels WHERE supersedes IS NOT NULL)
        GROUP BY ALL
        """
    )
    return {(row["task"], row["fingerprint"]): int(row["n"]) for row in rows}


def ages(store: Store, task: str, fingerprint: str) -> dict[str, Any]:
    """Return when something last happened to a task and a candidate, in UTC without a zone.

    Returns:
        last_call_at, last_replay_at, last_label_at, and `newer`: calls with a frontier answer that were
        stored after the candidate's last replay was planned.
    """
    return store.rows(
        f"""
        WITH mine AS (
            SELECT replay_id, seq, json_exists(plan, '$.{LIVE}') AS is_live FROM replays
            WHERE task = $task AND candidate_fingerprint = $fingerprint
        )
        SELECT (SELECT max(occurred_at) FROM calls WHERE task = $task) AS last_call_at,
               (SELECT max(e.created_at) FROM replay_events e JOIN mine USING (replay_id)) AS last_replay_at,
               (SELECT max(l.created_at) FROM labels l JOIN mine USING (replay_id)
                WHERE l.verdict IS NOT NULL AND l.source <> 'gold') AS last_label_at,
               (SELECT count(*) FROM calls c JOIN frontier_outputs k USING (call_id)
                WHERE c.task = $task AND c.served_by IS NULL
                  AND c.seq > (SELECT max(seq) FROM mine WHERE NOT is_live)) AS newer
        """,  # noqa: S608 - a constant
        {"task": task, "fingerprint": fingerprint},
    )[0]


def control_costs(
    store: Store, task: str, prices: Sequence[ModelPrice], exclude: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return what the recorded frontier answers of a task cost by model, the commonest first.

    Args:
        store: Where to read.
        task: The task.
        prices: The newest price of each model.
        exclude: Calls with one of these marks are left out.

    Returns:
        Rows of the columns of `call_costs.by_model`; the model is empty where it has no name.
    """
    question = ("control_costs", task, *prices, *exclude)
    found: list[dict[str, Any]] = remembered(
        store, question, lambda: _control_costs(store, task, prices, exclude), len
    )
    return [dict(row) for row in found]


def _control_costs(
    store: Store, task: str, prices: Sequence[ModelPrice], exclude: Sequence[str]
) -> list[dict[str, Any]]:
    usable = not_in_conflict(store, "c")
    return store.rows(
        f"""
        WITH {PRICES},
        rates AS (
            SELECT {RATES_DIFFER} AS differ FROM calls c
            WHERE task = $task AND {usable} {without(exclude)}
        ),
        found AS (
            SELECT c.task AS workload,
                   coalesce(json_extract_string(k.output, '$.model'), c.model, '') AS model, k.error_kind,
                   k.input_tokens AS i, coalesce(k.cached_input_tokens, 0) AS c, k.output_tokens AS o,
                   {logged_cost("k.output")} AS logged, {at_batch_price("k.marks")} AS batched,
                   CASE WHEN (SELECT differ FROM rates) THEN 1 / c.sampling_rate ELSE 1 END AS w
            FROM calls c JOIN frontier_outputs k USING (call_id)
            WHERE c.task = $task AND {usable} {without(exclude)}
        ),
        {by_model("found")}
        SELECT * FROM by_model ORDER BY calls DESC, model
        """,  # noqa: S608 -- constants
        {**parameters(task, exclude), **price_parameters(prices)},
    )
