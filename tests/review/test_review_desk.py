"""What a reviewer can do beside choosing a side: judge absolutely, correct, look back, decide conflicts."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from review_world import EVALS, World, make_world

from workbench import review
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.records import AbsoluteJudgement, Estimate, LabelVerdict
from workbench.review import Plan, ReviewItem, VersionAgreement
from workbench.store import labels

WHERE = ("topics", "tiny-llm")


def ask(world: World, who: str = "mia", where: tuple[str, str] = WHERE) -> ReviewItem:
    item = review.next_item(world.workspace, world.store, *where, who, now=world.clock)
    assert item is not None
    return item


def say(world: World, item: ReviewItem, verdict: str, who: str = "mia", **more: object) -> review.Label:
    return review.submit(world.workspace, world.store, item, who, verdict, now=world.clock, **more)


def verdicts(world: World, task: str = "topics") -> dict[str, LabelVerdict]:
    found = review.effective_verdicts(world.store, *world.scope(task).params)
    return {call: each.verdict for (_, call), each in found.items()}


@pytest.mark.parametrize(
    ("control", "candidate", "verdict"),
    [
        ((), (), "equal"),
        ((), ("sku",), "control_better"),
        (("sku",), (), "candidate_better"),
        (("sku",), ("sku",), "both_bad"),
        (("sku",), ("sku", "total"), "control_better"),
        (("sku", "total"), ("sku",), "candidate_better"),
        (("sku",), ("note",), "both_bad"),
        (("sku", "note"), ("total",), "control_better"),
    ],
)
def test_wrong_fields_give_the_verdict(
    control: tuple[str, ...], candidate: tuple[str, ...], verdict: str
) -> None:
    """More wrong fields are worse, a critical one that the control has right too; else both are bad."""
    judged = AbsoluteJudgement(not control, not candidate, control, candidate)
    assert review.verdict_from_absolute(judged, critical=["total"]) == verdict


def test_a_label_task_is_judged_by_which_side_is_right(world: World) -> None:
    """The stored judgement names roles whatever side they stood on, and gives paired truth."""
    world.add_replay("topics", [("a", "b")] * 12)
    for number in range(12):
        item = ask(world)
        control_left = item.left.text == "a"
        judged = item.absolute(control_left, not control_left) if number % 3 else item.absolute(False, False)
        label = review.submit_absolute(world.workspace, world.store, item, "mia", judged, now=world.clock)
        assert label.absolute == AbsoluteJudgement(bool(number % 3), False)
        assert label.verdict == ("control_better" if number % 3 else "both_bad")
    truth = review.paired_truth(world.workspace, world.store, *WHERE)
    assert (truth.n, truth.control_only, truth.candidate_only, truth.both_wrong) == (12, 8, 0, 4)
    assert truth.difference.point == pytest.approx(8 / 12)
    assert truth.difference.low > 0.3


def test_fields_called_wrong_must_be_fields_of_the_task(world: World) -> None:
    """A right answer has no wrong fields, and an unknown field is refused with the closest name."""
    world.add_replay("orders", [('{"sku": "x", "total": 1}', '{"sku": "y", "total": 1}')])
    item = ask(world, where=("orders", "tiny-llm"))
    assert item.fields == ("sku", "total")
    with pytest.raises(UsageError, match="no wrong fields"):
        review.submit_absolute(
            world.workspace, world.store, item, "mia", AbsoluteJudgement(True, True, ("sku",))
        )
    with pytest.raises(UsageError, match="no field"):
        review.submit_absolute(
            world.workspace, world.store, item, "mia", item.absolute(left_wrong=["skuu"], right_right=True)
        )
    right = "left" if '"x"' in (item.left.text or "") else "right"
    wrong = {"right_wrong" if right == "left" else "left_wrong": ["sku"]}
    label = review.submit_absolute(world.workspace, world.store, item, "mia", item.absolute(**wrong))
    assert (label.verdict, label.absolute) == ("control_better", AbsoluteJudgement(True, False, (), ("sku",)))
    field = review.paired_truth(world.workspace, world.store, "orders", "tiny-llm").fields[0]
    assert (field.path, field.control_wrong, field.candidate_wrong) == ("sku", 0, 1)


def test_texts_are_not_judged_by_themselves(world: World) -> None:
    """Only labels and fields have a right answer."""
    world.add_replay("rewrite", [("one text", "another")], scores=[0.4])
    item = ask(world, where=("rewrite", "tiny-llm"))
    assert not item.absolute_possible
    with pytest.raises(UsageError, match="kind text"):
        review.submit_absolute(world.workspace, world.store, item, "mia", AbsoluteJudgement(True, False))


def test_history_is_ones_own_and_can_be_filtered(world: World) -> None:
    """By choice, reason, words, time, note and correction; never anybody else's, never a role by name."""
    world.add_replay("topics", [("a", "b")] * 8)
    chosen = []
    for number, choice in enumerate(["left", "right", "equal", "both_bad", "left"]):
        item = ask(world)
        reasons = ["wrong"] if choice in ("left", "both_bad") else []
        note = "hard to say" if number == 3 else ""
        corrected = "c" if number == 3 else None
        label = say(world, item, item.verdict(choice), reasons=reasons, note=note, corrected=corrected)
        assert review.choice_made(label) == choice
        chosen.append(item.call_id)
        world.clock.pass_minutes(1)
    review.skip(world.workspace, world.store, ask(world), "mia", reason="not mine", now=world.clock)
    say(world, ask(world, "noor"), "equal", "noor")

    def found(**filters: object) -> list[str]:
        got = review.history(world.workspace, world.store, *WHERE, "mia", **filters)
        return [each.call_id for each in got]

    assert len(found()) == 6
    assert found(choices=["left"]) == [chosen[4], chosen[0]]
    assert found(choices=["skipped"]) == found()[:1]
    assert found(reasons=["wrong"]) == [chosen[4], chosen[3], chosen[0]]
    assert found(text="HARD to") == found(with_note=True, choices=["both_bad"]) == [chosen[3]]
    assert found(with_correction=True) == [chosen[3]]
    assert found(since=world.clock() - timedelta(minutes=2), choices=["left"]) == [chosen[4]]
    assert found(limit=2, skip=1) == found()[1:3]
    with pytest.raises(UsageError, match="no choice"):
        found(choices=["control_better"])


