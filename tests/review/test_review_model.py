"""Any sequence of acts by two reviewers leaves the store where a plain dictionary says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from review_world import make_world

from workbench import review
from workbench.records import LabelVerdict
from workbench.review import LEASE, Plan, State
from workbench.review.handing import chosen_for_double
from workbench.review.states import SEVERITY
from workbench.store import compared

WHO = st.sampled_from(["mia", "noor"])
VERDICTS = st.sampled_from(list(LabelVerdict))
WHERE = ("topics", "tiny-llm")


class Queue(RuleBasedStateMachine):
    """The model keeps, per draw, who was offered it until when, and who says what of each call.

    What is picked by hand or looked at by hand is kept beside it: it may never show in a verdict,
    though undo reaches it like anything else.
    """

    @initialize(disagreements=st.integers(1, 5), normalised=st.integers(0, 2))
    def start(self, disagreements: int, normalised: int) -> None:
        """Fill a store with a handful of pairs."""
        self.folder = tempfile.TemporaryDirectory()
        self.world = make_world(Path(self.folder.name) / "space")
        self.world.add_replay("topics", [("a", "b")] * disagreements + [("a", "A.")] * normalised)
        frame = compared.evidence_frame(
            self.world.store, *self.world.scope("topics").params, wanted=("call_id",)
        )
        self.order = frame[frame["verdict"] == "mismatch"]["call_id"].tolist()
        self.leases: dict[str, list[tuple[str, object]]] = {}
        self.call_of: dict[str, str] = {}
        self.said: dict[tuple[str, str], LabelVerdict | None] = {}
        self.acts: dict[str, list[tuple[str, str]]] = {"mia": [], "noor": []}
        self.items: dict[str, review.ReviewItem] = {}
        self.undone: dict[str, str] = {}
        self.labels: set[str] = set()
        self.aside: dict[str, str] = {}
        self.decided: dict[str, LabelVerdict] = {}
        self.referees: dict[str, set[str]] = {}

    def teardown(self) -> None:
        """Close the store."""
        if hasattr(self, "world"):
            self.world.store.close()
            self.folder.cleanup()

    def holds(self, who: str, draw: str) -> bool:
        """Say whether somebody's lease on a draw is in force and unanswered."""
        return any(name == who and end > self.world.clock() for name, end in self.leases.get(draw, [])) and (
            (draw, who) not in self.said
        )

    @rule(who=WHO)
    def ask(self, who: str) -> None:
        """An item comes out exactly when there is one that this person may have."""
        held = [draw for draw in self.leases if draw not in self.aside and self.holds(who, draw)]
        item = review.next_item(self.world.workspace, self.world.store, *WHERE, who, now=self.world.clock)
        if held:
            assert item is not None
            assert item.item_id in held
        elif item is None:
            judged = self.judged(who)
            taken = {
                self.call_of[draw]
                for draw in self.leases
                if draw not in self.aside and self.holds(self.other(who), draw)
            }
            labelled = {
                self.call_of[draw]
                for draw, _ in self.said
                if draw not in self.aside and self.verdict_on(draw)
            }
            picked = {
                self.call_of[draw]
                for (draw, _), verdict in self.said.items()
                if verdict and self.aside.get(draw) == "picked"
            }
            # Labels made elsewhere spare the audit where they cover all that is left of it.
            begun = {self.call_of[draw] for draw in self.leases if draw not in self.aside}
            spared = set(self.order) - begun
            assert set(self.order) <= judged | taken | labelled | (spared if spared <= picked else set())
        else:
            assert (item.item_id, who) not in self.said
            assert not self.holds(self.other(who), item.item_id)
            self.leases.setdefault(item.item_id, []).append((who, self.world.clock() + LEASE))
            self.call_of[item.item_id] = item.call_id
            # Nobody gets a pair that they judged, not even as a second review.
            assert item.call_id not in self.judged(who)
        if item:
            self.items[who] = item

    @rule(who=WHO, verdict=VERDICTS, twice=st.booleans())
    def label(self, who: str, verdict: LabelVerdict, twice: bool) -> None:
        """A submit adds one label, also when it is sent twice, also after the lease ran out."""
        item = self.items.get(who)
        if item is None:
            return
        found = [
            review.submit(self.world.workspace, self.world.store, item, who, verdict, now=self.world.clock)
            for _ in range(1 + twice)
        ]
        assert len({each.label_id for each in found}) == 1
        self.take(who, item, found[0].label_id, verdict)

    @rule(who=WHO)
    def skip(self, who: str) -> None:
        """A skip is a row without a verdict."""
        item = self.items.get(who)
        if item is None:
            return
        found = review.skip(self.world.workspace, self.world.store, item, who, now=self.world.clock)
        self.take(who, item, found.label_id, None)

    def take(self, who: str, item: review.ReviewItem, label_id: str, verdict: LabelVerdict | None) -> None:
        """Note an act, unless it repeats one."""
        if label_id in self.labels:
            return
        self.labels.add(label_id)
        self.said[item.item_id, who] = verdict
        self.acts[who].append((item.item_id, label_id))
        self.undone.pop(who, None)

    @rule(who=WHO, verdict=VERDICTS, number=st.integers(0, 6), by_hand=st.booleans())
    def look_aside(self, who: str, verdict: LabelVerdict, number: int, by_hand: bool) -> None:
        """A pair of one's own choice, or one of the first ten, is labelled and never counts."""
        where = (self.world.workspace, self.world.store, *WHERE, who)
        if by_hand:
            item = review.next_by_hand(*where, now=self.world.clock)
        else:
            item = review.pick(*where, self.order[number % len(self.order)], now=self.world.clock)
        if item is None:
            return
        self.aside[item.item_id] = "by_hand" if by_hand else "picked"
        self.call_of[item.item_id] = item.call_id
        leases = self.leases.setdefault(item.item_id, [])
        if not any(name == who for name, _ in leases):
            leases.append((who, self.world.clock() + LEASE))
        label = review.submit(
            self.world.workspace, self.world.store, item, who, verdict, now=self.world.clock
        )
        assert label.source == self.aside[item.item_id]
        self.take(who, item, label.label_id, verdict)

    @rule(who=WHO, verdict=VERDICTS)
    def decide(self, who: str, verdict: LabelVerdict) -> None:
        """A conflict that is decided stays decided."""
        found = review.disputes(self.world.workspace, self.world.store, *WHERE)
        if not found:
            return
        now = self.world.clock
        review.adjudicate(self.world.workspace, self.world.store, found[0], who, verdict, now=now)
        self.decided[found[0].call_id] = verdict
        self.referees.setdefault(found[0].call_id, set()).add(who)

    @rule(who=WHO, acts=st.lists(st.sampled_from([*LabelVerdict, "skip"]), min_size=1, max_size=6))
    def work(self, who: str, acts: list[str]) -> None:
        """Somebody asks and answers a few times in a row."""
        for act in acts:
            self.items.pop(who, None)
            self.ask(who)
            if act == "skip":
                self.skip(who)
            else:
                self.label(who, LabelVerdict(act), False)

    @rule(who=WHO)
    def undo(self, who: str) -> None:
        """The last act is gone and its item is back; once more changes nothing."""
        pending = self.undone.get(who)
        expected = pending if pending and self.holds(who, pending) else None
        if expected is None and self.acts[who]:
            expected = self.acts[who].pop()[0]
            del self.said[expected, who]
            self.leases[expected].append((who, self.world.clock() + LEASE))
            self.undone[who] = expected
        item = review.undo(self.world.workspace, self.world.store, *WHERE, who, now=self.world.clock)
        assert (item.item_id if item else None) == expected
        if item:
            self.items[who] = item

    @rule(minutes=st.sampled_from([1, 6, 11, 60]))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.world.clock.pass_minutes(minutes)

    @staticmethod
    def other(who: str) -> str:
        """Return the other reviewer."""
        return "noor" if who == "mia" else "mia"

    def judged(self, who: str) -> set[str]:
        """Return the calls that somebody judged or decided; what was looked at aside does not count."""
        own = {self.call_of[draw] for (draw, name) in self.said if name == who and draw not in self.aside}
        return own | {call for call, names in self.referees.items() if who in names}

    def verdict_on(self, draw: str) -> bool:
        """Say whether anybody gave a verdict on the call of a draw."""
        call = self.call_of[draw]
        return any(
            verdict and each not in self.aside and self.call_of[each] == call
            for (each, _), verdict in self.said.items()
        )

    @invariant()
    def the_store_agrees(self) -> None:
        """Verdicts, states and the order of drawing are those of the model."""
        if not hasattr(self, "world"):
            return
        params = self.world.scope("topics").params
        expected: dict[str, list[LabelVerdict]] = {}
        for (draw, _), verdict in self.said.items():
            if verdict and draw not in self.aside:
                expected.setdefault(self.call_of[draw], []).append(verdict)
        effective = {
            pair: each
            for pair, each in review.effective_verdicts(self.world.store, *params).items()
            if each.counted or each.adjudicated
        }
        worst = {call: max(cast, key=SEVERITY.__getitem__) for call, cast in expected.items()}
        assert {call: each.verdict for (_, call), each in effective.items()} == worst | self.decided
        assert {
            call: sum(vote.source == "queue" for vote in each.votes)
            for (_, call), each in effective.items()
            if each.counted
        } == {call: len(cast) for call, cast in expected.items()}
        states = review.draw_states(self.world.store, *params, now=self.world.clock)
        main = [each for each in states if each.plan is not Plan.SECOND_REVIEW]
        assert [each.call_id for each in main if each.plan is Plan.AUDIT] == self.order[
            : sum(each.plan is Plan.AUDIT for each in main)
        ]
        for each in main:
            assert (each.state is State.LABELLED) == (each.call_id in expected)
        for each in states:
            if each.plan is Plan.SECOND_REVIEW:
                origin = next(draw for draw in main if draw.call_id == each.call_id)
                assert chosen_for_double(origin.draw_id) or origin.plan is Plan.NORMALISATION
            answered = any((each.draw_id, who) in self.said for who in ("mia", "noor"))
            if not answered and each.state is State.LEASED:
                assert any(self.holds(who, each.draw_id) for who in ("mia", "noor"))
            holders = [who for who in ("mia", "noor") if self.holds(who, each.draw_id)]
            if each.state is not State.LABELLED:
                assert len(holders) <= 1


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
