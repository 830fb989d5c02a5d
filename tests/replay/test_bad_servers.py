"""Replays against servers that break in every way: a status of its own, or a pause, and never a hang."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

import workbench.engines as engines
from workbench.config import Workspace
from workbench.engines import CallContext
from workbench.engines.base import failure
from workbench.engines.openai_api import OpenAIEngine, RetryPolicy
from workbench.errors import ConfigError, EndpointUnreachable, UsageError, WorkbenchError
from workbench.records import ErrorKind, Output, OutputError, Request
from workbench.replay import replay as checked_replay
from workbench.replay import status
from workbench.replay.outcomes import HELD_MOST, WINDOW, WINDOW_FAILURES, Outcomes
from workbench.scoring.comparing import compare

replay = functools.partial(checked_replay, checks=False)
CALLS = 24


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry as ever, but a minute of patience is a twentieth of a second."""
    policy = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.05)
    monkeypatch.setitem(
        engines._FACTORIES, "openai", lambda _, candidate, config: OpenAIEngine(candidate, config, policy)
    )


def world(root: Path, server: Server, behaviour: str, **keys: Any) -> Workspace:
    """Make a workspace of some calls."""
    server.reset()
    keys = {"engine": "openai", "base_url": server.url(behaviour), "model": "m", "timeout_s": 8} | keys
    workspace = make_workspace(root, candidate_toml("c", **keys))
    with open_store(workspace) as store:
        add_calls(store, CALLS)
    return workspace


RECORDED = {
    "empty": "empty",
    "content_filter": "content_filter",
    "context_length": "context_length",
    "broken_off": "invalid_response",
    "nan_logprobs": "not_a_number",
    "surrogates": None,
}
PAUSED: dict[str, tuple[type[WorkbenchError], str]] = {
    "rate_limited": (EndpointUnreachable, "rate_limited"),
    "server_error": (EndpointUnreachable, "503|no healthy upstream"),
    "hangs_up": (EndpointUnreachable, "connection"),
    "silent": (EndpointUnreachable, "timeout"),
    "drip": (EndpointUnreachable, "timeout"),
    "html": (ConfigError, "does not answer as a chat completions endpoint"),
    "empty_body": (ConfigError, "does not answer as a chat completions endpoint"),
    "cut_json": (ConfigError, "does not answer as a chat completions endpoint"),
    "error_with_200": (ConfigError, "upstream failed"),
    "no_choices": (ConfigError, "no choices"),
    "endless": (ConfigError, "larger than 8 MB"),
    "unauthorised": (ConfigError, "status 401"),
    "redirect": (ConfigError, "status 307"),
    "no_content": (ConfigError, "status 204: no content"),
    "wrong_model": (UsageError, "answered by 'm-mini'"),
}


@pytest.mark.parametrize("behaviour", RECORDED)
def test_odd_answers_are_recorded_under_a_kind_of_their_own(
    tmp_path: Path, server: Server, behaviour: str
) -> None:
    """Each call has one observation; what is no output is an error that counts, never an output."""
    workspace = world(tmp_path, server, behaviour)
    kind = RECORDED[behaviour]
    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "c")
        assert report.state == "finished"
        assert report.errors == ({kind: CALLS} if kind else {})
        rows = store.rows("SELECT call_id, text, error_kind FROM observations")
        assert len(rows) == len({row["call_id"] for row in rows}) == CALLS
        assert all((row["text"] is None) == (kind is not None) for row in rows)
        assert not any("\x00" in (row["text"] or "") for row in rows)


