"""The queue aims at the slice that blocks the next stage, and the estimates stay those of the traffic."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
from review_world import EVALS, World

from workbench import review
from workbench.config import Workspace
from workbench.records import Estimate, LabelVerdict, SliceShare, Verdict
from workbench.review import Plan, forecast
from workbench.review.forecast import blocking_slice
from workbench.review.states import NEW_CONTENT
from workbench.sampling import WEIGHT_MAX, Exhausted, PoolItem, QueueDraw, next_draw
from workbench.stats.audit import AuditRow, DrawRow, semantic
from workbench.store.traffic_checks import add_check

WHERE = ("topics", "tiny-llm")
SIZE = 600


@cache
def pool(small: int = 40) -> tuple[list[PoolItem], frozenset[str], frozenset[str]]:
    """Return calls of which a tenth mismatch, and two slices that overlap."""
    items = [
        PoolItem(f"c{number}", Verdict.MISMATCH if number % 10 == 0 else Verdict.MATCH, 0.5)
        for number in range(SIZE)
    ]
    first = frozenset(item.call_id for item in items[: small * 5])
    second = frozenset(item.call_id for item in items[small * 3 : small * 8])
    return items, first, second


@cache
def run(seed: int, n: int) -> tuple[list[QueueDraw], list[frozenset[str] | None]]:
    """Draw with a focus that changes: none, one slice, the other, the first again."""
    items, first, second = pool()
    plan = [None, first, second, first]
    drawn: dict[str, float] = {}
    found: list[QueueDraw] = []
    used: list[frozenset[str]] = []
    aims: list[frozenset[str] | None] = []
    for position in range(n):
        focus = plan[position * len(plan) // n]
        draw = next_draw(items, drawn, seed=seed, position=position, focus=focus, earlier=used)
        assert not isinstance(draw, Exhausted)
        if draw.focused and focus and focus not in used:
            used.append(focus)
        drawn[draw.call_id] = draw.weight
        found.append(draw)
        aims.append(focus if draw.focused else None)
    return found, aims


def test_a_focus_that_changes_leaves_the_weighted_mean_where_it_was() -> None:
    """Harm sits in mismatches of one slice; what was drawn more often weighs less."""
    items, first, _ = pool()
    harmful = {item.call_id for item in items if item.mismatch and item.call_id in first}
    harmful |= {item.call_id for item in items[7::50]}
    means, late, weights = [], [], []
    for seed in range(70):
        found, _ = run(seed, 60)
        values = [each.weight * (each.call_id in harmful) for each in found]
        means.append(np.mean(values))
        late.append(np.mean(values[45:]))
        weights += [each.weight for each in found]
    truth = len(harmful) / len(items)
    for averages in (means, late):
        spread = np.std(averages) / np.sqrt(len(averages))
        assert abs(np.mean(averages) - truth) < 4 * spread
    assert np.mean(weights) == pytest.approx(1, abs=0.03)
    assert max(weights) <= WEIGHT_MAX


def test_the_focus_takes_a_fifth_of_the_draws() -> None:
    """The slice's mismatches come up about a fifth of the time beyond their share."""
    items, first, _ = pool()
    inside = {item.call_id for item in items if item.mismatch and item.call_id in first}
    hits = []
    for seed in range(300):
        draw = next_draw(items, {}, seed=seed, position=0, focus=first)
        assert isinstance(draw, QueueDraw)
        assert draw.focused
        hits.append(draw.call_id in inside)
    assert np.mean(hits) == pytest.approx(0.2 + 0.8 * len(inside) / SIZE, abs=0.09)


def test_what_a_slice_without_mismatches_to_spare_can_not_use_goes_to_all_mismatches() -> None:
    """Its one would be used up at once; and once it is, a fifth of the draws is still aimed at the others."""
    items, _, _ = pool()
    few = frozenset(["c0", "c1", "c2"])
    for drawn, earlier in (({}, []), ({"c0": 0.8}, [few])):
        hits = []
        for seed in range(300):
            draw = next_draw(items, drawn, seed=seed, position=5, focus=few, earlier=earlier)
            assert isinstance(draw, QueueDraw)
            assert not draw.focused
            assert draw.weight != 1
            hits.append(draw.stratum.startswith("mismatch"))
        assert np.mean(hits) == pytest.approx(0.2 + 0.8 * 0.1, abs=0.08)


def test_nothing_is_aimed_at_where_the_aim_would_use_up_all_mismatches() -> None:
    """Then the draw counts once, and the queue lasts as long as its calls."""
    items, first, _ = pool()
    drawn = {item.call_id: 1.0 for item in items if item.mismatch and item.call_id != "c0"}
    draw = next_draw(items, drawn, seed=3, position=len(drawn), focus=first)
    assert isinstance(draw, QueueDraw)
    assert (draw.focused, draw.weight) == (False, 1)


