"""One turn at the desk: the same label and the same next item as two separate calls, whoever else labels."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from review_world import World, make_world

from workbench import review
from workbench.errors import UsageError
from workbench.review import Answer, ReviewItem
from workbench.store import Store

PEOPLE = ("mia", "tom", "ida")
VERDICTS = ("control_better", "equal", "candidate_better", "both_bad")
PAIRS = {
    "topics": [("a", "b"), ("a", "a"), ("A", "a "), ("b", "c"), ("c", "c")] * 8,
    "rewrite": [("one two", "one two"), ("yes", "no"), ("hello you", "hi you")] * 10,
}


@pytest.fixture(params=PAIRS)
def twins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, World, World]]:
    """Give two worlds with the same content, and the task in them."""
    worlds = [make_world(tmp_path / name) for name in ("single", "turns")]
    for each in worlds:
        each.add_replay(request.param, PAIRS[request.param])
    with worlds[0].store, worlds[1].store:
        yield request.param, worlds[0], worlds[1]


def ask(world: World, task: str, annotator: str) -> ReviewItem | None:
    return review.next_item(world.workspace, world.store, task, "tiny-llm", annotator, now=world.clock)


def in_two_calls(world: World, item: ReviewItem, annotator: str, verdict: str | None) -> ReviewItem | None:
    if verdict is None:
        review.skip(world.workspace, world.store, item, annotator, now=world.clock)
    else:
        review.submit(world.workspace, world.store, item, annotator, verdict, now=world.clock)
    return ask(world, item.task, annotator)


def in_one(world: World, item: ReviewItem, annotator: str, verdict: str | None) -> ReviewItem | None:
    return review.answer(
        world.workspace, world.store, item, "tiny-llm", annotator, Answer(verdict), now=world.clock
    ).following


def kept(world: World) -> list[list[tuple[object, ...]]]:
    """Return draws, leases and labels of a world, without what only a clock or a counter decides."""
    columns = {
        "draws": "draw_id, replay_id, call_id, plan, position, stratum, draw_probability, weight, focus",
        "leases": "draw_id, annotator",
        "labels": "label_id, call_id, verdict, annotator, shown_order, draw_id, supersedes, skipped, source",
    }
    return [
        [tuple(row.values()) for row in world.store.rows(f"SELECT {names} FROM {table} ORDER BY seq")]  # noqa: S608 - constants of this test
        for table, names in columns.items()
    ]


@pytest.mark.parametrize("seed", range(2))
def test_one_turn_is_what_two_calls_are(twins: tuple[str, World, World], seed: int) -> None:
    """With three people, skips, steps back and pauses at random, both ways leave the same store."""
    task, single, turns = twins
    chance = random.Random(seed)
    held = {name: (ask(single, task, name), ask(turns, task, name)) for name in PEOPLE}
    for _ in range(45):
        name = chance.choice(PEOPLE)
        items = held[name]
        assert (items[0] and items[0].ticket) == (items[1] and items[1].ticket)
        if chance.random() < 0.15:
            whose = (task, "tiny-llm", name)
            held[name] = tuple(
                review.undo(each.workspace, each.store, *whose, now=each.clock) or item
                for each, item in zip((single, turns), items, strict=True)
            )  # type: ignore[assignment]
        elif items[0] and items[1]:
            verdict = chance.choice((*VERDICTS, None))
            held[name] = (
                in_two_calls(single, items[0], name, verdict),
                in_one(turns, items[1], name, verdict),
            )
        if chance.random() < 0.7:
            review.prepare(turns.workspace, turns.store, task, "tiny-llm")
    assert kept(single) == kept(turns)
    assert len(kept(turns)[2]) > 20


def test_an_answer_after_somebody_else_committed_sees_it(world: World) -> None:
    """What was read ahead is not used once anybody has labelled: two people never get one draw."""
    world.add_replay("topics", [("a", "b")] * 12)
    mine, other = ask(world, "topics", "mia"), ask(world, "topics", "tom")
    review.prepare(world.workspace, world.store, "topics", "tiny-llm")
    with Store.open(world.workspace.store_path, spool=world.workspace.spool) as elsewhere:
        review.submit(world.workspace, elsewhere, other, "tom", "equal", now=world.clock)
        third = review.next_item(world.workspace, elsewhere, "topics", "tiny-llm", "tom", now=world.clock)
    following = in_one(world, mine, "mia", "equal")
    assert third
    assert following
    assert following.item_id not in {third.item_id, other.item_id, mine.item_id}


def test_a_turn_taken_twice_makes_one_label(world: World) -> None:
    """A double click commits once, and both replies name the same next item."""
    world.add_replay("topics", [("a", "b")] * 4)
    item = ask(world, "topics", "mia")
    first, second = in_one(world, item, "mia", "equal"), in_one(world, item, "mia", "both_bad")
    assert first.ticket == second.ticket
    assert world.store.value("SELECT count(*) FROM labels") == 1
    assert world.store.value("SELECT verdict FROM labels") == "equal"


def test_an_item_that_was_never_offered_is_refused_and_nothing_is_kept(world: World) -> None:
    """Nobody labels what the queue gave to somebody else."""
    world.add_replay("topics", [("a", "b")] * 4)
    item = ask(world, "topics", "mia")
    with pytest.raises(UsageError, match="not offered to tom"):
        in_one(world, item, "tom", "equal")
    assert world.store.value("SELECT count(*) FROM labels") == 0
    assert world.store.value("SELECT count(*) FROM leases") == 1


def test_a_skip_takes_a_reason_afterwards_and_nothing_else(world: World) -> None:
    """Why something was skipped can be added; a verdict cannot."""
    world.add_replay("topics", [("a", "b")] * 3)
    label = review.skip(world.workspace, world.store, ask(world, "topics", "mia"), "mia", now=world.clock)
    said = review.amend(world.store, label, "mia", note="not my language", now=world.clock)
    assert (said.skipped, said.verdict, said.note) == (True, None, "not my language")
    with pytest.raises(UsageError, match="no verdict"):
        review.amend(world.store, said, "mia", verdict="equal", now=world.clock)
    again = review.undo(world.workspace, world.store, "topics", "tiny-llm", "mia", now=world.clock)
    assert again
    assert again.item_id == label.draw_id
