"""Changed minds: of what was said of each side, of a decision; and a first look that judges nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from review_world import World

from workbench import Workbench, review, scoring
from workbench.cli import cli
from workbench.compare.labels import LabelReader
from workbench.errors import UsageError
from workbench.records import LabelVerdict

WHERE = ("topics", "tiny-llm")


def item_for(world: World, who: str, where: tuple[str, str] = WHERE) -> review.ReviewItem:
    item = review.next_item(world.workspace, world.store, *where, who, now=world.clock)
    assert item is not None
    return item


def verdicts(world: World, task: str = "topics") -> list[LabelVerdict]:
    return [
        each.verdict for each in review.effective_verdicts(world.store, *world.scope(task).params).values()
    ]


def test_what_was_said_of_each_side_can_be_changed(world: World) -> None:
    """The verdict follows, what was said before stays, and the same again changes nothing."""
    world.add_replay("orders", [('{"sku": "x", "total": 1}', '{"sku": "y", "total": 2}')])
    item = item_for(world, "mia", ("orders", "tiny-llm"))
    first = review.submit_absolute(
        world.workspace, world.store, item, "mia", item.absolute(left_wrong=["sku"]), now=world.clock
    )
    again = review.look_again(world.workspace, world.store, "orders", "tiny-llm", "mia", first)
    judged = again.absolute(left_wrong=["sku", "total"], right_wrong=["total"])
    change = (world.workspace, world.store, again, first, "mia", judged)
    second = review.amend_absolute(*change, now=world.clock)
    assert (second.absolute, second.supersedes) == (judged, first.label_id)
    assert review.amend_absolute(*change, now=world.clock).label_id == second.label_id
    found = review.amend(world.store, first, "mia", note="why", now=world.clock)
    assert found.absolute == judged, "a note keeps what was said of each side"
    assert verdicts(world, "orders") == [second.verdict]
    with pytest.raises(UsageError, match="another reviewer's"):
        review.amend_absolute(world.workspace, world.store, again, first, "noor", judged)
    with pytest.raises(UsageError, match="no field"):
        review.amend_absolute(
            world.workspace, world.store, again, first, "mia", again.absolute(left_wrong=["nothing"])
        )
    bare = review.amend(world.store, found, "mia", verdict="equal", now=world.clock)
    assert bare.absolute is None, "another verdict by itself contradicts what was said of each side"


def disputed(world: World) -> review.Conflict:
    world.add_replay("topics", [("a", "b")])
    for who, verdict in (("mia", "equal"), ("noor", "control_better")):
        item = review.next_item(world.workspace, world.store, *WHERE, who, now=world.clock)
        if item is None:
            # The queue gives a pair to two people only now and then: as if it had.
            draw = world.store.rows("SELECT draw_id FROM draws")[0]["draw_id"]
            from workbench.store import labels

            labels.add_lease(world.store, draw, who, world.clock() + review.LEASE)
            item = review.next_item(world.workspace, world.store, *WHERE, who, now=world.clock)
        assert item is not None
        review.submit(world.workspace, world.store, item, who, verdict, now=world.clock)
    (head,) = review.conflicts(world.workspace, world.store, *WHERE, "ada", now=world.clock)
    return review.open_conflict(world.workspace, world.store, *WHERE, "ada", head.key, now=world.clock)


def test_a_decision_is_taken_back_and_made_again(world: World) -> None:
    """Meanwhile the worse verdict counts; the same decision after it is another one, and nothing is lost."""
    conflict = disputed(world)
    own = (world.workspace, world.store, *WHERE)
    decide = (world.workspace, world.store, conflict, "ada", "equal")
    for _ in range(2):
        decision = review.adjudicate(*decide, now=world.clock)
        assert review.adjudicate(*decide, now=world.clock).label_id == decision.label_id
        assert verdicts(world) == ["equal"]
        assert review.conflicts(*own, "ada", now=world.clock) == []
        (mine,) = review.decisions(*own, "ada")
        assert review.decisions(*own, "mia") == []
        with pytest.raises(UsageError, match="ada has decided"):
            review.take_decision_back(world.store, mine.label, "mia")
        for _ in range(2):
            review.take_decision_back(world.store, mine.label, "ada", now=world.clock)
        assert verdicts(world) == ["control_better"]
        assert review.decisions(*own, "ada") == []
        assert len(review.conflicts(*own, "ada", now=world.clock)) == 1
    kept = [row for row in world.store.rows("SELECT * FROM labels") if row["source"] == "adjudicated"]
    assert len(kept) == 4
    assert len({row["label_id"] for row in kept}) == 4
    review.adjudicate(world.workspace, world.store, conflict, "bob", "control_better", now=world.clock)
    with pytest.raises(UsageError, match="bob has decided this pair meanwhile"):
        review.adjudicate(*decide, now=world.clock)
    label = review.history(*own, "mia")[0]
    with pytest.raises(UsageError, match="no decision"):
        review.take_decision_back(world.store, label, "mia")


def test_a_decision_by_sides_shows_what_each_was_called(world: World) -> None:
    """What a voter said of each response is read in the order of whoever reads it."""
    conflict = disputed(world)
    judged = conflict.item.absolute(True, False)
    label = review.adjudicate(world.workspace, world.store, conflict, "ada", absolute=judged, now=world.clock)
    assert label.absolute == judged
    assert label.verdict == conflict.item.verdict("left")
    assert {(vote.left_right, vote.right_right) for vote in conflict.votes} == {(None, None)}


def test_the_command_takes_a_decision_back(world: World) -> None:
    """By the key of the conflict, and only by who made it."""
    conflict = disputed(world)
    world.store.close()
    where = ["--task", "topics", "--candidate", "tiny-llm", "--workspace", str(world.root), "--json"]

    def run(*words: str) -> Any:
        found = CliRunner().invoke(cli, ["label", "adjudicate", conflict.key, *words, *where])
        return found.exit_code, found.output

    assert run("--as", "ada")[0] == 2
    assert run("--as", "ada", "--choice", "equal", "--take-back")[0] == 2
    assert run("--as", "ada", "--choice", "equal")[0] == 0
    assert run("--as", "mia", "--take-back")[0] == 2
    code, output = run("--as", "ada", "--take-back")
    assert (code, json.loads(output)["choice"]) == (0, None)
    with Workbench(world.root) as bench:
        desk = bench.labelling(*WHERE)
        assert len(desk.conflicts("ada")) == 1
        desk.adjudicate(desk.open_conflict("ada", conflict.key), "ada", "equal")
        desk.take_decision_back(desk.decisions("ada")[0], "ada")
        assert desk.decisions("ada") == []
        label = desk.history("mia")[0]
        item = review.look_again(bench.workspace, bench.store, *WHERE, "mia", label)
        changed = desk.amend(label, "mia", absolute=item.absolute(True, True), note="both")
        assert (changed.verdict, changed.note, changed.absolute) == (
            "equal",
            "both",
            item.absolute(True, True),
        )


def test_right_answers_from_a_first_look_judge_no_pair(world: World, tmp_path: Path) -> None:
    """Neither here, where they would cover every disagreement, nor by way of the file of right answers."""
    world.add_replay("topics", [("a", "b")] * 5 + [("a", "a")] * 5)
    before = scoring.evidence(world.workspace, world.store, *WHERE, moment=world.clock()).task
    seen = 0
    for _ in range(12):
        item = review.next_by_hand(world.workspace, world.store, *WHERE, "mia", now=world.clock)
        if item is None:
            break
        review.submit(world.workspace, world.store, item, "mia", "both_bad", corrected="c", now=world.clock)
        seen += 1
    assert seen == 5, "every disagreement has a right answer"
    given = review.gold_answers(world.workspace, world.store, "topics")
    assert {each.origin for each in given} == {"by hand"}
    # A second replay of the same calls is where an answer of the first would judge.
    calls = [each.call_id for each in given]
    _replay_again(world, calls)
    assert review.label_from_gold(world.workspace, world.store, "topics", "other-llm", now=world.clock) == 0
    written = review.write_gold_set(world.workspace, world.store, "topics", tmp_path / "gold.jsonl")
    assert written.origins == {"by hand": seen}
    review.import_labels(
        world.workspace, world.store, written.path, task="topics", candidate="other-llm", now=world.clock
    )
    assert world.store.value("SELECT count(*) FROM labels WHERE source = 'gold'") == 0
    after = scoring.evidence(world.workspace, world.store, *WHERE, moment=world.clock()).task
    assert (after.cleared, after.looked, after.draws) == (before.cleared, before.looked, before.draws)
    other = scoring.evidence(world.workspace, world.store, "topics", "other-llm", moment=world.clock()).task
    assert (other.cleared, other.looked, other.harms) == (0, 0, 0)
    assert other.disagreements == len(calls)
    # The same answer, corrected on an item of the queue, does judge the other candidate's pair.
    queued = item_for(world, "noor")
    while queued.call_id not in calls:
        review.submit(world.workspace, world.store, queued, "noor", "equal", now=world.clock)
        queued = item_for(world, "noor")
    review.submit(world.workspace, world.store, queued, "noor", "both_bad", corrected="c", now=world.clock)
    assert review.label_from_gold(world.workspace, world.store, "topics", "other-llm", now=world.clock) == 1


def test_a_right_answer_that_cannot_be_compared_judges_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where comparing with it fails, neither side is wrong for that: no label comes of it."""
    world.add_replay("topics", [("a", "b")] * 5)
    item = item_for(world, "noor")
    review.submit(world.workspace, world.store, item, "noor", "both_bad", corrected="c", now=world.clock)
    _replay_again(world, [item.call_id])

    def labelled() -> int:
        return review.label_from_gold(world.workspace, world.store, "topics", "other-llm", now=world.clock)

    plain = LabelReader.named

    def fails(self: LabelReader, text: str | None) -> Any:
        if text == "c":
            raise RecursionError("too deep")
        return plain(self, text)

    with monkeypatch.context() as patch:
        patch.setattr(LabelReader, "named", fails)
        assert labelled() == 0
    assert labelled() == 1


