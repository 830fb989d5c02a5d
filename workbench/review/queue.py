"""The queue: which pair a reviewer judges next, drawn and stored before anybody sees it.

Structural tasks are audited in order; semantic tasks are drawn from a mix of
strata with known probabilities. The method stands in `next_item`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from workbench import compare, sampling
from workbench.config import Workspace
from workbench.normal import content_hash
from workbench.records import Basis, LabelVerdict, Verdict
from workbench.review.forecast import progress_of
from workbench.review.items import ReviewItem, build_item, reviewer_name
from workbench.review.states import (
    BLIND_SOURCES,
    LEASE,
    Board,
    Clock,
    DrawState,
    Pair,
    Plan,
    State,
    in_utc,
    scope_of,
    utc_now,
)
from workbench.store import Store, comparisons
from workbench.store import labels as rows
from workbench.store.labels import Scope

DOUBLE_SHARE = 0.175
"""Share of draws that a second reviewer labels too: the middle of 15 to 20 %."""

AUDITS_PER_NORMALISATION = 4
"""Disagreements handed out between two of those pairs."""


@dataclass(frozen=True)
class Pool:
    """The pairs a queue may draw from.

    `disagreements` are in auditing order, `normalised` (agreeing, raw outputs
    differ) in random order. `items` holds every comparable pair of a semantic task,
    `pairs` finds the pair of a call.
    """

    size: int
    disagreements: list[Pair]
    normalised: list[Pair]
    items: list[sampling.PoolItem]
    pairs: dict[str, Pair]


_pools: dict[tuple[str, Scope, Basis], tuple[Any, Pool]] = {}
_pools_lock = Lock()


def pool_of(store: Store, scope: Scope, basis: Basis) -> Pool:
    """Return the pool of a queue; read again only after the comparisons changed."""
    key = (str(store.path), scope, basis)
    signature = rows.pool_signature(store, scope)
    with _pools_lock:
        known = _pools.get(key)
    if known and known[0] == signature:
        return known[1]
    found = _read_pool(store, scope, basis)
    with _pools_lock:
        _pools[key] = (signature, found)
        while len(_pools) > 16:
            _pools.pop(next(iter(_pools)))
    return found


def _read_pool(store: Store, scope: Scope, basis: Basis) -> Pool:
    frame = comparisons.evidence_frame(store, *scope.params)
    frame = frame[frame["verdict"] != Verdict.UNCOMPARABLE.value]
    calls = frame["call_id"].tolist()
    pairs = dict(zip(calls, zip(frame["replay_id"].tolist(), calls, strict=True), strict=True))
    verdicts = [Verdict(each) for each in frame["verdict"].tolist()]
    if basis is Basis.SEMANTIC:
        scores = [None if score != score else float(score) for score in frame["score"].astype(float).tolist()]
        flagged = [compare.is_contradicted(tuple(each)) for each in frame["flags"].tolist()]
        items = [sampling.PoolItem(*each) for each in zip(calls, verdicts, scores, flagged, strict=True)]
        return Pool(len(calls), [], [], items, pairs)
    identical = frame["identical"].tolist()
    differing = [call for call, verdict in zip(calls, verdicts, strict=True) if verdict is Verdict.MISMATCH]
    normalised = [
        call
        for call, verdict, same in zip(calls, verdicts, identical, strict=True)
        if verdict is not Verdict.MISMATCH and not same
    ]
    shuffled = sampling.draw_normalisation_pairs(normalised, seed_of(scope), len(normalised))
    return Pool(
        len(calls), [pairs[call] for call in differing], [pairs[call] for call in shuffled], [], pairs
    )


def seed_of(scope: Scope) -> int:
    """Return the seed of a queue: every process draws the same."""
    return int(content_hash("queue", *scope.params)[:15], 16)


def next_item(
    workspace: Workspace, store: Store, task: str, candidate: str, annotator: str, *, now: Clock = utc_now
) -> ReviewItem | None:
    """Return what a reviewer should judge next, or None when nothing is left for them.

    In this order: the item they hold; a second review that is due; the next pair
    of the plan, drawn and stored now; what others skipped or let lapse. Nobody
    gets a pair they labelled. A structural plan takes disagreements of closed
    batches in order (replay, batch, audit key) and between them about 20 pairs
    that agree only after normalisation. A semantic plan draws stratum h with
    q_h = 0.8 W_h + 0.2 focus_h and a random pair in it.

    Args:
        workspace: Names the eval and the candidate.
        store: Where comparisons, draws and labels are.
        task: The task.
        candidate: The candidate's name.
        annotator: Who asks.
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
    held = rows.held_draw(store, scope, annotator, moment)
    if held:
        draw_id, pair = held["draw_id"], (held["replay_id"], held["call_id"])
    else:
        pool = pool_of(store, scope, basis)
        with store.writing() as writer:
            found = Handing(writer, scope, pool, basis, annotator, moment).hand_out()
        if found is None:
            return None
        draw_id, pair = found
    attempt = len(rows.labels_on_draw(store, draw_id, annotator))
    progress = progress_of(workspace, store, task, candidate, scope)
    return build_item(store, config, draw_id, pair, annotator, progress=progress, attempt=attempt)


