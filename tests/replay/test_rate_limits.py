"""Whole replays against servers that count requests by time: slower, and nothing lost."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
from limited_server import LimitedServer, limited
from replay_world import PRICE_TOML, add_calls, candidate_toml, make_workspace, open_store

import workbench.engines as engines
from workbench.engines.openai_api import OpenAIEngine
from workbench.engines.retries import RetryPolicy
from workbench.errors import EndpointUnreachable
from workbench.progress import Progress
from workbench.replay import replay as checked_replay
from workbench.replay import session
from workbench.replay.limiter import Limiter
from workbench.replay.report import status

replay = functools.partial(checked_replay, checks=False)
CALLS = 90


@pytest.fixture(autouse=True)
def a_minute_is_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait as for limits by the minute, thirty times as fast, and begin with all requests in flight."""
    policy = RetryPolicy(first_wait_s=0.5 / 30, longest_wait_s=2.0)
    monkeypatch.setitem(
        engines._FACTORIES, "openai", lambda _, candidate, config: OpenAIEngine(candidate, config, policy)
    )
    monkeypatch.setattr(session, "limiter_of", lambda *_: Limiter(64, deadline_s=1.0, start=64))


def candidate(server: LimitedServer) -> str:
    """Return a candidate that asks the server, each attempt for a second at most."""
    keys = {"engine": "openai", "base_url": server.url, "model": "m", "timeout_s": 1, "concurrency": 64}
    return candidate_toml("c", **keys)


@pytest.mark.parametrize("says", [True, False])
def test_more_in_flight_than_a_limit_takes_costs_no_call(tmp_path: Path, says: bool) -> None:
    """20 requests in 2 s, 64 in flight, a deadline of 1 s: each call is answered, and once."""
    told: list[Progress] = []
    with limited(LimitedServer(20, says=says)) as server:
        workspace = make_workspace(tmp_path, candidate(server))
        with open_store(workspace) as store:
            add_calls(store, CALLS)
            report = replay(workspace, store, "spam", "c", listener=told.append)
            assert (report.state, report.done, report.errors) == ("finished", CALLS, {})
            assert len(store.rows("SELECT DISTINCT call_id FROM observations")) == CALLS
    assert set(server.answered.values()) == {1}
    assert len(server.answered) == CALLS
    assert report.retried == {"rate_limited": server.refused}
    # While it waits, who watches reads why.
    assert any("rate limit: " in each.note for each in told)


def test_fewer_are_in_flight_once_a_limit_refuses(tmp_path: Path) -> None:
    """Each round of refusals lowers the number in flight."""
    limits: list[int] = []
    limiter = Limiter(64, deadline_s=1.0, start=64)

    def note(_: Progress) -> None:
        limits.append(limiter.limit)

    with limited(LimitedServer(20)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "limiter_of", lambda *_: limiter)
        workspace = make_workspace(tmp_path, candidate(server))
        with open_store(workspace) as store:
            add_calls(store, CALLS)
            assert replay(workspace, store, "spam", "c", listener=note).errors == {}
    assert min(limits) < 64


@pytest.mark.parametrize("says", [True, False])
def test_a_limit_that_lets_nothing_through_pauses_with_its_reason(tmp_path: Path, says: bool) -> None:
    """Always 429: paused, nothing recorded, and the same command goes on once the limit does."""
    with limited(LimitedServer(0, says=says, error={"message": "daily limit reached"})) as server:
        workspace = make_workspace(tmp_path, candidate(server))
        with open_store(workspace) as store:
            add_calls(store, CALLS)
            with pytest.raises(EndpointUnreachable, match=r"lets no call through.*daily limit") as caught:
                replay(workspace, store, "spam", "c")
            assert "No call was lost" in caught.value.hint
            (now,) = status(workspace, store)
            assert (now.state, now.done) == ("paused", 0)
            assert "daily limit reached" in now.note
            server.most = 1_000
            report = replay(workspace, store, "spam", "c")
            assert (report.done, report.errors) == (CALLS, {})
    assert set(server.answered.values()) == {1}


def test_a_quota_that_ends_in_the_middle_pauses_and_loses_nothing(tmp_path: Path) -> None:
    """insufficient_quota after 20 answers: these are kept, the others asked by the same command later."""
    error = {"message": "You exceeded your current quota.", "code": "insufficient_quota"}
    with limited(LimitedServer(20, window_s=86_400.0, says=False, error=error)) as server:
        workspace = make_workspace(tmp_path, candidate(server))
        with open_store(workspace) as store:
            add_calls(store, CALLS)
            with pytest.raises(EndpointUnreachable, match=r"quota is used up.*insufficient_quota") as caught:
                replay(workspace, store, "spam", "c")
            assert "Add credit" in caught.value.hint
            assert store.value("SELECT count(*) FROM observations WHERE error_kind IS NULL") == 20
            assert store.value("SELECT count(*) FROM observations") == 20
            server.most = 1_000
            assert replay(workspace, store, "spam", "c").done == CALLS
    assert set(server.answered.values()) == {1}


def test_minutes_that_are_used_up_end_a_wait_for_the_limit(tmp_path: Path) -> None:
    """Calls that wait for their turn are let go when the run's time is over: a resume asks them."""
    with limited(LimitedServer(10, window_s=4.0)) as server:
        workspace = make_workspace(tmp_path, PRICE_TOML, candidate(server))
        with open_store(workspace) as store:
            add_calls(store, CALLS)
            report = replay(workspace, store, "spam", "c", budget_usd=90.0, budget_minutes=0.01)
            assert report.state == "paused"
            # 64 were in flight, and most of them waited for their turn.
            assert 0 < report.done < 64
            assert report.errors == {}
            server.most = 1_000
            assert replay(workspace, store, "spam", "c", budget_usd=90.0).done == CALLS
    assert set(server.answered.values()) == {1}
