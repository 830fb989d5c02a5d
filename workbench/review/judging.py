"""What reviewers do: submit, skip, undo, amend, adjudicate. Every act is one committed row.

Label ids follow from the draw, the reviewer and the attempt, so that a double
click, a page sent twice or a retry after a lost reply can't make two labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError, did_you_mean
from workbench.normal import clean_text, content_hash
from workbench.records import AbsoluteJudgement, Label, LabelVerdict
from workbench.review.forecast import progress_of
from workbench.review.handing import second_review_row
from workbench.review.items import (
    ReviewItem,
    build_item,
    check_reasons,
    handed,
    order_shown,
    reviewer_name,
)
from workbench.review.states import (
    APART_SOURCES,
    COUNTED_SOURCES,
    LEASE,
    PICKED,
    Board,
    Clock,
    Pair,
    Plan,
    draw_id_of,
    in_utc,
    scope_of,
    utc_now,
)
from workbench.roles import Right
from workbench.store import Store, desk, guidelines
from workbench.store import labels as rows
from workbench.store.labels import Scope

MAX_NOTE_CHARS = 20_000
SOURCES = ("queue", PICKED, *sorted(APART_SOURCES))
"""Sources of labels that were given on an item that somebody was shown."""


def verdict_of(word: str | LabelVerdict) -> LabelVerdict:
    """Return a verdict by its name.

    Raises:
        UsageError: There is none of that name; the message lists them, the hint names the closest.
    """
    try:
        return LabelVerdict(str(word).strip().lower().replace(" ", "_").replace("-", "_"))
    except ValueError:
        known = [each.value for each in LabelVerdict]
        message = f"{word!r} is not a verdict; these are: {', '.join(known)}."
        raise UsageError(message, did_you_mean(str(word), known)) from None


@requires(Right.LABEL, task=lambda given: given["item"].task)
def submit(
    workspace: Workspace,
    store: Store,
    item: ReviewItem,
    annotator: str,
    verdict: LabelVerdict | str,
    *,
    reasons: Iterable[str] = (),
    note: str = "",
    corrected: str | None = None,
    absolute: AbsoluteJudgement | None = None,
    board: Board | None = None,
    now: Clock = utc_now,
) -> Label:
    """Commit one label; when this returns, the label survives a crash.

    Args:
        workspace: Names the eval, whose guidelines the label was made under.
        store: Where the label goes.
        item: What the reviewer was shown.
        annotator: Who judged.
        verdict: The verdict (`ReviewItem.verdict` translates left and right).
        reasons: A word or two each; not with `equal`.
        note: Free text.
        corrected: The answer that would have been right; it becomes a gold answer.
        absolute: What was said of each side by itself (`submit_absolute` finds the verdict).
        board: The queue as it stands, where the caller's transaction has read it.
        now: The clock.

    Returns:
        The label. A second submit of the same item returns the first label unchanged.

    Raises:
        UsageError: The item was never offered to this person, or an argument is wrong.
    """
    verdict = verdict_of(verdict)
    return _record(
        store,
        item,
        annotator,
        verdict=verdict,
        reasons=check_reasons(verdict, tuple(reasons)),
        note=cleaned_text(note),
        corrected=cleaned_text(corrected) if corrected else None,
        absolute=absolute,
        board=board,
        moment=in_utc(now()),
    )


@requires(Right.LABEL, task=lambda given: given["item"].task)
def skip(
    workspace: Workspace,
    store: Store,
    item: ReviewItem,
    annotator: str,
    *,
    reason: str = "",
    board: Board | None = None,
    now: Clock = utc_now,
) -> Label:
    """Put an item aside for others; until somebody labels it, it counts as harm.

    Args:
        workspace: Names the eval.
        store: Where the skip goes.
        item: What the reviewer was shown.
        annotator: Who skips.
        reason: Why, in a few words.
        board: The queue as it stands, where the caller's transaction has read it.
        now: The clock.

    Returns:
        The stored row: a label without a verdict, marked as skipped.

    Raises:
        UsageError: The item was never offered to this person.
    """
    return _record(
        store,
        item,
        annotator,
        note=cleaned_text(reason),
        skipped=True,
        board=board,
        moment=in_utc(now()),
    )


def cleaned_text(text: str) -> str:
    """Return what somebody wrote, cleaned, trimmed and capped."""
    return clean_text(text)[0].strip()[:MAX_NOTE_CHARS]


def _record(
    store: Store,
    item: ReviewItem,
    annotator: str,
    *,
    moment: datetime,
    verdict: LabelVerdict | None = None,
    reasons: tuple[str, ...] = (),
    note: str = "",
    corrected: str | None = None,
    absolute: AbsoluteJudgement | None = None,
    skipped: bool = False,
    board: Board | None = None,
) -> Label:
    annotator = reviewer_name(annotator)
    with store.writing() as writer:
        draw, own = _offered(writer, item, annotator, board)
        if draw is None:
            raise UsageError(
                f"This item was not offered to {annotator}.", "Ask for the next item and judge that one."
            )
        label_id = content_hash("label", item.item_id, annotator, str(item.attempt))
        for row in own:
            if row["label_id"] == label_id:
                return rows.to_label(row)
        standing = [row["label_id"] for row in own if row["current"] and (row["verdict"] or row["skipped"])]
        plan = Plan(draw["plan"])
        _still_blind(writer, plan.source, (draw["replay_id"], draw["call_id"]), annotator)
        label = Label(
            label_id=label_id,
            replay_id=draw["replay_id"],
            call_id=draw["call_id"],
            verdict=verdict,
            annotator=annotator,
            reasons=reasons,
            note=note,
            corrected=corrected,
            shown_order=order_shown(annotator, draw["call_id"], draw["replay_id"]),
            draw_id=item.item_id,
            draw_probability=None if plan.apart else draw["draw_probability"],
            guideline_version=item.guideline_version,
            source=plan.source,
            supersedes=standing[-1] if standing else None,
            skipped=skipped,
            created_at=moment,
            absolute=absolute,
        )
        guidelines.keep(writer, item.task, item.guideline_version, item.guidelines, moment)
        rows.add_label(writer, label)
        ask_for_confirmation(writer, draw, label, moment)
    return label


def _still_blind(writer: Any, source: str, pair: Pair, annotator: str) -> None:
    """Refuse a label of the queue from somebody who has read what others said while a page stayed open."""
    if source in COUNTED_SOURCES and desk.has_opened(writer, pair, annotator):
        raise UsageError(
            "You have read what others said of this pair, so it can't be judged blind any more.",
            "Decide it under Conflicts, or go on with the next item.",
        )


def _offered(
    writer: Any, item: ReviewItem, annotator: str, board: Board | None
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return the draw of an item, None if it was never offered to this person, and their labels on it."""
    if board is None:
        draw = rows.offered_draw(writer, item.item_id, annotator)
        return draw, rows.labels_on_draw(writer, item.item_id, annotator)
    leases = board.leases.get(item.item_id, ())
    offered = any(lease["annotator"] == annotator for lease in leases)
    draw = next((each for each in board.draws if offered and each["draw_id"] == item.item_id), None)
    own = [each for each in board.on_draw.get(item.item_id, ()) if each["annotator"] == annotator]
    return draw, own


