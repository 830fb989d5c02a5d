"""Pairs on which people differ: what was said of them, and the verdict that settles it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.normal import content_hash
from workbench.records import AbsoluteJudgement, Label, LabelVerdict
from workbench.review.absolute import check_absolute, critical_paths, verdict_from_absolute
from workbench.review.forecast import progress_of
from workbench.review.items import (
    CONTROL_LEFT,
    ReviewItem,
    build_item,
    check_reasons,
    choice_of,
    reviewer_name,
)
from workbench.review.judging import cleaned_text, verdict_of
from workbench.review.states import (
    Board,
    Clock,
    EffectiveVerdict,
    Pair,
    effective_verdicts,
    in_utc,
    scope_of,
    utc_now,
)
from workbench.roles import Right
from workbench.store import Store, accesses, desk, guidelines
from workbench.store import labels as rows


@dataclass(frozen=True, slots=True)
class ConflictHead:
    """A pair on which people differ, without what they said.

    `key` opens it. `votes` is how many labels stand; `own` says that one of them is the
    asker's. `barred` says why the asker may not read them yet; empty where they may.
    """

    key: str
    replay_id: str
    call_id: str
    native_id: str
    votes: int
    own: bool
    barred: str


@dataclass(frozen=True, slots=True)
class CastVote:
    """What one person said, in terms of the sides as this adjudicator sees them.

    `left_right` and `right_right` say whether each was called right by itself; None where the sides were
    only compared.
    """

    label_id: str
    annotator: str
    choice: str
    reasons: tuple[str, ...]
    note: str
    corrected: str | None
    left_wrong: tuple[str, ...]
    right_wrong: tuple[str, ...]
    left_right: bool | None
    right_right: bool | None
    guideline_version: str | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A conflict opened by one person: the pair, still without model names, and every vote on it."""

    key: str
    replay_id: str
    call_id: str
    item: ReviewItem
    votes: tuple[CastVote, ...]

    @property
    def guidelines_differ(self) -> bool:
        """Say whether the votes were cast under different guidelines."""
        return len({vote.guideline_version for vote in self.votes if vote.guideline_version}) > 1


@requires(Right.ADJUDICATE)
def disputes(workspace: Workspace, store: Store, task: str, candidate: str) -> list[EffectiveVerdict]:
    """Return the pairs on which people differ and nobody has decided; the worse verdict counts meanwhile."""
    scope = scope_of(workspace, store, task, candidate)
    return [each for each in effective_verdicts(store, *scope.params).values() if each.disputed]


def conflict_key(pair: Pair) -> str:
    """Return the name of a conflict: the same in every process."""
    return content_hash("conflict", *pair)[:16]


@requires(Right.ADJUDICATE)
def conflicts(
    workspace: Workspace, store: Store, task: str, candidate: str, annotator: str, *, now: Clock = utc_now
) -> list[ConflictHead]:
    """Return the open conflicts, without what anybody said.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who asks: nobody reads others' labels of a pair while they hold it.
        now: The clock.
    """
    annotator = reviewer_name(annotator)
    scope = scope_of(workspace, store, task, candidate)
    board = Board.read(store, scope, in_utc(now()))
    disputed = [each for each in effective_verdicts(store, *scope.params).values() if each.disputed]
    names = desk.native_ids(store, [each.call_id for each in disputed])
    return [
        ConflictHead(
            key=conflict_key((each.replay_id, each.call_id)),
            replay_id=each.replay_id,
            call_id=each.call_id,
            native_id=names.get(each.call_id, ""),
            votes=len(each.votes),
            own=any(vote.annotator == annotator for vote in each.votes),
            barred=_barred(board, each, annotator),
        )
        for each in disputed
    ]


def _barred(board: Board, dispute: EffectiveVerdict, annotator: str) -> str:
    pair = (dispute.replay_id, dispute.call_id)
    for draw in board.draws:
        if (draw["replay_id"], draw["call_id"]) != pair:
            continue
        lease = board.lease_in_force(draw["draw_id"])
        if lease and lease["annotator"] == annotator:
            return "You are judging this pair yourself: say what you think first."
    return ""