@pytest.mark.parametrize("by_id", [False, True])
def test_draws_with_a_focus_speak_for_each_slice_with_the_right_weights(by_id: bool) -> None:
    """Inside a slice the weights undo both the focus and the slice's own share of what it aimed at.

    What is aimed at may be no slice, and its calls be known by their ids alone.
    """
    items, first, second = pool()
    harmful = {item.call_id for item in items if item.mismatch} - {item.call_id for item in items[::20]}
    rows = [
        AuditRow(
            item.call_id,
            0,
            f"{number:04}",
            agrees=not item.mismatch,
            slices=(("one", str(item.call_id in first)), ("two", str(item.call_id in second))),
        )
        for number, item in enumerate(items)
    ]
    names = {first: ("one", "True"), second: ("two", "True")}
    for wanted in (("one", "True"), ("two", "True"), ("one", "False")):
        part = [row for row in rows if wanted in row.slices]
        truth = np.mean([row.call_id in harmful for row in part])
        means = []
        for seed in range(70):
            found, aims = run(seed, 60)
            draws = [
                DrawRow(
                    draw.call_id,
                    draw.weight,
                    LabelVerdict.CONTROL_BETTER if draw.call_id in harmful else LabelVerdict.EQUAL,
                    focus=(("new content", names[aim][0]) if by_id else names[aim]) if aim else None,
                    aimed_at=aim if by_id else None,
                )
                for draw, aim in zip(found, aims, strict=True)
            ]
            inside = semantic(rows, draws, weight_max=WEIGHT_MAX, part=part, icc=0.0)
            assert all(each.weight <= inside.weight_max + 1e-9 for each in inside.draws)
            total = sum(each.weight * each.outcome for each in inside.draws)
            means.append((total, len(inside.draws)))
        values = np.array(means)
        estimate = values[:, 0].sum() / values[:, 1].sum()
        spread = np.std(values[:, 0] - estimate * values[:, 1]) / (np.sqrt(len(values)) * values[:, 1].mean())
        assert abs(estimate - truth) < 4 * spread, wanted


def test_draws_speak_for_the_newer_calls_also_while_they_catch_up_with_the_older() -> None:
    """Most labels came before newer calls did, of which those that are aimed at are harmed."""
    dice = np.random.default_rng(1)
    size, old, first, more = 500, 300, 150, 60
    mismatch = dice.random(size) < 0.3
    aim = frozenset(f"c{n}" for n in range(old, size) if dice.random() < 0.3)
    harmful = {f"c{n}" for n in np.flatnonzero(mismatch)} & aim
    items = [
        PoolItem(f"c{n}", Verdict.MISMATCH if mismatch[n] else Verdict.MATCH, 0.5, batch=int(n >= old))
        for n in range(size)
    ]
    rows = [AuditRow(f"c{n}", int(n >= old), f"{n:04}", agrees=not mismatch[n]) for n in range(size)]
    sums = []
    for seed in range(80):
        drawn: dict[str, float] = {}
        draws: list[DrawRow] = []
        for position in range(first + more):
            grown = position >= first
            draw = next_draw(
                items if grown else items[:old],
                drawn,
                seed=seed,
                position=position,
                focus=aim if grown else None,
                earlier=[aim] if any(each.focus for each in draws) else [],
                batches={each.batches for each in draws if each.batches},
            )
            assert not isinstance(draw, Exhausted)
            drawn[draw.call_id] = draw.weight
            verdict = LabelVerdict.CONTROL_BETTER if draw.call_id in harmful else LabelVerdict.EQUAL
            focus = ("new content", "check") if draw.focused else None
            own = aim if draw.focused else None
            draws.append(
                DrawRow(draw.call_id, draw.weight, verdict, focus=focus, batches=1 + grown, aimed_at=own)
            )
        newer = semantic(rows, draws, weight_max=WEIGHT_MAX, part=rows[old:], icc=0.0).draws
        sums.append((sum(each.weight * (each.outcome > 0) for each in newer), len(newer)))
    values = np.array(sums)
    estimate = values[:, 0].sum() / values[:, 1].sum()
    spread = np.std(values[:, 0] - estimate * values[:, 1]) / (np.sqrt(len(values)) * values[:, 1].mean())
    assert spread < 0.1 * estimate
    assert abs(estimate - len(harmful) / (size - old)) < 4 * spread


def test_a_focus_on_a_slice_that_is_declared_no_more_says_nothing_of_others() -> None:
    """Its draws stay in the evidence of the task, where their weight alone counts."""
    rows = [
        AuditRow(f"c{n}", 0, f"{n:03}", agrees=n % 2 == 0, slices=(("s", "x" if n < 50 else "y"),))
        for n in range(100)
    ]
    draws = [DrawRow(f"c{n}", 0.8, LabelVerdict.EQUAL, focus=("gone", "z")) for n in range(10)]
    whole = semantic(rows, draws, weight_max=1.25, icc=0.0)
    part = semantic(rows, draws, weight_max=1.25, part=rows[:50], icc=0.0)
    assert (len(whole.draws), len(part.draws)) == (10, 0)


def share(value: str, traffic: float, cap: float, status: str = "unproven") -> SliceShare:
    estimate = Estimate(0.0, 0.0, 1.0, 0.95, "test", 1, 1.0)
    return SliceShare("language", value, traffic, 1, estimate, cap, 0.0, status, "")


