"""One person asking the queue once: what they are handed, and what is drawn for it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from workbench import sampling
from workbench.records import Basis, LabelVerdict
from workbench.review.apart import apart_row
from workbench.review.forecast import Focus
from workbench.review.pool import Pool, seed_of
from workbench.review.states import (
    BLIND_SOURCES,
    DESK_PLANS,
    LEASE,
    Board,
    DrawState,
    Pair,
    Plan,
    State,
    draw_id_of,
    focus_of_row,
    normalisation_revoked,
)
from workbench.specs import ReviewRules
from workbench.store import desk as desk_rows
from workbench.store import labels as rows
from workbench.store.labels import Scope

AUDITS_PER_NORMALISATION = 4
"""Disagreements handed out between two of those pairs."""

FOCUS = 1 - sampling.CORE
"""Share of a structural audit that is aimed at the slice that blocks the next stage."""

DRAWN_AHEAD = 25
"""How many draws may wait for somebody who reads their language, before the queue draws no more."""

Members = Callable[[Focus], frozenset[str]]
"""Finds the calls of a slice."""


@dataclass(frozen=True)
class Desk:
    """Who asks, and what they may be given.

    `languages` are those they read; None is every one. `language_of` finds that of a call.
    `foci` is what the queue aims at: each has an equal part of the aimed draws.
    """

    annotator: str
    languages: Collection[str] | None = None
    language_of: Mapping[str, str] = field(default_factory=dict)
    foci: tuple[Focus, ...] = ()
    rules: ReviewRules = ReviewRules()

    def reads(self, call_id: str) -> bool:
        """Say whether this person reads a call; one without a known language is for everybody."""
        if self.languages is None:
            return True
        language = self.language_of.get(call_id)
        return language is None or language in self.languages


def chosen_for_double(draw_id: str, share: float = ReviewRules().double_share) -> bool:
    """Say whether a draw is labelled by two people, decided by its id alone."""
    return _chance("double", draw_id) < share


def _chance(*parts: str) -> float:
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:8]) / 2**64


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
        self,
        store: Any,
        scope: Scope,
        pool: Pool,
        basis: Basis,
        desk: Desk,
        members: Members,
        moment: datetime,
        *,
        board: Board | None = None,
        opened: Collection[Pair] | None = None,
    ) -> None:
        self.store = store
        self.scope = scope
        self.pool = pool
        self.basis = basis
        self.desk = desk
        self.annotator = desk.annotator
        self.members = members
        self.moment = moment
        self.board = Board.read(store, scope, moment) if board is None else board
        self.states = self.board.states()
        if opened is None:
            opened = desk_rows.opened_pairs(store, scope, desk.annotator)
        self.opened = opened
        self.drawn = {
            (each.replay_id, each.call_id) for each in self.states if each.plan is not Plan.SECOND_REVIEW
        }
        self.counts: dict[Plan, int] = defaultdict(int)
        for draw in self.board.draws:
            self.counts[Plan(draw["plan"])] += 1
        self.drawn_now: dict[str, float] = {}
        self.waiting = sum(self._is_waiting(each) for each in self.states)

    def hand_out(self) -> tuple[str, Pair] | None:
        """Lease this person an item, drawn now if need be; the one they hold if another window was faster."""
        held = self.board.held(self.annotator, DESK_PLANS)
        if held:
            return held["draw_id"], (held["replay_id"], held["call_id"])
        found = (
            self._attention()
            or self._second_review(fair=True)
            or self._set_aside()
            or self._new()
            or self._second_review(fair=False)
            or self._left_over()
        )
        if found:
            rows.add_lease(self.store, found[0], self.annotator, self.moment + LEASE)
        return found

    def draw_many(self, n: int, until: datetime) -> list[tuple[str, Pair]]:
        """Draw up to `n` pairs of the plan for somebody who judges them elsewhere, leased until a time."""
        found: list[tuple[str, Pair]] = []
        while len(found) < n and (drawn := self._new()):
            rows.add_lease(self.store, drawn[0], self.annotator, until)
            found.append(drawn)
        return found

    def _may(self, pair: Pair) -> bool:
        """Say whether this person may judge a pair blind: they have not, and know nobody's verdict on it."""
        if pair in self.opened or not self.desk.reads(pair[1]):
            return False
        # An imported or picked label does not settle a draw, so its author may be asked again, blind.
        return not any(
            label["annotator"] == self.annotator
            and label["current"]
            and (label["verdict"] or label["skipped"])
            and label["source"] in BLIND_SOURCES
            for label in self.board.on_pair.get(pair, ())
        )

    def _attention(self) -> tuple[str, Pair] | None:
        """Return a pair whose verdict is known, where it is this person's turn for a check."""
        share = self.desk.rules.attention_share
        if not share:
            return None
        everybody = (lease for leases in self.board.leases.values() for lease in leases)
        mine = [lease for lease in everybody if lease["annotator"] == self.annotator]
        turn = str(len(mine))
        if _chance("attention", *self.scope.params, self.annotator, turn) >= share:
            return None
        asked = {lease["draw_id"] for lease in mine}
        shown = {
            (draw["replay_id"], draw["call_id"])
            for draw in self.board.draws
            if draw["plan"] == Plan.ATTENTION and draw["draw_id"] in asked
        }
        open_pairs = {
            (each.replay_id, each.call_id) for each in self.states if each.state is not State.LABELLED
        }
        decided = {
            pair: each.verdict.value
            for pair, each in self.board.verdicts.items()
            if each.adjudicated or (each.source == "gold" and not each.disputed)
        }
        kinds = [list(decided.items()), [(pair, NEITHER_BETTER) for pair in self.pool.identical]]
        if _chance("attention kind", *self.scope.params, self.annotator, turn) < 0.5:
            kinds.reverse()
        for kind in kinds:
            free = [
                (pair, expected)
                for pair, expected in kind
                if pair not in shown and pair not in open_pairs and self._may(pair)
            ]
            if free:
                pair, expected = min(free, key=lambda each: _chance("check", self.annotator, *each[0]))
                row = apart_row(
                    self.scope,
                    Plan.ATTENTION,
                    pair,
                    f"{self.annotator}\x1f{turn}",
                    self.counts[Plan.ATTENTION],
                    self.moment,
                    expected=expected,
                )
                self.store.append("draws", [row])
                return row["draw_id"], pair
        return None

    def _second_review(self, *, fair: bool) -> tuple[str, Pair] | None:
        """Return a draw that is due a second reviewer: chosen by its hash, not given to one yet.

        Those that would confirm a revocation come first. Of the others, people who met least
        often are brought together; and with `fair`, who has done more second reviews than
        others at work now is asked for something new instead.
        """
        reviewed = {(each.replay_id, each.call_id) for each in self.states if each.plan is Plan.SECOND_REVIEW}
        for each in self.states:
            pair = (each.replay_id, each.call_id)
            if each.plan is Plan.SECOND_REVIEW:
                fresh = each.state is State.OPEN and not self.board.leases.get(each.draw_id)
                if fresh and self._may(pair):
                    return each.draw_id, pair
        if fair and self._has_done_more():
            return None
        due: list[tuple[int, int, DrawState]] = []
        met = self._met()
        seen: set[Pair] = set()
        for index, each in enumerate(self.states):
            pair = (each.replay_id, each.call_id)
            if each.plan is Plan.SECOND_REVIEW or pair in reviewed or pair in seen:
                continue
            seen.add(pair)
            if each.state is not State.LABELLED or not chosen_for_double(
                each.draw_id, self.desk.rules.double_share
            ):
                continue
            first = [
                label["annotator"]
                for label in self.board.on_draw.get(each.draw_id, ())
                if label["current"] and label["verdict"]
            ]
            if first and self._may(pair):
                due.append((met[first[0]], index, each))
        if not due:
            return None
        chosen = min(due, key=lambda each: each[:2])[2]
        origin = next(draw for draw in self.board.draws if draw["draw_id"] == chosen.draw_id)
        row = second_review_row(origin, self.counts[Plan.SECOND_REVIEW], self.moment)
        self.store.append("draws", [row])
        return row["draw_id"], (chosen.replay_id, chosen.call_id)

    def _met(self) -> Counter[str]:
        """Return how often this person and each other one judged the same pair."""
        met: Counter[str] = Counter()
        for labels in self.board.on_pair.values():
            names = {each["annotator"] for each in labels if each["source"] == "queue" and each["verdict"]}
            if self.annotator in names:
                met.update(names)
        return met

    def _has_done_more(self) -> bool:
        """Say whether this person had more second reviews than somebody else who is at work now."""
        done: Counter[str] = Counter()
        at_work = set()
        second = {draw["draw_id"] for draw in self.board.draws if draw["plan"] == Plan.SECOND_REVIEW}
        for draw_id, leases in self.board.leases.items():
            for lease in leases:
                if lease["expires_at"] + LEASE > self.moment:
                    at_work.add(lease["annotator"])
                if draw_id in second:
                    done[lease["annotator"]] += 1
        others = at_work - {self.annotator}
        return bool(others) and done[self.annotator] > min(done[each] for each in others)

    def _is_waiting(self, each: DrawState) -> bool:
        """Say whether a draw was given to nobody yet, since the one who asked doesn't read its language."""
        return (
            each.plan is not Plan.SECOND_REVIEW
            and each.state is not State.LABELLED
            and not self.board.leases.get(each.draw_id)
        )

    def _set_aside(self) -> tuple[str, Pair] | None:
        """Return the first draw that waits for somebody who reads it."""
        for each in self.states:
            pair = (each.replay_id, each.call_id)
            if self._is_waiting(each) and self._may(pair):
                return each.draw_id, pair
        return None

    def _new(self) -> tuple[str, Pair] | None:
        """Draw until something comes up that this person may judge.

        What is drawn follows from the plan alone, never from who asks: a draw in a language
        that this person does not read stays in the order and waits for somebody who does.
        """
        draw = self._mix if self.basis is Basis.SEMANTIC else self._audit
        while self.waiting < DRAWN_AHEAD:
            found = draw()
            if found is None:
                return None
            if self._may(found[1]):
                return found
            self.waiting += 1
        return None

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
        wanted = [pair for pair in open_pairs if not self._is_counted(pair)]
        # Out of order a label clears a disagreement; the audit counts it when it gets there.
        if _chance("focus", *self.scope.params, str(self.counts[Plan.AUDIT])) < FOCUS:
            for focus in self._in_turn(Plan.AUDIT):
                members = self.members(focus)
                inside = [pair for pair in wanted if pair[1] in members]
                if inside:
                    return self._draw_in_order(
                        Plan.AUDIT, inside[0], "disagreement", len(self.pool.disagreements), focus
                    )
        if not wanted:
            return None
        return self._draw_in_order(Plan.AUDIT, wanted[0], "disagreement", len(self.pool.disagreements))

    def _in_turn(self, plan: Plan) -> tuple[Focus, ...]:
        """Return what the next draw may be aimed at, in an order by chance; the first that can be is."""
        foci = self.desk.foci
        turn = int(_chance("aim", *self.scope.params, str(self.counts[plan])) * len(foci))
        return foci[turn:] + foci[:turn]

    def _is_counted(self, pair: Pair) -> bool:
        known = self.board.verdicts.get(pair)
        return bool(known and known.counted)

    def _next_normalised(self) -> tuple[str, Pair] | None:
        for pair in self.pool.normalised:
            if pair not in self.drawn and not self._is_counted(pair):
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
            if free and self._may(pair):
                waiting.append((len(self.board.leases.get(each.draw_id, ())), index, each.draw_id, pair))
        return min(waiting)[2:] if waiting else None

    def _mix(self) -> tuple[str, Pair] | None:
        """Draw from the strata until a pair comes up that nobody has labelled for the queue yet."""
        weights = {each.call_id: each.weight for each in self.states if each.plan is Plan.MIX}
        weights |= dict(self.drawn_now)
        grown = {draw["batches"] for draw in self.board.draws if draw["plan"] == Plan.MIX and draw["batches"]}
        earlier = list(
            dict.fromkeys(
                aimed
                for draw in self.board.draws
                if draw["plan"] == Plan.MIX and (aimed := focus_of_row(draw["focus"]))
            )
        )
        while True:
            for focus in self._in_turn(Plan.MIX) or (None,):
                found = sampling.next_draw(
                    self.pool.items,
                    weights,
                    seed=seed_of(self.scope),
                    position=self.counts[Plan.MIX],
                    focus=self.members(focus) if focus else None,
                    earlier=[self.members(each) for each in earlier],
                    batches=grown,
                )
                if isinstance(found, sampling.QueueDraw) and found.focused:
                    break
            if isinstance(found, sampling.Exhausted):
                return None
            again = found.call_id in weights
            weights[found.call_id] = found.weight
            self.drawn_now[found.call_id] = found.weight
            grown.add(self.pool.batches)
            if found.focused and focus and focus not in earlier:
                earlier.append(focus)
            pair = self.pool.pairs[found.call_id]
            handed = self._draw(Plan.MIX, pair, found, focus if found.focused else None)
            # A label from the queue of an earlier evaluator version settles the draw at once; a call
            # drawn again is settled by its first draw.
            if not again and not self._is_counted(pair):
                return handed

    def _draw(
        self, plan: Plan, pair: Pair, drawn: sampling.QueueDraw, focus: Focus | None = None
    ) -> tuple[str, Pair]:
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
            "focus": msgspec.json.encode(focus).decode() if focus else None,
            "batches": self.pool.batches or None,
            "created_at": self.moment,
        }
        self.store.append("draws", [row])
        self.counts[plan] += 1
        self.drawn.add(pair)
        return draw_id, pair

    def _draw_in_order(
        self, plan: Plan, pair: Pair, stratum: str, size: int, focus: Focus | None = None
    ) -> tuple[str, Pair]:
        """Draw the next pair of a plan that takes every pair in turn: each weighs the same."""
        share = size / self.pool.size
        drawn = sampling.QueueDraw(pair[1], self.counts[plan], stratum, share, 1.0, 1.0, 1.0)
        return self._draw(plan, pair, drawn, focus)


NEITHER_BETTER = "|".join((LabelVerdict.EQUAL.value, LabelVerdict.BOTH_BAD.value))
"""What a check with the same text on both sides may be answered."""