@requires(Right.ADJUDICATE)
def open_conflict(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    annotator: str,
    key: str,
    *,
    now: Clock = utc_now,
) -> Conflict:
    """Return a conflict with every vote. Who has read them is not asked to judge the pair blind again.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who reads.
        key: Of the conflict (see `conflicts`).
        now: The clock.

    Raises:
        UsageError: There is no such conflict, or this person must judge the pair first.
    """
    annotator = reviewer_name(annotator)
    config = workspace.eval_for(task)
    scope = scope_of(workspace, store, task, candidate)
    moment = in_utc(now())
    with store.writing() as writer:
        board = Board.read(writer, scope, moment)
        dispute = next(
            (
                each
                for each in effective_verdicts(writer, *scope.params).values()
                if each.disputed and conflict_key((each.replay_id, each.call_id)) == key
            ),
            None,
        )
        if dispute is None:
            raise UsageError(
                f"There is no open conflict {key!r}.", "It may be settled by now: ask for the list again."
            )
        if reason := _barred(board, dispute, annotator):
            raise UsageError(reason, "Then open the conflict again.")
        pair = (dispute.replay_id, dispute.call_id)
        desk.add_opening(writer, pair, annotator, moment)
        history = rows.labels_on_pair(writer, *pair)
    progress = progress_of(workspace, store, task, candidate, scope)
    item = build_item(store, config, f"conflict {key}", pair, annotator, progress=progress, attempt=0)
    accesses.viewed(store, accesses.Kind.CONFLICT, task, [pair[1]])
    known = {row["label_id"]: row for row in history}
    votes = tuple(_cast(known[vote.label_id], item) for vote in dispute.votes)
    return Conflict(key, *pair, item, votes)


def _cast(row: dict[str, Any], item: ReviewItem) -> CastVote:
    label = rows.to_label(row)
    each = label.absolute
    turned = item.shown_order != CONTROL_LEFT
    wrong = (each.control_wrong, each.candidate_wrong) if each else ((), ())
    left, right = wrong[::-1] if turned else wrong
    called = (each.control_right, each.candidate_right) if each else (None, None)
    left_right, right_right = called[::-1] if turned else called
    return CastVote(
        label_id=label.label_id,
        annotator=label.annotator,
        choice=choice_of(label.verdict or LabelVerdict.EQUAL, item.shown_order),
        reasons=label.reasons,
        note=label.note,
        corrected=label.corrected,
        left_wrong=left,
        right_wrong=right,
        left_right=left_right,
        right_right=right_right,
        guideline_version=label.guideline_version,
        created_at=label.created_at,
    )


@requires(
    Right.ADJUDICATE,
    task=lambda given: rows.task_of_replay(given["store"], given["dispute"].replay_id),
)
def adjudicate(
    workspace: Workspace,
    store: Store,
    dispute: EffectiveVerdict | Conflict,
    annotator: str,
    verdict: LabelVerdict | str | None = None,
    *,
    absolute: AbsoluteJudgement | None = None,
    reasons: Iterable[str] = (),
    note: str = "",
    corrected: str | None = None,
    now: Clock = utc_now,
) -> Label:
    """Decide a pair on which people differ: this verdict counts from now on; what was said stays.

    Args:
        workspace: Names the eval.
        store: Where the label goes.
        dispute: The pair, with the votes that were weighed.
        annotator: Who decides.
        verdict: The decision; None where `absolute` gives it.
        absolute: What is decided of each side by itself; for an opened conflict only.
        reasons: A word or two each.
        note: Free text.
        corrected: The answer that would have been right; it becomes a gold answer.
        now: The clock.

    Raises:
        UsageError: There is no such pair, somebody decided it meanwhile, or neither a verdict nor a
            judgement of the sides was given.
    """
    annotator = reviewer_name(annotator)
    votes = sorted(vote.label_id for vote in dispute.votes)
    with store.writing() as writer:
        task = rows.task_of_replay(writer, dispute.replay_id)
        config = workspace.eval_for(task) if task else None
        if absolute is not None and config is not None and isinstance(dispute, Conflict):
            check_absolute(dispute.item, absolute)
            chosen = verdict_from_absolute(absolute, critical_paths(config))
        elif verdict is not None and absolute is None:
            chosen = verdict_of(verdict)
        else:
            raise UsageError("The decision is missing.", "Give a verdict, or judge each side by itself.")
        history = rows.labels_on_pair(writer, dispute.replay_id, dispute.call_id)
        # The same decision after it was taken back is another one.
        before = [each for each in history if each["source"] == "adjudicated" and not each["verdict"]]
        again = (str(len(before)),) if before else ()
        label = Label(
            label_id=content_hash(
                "adjudicated", dispute.replay_id, dispute.call_id, annotator, chosen, votes, *again
            ),
            replay_id=dispute.replay_id,
            call_id=dispute.call_id,
            verdict=chosen,
            annotator=annotator,
            reasons=check_reasons(chosen, tuple(reasons)),
            note=cleaned_text(note),
            corrected=cleaned_text(corrected) if corrected else None,
            guideline_version=config.guideline_version if config else None,
            source="adjudicated",
            created_at=in_utc(now()),
            absolute=absolute,
        )
        for row in history:
            decided = row["source"] == "adjudicated" and row["current"] and row["verdict"]
            if decided and row["label_id"] not in (*votes, label.label_id):
                raise UsageError(
                    f"{row['annotator']} has decided this pair meanwhile.", "That decision stands."
                )
        if config is not None:
            moment = in_utc(now())
            guidelines.keep(writer, config.task, config.guideline_version, config.guidelines, moment)
        rows.add_label(writer, label)
    return label


