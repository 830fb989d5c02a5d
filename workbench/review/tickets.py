"""Items by their ticket, for programs that ask now and answer later: the command line, scripts."""

from __future__ import annotations

from workbench.access import require, requires_somewhere
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.review.forecast import progress_of
from workbench.review.items import ReviewItem, build_item, handed, reviewer_name
from workbench.roles import Right
from workbench.store import Store
from workbench.store import labels as rows
from workbench.store.labels import Scope


@requires_somewhere(Right.LABEL)
def item_of(workspace: Workspace, store: Store, ticket: str, annotator: str) -> ReviewItem:
    """Return an item that was offered to somebody, by its ticket (`ReviewItem.ticket`).

    The ticket holds the attempt, so that the same answer sent twice is one label, and the version of the
    guidelines, so that nobody labels under what they have not seen.

    Args:
        workspace: Names the eval.
        store: Where the draw is.
        ticket: As it was handed out.
        annotator: To whom.

    Raises:
        UsageError: There is no such item, it was not offered to this person, or the guidelines changed since.
    """
    annotator = reviewer_name(annotator)
    draw_id, _, rest = ticket.strip().partition(".")
    attempt, _, guidelines = rest.partition(".")
    draw = rows.offered_draw(store, draw_id, annotator)
    if draw is None or (attempt and not attempt.isascii()) or not (attempt or "0").isdecimal():
        raise UsageError(
            f"There is no item {ticket!r} that was offered to {annotator}.",
            "Ask for one with `workbench label next`, and answer with the ticket it gives.",
        )
    task, fingerprint = draw["task"], draw["candidate_fingerprint"]
    require(Right.LABEL, task=task)
    config = workspace.eval_for(task)
    if guidelines and guidelines != config.guideline_version:
        raise UsageError(
            f"The guidelines of {task!r} changed since this item was handed out.",
            "Read them, and ask for the item again: `workbench label next`.",
        )
    candidate = rows.candidate_of_replay(store, draw["replay_id"]) or ""
    scope = Scope(task, fingerprint, draw["evaluator_version"])
    progress = progress_of(workspace, store, task, candidate, scope)
    pair = (draw["replay_id"], draw["call_id"])
    count = len(rows.labels_on_draw(store, draw_id, annotator)) if not attempt else int(attempt)
    item = build_item(store, config, draw_id, pair, annotator, progress=progress, attempt=count)
    return handed(store, item)
