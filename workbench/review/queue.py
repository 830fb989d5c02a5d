"""The queue: which pair a reviewer judges next, drawn and stored before anybody sees it.

Structural tasks are audited in order; semantic tasks are drawn from a mix of
strata with known probabilities. The method stands in `next_item`.
"""

from __future__ import annotations

from collections.abc import Collection

from workbench import compare
from workbench.access import requires
from workbench.config import Workspace
from workbench.review.forecast import foci_of, progress_of
from workbench.review.handing import Desk, Handing
from workbench.review.items import ReviewItem, build_item, handed, reviewer_name
from workbench.review.pool import languages_of, members_of, pool_of
from workbench.review.states import DESK_PLANS, Clock, in_utc, scope_of, utc_now
from workbench.roles import Right
from workbench.specs import ReviewRules
from workbench.store import Store
from workbench.store import labels as rows


@requires(Right.LABEL)
def next_item(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    annotator: str,
    *,
    languages: Collection[str] | None = None,
    now: Clock = utc_now,
) -> ReviewItem | None:
    """Return what a reviewer should judge next, or None when nothing is left for them.

    In this order: the item they hold; an attention check, where the eval asks for some and it
    is their turn; a second review that is due; the next pair of the plan, drawn and stored
    now; what others skipped or let lapse. Nobody gets a pair they labelled, or one on which
    they read what others said. A structural plan takes disagreements of closed batches in
    order (replay, batch, audit key), a fifth of them in the order of the slice that blocks
    the next stage, and between them about 20 pairs that agree only after normalisation. A
    semantic plan draws stratum h with q_h = 0.8 W_h + 0.2 focus_h and a random pair in it;
    the focus is the mismatches, of the slice that blocks the next stage where there is one; while newer
    calls are of new content, those mismatches have half of the focus.

    What is drawn never depends on who asks: a pair in a language that this person does not
    read keeps its place and waits for somebody who does.

    Args:
        workspace: Names the eval and the candidate.
        store: Where comparisons, draws and labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who asks.
        languages: The languages they read (ISO 639-1); None takes the eval's assignment.
        now: The clock.

    Raises:
        UsageError: The task or the candidate is not known, or the name is empty.
    """
    annotator = reviewer_name(annotator)
    config = workspace.eval_for(task)
    scope = scope_of(workspace, store, task, candidate)
    basis = compare.basis(config)
    moment = in_utc(now())
    # A page that is loaded again asks again: that should not wait for a writer.
    held = rows.held_draw(store, scope, annotator, moment, DESK_PLANS)
    if held:
        draw_id, pair = held["draw_id"], (held["replay_id"], held["call_id"])
    else:
        pool = pool_of(store, scope, config)
        reads = languages if languages is not None else assigned(config.review, annotator)
        desk = Desk(
            annotator=annotator,
            languages=reads,
            language_of=languages_of(store, scope) if reads is not None else {},
            foci=foci_of(workspace, store, task, candidate, scope),
            rules=config.review,
        )
        with store.writing() as writer:
            found = Handing(
                writer,
                scope,
                pool,
                basis,
                desk,
                lambda focus: members_of(store, scope, config, focus),
                moment,
            ).hand_out()
        if found is None:
            return None
        draw_id, pair = found
    attempt = len(rows.labels_on_draw(store, draw_id, annotator))
    progress = progress_of(workspace, store, task, candidate, scope)
    item = build_item(store, config, draw_id, pair, annotator, progress=progress, attempt=attempt)
    return handed(store, item)


def assigned(rules: ReviewRules, annotator: str) -> tuple[str, ...] | None:
    """Return the languages that an eval assigns to a reviewer, or None for all."""
    return rules.languages.get(annotator)