def test_the_blocking_slice_is_the_largest_that_labels_could_help() -> None:
    """Not one that is proven bad, nor one that could carry the stage, nor where there is no stage left."""
    slices = [share("en", 0.5, 1.0, "active"), share("de", 0.3, 0.0, "excluded"), share("ja", 0.1, 0.0)]
    slices.append(share("fr", 0.15, 0.05, "active"))
    assert blocking_slice(slices, 0.25) == ("language", "fr")
    assert blocking_slice(slices, 0.05) == ("language", "ja")
    assert blocking_slice(slices, None) is None
    assert blocking_slice(slices[:2], 0.25) is None


def test_a_structural_audit_gives_a_fifth_to_the_blocking_slice_and_keeps_its_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the slice, and outside it, disagreements still come in audit order."""
    monkeypatch.setattr(forecast, "_forecast", lambda *_: (None, None, None, (("language", "ja"),)))
    (world.root / "evals" / "topics" / "eval.toml").write_text(
        EVALS["topics"] + '[[slices]]\nby = "language"\n', encoding="utf-8"
    )
    world.workspace = Workspace.load(world.root)
    world.add_replay("topics", [("a", "b")] * 240)
    with world.store.writing() as writer:
        writer.execute("UPDATE calls SET language = if(hash(call_id) % 4 = 0, 'ja', 'en')")
    japanese = {row["call_id"] for row in world.store.rows("SELECT call_id FROM calls WHERE language = 'ja'")}
    for _ in range(70):
        item = review.next_item(world.workspace, world.store, *WHERE, "mia", now=world.clock)
        assert item is not None
        review.submit(world.workspace, world.store, item, "mia", "equal", now=world.clock)
    rows = world.store.rows("SELECT call_id, focus FROM draws WHERE plan = 'audit' ORDER BY seq")
    aimed = [row["call_id"] for row in rows if row["focus"]]
    assert set(aimed) <= japanese
    assert 6 <= len(aimed) <= 24
    planned = world.store.rows("SELECT call_id, audit_key FROM replay_calls")
    keys = {row["call_id"]: row["audit_key"] for row in planned}
    plain = [keys[row["call_id"]] for row in rows if not row["focus"]]
    assert plain == sorted(plain)
    assert [keys[call] for call in aimed] == sorted(keys[call] for call in aimed)
    states = review.draw_states(world.store, *world.scope("topics").params, now=world.clock)
    assert sum(each.focus == ("language", "ja") for each in states if each.plan is Plan.AUDIT) == len(aimed)


@pytest.mark.parametrize("task", ["topics", "rewrite"])
def test_new_content_and_the_blocking_slice_each_have_their_part(
    world: World, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """While newer calls are of new content, labels still help the slice that keeps the task waiting."""
    foci = ((NEW_CONTENT, "check"), ("language", "ja"))
    monkeypatch.setattr(forecast, "_forecast", lambda *_: (None, None, None, foci))
    (world.root / "evals" / task / "eval.toml").write_text(
        EVALS[task] + '[[slices]]\nby = "language"\n', encoding="utf-8"
    )
    world.workspace = Workspace.load(world.root)
    half = 400 if task == "rewrite" else 150
    scores = [0.3] * half + [0.97] * half if task == "rewrite" else None
    world.add_replay(task, [("a", "b")] * half + [("a", "a")] * half, scores=scores)
    scope = world.scope(task)
    calls = [row["call_id"] for row in world.store.rows("SELECT call_id FROM calls ORDER BY hash(call_id)")]
    new = set(calls[: half // 2])
    with world.store.writing() as writer:
        writer.execute("UPDATE calls SET language = if(hash(call_id) % 4 = 0, 'ja', 'en')")
        check = {"check_id": "check", "task": task, "candidate_fingerprint": scope.fingerprint}
        check |= {"since": world.clock(), "checked_at": world.clock(), "new_calls": 100}
        add_check(writer, check | {"mix": "[]", "content_moved": True, "told_apart": sorted(new)})
    for _ in range(70):
        item = review.next_item(world.workspace, world.store, task, "tiny-llm", "mia", now=world.clock)
        assert item is not None
        review.submit(world.workspace, world.store, item, "mia", "equal", now=world.clock)
    japanese = {row["call_id"] for row in world.store.rows("SELECT call_id FROM calls WHERE language = 'ja'")}
    aims = Counter(
        each.focus for each in review.draw_states(world.store, *scope.params, now=world.clock) if each.focus
    )
    assert set(aims) == set(foci)
    if task == "topics":
        # Those of an audit are aimed at, and no others.
        assert min(aims.values()) >= 3
        rows = world.store.rows("SELECT call_id, focus FROM draws WHERE plan = 'audit' AND focus IS NOT NULL")
        assert all(row["call_id"] in (new if NEW_CONTENT in row["focus"] else japanese) for row in rows)
    else:
        assert min(aims.values()) >= 20
