"""`Labelling`: all that reviewers do on one queue, as methods, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from workbench import review
from workbench.config import Workspace
from workbench.records import AbsoluteJudgement, Label, LabelVerdict
from workbench.sensitivity import Sensitivity
from workbench.store import Store


class Labelling:
    """The queue of one task and candidate. Each method is the function of `workbench.review` of that name.

    Args:
        workspace: Names the eval and the candidate.
        store: Where comparisons, draws and labels are.
        task: The task.
        candidate: The candidate's name.
    """

    def __init__(self, workspace: Workspace, store: Store, task: str, candidate: str) -> None:
        self.workspace = workspace
        self.store = store
        self.task = task
        self.candidate = candidate
        self._where = (workspace, store, task, candidate)

    def status(self) -> review.QueueStatus:
        """Say how the queue stands."""
        return review.queue_status(*self._where)

    def next(self, annotator: str, *, languages: Collection[str] | None = None) -> review.ReviewItem | None:
        """Return what somebody should judge next, blind."""
        return review.next_item(*self._where, annotator, languages=languages)

    def next_by_hand(self, annotator: str) -> review.ReviewItem | None:
        """Return one of ten calls for a first look, which no bound takes in."""
        return review.next_by_hand(*self._where, annotator)

    def pick(self, annotator: str, call: str) -> review.ReviewItem:
        """Return a pair of somebody's own choice; in a bound only once every disagreement has a label."""
        return review.pick(*self._where, annotator, call)

    def item(self, ticket: str, annotator: str) -> review.ReviewItem:
        """Return an item by its ticket."""
        return review.item_of(self.workspace, self.store, ticket, annotator)

    def submit(
        self,
        item: review.ReviewItem,
        annotator: str,
        verdict: LabelVerdict | str | AbsoluteJudgement,
        **said: Any,
    ) -> Label:
        """Commit a label: a verdict, or what was said of each side by itself; `said` as in `submit`."""
        if isinstance(verdict, AbsoluteJudgement):
            return review.submit_absolute(self.workspace, self.store, item, annotator, verdict, **said)
        return review.submit(self.workspace, self.store, item, annotator, verdict, **said)

    def skip(self, item: review.ReviewItem, annotator: str, *, reason: str = "") -> Label:
        """Put an item aside for others."""
        return review.skip(self.workspace, self.store, item, annotator, reason=reason)

    def undo(self, annotator: str) -> review.ReviewItem | None:
        """Take somebody's last label or skip back."""
        return review.undo(*self._where, annotator)

    def history(self, annotator: str, **filters: Any) -> list[Label]:
        """Return somebody's own labels; `filters` are those of `history`."""
        return review.history(*self._where, annotator, **filters)

    def guidelines(self, version: str | None = None) -> list[review.GuidelineText]:
        """Return the guidelines that labels were made under, every version of them or one."""
        where = (self.workspace, self.store, self.task)
        if version is None:
            return review.guideline_texts(*where)
        return [review.guideline_text(*where, version)]

    def agreement(self) -> review.AgreementReport:
        """Say how far reviewers agree."""
        return review.agreement(*self._where)

    def conflicts(self, annotator: str) -> list[review.ConflictHead]:
        """Return the pairs on which reviewers differ, without what they said."""
        return review.conflicts(*self._where, annotator)

    def open_conflict(self, annotator: str, key: str) -> review.Conflict:
        """Return a conflict with what was said."""
        return review.open_conflict(*self._where, annotator, key)

    def adjudicate(
        self,
        conflict: review.Conflict,
        annotator: str,
        verdict: LabelVerdict | str | None = None,
        **said: Any,
    ) -> Label:
        """Decide a conflict; `said` as in `adjudicate`."""
        return review.adjudicate(self.workspace, self.store, conflict, annotator, verdict, **said)

    def decisions(self, annotator: str) -> list[review.Decision]:
        """Return what somebody decided and may take back."""
        return review.decisions(*self._where, annotator)

    def take_decision_back(self, decision: review.Decision, annotator: str) -> Label:
        """Make a decided pair a conflict again."""
        return review.take_decision_back(self.store, decision.label, annotator)

    def own_label(self, annotator: str, key: str = "last") -> Label:
        """Return one of somebody's own labels by how its id begins; the newest unless given."""
        return review.own_label(*self._where, annotator, key)

    def look_again(self, annotator: str, label: Label) -> review.ReviewItem:
        """Return the pair of one's own label as it was shown, to read."""
        return review.look_again(*self._where, annotator, label)

    def amend(self, label: Label, annotator: str, **said: Any) -> Label:
        """Change one's label or add to it; `said` as in `amend`, `absolute` for what is said of each side."""
        if absolute := said.pop("absolute", None):
            item = review.look_again(*self._where, annotator, label)
            label = review.amend_absolute(self.workspace, self.store, item, label, annotator, absolute)
        return review.amend(self.store, label, annotator, **said) if said else label

    def attention(self) -> tuple[review.Attention, ...]:
        """Say how reviewers did on attention checks."""
        return review.attention(*self._where)

    def by_hand(self) -> review.ByHand:
        """Say what the first look shows."""
        return review.by_hand(*self._where)

    def paired_truth(self) -> review.PairedTruth:
        """Say who is right how often on the same calls."""
        return review.paired_truth(*self._where)

    def effect(self, label: Label) -> review.Effect | None:
        """Say how a label moved the bound, whatever the eval allows reviewers to see."""
        return review.effect_of(*self._where, label, always=True)

    def moves(
        self, annotator: str | None = None, *, limit: int | None = 10, opening: bool = False
    ) -> list[review.ToldMove]:
        """Return the labels that moved the bound the most, but for what is still to be judged blind."""
        return review.told_moves(*self._where, annotator, limit=limit, opening=opening)

    def what_would_change(self, *, current_share: float = 0.0) -> Sensitivity:
        """Return which single missing evidence would change the decision."""
        return review.what_would_change(*self._where, current_share=current_share)

    def hand_over(self, folder: Path | str, *, to: str, **options: Any) -> review.HandOver:
        """Write items for Argilla or Label Studio; `options` are those of `hand_over`."""
        return review.hand_over(*self._where, folder, to=to, **options)
