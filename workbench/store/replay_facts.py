"""What a replay's answers say of the server that gave them: times, pace, errors; and two replays together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from workbench import access
from workbench.access import requires
from workbench.roles import Right
from workbench.store import accesses
from workbench.store.call_costs import cached_tokens
from workbench.store.conflicting import not_in_conflict
from workbench.store.labels import task_of_replay

if TYPE_CHECKING:
    from workbench.store import Store

TIME_BINS = 40
PERCENTILES = (0.5, 0.95, 0.99)
EXAMPLES = 3
MESSAGE_CHARS = 400


def _task(given: Mapping[str, Any]) -> str | None:
    return task_of_replay(given["store"], given["replay_id"])


@dataclass(frozen=True, slots=True)
class Times:
    """How long a replay's answers took, at the pace at which it asked.

    `counts` are of the bins between `edges` (ms), the last one open at the top. `percentiles` are p50,
    p95 and p99 in ms, `timed` the answers they are of; errors have no time.
    """

    timed: int
    percentiles: tuple[float, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """Answers and errors of a replay over time: in each stretch of `step_s` seconds from `begun_at` on.

    Stretches without any are left out, so that the hours between two runs are none.
    """

    begun_at: datetime
    step_s: float
    offsets_s: tuple[float, ...]
    answered: tuple[int, ...]
    failed: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ErrorExample:
    """One call without a usable answer."""

    call_id: str
    native_id: str
    message: str
    attempts: int


@dataclass(frozen=True, slots=True)
class ErrorKindCount:
    """How many calls of a replay came to one kind of error, and a few of them."""

    kind: str
    calls: int
    examples: tuple[ErrorExample, ...]


@requires(Right.SEE, Right.REPLAY, task=_task)
def times_of(store: Store, replay_id: str) -> Times:
    """Return how long the answers of a replay took.

    Args:
        store: Where to read.
        replay_id: Which replay.
    """
    head = store.rows(
        """SELECT count(latency_ms) AS n, quantile_cont(latency_ms, [0.5, 0.95, 0.99]) AS percentiles,
                  max(latency_ms) AS longest
           FROM observations
           WHERE replay_id = ? AND error_kind IS NULL AND latency_ms >= 0 AND isfinite(latency_ms)""",
        [replay_id],
    )[0]
    if not head["n"]:
        return Times(0, (), (), ())
    # Beyond the 99th percentile a single straggler would leave one bar of all others.
    top = max(float(head["percentiles"][2]) * 1.1, 1e-9)
    width = top / TIME_BINS
    found = store.rows(
        """SELECT least(?, CAST(floor(latency_ms / ?) AS INTEGER)) AS place, count(*) AS n
           FROM observations
           WHERE replay_id = ? AND error_kind IS NULL AND latency_ms >= 0 AND isfinite(latency_ms)
           GROUP BY place""",
        [TIME_BINS, width, replay_id],
    )
    counts = {row["place"]: row["n"] for row in found}
    return Times(
        timed=int(head["n"]),
        percentiles=tuple(map(float, head["percentiles"])),
        edges=tuple(width * place for place in range(TIME_BINS + 1)),
        counts=tuple(counts.get(place, 0) for place in range(TIME_BINS + 1)),
    )


@requires(Right.SEE, Right.REPLAY, task=_task)
def pace_of(store: Store, replay_id: str, stretches: int = 60) -> Pace | None:
    """Return how many answers came when; None where no time is recorded.

    Args:
        store: Where to read.
        replay_id: Which replay.
        stretches: About so many over the whole span.
    """
    ended = "started_at + to_milliseconds(CAST(coalesce(latency_ms, 0) AS BIGINT))"
    head = store.rows(
        f"""SELECT min(started_at) AS first, epoch(max({ended}) - min(started_at)) AS span_s
            FROM observations WHERE replay_id = ? AND started_at IS NOT NULL""",  # noqa: S608 - fixed text
        [replay_id],
    )[0]
    if head["first"] is None:
        return None
    step_s = max(1.0, float(head["span_s"] or 0) / stretches)
    found = store.rows(
        f"""SELECT CAST(floor(epoch({ended} - CAST(? AS TIMESTAMP)) / ?) AS BIGINT) AS place,
                   count(*) FILTER (WHERE error_kind IS NULL) AS answered,
                   count(*) FILTER (WHERE error_kind IS NOT NULL) AS failed
            FROM observations WHERE replay_id = ? AND started_at IS NOT NULL
            GROUP BY place ORDER BY place""",  # noqa: S608 - fixed text
        [head["first"], step_s, replay_id],
    )
    return Pace(
        begun_at=head["first"],
        step_s=step_s,
        offsets_s=tuple(row["place"] * step_s for row in found),
        answered=tuple(row["answered"] for row in found),
        failed=tuple(row["failed"] for row in found),
    )


@requires(Right.SEE, Right.REPLAY, task=_task)
def errors_of(store: Store, replay_id: str, examples: int = EXAMPLES) -> list[ErrorKindCount]:
    """Return the errors of a replay by kind, the commonest first, each with its earliest examples.

    A server may quote in its error what it was asked: whoever may neither read nor replay gets no message.

    Args:
        store: Where to read.
        replay_id: Which replay.
        examples: Of each kind.
    """
    found = store.rows(
        """WITH failed AS (
               SELECT o.call_id, o.error_kind, o.attempts, o.output, o.seq,
                      count(*) OVER (PARTITION BY o.error_kind) AS n
               FROM observations o WHERE o.replay_id = ? AND o.error_kind IS NOT NULL
               QUALIFY row_number() OVER (PARTITION BY o.error_kind ORDER BY o.seq) <= ?
           )
           SELECT f.*, c.native_id FROM failed f LEFT JOIN calls c USING (call_id)
           ORDER BY f.n DESC, f.error_kind, f.seq""",
        [replay_id, examples],
    )
    task = task_of_replay(store, replay_id)
    reads = access.may(Right.READ, task) or access.may(Right.REPLAY, task)
    if reads:
        accesses.viewed(store, accesses.Kind.CASE, task, [row["call_id"] for row in found])
    kinds: dict[str, list[ErrorExample]] = {}
    counts: dict[str, int] = {}
    for row in found:
        counts[row["error_kind"]] = row["n"]
        kinds.setdefault(row["error_kind"], []).append(
            ErrorExample(
                row["call_id"],
                row["native_id"] or "",
                _message(row["output"]) if reads else "",
                row["attempts"],
            )
        )
    return [ErrorKindCount(kind, counts[kind], tuple(each)) for kind, each in kinds.items()]


def _message(output: str) -> str:
    error = msgspec.json.decode(output).get("error") or {}
    return str(error.get("message") or "")[:MESSAGE_CHARS]


def side_by_side(store: Store, replay_ids: Sequence[str], version: str) -> dict[str, Any]:
    """Return what two replays of one task say of the calls that both of them asked (repeat 0).

    Args:
        store: Where to read.
        replay_ids: The two.
        version: The evaluator version under which they are compared.

    Returns:
        shared, only_a and only_b (calls); compared (both under this version), both, a_alone, b_alone
        and neither (of these, where the candidate agrees with the frontier, an ignored difference too);
        and of each side `a` and `b` an object of answered, failed, timed, p50_ms, p95_ms, input_tokens,
        cached_input_tokens, output_tokens, metered over the shared calls.
    """
    first, second = replay_ids
    head = store.rows(
        """WITH a AS (SELECT call_id FROM observations WHERE replay_id = ? AND repeat = 0),
                b AS (SELECT call_id FROM observations WHERE replay_id = ? AND repeat = 0)
           SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM b) AS b,
                  (SELECT count(*) FROM a SEMI JOIN b USING (call_id)) AS shared""",
        [first, second],
    )[0]
    outcome = store.rows(
        f"""SELECT count(*) AS compared,
                  count(*) FILTER (WHERE x.agrees AND y.agrees) AS both,
                  count(*) FILTER (WHERE x.agrees AND NOT y.agrees) AS a_alone,
                  count(*) FILTER (WHERE y.agrees AND NOT x.agrees) AS b_alone,
                  count(*) FILTER (WHERE NOT x.agrees AND NOT y.agrees) AS neither
           FROM (SELECT call_id, verdict <> 'mismatch' AS agrees FROM comparisons
                 WHERE replay_id = ? AND repeat = 0 AND evaluator_version = ? AND verdict <> 'uncomparable') x
           JOIN (SELECT call_id, verdict <> 'mismatch' AS agrees FROM comparisons
                 WHERE replay_id = ? AND repeat = 0 AND evaluator_version = ? AND verdict <> 'uncomparable') y
           USING (call_id)
           WHERE {not_in_conflict(store, "x")}""",  # noqa: S608 - fixed text
        [first, version, second, version],
    )[0]
    sides = [
        store.rows(
            f"""SELECT count(*) FILTER (WHERE error_kind IS NULL) AS answered,
                      count(*) FILTER (WHERE error_kind IS NOT NULL) AS failed,
                      count(latency_ms) FILTER (WHERE error_kind IS NULL) AS timed,
                      quantile_cont(latency_ms, 0.5) FILTER (WHERE error_kind IS NULL) AS p50_ms,
                      quantile_cont(latency_ms, 0.95) FILTER (WHERE error_kind IS NULL) AS p95_ms,
                      coalesce(sum(input_tokens) FILTER (WHERE metered), 0)::BIGINT AS input_tokens,
                      coalesce(sum(cached) FILTER (WHERE metered), 0)::BIGINT AS cached_input_tokens,
                      coalesce(sum(output_tokens) FILTER (WHERE metered), 0)::BIGINT AS output_tokens,
                      count(*) FILTER (WHERE metered) AS metered
               FROM (SELECT *, input_tokens IS NOT NULL AND output_tokens IS NOT NULL AS metered,
                            {cached_tokens("output")}
                                AS cached
                     FROM observations WHERE replay_id = ? AND repeat = 0)
               SEMI JOIN (SELECT call_id FROM observations WHERE replay_id = ? AND repeat = 0)
               USING (call_id)""",  # noqa: S608 - a constant
            [mine, other],
        )[0]
        for mine, other in ((first, second), (second, first))
    ]
    return {
        "shared": head["shared"],
        "only_a": head["a"] - head["shared"],
        "only_b": head["b"] - head["shared"],
        **outcome,
        "a": sides[0],
        "b": sides[1],
    }
