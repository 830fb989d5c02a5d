"""Which of a candidate's comparisons a question is about, as fixed text with parameters.

What a filter says is a parameter; a query joins only what the filter looks at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.records import Verdict
from workbench.store.slicing import SlicePart, condition

if TYPE_CHECKING:
    from workbench.store import Store

INVALID = "(invalid)"
"""Stands for the candidate's answer where it is none of the task's labels."""

# The newest label of a person that nothing supersedes; a label taken back has no verdict.
LABELLED = """
    SELECT l.replay_id, l.call_id, arg_max(l.verdict, l.seq) AS verdict
    FROM labels l
    WHERE NOT l.skipped AND l.source <> 'gold'
      AND l.label_id NOT IN (SELECT supersedes FROM labels WHERE supersedes IS NOT NULL)
    GROUP BY ALL
"""

_OBSERVED = """JOIN observations o
    ON o.replay_id = x.replay_id AND o.call_id = x.call_id AND o.repeat = 0"""


@dataclass(frozen=True, slots=True)
class Pool:
    """The comparisons a page is about: one task, one candidate, one version of the evaluator."""

    task: str
    candidate_fingerprint: str
    evaluator_version: str


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """What to show of a pool. None and empty mean everything.

    `label` is a verdict of a person, `any` or `none`; `search` is looked up in request and answers,
    `least` and `most` bound the score; `control_answer` and `candidate_answer` are outcome groups,
    `INVALID` among them; `field` is the path of one that differs, `error` the kind of the candidate's.
    `part` is the value of a slice, `calls` the members of a slice that is no condition on one entry.
    """

    verdict: str | None = None
    language: str | None = None
    flag: str | None = None
    label: str | None = None
    search: str = ""
    least: float | None = None
    most: float | None = None
    control_answer: str | None = None
    candidate_answer: str | None = None
    field: str | None = None
    error: str | None = None
    part: SlicePart | None = None
    calls: tuple[str, ...] | None = None


def key_of(pool: Pool) -> list[Any]:
    """Return the parameters of a pool's comparisons."""
    return [pool.task, pool.candidate_fingerprint, pool.evaluator_version]


def compared(store: Store, pool: Pool, *, one_call: bool = False) -> str:
    """Return a table expression of a pool's comparisons; its parameters are `key_of(pool)`, then the call's.

    A call can stand in several replays of one candidate; it counts once, in the earliest. The
    window that sees to it costs as much as the rest of a query, and most pools have one replay.
    """
    replays = store.value(
        "SELECT count(*) FROM replays WHERE task = ? AND candidate_fingerprint = ?",
        [pool.task, pool.candidate_fingerprint],
    )
    first = "QUALIFY row_number() OVER (PARTITION BY x.call_id ORDER BY r.seq) = 1" if replays > 1 else ""
    one = "AND x.call_id = ?" if one_call else ""
    return f"""(SELECT x.*, x.rowid AS place, r.seq AS replay_seq
                FROM comparisons x JOIN replays r USING (replay_id)
                WHERE r.task = ? AND r.candidate_fingerprint = ? AND x.evaluator_version = ?
                  AND x.repeat = 0 {one} {first})"""  # noqa: S608


def filtered(pool: Pool, chosen: CaseFilter) -> tuple[str, list[Any]]:
    """Return the joins and conditions of a filter as fixed text, and its values as parameters.

    Only what the filter looks at is joined.
    """
    joins: list[str] = []
    if chosen.language is not None or chosen.part is not None:
        joins.append("JOIN calls c USING (call_id)")
    if chosen.error is not None:
        joins.append(_OBSERVED)
    if chosen.label:
        joins.append(f"LEFT JOIN ({LABELLED}) j ON j.replay_id = x.replay_id AND j.call_id = x.call_id")
    conditions: list[str] = []
    values: list[Any] = []
    for text, given in _conditions(pool, chosen):
        conditions.append(text)
        values += given
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{' '.join(joins)} {where}", values


def _conditions(pool: Pool, chosen: CaseFilter) -> Iterator[tuple[str, list[Any]]]:
    for text, value in (
        ("x.verdict = ?", chosen.verdict),
        ("coalesce(c.language, '') = ?", chosen.language),
        ("list_contains(x.flags, ?)", chosen.flag),
        ("x.score >= ?", chosen.least),
        ("x.score <= ?", chosen.most),
        ("x.control_group = ?", chosen.control_answer),
        ("o.error_kind = ?", chosen.error),
    ):
        if value is not None:
            yield text, [value]
    if chosen.candidate_answer == INVALID:
        yield "x.invalid", []
    elif chosen.candidate_answer is not None:
        yield "NOT x.invalid AND x.candidate_group = ?", [chosen.candidate_answer]
    if chosen.field is not None:
        # A field that differs makes a mismatch; the details of the others need not be read. An answer
        # that can't be read has no field, and differs in all.
        yield (
            f"""x.verdict = '{Verdict.MISMATCH}' AND (
                x.invalid AND json_extract(x.details, '$.fields') IS NULL
                OR len(list_filter(
                    CAST(json_extract(x.details, '$.fields') AS JSON[]),
                    lambda f: json_extract_string(f, '$.path') = ?
                      AND json_extract_string(f, '$.equal') = 'false')) > 0)""",
            [chosen.field],
        )
    if chosen.part is not None:
        yield condition(chosen.part)
    if chosen.calls is not None:
        yield "x.call_id IN (SELECT unnest(?::VARCHAR[]))", [list(chosen.calls)]
    if chosen.label in ("any", "none"):
        yield f"j.verdict IS {'NOT ' if chosen.label == 'any' else ''}NULL", []
    elif chosen.label:
        yield "j.verdict = ?", [chosen.label]
    if chosen.search:
        plain = chosen.search.lower()
        # A request is stored as JSON, where quotes and line ends stand escaped.
        spelled = json.dumps(plain, ensure_ascii=False)[1:-1]
        yield (
            """x.call_id IN (
                SELECT call_id FROM calls
                WHERE task = ? AND (contains(lower(request), ?) OR lower(native_id) = ?)
                UNION ALL
                SELECT call_id FROM frontier_outputs WHERE contains(lower(coalesce(text, output)), ?)
                UNION ALL
                SELECT call_id FROM observations JOIN replays r USING (replay_id)
                WHERE r.task = ? AND r.candidate_fingerprint = ? AND repeat = 0
                  AND contains(lower(coalesce(text, output)), ?))""",
            [pool.task, spelled, plain, plain, pool.task, pool.candidate_fingerprint, plain],
        )
