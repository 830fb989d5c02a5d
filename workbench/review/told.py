"""What moved the bound, told so that nobody learns what they may still be asked to judge blind."""

from __future__ import annotations

from dataclasses import dataclass

from workbench import access
from workbench.access import requires
from workbench.config import Workspace
from workbench.records import LabelVerdict
from workbench.review.effects import label_moves
from workbench.review.verdicts import hidden_from, note_read
from workbench.roles import Right
from workbench.store import Store


@dataclass(frozen=True, slots=True)
class ToldMove:
    """One label that moved the upper bound, from `before` to `after` (0..1 of calls).

    Where `hidden`, whoever asks may still be asked for this pair: `annotator` and `verdict` are None.
    """

    label_id: str
    replay_id: str
    call_id: str
    annotator: str | None
    verdict: LabelVerdict | None
    source: str
    before: float
    after: float
    hidden: bool
    together: int = 1


@requires(Right.READ)
def told_moves(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    annotator: str | None = None,
    *,
    limit: int | None = 10,
    opening: bool = False,
) -> list[ToldMove]:
    """Return the labels that moved the upper bound the most, as somebody may read them.

    Args:
        workspace: Names the eval and the candidate.
        store: Where the labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who reads; whoever acts unless given. Who is signed in reads under their own name.
        limit: At most so many; None for all.
        opening: Tell everything. Who reads it is not asked for these pairs blind any more.
    """
    actor = access.current()
    name = actor.name if annotator is None or actor.signed_in else annotator
    found = label_moves(workspace, store, task, candidate, limit=limit)
    pairs = [(each.replay_id, each.call_id) for each in found]
    if opening:
        note_read(store, sorted(hidden_from(store, pairs, name)), name)
    hidden = hidden_from(store, pairs, name)
    return [
        ToldMove(
            label_id=each.label_id,
            replay_id=each.replay_id,
            call_id=each.call_id,
            annotator=None if pair in hidden else each.annotator,
            verdict=None if pair in hidden else each.verdict,
            source=each.source,
            before=each.before,
            after=each.after,
            together=each.together,
            hidden=pair in hidden,
        )
        for each, pair in zip(found, pairs, strict=True)
    ]
