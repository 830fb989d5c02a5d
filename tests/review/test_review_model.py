"""Any sequence of acts by two reviewers leaves the store where a plain dictionary says, in either plan."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from review_world import EVALS, make_world

from workbench import review, sampling
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.records import LabelVerdict
from workbench.review import LEASE, Plan, State
from workbench.review.handing import chosen_for_double
from workbench.review.states import SEVERITY
from workbench.store import compared
from workbench.store import labels as rows

WHO = st.sampled_from(["mia", "noor"])
VERDICTS = st.sampled_from(list(LabelVerdict))
CHECKS = "[review]\nattention_share = 0.25\n"


class Queue(RuleBasedStateMachine):
    """The model keeps, per draw, who was offered it until when, and who says what of each call.

    What is picked by hand or looked at by hand is kept beside it: it may never show in a verdict,
    though undo reaches it like anything else. Checks of attention come between as if they were items,
    and may show nowhere but in what is said of the reviewer.
    """

    task = "topics"

    @initialize(disagreements=st.integers(1, 5), normalised=st.integers(0, 2), identical=st.integers(0, 2))
    def start(self, disagreements: int, normalised: int, identical: int) -> None:
        """Fill a store with a handful of pairs."""
        self.begin()
        self.world.add_replay(
            "topics", [("a", "b")] * disagreements + [("a", "A.")] * normalised + [("c", "c")] * identical
        )
        frame = compared.evidence_frame(
            self.world.store, *self.world.scope("topics").params, wanted=("call_id",)
        )
        self.order = frame[frame["verdict"] == "mismatch"]["call_id"].tolist()

    def begin(self) -> None:
        """Open an empty store, and a model that knows of nothing."""
        # The log of accesses is written a little later, whoever has closed the store.
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.world = make_world(Path(self.folder.name) / "space")
        rules = self.world.root / "evals" / self.task / "eval.toml"
        rules.write_text(EVALS[self.task] + CHECKS, encoding="utf-8")
        self.world.workspace = Workspace.load(self.world.root)
        self.order: list[str] = []
        self.leases: dict[str, list[tuple[str, object]]] = {}
        self.call_of: dict[str, str] = {}
        self.said: dict[tuple[str, str], LabelVerdict | None] = {}
        self.acts: dict[str, list[tuple[str, str]]] = {"mia": [], "noor": []}
        self.items: dict[str, review.ReviewItem] = {}
        self.undone: dict[str, str] = {}
        self.returned: set[tuple[str, str]] = set()
        self.labels: set[str] = set()
        self.aside: dict[str, str] = {}
        self.checks: dict[str, set[str]] = {}
        self.rows = 0
        self.decided: dict[str, LabelVerdict] = {}
        self.referees: dict[str, set[str]] = {}

    @property
    def where(self) -> tuple[Workspace, Any, str, str]:
        """Return what every use case is told first."""
        return self.world.workspace, self.world.store, self.task, "tiny-llm"

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
        item = review.next_item(*self.where, who, now=self.world.clock)
        if held:
            assert item is not None
            assert item.item_id in held
        elif item is None:
            self.nothing_is_left(who)
        else:
            assert (item.item_id, who) not in self.said
            assert not self.holds(self.other(who), item.item_id)
            self.leases.setdefault(item.item_id, []).append((who, self.world.clock() + LEASE))
            self.call_of[item.item_id] = item.call_id
            draw = rows.draw_row(self.world.store, item.item_id)
            assert draw is not None
            if draw["plan"] == Plan.ATTENTION:
                # Its answer is known, and on the page it looks like any other.
                self.checks[item.item_id] = set(draw["expected"].split("|"))
            # Nobody gets a pair that they judged, not even as a second review.
            assert item.call_id not in self.judged(who)
        if item:
            self.items[who] = item

    def settled(self, who: str) -> set[str]:
        """Return the calls that are no work for somebody: judged by them, taken by another, or labelled."""
        taken = {
            self.call_of[draw]
            for draw in self.leases
            if self.counts(draw) and self.holds(self.other(who), draw)
        }
        labelled = {
            self.call_of[draw] for draw, _ in self.said if self.counts(draw) and self.verdict_on(draw)
        }
        return self.judged(who) | taken | labelled

    def nothing_is_left(self, who: str) -> None:
        """Everything in the order is judged, taken, labelled or spared."""
        picked = {
            self.call_of[draw]
            for (draw, _), verdict in self.said.items()
            if verdict and self.aside.get(draw) == "picked"
        }
        # Labels made elsewhere spare the audit where they cover all that is left of it.
        begun = {self.call_of[draw] for draw in self.leases if self.counts(draw)}
        spared = set(self.order) - begun
        assert set(self.order) <= self.settled(who) | (spared if spared <= picked else set())

    @rule(who=WHO, verdict=VERDICTS, twice=st.booleans())
    def label(self, who: str, verdict: LabelVerdict, twice: bool) -> None:
        """A submit adds one label, also when it is sent twice, also after the lease ran out."""
        item = self.items.get(who)
        if item is None:
            return
        found = [
            review.submit(*self.where[:2], item, who, verdict, now=self.world.clock) for _ in range(1 + twice)
        ]
        assert len({each.label_id for each in found}) == 1
        self.take(who, item, found[0].label_id, verdict)

    @rule(who=WHO)
    def skip(self, who: str) -> None:
        """A skip is a row without a verdict."""
        item = self.items.get(who)
        if item is None:
            return
        found = review.skip(*self.where[:2], item, who, now=self.world.clock)
        self.take(who, item, found.label_id, None)

    def take(self, who: str, item: review.ReviewItem, label_id: str, verdict: LabelVerdict | None) -> None:
        """Note an act, unless it repeats one."""
        if label_id in self.labels:
            return
        self.labels.add(label_id)
        self.rows += 1
        self.said[item.item_id, who] = verdict
        # Whoever picks a pair once more supersedes what they said of it: that is no act of its own any more.
        self.acts[who] = [act for act in self.acts[who] if act[0] != item.item_id]
        self.acts[who].append((item.item_id, label_id))
        self.undone.pop(who, None)

    @rule(who=WHO, verdict=VERDICTS, number=st.integers(0, 6))
    def amend(self, who: str, verdict: LabelVerdict, number: int) -> None:
        """Somebody changes what they said of any item: one row more, or none where it is the same."""
        if not self.acts[who]:
            return
        place = number % len(self.acts[who])
        draw, label_id = self.acts[who][place]
        [label] = [
            each
            for each in review.history(*self.where, who)
            if each.label_id == label_id and each.draw_id == draw
        ]
        before = self.said[draw, who]
        if before is None:
            with pytest.raises(UsageError, match="no verdict"):
                review.amend(self.world.store, label, who, verdict=verdict, now=self.world.clock)
            return
        amended = review.amend(self.world.store, label, who, verdict=verdict, now=self.world.clock)
        assert (amended.label_id == label_id) == (verdict is before)
        assert (amended.draw_id, amended.draw_probability) == (label.draw_id, label.draw_probability)
        if verdict is before:
            return
        assert amended.label_id not in self.labels
        self.labels.add(amended.label_id)
        self.rows += 1
        # It is the last act now, which undo takes back first.
        del self.acts[who][place]
        self.acts[who].append((draw, amended.label_id))
        self.said[draw, who] = verdict
        self.undone.pop(who, None)

    @rule(who=WHO, verdict=VERDICTS, number=st.integers(0, 6), by_hand=st.booleans())
    def look_aside(self, who: str, verdict: LabelVerdict, number: int, by_hand: bool) -> None:
        """A pair of one's own choice, or one of the first ten, is labelled and never counts."""
        where = (*self.where, who)
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
        label = review.submit(*self.where[:2], item, who, verdict, now=self.world.clock)
        assert label.source == self.aside[item.item_id]
        self.take(who, item, label.label_id, verdict)

    @rule(who=WHO, verdict=VERDICTS)
    def decide(self, who: str, verdict: LabelVerdict) -> None:
        """A conflict that is decided stays decided."""
        found = review.disputes(*self.where)
        if not found:
            return
        now = self.world.clock
        review.adjudicate(*self.where[:2], found[0], who, verdict, now=now)
        self.rows += 1
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
            self.rows += 1
            del self.said[expected, who]
            self.leases[expected].append((who, self.world.clock() + LEASE))
            self.undone[who] = expected
            # A skipped item may be in other hands by now: then both have it, and the worse verdict counts.
            self.returned.add((expected, who))
        item = review.undo(*self.where, who, now=self.world.clock)
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

    def counts(self, draw: str) -> bool:
        """Say whether what is said on a draw may show in a verdict."""
        return draw not in self.aside and draw not in self.checks

    def judged(self, who: str) -> set[str]:
        """Return the calls that somebody judged or decided; what was looked at aside does not count."""
        own = {self.call_of[draw] for (draw, name) in self.said if name == who and self.counts(draw)}
        return own | {call for call, names in self.referees.items() if who in names}

    def verdict_on(self, draw: str) -> bool:
        """Say whether anybody gave a verdict on the call of a draw."""
        call = self.call_of[draw]
        return any(
            verdict and self.counts(each) and self.call_of[each] == call
            for (each, _), verdict in self.said.items()
        )

    @invariant()
    def the_store_agrees(self) -> None:
        """Verdicts, states and the order of drawing are those of the model."""
        if not hasattr(self, "world"):
            return
        params = self.world.scope(self.task).params
        expected: dict[str, list[LabelVerdict]] = {}
        for (draw, _), verdict in self.said.items():
            if verdict and self.counts(draw):
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
        self.drawn_as_planned(main)
        for each in main:
            assert (each.state is State.LABELLED) == (each.call_id in expected)
        for each in states:
            if each.plan is Plan.SECOND_REVIEW:
                origin = next(draw for draw in main if draw.call_id == each.call_id)
                assert chosen_for_double(origin.draw_id) or origin.plan is Plan.NORMALISATION
            answered = any((each.draw_id, who) in self.said for who in ("mia", "noor"))
            if not answered and each.state is State.LEASED:
                assert any(self.holds(who, each.draw_id) for who in ("mia", "noor"))
            holders = [
                who
                for who in ("mia", "noor")
                if self.holds(who, each.draw_id) and (each.draw_id, who) not in self.returned
            ]
            if each.state is not State.LABELLED:
                assert len(holders) <= 1
        assert not {each.draw_id for each in states} & {*self.checks, *self.aside}
        # Every act is one row and stays; what comes again, or changes nothing, is none.
        assert self.world.store.value("SELECT count(*) FROM labels") == self.rows
        told = {each.annotator: (each.answered, each.passed) for each in review.attention(*self.where)}
        answers = [
            (draw, name) for (draw, name), verdict in self.said.items() if verdict and draw in self.checks
        ]
        for who in ("mia", "noor"):
            given = [draw for draw, name in answers if name == who]
            passed = sum(self.said[draw, who] in self.checks[draw] for draw in given)
            assert told.get(who, (0, 0)) == (len(given), passed)

    def drawn_as_planned(self, main: list[review.DrawState]) -> None:
        """Disagreements are audited in their order."""
        audited = [each.call_id for each in main if each.plan is Plan.AUDIT]
        assert audited == self.order[: len(audited)]