@pytest.mark.parametrize("behaviour", PAUSED)
def test_servers_that_do_not_work_pause_the_replay_with_a_message(
    tmp_path: Path, server: Server, behaviour: str
) -> None:
    """Paused in seconds, nothing of it recorded as an answer; the same command goes on once it works."""
    deadline_s = 0.4 if behaviour in ("silent", "drip") else 8
    workspace = world(tmp_path, server, behaviour, timeout_s=deadline_s)
    error, said = PAUSED[behaviour]
    with open_store(workspace) as store:
        started = time.monotonic()
        with pytest.raises(error, match=said) as caught:
            replay(workspace, store, "spam", "c")
        assert time.monotonic() - started < 15
        assert caught.value.hint
        assert status(workspace, store)[0].state == "paused"
        assert store.value("SELECT count(*) FROM observations WHERE error_kind IS NULL") == 0
        if behaviour != "wrong_model":
            assert store.value("SELECT count(*) FROM observations") == 0
        assert [row["event"] for row in store.rows("SELECT event FROM replay_events ORDER BY seq")] == [
            "started",
            "paused",
        ]


def test_odd_answers_among_good_ones_are_counted_and_never_compared_as_outputs(
    tmp_path: Path, server: Server
) -> None:
    """Every kind of trouble counts against the candidate under its own name, beside what was answered."""
    workspace = world(tmp_path, server, "sometimes_odd", timeout_s=20)
    with open_store(workspace) as store:
        add_calls(store, 100, start=CALLS)
        report = replay(workspace, store, "spam", "c")
        kinds = {
            "invalid_response": 3 + 3 + 3 + 2 + 2 + 2 + 1,
            "empty": 3,
            "content_filter": 3,
            "context_length": 2,
            "not_a_number": 3,
            "wrong_model": 2,
        }
        assert report.state == "finished"
        assert report.errors == kinds
        flags = {"huge_answer": "capped", "surrogates": "repaired_text"}
        rows = store.rows("SELECT text, error_kind, output FROM observations")
        assert len(rows) == CALLS + 100
        assert all((row["text"] is None) == (row["error_kind"] is not None) for row in rows)
        assert all(any(f'"{flag}"' in row["output"] for row in rows) for flag in flags.values())
        (compared,) = compare(workspace, store, "spam", "c")
        assert compared.errors == kinds
        assert compared.compared == CALLS + 100
        # The endless answer and the junk are no labels; the errors are none either: all disagree.
        assert compared.invalid >= sum(kinds.values()) + 3
        agreeing = store.value("SELECT count(*) FROM observations WHERE text = 'ham'")
        assert compared.match == agreeing < CALLS + 100 - sum(kinds.values())


def test_an_endpoint_without_content_is_said_with_what_to_mend(tmp_path: Path, server: Server) -> None:
    """Status 204 is no answer: the address is most likely another service's."""
    workspace = world(tmp_path, server, "no_content")
    with open_store(workspace) as store:
        for checks, said in ((True, "no content"), (False, "status 204")):
            with pytest.raises(ConfigError, match=said) as caught:
                checked_replay(workspace, store, "spam", "c", checks=checks)
            assert "`base_url`" in f"{caught.value.message} {caught.value.hint}"


def test_a_hundred_megabytes_are_refused_by_their_length(tmp_path: Path, server: Server) -> None:
    """Replies of 100 MB are not read: where no other has come, the set-up is taken for wrong."""
    workspace = world(tmp_path, server, "huge", concurrency=1, timeout_s=30)
    with open_store(workspace) as store, pytest.raises(ConfigError, match="larger than 8 MB"):
        replay(workspace, store, "spam", "c", limit=2)


