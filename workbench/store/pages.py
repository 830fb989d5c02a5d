"""What pages read: small, paged queries. No function here returns more rows than a page shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from workbench.compare.custom import EVALUATOR_ERROR
from workbench.records import Output, Request, Verdict, from_json

if TYPE_CHECKING:
    from workbench.store import Store

PAGE_SIZE = 50
PREVIEW_CHARS = 200
FACET_LIMIT = 40


@dataclass(frozen=True, slots=True)
class Freshness:
    """How much there is, and when something last happened. Times are UTC without a zone."""

    calls: int
    tasks: int
    last_call_at: datetime | None
    last_import_at: datetime | None
    last_replay_at: datetime | None
    last_label_at: datetime | None


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How many usable calls a task has, how many of them hold a frontier answer, and their dates."""

    task: str
    calls: int
    controls: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Pool:
    """The comparisons a page is about: one task, one candidate, one version of the evaluator."""

    task: str
    candidate_fingerprint: str
    evaluator_version: str


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """What to show of a pool. None and empty mean everything.

    `label` is a verdict of a person, `any` or `none`; `search` is looked up in request and answers.
    """

    verdict: str | None = None
    language: str | None = None
    flag: str | None = None
    label: str | None = None
    search: str = ""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One line of the list of cases."""

    replay_id: str
    call_id: str
    verdict: str
    score: float | None
    reason: str
    language: str | None
    control: str
    candidate: str
    flags: tuple[str, ...]
    label: str | None


@dataclass(frozen=True, slots=True)
class Facets:
    """What can be filtered by, with counts, over a whole pool."""

    verdicts: dict[str, int] = field(default_factory=dict)
    languages: dict[str, int] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Return how many cases the pool has."""
        return sum(self.verdicts.values())


@dataclass(frozen=True, slots=True)
class CaseLabel:
    """One judgement by a person, as the page of a case lists it."""

    verdict: str | None
    annotator: str
    reasons: tuple[str, ...]
    note: str
    source: str
    skipped: bool
    created_at: datetime


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
    labels: tuple[CaseLabel, ...]


@dataclass(frozen=True, slots=True)
class Import:
    """One import, newest first. `report` is the import report as plain data."""

    manifest_id: str
    created_at: datetime
    source: str
    task: str | None
    format: str
    files: tuple[str, ...]
    report: dict[str, Any]


# The newest label of a person that nothing supersedes; a label taken back has no verdict.
_LABELS = """
    SELECT l.replay_id, l.call_id, arg_max(l.verdict, l.seq) AS verdict
    FROM labels l
    WHERE NOT l.skipped AND l.source <> 'gold'
      AND l.label_id NOT IN (SELECT supersedes FROM labels WHERE supersedes IS NOT NULL)
    GROUP BY ALL
"""


def freshness(store: Store) -> Freshness:
    """Return how much the store holds and when something last happened."""
    row = store.rows(
        # Without the view, which joins every answer.
        """WITH usable AS (SELECT task FROM calls WHERE call_id NOT IN (SELECT call_id FROM conflicts))
           SELECT (SELECT count(*) FROM usable) AS calls,
                  (SELECT count(DISTINCT task) FROM usable) AS tasks,
                  (SELECT max(occurred_at) FROM calls) AS last_call_at,
                  (SELECT max(created_at) FROM manifests) AS last_import_at,
                  (SELECT max(created_at) FROM replay_events) AS last_replay_at,
                  (SELECT max(created_at) FROM labels) AS last_label_at"""
    )[0]
    return Freshness(**row)


def tasks(store: Store) -> list[TaskCount]:
    """Return every task with its calls, the largest first."""
    found = store.rows(
        # Without the view, which reads every answer to see whether there is one.
        """SELECT c.task, count(*) AS calls, count(k.call_id) AS controls,
                  min(c.occurred_at) AS first_at, max(c.occurred_at) AS last_at
           FROM calls c LEFT JOIN controls k USING (call_id)
           WHERE c.call_id NOT IN (SELECT call_id FROM conflicts)
           GROUP BY c.task ORDER BY calls DESC, c.task"""
    )
    return [TaskCount(**row) for row in found]


