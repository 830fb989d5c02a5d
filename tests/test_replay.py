"""Replays: the same command resumes, growth keeps the sample, failures and kills lose nothing."""

from __future__ import annotations

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nursery import nursery
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench.config import Workspace
from workbench.engines.retries import RetryPolicy
from workbench.errors import (
    ConfigError,
    EndpointUnreachable,
    EnvironmentalError,
    PrivacyRefused,
    UsageError,
)
from workbench.progress import Progress
from workbench.records import ErrorKind, Output, OutputError
from workbench.replay import replay as checked_replay
from workbench.replay import status
from workbench.replay.heartbeat import read_heartbeat
from workbench.replay.lease import ReplayLease
from workbench.replay.outcomes import Outcomes
from workbench.store import Store

replay = functools.partial(checked_replay, checks=False)
"""Without the calls that check a candidate, so that each request of a test is one of its own."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own, its counts cleared by each test."""
    with serving() as found:
        yield found


def world(root: Path, server: Server, behaviour: str = "good", calls: int = 60, **keys: Any) -> Workspace:
    """Make a workspace with calls and one candidate `c` at a behaviour of the server."""
    server.reset()
    keys = {"engine": "openai", "base_url": server.url(behaviour), "model": "m", "timeout_s": 5} | keys
    workspace = make_workspace(root, candidate_toml("c", **keys))
    with open_store(workspace) as store:
        add_calls(store, calls)
    return workspace


def observations(store: Store) -> list[dict[str, Any]]:
    """Return every observation."""
    return store.rows("SELECT * FROM observations ORDER BY seq")


def events(store: Store) -> list[str]:
    """Return what happened to all replays."""
    return [row["event"] for row in store.rows("SELECT event FROM replay_events ORDER BY seq")]


def test_the_same_command_again_does_nothing(tmp_path: Path, server: Server) -> None:
    """A finished replay is left alone: no request, no row, the same report."""
    workspace = world(tmp_path, server)
    heard: list[Progress] = []
    with open_store(workspace) as store:
        first = replay(workspace, store, "spam", "c", listener=heard.append)
        version = store.version()
        second = replay(workspace, store, "spam", "c")
        assert (first.done, first.answered, first.state) == (60, 60, "finished")
        assert (second.done, second.answered, second.replay_id) == (60, 0, first.replay_id)
        assert store.version() == version
        rows = observations(store)
        assert len(rows) == len({row["call_id"] for row in rows}) == 60
        assert all(row["text"] in ("spam", "ham") and row["attempts"] == 1 for row in rows)
        assert all(row["input_tokens"] == 12 and row["latency_ms"] > 0 for row in rows)
        assert events(store) == ["started", "finished"]
        (state,) = status(workspace, store)
        assert (state.state, state.done, state.planned, state.errors) == ("finished", 60, 60, {})
    assert server.stats("good")["hits"] == 60
    assert heard[-1].done == heard[-1].total == 60


def test_a_larger_limit_keeps_the_earlier_sample(tmp_path: Path, server: Server) -> None:
    """Growth adds a batch and asks nobody twice; the union is what one larger draw gives."""
    workspace = world(tmp_path, server, calls=200)
    with open_store(workspace) as store:
        small = replay(workspace, store, "spam", "c", limit=80)
        sample = {row["call_id"] for row in observations(store)}
        grown = replay(workspace, store, "spam", "c", limit=150)
        again = replay(workspace, store, "spam", "c", limit=30)
        assert (small.done, grown.done, grown.batches, again.answered) == (80, 150, 2, 0)
        assert "does not shrink" in again.text
        union = {row["call_id"] for row in observations(store)}
        assert sample < union
        replay(workspace, store, "spam", "c", limit=150, new=True)
        plans = store.rows(
            "SELECT list(call_id ORDER BY call_id) AS calls FROM replay_calls GROUP BY replay_id"
        )
        assert len(plans) == 2
        assert plans[0]["calls"] == plans[1]["calls"]
        chances = store.rows("SELECT DISTINCT batch, inclusion_probability AS p FROM replay_calls ORDER BY 1")
        assert {(row["batch"], row["p"]) for row in chances} == {(1, 0.4), (2, 0.75), (1, 0.75)}
    assert server.stats("good")["hits"] == 300


def test_only_calls_with_a_control_are_asked(tmp_path: Path, server: Server) -> None:
    """A call without a recorded output is not replayed; imported later, new calls join as a batch."""
    workspace = world(tmp_path, server, calls=10)
    with open_store(workspace) as store:
        add_calls(store, 5, start=10, without_control=5)
        assert replay(workspace, store, "spam", "c").done == 10
        add_calls(store, 5, start=20)
        assert replay(workspace, store, "spam", "c").done == 15


