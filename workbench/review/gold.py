"""Labels from known right answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from workbench import compare
from workbench.config import Workspace
from workbench.errors import ModelMissing
from workbench.normal import content_hash, decode_nested
from workbench.records import (
    AbsoluteJudgement,
    EvalKind,
    Label,
    LabelVerdict,
    Output,
    Request,
    ToolCall,
    Verdict,
    from_json,
)
from workbench.review.states import Clock, fingerprint_of, in_utc, utc_now
from workbench.specs import EvalConfig
from workbench.store import Store
from workbench.store import gold as gold_rows
from workbench.store import labels as rows
from workbench.store.labels import Scope

AGREEING = (Verdict.MATCH, Verdict.IGNORED)
GOLD_ANNOTATOR = "gold"


def gold_verdict(control_right: bool, candidate_right: bool, agree: bool) -> LabelVerdict:
    """Return the verdict that a known right answer gives.

    Args:
        control_right: The control equals the gold answer.
        candidate_right: The candidate's output equals the gold answer.
        agree: Control and candidate are equal.
    """
    if control_right != candidate_right:
        return LabelVerdict.CONTROL_BETTER if control_right else LabelVerdict.CANDIDATE_BETTER
    return LabelVerdict.EQUAL if control_right or agree else LabelVerdict.BOTH_BAD


def label_from_gold(
    workspace: Workspace, store: Store, task: str, candidate: str | None = None, *, now: Clock = utc_now
) -> int:
    """Turn gold answers into labels of source `gold`, for pairs that agree, too.

    The eval's own comparator says whether control and candidate equal the gold
    answer. Run again, it adds nothing; a changed gold answer supersedes its label, and a
    corrected answer that was taken back takes its labels along. Gold answers are those
    imported, and those that reviewers gave while labelling (see `gold_answers`).
    A pair is left out where the gold answer can't be compared (it is no answer the
    eval knows, or texts whose similarity can't be computed here).

    Args:
        workspace: Names the eval and the candidates.
        store: Where gold answers and comparisons are.
        task: The task.
        candidate: One candidate; None for all that are configured.
        now: The clock.

    Returns:
        How many labels are new.
    """
    config = workspace.eval_for(task)
    version = compare.evaluator_version(config)
    replayed = rows.candidates_replayed(store, task)
    if candidate is not None:
        replayed = [fingerprint_of(workspace, store, candidate)]
    return sum(
        _label_candidate(store, config, Scope(task, fingerprint, version), now) for fingerprint in replayed
    )


@dataclass(frozen=True, slots=True)
class _Pending:
    """One pair with a gold answer."""

    row: dict[str, Any]
    request: Request
    gold: Output
    control: Output
    observed: Output


@dataclass(frozen=True, slots=True)
class _Judge:
    """Says whether an output equals a gold answer; None where it can't be said."""

    config: EvalConfig
    similarities: dict[tuple[str, str], float]

    def right(self, request: Request, gold: Output, output: Output) -> bool | None:
        found = compare.compare_outputs(
            self.config,
            request,
            gold,
            output,
            similarity=self.similarities.get((gold.text or "", output.text or "")),
        )
        if found.verdict is Verdict.UNCOMPARABLE or found.score is None:
            return None
        return found.verdict in AGREEING


def _label_candidate(store: Store, config: EvalConfig, scope: Scope, now: Clock) -> int:
    pending = [
        _Pending(
            row,
            from_json(row["request"], Request),
            gold_output(config, row["answer"]),
            from_json(row["control"], Output),
            from_json(row["observed"], Output),
        )
        for row in gold_rows.gold_pairs(store, scope)
    ]
    judge = _Judge(config, _similarities(store, config, pending))
    fresh = [_taken_back(row, now) for row in gold_rows.outdated_gold_labels(store, scope)]
    gone = len(fresh)
    for each in pending:
        row = each.row
        control_right = judge.right(each.request, each.gold, each.control)
        candidate_right = (
            False if each.observed.error else judge.right(each.request, each.gold, each.observed)
        )
        if control_right is None or candidate_right is None:
            continue
        verdict = gold_verdict(control_right, candidate_right, row["compared"] in AGREEING)
        if row["label_id"] and row["verdict"] == verdict and row["corrected"] == row["answer"]:
            continue
        fresh.append(
            Label(
                label_id=content_hash(
                    "gold", row["replay_id"], row["call_id"], str(row["gold_seq"]), scope.evaluator_version
                ),
                replay_id=row["replay_id"],
                call_id=row["call_id"],
                verdict=verdict,
                annotator=GOLD_ANNOTATOR,
                corrected=row["answer"],
                source="gold",
                supersedes=row["label_id"],
                created_at=in_utc(now()),
                absolute=AbsoluteJudgement(control_right, candidate_right),
            )
        )
    if not fresh:
        return 0
    added = store.append("labels", [rows.from_label(each) for each in fresh], ignore_known=True)
    return max(added - gone, 0)


def _taken_back(row: dict[str, Any], now: Clock) -> Label:
    """Return the row that takes a gold label out of use, since its answer is no longer one."""
    return replace(
        rows.to_label(row),
        label_id=content_hash("gold taken back", row["label_id"]),
        verdict=None,
        corrected=None,
        absolute=None,
        supersedes=row["label_id"],
        created_at=in_utc(now()),
    )


def gold_output(config: EvalConfig, answer: str) -> Output:
    """Return a gold answer as the output it stands for: text, or the tool calls it spells out as JSON."""
    if config.kind is not EvalKind.TOOL_CALL:
        return Output(text=answer)
    value = decode_nested(answer)
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(each, dict) and isinstance(each.get("name"), str) for each in listed):
        return Output(text=answer)
    return Output(
        tool_calls=tuple(ToolCall(each["name"], decode_nested(each.get("arguments", {}))) for each in listed)
    )


def _similarities(store: Store, config: EvalConfig, pending: list[_Pending]) -> dict[tuple[str, str], float]:
    """Return the similarity of texts that need one; none where no embedder is installed."""
    if config.kind is not EvalKind.TEXT:
        return {}
    comparator = compare.Comparator(config)
    wanted = sorted(
        {
            (each.gold.text or "", output.text or "")
            for each in pending
            for output in (each.control, each.observed)
            if comparator.needs_similarity(each.gold, output)
        }
    )
    if not wanted:
        return {}
    from workbench import embed

    try:
        found = embed.similarities(store, embed.SentenceTransformers(config.embedder), wanted)
    except ModelMissing:
        return {}
    return {pair: value for pair, value in zip(wanted, found.values, strict=True) if value is not None}
