"""Each side judged by itself: which label is right, which fields are wrong; and what truth that gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError, did_you_mean
from workbench.records import AbsoluteJudgement, Estimate, Label, LabelVerdict
from workbench.review.items import ReviewItem
from workbench.review.judging import amend, submit
from workbench.review.states import SEVERITY, Board, Clock, fingerprint_of, utc_now
from workbench.roles import Right
from workbench.specs import EvalConfig
from workbench.stats.paired import tango
from workbench.store import Store
from workbench.store import labels as rows


def verdict_from_absolute(absolute: AbsoluteJudgement, critical: Iterable[str] = ()) -> LabelVerdict:
    """Return the verdict that follows from what was said of each side.

    One right and one wrong decides. Of two wrong answers the candidate's is worse where it
    is wrong in more fields, or in a critical one that the control has right; it is better
    only where its wrong fields are some of the control's. Otherwise both are bad.

    Args:
        absolute: What was said.
        critical: Paths of the fields that the eval marks as critical.
    """
    if absolute.control_right and absolute.candidate_right:
        return LabelVerdict.EQUAL
    if absolute.control_right or absolute.candidate_right:
        return LabelVerdict.CONTROL_BETTER if absolute.control_right else LabelVerdict.CANDIDATE_BETTER
    control, candidate = set(absolute.control_wrong), set(absolute.candidate_wrong)
    if len(candidate) > len(control) or (candidate - control) & set(critical):
        return LabelVerdict.CONTROL_BETTER
    return LabelVerdict.CANDIDATE_BETTER if candidate < control else LabelVerdict.BOTH_BAD


@requires(Right.LABEL, task=lambda given: given["item"].task)
def submit_absolute(
    workspace: Workspace,
    store: Store,
    item: ReviewItem,
    annotator: str,
    absolute: AbsoluteJudgement,
    *,
    reasons: Iterable[str] = (),
    note: str = "",
    corrected: str | None = None,
    board: Board | None = None,
    now: Clock = utc_now,
) -> Label:
    """Commit one label made by judging each side by itself (`ReviewItem.absolute` builds the judgement).

    Args:
        workspace: Names the eval.
        store: Where the label goes.
        item: What the reviewer was shown.
        annotator: Who judged.
        absolute: What was said of each side.
        reasons: A word or two each.
        note: Free text.
        corrected: The answer that would have been right.
        board: The queue as it stands, where the caller's transaction has read it.
        now: The clock.

    Raises:
        UsageError: The task's kind can't be judged so, a right answer has wrong fields, a field is
            not known, or the item was never offered to this person.
    """
    config = workspace.eval_for(item.task)
    check_absolute(item, absolute)
    verdict = verdict_from_absolute(absolute, critical_paths(config))
    return submit(
        workspace,
        store,
        item,
        annotator,
        verdict,
        reasons=reasons,
        note=note,
        corrected=corrected,
        absolute=absolute,
        board=board,
        now=now,
    )


@requires(Right.LABEL, task=lambda given: given["item"].task)
def amend_absolute(
    workspace: Workspace,
    store: Store,
    item: ReviewItem,
    label: Label,
    annotator: str,
    absolute: AbsoluteJudgement,
    *,
    now: Clock = utc_now,
) -> Label:
    """Change what somebody said of each side; the verdict follows. What they said before is kept.

    Args:
        workspace: Names the eval.
        store: Where the label is.
        item: The pair as they saw it (`look_again`).
        label: The label, or an earlier form of it.
        annotator: Who amends; only its author may.
        absolute: What they say now (`ReviewItem.absolute` builds it).
        now: The clock.

    Raises:
        UsageError: It is somebody else's, was taken back, or the judgement does not fit the item.
    """
    config = workspace.eval_for(item.task)
    check_absolute(item, absolute)
    verdict = verdict_from_absolute(absolute, critical_paths(config))
    return amend(store, label, annotator, verdict=verdict, absolute=absolute, now=now)


def critical_paths(config: EvalConfig) -> tuple[str, ...]:
    """Return the paths of the fields that an eval marks as critical."""
    return tuple(rule.path for rule in config.fields if rule.critical)


def check_absolute(item: ReviewItem, absolute: AbsoluteJudgement) -> None:
    """Refuse a judgement that contradicts itself or does not fit the item.

    Raises:
        UsageError: It does.
    """
    if not item.absolute_possible:
        raise UsageError(
            f"Answers of kind {item.kind.value} can't be called right or wrong by themselves.",
            "Say which is better: left, right, equal or both_bad.",
        )
    sides = (
        (absolute.control_right, absolute.control_wrong),
        (absolute.candidate_right, absolute.candidate_wrong),
    )
    for right, wrong in sides:
        if right and wrong:
            raise UsageError(
                f"An answer that is right has no wrong fields, but {', '.join(wrong)} was named.",
                "Take the fields out, or call the answer wrong.",
            )
        unknown = [path for path in wrong if path not in item.fields]
        if unknown:
            raise UsageError(
                f"{unknown[0]!r} is no field of this answer.", did_you_mean(unknown[0], item.fields)
            )


@dataclass(frozen=True, slots=True)
class FieldTruth:
    """How often one field was wrong, on either side, among the pairs whose wrong fields were named."""

    path: str
    control_wrong: int
    candidate_wrong: int


@dataclass(frozen=True, slots=True)
class PairedTruth:
    """How often control and candidate are right on the same calls.

    `difference` is how much more often calls get worse than better among the `n` pairs
    judged, for one look; it says nothing about pairs that nobody judged.
    """

    n: int
    both_right: int
    control_only: int
    candidate_only: int
    both_wrong: int
    difference: Estimate
    fields: tuple[FieldTruth, ...] = ()


@requires(Right.SEE)
def paired_truth(workspace: Workspace, store: Store, task: str, candidate: str) -> PairedTruth:
    """Return what is known of who is right, from gold answers and from sides judged by themselves.

    An adjudicated judgement counts alone; otherwise the one worst for the candidate.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    config = workspace.eval_for(task)
    judged: dict[tuple[str, str], Label] = {}
    for row in rows.label_rows(store, task, fingerprint_of(workspace, store, candidate)):
        label = rows.to_label(row)
        if not row["current"] or label.absolute is None or label.verdict is None:
            continue
        pair = (label.replay_id, label.call_id)
        known = judged.get(pair)
        if known is None or _rank(label) >= _rank(known):
            judged[pair] = label
    found = [each.absolute for each in judged.values() if each.absolute]
    counted = Counter((each.control_right, each.candidate_right) for each in found)
    worse, better = counted[True, False], counted[False, True]
    return PairedTruth(
        n=len(found),
        both_right=counted[True, True],
        control_only=worse,
        candidate_only=better,
        both_wrong=counted[False, False],
        difference=tango(worse, better, len(found), config.policy.delta),
        fields=_field_truth(found),
    )


def _rank(label: Label) -> tuple[bool, int]:
    return label.source == "adjudicated", SEVERITY[label.verdict] if label.verdict else 0


def _field_truth(found: Iterable[AbsoluteJudgement]) -> tuple[FieldTruth, ...]:
    control: Counter[str] = Counter()
    candidate: Counter[str] = Counter()
    for each in found:
        control.update(each.control_wrong)
        candidate.update(each.candidate_wrong)
    paths = sorted({*control, *candidate}, key=lambda path: (-candidate[path], path))
    return tuple(FieldTruth(path, control[path], candidate[path]) for path in paths)
