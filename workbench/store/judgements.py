"""What judges said of pairs: votes by order, the pairs still to ask, and what the asking has cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.store.spending import Spending

if TYPE_CHECKING:
    from workbench.store import Store

VOTES = "judge_votes"

_BY_PEOPLE = """
    SELECT DISTINCT l.replay_id, l.call_id FROM labels l
    WHERE l.verdict IS NOT NULL AND l.source <> 'gold'
      AND NOT EXISTS (SELECT 1 FROM labels s WHERE s.supersedes = l.label_id)
"""


@dataclass(frozen=True, slots=True)
class JudgeScope:
    """Whose pairs one judge is asked for, under which prompt: what stored votes are found by."""

    task: str
    fingerprint: str
    judge: str
    prompt_version: str

    @property
    def params(self) -> tuple[str, str, str, str]:
        """Return the four as parameters, in the order of the fields."""
        return (self.task, self.fingerprint, self.judge, self.prompt_version)


@dataclass(frozen=True, slots=True)
class JudgePair:
    """One pair that a judge may be asked for, and which orders it has voted on.

    `labelled` says that a person has judged it; labels from gold answers are none.
    """

    replay_id: str
    call_id: str
    labelled: bool
    has_first: bool
    has_second: bool

    @property
    def is_judged(self) -> bool:
        """Return whether both orders are there."""
        return self.has_first and self.has_second


def pairs_for(
    store: Store, scope: JudgeScope, version: str, *, all_differing: bool, seed: int
) -> list[JudgePair]:
    """Return every pair a judge may be asked for, in the order of asking.

    Those that people labelled come first, so that the judge can be measured, then the others; both in
    an order of chance that the seed fixes. A call stands there once. What can't be compared, failed, or is
    equal character for character says nothing to a judge.

    Args:
        store: Where to read.
        scope: The judge and its pairs.
        version: The evaluator version under which pairs have to be compared.
        all_differing: Whether pairs that agree without being equal are asked, too; else mismatches alone.
        seed: Seed of the order.
    """
    return store.each(
        JudgePair,
        f"""
        WITH pool AS (
            SELECT m.replay_id, m.call_id, r.seq AS replay_seq, p.call_id IS NOT NULL AS labelled
            FROM comparisons m
            JOIN replays r ON r.replay_id = m.replay_id
            JOIN observations o ON o.replay_id = m.replay_id AND o.call_id = m.call_id AND o.repeat = 0
            JOIN frontier_outputs k ON k.call_id = m.call_id
            LEFT JOIN ({_BY_PEOPLE}) p ON p.replay_id = m.replay_id AND p.call_id = m.call_id
            WHERE r.task = ? AND r.candidate_fingerprint = ? AND m.evaluator_version = ? AND m.repeat = 0
              AND m.verdict <> 'uncomparable' AND NOT m.identical AND o.error_kind IS NULL
              AND (? OR m.verdict = 'mismatch')
              AND NOT EXISTS (SELECT 1 FROM conflicts x WHERE x.call_id = m.call_id)
        ),
        once AS (
            SELECT * FROM pool
            QUALIFY row_number() OVER (PARTITION BY call_id ORDER BY labelled DESC, replay_seq) = 1
        ),
        votes AS (
            SELECT replay_id, call_id, bool_or(control_first) AS has_first,
                   bool_or(NOT control_first) AS has_second
            FROM judge_votes WHERE judge = ? AND prompt_version = ? GROUP BY ALL
        )
        SELECT o.replay_id, o.call_id, o.labelled, coalesce(v.has_first, false), coalesce(v.has_second, false)
        FROM once o LEFT JOIN votes v ON v.replay_id = o.replay_id AND v.call_id = o.call_id
        ORDER BY o.labelled DESC, md5(concat(CAST(? AS VARCHAR), ' ', o.call_id)), o.call_id
        """,  # noqa: S608 - a constant of this module
        (
            scope.task,
            scope.fingerprint,
            version,
            all_differing,
            scope.judge,
            scope.prompt_version,
            seed,
        ),
    )


def contents(store: Store, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Return request, control and observation of pairs, as JSON, by (replay, call)."""
    found = store.each(
        lambda replay_id, call_id, *texts: ((replay_id, call_id), texts),
        """
        SELECT w.replay_id, w.call_id, c.request, k.output, o.output
        FROM (SELECT unnest(?::VARCHAR[]) AS replay_id, unnest(?::VARCHAR[]) AS call_id) w
        JOIN calls c ON c.call_id = w.call_id
        JOIN frontier_outputs k ON k.call_id = w.call_id
        JOIN observations o ON o.replay_id = w.replay_id AND o.call_id = w.call_id AND o.repeat = 0
        """,
        ([replay_id for replay_id, _ in pairs], [call_id for _, call_id in pairs]),
    )
    return dict(found)


