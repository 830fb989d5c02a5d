"""How a queue stands: what is drawn, what waits and for whom, and where it aims."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from workbench import compare
from workbench.access import requires
from workbench.config import Workspace
from workbench.records import Basis
from workbench.review.forecast import Focus, foci_of, progress_of
from workbench.review.items import ReviewProgress
from workbench.review.pool import languages_of, pool_of
from workbench.review.states import NEW_CONTENT, Board, Clock, Plan, State, in_utc, scope_of, utc_now
from workbench.roles import Right
from workbench.store import Store


@dataclass(frozen=True, slots=True)
class ReviewerWork:
    """What one reviewer did: labels that stand, skips, and items they hold now."""

    annotator: str
    labels: int
    skipped: int
    holds: int


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """How the queue of a task and a candidate stands.

    `basis` says which plan: an audit in order, or a mix of strata. `pool` counts the pairs
    that may be drawn, `drawn` the draws by plan, `states` how many of them are open, leased,
    lapsed, skipped and labelled. `doubled` counts second reviews, `conflicts` the pairs people
    differ on. `unread` counts draws that wait for somebody who reads their language, by
    language. `foci` is what the queue aims at: new content, a slice.
    """

    task: str
    candidate: str
    basis: Basis
    pool: int
    drawn: dict[str, int]
    states: dict[str, int]
    doubled: int
    conflicts: int
    reviewers: tuple[ReviewerWork, ...]
    unread: dict[str, int]
    foci: tuple[Focus, ...]
    progress: ReviewProgress

    @property
    def text(self) -> str:
        """Return the status as lines for people."""
        plan = "audit in order" if self.basis is Basis.STRUCTURAL else "mix of strata"
        counts = [f"{n:,} {name}" for name, n in self.states.items() if n]
        lines = [
            f"{self.task} / {self.candidate}: {self.progress.text}.",
            f"Plan: {plan} over {self.pool:,} pairs; drawn {sum(self.drawn.values()):,}"
            f"{' (' + ', '.join(counts) + ')' if counts else ''}, {self.doubled:,} second reviews.",
        ]
        for name, value in self.foci:
            if name == NEW_CONTENT:
                lines.append("Aimed at calls of new content, which a check told from the evaluated ones.")
            else:
                lines.append(f"Aimed at {name} = {value}, which blocks the next stage.")
        if self.conflicts:
            pairs = "1 pair" if self.conflicts == 1 else f"{self.conflicts:,} pairs"
            lines.append(f"Reviewers differ on {pairs}: workbench label conflicts")
        lines += [f"{n:,} wait for somebody who reads {language}." for language, n in self.unread.items()]
        for each in self.reviewers:
            holds = f", holds {each.holds}" if each.holds else ""
            lines.append(f"  {each.annotator}: {each.labels:,} labels, {each.skipped:,} skipped{holds}")
        return "\n".join(lines)


@requires(Right.LABEL, Right.SEE)
def queue_status(
    workspace: Workspace, store: Store, task: str, candidate: str, *, now: Clock = utc_now
) -> QueueStatus:
    """Return how a queue stands. It draws and leases nothing.

    Args:
        workspace: Names the eval and the candidate.
        store: Where comparisons, draws and labels are.
        task: The task.
        candidate: The candidate's name.
        now: The clock.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    config = workspace.eval_for(task)
    scope = scope_of(workspace, store, task, candidate)
    basis = compare.basis(config)
    board = Board.read(store, scope, in_utc(now()))
    states = board.states()
    main = [each for each in states if each.plan is not Plan.SECOND_REVIEW]
    unread = Counter(
        languages_of(store, scope).get(each.call_id, "unknown")
        for each in main
        if each.state is not State.LABELLED and not board.leases.get(each.draw_id)
    )
    labels: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for found in board.on_draw.values():
        for row in found:
            if row["current"]:
                labels[row["annotator"]] += bool(row["verdict"])
                skipped[row["annotator"]] += bool(row["skipped"])
    holds = Counter(
        lease["annotator"]
        for draw in board.draws
        if (lease := board.lease_in_force(draw["draw_id"])) is not None
    )
    names = sorted({*labels, *holds}, key=lambda name: (-labels[name], name))
    counted = Counter(each.state for each in main)
    return QueueStatus(
        task=task,
        candidate=candidate,
        basis=basis,
        pool=pool_of(store, scope, config).size,
        drawn=dict(Counter(each.plan.value for each in main)),
        states={state.value: counted[state] for state in State},
        doubled=len(states) - len(main),
        conflicts=sum(each.disputed for each in board.verdicts.values()),
        reviewers=tuple(ReviewerWork(name, labels[name], skipped[name], holds[name]) for name in names),
        unread=dict(unread.most_common()),
        foci=foci_of(workspace, store, task, candidate, scope),
        progress=progress_of(workspace, store, task, candidate, scope),
    )
