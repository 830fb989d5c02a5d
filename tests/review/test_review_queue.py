"""Who gets what, when: audit order, leases, double labelling, blindness."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

import pytest
from review_world import World

from workbench import review, sampling
from workbench.errors import UsageError
from workbench.records import LabelVerdict, Output, as_builtins
from workbench.review import Plan, State
from workbench.review.handing import chosen_for_double
from workbench.review.items import blind_output, order_shown
from workbench.store import compared


def ask(world: World, annotator: str, task: str = "topics", candidate: str = "tiny-llm"):
    return review.next_item(world.workspace, world.store, task, candidate, annotator, now=world.clock)


def say(world: World, item, annotator: str, verdict: str = "equal", **more):
    return review.submit(world.workspace, world.store, item, annotator, verdict, now=world.clock, **more)


def states(world: World, task: str = "topics"):
    return review.draw_states(world.store, *world.scope(task).params, now=world.clock)


def disagreements(world: World, task: str = "topics") -> list[str]:
    frame = compared.evidence_frame(world.store, *world.scope(task).params, wanted=("call_id",))
    return frame[frame["verdict"] == "mismatch"]["call_id"].tolist()


def test_structural_disagreements_come_in_auditing_order_of_closed_batches(world: World) -> None:
    """Replay by replay, by audit key; a batch with an uncompared call contributes nothing."""
    world.add_replay("topics", [("a", "b"), ("a", "a"), ("b", "c")] * 4)
    world.add_replay("topics", [("a", "c")] * 5)
    world.add_replay("topics", [("a", "c")] * 5, compared=4)
    expected = disagreements(world)
    assert len(expected) == 13
    got = []
    while item := ask(world, "mia"):
        got.append(item.call_id)
        say(world, item, "mia")
    assert got == expected
    assert got[:8] == sorted(got[:8], key=lambda call: sampling.audit_key("replay-1", call))


def test_a_call_replayed_twice_is_queued_once(world: World) -> None:
    """It counts in its earliest batch."""
    first = world.add_replay("topics", [("a", "b")] * 3)
    second = world.add_replay("topics", [("a", "b")])
    rows = world.store.rows("SELECT * FROM replay_calls WHERE replay_id = ? LIMIT 1", (first,))
    row = {**rows[0], "replay_id": second}
    compared = world.store.rows("SELECT * FROM comparisons WHERE call_id = ?", (row["call_id"],))[0]
    observed = world.store.rows("SELECT * FROM observations WHERE call_id = ?", (row["call_id"],))[0]
    observed.pop("seq")
    world.store.append("replay_calls", [row])
    world.store.append("observations", [{**observed, "replay_id": second}])
    world.store.append("comparisons", [{**compared, "replay_id": second}])
    seen = []
    while item := ask(world, "mia"):
        seen.append(item.call_id)
        say(world, item, "mia")
    assert len(seen) == len(set(seen)) == 4


def test_about_twenty_pairs_that_agree_only_after_normalisation_are_audited(world: World) -> None:
    """They stand between the disagreements; raw-identical pairs are never shown."""
    world.add_replay("topics", [("a", "A.")] * 60 + [("a", "a")] * 50 + [("a", "b")] * 30)
    while item := ask(world, "mia"):
        say(world, item, "mia")
    plans = Counter(each.plan for each in states(world))
    assert plans == {Plan.AUDIT: 30, Plan.NORMALISATION: sampling.NORMALISATION_PAIRS}
    first = [each.plan for each in states(world)][:25]
    assert 4 <= first.count(Plan.NORMALISATION) <= 6


def test_uncomparable_pairs_are_not_queued(world: World) -> None:
    """A control that is no answer leaves nothing to judge."""
    world.add_replay("topics", [("I can't help with that", "b"), ("", "b"), ("a", "b")])
    item = ask(world, "mia")
    assert item is not None
    say(world, item, "mia")
    assert ask(world, "mia") is None


def test_asking_again_returns_the_held_item(world: World) -> None:
    """Reloading the page moves nothing on."""
    world.add_replay("topics", [("a", "b")] * 3)
    first = ask(world, "mia")
    assert first is not None
    world.clock.pass_minutes(9)
    assert ask(world, "mia") == first
    assert len(states(world)) == 1


def test_two_people_never_hold_one_item(world: World) -> None:
    """Ten people get ten items."""
    world.add_replay("topics", [("a", "b")] * 10)
    held = [ask(world, f"person {number}") for number in range(11)]
    assert held[10] is None
    assert len({item.item_id for item in held[:10] if item}) == 10


def test_a_lapsed_item_stays_lapsed_until_labelled_and_goes_to_others_at_the_end(world: World) -> None:
    """It counts as harm meanwhile, also while somebody else looks at it."""
    world.add_replay("topics", [("a", "b")] * 2)
    first = ask(world, "mia")
    assert first is not None
    assert [each.state for each in states(world)] == [State.LEASED]
    world.clock.pass_minutes(11)
    assert [each.state for each in states(world)] == [State.LAPSED]
    second = ask(world, "noor")
    assert second is not None
    assert second.item_id != first.item_id
    say(world, second, "noor")
    again = ask(world, "noor")
    assert again is not None
    assert again.item_id == first.item_id
    state = states(world)[0]
    assert (state.state, state.leased_to) == (State.LAPSED, "noor")
    say(world, again, "noor", "control_better")
    assert states(world)[0].state is State.LABELLED
    assert states(world)[0].verdict is LabelVerdict.CONTROL_BETTER


def test_a_label_given_after_the_lease_ran_out_still_counts(world: World) -> None:
    """Slow readers lose nothing; if another person judged meanwhile, both labels are kept."""
    world.add_replay("topics", [("a", "b")])
    slow = ask(world, "mia")
    assert slow is not None
    world.clock.pass_minutes(30)
    quick = ask(world, "noor")
    assert quick is not None
    assert quick.item_id == slow.item_id
    say(world, quick, "noor", "equal")
    say(world, slow, "mia", "control_better")
    (effective,) = review.effective_verdicts(world.store, *world.scope("topics").params).values()
    assert effective.verdict is LabelVerdict.CONTROL_BETTER
    assert effective.disputed
    assert {vote.annotator for vote in effective.votes} == {"mia", "noor"}
    (dispute,) = review.disputes(world.workspace, world.store, "topics", "tiny-llm")
    review.adjudicate(world.workspace, world.store, dispute, "chief", "equal", now=world.clock)
    (effective,) = review.effective_verdicts(world.store, *world.scope("topics").params).values()
    assert (effective.verdict, effective.adjudicated, effective.disputed) == (LabelVerdict.EQUAL, True, False)


def test_a_skipped_item_goes_to_others_not_to_the_one_who_skipped(world: World) -> None:
    """It stays in the record as skipped until somebody labels it."""
    world.add_replay("topics", [("a", "b")])
    item = ask(world, "mia")
    assert item is not None
    review.skip(world.workspace, world.store, item, "mia", reason="not my field", now=world.clock)
    assert states(world)[0].state is State.SKIPPED
    assert ask(world, "mia") is None
    other = ask(world, "noor")
    assert other is not None
    assert other.item_id == item.item_id
    assert states(world)[0].state is State.SKIPPED
    say(world, other, "noor")
    assert states(world)[0].state is State.LABELLED


def test_a_share_of_draws_is_labelled_twice_by_different_people(world: World) -> None:
    """15 to 20 % by the hash of the draw; the first person never gets their own again."""
    share = sum(chosen_for_double(f"draw {number}") for number in range(20_000)) / 20_000
    assert 0.15 < share < 0.20
    world.add_replay("topics", [("a", "b")] * 40)
    while item := ask(world, "mia"):
        say(world, item, "mia")
    drawn = states(world)
    assert len(drawn) == 40
    due = {each.call_id for each in drawn if chosen_for_double(each.draw_id)}
    assert due
    seen = set()
    while item := ask(world, "noor"):
        seen.add(item.call_id)
        say(world, item, "noor", "control_better")
    assert seen == due
    second = [each for each in states(world) if each.plan is Plan.SECOND_REVIEW]
    assert {each.verdict for each in second} == {LabelVerdict.CONTROL_BETTER}
    assert all(each.verdict is LabelVerdict.CONTROL_BETTER for each in states(world) if each.call_id in due)
    assert ask(world, "ida") is None


def test_a_worse_pair_that_only_normalisation_makes_equal_is_confirmed_or_lapses(world: World) -> None:
    """Its second review is drawn at once; unanswered it lapses, which revokes what structure promised."""
    world.add_replay("topics", [("a", "A.")] * 3)
    item = ask(world, "mia")
    assert item is not None
    say(world, item, "mia", "control_better")
    second = [each for each in states(world) if each.plan is Plan.SECOND_REVIEW]
    assert [each.state for each in second] == [State.OPEN]
    assert not review.normalisation_revoked(states(world))
    world.clock.pass_minutes(11)
    assert review.normalisation_revoked(states(world))
    other = ask(world, "noor")
    while other and other.call_id != item.call_id:
        say(world, other, "noor")
        other = ask(world, "noor")
    assert other is not None
    say(world, other, "noor", "equal")
    assert not review.normalisation_revoked(states(world))


def test_after_a_revocation_every_normalised_pair_is_queued(world: World) -> None:
    """Twenty are not enough to bound a stratum of its own."""
    world.add_replay("topics", [("a", "A.")] * 40)
    first = ask(world, "mia")
    assert first is not None
    say(world, first, "mia", "control_better")
    world.clock.pass_minutes(11)
    count = 1
    while item := ask(world, "mia"):
        say(world, item, "mia")
        count += 1
    assert count == 40


def test_the_page_is_told_nothing_that_gives_the_model_away(world: World) -> None:
    """No name, score, cost, time, token count, id of a tool call or side in what is shown."""
    world.add_replay("rewrite", [("The sky is blue.", "Bananas are cheap today.")], scores=[0.37])
    item = ask(world, "mia", "rewrite")
    assert item is not None
    shown = repr(item) + repr(as_builtins({"left": item.left, "right": item.right, "request": item.request}))
    for secret in ("tiny", "frontier", "0.37", "812", "31.25", "0.125", "control", "candidate", "replay_id"):
        assert secret not in shown, secret
    output = Output("t", model="m", finish_reason="stop", latency_ms=1.0, reasoning="r", flags=("capped",))
    assert blind_output(output) == Output("t")
    assert {field.name for field in dataclasses.fields(item)} == {
        "item_id",
        "call_id",
        "task",
        "kind",
        "request",
        "left",
        "right",
        "guidelines",
        "guideline_version",
        "field_rules",  # the same whichever side is left
        "progress",
        "attempt",
        "shown_order",
        "fields",
    }


def test_sides_are_balanced_and_stable_for_each_reviewer() -> None:
    """Over 1,000 pairs each side shows the control about half of the time; twice asked, the same."""
    for annotator in ("mia", "noor"):
        orders = [order_shown(annotator, f"call {n}", "replay") for n in range(1000)]
        assert orders == [order_shown(annotator, f"call {n}", "replay") for n in range(1000)]
        # 500 +- 4 standard deviations of a fair coin.
        assert 437 <= orders.count("control_left") <= 563
    both = [order_shown(a, f"call {n}", "replay") for a in ("mia", "noor") for n in range(1000)]
    assert 400 <= sum(x == y for x, y in zip(both[:1000], both[1000:], strict=True)) <= 600


def test_left_and_right_lead_to_the_verdict_of_the_side_shown(world: World) -> None:
    """Whatever the order, choosing the side with the control's text says control better."""
    world.add_replay("topics", [("a", "b")] * 12)
    sides = set()
    while item := ask(world, "mia"):
        side = "left" if item.left.text == "a" else "right"
        sides.add(side)
        assert item.verdict(side) is LabelVerdict.CONTROL_BETTER
        assert item.verdict("right" if side == "left" else "left") is LabelVerdict.CANDIDATE_BETTER
        label = say(world, item, "mia", item.verdict(side))
        assert label.shown_order == f"control_{side}" or label.shown_order == "candidate_left"
    assert sides == {"left", "right"}