def test_a_limit_by_time_that_does_not_say_how_long_it_lasts_costs_no_call(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 without Retry-After is waited out: with no more in flight than it allows, no call is lost to it."""
    # A limit by the minute, and a minute's patience: all a hundred times as fast.
    policy = RetryPolicy(first_wait_s=0.005, longest_wait_s=0.6)
    monkeypatch.setitem(
        engines._FACTORIES, "openai", lambda _, candidate, config: OpenAIEngine(candidate, config, policy)
    )
    workspace = world(tmp_path, server, "counts_by_time", concurrency=4)
    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "c")
    assert (report.done, report.errors) == (CALLS, {})
    assert report.retried["rate_limited"] > 0


def test_retries_are_counted_by_kind_and_kept(tmp_path: Path, server: Server) -> None:
    """Each prompt is refused once: the report, the status and the store say how often and why."""
    workspace = world(tmp_path, server, "sometimes_limited")
    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "c")
        assert (report.done, report.errors, report.retries) == (CALLS, {}, CALLS)
        assert report.retried == {"rate_limited": CALLS}
        assert f"Asked again after a failure: {CALLS} times ({CALLS} × too many requests)" in report.text
        assert status(workspace, store)[0].retried == {"rate_limited": CALLS}
        rows = store.rows("SELECT attempts, retried FROM observations")
        assert {(row["attempts"], row["retried"]) for row in rows} == {(2, "rate_limited")}
        assert replay(workspace, store, "spam", "c").retried == {"rate_limited": CALLS}


class Mistaken:
    """An engine whose first three answers are another model's; the others take their time."""

    name = "mistaken"
    concurrency = 8
    description: Mapping[str, Any] = {}
    asked = 0

    async def check(self) -> None:
        """Have nothing to check."""

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Answer as another model, three times at once."""
        self.asked += 1
        if self.asked > 3:
            await asyncio.sleep(3600)
        await asyncio.sleep(0.1)
        return failure(ErrorKind.WRONG_MODEL, "asked 'm', answered by 'n'", 200)

    async def close(self) -> None:
        """Have nothing to close."""


def test_a_wrong_model_stops_after_three_and_says_how_many_were_in_flight(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third answer by another model stops the replay at once; all in flight are named and dropped."""
    workspace = world(tmp_path, server, "good", concurrency=8)
    monkeypatch.setitem(engines._FACTORIES, "openai", lambda *_: Mistaken())
    with open_store(workspace) as store:
        with pytest.raises(UsageError, match="3 times") as caught:
            replay(workspace, store, "spam", "c")
        assert "7 more were in flight and are asked again" in caught.value.message
        assert [row["error_kind"] for row in store.rows("SELECT error_kind FROM observations")] == [
            "wrong_model"
        ] * 3
        assert "7 more were in flight" in status(workspace, store)[0].note


def test_most_calls_failing_pauses_and_drops_the_failures() -> None:
    """Two of three calls fail: paused; the failures since it went bad are asked again."""
    late = Output(error=OutputError(ErrorKind.TIMEOUT, "late"))
    outcomes = Outcomes("c", "here", worked_before=True)
    recorded = []
    for number in range(10 * WINDOW):
        recorded += outcomes.take({"call": number}, Output(text="x") if number % 3 == 0 else late)
        if outcomes.stop is not None:
            break
    assert isinstance(outcomes.stop, EndpointUnreachable)
    assert f"{WINDOW_FAILURES} of the last" in outcomes.stop.message
    failed = [row for row, output in recorded if output.error]
    assert len(failed) <= 2


def test_a_server_that_is_silent_for_long_pauses_before_twenty_calls_have_failed() -> None:
    """Failures that each take minutes: eight in a row over more than a minute are enough."""
    late = Output(error=OutputError(ErrorKind.TIMEOUT, "late"))
    clock = [1_000.0]
    outcomes = Outcomes("c", "here", worked_before=True, clock=lambda: clock[0])
    outcomes.take({"call": -1}, Output(text="x"))
    clock[0] += 240.0
    for number in range(8):
        assert outcomes.stop is None
        outcomes.take({"call": number}, late)
    assert isinstance(outcomes.stop, EndpointUnreachable)
    assert "the last 8 calls" in outcomes.stop.message


def test_some_calls_failing_are_the_candidates_own() -> None:
    """One of four calls fails for ever: all are recorded, and few wait at any time."""
    late = Output(error=OutputError(ErrorKind.TIMEOUT, "late"))
    outcomes = Outcomes("c", "here", worked_before=True)
    recorded = []
    for number in range(2_000):
        recorded += outcomes.take({"call": number}, late if number % 4 == 0 else Output(text="x"))
        assert len(outcomes.held) <= HELD_MOST
    assert outcomes.stop is None
    assert len(recorded) + len(outcomes.held) == 2_000
    assert len(outcomes.held) <= 1
