"""Budgets and dry runs of replays on Ray: no piece costs more than its share, whoever answers it."""

from __future__ import annotations

import contextlib
import importlib.machinery
import queue
import sys
import threading
import time
import types
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ray_world import a_run, told
from replay_world import CALL_USD, PRICE, PRICE_TOML, add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench.config import Workspace
from workbench.errors import ConfigError, UsageError
from workbench.progress import Progress
from workbench.records import Output, Usage
from workbench.replay import ray_cluster, ray_driver
from workbench.replay.heartbeat import Heartbeat
from workbench.replay.on_ray import replay_on_ray
from workbench.replay.ray_actor import AnsweringActor
from workbench.replay.ray_budget import PieceBudgets, SharedBudget
from workbench.replay.remote_spool import RemoteSpool
from workbench.specs import Price
from workbench.store.spending import Spending

CALLS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


def world(root: Path, server: Server, *, priced: bool = True, **keys: Any) -> Workspace:
    """Make a workspace of calls, with a price for the model."""
    server.reset()
    keys = {"engine": "openai", "base_url": server.url("good"), "model": "m", "concurrency": 2} | keys
    workspace = make_workspace(root, candidate_toml("c", **keys), *([PRICE_TOML] if priced else []))
    with open_store(workspace) as store:
        add_calls(store, CALLS)
    return workspace


def shared(
    usd: float | None, calls: int = CALLS, characters: int = 100 * CALLS, **changes: Any
) -> SharedBudget:
    """Return what a run may cost, before any answer has told how long answers are."""
    fields: dict[str, Any] = {"output_tokens": 3.0, "requests_per_call": 1, "earlier": Spending()}
    return SharedBudget(PRICE, usd, calls, characters, **(fields | changes))


def answer(tokens_in: int = 12, tokens_out: int = 3) -> Output:
    """Return an answer with counts of tokens."""
    return Output(text="spam", usage=Usage(input_tokens=tokens_in, output_tokens=tokens_out))


def test_shares_add_up_to_the_budget_whatever_the_actors_have_learned() -> None:
    """Each actor computes a piece's share alike, however long the answers were that it has seen."""
    pieces = [[{"request": "x" * (10 * size + number)} for number in range(size)] for size in (3, 8, 1, 20)]
    characters = sum(len(row["request"]) for rows in pieces for row in rows)
    whole = shared(2.0, calls=32, characters=characters)
    fresh, taught = PieceBudgets(whole), PieceBudgets(whole)
    taught.open(pieces[3], [(row, answer(900, 300)) for row in pieces[3]])
    shares = []
    for rows in pieces:
        first, second = fresh.open(rows, []), taught.open(rows, [])
        assert first.usd is not None
        assert second.usd is not None
        shares.append(first.usd - first.spent_usd)
        assert second.usd - second.spent_usd == pytest.approx(shares[-1])
    assert sum(shares) == pytest.approx(2.0)


def test_what_a_lost_actor_has_spent_on_a_piece_is_paid_for_out_of_its_share() -> None:
    """Another actor is left with the share less the answers that the piece's parts hold already."""
    rows = [{"request": "x" * 100} for _ in range(CALLS)]
    budget = PieceBudgets(shared(1.0)).open(rows, [(row, answer()) for row in rows[:10]])
    assert budget.usd == pytest.approx(1.0)
    assert budget.spent_usd == pytest.approx(10 * CALL_USD)


def test_a_model_that_costs_nothing_is_never_held_back() -> None:
    """With a price of nought there is nothing to share out, and always room."""
    free = Price("m", date(2026, 1, 1), "own", 0.0, 0.0)
    budget = PieceBudgets(SharedBudget(free, 0.5, 4, 400, 3.0, 1, Spending())).open([{"request": "x"}], [])
    assert budget.take(budget.estimate_usd(100))


def test_an_actor_pauses_each_piece_at_its_share_and_what_is_known_counts(
    tmp_path: Path, server: Server
) -> None:
    """Half the money answers about half of each piece; given out again, a piece has nothing left."""
    workspace = world(tmp_path, server)
    usd = CALLS * CALL_USD / 2
    url = str(tmp_path / "spool")
    run, files = a_run(workspace, url, budget=lambda length: shared(usd, CALLS, length))
    actor, again = AnsweringActor(url, run.folder), AnsweringActor(url, run.folder)
    assert len(files) == 4
    first = told(actor, files)
    assert {row["state"] for row in first} == {"paused"}
    assert all(not row["error"] for row in first)
    asked = server.stats("good")["hits"]
    assert 0 < asked * CALL_USD <= usd + CALL_USD
    second = told(again, files)
    assert {row["state"] for row in second} == {"paused"}
    # It learns what an answer costs from what the others wrote: it overspends no piece by a call.
    assert server.stats("good")["hits"] * CALL_USD <= usd + CALL_USD
    actor.close()
    again.close()


def test_without_a_limit_all_is_answered(tmp_path: Path, server: Server) -> None:
    """A price alone holds nothing back."""
    url = str(tmp_path / "spool")
    run, files = a_run(world(tmp_path, server), url, budget=lambda length: shared(None, CALLS, length))
    actor = AnsweringActor(url, run.folder)
    assert {row["state"] for row in told(actor, files)} == {"finished"}
    assert server.stats("good")["hits"] == CALLS
    actor.close()


