"""Compared calls as columns: read quickly where their places are stored, and the same where they are not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scoring_world import ByLetters, World, make_world

from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.records import LabelVerdict
from workbench.scoring import compare, recommend
from workbench.scoring.sliced import sliced
from workbench.slices import name_of, slice_values
from workbench.store import comparisons
from workbench.store.compared import WANTED, call_ids, digest, evidence_frame, places
from workbench.store.remembered import TornRead, located, remembered

TASKS = ("topics", "orders", "rewrite")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A workspace with an empty store."""
    made = make_world(tmp_path)
    yield made
    made.store.close()


def filled(world: World) -> None:
    """Two batches and a second replay of one task, and one of each other."""
    world.add("topics", [("a", "b"), ("a", "a"), ("b", "c")] * 6)
    world.add("topics", [("a", "c")] * 5, batch=1, first=18)
    world.add("topics", [("b", "b")] * 4, replay="again", known_calls=True)
    world.add("orders", [('{"id":1,"sum":2}', '{"id":1,"sum":3}'), ('{"id":1}', "no JSON")] * 3, replay="ro")
    world.add("rewrite", [("one", "one"), ("two", "three")] * 3, replay="rr")
    for task in TASKS:
        compare(world.workspace, world.store, task, embedder=lambda _: ByLetters())


def scope_of(world: World, task: str) -> tuple[str, str, str]:
    return task, world.fingerprint("small"), evaluator_version(world.workspace.eval_for(task))


def forgotten(world: World) -> None:
    """Make every comparison one that does not know where it stands, as an older version wrote them."""
    with world.store.writing() as writer:
        writer.execute(
            "UPDATE comparisons SET call_seq = NULL, observation_seq = NULL, batch = NULL, "
            "audit_order = NULL, parts = NULL"
        )


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("begun", [False, True])
def test_comparisons_without_their_places_are_read_as_those_with_them(
    world: World, task: str, begun: bool
) -> None:
    """Looking places up by ids gives the calls, order, groups and parts that stored places give."""
    filled(world)
    world.add(task, [("a", "b")] * 3, replay="open" + task, first=100, observed=2)
    compare(world.workspace, world.store, task, embedder=lambda _: ByLetters())
    scope = scope_of(world, task)
    placed = evidence_frame(world.store, *scope, wanted=WANTED, begun=begun)
    decided = recommend(world.workspace, world.store, task, "small")
    forgotten(world)
    looked_up = evidence_frame(world.store, *scope, wanted=WANTED, begun=begun)
    assert len(placed)
    # The beginning of a key and the place of a key among all order calls alike.
    pd.testing.assert_frame_equal(placed.drop(columns="audit_order"), looked_up.drop(columns="audit_order"))
    again = recommend(world.workspace, world.store, task, "small")
    assert (again.share, again.reasons) == (decided.share, decided.reasons)


def test_a_frame_is_read_once_until_something_it_was_read_from_changes(world: World) -> None:
    """Labels leave it as it is, a comparison and an open conflict don't, and nobody can change it."""
    filled(world)
    scope = scope_of(world, "topics")
    frame = evidence_frame(world.store, *scope)
    frame["score"] = 7.0
    world.label("topics", 0, LabelVerdict.EQUAL)
    again = evidence_frame(world.store, *scope)
    assert np.shares_memory(frame["call_seq"].to_numpy(), again["call_seq"].to_numpy())
    assert not (again["score"] == 7.0).any()
    before = digest(again)
    world.add("topics", [("a", "b")], batch=2, first=50)
    compare(world.workspace, world.store, "topics")
    grown = evidence_frame(world.store, *scope)
    assert len(grown) == len(again) + 1
    assert digest(grown) != before


def test_inside_a_transaction_what_it_added_is_seen_and_not_kept(world: World) -> None:
    """What nobody else can see yet is never remembered."""
    filled(world)
    scope = scope_of(world, "topics")
    n = len(evidence_frame(world.store, *scope))
    with contextlib.suppress(RuntimeError), world.store.writing() as writer:
        writer.execute("DELETE FROM comparisons")
        assert len(evidence_frame(world.store, *scope)) == 0
        raise RuntimeError  # It is rolled back.
    assert len(evidence_frame(world.store, *scope)) == n


def test_calls_are_found_by_id_and_ids_by_call(world: World) -> None:
    """Places are those of the frame; unknown calls are left out."""
    filled(world)
    frame = evidence_frame(world.store, *scope_of(world, "topics"), wanted=("call_id",))
    ids = frame["call_id"].tolist()
    assert places(world.store, frame, [ids[3], ids[0], "nobody"]) == {ids[3]: 3, ids[0]: 0}
    assert call_ids(world.store, frame["call_seq"].tolist()[:2]) == dict(
        zip(frame["call_seq"].tolist()[:2], ids[:2], strict=True)
    )


def test_slices_of_the_store_are_those_worked_out_call_by_call(world: World) -> None:
    """Every usable call has the value that the rule gives it among all calls of the task."""
    filled(world)
    config = world.workspace.eval_for("topics")
    found = sliced(world.store, config)
    assert found is not None
    calls = world.store.rows("SELECT seq, language FROM calls WHERE task = 'topics' ORDER BY seq")
    (rule,) = config.slices
    expected = slice_values([rule], calls)[name_of(rule)]
    assert found.seq.tolist() == [each["seq"] for each in calls]
    assert [dict(found.kinds[kind])[name_of(rule)] for kind in found.kind.tolist()] == expected


def test_two_reads_with_a_commit_between_them_are_made_again(world: World) -> None:
    """A hash that the second read does not know means that rows came or went: then both are read anew."""
    tried = []

    def make() -> int:
        tried.append(1)
        known = np.asarray([1, 2][: len(tried)], dtype=np.uint64)
        return int(located(known, np.asarray([2], dtype=np.uint64))[0])

    assert remembered(world.store, ("torn",), make, lambda _: 1) == 1
    assert len(tried) == 2
    with pytest.raises(TornRead):
        located(np.asarray([], dtype=np.uint64), np.asarray([2], dtype=np.uint64))


def test_parts_in_the_store_are_those_of_the_details(world: World) -> None:
    """What Python keeps of per-field details is what the store works out for older rows."""
    filled(world)
    rows = world.store.rows("SELECT details, parts FROM comparisons")
    assert any(row["parts"] != "[]" for row in rows)
    for row in rows:
        assert row["parts"] == comparisons.parts_of(json.loads(row["details"]))


def test_an_item_too_many_counts_against_its_fields(world: World) -> None:
    """A field of a list is there where one item of the recorded answer has it, for older rows, too."""
    path = world.workspace.root / "evals" / "orders" / "eval.toml"
    path.write_text(path.read_text() + '[[fields]]\npath = "items[].sku"\n')
    workspace = Workspace.load(world.workspace.root)
    one, none = '{"id":1,"items":[{"sku":"A"}]}', '{"id":1,"items":[]}'
    world.add(
        "orders", [(one, '{"id":1,"items":[{"sku":"A"},{}]}'), (none, '{"id":1,"items":[{"sku":"A"}]}')]
    )
    compare(workspace, world.store, "orders")
    scope = ("orders", world.fingerprint("small"), evaluator_version(workspace.eval_for("orders")))
    for _ in range(2):
        frame = evidence_frame(world.store, *scope, wanted=WANTED)
        parts = [json.loads(each)[-1] for each in frame["parts"].tolist()]
        assert sorted(parts) == [["items[].sku", False, False, False], ["items[].sku", False, True, False]]
        forgotten(world)