def test_repeats_ask_every_call_once_before_any_twice(tmp_path: Path, server: Server) -> None:
    """Repeats are kept apart, and come after the first answers to all calls."""
    workspace = world(tmp_path, server, calls=20, concurrency=1)
    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "c", repeats=3)
        assert (report.planned, report.done, report.calls) == (60, 60, 20)
        assert [row["repeat"] for row in observations(store)] == [0] * 20 + [1] * 20 + [2] * 20
        with pytest.raises(UsageError, match="seed 0 and 1 times"):
            replay(workspace, store, "spam", "c")


def test_a_random_core_is_sent_first_then_what_begins_alike(tmp_path: Path, server: Server) -> None:
    """The first 50 of a batch are in drawn order; the rest are sorted by length of input."""
    workspace = world(tmp_path, server, calls=120)
    with open_store(workspace) as store:
        replay(workspace, store, "spam", "c")
        rows = store.rows(
            "SELECT c.input_chars, p.rank, p.audit_key FROM replay_calls p JOIN calls c USING (call_id) "
            "ORDER BY rank"
        )
    lengths = [row["input_chars"] for row in rows]
    assert lengths[50:] == sorted(lengths[50:])
    assert lengths[:50] != sorted(lengths[:50])
    assert len({row["audit_key"] for row in rows}) == 120


def test_a_dry_run_sends_and_stores_nothing(tmp_path: Path, server: Server) -> None:
    """A dry run counts and estimates; the server sees nothing and the store stays as it was."""
    workspace = world(tmp_path, server)
    with open_store(workspace) as store:
        version = store.version()
        report = replay(workspace, store, "spam", "c", limit=40, dry_run=True)
        assert (report.planned, report.estimated_input_tokens, report.estimated_output_tokens) == (
            40,
            800,
            40,
        )
        assert store.version() == version
    assert server.stats("good") == {"hits": 0, "checks": 0, "prompts": {}, "last": None}


def test_private_data_is_refused_before_anything_is_sent(tmp_path: Path, server: Server) -> None:
    """An external candidate of an internal task gets 0 requests; allowed by the eval, it gets them."""
    workspace = world(tmp_path, server, zone="external")
    with open_store(workspace) as store:
        for dry_run in (True, False):
            with pytest.raises(PrivacyRefused, match="may not leave"):
                replay(workspace, store, "spam", "c", dry_run=dry_run)
        assert store.rows("SELECT * FROM replays") == []
        assert server.stats("good")["hits"] == server.stats("good")["checks"] == 0
        eval_file = tmp_path / "evals" / "spam" / "eval.toml"
        eval_file.write_text(eval_file.read_text().replace('"internal"', '"external"'))
        assert replay(Workspace.load(tmp_path), store, "spam", "c").done == 60


def test_a_server_that_is_down_is_known_before_anything_is_planned(tmp_path: Path, server: Server) -> None:
    """Nothing at the address: exit code 3, no replay, no observation."""
    workspace = world(tmp_path, server, base_url="http://127.0.0.1:9/v1")
    with open_store(workspace) as store:
        with pytest.raises(EndpointUnreachable) as caught:
            replay(workspace, store, "spam", "c")
        assert caught.value.exit_code == 3
        assert store.rows("SELECT * FROM replays") == []