def test_a_past_item_can_be_read_again_but_not_submitted(world: World) -> None:
    """It looks as it did; only its author sees it."""
    world.add_replay("topics", [("a", "b")])
    item = ask(world)
    label = say(world, item, "equal")
    seen = review.look_again(world.workspace, world.store, *WHERE, "mia", label)
    assert (seen.left, seen.right, seen.request) == (item.left, item.right, item.request)
    with pytest.raises(UsageError, match="not offered"):
        say(world, seen, "both_bad")
    with pytest.raises(UsageError, match="another reviewer"):
        review.look_again(world.workspace, world.store, *WHERE, "noor", label)


def conflicting(world: World) -> tuple[ReviewItem, ReviewItem]:
    """Let two people differ on one pair."""
    world.add_replay("topics", [("a", "b")])
    mine = ask(world)
    world.clock.pass_minutes(11)
    theirs = ask(world, "noor")
    say(world, mine, "equal", note="same to me")
    say(world, theirs, "control_better", "noor", reasons=["wrong"])
    return mine, theirs


def test_a_conflict_is_settled_by_adjudication_and_the_originals_stay(world: World) -> None:
    """The worse verdict counts until then; the adjudicator sees choices, not roles."""
    mine, _ = conflicting(world)
    assert verdicts(world) == {mine.call_id: "control_better"}
    (head,) = review.conflicts(world.workspace, world.store, *WHERE, "ada")
    assert (head.votes, head.own, head.barred) == (2, False, "")
    opened = review.open_conflict(world.workspace, world.store, *WHERE, "ada", head.key)
    assert {vote.annotator: opened.item.verdict(vote.choice) for vote in opened.votes} == {
        "mia": "equal",
        "noor": "control_better",
    }
    review.adjudicate(world.workspace, world.store, opened, "ada", "candidate_better", now=world.clock)
    assert verdicts(world) == {mine.call_id: "candidate_better"}
    assert review.conflicts(world.workspace, world.store, *WHERE, "ada") == []
    (effective,) = review.effective_verdicts(world.store, *world.scope("topics").params).values()
    assert sorted(vote.annotator for vote in effective.votes) == ["ada", "mia", "noor"]


