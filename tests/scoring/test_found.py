"""Slices found in a store: what goes wrong though nobody declared it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scoring_world import World, make_world

from workbench import Workbench, access
from workbench.cli import cli
from workbench.errors import ModelMissing, UsageError
from workbench.records import LabelVerdict, Message, Request, to_json
from workbench.roles import Actor, Grant, Role
from workbench.scoring import compare, found
from workbench.scoring.found import FoundReport, found_slices, routing_rule


class ByFirstWord:
    """Embeds a text as its first word, with a little of its length."""

    model = "by first word"

    def embed(self, texts: Sequence[str]) -> Any:
        rng = np.random.default_rng(0)
        found = np.asarray([np.eye(4)[hash_of(text)] for text in texts])
        return (found + 0.01 * rng.standard_normal(found.shape)).astype(np.float32)


class NotInstalled:
    """The package is missing."""

    model = "missing"

    def embed(self, texts: Sequence[str]) -> Any:
        raise ModelMissing("The package is not installed.", "Install it.")


def hash_of(text: str) -> int:
    return {"refund": 0, "parcel": 1}.get(text.split()[0], 2)


CALLS = 420
SURE = '{"confidence": {"token_quantile": 0.5}}'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    each = make_world(tmp_path)
    with each.store:
        n = CALLS
        bad = {i for i in range(0, n, 3) if i % 2}
        each.add("topics", [("a", "b") if i in bad else ("a", "a") for i in range(n)])
        with each.store.writing() as writer:
            calls = writer.rows("SELECT * FROM calls ORDER BY call_id")
            writer.execute("DELETE FROM calls")
            for number, call in enumerate(calls):
                call.pop("seq", None)
                word = ("refund", "parcel", "login")[number % 3]
                text = f"{word} question number {number}"
                call["request"] = to_json(Request((Message("user", text),))).decode()
                call["attributes"] = f'{{"tier": "{"gold" if number % 2 else "free"}"}}'
            writer.append("calls", calls)
        compare(each.workspace, each.store, "topics")
        for number in bad:
            each.label("topics", number, LabelVerdict.CONTROL_BETTER)
        yield each


def report(world: World, embedder: Any = ByFirstWord) -> FoundReport:
    return found_slices(world.workspace, world.store, "topics", "small", embedder=lambda _: embedder())


def test_the_worst_slices_stand_first_with_similar_inputs_among_them(world: World) -> None:
    """Refunds of gold customers go wrong: their words and their tier are named."""
    found = report(world)
    bad = {(each.name, each.value) for each in found.slices if each.status == "bad"}
    assert ("tier", "gold") in bad
    assert any(name == "similar inputs" and "refund" in value for name, value in bad)
    assert found.slices[0].status == "bad"
    assert {"language", "input_length", "tier", "template", "similar inputs"} <= {
        each.name for each in found.slices
    }
    assert found.level == pytest.approx(1 - 0.05 / (len(found.slices) + 1))
    assert "get worse where similar inputs is 'refund" in found.text
    assert found.limit is None
    assert "No input length is proven to be safe yet." in found.text
    assert to_json(found)
    assert found.notes == ()


def test_inputs_are_embedded_once(world: World) -> None:
    """The second report takes the vectors from the store."""
    first = report(world)
    n = world.store.value("SELECT count(*) FROM embeddings")
    assert n == CALLS
    assert report(world) == first
    assert world.store.value("SELECT count(*) FROM embeddings") == n


def test_a_viewer_sees_groups_of_similar_inputs_once_they_are_embedded_and_embeds_none(world: World) -> None:
    """A look of somebody who may only look never asks a model and writes nothing; it shows what is there."""
    viewer = Actor("vera", frozenset({Grant(Role.VIEWER)}), signed_in=True)
    with access.acting(viewer):
        before = report(world)
    assert world.store.value("SELECT count(*) FROM embeddings") == 0
    assert "similar inputs" not in {each.name for each in before.slices}
    assert f"{CALLS} inputs" in before.notes[0]
    assert "may replay this task" in before.notes[0]
    by_engineer = report(world)
    with access.acting(viewer):
        assert report(world) == by_engineer


def test_without_the_model_the_other_slices_are_still_found(world: World) -> None:
    """The report says what is left out, why, and how to get it."""
    found = report(world, NotInstalled)
    names = {each.name for each in found.slices}
    assert "tier" in names
    assert not names & {"similar inputs", "neighbourhood"}
    assert found.notes == (
        "Similar inputs and the long tail are left out. The package is not installed. Install it.",
    )
    assert found.notes[0] in found.text


def test_nothing_compared_names_the_commands_to_run(world: World) -> None:
    """No evidence is an error with a next step, not an empty report."""
    with pytest.raises(UsageError, match="is compared yet") as raised:
        found_slices(world.workspace, world.store, "topics", "other")
    assert "workbench compare" in raised.value.hint


def test_unlabelled_disagreements_prove_no_slice_bad(world: World) -> None:
    """Disagreement is not harm; the report says that nobody has looked."""
    with world.store.writing() as writer:
        writer.execute("DELETE FROM labels")
    found = report(world)
    assert not any(each.status == "bad" for each in found.slices)
    assert "No slice is proven to be worse than the tolerance." in found.text
    assert "Nobody has looked" in found.notes[0]


def test_a_rule_is_learnt_from_the_store_with_confidence_beside_it(world: World) -> None:
    """Refunds are told apart by their template; the signal that most answers have is compared."""
    found = routing_rule(world.workspace, world.store, "topics", "small")
    assert found.learnt_from + found.proven_on == CALLS
    assert any("template is 'refund question" in each.conditions for each in found.leaves)
    assert [each.way for each in found.ways] == ["rule"]
    with world.store.writing() as writer:
        writer.execute("UPDATE observations SET output = json_merge_patch(output, ?)", (SURE,))
    again = routing_rule(world.workspace, world.store, "topics", "small")
    assert [each.way for each in again.ways] == ["rule", "confidence", "both"]
    assert again.leaves == found.leaves
    assert to_json(again)


def test_the_command_prints_the_report_or_the_rule(world: World) -> None:
    """As text or as one document."""
    world.store.close()
    scope = ["slices", "--task", "topics", "--candidate", "small", "--workspace", str(world.workspace.root)]
    rule = CliRunner().invoke(cli, [*scope, "--rule"])
    assert rule.exit_code == 0, rule.output
    assert "Learnt from" in rule.output
    document = CliRunner().invoke(cli, [*scope, "--rule", "--json"])
    assert json.loads(document.output)["leaves"]
    unknown = CliRunner().invoke(cli, ["slices", "--task", "none", *scope[3:]])
    assert unknown.exit_code == 2


def test_shares_of_traffic_are_those_of_the_whole_log(world: World) -> None:
    """Calls of the log that were never replayed count for what a slice is of the traffic, and for no harm."""
    before = {(each.name, each.value): each for each in report(world).slices}
    world.add("topics", [("a", "a")] * CALLS, replay="r2", first=CALLS, observed=0)
    with world.store.writing() as writer:
        writer.execute("UPDATE calls SET language = 'de' WHERE CAST(native_id AS INTEGER) >= ?", (CALLS,))
    after = {(each.name, each.value): each for each in report(world).slices}
    assert before["language", "en"].traffic_share == pytest.approx(0.5)
    assert after["language", "en"].traffic_share == pytest.approx(0.25)
    assert after["language", "de"].traffic_share == pytest.approx(0.75)
    assert after["language", "en"].calls == before["language", "en"].calls == CALLS // 2
    similar = [key for key in after if key[0] == "similar inputs"]
    assert similar
    assert all(after[key].traffic_share == before[key].traffic_share for key in similar)


def test_a_long_log_is_drawn_from_and_the_report_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond so many calls shares come from a random part of the log."""
    monkeypatch.setattr(found, "LOG_AT_MOST", 100)
    assert report(world).notes == ("Shares of traffic are from 100 calls drawn from the task's log.",)


def test_python_gives_what_the_command_does(world: World) -> None:
    """`Workbench.slices` and `Workbench.routing_rule` are the use cases of `workbench slices`."""
    with Workbench(world.workspace.root) as bench:
        slices = bench.slices("topics", "small", similar=False)
        rule = bench.routing_rule("topics", "small")
    command = ["slices", "--task", "topics", "--candidate", "small", "--json"]
    place = ["--workspace", str(world.workspace.root)]
    shown = CliRunner().invoke(cli, [*command, "--no-similar", *place])
    assert json.loads(shown.stdout) == json.loads(to_json(slices))
    assert not any(each.name == "similar inputs" for each in slices.slices)
    assert json.loads(CliRunner().invoke(cli, [*command, "--rule", *place]).stdout) == json.loads(
        to_json(rule)
    )
