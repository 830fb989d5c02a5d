"""What stands: effective verdicts of pairs, and the state of every draw.

Both are computed from append-only rows, so the same rows and the same clock
give the same answer in every process.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from workbench import compare
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.normal import content_hash
from workbench.records import LabelVerdict
from workbench.store import Store, comparisons
from workbench.store import labels as rows
from workbench.store.labels import Scope
from workbench.store.remembered import remembered

LEASE = timedelta(minutes=10)
"""How long an item is offered to one reviewer before it lapses."""

COUNTED_SOURCES = frozenset({"queue"})
"""Labels that settle a draw. Others are kept and shown, can worsen it, and count alone only where
they cover every disagreement, since somebody chose the calls they are about."""

SEVERITY = {
    LabelVerdict.CONTROL_BETTER: 3,
    LabelVerdict.BOTH_BAD: 2,
    LabelVerdict.EQUAL: 1,
    LabelVerdict.CANDIDATE_BETTER: 0,
}
"""Which verdict counts where people differ: the highest."""

BLIND_SOURCES = frozenset({"queue", "adjudicated"})
"""Labels whose author does not get the pair again."""

LOOKING_SOURCES = frozenset({"queue", "adjudicated", "picked"})
"""Labels that a person gave here with both outputs in view. Of an imported label nobody here knows whether a
person gave it, and a gold answer was there before any output of the candidate."""

APART_SOURCES = frozenset({"by_hand", "attention"})
"""Labels of a first look, and on pairs whose answer was known: kept and shown, in no verdict at all."""

PICKED = "picked"
"""Source of labels on pairs that somebody chose: beside a label of the queue they have no say."""

VERDICT_BYTES = 1_500
"""What an effective verdict takes in memory, about."""

NEW_CONTENT = "new content"
"""What a draw is aimed at where a check told new calls apart from what was evaluated; the value beside it is
the check's id."""

Clock = Callable[[], datetime]
Pair = tuple[str, str]
"""A replay and a call."""


class State(StrEnum):
    """Where a draw stands. All but `labelled` keep it unresolved; `lapsed` and `skipped` count as harm."""

    OPEN = "open"
    LEASED = "leased"
    LAPSED = "lapsed"
    SKIPPED = "skipped"
    LABELLED = "labelled"


UNRESOLVED = (State.LAPSED, State.SKIPPED)
"""Draws that nobody judged: they count as harm."""


class Plan(StrEnum):
    """Why a pair was drawn."""

    AUDIT = "audit"
    NORMALISATION = "normalisation"
    MIX = "mix"
    SECOND_REVIEW = "second_review"
    PICKED = "picked"
    BY_HAND = "by_hand"
    ATTENTION = "attention"

    @property
    def apart(self) -> bool:
        """Say whether what comes of it stays out of every bound."""
        return self not in QUEUE_PLANS

    @property
    def source(self) -> str:
        """Return the source of the labels that it leads to."""
        return self.value if self.apart else "queue"


QUEUE_PLANS = (Plan.AUDIT, Plan.NORMALISATION, Plan.MIX, Plan.SECOND_REVIEW)
"""The plans that evidence comes from."""
DESK_PLANS = (*QUEUE_PLANS, Plan.ATTENTION)
"""What the queue hands out: a check must look like any other item."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One standing label on a pair."""

    label_id: str
    verdict: LabelVerdict
    annotator: str
    source: str
    reasons: tuple[str, ...] = ()
    draw_id: str | None = None
    draw_probability: float | None = None
    guideline_version: str | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class EffectiveVerdict:
    """What counts for one pair: the adjudicated verdict, else the worst of the standing ones.

    `votes` holds every standing label, oldest first, but for those of `APART_SOURCES`.
    `counted` says that at least one of them came from the queue; a pair with picked, imported or gold labels
    alone is shown, but enters a bound only under the conditions that scoring
    checks. `disputed` says that votes differ and nobody has adjudicated.
    """

    replay_id: str
    call_id: str
    verdict: LabelVerdict
    annotator: str
    source: str
    votes: tuple[Vote, ...]
    counted: bool
    disputed: bool
    adjudicated: bool

    @property
    def elsewhere(self) -> bool:
        """Say whether nobody gave it here: it rests on imported labels or a gold answer alone."""
        return not any(vote.source in LOOKING_SOURCES for vote in self.votes)

    @property
    def critical(self) -> bool:
        """Say whether a reviewer called a loss critical."""
        return any("critical" in vote.reasons for vote in self.votes if vote.verdict is self.verdict)


