"""What stands beside a recommendation: sizes, ages, money with limits, and how long it stays valid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from overview_rows import POLICY, row
from scoring_world import START, World, make_world

from workbench.config import Workspace
from workbench.costing.plan import CostPlan
from workbench.costing.ways import HOSTED, Amount, Workload, exactly, four_ways
from workbench.errors import ConfigError
from workbench.records import LabelVerdict
from workbench.scoring import compare, overview, savings, size_ladder
from workbench.scoring.freshness import Ages, ages_of, stale
from workbench.scoring.money import TaskMoney
from workbench.specs import Candidate, size_billions
from workbench.store import overview as rows

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LEASE = timedelta(minutes=10)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    made.store.close()


# --- Sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 7.0),
        ("packaged:smollm2-135m", 0.135),
        ("mistralai/Mixtral-8x7B-v0.1", 56.0),
        ("qwen3-30b-a3b", 30.0),
        ("llama_3.1_0.5b", 0.5),
        ("gpt-4o", None),
        ("phi-3-mini-128k", None),
        ("model-b12", None),
        (None, None),
    ],
)
def test_a_size_is_read_from_a_models_name(model: str | None, billions: float | None) -> None:
    """Billions or millions of parameters; what says neither has no size."""
    assert size_billions(Candidate("x", "openai", model=model)) == billions


def test_a_declared_size_wins_and_is_checked(tmp_path: Path) -> None:
    """`size_billions` outranks the name, is no part of the fingerprint, and is above 0."""
    text = '[[candidates]]\nname = "a"\nengine = "transformers"\nmodel = "m-7b"\n'
    (tmp_path / "workbench.toml").write_text(text)
    before = Workspace.load(tmp_path)
    (tmp_path / "workbench.toml").write_text(text + "size_billions = 3.5\n")
    after = Workspace.load(tmp_path)
    assert size_billions(before.candidate("a")) == 7
    assert size_billions(after.candidate("a")) == 3.5
    assert after.fingerprint(after.candidate("a")) == before.fingerprint(before.candidate("a"))
    (tmp_path / "workbench.toml").write_text(text + "size_billions = 0\n")
    with pytest.raises(ConfigError, match="size_billions"):
        Workspace.load(tmp_path)


def test_the_smallest_candidate_whose_bound_holds_is_named() -> None:
    """By parameters where all are known, and one that may take only some traffic is named beside it."""
    found = size_ladder(
        [
            row(candidate="large", disagreements=0, size_billions=70.0),
            row(candidate="middle", disagreements=2, size_billions=7.0),
            row(candidate="small", disagreements=20, size_billions=1.0),
            row(candidate="demo", disagreements=0, size_billions=0.1, synthetic=True),
        ],
        POLICY,
    )
    assert [each.candidate for each in found.rungs] == ["demo", "small", "middle", "large"]
    assert (found.by, found.smallest, found.partly) == ("parameters", "middle", "small")
    assert (
        "The smallest candidate by parameters whose bound holds for 100 %: middle, at most 2"
        in found.sentence
    )
    assert "take some traffic: small, 10 %" in found.sentence


def test_cost_orders_where_a_size_is_unknown_and_nothing_is_claimed_where_neither_is() -> None:
    """Which figure orders is said; without any, no candidate is called the smallest."""
    named = [("a", 5.0, 3e-4), ("b", None, 1e-4), ("c", 9.0, 2e-4)]
    priced = [row(candidate=c, size_billions=s, candidate_usd=exactly(usd)) for c, s, usd in named]
    found = size_ladder(priced, POLICY)
    assert (found.by, [each.candidate for each in found.rungs]) == ("cost a call", ["b", "c", "a"])
    some = size_ladder([replace(each, candidate_usd=None) for each in priced], POLICY)
    assert (some.by, some.unsized) == ("parameters", ("b",))
    assert "Of unknown size: b." in some.sentence
    none = size_ladder([replace(each, candidate_usd=None, size_billions=None) for each in priced], POLICY)
    assert none.by is None
    assert none.smallest is None
    assert "not known" in none.sentence


def test_no_candidate_is_named_where_no_bound_holds() -> None:
    """A hundred disagreements of 400 hold nothing."""
    found = size_ladder(
        [row(candidate=c, disagreements=200, size_billions=s) for c, s in (("a", 1.0), ("b", 2.0))], POLICY
    )
    assert (found.smallest, found.partly) == (None, None)
    assert found.sentence == "No candidate's bound holds for 100 % yet."


# --- Ages ----------------------------------------------------------------------------------------


def test_stale_evidence_is_said_and_fresh_evidence_is_not() -> None:
    """Newer calls first, then what is older than the window of the volume."""
    fresh = Ages(NOW, NOW, NOW)
    assert stale(fresh, NOW + timedelta(days=28)) == ()
    old = stale(replace(fresh, newer=1_200), NOW + timedelta(days=40))
    assert old[0] == "1,200 calls came in after the last replay and are in no evidence."
    whats = ("newest logged call", "last replay", "last label")
    assert old[1:] == tuple(f"The {what} is 40 days old." for what in whats)
    assert stale(Ages(None, None, None), NOW) == ()


def test_ages_are_those_of_the_task_and_the_candidate(world: World) -> None:
    """The newest call's time, the last label by a person, and calls that no replay has planned yet."""
    world.add("topics", [("a", "a")] * 24)
    world.label("topics", 3, LabelVerdict.EQUAL)
    mine = world.fingerprint("small")
    found = ages_of(world.store, "topics", mine)
    assert found.last_call_at == START + timedelta(hours=23)
    assert found.last_label_at == START
    assert found.newer == 0
    world.add("topics", [("a", "a")] * 3, first=24)
    assert ages_of(world.store, "topics", mine).newer == 3
    assert ages_of(world.store, "orders", mine) == Ages(None, None, None)


