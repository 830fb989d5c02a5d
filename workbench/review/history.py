"""What somebody has said so far, to look through and to look at again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError, did_you_mean
from workbench.records import Label
from workbench.review.forecast import progress_of
from workbench.review.items import ReviewItem, build_item, choice_of, handed, reviewer_name
from workbench.review.judging import SOURCES
from workbench.review.states import in_utc, scope_of
from workbench.roles import Right
from workbench.store import Store
from workbench.store import labels as rows

CHOICES = ("left", "right", "equal", "both_bad", "skipped")


@requires(Right.LABEL)
def history(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    annotator: str,
    *,
    choices: Collection[str] = (),
    reasons: Collection[str] = (),
    text: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    with_note: bool = False,
    with_correction: bool = False,
    limit: int = 100,
    skip: int = 0,
) -> list[Label]:
    """Return somebody's own standing labels and skips, newest first.

    The filters are in terms of what was on the page, so that they tell nothing about models.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Whose; nobody else's are ever returned.
        choices: Of `CHOICES`; none is all.
        reasons: Labels with at least one of these; none is all.
        text: In the request, the note or the corrected answer, whatever the case.
        since: Not before.
        until: Before.
        with_note: Only those with a note.
        with_correction: Only those with a corrected answer.
        limit: At most so many.
        skip: So many of the newest are left out, for pages.

    Raises:
        UsageError: The task, the candidate or a choice is not known.
    """
    for each in choices:
        if each not in CHOICES:
            raise UsageError(f"{each!r} is no choice.", did_you_mean(each, CHOICES))
    scope = scope_of(workspace, store, task, candidate)
    found = rows.own_labels(
        store, scope, reviewer_name(annotator), sources=SOURCES, text=text.strip() or None, limit=None
    )
    wanted = []
    for row in found:
        label = rows.to_label(row)
        moment = in_utc(label.created_at) if label.created_at else None
        keeps = (
            (not choices or choice_made(label) in choices)
            and (not reasons or bool(set(reasons) & set(label.reasons)))
            and (since is None or (moment is not None and moment >= in_utc(since)))
            and (until is None or (moment is not None and moment < in_utc(until)))
            and (not with_note or bool(label.note))
            and (not with_correction or label.corrected is not None)
        )
        if keeps:
            wanted.append(_unmarked(label))
    return wanted[skip : skip + limit]


def _unmarked(label: Label) -> Label:
    """Return a label that does not tell its author which items were checks."""
    return replace(label, source="queue") if label.source == "attention" else label


def choice_made(label: Label) -> str:
    """Return what a label's author chose on the page: left, right, equal, both_bad or skipped."""
    if label.verdict is None:
        return "skipped"
    return choice_of(label.verdict, label.shown_order)


@requires(Right.LABEL)
def own_label(
    workspace: Workspace, store: Store, task: str, candidate: str, annotator: str, key: str
) -> Label:
    """Return one of somebody's own standing labels or skips.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Whose.
        key: How the label's id begins, or `last` for the newest.

    Raises:
        UsageError: None of theirs is called so, or several are.
    """
    scope = scope_of(workspace, store, task, candidate)
    rows_found = rows.own_labels(store, scope, reviewer_name(annotator), sources=SOURCES, limit=None)
    asked = key.strip().lower()
    found = [row for row in rows_found if asked and row["label_id"].startswith(asked)]
    if asked == "last":
        found = rows_found[:1]
    if len(found) != 1:
        raise UsageError(
            f"{'Several labels' if found else 'No standing label'} of yours can be called {key!r}.",
            "`workbench label history` lists them with their ids.",
        )
    return _unmarked(rows.to_label(found[0]))


@requires(Right.LABEL)
def look_again(
    workspace: Workspace, store: Store, task: str, candidate: str, annotator: str, label: Label
) -> ReviewItem:
    """Return the pair that somebody labelled as they saw it, to read; submitting goes by `undo` or `amend`.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who looks.
        label: A label of theirs.

    Raises:
        UsageError: It is somebody else's.
    """
    annotator = reviewer_name(annotator)
    if label.annotator != annotator:
        raise UsageError("This label is another reviewer's.", "Look at your own.")
    config = workspace.eval_for(task)
    scope = scope_of(workspace, store, task, candidate)
    progress = progress_of(workspace, store, task, candidate, scope)
    pair = (label.replay_id, label.call_id)
    # Its id is that of no draw, so nothing can be submitted on it.
    # What came back from another program was shown there in the order of its own draw.
    item = build_item(
        store,
        config,
        f"seen {label.label_id}",
        pair,
        annotator,
        progress=progress,
        attempt=0,
        shown_order=label.shown_order,
    )
    return handed(store, item)