@dataclass(frozen=True, slots=True)
class DrawState:
    """One draw of the queue, as it stands.

    `verdict` is the effective verdict of the pair where the state is `labelled`,
    except on a second review, where it is the second reviewer's own. `focus` is the slice
    (name, value) that the draw was aimed at, if any, `batches` how many closed batches it was drawn from.
    """

    draw_id: str
    plan: Plan
    position: int
    replay_id: str
    call_id: str
    stratum: str
    stratum_share: float
    draw_probability: float
    weight: float
    weight_max: float
    state: State
    verdict: LabelVerdict | None
    effective: EffectiveVerdict | None
    leased_to: str | None
    lease_expires_at: datetime | None
    focus: tuple[str, str] | None = None
    batches: int | None = None


def focus_of_row(text: str | None) -> tuple[str, str] | None:
    """Return the slice that a draw was aimed at, as the store holds it."""
    return msgspec.json.decode(text, type=tuple[str, str]) if text else None


def utc_now() -> datetime:
    """Return the present, in UTC."""
    return datetime.now(UTC)


def in_utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without a zone counts as UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def fingerprint_of(workspace: Workspace, store: Store, candidate: str) -> str:
    """Return a candidate's fingerprint; if its outputs file is gone, the newest one in the store.

    Raises:
        UsageError: There is no such candidate, or neither file nor replay of it.
    """
    declared = workspace.candidate(candidate)
    try:
        return workspace.fingerprint(declared)
    except UsageError:
        known = comparisons.fingerprint_by_name(store, candidate)
        if known is None:
            raise
        return known


def scope_of(workspace: Workspace, store: Store, task: str, candidate: str) -> Scope:
    """Return what the queue of a task and a candidate is about.

    Raises:
        UsageError: The task has no eval, or there is no such candidate.
    """
    version = compare.evaluator_version(workspace.eval_for(task))
    return Scope(task, fingerprint_of(workspace, store, candidate), version)


def draw_id_of(scope: Scope, plan: Plan, key: object) -> str:
    """Return the id of a draw: the same draw has one id in every process."""
    return content_hash("draw", *scope.params, plan.value, str(key))


def effective_verdicts(
    store: rows.Reads,
    task: str,
    fingerprint: str,
    evaluator_version: str,
    *,
    without: Collection[str] = (),
) -> dict[Pair, EffectiveVerdict]:
    """Return what counts for every labelled pair, by (replay id, call id).

    Args:
        store: Where the labels are.
        task: The task.
        fingerprint: The candidate's fingerprint; all its replays are pooled.
        evaluator_version: Only pairs compared under this version are returned.
        without: Ids of labels that are left out, as if they had never been given.
    """
    scope = Scope(task, fingerprint, evaluator_version)
    if not without and isinstance(store, Store):
        found: dict[Pair, EffectiveVerdict] = remembered(
            store, ("effective_verdicts", *scope.params), lambda: _verdicts(store, scope, ()), _n_bytes
        )
        return dict(found)
    return _verdicts(store, scope, without)


def _n_bytes(found: Collection[Pair]) -> int:
    return VERDICT_BYTES * len(found)


def _verdicts(store: rows.Reads, scope: Scope, without: Collection[str]) -> dict[Pair, EffectiveVerdict]:
    compared = rows.compared_pairs(store, scope)
    left = _without(rows.label_rows(store, scope.task, scope.fingerprint), without)
    return settle(
        row
        for row in left
        if row["current"] and row["verdict"] and (row["replay_id"], row["call_id"]) in compared
    )


def _without(found: list[dict[str, Any]], gone: Collection[str]) -> list[dict[str, Any]]:
    """Return label rows as they would stand without some of them."""
    if not gone:
        return found
    left = [row for row in found if row["label_id"] not in gone]
    superseded = {row["supersedes"] for row in left}
    return [row | {"current": row["label_id"] not in superseded} for row in left]