@dataclass(frozen=True, slots=True)
class Decision:
    """A pair that somebody decided, by the name of its call, and the label that did."""

    native_id: str
    label: Label


@requires(Right.ADJUDICATE)
def decisions(
    workspace: Workspace, store: Store, task: str, candidate: str, annotator: str
) -> list[Decision]:
    """Return what a person has decided and may take back, the newest first.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Whose decisions; nobody else's are returned.
    """
    scope = scope_of(workspace, store, task, candidate)
    own = rows.own_labels(store, scope, reviewer_name(annotator), sources=("adjudicated",), limit=None)
    found = [rows.to_label(row) for row in own if row["verdict"]]
    names = desk.native_ids(store, [each.call_id for each in found])
    return [Decision(names.get(each.call_id, ""), each) for each in found]


@requires(Right.ADJUDICATE)
def decision_of(
    workspace: Workspace, store: Store, task: str, candidate: str, annotator: str, key: str
) -> Decision:
    """Return what a person decided on the conflict of a key.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who decided.
        key: Of the conflict, as when it was open.

    Raises:
        UsageError: They have decided none of that key, or taken it back.
    """
    for each in decisions(workspace, store, task, candidate, annotator):
        if conflict_key((each.label.replay_id, each.label.call_id)) == key:
            return each
    raise UsageError(f"{annotator} has decided no conflict {key!r}.", "Who decided may take it back.")


@requires(Right.ADJUDICATE, task=lambda given: rows.task_of_replay(given["store"], given["label"].replay_id))
def take_decision_back(store: Store, label: Label, annotator: str, *, now: Clock = utc_now) -> Label:
    """Take a decision out of use: the pair is a conflict again, and the worse verdict counts meanwhile.

    The decision stays in the store; a row that supersedes it ends its effect. Asked twice, nothing
    more happens.

    Args:
        store: Where the label is.
        label: The decision.
        annotator: Who takes it back; only who decided may.
        now: The clock.

    Raises:
        UsageError: It is no decision, or somebody else's.
    """
    annotator = reviewer_name(annotator)
    with store.writing() as writer:
        history = rows.labels_on_pair(writer, label.replay_id, label.call_id)
        row = next((each for each in history if each["label_id"] == label.label_id), None)
        if row is None or row["source"] != "adjudicated" or not row["verdict"]:
            raise UsageError("This is no decision.", "Take back a label of your own with undo.")
        if row["annotator"] != annotator:
            raise UsageError(f"{row['annotator']} has decided this pair.", "Ask them to take it back.")
        later = next((each for each in history if each["supersedes"] == label.label_id), None)
        if later is not None:
            return rows.to_label(later)
        taken_back = replace(
            rows.to_label(row),
            label_id=content_hash("decision taken back", label.label_id),
            verdict=None,
            reasons=(),
            note="",
            corrected=None,
            absolute=None,
            supersedes=label.label_id,
            created_at=in_utc(now()),
        )
        rows.add_label(writer, taken_back)
    return taken_back