def ask_for_confirmation(writer: Any, draw: dict[str, Any], label: Label, moment: datetime) -> None:
    """Draw a second review at once where a pair that only normalisation makes equal was found worse.

    It would revoke what structural evidence rests on, so it must not depend on
    anybody asking for more work: unanswered, the second review lapses, which
    counts as confirmed.
    """
    if draw["plan"] != Plan.NORMALISATION or label.verdict is not LabelVerdict.CONTROL_BETTER:
        return
    scope = Scope(draw["task"], draw["candidate_fingerprint"], draw["evaluator_version"])
    if rows.draw_row(writer, draw_id_of(scope, Plan.SECOND_REVIEW, draw["draw_id"])) is None:
        position = sum(each["plan"] == Plan.SECOND_REVIEW for each in rows.draw_rows(writer, scope))
        writer.append("draws", [second_review_row(draw, position, moment)])


@requires(Right.LABEL)
def undo(
    workspace: Workspace, store: Store, task: str, candidate: str, annotator: str, *, now: Clock = utc_now
) -> ReviewItem | None:
    """Take somebody's last label or skip back and return that item again.

    The label stays in the store; a row that supersedes it takes it out of use.
    Asked twice in a row, it returns the same item: one act goes back one step.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Whose label.
        now: The clock.

    Returns:
        The item, or None where there is nothing to take back.
    """
    annotator = reviewer_name(annotator)
    config = workspace.eval_for(task)
    scope = scope_of(workspace, store, task, candidate)
    moment = in_utc(now())
    with store.writing() as writer:
        draw = _undone(writer, scope, annotator, moment)
    if draw is None:
        return None
    draw_id = draw["draw_id"]
    attempt = len(rows.labels_on_draw(store, draw_id, annotator))
    progress = progress_of(workspace, store, task, candidate, scope)
    pair = (draw["replay_id"], draw["call_id"])
    item = build_item(store, config, draw_id, pair, annotator, progress=progress, attempt=attempt)
    return handed(store, item)