def _replay_again(world: World, calls: list[str]) -> None:
    """Store another candidate's answers to some calls that are there, compared."""
    scope = world.scope("topics", "other-llm")
    with world.store.writing() as writer:
        writer.append(
            "replays",
            [
                {
                    "replay_id": "again",
                    "task": "topics",
                    "candidate": "other-llm",
                    "candidate_fingerprint": scope.fingerprint,
                    "seed": 0,
                    "repeats": 1,
                    "plan": "{}",
                    "created_at": world.clock(),
                }
            ],
        )
        for table in ("replay_calls", "observations", "comparisons"):
            found = writer.rows(f"SELECT * FROM {table} WHERE replay_id = 'replay-1'")  # noqa: S608 - a constant
            wanted = [row | {"replay_id": "again"} for row in found if row["call_id"] in calls]
            for row in wanted:
                row.pop("seq", None)
                if table == "comparisons":
                    row["evaluator_version"] = scope.evaluator_version
            writer.append(table, wanted)


def test_one_of_the_ten_is_answered_and_the_next_handed_out_in_one_round(
    world: World,
) -> None:
    """One transaction a key, and the same items as asked for one by one."""
    world.add_replay("topics", [("a", "b")] * 6 + [("a", "a")] * 6)
    where = (world.workspace, world.store, *WHERE, "mia")
    start = world.store.version()
    item = review.next_by_hand(*where, now=world.clock)
    once = world.store.version() - start
    seen = []
    while item is not None:
        seen.append(item.item_id)
        before = world.store.version()
        turn = review.answer_by_hand(
            *where[:2], item, "tiny-llm", "mia", review.Answer("equal"), now=world.clock
        )
        assert world.store.version() - before == once
        assert (turn.label.source, turn.label.verdict) == ("by_hand", "equal")
        asked = review.next_by_hand(*where, now=world.clock)
        assert asked == turn.following
        item = turn.following
    assert len(seen) == len(set(seen)) == review.by_hand(*where[:4]).judged
    assert review.by_hand(*where[:4]).enough
    assert verdicts(world) == []
