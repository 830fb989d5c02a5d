"""The cases of one candidate: counted, filtered, paged and read, in DuckDB alone.

What a filter says is a parameter, see `case_filter`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench import access
from workbench.access import requires
from workbench.records import Output, Request, Verdict, from_json
from workbench.roles import Right
from workbench.specs import SliceRule
from workbench.store import accesses
from workbench.store.case_filter import (
    INVALID,
    LABELLED,
    CaseFilter,
    Pool,
    compared,
    filtered,
    key_of,
)
from workbench.store.conflicting import not_in_conflict
from workbench.store.slicing import entry_of

if TYPE_CHECKING:
    from workbench.store import Store

__all__ = [
    "DIFFERING",
    "INVALID",
    "LEAST_SIMILAR",
    "MOST_SIMILAR",
    "ORDERS",
    "PAGE_SIZE",
    "Case",
    "CaseFilter",
    "CaseRow",
    "Pool",
    "ScoreBin",
    "case",
    "case_page",
    "compared_versions",
    "each_case",
    "entry_verdicts",
    "matching",
    "score_bins",
]

PAGE_SIZE = 50
PREVIEW_CHARS = 200
WHOLE_CHARS = 4_000
"""Characters of a stored output without text up to which a list of cases reads it."""
_OUTPUTS = ("control_output", "candidate_output")
DIFFERING, LEAST_SIMILAR, MOST_SIMILAR = "differing", "least-similar", "most-similar"
ORDERS = {
    DIFFERING: f"x.verdict <> '{Verdict.MISMATCH}', x.replay_seq, x.place",
    LEAST_SIMILAR: "x.score ASC NULLS LAST, x.replay_seq, x.place",
    MOST_SIMILAR: "x.score DESC NULLS LAST, x.replay_seq, x.place",
}
"""What a list of cases may be ordered by; `place` is the order in which they were compared."""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One line of the list of cases.

    `control` and `candidate` begin the two answers; of one without text, such as a tool call or an error,
    the output itself is there unless it is very long.
    """

    replay_id: str
    call_id: str
    native_id: str
    verdict: str
    score: float | None
    reason: str
    language: str | None
    control: str
    candidate: str
    flags: tuple[str, ...]
    label: str | None
    control_output: Output | None = None
    candidate_output: Output | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One call with both answers and how they compare."""

    replay_id: str
    call_id: str
    native_id: str
    source: str
    occurred_at: datetime | None
    language: str | None
    request: Request
    control: Output | None
    observed: Output
    verdict: str
    score: float | None
    reason: str
    identical: bool
    invalid: bool
    flags: tuple[str, ...]
    details: dict[str, Any]
    ignored_by: str | None


@requires(Right.SEE, Right.READ)
def compared_versions(store: Store, task: str, candidate_fingerprint: str) -> dict[str, int]:
    """Return how many comparisons each evaluator version has, so that a page can say what is stale."""
    found = store.rows(
        """SELECT x.evaluator_version AS version, count(*) AS n
           FROM comparisons x JOIN replays r USING (replay_id)
           WHERE r.task = ? AND r.candidate_fingerprint = ? AND x.repeat = 0 GROUP BY ALL""",
        [task, candidate_fingerprint],
    )
    return {row["version"]: row["n"] for row in found}


@requires(Right.SEE, Right.READ, task=lambda given: given["pool"].task)
def matching(store: Store, pool: Pool, chosen: CaseFilter) -> int:
    """Return how many cases a filter leaves. What texts hold and people said takes the right to read."""
    if chosen.search or chosen.label:
        access.require(Right.READ, task=pool.task)
    source, values = filtered(pool, chosen)
    sql = f"SELECT count(*) FROM {compared(store, pool)} x {source}"  # noqa: S608
    return int(store.value(sql, [*key_of(pool), *values]))


@requires(Right.READ, task=lambda given: given["pool"].task)
def case_page(
    store: Store,
    pool: Pool,
    chosen: CaseFilter,
    *,
    page: int = 1,
    size: int = PAGE_SIZE,
    order: str = DIFFERING,
    chars: int = PREVIEW_CHARS,
) -> list[CaseRow]:
    """Return one page of cases, by default disagreements first within the order of replay and call.

    Args:
        store: Where to read.
        pool: The comparisons the page is about.
        chosen: What to show of them.
        page: From 1.
        size: Rows of a page.
        order: One of `ORDERS`.
        chars: Characters of each answer.
    """
    source, values = filtered(pool, chosen)
    picked = store.rows(
        f"""SELECT x.replay_id, x.call_id, x.call_seq, x.observation_seq, x.verdict, x.score, x.reason,
                   x.flags
            FROM {compared(store, pool)} x {source}
            ORDER BY {ORDERS[order]} LIMIT ? OFFSET ?""",  # noqa: S608
        [*key_of(pool), *values, size, (max(1, page) - 1) * size],
    )
    told = _with_contents(
        store,
        picked,
        "c.native_id, c.language, left(coalesce(k.text, k.output, ''), $chars) AS control,"
        " left(coalesce(o.text, o.error_kind, o.output, ''), $chars) AS candidate,"
        " CASE WHEN k.text IS NULL THEN left(k.output, $whole) END AS control_output,"
        " CASE WHEN o.text IS NULL THEN left(o.output, $whole) END AS candidate_output",
        chars=chars,
        whole=WHOLE_CHARS,
    )
    accesses.viewed(store, accesses.Kind.CASES, pool.task, [row["call_id"] for row in picked])
    return [
        CaseRow(**(row | {"flags": tuple(row["flags"])} | {each: _output(row[each]) for each in _OUTPUTS}))
        for row in told
    ]


def _output(stored: str | None) -> Output | None:
    """Return an output as it was stored, or None where it is cut off."""
    return from_json(stored, Output) if stored and len(stored) < WHOLE_CHARS else None


@requires(Right.READ, task=lambda given: given["pool"].task)
def case(store: Store, pool: Pool, call_id: str) -> Case | None:
    """Return one case of a pool, or None where it does not belong to it."""
    found = store.rows(
        f"""SELECT x.replay_id, x.call_id, x.call_seq, x.observation_seq, x.verdict, x.score, x.reason,
                   x.identical, x.invalid, x.flags, x.details, x.ignored_by
            FROM {compared(store, pool, one_call=True)} x""",  # noqa: S608
        [*key_of(pool), call_id],
    )
    if not found:
        return None
    accesses.viewed(store, accesses.Kind.CASE, pool.task, [call_id])
    (row,) = _with_contents(
        store,
        found,
        "c.native_id, c.source, c.occurred_at, c.language, c.request, k.output AS control,"
        " o.output AS observed",
    )
    return Case(
        replay_id=row["replay_id"],
        call_id=row["call_id"],
        native_id=row["native_id"],
        source=row["source"],
        occurred_at=row["occurred_at"],
        language=row["language"],
        request=from_json(row["request"], Request),
        control=from_json(row["control"], Output) if row["control"] else None,
        observed=from_json(row["observed"], Output),
        verdict=row["verdict"],
        score=row["score"],
        reason=row["reason"],
        identical=row["identical"],
        invalid=row["invalid"],
        flags=tuple(row["flags"]),
        details=json.loads(row["details"]),
        ignored_by=row["ignored_by"],
    )


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """How many cases have a score of `low` to `high`, by verdict, and what people said of them."""

    low: float
    high: float
    verdicts: dict[str, int]
    labels: dict[str, int]

    @property
    def cases(self) -> int:
        """Return how many cases have such a score."""
        return sum(self.verdicts.values())

    @property
    def labelled(self) -> int:
        """Return of how many of them a person said something."""
        return sum(self.labels.values())


@requires(Right.SEE, Right.READ, task=lambda given: given["pool"].task)
def score_bins(store: Store, pool: Pool, bins: int = 20) -> list[ScoreBin]:
    """Return the scores of a pool in bins of equal width over 0..1, with the labels of each.

    Args:
        store: Where to read.
        pool: The comparisons.
        bins: How many; scores outside 0..1 fall into the first or the last.
    """
    found = store.rows(
        f"""SELECT least(?, greatest(0, CAST(floor(x.score * ?) AS INTEGER))) AS place,
                   x.verdict, j.verdict AS label, count(*) AS n
            FROM {compared(store, pool)} x
            LEFT JOIN ({LABELLED}) j ON j.replay_id = x.replay_id AND j.call_id = x.call_id
            WHERE x.score IS NOT NULL AND NOT isnan(x.score) GROUP BY ALL""",  # noqa: S608
        [bins - 1, bins, *key_of(pool)],
    )
    verdicts: list[dict[str, int]] = [{} for _ in range(bins)]
    labels: list[dict[str, int]] = [{} for _ in range(bins)]
    for row in found:
        place = row["place"]
        verdicts[place][row["verdict"]] = verdicts[place].get(row["verdict"], 0) + row["n"]
        if row["label"]:
            labels[place][row["label"]] = labels[place].get(row["label"], 0) + row["n"]
    return [
        ScoreBin(place / bins, (place + 1) / bins, verdicts[place], labels[place]) for place in range(bins)
    ]


@requires(Right.SEE, Right.READ, task=lambda given: given["pool"].task)
def entry_verdicts(store: Store, pool: Pool, rule: SliceRule) -> list[tuple[Any, str, int]]:
    """Return how many cases have each entry of a slice and each verdict.

    Args:
        store: Where to read.
        pool: The comparisons.
        rule: What the calls are split by; see `slicing` for the values that entries stand for.
    """
    expression, values = entry_of(rule)
    scope = compared(store, pool)
    gap = f"SELECT EXISTS (SELECT 1 FROM {scope} x WHERE x.call_seq IS NULL)"  # noqa: S608
    # By number, in half the time; of a million ids two have one hash in one of 30 million stores.
    same = "hash(c.call_id) = hash(x.call_id)" if store.value(gap, key_of(pool)) else "c.seq = x.call_seq"
    return store.each(
        lambda entry, verdict, n: (entry, verdict, n),
        f"""SELECT {expression} AS entry, x.verdict, count(*) AS n
            FROM {scope} x
            JOIN calls c ON {same} WHERE c.task = ? AND {not_in_conflict(store, "c")} GROUP BY ALL""",  # noqa: S608
        [*values, *key_of(pool), pool.task],
    )


def each_case(store: Store, pool: Pool, chosen: CaseFilter, *, size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield every case that a filter leaves, whole texts included, in batches.

    Each batch is a query of its own, so that nobody waits for the reader; a case that is added
    meanwhile may or may not be among them, none comes twice.

    Args:
        store: Where to read.
        pool: The comparisons.
        chosen: What of them.
        size: Rows of a batch.
    """
    source, values = filtered(pool, chosen)
    keys = f"(x.verdict <> '{Verdict.MISMATCH}', x.replay_seq, x.place)"
    after: list[Any] = []
    while True:
        beyond = f"{'AND' if 'WHERE' in source else 'WHERE'} {keys} > (?, ?, ?)" if after else ""
        picked = store.rows(
            f"""SELECT x.replay_id, x.call_id, x.call_seq, x.observation_seq, x.replay_seq, x.place,
                       x.verdict, x.score, x.reason, x.invalid, x.ignored_by, x.flags
                FROM {compared(store, pool)} x {source} {beyond}
                ORDER BY {ORDERS[DIFFERING]} LIMIT ?""",  # noqa: S608
            [*key_of(pool), *values, *after, size],
        )
        told = _with_contents(
            store,
            picked,
            "c.native_id, c.source, c.occurred_at, c.language, o.error_kind AS error, c.request,"
            " coalesce(k.text, k.output) AS control, coalesce(o.text, o.output) AS candidate",
        )
        if picked:
            yield told
        if len(picked) < size:
            return
        last = picked[-1]
        after = [last["verdict"] != Verdict.MISMATCH, last["replay_seq"], last["place"]]