def settle(standing: Iterable[Mapping[str, Any]]) -> dict[Pair, EffectiveVerdict]:
    """Return the effective verdict of every pair among standing label rows with a verdict.

    Labels of `APART_SOURCES` are left out.
    """
    votes: dict[Pair, list[Vote]] = defaultdict(list)
    for row in standing:
        if row["source"] in APART_SOURCES:
            continue
        votes[row["replay_id"], row["call_id"]].append(
            Vote(
                label_id=row["label_id"],
                verdict=LabelVerdict(row["verdict"]),
                annotator=row["annotator"],
                source=row["source"],
                reasons=tuple(row["reasons"] or ()),
                draw_id=row["draw_id"],
                draw_probability=row["draw_probability"],
                guideline_version=row["guideline_version"],
                seq=row["seq"],
            )
        )
    return {pair: _effective(pair, cast) for pair, cast in votes.items()}


def _effective(pair: Pair, votes: list[Vote]) -> EffectiveVerdict:
    decided = [vote for vote in votes if vote.source == "adjudicated"]
    counted = any(vote.source in COUNTED_SOURCES for vote in votes)
    # Who chooses what to look at must not move the bound, not even to the safe side.
    heard = [vote for vote in votes if vote.source != PICKED] if counted or decided else votes
    # The last adjudication stands; without one, the worst vote, the earliest of equals.
    chosen = decided[-1] if decided else max(heard, key=lambda vote: SEVERITY[vote.verdict])
    return EffectiveVerdict(
        replay_id=pair[0],
        call_id=pair[1],
        verdict=chosen.verdict,
        annotator=chosen.annotator,
        source=chosen.source,
        votes=tuple(votes),
        counted=counted,
        disputed=not decided and len({vote.verdict for vote in heard}) > 1,
        adjudicated=bool(decided),
    )


def draw_states(
    store: rows.Reads,
    task: str,
    fingerprint: str,
    evaluator_version: str,
    *,
    now: Clock = utc_now,
    without: Collection[str] = (),
) -> list[DrawState]:
    """Return every draw of a queue as it stands, in the order of drawing; those kept apart are left out.

    A draw is `labelled` once its pair has a verdict that counts, whoever gave it
    (a second review: once its own reviewer gave one). A skipped or lapsed draw
    stays so until it is labelled, even while it is offered to somebody else. A
    draw nobody was given lapses like a lease, from the time it was drawn.

    Args:
        store: Where the draws are.
        task: The task.
        fingerprint: The candidate's fingerprint.
        evaluator_version: The version under which the pairs were drawn.
        now: The clock.
        without: Ids of labels that are left out, as if they had never been given.
    """
    scope = Scope(task, fingerprint, evaluator_version)
    if not rows.has_draws(store, scope):
        return []
    return Board.read(store, scope, in_utc(now()), without).states()


