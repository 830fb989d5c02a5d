"""Several reviewers: languages, fair second reviews, attention checks, and what a label did to the bound."""

from __future__ import annotations

from collections import Counter

import pytest
from review_world import EVALS, World

from workbench import review, scoring
from workbench.config import Workspace
from workbench.review import ReviewItem, State
from workbench.stats.harm import regressions

WHERE = ("topics", "tiny-llm")


def ask(world: World, who: str, where: tuple[str, str] = WHERE, **more: object) -> ReviewItem | None:
    return review.next_item(world.workspace, world.store, *where, who, now=world.clock, **more)  # type: ignore[arg-type]


def say(world: World, item: ReviewItem, verdict: str, who: str) -> review.Label:
    return review.submit(world.workspace, world.store, item, who, verdict, now=world.clock)


def set_rules(world: World, rules: str) -> None:
    """Write the `[review]` table of the task."""
    path = world.root / "evals" / "topics" / "eval.toml"
    path.write_text(f"{EVALS['topics']}[review]\n{rules}\n", encoding="utf-8")
    world.workspace = Workspace.load(world.root)


def in_languages(world: World, *names: str | None) -> dict[str, str | None]:
    """Give calls their languages in turn, and return them by call."""
    calls = [row["call_id"] for row in world.store.rows("SELECT call_id FROM calls ORDER BY call_id")]
    found = {call: names[number % len(names)] for number, call in enumerate(calls)}
    with world.store.writing() as writer:
        for call, name in found.items():
            writer.execute("UPDATE calls SET language = ? WHERE call_id = ?", (name, call))
    return found


@pytest.mark.parametrize("task", ["topics", "rewrite"])
def test_who_reads_what_does_not_change_what_is_drawn(world: World, task: str) -> None:
    """Two people with a language each, or one who reads all: the same draws with the same probabilities."""
    where = (task, "tiny-llm")

    def fill(candidate: str) -> None:
        scores = [0.3, 0.9, 0.95] * 20 if task == "rewrite" else None
        texts = [(f"a{n}", f"b{n}") if task == "rewrite" else ("a", "b") for n in range(60)]
        world.add_replay(task, texts, scores=scores, candidate=candidate)

    fill("tiny-llm")
    languages = in_languages(world, "de", "ja", None)
    for _ in range(12):
        for who, language in (("mia", "de"), ("noor", "ja")):
            item = ask(world, who, where, languages=[language])
            assert item is not None
            assert languages[item.call_id] in (language, None)
            say(world, item, "equal", who)
    rows = world.store.rows("SELECT * FROM draws WHERE plan <> 'second_review' ORDER BY position")
    expected: list[tuple[object, ...]] = []
    with world.store.writing() as writer:
        for table in ("draws", "leases", "labels"):
            writer.execute(f"DELETE FROM {table}")  # noqa: S608 - constants
    while len(expected) < len(rows):
        item = ask(world, "one", where)
        assert item is not None
        say(world, item, "equal", "one")
        expected = [
            (row["position"], row["call_id"], row["draw_probability"], row["weight"])
            for row in world.store.rows("SELECT * FROM draws WHERE plan <> 'second_review' ORDER BY position")
        ]
    found = [(row["position"], row["call_id"], row["draw_probability"], row["weight"]) for row in rows]
    assert found == expected[: len(found)]


def test_a_draw_nobody_reads_waits_and_lapses_and_the_queue_does_not_run_away(world: World) -> None:
    """At most 25 draws wait for a language; unread they count as harm, and the status names it."""
    world.add_replay("topics", [("a", "b")] * 80)
    in_languages(world, "ja")
    set_rules(world, "languages = { mia = ['de'] }")
    for _ in range(3):
        assert ask(world, "mia") is None
    assert world.store.value("SELECT count(*) FROM draws") == 25
    status = review.queue_status(world.workspace, world.store, *WHERE, now=world.clock)
    assert status.unread == {"ja": 25}
    assert "25 wait for somebody who reads ja" in status.text
    world.clock.pass_minutes(11)
    states = review.draw_states(world.store, *world.scope("topics").params, now=world.clock)
    assert {each.state for each in states} == {State.LAPSED}
    assert ask(world, "noor") is not None


def test_second_reviews_are_shared_and_bring_everybody_together(world: World) -> None:
    """With four at work nobody gets twice the second reviews of another, and most pairs of people meet."""
    world.add_replay("topics", [("a", "b")] * 110)
    names = ["ann", "ben", "cem", "dea"]
    for _ in range(24):
        for who in names:
            item = ask(world, who)
            assert item is not None
            say(world, item, "equal", who)
    seconds = Counter(
        row["annotator"]
        for row in world.store.rows(
            "SELECT e.annotator FROM leases e JOIN draws d USING (draw_id) WHERE d.plan = 'second_review'"
        )
    )
    assert sum(seconds.values()) >= 10
    assert max(seconds.values()) - min(seconds[who] for who in names) <= 2
    (version,) = review.agreement(world.workspace, world.store, *WHERE).versions
    assert len(version.pairs) >= 4