class Mix(Queue):
    """The same of a semantic plan: drawn from strata by an 80/20 mix, with probabilities that stay."""

    task = "rewrite"

    @initialize(scores=st.lists(st.sampled_from([0.5, 0.7, 0.85, 0.97]), min_size=2, max_size=8))
    def start(self, scores: list[float]) -> None:  # type: ignore[override]
        """Fill a store with pairs of several strata; the last is the same text on both sides."""
        self.begin()
        texts = [(f"text {number}", f"other {number}") for number in range(len(scores))]
        self.world.add_replay(self.task, [*texts, ("same", "same")], scores=[*scores, 1.0])
        found = self.world.store.rows("SELECT call_id, verdict FROM comparisons")
        self.mismatches = {row["call_id"] for row in found if row["verdict"] == "mismatch"}
        self.order = [row["call_id"] for row in found]
        self.as_drawn: dict[str, tuple[float, float, str]] = {}

    def nothing_is_left(self, who: str) -> None:
        """What was drawn is judged or taken, and one kind of pair has been drawn to its end."""
        drawn = {
            draw["call_id"] for draw in self.world.store.rows("SELECT call_id FROM draws WHERE plan = 'mix'")
        }
        assert drawn <= self.settled(who)
        assert any(kind <= drawn for kind in (self.mismatches, set(self.order) - self.mismatches))

    def drawn_as_planned(self, main: list[review.DrawState]) -> None:
        """Odds are those of the mix or of the plain share, and stay what they were at the draw."""
        assert [each.position for each in main] == list(range(len(main)))
        share = len(self.mismatches) / len(self.order)
        for each in main:
            assert each.plan is Plan.MIX
            assert each.weight_max == sampling.WEIGHT_MAX
            assert each.weight == pytest.approx(each.stratum_share / each.draw_probability)
            assert each.stratum.startswith("mismatch") == (each.call_id in self.mismatches)
            mixed = (
                sampling.CORE + (1 - sampling.CORE) / share
                if each.call_id in self.mismatches
                else sampling.CORE
            )
            assert 1 / each.weight == pytest.approx(mixed) or each.weight == pytest.approx(1.0)
            known = self.as_drawn.setdefault(each.draw_id, (each.draw_probability, each.weight, each.call_id))
            assert known == (each.draw_probability, each.weight, each.call_id)


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
TestMix = Mix.TestCase
TestMix.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