def _undone(writer: Any, scope: Scope, annotator: str, moment: datetime) -> dict[str, Any] | None:
    pending = rows.pending_undo(writer, scope, annotator, moment)
    if pending:
        return rows.draw_row(writer, pending)
    own = rows.own_labels(writer, scope, annotator, sources=SOURCES)
    last = next((row for row in own if _is_of(writer, row, scope)), None)
    if last is None:
        return None
    _still_blind(writer, last["source"], (last["replay_id"], last["call_id"]), annotator)
    taken_back = replace(
        rows.to_label(last),
        label_id=content_hash("undo", last["label_id"]),
        verdict=None,
        reasons=(),
        note="",
        corrected=None,
        absolute=None,
        supersedes=last["label_id"],
        skipped=False,
        created_at=moment,
    )
    rows.add_label(writer, taken_back)
    rows.add_lease(writer, last["draw_id"], annotator, moment + LEASE)
    return rows.draw_row(writer, last["draw_id"])


def _is_of(store: Any, row: dict[str, Any], scope: Scope) -> bool:
    draw = rows.draw_row(store, row["draw_id"]) if row["draw_id"] else None
    return draw is not None and draw["evaluator_version"] == scope.evaluator_version


@requires(Right.LABEL, task=lambda given: rows.task_of_replay(given["store"], given["label"].replay_id))
def amend(
    store: Store,
    label: Label,
    annotator: str,
    *,
    verdict: LabelVerdict | str | None = None,
    reasons: Iterable[str] | None = None,
    note: str | None = None,
    corrected: str | None = None,
    absolute: AbsoluteJudgement | None = None,
    now: Clock = utc_now,
) -> Label:
    """Add reasons, a note or a corrected answer to a label, or change its verdict, after the fact.

    To a skip, a note can be added: why it was skipped.

    Args:
        store: Where the label is.
        label: The label, or an earlier form of it.
        annotator: Who amends; only its author may.
        verdict: The new verdict; None keeps it.
        reasons: The reasons instead of the old ones; None keeps them.
        note: The note instead of the old one; None keeps it.
        corrected: The right answer; None keeps it.
        absolute: What is said of each side instead (`amend_absolute` checks it and finds the verdict);
            None keeps it as long as the verdict stays.
        now: The clock.

    Returns:
        The label that stands now; the same one where nothing changes.

    Raises:
        UsageError: It is somebody else's, was taken back, or reasons are wrong.
    """
    annotator = reviewer_name(annotator)
    moment = in_utc(now())
    with store.writing() as writer:
        history = rows.labels_on_pair(writer, label.replay_id, label.call_id)
        row = _standing_form(history, label.label_id)
        if row is None or not (row["verdict"] or row["skipped"]):
            raise UsageError("This label was taken back.", "Judge the item again.")
        if row["annotator"] != annotator:
            raise UsageError("This label is another reviewer's.", "Adjudicate the pair instead.")
        known = rows.to_label(row)
        if known.skipped:
            if verdict is not None or reasons or corrected or absolute:
                raise UsageError("A skipped item has no verdict.", "Undo the skip and judge the item.")
            changed = replace(known, note=known.note if note is None else cleaned_text(note))
        else:
            chosen = verdict_of(verdict) if verdict is not None else known.verdict or LabelVerdict.EQUAL
            if chosen is not known.verdict or absolute not in (None, known.absolute):
                _still_blind(writer, known.source, (known.replay_id, known.call_id), annotator)
            kept = () if chosen is LabelVerdict.EQUAL else known.reasons
            changed = replace(
                known,
                verdict=chosen,
                reasons=kept if reasons is None else check_reasons(chosen, tuple(reasons)),
                note=known.note if note is None else cleaned_text(note),
                corrected=known.corrected if corrected is None else cleaned_text(corrected) or None,
                absolute=absolute or (known.absolute if chosen is known.verdict else None),
            )
        if changed == known:
            return known
        content: list[Any] = [changed.verdict, list(changed.reasons), changed.note, changed.corrected]
        if absolute is not None:
            content.append(absolute)
        amended = replace(
            changed,
            label_id=content_hash("amend", known.label_id, content),
            supersedes=known.label_id,
            created_at=moment,
        )
        rows.add_label(writer, amended)
        draw = rows.draw_row(writer, known.draw_id) if known.draw_id else None
        if draw:
            ask_for_confirmation(writer, draw, amended, moment)
    return amended


def _standing_form(history: list[dict[str, Any]], label_id: str) -> dict[str, Any] | None:
    """Follow a label to the row that stands for it now."""
    later = {row["supersedes"]: row for row in history if row["supersedes"]}
    row = next((each for each in history if each["label_id"] == label_id), None)
    while row is not None and row["label_id"] in later:
        row = later[row["label_id"]]
    return row