def test_nobody_reads_others_labels_before_giving_their_own(world: World) -> None:
    """Who holds a pair can't open its conflict; who opened it is not asked to judge it blind."""
    world.add_replay("topics", [("a", "b")])
    items = {}
    for who in ("mia", "noor", "ada"):
        items[who] = ask(world, who)
        if who != "ada":
            world.clock.pass_minutes(11)
    say(world, items["mia"], "equal")
    say(world, items["noor"], "control_better", "noor")
    (head,) = review.conflicts(world.workspace, world.store, *WHERE, "ada", now=world.clock)
    assert "first" in head.barred
    with pytest.raises(UsageError, match="first"):
        review.open_conflict(world.workspace, world.store, *WHERE, "ada", head.key, now=world.clock)
    review.open_conflict(world.workspace, world.store, *WHERE, "ben", head.key, now=world.clock)
    review.undo(world.workspace, world.store, *WHERE, "mia", now=world.clock)
    review.undo(world.workspace, world.store, *WHERE, "noor", now=world.clock)
    world.clock.pass_minutes(30)
    assert review.next_item(world.workspace, world.store, *WHERE, "ben", now=world.clock) is None
    assert review.next_item(world.workspace, world.store, *WHERE, "eve", now=world.clock) is not None


def set_rules(world: World, rules: str, guidelines: str = "Judge topics with care.\n") -> None:
    """Write the `[review]` table and the guidelines of the task."""
    folder = world.root / "evals" / "topics"
    text = EVALS["topics"] + f"[review]\n{rules}"
    (folder / "eval.toml").write_text(text, encoding="utf-8")
    (folder / "guidelines.md").write_text(guidelines, encoding="utf-8")
    world.workspace = Workspace.load(world.root)


def test_agreement_is_told_per_guideline_version_and_pair_of_people(world: World) -> None:
    """Labels under other guidelines are not held against each other; low agreement is warned of."""
    answers = (("equal", "control_better"), ("control_better", "control_better"), ("equal", "equal"))

    def double(differ: bool) -> None:
        """Let both judge twelve pairs; what they say follows from the pair."""
        replay = world.add_replay("topics", [("a", "b")] * 12)
        for _ in range(12):
            for place, who in enumerate(("mia", "noor")):
                item = ask(world, who)
                number = int(item.call_id.removeprefix(f"call-{replay}-0-"))
                said = answers[number % 3] if differ else answers[1 + number % 2]
                say(world, item, said[place], who)

    set_rules(world, "double_share = 1.0")
    double(differ=True)
    first = review.agreement(world.workspace, world.store, *WHERE)
    (version,) = first.versions
    assert (version.labels, version.reviewers, version.doubled, version.current) == (24, 2, 12, True)
    (pair,) = version.pairs
    assert (pair.first, pair.second, pair.n, pair.agreed, pair.low) == ("mia", "noor", 12, 8, True)
    # Four of twelve differ; kappa by hand: (8/12 - (8*4 + 4*8)/144) / (1 - (8*4 + 4*8)/144).
    assert pair.kappa.point == pytest.approx((2 / 3 - 64 / 144) / (1 - 64 / 144))
    assert version.alpha.point is not None
    assert version.alpha.point < 0.6
    assert version.low
    assert "the guidelines as they stand" in first.warning
    set_rules(world, "double_share = 1.0", "Clearer rules.\n")
    double(differ=False)
    second = review.agreement(world.workspace, world.store, "topics")
    assert [(each.current, each.doubled, each.alpha.point == 1) for each in second.versions] == [
        (True, 12, True),
        (False, 12, False),
    ]
    # Enough pairs under the clearer rules say that people agree now.
    assert second.warning == ""


def test_little_agreement_is_only_said_of_enough_pairs(world: World) -> None:
    """Two people who differ on a pair or two are no reason to doubt the labels."""

    def report(*versions: tuple[bool, int, float]) -> review.AgreementReport:
        told = tuple(
            VersionAgreement(
                guideline_version=str(number),
                current=current,
                labels=2 * doubled,
                reviewers=2,
                doubled=doubled,
                alpha=Estimate(
                    point=alpha, low=alpha, high=alpha, level=0.95, method="", n=doubled, n_effective=1
                ),
                pairs=(),
                low=alpha < 0.6,
            )
            for number, (current, doubled, alpha) in enumerate(versions)
        )
        return review.AgreementReport("topics", None, told)

    assert report((True, 1, 0.0)).warning == ""
    assert "on 10 pairs" in report((True, 10, 0.1)).warning
    # Under guidelines that nobody judged by often enough yet, the earlier ones still tell.
    assert "earlier guidelines" in report((True, 3, 1.0), (False, 40, 0.2)).warning
    assert report((True, 10, 0.9), (False, 40, 0.2)).warning == ""