def test_a_semantic_draw_is_stored_with_its_probability_before_it_is_shown(world: World) -> None:
    """Weight is share over probability, never above 1.25, and mismatches are drawn more often."""
    rng = random.Random(5)
    pairs = [(f"text {n}", f"other {n}") for n in range(300)]
    world.add_replay("rewrite", pairs, scores=[rng.choice([0.3, 0.85, 0.92, 0.97]) for _ in pairs])
    for _ in range(60):
        item = ask(world, "mia", "rewrite")
        assert item is not None
        last = states(world, "rewrite")[-1]
        assert (last.draw_id, last.state) == (item.item_id, State.LEASED)
        label = say(world, item, "mia")
        assert label.draw_probability == pytest.approx(last.draw_probability)
    for each in states(world, "rewrite"):
        assert each.plan is Plan.MIX
        assert each.weight == pytest.approx(each.stratum_share / each.draw_probability)
        assert each.weight <= each.weight_max == pytest.approx(1.25)
    assert [each.position for each in states(world, "rewrite")] == list(range(60))


@pytest.mark.parametrize(
    ("declared", "stratum"), [("", "mismatch 0.9-0.95 flagged"), ("contradictions = []\n", "match 0.9-0.95")]
)
def test_strata_follow_the_flags_that_the_eval_takes_for_contradictions(
    world: World, declared: str, stratum: str
) -> None:
    """A flag that contradicts nothing in this task neither makes a mismatch nor a stratum of its own."""
    path = world.root / "evals" / "rewrite" / "eval.toml"
    path.write_text(path.read_text() + declared)
    changed = dataclasses.replace(world, workspace=type(world.workspace).load(world.root))
    changed.add_replay("rewrite", [("It costs 5 euros.", "It costs 6 euros.")] * 3, scores=[0.92] * 3)
    assert ask(changed, "mia", "rewrite") is not None
    drawn = world.store.rows("SELECT stratum FROM draws")
    assert {each["stratum"] for each in drawn} == {stratum}


