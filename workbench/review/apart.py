"""Labels outside the queue's draws: ten looked at by hand, hand-picked pairs, attention checks.

No bound takes them in; but for hand-picked ones where labels cover every disagreement of a structural task.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.records import Estimate, LabelVerdict
from workbench.review.forecast import progress_of
from workbench.review.items import ReviewItem, ReviewProgress, build_item, handed, reviewer_name
from workbench.review.states import (
    LEASE,
    SEVERITY,
    Clock,
    Pair,
    Plan,
    draw_id_of,
    in_utc,
    scope_of,
    utc_now,
)
from workbench.roles import Right
from workbench.stats import bounds
from workbench.store import Store, desk
from workbench.store import labels as rows
from workbench.store.labels import Scope

TEN = 10
"""Calls looked at by hand before a whole replay is paid for."""


@dataclass(frozen=True, slots=True)
class ByHand:
    """What ten calls looked at by hand show. A first impression: no bound takes it in.

    `drawn` calls were taken at random of those answered so far; of them `identical` needed no
    look, `judged` have one, and `waiting` wait for theirs. Where people differ the worse
    verdict is counted.
    """

    drawn: int
    identical: int
    judged: int
    waiting: int
    control_better: int
    equal: int
    candidate_better: int
    both_bad: int
    enough: bool
    text: str


@requires(Right.LABEL)
def next_by_hand(
    workspace: Workspace, store: Store, task: str, candidate: str, annotator: str, *, now: Clock = utc_now
) -> ReviewItem | None:
    """Return the next of ten calls to look at by hand, blind, or None when this person has seen all.

    The ten are drawn at random of what the candidate answered so far, compared or not; as long
    as fewer are there, all of them. Pairs with the same text on both sides are not shown.
    Everybody who asks gets the same ten.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the outputs are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who asks.
        now: The clock.

    Raises:
        UsageError: The task or the candidate is not known, or nothing was answered yet.
    """
    annotator = reviewer_name(annotator)
    scope = scope_of(workspace, store, task, candidate)
    moment = in_utc(now())
    with store.writing() as writer:
        item = hand_out_by_hand(workspace, writer, scope, candidate, annotator, moment)
    return None if item is None else handed(store, item)


def hand_out_by_hand(
    workspace: Workspace, writer: Any, scope: Scope, candidate: str, annotator: str, moment: datetime
) -> ReviewItem | None:
    """Hand out the next of the ten within a transaction; see `next_by_hand`."""
    draws = _ten(writer, scope, moment)
    if not draws:
        raise UsageError(
            f"No call of {scope.task} has been answered in this queue yet.",
            f"Ask ten first: workbench replay --task {scope.task} --candidate NAME --limit {TEN}",
        )
    identical = _identical(writer, scope, [each["call_id"] for each in draws])
    done = {
        row["draw_id"] for row in rows.own_labels(writer, scope, annotator, sources=("by_hand",), limit=None)
    }
    found = next(
        (
            draw
            for draw in draws
            if (draw["replay_id"], draw["call_id"]) not in identical and draw["draw_id"] not in done
        ),
        None,
    )
    if found is None:
        return None
    if rows.offered_draw(writer, found["draw_id"], annotator) is None:
        rows.add_lease(writer, found["draw_id"], annotator, moment + LEASE)
    summary = _looked_at(writer, scope)
    progress = ReviewProgress(summary.judged, summary.judged + summary.waiting, None, summary.text)
    return _item(workspace, writer, scope.task, found, annotator, progress)


def _item(
    workspace: Workspace,
    store: rows.Reads,
    task: str,
    draw: Mapping[str, Any],
    annotator: str,
    progress: ReviewProgress,
) -> ReviewItem:
    attempt = len(rows.labels_on_draw(store, draw["draw_id"], annotator))
    pair = (draw["replay_id"], draw["call_id"])
    config = workspace.eval_for(task)
    return build_item(store, config, draw["draw_id"], pair, annotator, progress=progress, attempt=attempt)


def _identical(store: rows.Reads, scope: Scope, calls: list[str]) -> set[Pair]:
    answered = desk.observed_texts(store, scope, calls)
    return {(row["replay_id"], row["call_id"]) for row in answered if row["identical"]}


def _answered(store: rows.Reads, scope: Scope) -> list[dict[str, Any]]:
    def key(row: Mapping[str, Any]) -> str:
        return hashlib.sha256(f"by hand\x1f{row['call_id']}".encode()).hexdigest()

    return sorted(desk.observed_texts(store, scope), key=key)


def _ten(writer: Any, scope: Scope, moment: datetime) -> list[dict[str, Any]]:
    """Return the ten draws, made up to ten as long as there are fewer. What was drawn stays drawn."""
    known = [each for each in rows.draw_rows(writer, scope) if each["plan"] == Plan.BY_HAND]
    if len(known) >= TEN:
        return known
    taken = {each["call_id"] for each in known}
    fresh = [row for row in _answered(writer, scope) if row["call_id"] not in taken]
    added = [
        apart_row(scope, Plan.BY_HAND, (row["replay_id"], row["call_id"]), row["call_id"], place, moment)
        for place, row in enumerate(fresh[: TEN - len(known)], len(known))
    ]
    if added:
        writer.append("draws", added)
    return known + added


def apart_row(
    scope: Scope,
    plan: Plan,
    pair: Pair,
    key: object,
    position: int,
    moment: datetime,
    *,
    expected: str | None = None,
) -> dict[str, Any]:
    """Return the row of a draw that no bound takes in: its probability and weight are 0, which is none."""
    return {
        "draw_id": draw_id_of(scope, plan, key),
        "task": scope.task,
        "candidate_fingerprint": scope.fingerprint,
        "evaluator_version": scope.evaluator_version,
        "replay_id": pair[0],
        "call_id": pair[1],
        "plan": plan.value,
        "position": position,
        "stratum": plan.value,
        "stratum_share": 0.0,
        "draw_probability": 0.0,
        "weight": 0.0,
        "weight_max": 0.0,
        "expected": expected,
        "created_at": moment,
    }


@requires(Right.LABEL, Right.SEE)
def by_hand(workspace: Workspace, store: Store, task: str, candidate: str) -> ByHand:
    """Return what the ten calls looked at by hand show so far.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    return _looked_at(store, scope_of(workspace, store, task, candidate))