@dataclass(frozen=True)
class Board:
    """All draws, leases and labels of one queue at one moment."""

    scope: Scope
    now: datetime
    draws: list[dict[str, Any]]
    leases: dict[str, list[dict[str, Any]]]
    on_draw: dict[str, list[dict[str, Any]]]
    on_pair: dict[Pair, list[dict[str, Any]]]
    verdicts: dict[Pair, EffectiveVerdict]

    @classmethod
    def read(cls, store: rows.Reads, scope: Scope, now: datetime, without: Collection[str] = ()) -> Board:
        """Read everything of one queue, but for some labels."""
        labels = _without(rows.label_rows(store, scope.task, scope.fingerprint), without)
        return cls.of(scope, now, rows.draw_rows(store, scope), rows.lease_rows(store, scope), labels)

    @classmethod
    def of(
        cls,
        scope: Scope,
        now: datetime,
        draws: list[dict[str, Any]],
        lease_rows: Iterable[dict[str, Any]],
        labels: Iterable[dict[str, Any]],
    ) -> Board:
        """Put together what was read: draws, leases and labels, each in order."""
        leases: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for lease in lease_rows:
            leases[lease["draw_id"]].append(lease)
        on_draw: dict[str, list[dict[str, Any]]] = defaultdict(list)
        on_pair: dict[Pair, list[dict[str, Any]]] = defaultdict(list)
        everything = list(labels)
        for label in everything:
            on_pair[label["replay_id"], label["call_id"]].append(label)
            if label["draw_id"]:
                on_draw[label["draw_id"]].append(label)
        verdicts = settle(label for label in everything if label["current"] and label["verdict"])
        return cls(scope, now, draws, leases, on_draw, on_pair, verdicts)

    def held(self, annotator: str, plans: Collection[str]) -> dict[str, Any] | None:
        """Return the first draw of some plans that somebody holds under a lease in force, not answered."""
        for draw in self.draws:
            offered = any(
                lease["annotator"] == annotator and lease["expires_at"] > self.now
                for lease in self.leases.get(draw["draw_id"], ())
            )
            if offered and draw["plan"] in plans and not self._has_answered(draw["draw_id"], annotator):
                return draw
        return None

    def _has_answered(self, draw_id: str, annotator: str) -> bool:
        return any(
            label["annotator"] == annotator and label["current"] and (label["verdict"] or label["skipped"])
            for label in self.on_draw.get(draw_id, ())
        )

    def lease_in_force(self, draw_id: str) -> dict[str, Any] | None:
        """Return the lease under which a draw is being looked at now, or None.

        A lease ends when its holder labels or skips the item.
        """
        lease: dict[str, Any]
        for lease in reversed(self.leases.get(draw_id, ())):
            if lease["expires_at"] <= self.now:
                continue
            if not self._has_answered(draw_id, lease["annotator"]):
                return lease
        return None

    def states(self) -> list[DrawState]:
        """Return the state of every draw that evidence comes from, in the order of drawing."""
        found = []
        for draw in self.draws:
            pair = (draw["replay_id"], draw["call_id"])
            plan = Plan(draw["plan"])
            if plan.apart:
                continue
            effective = self.verdicts.get(pair)
            verdict = self._verdict(draw, plan, effective)
            lease = self.lease_in_force(draw["draw_id"])
            found.append(
                DrawState(
                    draw_id=draw["draw_id"],
                    plan=plan,
                    position=draw["position"],
                    replay_id=pair[0],
                    call_id=pair[1],
                    stratum=draw["stratum"],
                    stratum_share=draw["stratum_share"],
                    draw_probability=draw["draw_probability"],
                    weight=draw["weight"],
                    weight_max=draw["weight_max"],
                    state=State.LABELLED if verdict else self._unresolved(draw),
                    verdict=verdict,
                    effective=effective,
                    leased_to=lease["annotator"] if lease else None,
                    lease_expires_at=lease["expires_at"] if lease else None,
                    focus=focus_of_row(draw["focus"]),
                    batches=draw["batches"],
                )
            )
        return found

    def _verdict(
        self, draw: Mapping[str, Any], plan: Plan, effective: EffectiveVerdict | None
    ) -> LabelVerdict | None:
        if effective is None:
            return None
        if plan is not Plan.SECOND_REVIEW or effective.adjudicated:
            return effective.verdict if effective.counted else None
        own = [vote.verdict for vote in effective.votes if vote.draw_id == draw["draw_id"]]
        return max(own, key=SEVERITY.__getitem__) if own else None

    def _unresolved(self, draw: Mapping[str, Any]) -> State:
        labels = self.on_draw.get(draw["draw_id"], ())
        if any(label["skipped"] and label["current"] for label in labels):
            return State.SKIPPED
        # Leases from before a label was taken back are history: an undo starts afresh.
        undone = max((label["seq"] for label in labels if not label["verdict"]), default=-1)
        leases = [each for each in self.leases.get(draw["draw_id"], ()) if each["seq"] > undone]
        if not leases:
            waiting = self.now < draw["created_at"] + LEASE
            return State.OPEN if waiting and not self.leases.get(draw["draw_id"]) else State.LAPSED
        return State.LEASED if len(leases) == 1 and leases[0]["expires_at"] > self.now else State.LAPSED


def normalisation_revoked(states: list[DrawState]) -> bool:
    """Say whether a pair that agrees only after normalisation was found worse, and confirmed.

    Confirmed means: its second review says so too, or was skipped or lapsed, or
    an adjudication says so.
    """
    second = {(each.replay_id, each.call_id): each for each in states if each.plan is Plan.SECOND_REVIEW}
    for each in states:
        if each.plan is not Plan.NORMALISATION or each.verdict is not LabelVerdict.CONTROL_BETTER:
            continue
        if each.effective and each.effective.adjudicated:
            return True
        review = second.get((each.replay_id, each.call_id))
        if review and (
            review.verdict is LabelVerdict.CONTROL_BETTER or review.state in (State.LAPSED, State.SKIPPED)
        ):
            return True
    return False