def test_a_changed_evaluator_starts_a_queue_of_its_own_but_keeps_what_people_said(world: World) -> None:
    """Draws belong to an evaluator version; verdicts of the queue belong to the pair."""
    world.add_replay("topics", [("a", "b")] * 4)
    item = ask(world, "mia")
    assert item is not None
    say(world, item, "mia")
    path = world.root / "evals" / "topics" / "eval.toml"
    path.write_text(path.read_text().replace('"c"', '"c", "d"'))
    changed = dataclasses.replace(world, workspace=type(world.workspace).load(world.root))
    rows = world.store.rows("SELECT * FROM comparisons")
    version = changed.scope("topics").evaluator_version
    assert version != world.scope("topics").evaluator_version
    world.store.append("comparisons", [{**row, "evaluator_version": version} for row in rows])
    seen = []
    while found := ask(changed, "mia"):
        seen.append(found.call_id)
        say(changed, found, "mia")
    assert len(seen) == 3
    assert item.call_id not in seen
    assert len(states(world)) == 1


def test_labels_made_elsewhere_spare_the_audit_only_where_they_cover_every_disagreement(world: World) -> None:
    """Somebody chose the calls they are about, so a part of them proves nothing."""
    world.add_replay("topics", [("a", "b")] * 4)
    calls = disagreements(world)
    file = world.root / "labels.csv"
    file.write_text("id,verdict,annotator\n" + "".join(f"{call},equal,ext\n" for call in calls[:2]))
    review.import_labels(world.workspace, world.store, file, task="topics", candidate="tiny-llm")
    item = ask(world, "mia")
    assert item is not None
    assert item.call_id == calls[0]
    file.write_text("id,verdict,annotator\n" + "".join(f"{call},equal,ext\n" for call in calls))
    review.import_labels(world.workspace, world.store, file, task="topics", candidate="tiny-llm")
    assert ask(world, "noor") is None


def test_errors_name_what_is_wrong(world: World) -> None:
    """No name, no such candidate, no such task, an item that was never offered."""
    world.add_replay("topics", [("a", "b")] * 2)
    with pytest.raises(UsageError, match="name"):
        ask(world, "  ")
    with pytest.raises(UsageError, match="no candidate"):
        ask(world, "mia", candidate="tiny")
    with pytest.raises(UsageError, match="no eval"):
        ask(world, "mia", "topic")
    item = ask(world, "mia")
    with pytest.raises(UsageError, match="not offered"):
        say(world, item, "noor")
    with pytest.raises(UsageError, match="verdict"):
        say(world, item, "mia", "better")
    with pytest.raises(UsageError, match="no reasons"):
        say(world, item, "mia", "equal", reasons=["wrong"])