def votes(store: Store, scope: JudgeScope) -> list[dict[str, Any]]:
    """Return the pairs a judge has voted on in both orders, in the order of judging.

    Returns:
        Rows of replay_id, call_id, first_vote and first_error (the control in the first place),
        second_vote and second_error.
    """
    return store.rows(
        """
        SELECT v.replay_id, v.call_id,
               any_value(v.vote) FILTER (v.control_first) AS first_vote,
               any_value(v.error) FILTER (v.control_first) AS first_error,
               any_value(v.vote) FILTER (NOT v.control_first) AS second_vote,
               any_value(v.error) FILTER (NOT v.control_first) AS second_error
        FROM judge_votes v JOIN replays r ON r.replay_id = v.replay_id
        WHERE r.task = ? AND r.candidate_fingerprint = ? AND v.judge = ? AND v.prompt_version = ?
          AND NOT EXISTS (SELECT 1 FROM conflicts x WHERE x.call_id = v.call_id)
        GROUP BY v.replay_id, v.call_id HAVING count(*) = 2
        ORDER BY max(v.seq), v.replay_id, v.call_id
        """,
        scope.params,
    )


def votes_on(store: Store, scope: JudgeScope, pair: tuple[str, str]) -> list[dict[str, Any]]:
    """Return what a judge said of one pair, the control in the first place first.

    Returns:
        Rows of control_first, vote, error, said (the judge's own words) and model.
    """
    return store.rows(
        "SELECT control_first, vote, error, said, model FROM judge_votes "
        "WHERE replay_id = ? AND call_id = ? AND judge = ? AND prompt_version = ? "
        "ORDER BY control_first DESC",
        (*pair, scope.judge, scope.prompt_version),
    )


def has_voted(store: Store, scope: JudgeScope) -> bool:
    """Say whether a judge gave a vote that could be read."""
    return bool(
        store.value(
            "SELECT count(*) FROM judge_votes v JOIN replays r ON r.replay_id = v.replay_id "
            "WHERE r.task = ? AND r.candidate_fingerprint = ? AND v.judge = ? AND v.prompt_version = ? "
            "AND v.vote IS NOT NULL",
            scope.params,
        )
    )


def answering_models(store: Store, task: str, fingerprint: str) -> list[str]:
    """Return the names under which a candidate's answers came, as its server gave them."""
    rows = store.rows(
        "SELECT DISTINCT json_extract_string(o.output, '$.model') AS model "
        "FROM observations o JOIN replays r USING (replay_id) "
        "WHERE r.task = ? AND r.candidate_fingerprint = ? ORDER BY model",
        (task, fingerprint),
    )
    return [row["model"] for row in rows if row["model"]]


def judging_spent(store: Store, scope: JudgeScope) -> Spending:
    """Return what a judge has read and written so far, failed votes included."""
    row = store.rows(
        """
        WITH seen AS (
            SELECT v.* FROM judge_votes v JOIN replays r ON r.replay_id = v.replay_id
            WHERE r.task = ? AND r.candidate_fingerprint = ? AND v.judge = ? AND v.prompt_version = ?
        )
        SELECT coalesce(sum(input_tokens) FILTER (NOT unmetered), 0)::BIGINT AS input_tokens,
               coalesce(sum(cached_input_tokens) FILTER (NOT unmetered), 0)::BIGINT AS cached_input_tokens,
               coalesce(sum(output_tokens) FILTER (NOT unmetered), 0)::BIGINT AS output_tokens,
               count(input_tokens) FILTER (NOT unmetered) AS metered,
               coalesce(sum(request_chars) FILTER (NOT unmetered AND input_tokens IS NOT NULL), 0)::BIGINT
                   AS metered_characters,
               count(*) FILTER (unmetered) AS unmetered,
               coalesce(sum(request_chars) FILTER (unmetered), 0)::BIGINT AS unmetered_characters,
               coalesce(sum(text_chars) FILTER (unmetered), 0)::BIGINT AS unmetered_text_characters
        FROM seen
        """,
        scope.params,
    )[0]
    unrecorded = store.value(
        "SELECT coalesce(sum(CAST(json_extract_string(detail, '$.unrecorded_usd') AS DOUBLE)), 0.0) "
        "FROM judge_runs WHERE task = ? AND candidate_fingerprint = ? AND judge = ? AND prompt_version = ?",
        scope.params,
    )
    return Spending(**row, unrecorded_usd=float(unrecorded))


def note_run(store: Store, scope: JudgeScope, event: str, detail: Mapping[str, Any]) -> None:
    """Append what happened to a run of judging."""
    row = {
        "task": scope.task,
        "candidate_fingerprint": scope.fingerprint,
        "judge": scope.judge,
        "prompt_version": scope.prompt_version,
        "event": event,
        "detail": msgspec.json.encode(detail).decode(),
        "created_at": datetime.now(UTC),
    }
    store.append("judge_runs", [row])