# --- Money ---------------------------------------------------------------------------------------


def test_savings_come_with_limits_around_the_same_figure(world: World) -> None:
    """The interval holds the figure that stands everywhere else, and a dearer candidate saves less than 0."""
    world.add("topics", [("a", "a")] * 240)
    compare(world.workspace, world.store)
    (found,) = overview(world.workspace, world.store)
    assert found.saving is not None
    assert found.saving_of_all is not None
    assert found.saving.point == pytest.approx(found.saving_usd_month)
    assert found.saving.low < found.saving.point < found.saving.high
    assert found.saving_of_all.point == pytest.approx(
        found.saving.point / found.recommendation.effective_share
    )
    asked = savings(
        world.workspace, world.store, "topics", "small", share=0.5, calls_per_day=found.calls_per_day
    )
    assert asked.saving_usd_month == pytest.approx(0.5 * found.saving_of_all.point)


def test_money_is_unknown_without_a_price_or_a_volume(world: World) -> None:
    """Nothing is invented: no price, no figure; no sampling rate, no month."""
    world.add("topics", [("a", "a")] * 60)
    world.add("topics", [("a", "a")] * 60, candidate="other", replay="r2", known_calls=True)
    world.add("tags", [("a", "a")] * 60, sampling_rate=None, replay="r3")
    compare(world.workspace, world.store)
    found = {(each.task, each.candidate): each for each in overview(world.workspace, world.store)}
    assert found["topics", "other"].saving_of_all is None
    assert found["topics", "other"].candidate_usd is None
    assert found["tags", "small"].saving_of_all is None
    assert found["tags", "small"].candidate_usd is not None


# --- What a remembered row hangs on --------------------------------------------------------------


def stamps(world: World, now: datetime = NOW) -> dict[tuple[str, str], str]:
    return rows.stamps(world.store, lapse_after=LEASE, now=now)


def test_every_table_is_known_to_matter_or_not(world: World) -> None:
    """A new table is put where it belongs, so that a row is neither stale nor worked out for nothing."""
    found = world.store.rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal")
    named = {each["table_name"] for each in found}
    assert named - rows.WATCHED - rows.UNWATCHED == set()
    assert not rows.WATCHED & rows.UNWATCHED
    assert named >= rows.WATCHED


def test_a_stamp_changes_with_its_own_evidence_alone(world: World) -> None:
    """A label on one pair leaves the others as they are; a conflict may be about any of them."""
    world.add("topics", [("a", "a")] * 5)
    world.add("orders", [('{"id": 1}', '{"id": 1}')] * 5, replay="r2")
    mine = world.fingerprint("small")
    first = stamps(world)
    assert first.keys() == {("topics", mine), ("orders", mine)}
    assert stamps(world) == first

    def changed(before: dict[tuple[str, str], str]) -> set[str]:
        return {task for (task, name), stamp in stamps(world).items() if before.get((task, name)) != stamp}

    world.label("topics", 2, LabelVerdict.EQUAL)
    assert changed(first) == {"topics"}
    second = stamps(world)
    world.draw("orders", [(1, None)])
    assert changed(second) == {"orders"}
    third = stamps(world)
    compare(world.workspace, world.store, "topics")
    assert changed(third) == {"topics"}
    fourth = stamps(world)
    conflict = {"call_id": "orders-00000", "manifest_id": "m", "content_hash": "x", "file": "f"}
    conflict |= {"line": 1, "call": "{}"}
    world.store.append("conflicts", [conflict])
    assert changed(fourth) == {"topics", "orders"}


def test_a_stamp_changes_when_a_draw_lapses(world: World) -> None:
    """Nobody commits anything when a lease runs out, and the evidence is another."""
    world.add("topics", [("a", "a")] * 5)
    world.draw("topics", [(1, None)])
    before = stamps(world, START + LEASE - timedelta(seconds=1))
    assert stamps(world, START + LEASE) != before
    lease = {"draw_id": "topics-1", "annotator": "mia", "expires_at": START + timedelta(hours=1)}
    world.store.append("leases", [lease])
    offered = stamps(world, START + timedelta(minutes=59))
    assert offered != stamps(world, START + timedelta(minutes=61))


def test_all_that_was_compared_is_counted_at_once(world: World) -> None:
    """By task, candidate and version; what can't be compared is left out."""
    world.add("topics", [("a", "a")] * 8 + [("a", "b")] * 2 + [(None, "a")])
    compare(world.workspace, world.store)
    ((key, counts),) = rows.compared(world.store).items()
    assert key[:2] == ("topics", world.fingerprint("small"))
    assert counts == (10, 2)


@pytest.mark.parametrize("fallen", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("share", [0.1, 1.0])
def test_the_limits_of_a_saving_are_those_of_the_ways_to_run_it(fallen: float, share: float) -> None:
    """Overview, reports and Costs reckon a saving alike, however many answers fall back to the frontier."""
    fallback = Amount(fallen, max(fallen - 0.2, 0.0), min(fallen + 0.2, 1.0))
    volume, control, candidate = (
        Amount(500, 400, 600),
        Amount(0.02, 0.015, 0.025),
        Amount(0.001, 0.0005, 0.002),
    )
    mine = TaskMoney(volume, control, candidate, fallback, ()).saving_usd_month(share)
    load = Workload(volume, control, candidate_usd=candidate, fallback=fallback)
    (hosted,) = [each for each in four_ways(load, CostPlan(), None, share) if each.name == HOSTED]
    assert mine is not None
    assert hosted.saving_usd_month is not None
    for part in ("point", "low", "high"):
        assert getattr(mine, part) == pytest.approx(getattr(hosted.saving_usd_month, part))