def chosen_for_double(draw_id: str) -> bool:
    """Say whether a draw is labelled by two people, decided by its id alone."""
    digest = hashlib.sha256(f"double\x1f{draw_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < DOUBLE_SHARE * 2**64


def draw_id_of(scope: Scope, plan: Plan, key: object) -> str:
    """Return the id of a draw: the same draw has one id in every process."""
    return content_hash("draw", *scope.params, plan.value, str(key))


def second_review_row(draw: Mapping[str, Any], position: int, moment: datetime) -> dict[str, Any]:
    """Return the row of a second review of a draw. It draws nothing new: estimates leave it out."""
    scope = Scope(draw["task"], draw["candidate_fingerprint"], draw["evaluator_version"])
    kept = {key: value for key, value in draw.items() if key != "seq"}
    return kept | {
        "draw_id": draw_id_of(scope, Plan.SECOND_REVIEW, draw["draw_id"]),
        "plan": Plan.SECOND_REVIEW.value,
        "position": position,
        "created_at": moment,
    }


class Handing:
    """One person asking the queue once, on one connection or transaction."""

    def __init__(
        self, store: Any, scope: Scope, pool: Pool, basis: Basis, annotator: str, moment: datetime
    ) -> None:
        self.store = store
        self.scope = scope
        self.pool = pool
        self.basis = basis
        self.annotator = annotator
        self.moment = moment
        self.board = Board.read(store, scope, moment)
        self.states = self.board.states()
        self.drawn = {
            (each.replay_id, each.call_id) for each in self.states if each.plan is not Plan.SECOND_REVIEW
        }
        self.counts: dict[Plan, int] = defaultdict(int)
        for each in self.states:
            self.counts[each.plan] += 1

    def hand_out(self) -> tuple[str, Pair] | None:
        """Lease this person an item, drawn now if need be; the one they hold if another window was faster."""
        held = rows.held_draw(self.store, self.scope, self.annotator, self.moment)
        if held:
            return held["draw_id"], (held["replay_id"], held["call_id"])
        found = self._second_review() or self._new() or self._left_over()
        if found:
            rows.add_lease(self.store, found[0], self.annotator, self.moment + LEASE)
        return found

    def _has_judged(self, pair: Pair) -> bool:
        # An imported or picked label does not settle a draw, so its author may be asked again, blind.
        return any(
            label["annotator"] == self.annotator
            and label["current"]
            and (label["verdict"] or label["skipped"])
            and label["source"] in BLIND_SOURCES
            for label in self.board.on_pair.get(pair, ())
        )

    def _second_review(self) -> tuple[str, Pair] | None:
        """Return a draw that is due a second reviewer: chosen by its hash, not given to one yet."""
        reviewed = {(each.replay_id, each.call_id) for each in self.states if each.plan is Plan.SECOND_REVIEW}
        seen: set[Pair] = set()
        for each in self.states:
            pair = (each.replay_id, each.call_id)
            if each.plan is Plan.SECOND_REVIEW:
                fresh = each.state is State.OPEN and not self.board.leases.get(each.draw_id)
                if fresh and not self._has_judged(pair):
                    return each.draw_id, pair
                continue
            if pair in reviewed or pair in seen:
                continue
            seen.add(pair)
            if (
                each.state is not State.LABELLED
                or not chosen_for_double(each.draw_id)
                or self._has_judged(pair)
            ):
                continue
            if not any(
                label["current"] and label["verdict"] for label in self.board.on_draw.get(each.draw_id, ())
            ):
                continue
            origin = next(draw for draw in self.board.draws if draw["draw_id"] == each.draw_id)
            row = second_review_row(origin, self.counts[Plan.SECOND_REVIEW], self.moment)
            self.store.append("draws", [row])
            return row["draw_id"], pair
        return None

    def _new(self) -> tuple[str, Pair] | None:
        if self.basis is Basis.SEMANTIC:
            return self._mix()
        return self._audit()

    def _audit(self) -> tuple[str, Pair] | None:
        normalised, audited = self.counts[Plan.NORMALISATION], self.counts[Plan.AUDIT]
        revoked = normalisation_revoked(self.states)
        target = len(self.pool.normalised) if revoked else sampling.NORMALISATION_PAIRS
        gap = 1 if revoked else AUDITS_PER_NORMALISATION
        turn = normalised < target and (normalised + 1) * gap <= audited
        steps = (self._next_normalised, self._next_disagreement)
        for step in steps if turn else reversed(steps):
            if step == self._next_normalised and normalised >= target:
                continue
            if found := step():
                return found
        return None

    def _next_disagreement(self) -> tuple[str, Pair] | None:
        open_pairs = [pair for pair in self.pool.disagreements if pair not in self.drawn]
        # Labels made elsewhere settle the audit only where they cover every disagreement.
        if all(pair in self.board.verdicts for pair in open_pairs):
            return None
        for pair in open_pairs:
            known = self.board.verdicts.get(pair)
            if not (known and known.counted):
                return self._draw_in_order(Plan.AUDIT, pair, "disagreement", len(self.pool.disagreements))
        return None

    def _next_normalised(self) -> tuple[str, Pair] | None:
        for pair in self.pool.normalised:
            known = self.board.verdicts.get(pair)
            if pair not in self.drawn and not (known and known.counted):
                return self._draw_in_order(Plan.NORMALISATION, pair, "normalised", len(self.pool.normalised))
        return None

    def _left_over(self) -> tuple[str, Pair] | None:
        """Return what others skipped or let lapse, the least often offered first."""
        waiting: list[tuple[int, int, str, Pair]] = []
        seen: set[Pair] = set()
        for index, each in enumerate(self.states):
            pair = (each.replay_id, each.call_id)
            if each.plan is not Plan.SECOND_REVIEW:
                if pair in seen:
                    continue
                seen.add(pair)
            free = each.state is not State.LABELLED and self.board.lease_in_force(each.draw_id) is None
            if free and not self._has_judged(pair):
                waiting.append((len(self.board.leases.get(each.draw_id, ())), index, each.draw_id, pair))
        return min(waiting)[2:] if waiting else None

    def _mix(self) -> tuple[str, Pair] | None:
        """Draw from the strata until a pair comes up that nobody has labelled for the queue yet."""
        weights = {each.call_id: each.weight for each in self.states if each.plan is Plan.MIX}
        while True:
            found = sampling.next_draw(
                self.pool.items, weights, seed=seed_of(self.scope), position=self.counts[Plan.MIX]
            )
            if isinstance(found, sampling.Exhausted):
                return None
            weights[found.call_id] = found.weight
            pair = self.pool.pairs[found.call_id]
            handed = self._draw(Plan.MIX, pair, found)
            # A label from the queue of an earlier evaluator version settles the draw at once.
            known = self.board.verdicts.get(pair)
            if not (known and known.counted):
                return handed

    def _draw(self, plan: Plan, pair: Pair, drawn: sampling.QueueDraw) -> tuple[str, Pair]:
        """Store a draw before anybody sees its item."""
        draw_id = draw_id_of(self.scope, plan, drawn.position)
        row = {
            "draw_id": draw_id,
            "task": self.scope.task,
            "candidate_fingerprint": self.scope.fingerprint,
            "evaluator_version": self.scope.evaluator_version,
            "replay_id": pair[0],
            "call_id": pair[1],
            "plan": plan.value,
            "position": drawn.position,
            "stratum": drawn.stratum,
            "stratum_share": drawn.stratum_share,
            "draw_probability": drawn.probability,
            "weight": drawn.weight,
            "weight_max": drawn.weight_max,
            "created_at": self.moment,
        }
        self.store.append("draws", [row])
        self.counts[plan] += 1
        return draw_id, pair

    def _draw_in_order(self, plan: Plan, pair: Pair, stratum: str, size: int) -> tuple[str, Pair]:
        """Draw the next pair of a plan that takes every pair in turn: each weighs the same."""
        share = size / self.pool.size
        return self._draw(
            plan, pair, sampling.QueueDraw(pair[1], self.counts[plan], stratum, share, 1.0, 1.0, 1.0)
        )


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