def test_ten_by_hand_are_blind_kept_and_never_counted(world: World) -> None:
    """Ten at random of what was answered, compared or not; identical ones need no look."""
    world.add_replay("topics", [("a", "b")] * 20 + [("a", "a")] * 20, compared=0)
    with pytest.raises(UsageError, match="--limit 10"):
        review.next_by_hand(world.workspace, world.store, "topics", "other-llm", "mia")
    seen = []
    while item := review.next_by_hand(world.workspace, world.store, *WHERE, "mia", now=world.clock):
        assert item.call_id not in seen
        again = review.next_by_hand(world.workspace, world.store, *WHERE, "mia", now=world.clock)
        assert again is not None
        assert again.item_id == item.item_id
        seen.append(item.call_id)
        label = say(world, item, "control_better")
        assert (label.source, label.draw_probability) == ("by_hand", None)
    found = review.by_hand(world.workspace, world.store, *WHERE)
    assert found.drawn == 10
    assert found.judged == len(seen) == 10 - found.identical == found.control_better
    assert found.enough
    assert verdicts(world) == {}
    assert review.draw_states(world.store, *world.scope("topics").params) == []


def test_hand_picked_labels_stay_out_of_the_bound(world: World) -> None:
    """Alone they are shown and don't count; beside a label of the queue they have no say, either way."""
    world.add_replay("topics", [("a", "b")] * 3)
    picked = review.pick(world.workspace, world.store, *WHERE, "mia", "replay-1-0-0", now=world.clock)
    label = say(world, picked, "control_better")
    assert (label.source, label.draw_probability) == ("picked", None)
    (shown,) = review.effective_verdicts(world.store, *world.scope("topics").params).values()
    assert (shown.verdict, shown.counted) == ("control_better", False)
    seen = set()
    while item := review.next_item(world.workspace, world.store, *WHERE, "noor", now=world.clock):
        say(world, item, "equal", "noor")
        seen.add(item.call_id)
    assert picked.call_id in seen
    assert set(verdicts(world).values()) == {"equal"}
    assert not review.disputes(world.workspace, world.store, *WHERE)
    assert len(review.history(world.workspace, world.store, *WHERE, "mia")) == 1
    states = review.draw_states(world.store, *world.scope("topics").params, now=world.clock)
    assert {each.plan for each in states} == {Plan.AUDIT}
    with pytest.raises(UsageError, match="no output"):
        review.pick(world.workspace, world.store, *WHERE, "mia", "nothing")


def test_a_corrected_answer_is_gold_until_it_is_taken_back(world: World) -> None:
    """The newest counts, an adjudicated one outranks all, and the file of them imports again."""
    pairs = [("a", "b"), ("a", "b")]
    world.add_replay("topics", pairs)
    item = ask(world)
    say(world, item, "both_bad", corrected="c")
    assert [each.gold for each in review.gold_answers(world.workspace, world.store, "topics")] == ["c"]
    assert review.label_from_gold(world.workspace, world.store, "topics") == 0
    world.store.append(
        "gold", [{"call_id": item.call_id, "answer": "a", "origin": "file", "created_at": world.clock()}]
    )
    assert [each.gold for each in review.gold_answers(world.workspace, world.store, "topics")] == ["a"]
    assert review.label_from_gold(world.workspace, world.store, "topics") == 1
    (head,) = review.conflicts(world.workspace, world.store, *WHERE, "ada", now=world.clock)
    opened = review.open_conflict(world.workspace, world.store, *WHERE, "ada", head.key, now=world.clock)
    review.adjudicate(world.workspace, world.store, opened, "ada", "both_bad", corrected="c", now=world.clock)
    (answer,) = review.gold_answers(world.workspace, world.store, "topics")
    assert (answer.gold, answer.origin) == ("c", "adjudication")
    written = review.write_gold_set(world.workspace, world.store, "topics")
    assert written.answers == 1
    file = world.root / "evals" / "topics" / "gold.jsonl"
    assert json.loads(file.read_text())["gold"] == "c"
    target = world.root / "train.jsonl"
    assert review.write_training_set(world.workspace, world.store, "topics", target).answers == 1
    (chat,) = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    stored = json.loads(world.store.value("SELECT request FROM calls WHERE call_id = ?", (item.call_id,)))
    asked = [(each["role"], each["content"]) for each in stored["messages"]]
    assert [(each["role"], each["content"]) for each in chat["messages"]] == [*asked, ("assistant", "c")]
    assert ("tools" in chat) == bool(stored["tools"])
    assert (
        review.import_labels(world.workspace, world.store, file, task="topics", now=world.clock).accepted == 1
    )
    assert review.import_labels(world.workspace, world.store, file, task="topics").skipped == 1