def replayed(store: Store) -> list[tuple[str, str]]:
    """Return every task and candidate name that a replay was planned for, in order."""
    found = store.rows("SELECT DISTINCT task, candidate FROM replays ORDER BY task, candidate")
    return [(row["task"], row["candidate"]) for row in found]


def imports(store: Store, limit: int = 20) -> list[Import]:
    """Return the newest imports."""
    found = store.rows(
        """SELECT manifest_id, created_at, source, task, format, files, report
           FROM manifests ORDER BY seq DESC LIMIT ?""",
        [limit],
    )
    return [
        Import(
            manifest_id=row["manifest_id"],
            created_at=row["created_at"],
            source=row["source"],
            task=row["task"],
            format=row["format"],
            files=tuple(str(each.get("name", "")) for each in json.loads(row["files"])),
            report=json.loads(row["report"]),
        )
        for row in found
    ]


def rejects(store: Store, manifest_id: str, limit: int = 10_000) -> list[dict[str, Any]]:
    """Return the rejected records of one import, in the order of its files and lines."""
    return store.rows(
        """SELECT file, line, reason, snippet FROM rejects
           WHERE manifest_id = ? ORDER BY file, line LIMIT ?""",
        [manifest_id, limit],
    )


def compared_versions(store: Store, task: str, candidate_fingerprint: str) -> dict[str, int]:
    """Return how many comparisons each evaluator version has, so that a page can say what is stale."""
    found = store.rows(
        """SELECT x.evaluator_version AS version, count(*) AS n
           FROM comparisons x JOIN replays r USING (replay_id)
           WHERE r.task = ? AND r.candidate_fingerprint = ? AND x.repeat = 0 GROUP BY ALL""",
        [task, candidate_fingerprint],
    )
    return {row["version"]: row["n"] for row in found}


def facets(store: Store, pool: Pool) -> Facets:
    """Return the verdicts, languages and flags of a pool with their counts."""
    verdicts, languages, flags = (
        _tally(store, pool, expression)
        for expression in ("x.verdict", "coalesce(c.language, '')", "unnest(x.flags)")
    )
    return Facets(verdicts, languages, flags)


def confusion(store: Store, pool: Pool) -> dict[tuple[str, str], int]:
    """Return how often the candidate gave each answer where the frontier gave each answer."""
    found = store.rows(
        f"""SELECT x.control_group, coalesce(x.candidate_group, '(no valid answer)') AS candidate_group,
                   count(*) AS n
            FROM {_compared(store, pool)} x
            WHERE x.control_group IS NOT NULL AND x.verdict <> '{Verdict.UNCOMPARABLE}'
            GROUP BY ALL ORDER BY n DESC LIMIT 2500""",  # noqa: S608 - fixed text alone, here and below
        _key(pool),
    )
    return {(row["control_group"], row["candidate_group"]): row["n"] for row in found}


def matching(store: Store, pool: Pool, chosen: CaseFilter) -> int:
    """Return how many cases a filter leaves."""
    source, values = _filtered(chosen)
    sql = f"SELECT count(*) FROM {_compared(store, pool)} x {source}"  # noqa: S608
    return int(store.value(sql, [*_key(pool), *values]))