_PLACES = ("call_seq", "observation_seq")
_BY_ID = "call_id IN (SELECT unnest($calls))"


def _with_contents(
    store: Store, picked: Sequence[Mapping[str, Any]], columns: str, **given: Any
) -> list[dict[str, Any]]:
    """Return a few comparisons with what is wanted of them and their labels, in the place of `_PLACES`.

    By number their calls and answers are found in a tenth of the time that ids take.
    """
    if not picked:
        return []
    pairs = [(row["replay_id"], row["call_id"]) for row in picked]
    places = {name: [row[name] for row in picked] for name in _PLACES}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    if all(None not in each for each in places.values()):
        of_calls, of_answers = (f"seq IN (SELECT unnest(${name}::BIGINT[]))" for name in _PLACES)
        found = _found(store, pairs, columns, of_calls, of_answers, given | places)
    # Comparisons of before have no numbers, and an answer may have come anew under another.
    if not found.keys() >= set(pairs):
        found = _found(store, pairs, columns, _BY_ID, _BY_ID, given)
    return [
        {name: value for name, value in row.items() if name not in _PLACES} | found[pair]
        for row, pair in zip(picked, pairs, strict=True)
    ]


def _found(
    store: Store,
    pairs: Sequence[tuple[str, str]],
    columns: str,
    of_calls: str,
    of_answers: str,
    given: Mapping[str, Any],
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what is wanted of a few pairs of replay and call; each table is narrowed before it is joined."""
    found = store.rows(
        f"""SELECT o.replay_id, o.call_id, {columns},
                   (SELECT arg_max(l.verdict, l.seq) FROM labels l
                    WHERE l.replay_id = o.replay_id AND l.call_id = o.call_id
                      AND l.call_id IN (SELECT unnest($calls))
                      AND NOT l.skipped AND l.source <> 'gold'
                      AND l.label_id NOT IN (SELECT supersedes FROM labels WHERE supersedes IS NOT NULL)
                   ) AS label
            FROM (SELECT * FROM observations WHERE {of_answers}
                    AND replay_id IN (SELECT unnest($replays)) AND repeat = 0) o
            JOIN (SELECT * FROM calls WHERE {of_calls}) c USING (call_id)
            LEFT JOIN (SELECT * FROM frontier_outputs
                       WHERE call_id IN (SELECT unnest($calls))) k USING (call_id)""",  # noqa: S608 - fixed text
        {
            "calls": [call_id for _, call_id in pairs],
            "replays": list({replay_id for replay_id, _ in pairs}),
            **given,
        },
    )
    return {(row["replay_id"], row["call_id"]): row for row in found}