def test_an_undone_correction_takes_its_gold_labels_along(world: World) -> None:
    """Another candidate's pair is labelled by it, and no longer once the reviewer took it back."""
    world.add_replay("topics", [("a", "b")])
    item = ask(world)
    other = world.scope("topics", "other-llm")
    world.add_replay("topics", [("a", "a")], candidate="other-llm")
    with world.store.writing() as writer:
        for table in ("observations", "comparisons", "replay_calls"):
            move = f"UPDATE {table} SET call_id = ? WHERE replay_id = 'replay-2'"  # noqa: S608 - constants
            writer.execute(move, (item.call_id,))
    say(world, item, "both_bad", corrected="b")
    assert review.label_from_gold(world.workspace, world.store, "topics") == 1
    (found,) = review.effective_verdicts(world.store, *other.params).values()
    assert (found.verdict, found.source, found.counted) == (
        "both_bad",
        "gold",
        False,
    ) or found.verdict == "equal"
    assert review.label_from_gold(world.workspace, world.store, "topics") == 0
    review.undo(world.workspace, world.store, *WHERE, "mia", now=world.clock)
    review.label_from_gold(world.workspace, world.store, "topics")
    assert review.effective_verdicts(world.store, *other.params) == {}


def test_what_was_said_of_each_side_survives_a_file(world: World, tmp_path: Path) -> None:
    """Into another store, from every format, with the fields that were called wrong."""
    world.add_replay("orders", [('{"sku": "x", "total": 1}', '{"sku": "y", "total": 2}')])
    item = ask(world, where=("orders", "tiny-llm"))
    judged = AbsoluteJudgement(True, False, (), ("sku", "total"))
    review.submit_absolute(world.workspace, world.store, item, "mia", judged, now=world.clock)
    other = make_world(tmp_path / "other")
    with other.store:
        other.add_replay("orders", [('{"sku": "x", "total": 1}', '{"sku": "y", "total": 2}')])
        for form in ("csv", "jsonl", "parquet"):
            file = tmp_path / f"labels.{form}"
            review.export_labels(world.workspace, world.store, file)
            with other.store.writing() as writer:
                writer.execute("DELETE FROM labels")
            report = review.import_labels(other.workspace, other.store, file, task="orders")
            assert report.accepted == 1, report.text
            truth = review.paired_truth(other.workspace, other.store, "orders", "tiny-llm")
            assert (truth.control_only, [each.path for each in truth.fields]) == (1, ["sku", "total"])


def test_a_newer_answer_of_a_reviewer_removes_no_vote_of_a_gold_file(world: World) -> None:
    """A file said that the control was right: a correction on the same pair is a conflict, not its end."""
    world.add_replay("topics", [("a", "b")])
    item = ask(world)
    row = {"call_id": item.call_id, "answer": "a", "origin": "file", "created_at": world.clock()}
    world.store.append("gold", [row])
    review.label_from_gold(world.workspace, world.store, "topics")
    say(world, item, "both_bad", corrected="c")
    review.label_from_gold(world.workspace, world.store, "topics")
    assert verdicts(world) == {item.call_id: "control_better"}
    assert len(review.disputes(world.workspace, world.store, *WHERE)) == 1