def test_attention_checks_look_like_any_item_and_enter_no_bound(world: World) -> None:
    """Their answers are known; whatever is said of them, evidence and verdicts stay as they are."""
    world.add_replay("topics", [("a", "b")] * 30 + [("a", "a")] * 30)
    set_rules(world, "attention_share = 0.3")
    checks = 0
    for number in range(40):
        item = ask(world, "mia")
        if item is None:
            break
        label = say(
            world, item, "equal" if item.left == item.right or number % 2 else "control_better", "mia"
        )
        if label.source == "attention":
            checks += 1
            assert label.draw_probability is None
            assert item.call_id not in {
                call for _, call in review.effective_verdicts(world.store, *world.scope("topics").params)
            }
            assert review.effect_of(world.workspace, world.store, *WHERE, label, always=True) is None
    assert checks >= 4
    states = review.draw_states(world.store, *world.scope("topics").params, now=world.clock)
    assert all(each.plan.value in ("audit", "second_review") for each in states)
    evidence = scoring.evidence(world.workspace, world.store, *WHERE, moment=world.clock())
    assert evidence.task.looked == sum(each.plan.value == "audit" for each in states)
    (found,) = review.attention(world.workspace, world.store, "topics")
    assert (found.annotator, found.answered, found.passed) == ("mia", checks, checks)
    assert found.rate.point == 1
    shown = review.history(world.workspace, world.store, *WHERE, "mia")
    assert {each.source for each in shown} == {"queue"}


def test_a_failed_check_is_told(world: World) -> None:
    """Who always says left fails on pairs with the same text on both sides."""
    world.add_replay("topics", [("a", "b")] * 10 + [("a", "a")] * 30)
    set_rules(world, "attention_share = 0.5")
    for _ in range(12):
        item = ask(world, "eve")
        if item is None:
            break
        say(world, item, item.verdict("left"), "eve")
    (found,) = review.attention(world.workspace, world.store, "topics", "tiny-llm")
    assert found.answered > 0
    assert found.passed == 0
    assert found.rate.low == 0


def test_the_effect_of_a_label_is_the_bound_with_and_without_it(world: World) -> None:
    """Each label in turn: after it is what the evidence says, before it is what it said before."""
    world.add_replay("topics", [("a", "b")] * 12 + [("a", "a")] * 60)
    set_rules(world, "show_effect = true")
    policy = world.eval("topics").policy

    def bound() -> float:
        task = scoring.evidence(world.workspace, world.store, *WHERE, moment=world.clock()).task
        return regressions(task, policy.delta).estimate.high

    item = ask(world, "mia")
    for verdict in ("equal", "control_better", "equal", "equal"):
        assert item is not None
        before = bound()
        label = say(world, item, verdict, "mia")
        effect = review.effect_of(world.workspace, world.store, *WHERE, label)
        assert effect is not None
        assert effect.before.high == pytest.approx(before, abs=1e-12)
        assert effect.after.high == pytest.approx(bound(), abs=1e-12)
        assert effect.moved == effect.after.high - effect.before.high
        assert "of calls get worse" in effect.text
        item = ask(world, "mia")
    set_rules(world, "show_effect = false")
    assert review.effect_of(world.workspace, world.store, *WHERE, label) is None
    assert review.effect_of(world.workspace, world.store, *WHERE, label, always=True) is not None


@pytest.mark.parametrize("task", ["topics", "rewrite"])
def test_the_labels_that_moved_the_bound_add_up_to_it(world: World, task: str) -> None:
    """From the bound without labels to the bound with all of them, move by move."""
    where = (task, "tiny-llm")
    if task == "topics":
        world.add_replay(task, [("a", "b")] * 10 + [("a", "a")] * 60)
    else:
        world.add_replay(task, [(f"a{n}", f"b{n}") for n in range(40)], scores=[0.4, 0.9, 0.95, 0.97] * 10)
    policy = world.eval(task).policy

    def bound() -> float:
        task_evidence = scoring.evidence(world.workspace, world.store, *where).task
        return regressions(task_evidence, policy.delta).estimate.high

    start = bound()
    for number in range(8):
        item = ask(world, "mia", where)
        assert item is not None
        say(world, item, "control_better" if number == 3 else "equal", "mia")
    moves = review.label_moves(world.workspace, world.store, *where, limit=None)
    assert start + sum(each.moved for each in moves) == pytest.approx(
        bound(), abs=0.02 if task == "topics" else 1e-9
    )
    worst = max(moves, key=lambda each: each.moved)
    assert worst.verdict == "control_better"
    assert [abs(each.moved) for each in moves] == sorted((abs(each.moved) for each in moves), reverse=True)
    changes = review.what_would_change(world.workspace, world.store, *where)
    assert changes.sentence