def _looked_at(store: rows.Reads, scope: Scope) -> ByHand:
    drawn = {
        (each["replay_id"], each["call_id"])
        for each in rows.draw_rows(store, scope)
        if each["plan"] == Plan.BY_HAND
    }
    same = _identical(store, scope, [call_id for _, call_id in drawn])
    verdicts: dict[Pair, LabelVerdict] = {}
    for row in rows.label_rows(store, scope.task, scope.fingerprint):
        pair = (row["replay_id"], row["call_id"])
        if row["source"] == "by_hand" and row["current"] and row["verdict"] and pair in drawn:
            said = LabelVerdict(row["verdict"])
            known = verdicts.get(pair)
            verdicts[pair] = said if known is None or SEVERITY[said] > SEVERITY[known] else known
    counted = Counter(verdicts.values())
    identical = len(drawn & same)
    judged = len(verdicts)
    waiting = len(drawn - same - set(verdicts))
    enough = bool(drawn) and not waiting
    return ByHand(
        drawn=len(drawn),
        identical=identical,
        judged=judged,
        waiting=waiting,
        control_better=counted[LabelVerdict.CONTROL_BETTER],
        equal=counted[LabelVerdict.EQUAL],
        candidate_better=counted[LabelVerdict.CANDIDATE_BETTER],
        both_bad=counted[LabelVerdict.BOTH_BAD],
        enough=enough,
        text=_by_hand_text(len(drawn), identical, judged, waiting),
    )


def _by_hand_text(drawn: int, identical: int, judged: int, waiting: int) -> str:
    """Say how far the look is, but not how it goes: whoever reads it is still judging."""
    if not drawn:
        return "Nothing looked at by hand yet"
    text = f"{judged} of {judged + waiting} looked at by hand"
    return f"{text}, {identical} more are identical" if identical else text


@requires(Right.LABEL)
def pick(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    annotator: str,
    call: str,
    *,
    now: Clock = utc_now,
) -> ReviewItem:
    """Return a pair that somebody chose to judge. Its label is kept and shown.

    A bound takes it in only where labels cover every disagreement of a structural task.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the outputs are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who judges.
        call: The call's id, or its native id in the log.
        now: The clock.

    Raises:
        UsageError: The task or the candidate is not known, or there is no output for this call.
    """
    annotator = reviewer_name(annotator)
    scope = scope_of(workspace, store, task, candidate)
    moment = in_utc(now())
    answered = desk.observed_texts(store, scope, [call])
    found = [row for row in answered if row["call_id"] == call]
    found = found or [row for row in answered if row["native_id"] == call]
    if len(found) != 1:
        many = "more than one output" if found else "no output"
        raise UsageError(
            f"This queue has {many} for call {call!r} of {task}.",
            "Give the call id that a page or export names.",
        )
    pair = (found[0]["replay_id"], found[0]["call_id"])
    with store.writing() as writer:
        draw = rows.draw_row(writer, draw_id_of(scope, Plan.PICKED, pair[1]))
        if draw is None:
            position = sum(each["plan"] == Plan.PICKED for each in rows.draw_rows(writer, scope))
            draw = apart_row(scope, Plan.PICKED, pair, pair[1], position, moment)
            writer.append("draws", [draw])
        if rows.offered_draw(writer, draw["draw_id"], annotator) is None:
            rows.add_lease(writer, draw["draw_id"], annotator, moment + LEASE)
    progress = progress_of(workspace, store, task, candidate, scope)
    return _item(workspace, store, task, draw, annotator, progress)


@dataclass(frozen=True, slots=True)
class Attention:
    """How one reviewer did on checks with a known answer; `passed` is a rate with exact limits, one look."""

    annotator: str
    shown: int
    answered: int
    passed: int
    rate: Estimate


@requires(Right.SEE)
def attention(
    workspace: Workspace, store: Store, task: str, candidate: str | None = None
) -> tuple[Attention, ...]:
    """Return how reviewers did on attention checks, the least attentive first. No bound takes them in.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: One candidate; None for all.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    delta = workspace.eval_for(task).policy.delta
    fingerprint = scope_of(workspace, store, task, candidate).fingerprint if candidate else None
    shown: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for row in desk.attention_rows(store, task, fingerprint):
        shown[row["annotator"]] += 1
        if row["verdict"]:
            answered[row["annotator"]] += 1
            passed[row["annotator"]] += row["verdict"] in row["expected"].split("|")
    found = [
        Attention(name, n, answered[name], passed[name], _rate(passed[name], answered[name], delta))
        for name, n in shown.items()
    ]
    return tuple(sorted(found, key=lambda each: (each.rate.high, each.annotator)))


def _rate(good: int, n: int, delta: float) -> Estimate:
    bad = n - good
    low = 1 - bounds.exact_upper(bad, n, delta) if n else 0.0
    high = bounds.exact_upper(good, n, delta) if n else 1.0
    return Estimate(good / n if n else None, low, high, 1 - delta, "Clopper-Pearson", n, float(n))