def case_page(
    store: Store, pool: Pool, chosen: CaseFilter, *, page: int = 1, size: int = PAGE_SIZE
) -> list[CaseRow]:
    """Return one page of cases, disagreements first within the order of replay and call.

    Args:
        store: Where to read.
        pool: The comparisons the page is about.
        chosen: What to show of them.
        page: From 1.
        size: Rows of a page.
    """
    source, values = _filtered(chosen)
    found = store.rows(
        f"""WITH picked AS (
                SELECT x.replay_id, x.call_id, x.verdict, x.score, x.reason, x.flags, x.replay_seq
                FROM {_compared(store, pool)} x {source}
                ORDER BY x.verdict <> '{Verdict.MISMATCH}', x.replay_seq, x.call_id LIMIT ? OFFSET ?
            ), judged AS ({_LABELS})
            SELECT p.*, c.language, j.verdict AS label,
                   left(coalesce(k.text, k.output, ''), {PREVIEW_CHARS}) AS control,
                   left(coalesce(o.text, o.error_kind, o.output), {PREVIEW_CHARS}) AS candidate
            FROM picked p
            JOIN calls c USING (call_id)
            LEFT JOIN controls k USING (call_id)
            LEFT JOIN observations o ON o.replay_id = p.replay_id AND o.call_id = p.call_id AND o.repeat = 0
            LEFT JOIN judged j ON j.replay_id = p.replay_id AND j.call_id = p.call_id
            ORDER BY p.verdict <> '{Verdict.MISMATCH}', p.replay_seq, p.call_id""",  # noqa: S608
        [*_key(pool), *values, size, (max(1, page) - 1) * size],
    )
    return [
        CaseRow(
            replay_id=row["replay_id"],
            call_id=row["call_id"],
            verdict=row["verdict"],
            score=row["score"],
            reason=row["reason"],
            language=row["language"],
            control=row["control"],
            candidate=row["candidate"],
            flags=tuple(row["flags"]),
            label=row["label"],
        )
        for row in found
    ]


def case(store: Store, pool: Pool, call_id: str) -> Case | None:
    """Return one case of a pool, or None where it does not belong to it."""
    found = store.rows(
        f"""SELECT x.*, c.native_id, c.source, c.occurred_at, c.language, c.request,
                   k.output AS control, o.output AS observed
            FROM {_compared(store, pool)} x
            JOIN calls c USING (call_id)
            LEFT JOIN controls k USING (call_id)
            JOIN observations o
              ON o.replay_id = x.replay_id AND o.call_id = x.call_id AND o.repeat = 0
            WHERE x.call_id = ?""",  # noqa: S608
        [*_key(pool), call_id],
    )
    if not found:
        return None
    row = found[0]
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
        labels=_labels_of(store, row["replay_id"], call_id),
    )


def _labels_of(store: Store, replay_id: str, call_id: str) -> tuple[CaseLabel, ...]:
    found = store.rows(
        """SELECT verdict, annotator, reasons, note, source, skipped, created_at FROM labels
           WHERE replay_id = ? AND call_id = ? AND (verdict IS NOT NULL OR skipped)
             AND label_id NOT IN (SELECT supersedes FROM labels WHERE supersedes IS NOT NULL)
           ORDER BY seq""",
        [replay_id, call_id],
    )
    return tuple(CaseLabel(**{**row, "reasons": tuple(row["reasons"])}) for row in found)


def _key(pool: Pool) -> list[Any]:
    return [pool.task, pool.candidate_fingerprint, pool.evaluator_version]


def _compared(store: Store, pool: Pool) -> str:
    """Return a table expression of a pool's comparisons; its parameters are `_key(pool)`.

    A call can stand in several replays of one candidate; it counts once, in the earliest. The
    window that sees to it costs as much as the rest of a query, and most pools have one replay.
    """
    replays = store.value(
        "SELECT count(*) FROM replays WHERE task = ? AND candidate_fingerprint = ?",
        [pool.task, pool.candidate_fingerprint],
    )
    first = "QUALIFY row_number() OVER (PARTITION BY x.call_id ORDER BY r.seq) = 1" if replays > 1 else ""
    return f"""(SELECT x.*, r.seq AS replay_seq FROM comparisons x JOIN replays r USING (replay_id)
                WHERE r.task = ? AND r.candidate_fingerprint = ? AND x.evaluator_version = ?
                  AND x.repeat = 0 {first})"""  # noqa: S608