def test_a_dry_run_on_ray_starts_sends_and_stores_nothing(tmp_path: Path, server: Server) -> None:
    """Requests, tokens and money are those of the plan, whether or not Ray is there."""
    workspace = world(tmp_path, server)
    with open_store(workspace) as store:
        found = replay_on_ray(workspace, store, "spam", "c", dry_run=True, actors=3, budget_usd=0.01)
        assert (found.state, found.requests, found.planned) == ("planned", CALLS, CALLS)
        assert found.estimated_cost_usd is not None
        assert "will not do" in found.text
        assert "with 3 actors" in found.text
        assert "as many as fit" in replay_on_ray(workspace, store, "spam", "c", dry_run=True).text
        assert store.rows("SELECT * FROM replays") == store.rows("SELECT * FROM replay_events") == []
    assert server.stats("good")["hits"] == 0
    assert not (workspace.spool / "ray").exists()


def test_a_budget_in_money_without_a_price_is_refused_before_ray_starts(
    tmp_path: Path, server: Server
) -> None:
    """Nothing is sent, and the missing row is named."""
    workspace = world(tmp_path, server, priced=False)
    with open_store(workspace) as store, pytest.raises(ConfigError, match=r"\[\[prices\]\]"):
        replay_on_ray(workspace, store, "spam", "c", budget_usd=1.0)
    assert server.stats("good")["hits"] == 0


def test_a_process_that_loaded_ray_itself_is_told_so_at_once(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray's core reads its environment once: loaded before, it would listen to all without a password."""
    module = types.ModuleType("ray")
    module.__spec__ = importlib.machinery.ModuleSpec("ray", None)
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.setattr(ray_cluster, "_loaded_guarded", threading.Event())
    with open_store(world(tmp_path, server)) as store:
        with pytest.raises(UsageError, match="loaded Ray before"):
            replay_on_ray(Workspace.load(tmp_path), store, "spam", "c")
        assert store.rows("SELECT * FROM replay_events") == []


def test_minutes_stop_the_actors_and_pause(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the time is up the actors are asked to write what they have, and the replay is paused."""

    def work_until_stopped(_: Any, spool: RemoteSpool, run: str, files: list[str], *others: Any) -> None:
        outbox: queue.Queue[Any] = others[-1]
        while not spool.exists(f"{run}/stop"):
            time.sleep(0.01)
        for piece in range(len(files)):
            row = {"piece": piece, "answered": 0, "state": "interrupted", "error": "", "unrecorded_usd": 0.25}
            outbox.put(row)
        outbox.put(None)

    monkeypatch.setattr(ray_driver, "_answer_pieces", work_until_stopped)
    monkeypatch.setattr(ray_cluster, "connected", lambda *_: contextlib.nullcontext((None, 2)))
    workspace = world(tmp_path, server)
    with open_store(workspace) as store:
        found = replay_on_ray(workspace, store, "spam", "c", budget_minutes=1e-6, checks=False)
        assert (found.state, found.done) == ("paused", 0)
        assert "minutes of this run are used up" in found.text
        # What late attempts have cost is told by the actors, and no observation shows it.
        assert found.cost_usd == pytest.approx(4 * 2 * 0.25)


def test_the_progress_of_a_replay_on_ray_says_its_pace(tmp_path: Path) -> None:
    """Who watches sees calls and tokens a second, the time left, and what was asked again."""
    heard: list[Progress] = []
    driver = ray_driver.Driver.__new__(ray_driver.Driver)
    driver._listener = heard.append
    beat = Heartbeat(tmp_path, "r", 40, 0)
    driver._tell(beat, "2 actors")
    beat.done, beat.output_tokens = 10, 10_000_000
    beat.retry("timeout")
    driver._tell(beat, "2 actors")
    assert (heard[0].note, heard[0].per_s) == ("2 actors", None)
    assert heard[1].note.startswith("2 actors, ")
    assert "tokens/s, 1 retries (1 × no answer in time)" in heard[1].note
    assert heard[1].per_s
    assert heard[1].left_s


@pytest.mark.slow
def test_money_pauses_a_replay_on_ray_and_more_money_goes_on(tmp_path: Path, server: Server) -> None:
    """Two actors stop within the budget; with a larger one the same command asks the rest, and no more."""
    workspace = world(tmp_path, server, base_url=server.url("slow"))
    usd = CALLS * CALL_USD / 2
    with open_store(workspace) as store:
        options: dict[str, Any] = {"actors": 2, "checks": False}
        paused = replay_on_ray(workspace, store, "spam", "c", budget_usd=usd, **options)
        assert paused.state == "paused"
        assert 0 < paused.done < CALLS
        assert paused.cost_usd is not None
        assert paused.cost_usd <= usd + 4 * CALL_USD
        assert f"The budget of {usd:g} USD" in paused.text
        finished = replay_on_ray(workspace, store, "spam", "c", budget_usd=100.0, **options)
        assert (finished.state, finished.done) == ("finished", CALLS)
        events = [row["event"] for row in store.rows("SELECT event FROM replay_events ORDER BY seq")]
        assert events == ["started", "paused", "resumed", "finished"]
    assert server.stats("slow")["hits"] == CALLS
