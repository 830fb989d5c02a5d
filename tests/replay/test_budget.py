"""Budgets: a replay stops taking calls when its money or its minutes are used up, and goes on with more."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from replay_world import CALL_USD, PRICE, PRICE_TOML, add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench.cli import cli
from workbench.config import Workspace
from workbench.engines.base import failure
from workbench.engines.retries import RetryPolicy
from workbench.errors import ConfigError, EndpointUnreachable, UsageError
from workbench.records import ErrorKind, Output, ToolCall, Usage
from workbench.replay import replay as checked_replay
from workbench.replay import status
from workbench.replay.budget import Budget
from workbench.replay.ending import interrupted
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.latency import probe_latency
from workbench.replay.patch_setup import preview_patch

replay = functools.partial(checked_replay, checks=False)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


def world(root: Path, server: Server, behaviour: str = "good", priced: bool = True, **keys: Any) -> Workspace:
    """Make a workspace of 60 calls, with a price for the model."""
    server.reset()
    keys = {"engine": "openai", "base_url": server.url(behaviour), "model": "m", "timeout_s": 5} | keys
    workspace = make_workspace(root, candidate_toml("c", **keys), *([PRICE_TOML] if priced else []))
    with open_store(workspace) as store:
        add_calls(store, 60)
    return workspace


def test_money_pauses_a_replay_and_more_money_goes_on(tmp_path: Path, server: Server) -> None:
    """Paused within the budget with a message; the same command does no more; a larger one goes on."""
    workspace = world(tmp_path, server, concurrency=4)
    with open_store(workspace) as store:
        first = replay(workspace, store, "spam", "c", budget_usd=1.0)
        assert first.state == "paused"
        assert first.cost_usd is not None
        assert 0.7 < first.cost_usd <= 1.0
        assert first.done == round(first.cost_usd / CALL_USD) == server.stats("good")["hits"]
        assert "budget of 1 USD" in first.text
        assert "With a larger budget, the same command goes on." in first.text
        (state,) = status(workspace, store)
        assert state.state == "paused"
        assert "budget of 1 USD" in state.note
        again = replay(workspace, store, "spam", "c", budget_usd=1.0)
        assert (again.state, again.answered) == ("paused", 0)
        more = replay(workspace, store, "spam", "c", budget_usd=2.0)
        assert more.state == "paused"
        assert more.cost_usd is not None
        assert 1.7 < more.cost_usd <= 2.0
        done = replay(workspace, store, "spam", "c", budget_usd=20.0)
        assert (done.state, done.done) == ("finished", 60)
        assert done.cost_usd == pytest.approx(60 * CALL_USD)
    assert server.stats("good")["hits"] == 60


def test_checks_before_a_replay_are_in_what_it_cost(tmp_path: Path, server: Server) -> None:
    """They are none of the sample's calls, and paid for all the same: within the budget, and ever after."""
    workspace = world(tmp_path, server, concurrency=4)
    with open_store(workspace) as store:
        first = checked_replay(workspace, store, "spam", "c", budget_usd=1.0)
        hits = server.stats("good")["hits"]
        assert hits > first.done
        assert first.cost_usd == pytest.approx(hits * CALL_USD)
        assert first.cost_usd <= 1.0
        done = checked_replay(workspace, store, "spam", "c", budget_usd=20.0)
        assert done.done == 60
        assert done.cost_usd == pytest.approx(server.stats("good")["hits"] * CALL_USD)