def _tally(store: Store, pool: Pool, expression: str) -> dict[str, int]:
    found = store.rows(
        f"""SELECT value, count(*) AS n
            FROM (SELECT {expression} AS value FROM {_compared(store, pool)} x
                  {"JOIN calls c USING (call_id)" if "c." in expression else ""})
            GROUP BY value ORDER BY value <> ?, n DESC, value LIMIT {FACET_LIMIT}""",  # noqa: S608
        # An evaluator of one's own may flag so much that its failures would not be among them.
        [*_key(pool), EVALUATOR_ERROR],
    )
    return {row["value"]: row["n"] for row in found}


def _filtered(chosen: CaseFilter) -> tuple[str, Sequence[Any]]:
    """Return the joins and conditions of a filter as fixed text, and its values as parameters.

    Only what the filter looks at is joined.
    """
    joins: list[str] = []
    conditions: list[str] = []
    values: list[Any] = []
    if chosen.language is not None or chosen.search:
        joins.append("JOIN calls c USING (call_id)")
    if chosen.search:
        joins.append("LEFT JOIN controls k USING (call_id)")
        joins.append(
            "LEFT JOIN observations o ON o.replay_id = x.replay_id AND o.call_id = x.call_id AND o.repeat = 0"
        )
    if chosen.label:
        joins.append(f"LEFT JOIN ({_LABELS}) j ON j.replay_id = x.replay_id AND j.call_id = x.call_id")
    for text, value in (
        ("x.verdict = ?", chosen.verdict),
        ("coalesce(c.language, '') = ?", chosen.language),
        ("list_contains(x.flags, ?)", chosen.flag),
    ):
        if value is not None:
            conditions.append(text)
            values.append(value)
    if chosen.label in ("any", "none"):
        conditions.append(f"j.verdict IS {'NOT ' if chosen.label == 'any' else ''}NULL")
    elif chosen.label:
        conditions.append("j.verdict = ?")
        values.append(chosen.label)
    if chosen.search:
        plain = chosen.search.lower()
        # A request is stored as JSON, where quotes and line ends stand escaped.
        spelled = json.dumps(plain, ensure_ascii=False)[1:-1]
        conditions.append(
            "(contains(lower(c.request), ?) OR contains(lower(coalesce(k.text, k.output, '')), ?)"
            " OR contains(lower(coalesce(o.text, o.output, '')), ?) OR lower(c.native_id) = ?)"
        )
        values.extend([spelled, plain, plain, plain])
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{' '.join(joins)} {where}", values


def checks(store: Store, replay_id: str) -> dict[str, tuple[str, str]]:
    """Return what the checks before a replay found: state and message by name, or nothing."""
    detail = store.value(
        "SELECT detail FROM replay_events WHERE replay_id = ? AND event = 'checked' "
        "ORDER BY seq DESC LIMIT 1",
        (replay_id,),
    )
    return {name: (state, message) for name, (state, message) in json.loads(detail or "{}").items()}


def budget(store: Store, replay_id: str) -> dict[str, float]:
    """Return what the last run of a replay was allowed: `usd`, `minutes`, or nothing."""
    detail = store.value(
        "SELECT detail FROM replay_events WHERE replay_id = ? AND event IN ('started', 'resumed') "
        "ORDER BY seq DESC LIMIT 1",
        (replay_id,),
    )
    found = json.loads(detail or "{}").get("budget") or {}
    return {name: float(most) for name, most in found.items() if most is not None}


def latency_runs(store: Store, task: str, fingerprint: str, limit: int = 12) -> list[tuple[datetime, str]]:
    """Return the newest latency probes of a candidate: when, and the report as JSON."""
    rows = store.rows(
        "SELECT created_at, report FROM latency_probes "
        "WHERE task = ? AND candidate_fingerprint = ? ORDER BY seq DESC LIMIT ?",
        (task, fingerprint, limit),
    )
    return [(row["created_at"], row["report"]) for row in rows]