def test_who_read_what_others_said_can_label_the_pair_blind_no_more(world: World) -> None:
    """Not on a page that stayed open while the lease ran out, nor by changing or taking back a label."""
    world.add_replay("topics", [("a", "b")])
    mine, where = ask(world), (world.workspace, world.store, *WHERE)
    world.clock.pass_minutes(11)
    for who, verdict in (("noor", "equal"), ("ken", "control_better")):
        world.clock.pass_minutes(11)
        submit_second(world, mine.call_id, who, verdict)
    (head,) = review.conflicts(*where, "mia", now=world.clock)
    review.open_conflict(*where, "mia", head.key, now=world.clock)
    with pytest.raises(UsageError, match="read what others said"):
        review.submit(world.workspace, world.store, mine, "mia", "equal", now=world.clock)
    with pytest.raises(UsageError, match="read what others said"):
        review.answer(
            world.workspace, world.store, mine, "tiny-llm", "mia", review.Answer("equal"), now=world.clock
        )
    # One of the two reads on: their own label stays what it was, but a word on why is welcome.
    review.open_conflict(*where, "noor", head.key, now=world.clock)
    (own,) = review.history(*where, "noor")
    with pytest.raises(UsageError, match="read what others said"):
        review.amend(world.store, own, "noor", verdict="control_better", now=world.clock)
    with pytest.raises(UsageError, match="read what others said"):
        review.undo(*where, "noor", now=world.clock)
    assert review.amend(world.store, own, "noor", note="short", now=world.clock).note == "short"


def submit_second(world: World, call_id: str, who: str, verdict: str) -> None:
    """Let somebody label a call as the queue hands it out to them."""
    item = review.next_item(world.workspace, world.store, *WHERE, who, now=world.clock)
    if item is None:
        # Whether a pair is judged twice is decided by its id; here it is.
        draw = world.store.rows("SELECT draw_id FROM draws WHERE call_id = ?", (call_id,))[0]["draw_id"]
        with world.store.writing() as writer:
            labels.add_lease(writer, draw, who, world.clock() + review.LEASE)
        item = review.item_of(world.workspace, world.store, f"{draw}.0", who)
    assert item.call_id == call_id
    review.submit(world.workspace, world.store, item, who, verdict, now=world.clock)


def test_a_conflict_that_somebody_decided_meanwhile_is_not_decided_again(world: World) -> None:
    """Two people have it open; the second is told, and the first decision stands."""
    world.add_replay("topics", [("a", "b")])
    where = (world.workspace, world.store, *WHERE)
    call = ask(world).call_id
    for who, verdict in (("mia", "equal"), ("ken", "control_better")):
        submit_second(world, call, who, verdict)
    (head,) = review.conflicts(*where, "ada", now=world.clock)
    seen = [review.open_conflict(*where, who, head.key, now=world.clock) for who in ("ada", "eve")]
    review.adjudicate(world.workspace, world.store, seen[0], "ada", "equal", now=world.clock)
    again = review.adjudicate(world.workspace, world.store, seen[0], "ada", "equal", now=world.clock)
    with pytest.raises(UsageError, match="ada has decided"):
        review.adjudicate(world.workspace, world.store, seen[1], "eve", "control_better", now=world.clock)
    (verdict,) = review.effective_verdicts(world.store, *world.scope("topics").params).values()
    assert (verdict.verdict, verdict.annotator) == ("equal", "ada")
    assert again.annotator == "ada"


def test_an_item_says_where_the_field_rules_find_both_sides_equal(world: World) -> None:
    """Whichever side stands left: the rule of a number calls 5 and 5.0 equal, that of a text b and c not."""
    world.add_replay("orders", [('{"sku": "b", "total": 5}', '{"sku": "c", "total": "5.0"}')])
    item = review.next_item(world.workspace, world.store, "orders", "tiny-llm", "mia", now=world.clock)
    assert item.field_rules == {"sku": False, "total": True}
    world.add_replay("topics", [("a", "b")])
    assert ask(world).field_rules is None


def test_undo_takes_back_the_last_act_also_where_an_earlier_one_was_taken_back(world: World) -> None:
    """Somebody takes a label back, judges one of the ten by hand instead, and takes that back, too."""
    world.add_replay("topics", [("a", "b")] * 3)
    where = (world.workspace, world.store, *WHERE, "mia")
    first = ask(world)
    say(world, first, "equal")
    assert review.undo(*where, now=world.clock).item_id == first.item_id
    by_hand = review.next_by_hand(*where, now=world.clock)
    say(world, by_hand, "equal")
    for _ in range(2):
        assert review.undo(*where, now=world.clock).item_id == by_hand.item_id
    assert not review.history(*where)