def test_after_new_what_goes_on_is_the_command_without_it(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --new once more another replay would be drawn: the budget, a pause and Ctrl-C all say so."""
    monkeypatch.setattr(RetryPolicy, "wait_s", lambda *_: 0.02)
    workspace = world(tmp_path, server, concurrency=4)
    with open_store(workspace) as store:
        first = replay(workspace, store, "spam", "c", budget_usd=1.0, new=True)
        assert "With a larger budget, the same command without --new goes on." in first.notes[-1]
        assert replay(workspace, store, "spam", "c", budget_usd=20.0).replay_id == first.replay_id
    down = make_workspace(
        tmp_path,
        candidate_toml("c", engine="openai", base_url=server.url("hangs_up"), model="m", timeout_s=8),
    )
    with open_store(down) as store, pytest.raises(EndpointUnreachable) as caught:
        replay(down, store, "spam", "c", new=True)
    assert "run the same command without --new: it goes on where it stopped" in caught.value.hint
    beat = Heartbeat(workspace.spool, "r", 10, 4)
    assert "are missing. Run the same command without --new to go on." in str(interrupted(beat, new=True))
    assert "are missing. Run the same command again to go on." in str(interrupted(beat, new=False))


def test_a_budget_without_a_price_is_refused(tmp_path: Path, server: Server) -> None:
    """The message names the row that is missing; nothing is sent, with a dry run neither."""
    workspace = world(tmp_path, server, priced=False)
    with open_store(workspace) as store:
        for dry_run in (True, False):
            with pytest.raises(ConfigError, match="no \\[\\[prices\\]\\] row of model 'm'"):
                replay(workspace, store, "spam", "c", budget_usd=1.0, dry_run=dry_run)
        assert replay(workspace, store, "spam", "c").cost_usd is None
    assert server.stats("good")["checks"] == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_budget_that_would_not_limit_is_refused(tmp_path: Path, server: Server, value: float) -> None:
    """NaN, infinity, zero and less are said to be no budget; nothing is sent, by a probe neither."""
    workspace = world(tmp_path, server)
    with open_store(workspace) as store:
        for key in ("budget_usd", "budget_minutes"):
            with pytest.raises(UsageError, match=f"{key} = .*: a budget is a finite number above 0"):
                replay(workspace, store, "spam", "c", **{key: value})
        with pytest.raises(UsageError, match="a budget is a finite number above 0"):
            probe_latency(workspace, store, "spam", "c", budget_minutes=value)
    assert server.stats("good")["hits"] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "--task", "spam", "--candidate", "c", "--budget-usd"),
        ("replay", "--task", "spam", "--candidate", "c", "--budget-minutes"),
        ("replay", "--task", "spam", "--candidate", "c", "--probe", "latency", "--speed"),
        ("judge", "--task", "spam", "--candidate", "c", "--budget-usd"),
        ("label", "export", "out.csv", "--days"),
    ],
)
def test_nan_is_no_number_of_an_option(words: tuple[str, ...]) -> None:
    """No range of numbers excludes `nan` by itself: each option that takes one refuses it."""
    found = CliRunner().invoke(cli, [*words, "nan"])
    assert found.exit_code == 2
    assert "'nan' is not a finite number" in found.output


def test_minutes_pause_a_replay(tmp_path: Path, server: Server) -> None:
    """After its minutes a run takes no more calls; the same command goes on with another run."""
    workspace = world(tmp_path, server, "sluggish", concurrency=4, priced=False)
    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "c", budget_minutes=1.5 / 60)
        assert report.state == "paused"
        assert 4 <= report.done <= 12
        assert "minutes of this run are used up" in report.text


def test_answers_without_counts_of_tokens_stand_at_their_estimate() -> None:
    """No usage: the estimate counts as spent, and is said; a refused connection costs nothing."""
    budget = Budget(PRICE, usd=10.0, output_tokens=3)
    estimate = budget.estimate_usd(400)
    assert estimate == pytest.approx(0.1 + 0.03)
    for output, spent in (
        (Output(text="x"), 1),
        (failure(ErrorKind.CONNECTION), 1),
        (failure(ErrorKind.TIMEOUT), 2),
    ):
        assert budget.take(estimate)
        budget.settle(estimate, 400, output)
        assert budget.spent_usd == pytest.approx(spent * estimate)
    assert budget.unmetered == 2
    assert budget.reserved_usd == 0.0


@pytest.mark.parametrize("usage", [Usage(0, None, 0), Usage(0, 0, 3), Usage(60, 0, 0), Usage(None, None, 3)])
def test_zeros_for_tokens_are_no_meter(usage: Usage) -> None:
    """A server that counts nothing does not make its answers free: the estimate stands."""
    budget = Budget(PRICE, usd=10.0, output_tokens=3)
    estimate = budget.estimate_usd(400)
    for output in (Output(text="x", usage=usage), Output(tool_calls=(ToolCall("f", {}),), usage=usage)):
        assert budget.take(estimate)
        budget.settle(estimate, 400, output)
    assert (budget.spent_usd, budget.unmetered) == (pytest.approx(2 * estimate), 2)
    assert budget.estimate_usd(400) == pytest.approx(estimate)
    # All of the prompt from a cache, and an answer of nothing, are counts that can be.
    budget.book(estimate, 400, Output(text="x", usage=Usage(0, 60, 3)))
    budget.book(estimate, 400, failure(ErrorKind.EMPTY, usage=Usage(60, 0, 0)))
    assert budget.unmetered == 2


def test_a_resumed_replay_holds_zeros_for_no_meter_too(tmp_path: Path, server: Server) -> None:
    """What earlier runs have spent is counted by the same rule: zeros stand at the length of their texts."""
    workspace = world(tmp_path, server, "zero_usage", concurrency=4)
    with open_store(workspace) as store:
        first = replay(workspace, store, "spam", "c", budget_usd=1.0)
        assert first.state == "paused"
        assert first.cost_usd is not None
        assert first.cost_usd > 0.5
        again = replay(workspace, store, "spam", "c", budget_usd=0.01)
        assert (again.state, again.answered) == ("paused", 0)


@given(
    st.floats(0.001, 2.0),
    st.lists(st.tuples(st.integers(10, 5_000), st.integers(0, 400), st.booleans()), max_size=80),
    st.integers(1, 16),
)
def test_no_more_is_overspent_than_what_was_in_flight(
    usd: float, calls: list[tuple[int, int, bool]], most: int
) -> None:
    """Whatever calls turn out to cost, the sum is beyond the budget at most by those in flight."""
    budget = Budget(PRICE, usd=usd, output_tokens=10)
    flying: list[tuple[float, int, float, Output]] = []
    largest = 0.0
    for characters, tokens, lands in calls:
        estimate = budget.estimate_usd(characters)
        output = Output(text="x", usage=Usage(characters // 4, 0, tokens))
        cost = characters // 4 * 0.001 + tokens * 0.01
        if len(flying) < most and budget.take(estimate):
            flying.append((estimate, characters, cost, output))
            assert budget.spent_usd <= usd + 1e-9 or budget.spent_usd + budget.reserved_usd <= usd + largest
        if flying and (lands or len(flying) == most):
            taken, length, cost, output = flying.pop(0)
            largest += max(cost - taken, 0.0)
            budget.settle(taken, length, output)
    for taken, length, cost, output in flying:
        largest += max(cost - taken, 0.0)
        budget.settle(taken, length, output)
    assert budget.spent_usd <= usd + largest + 1e-9
    assert not budget.taken


def test_a_dry_run_counts_samples_and_says_whether_the_budget_will_do(tmp_path: Path, server: Server) -> None:
    """With two samples a call is three requests; a budget that is too small is said to be."""
    workspace = world(tmp_path, server, samples=2)
    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "c", limit=40, dry_run=True, budget_usd=1.0)
        assert (report.planned, report.requests) == (40, 120)
        assert (report.estimated_input_tokens, report.estimated_output_tokens) == (2400, 120)
        assert report.estimated_cost_usd == pytest.approx(2.4 + 1.2)
        assert "120 requests would be sent" in report.text
        assert "will not do: about 3.6000 USD" in report.text
        ample = replay(workspace, store, "spam", "c", limit=40, dry_run=True, budget_usd=5.0)
        assert "budget of 5 USD will do" in ample.text
    assert server.stats("good")["hits"] == 0


def test_a_dry_run_knows_the_pace_of_the_last_run_and_the_length_of_a_patch(
    tmp_path: Path, server: Server
) -> None:
    """Time comes from the last run of the candidate, tokens from the patched requests."""
    workspace = world(tmp_path, server, "slow", concurrency=4)
    with open_store(workspace) as store:
        plain = replay(workspace, store, "spam", "c", limit=40, dry_run=True)
        assert plain.estimated_seconds is None
        ran = replay(workspace, store, "spam", "c", limit=40)
        assert ran.calls_per_s is not None
        grown = replay(workspace, store, "spam", "c", dry_run=True)
        assert grown.estimated_seconds == pytest.approx(20 / ran.calls_per_s, rel=0.01)
        longer = {"patch": {"suffix": "x" * 400}}
        patched = world(tmp_path / "patched", server, **longer)
    with open_store(patched) as store:
        report = replay(patched, store, "spam", "c", limit=40, dry_run=True)
        assert report.estimated_input_tokens is not None
        assert plain.estimated_input_tokens is not None
        assert report.estimated_input_tokens - plain.estimated_input_tokens >= 40 * 100
        assert "characters longer" in report.text
    # Shown turns count by their text, as the preview counts them, not by how the store writes them.
    shown = {"patch": {"system": "One word.", "examples": ["row-1", "row-2"]}}
    patched = world(tmp_path / "shown", server, **shown)
    with open_store(patched) as store:
        report = replay(patched, store, "spam", "c", limit=40, dry_run=True)
        seen = preview_patch(patched, store, "c", "spam")
        longer_by = seen.characters_after - seen.characters_before
        assert f"about {longer_by:,} characters longer" in report.text