def test_a_server_that_goes_down_pauses_the_replay(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 30 good answers all fail: paused, failures unrecorded; a server that is back is asked on."""
    # A minute of patience is a moment here.
    monkeypatch.setattr(RetryPolicy, "wait_s", lambda *_: 0.02)
    workspace = world(tmp_path, server, "half_down", calls=80, concurrency=8)
    with open_store(workspace) as store:
        with pytest.raises(EndpointUnreachable, match="paused"):
            replay(workspace, store, "spam", "c")
        rows = observations(store)
        assert len(rows) == 30
        assert all(row["error_kind"] is None for row in rows)
        assert events(store) == ["started", "paused"]
        assert status(workspace, store)[0].state == "paused"
        server.reset()
        with pytest.raises(EndpointUnreachable):
            replay(workspace, store, "spam", "c")
        server.reset()
        assert replay(workspace, store, "spam", "c").done == 80
        assert status(workspace, store)[0].state == "finished"


def test_ordinary_errors_are_the_candidates_and_are_recorded(tmp_path: Path, server: Server) -> None:
    """Empty answers are recorded, counted by kind, and not asked again."""
    workspace = world(tmp_path, server, "empty", calls=30)
    with open_store(workspace) as store:
        report = replay(workspace, store, "spam", "c")
        assert report.errors == {"empty": 30}
        assert "count against the candidate" in report.text
        assert replay(workspace, store, "spam", "c").answered == 0
        assert status(workspace, store)[0].errors == {"empty": 30}


def test_a_wrong_model_stops_the_replay_after_three(tmp_path: Path, server: Server) -> None:
    """Three answers by another model stop it, with the way to say that this is meant."""
    workspace = world(tmp_path, server, "wrong_model", concurrency=1)
    with open_store(workspace) as store:
        with pytest.raises(UsageError, match="asked 'm', answered by 'm-mini', 3 times"):
            replay(workspace, store, "spam", "c")
        assert [row["error_kind"] for row in observations(store)] == ["wrong_model"] * 3
    meant = world(tmp_path / "meant", server, "wrong_model", parameters={"answers_as": "m-mini"})
    with open_store(meant) as store:
        assert replay(meant, store, "spam", "c").errors == {}


@pytest.mark.parametrize("behaviour", ["unauthorised", "redirect"])
def test_refused_set_ups_stop_at_once_and_record_nothing(
    tmp_path: Path, server: Server, behaviour: str
) -> None:
    """A refused key or a redirect is a matter of configuration, not of the candidate's answers."""
    workspace = world(tmp_path, server, behaviour, concurrency=1)
    with open_store(workspace) as store:
        with pytest.raises(ConfigError, match="refuses the calls"):
            replay(workspace, store, "spam", "c")
        assert observations(store) == []
    assert server.stats(behaviour)["hits"] == 3
    assert server.stats("good")["hits"] == 0


def test_a_page_in_place_of_an_endpoint_is_a_matter_of_set_up(tmp_path: Path, server: Server) -> None:
    """A web page says that the address is wrong: nothing is recorded; a lone one among answers is."""
    workspace = world(tmp_path, server, "html", concurrency=1)
    with open_store(workspace) as store:
        with pytest.raises(ConfigError, match="does not answer as a chat completions endpoint") as refused:
            replay(workspace, store, "spam", "c")
        assert "base_url" in refused.value.hint
        assert observations(store) == []
    page = Output(error=OutputError(ErrorKind.INVALID_RESPONSE, "an HTML page", 200))
    outcomes = Outcomes("c", "here", worked_before=True)
    assert outcomes.take({"call": 1}, page) == []
    assert [row for row, _ in outcomes.take({"call": 2}, Output(text="x"))] == [{"call": 1}, {"call": 2}]


SHUT = [
    OutputError(ErrorKind.HTTP, "revoked", 401),
    OutputError(ErrorKind.HTTP, "pay first", 402),
    OutputError(ErrorKind.HTTP, "moved", 307),
    OutputError(ErrorKind.HTTP, "nothing here", 204),
    OutputError(ErrorKind.INVALID_RESPONSE, "an HTML page", 200),
]


@pytest.mark.parametrize("error", SHUT, ids=lambda error: f"{error.kind}-{error.status}")
def test_a_server_that_shuts_in_the_middle_pauses_and_burns_no_call(error: OutputError) -> None:
    """Twenty such refusals in a row are dropped, three at the end too; one among answers is recorded."""
    outcomes = Outcomes("c", "here", worked_before=True)
    for number in range(20):
        assert outcomes.stop is None
        assert outcomes.take({"call": number}, Output(error=error)) == []
    assert isinstance(outcomes.stop, ConfigError)
    assert "not recorded" in outcomes.stop.hint
    ending = Outcomes("c", "here", worked_before=True)
    for number in range(3):
        ending.take({"call": number}, Output(error=error))
    assert isinstance(ending.conclude(), ConfigError)
    lone = Outcomes("c", "here", worked_before=True)
    lone.take({"call": 1}, Output(error=error))
    assert lone.conclude() is None
    assert [row for row, _ in lone.take({"call": 2}, Output(text="x"))] == [{"call": 1}, {"call": 2}]


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_of_what_one_call_asks_is_the_candidates_once_others_are_answered(status: int) -> None:
    """A prompt that is too long for it, or a tool that it does not know, is its own failure."""
    outcomes = Outcomes("c", "here", worked_before=True)
    refused = Output(error=OutputError(ErrorKind.HTTP, "too long", status))
    for number in range(60):
        assert [row for row, _ in outcomes.take({"call": number}, refused)] == [{"call": number}]
    assert outcomes.stop is None


def test_a_lone_failure_is_recorded_once_the_server_works_again() -> None:
    """A failure before a success is the call's own; 20 in a row stop the replay unrecorded."""
    timeout = Output(error=OutputError(ErrorKind.TIMEOUT, "late"))
    outcomes = Outcomes("c", "here", worked_before=False)
    assert outcomes.take({"call": 1}, timeout) == []
    assert [row for row, _ in outcomes.take({"call": 2}, Output(text="x"))] == [{"call": 1}, {"call": 2}]
    for number in range(20):
        assert outcomes.stop is None
        assert outcomes.take({"call": number}, timeout) == []
    assert isinstance(outcomes.stop, EndpointUnreachable)


def test_the_key_is_nowhere_in_the_workspace(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A canary key that the server echoes is in no file of store and spool, while one runs or after."""
    monkeypatch.setenv("CANARY_KEY", "sk-canary-4711")
    workspace = world(tmp_path, server, "echo", api_key_env="CANARY_KEY")
    with open_store(workspace) as store:
        assert replay(workspace, store, "spam", "c").done == 60
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"sk-canary-4711" not in path.read_bytes(), path


def test_two_workers_do_not_share_a_replay(tmp_path: Path, server: Server) -> None:
    """The second worker is refused with the process of the first, and sends nothing."""
    workspace = world(tmp_path, server)
    fingerprint = workspace.fingerprint(workspace.candidate("c"))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(workspace.spool), f"spam-{fingerprint}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGSTOP)
        with (
            open_store(workspace) as store,
            pytest.raises(EnvironmentalError, match=f"Process {holder.pid} "),
        ):
            replay(workspace, store, "spam", "c")
        assert server.stats("good")["hits"] == 0
    finally:
        holder.kill()
        holder.communicate()
    with open_store(workspace) as store:
        assert replay(workspace, store, "spam", "c").done == 60


HOLD = """
import sys
from pathlib import Path
from workbench.replay.lease import ReplayLease
lease = ReplayLease(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_worker_whose_lease_is_gone_writes_nothing_more(tmp_path: Path) -> None:
    """A lease taken anew under another file has a higher epoch or refuses the old holder's writes."""
    first = ReplayLease(tmp_path, "x")
    first.require()
    (tmp_path / "leases" / "x.00000001.lease").unlink()
    second = ReplayLease(tmp_path, "x")
    second.require()
    with pytest.raises(EnvironmentalError, match="lost its lease"):
        first.require()
    second.close()
    assert ReplayLease(tmp_path, "x").epoch == second.epoch + 1


RUN = """
import sys
from pathlib import Path
from workbench.config import Workspace
from workbench.replay import replay
from workbench.store import Store
workspace = Workspace.load(Path(sys.argv[1]))
with Store.open(workspace.store_path, spool=workspace.spool) as store:
    print(replay(workspace, store, "spam", "c", checks=False).answered, flush=True)
"""


def start(workspace: Workspace) -> subprocess.Popen[bytes]:
    """Replay in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(workspace.root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for_hits(server: Server, behaviour: str, at_least: int) -> None:
    """Wait until the server was asked so often."""
    deadline = time.monotonic() + 60
    while server.stats(behaviour)["hits"] < at_least:
        assert time.monotonic() < deadline, "the replay never got so far"
        time.sleep(0.01)


KILL_PARTS = 4
FORKED = """
from pathlib import Path
from workbench.config import Workspace
from workbench.replay import replay
import workbench.store.engine, workbench.replay.run, workbench.engines.openai_api
from workbench.store import Store

def run(root):
    workspace = Workspace.load(Path(root))
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        replay(workspace, store, "spam", "c", checks=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("part", range(KILL_PARTS))
def test_kills_at_random_points_lose_nothing_and_double_nothing(
    tmp_path: Path, server: Server, part: int
) -> None:
    """Killed again and again, a replay asks anew what was in flight, and ends with one observation a call.

    200 kills in all parts together, or WORKBENCH_KILLS; every kill counts.
    """
    kills, concurrency = int(os.environ.get("WORKBENCH_KILLS", "200")) // KILL_PARTS, 8
    calls = 20 * kills
    workspace = world(tmp_path, server, "slow", calls=calls, concurrency=concurrency)
    dice = random.Random(7 + part)
    killed = finished = 0
    with nursery(FORKED) as children:
        while killed < kills:
            asked = server.stats("slow")["hits"]
            worker = children.start(str(workspace.root))
            if dice.random() < 0.8:
                target = asked + dice.randint(1, calls // kills)
                deadline = time.monotonic() + 60
                while worker.poll() is None and server.stats("slow")["hits"] < target:
                    assert time.monotonic() < deadline
                    time.sleep(0.002)
            else:
                time.sleep(0.3 * dice.random())
            killed += worker.kill()
            finished += worker.wait() == 0
            assert worker.wait() in (0, -signal.SIGKILL)
            assert finished == 0, "too few calls for so many kills"
        assert children.start(str(workspace.root)).wait() == 0
    with open_store(workspace) as store:
        rows = observations(store)
        assert len(rows) == len({(row["replay_id"], row["call_id"], row["repeat"]) for row in rows}) == calls
        assert {row["text"] for row in rows} == {"spam", "ham"}
        assert len(store.rows("SELECT * FROM replays")) == 1
    prompts = server.stats("slow")["prompts"]
    assert len(prompts) == calls
    asked_again = sum(count - 1 for count in prompts.values())
    assert asked_again <= killed * concurrency
    assert not list((workspace.spool / "answers").rglob("*.answers"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_every_answer_and_says_how_to_go_on(
    tmp_path: Path, server: Server, how: signal.Signals
) -> None:
    """Interrupted, a replay keeps what was answered; a resume asks only what was in flight."""
    workspace = world(tmp_path, server, "slow", calls=600, concurrency=4)
    worker = start(workspace)
    wait_for_hits(server, "slow", 40)
    worker.send_signal(how)
    _, errors = worker.communicate(timeout=60)
    assert b"Run the same command again to go on" in errors
    with open_store(workspace) as store:
        kept = len(observations(store))
        assert 40 - 4 <= kept < 600
        assert server.stats("slow")["hits"] - kept <= 4
        assert events(store) == ["started", "interrupted"]
        (state,) = status(workspace, store)
        assert (state.state, state.done) == ("interrupted", kept)
        assert replay(workspace, store, "spam", "c").done == 600
    assert server.stats("slow")["hits"] <= 604


def test_a_running_replay_can_be_watched(tmp_path: Path, server: Server) -> None:
    """While a worker runs, others use the store and see it run; killed, it shows as stopped."""
    workspace = world(tmp_path, server, "slow", calls=600, concurrency=2)
    worker = start(workspace)
    wait_for_hits(server, "slow", 60)
    time.sleep(1.1)
    with open_store(workspace) as store:
        (state,) = status(workspace, store)
        assert (state.state, state.pid, state.planned) == ("running", worker.pid, 600)
        assert state.done > 0
        assert state.calls_per_s is not None
        assert state.eta_s is not None
        worker.kill()
        worker.communicate()
        assert status(workspace, store)[0].state == "stopped"
        document = read_heartbeat(workspace.spool, state.replay_id)
        assert document is not None
        json.dumps(document)


def test_a_replay_runs_where_a_loop_runs_already(tmp_path: Path, server: Server) -> None:
    """In a notebook, where an event loop runs, a replay works as anywhere."""
    import asyncio

    workspace = world(tmp_path, server, calls=10)

    async def cell() -> int:
        with open_store(workspace) as store:
            return replay(workspace, store, "spam", "c").done

    assert asyncio.run(cell()) == 10


def test_recorded_outputs_are_joined_on_native_ids(tmp_path: Path, server: Server) -> None:
    """Outputs of a file become observations; calls it lacks are missing, and count as such."""
    lines = ["row,answer", *(f"row-{index},spam" for index in range(8))]
    (tmp_path / "outputs.csv").write_text("\n".join(lines) + "\n")
    recorded = candidate_toml(
        "r", engine="recorded", outputs="outputs.csv", map={"id": "row", "output": "answer"}
    )
    workspace = make_workspace(tmp_path, recorded)
    with open_store(workspace) as store:
        add_calls(store, 10)
        report = replay(workspace, store, "spam", "r")
        assert (report.done, report.errors) == (10, {"missing": 2})
        (tmp_path / "outputs.csv").write_text("row,answer\nother,spam\n")
        with pytest.raises(UsageError, match="none of its 1 ids"):
            replay(workspace, store, "spam", "r")


def test_tasks_without_calls_and_senseless_limits_are_refused(tmp_path: Path, server: Server) -> None:
    """A task without calls names the import; a limit of 0 is refused."""
    workspace = make_workspace(
        tmp_path, candidate_toml("c", engine="openai", base_url=server.url("good"), model="m")
    )
    with open_store(workspace) as store:
        with pytest.raises(UsageError, match="no call with a prompt and a recorded output"):
            replay(workspace, store, "spam", "c")
        with pytest.raises(UsageError, match="at least 1"):
            replay(workspace, store, "spam", "c", limit=0)
