"""Two workers on one replay: a stopped one is replaced, and writes nothing when it wakes up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving

from workbench.config import Workspace
from workbench.errors import EnvironmentalError
from workbench.replay.heartbeat import read_heartbeat
from workbench.replay.lease import LeaseLost, ReplayLease
from workbench.store.fence import last_epoch, late_parts
from workbench.store.replays import event_row
from workbench.store.spool import write_part

SILENCE_S = 1.5
CALLS = 900

RUN = """
import sys
from pathlib import Path
from workbench.config import Workspace
from workbench.errors import WorkbenchError
from workbench.replay import replay
from workbench.store import Store
workspace = Workspace.load(Path(sys.argv[1]))
with Store.open(workspace.store_path, spool=workspace.spool) as store:
    try:
        print(replay(workspace, store, "spam", "c", checks=False).answered, flush=True)
    except WorkbenchError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


def start(workspace: Workspace) -> subprocess.Popen[str]:
    """Replay in a process of its own, whose lease ends after a short silence."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(workspace.root)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"WORKBENCH_LEASE_S": str(SILENCE_S)},
    )


def wait_for_hits(server: Server, at_least: int) -> None:
    """Wait until the server was asked so often."""
    deadline = time.monotonic() + 60
    while server.stats("slow")["hits"] < at_least:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def observed(store: Any) -> list[dict[str, Any]]:
    """Return all observations."""
    return list(store.rows("SELECT * FROM observations ORDER BY seq"))


def test_a_stopped_worker_is_replaced_and_writes_nothing_when_it_wakes_up(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped past its lease, then woken while another goes on: nothing lost, nothing twice, nothing late."""
    keys = {"engine": "openai", "base_url": server.url("slow"), "model": "m", "timeout_s": 20}
    workspace = make_workspace(tmp_path, candidate_toml("c", **keys, concurrency=4))
    with open_store(workspace) as store:
        add_calls(store, CALLS)
    monkeypatch.setenv("WORKBENCH_LEASE_S", str(SILENCE_S))
    first = start(workspace)
    second: subprocess.Popen[str] | None = None
    try:
        wait_for_hits(server, 250)
        first.send_signal(signal.SIGSTOP)
        acknowledged = server.stats("slow")["hits"]
        with open_store(workspace) as store:
            replay_id = store.value("SELECT replay_id FROM replays")
        time.sleep(SILENCE_S + 0.5)
        second = start(workspace)
        wait_for_hits(server, acknowledged + 40)
        first.send_signal(signal.SIGCONT)
        said, _ = first.communicate(timeout=30)
        assert said.strip() == "LeaseLost"
        beat = read_heartbeat(workspace.spool, replay_id)
        assert beat is not None
        assert beat["pid"] == second.pid
        answered, _ = second.communicate(timeout=90)
    finally:
        for each in (first, second):
            if each is not None and each.poll() is None:
                each.kill()
                each.communicate()
    with open_store(workspace) as store:
        store.absorb()
        rows = observed(store)
        assert len(rows) == len({row["call_id"] for row in rows}) == CALLS
        # What the first had acknowledged was kept: the second asked only the rest.
        assert CALLS - acknowledged <= int(answered) <= CALLS - acknowledged + 4
        events = store.rows("SELECT event, detail FROM replay_events ORDER BY seq")
        assert [each["event"] for each in events] == ["started", "resumed", "finished"]
        assert len(store.rows("SELECT * FROM replays")) == 1
    prompts = server.stats("slow")["prompts"]
    assert len(prompts) == CALLS
    assert sum(count - 1 for count in prompts.values()) <= 2 * 4


def test_a_worker_that_is_heard_of_keeps_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the holder lives, another is refused however long the first works."""
    monkeypatch.setenv("WORKBENCH_LEASE_S", "0.6")
    with ReplayLease(tmp_path, "x") as held:
        time.sleep(1.0)
        with pytest.raises(EnvironmentalError, match=f"Process {os.getpid()} "):
            ReplayLease(tmp_path, "x", wait_s=0.2)
        held.require()


def test_a_loop_that_hangs_loses_its_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a loop, only its pulse counts as life: hung, it is replaced, and knows it afterwards."""
    monkeypatch.setenv("WORKBENCH_LEASE_S", "0.6")
    hung = ReplayLease(tmp_path, "x")
    with hung.pulsed():
        time.sleep(0.8)
        with ReplayLease(tmp_path, "x", wait_s=0.5) as other:
            assert other.epoch == hung.epoch + 1
            hung.pulse()
            with pytest.raises(LeaseLost):
                hung.require()
            other.require()
    hung.close()


def test_epochs_rise_even_where_the_leases_were_deleted(tmp_path: Path) -> None:
    """An epoch is above the last one that the store knows."""
    with ReplayLease(tmp_path, "x", above=7) as lease:
        assert lease.epoch == 8


def test_parts_of_a_replaced_worker_are_refused_and_kept_aside(tmp_path: Path) -> None:
    """A part of an older epoch, written after the next run began, is not loaded; others are."""
    workspace = make_workspace(tmp_path)
    replay_id = "0123456789abcdef" * 2

    def row(call: str) -> dict[str, Any]:
        return {
            "replay_id": replay_id,
            "call_id": call,
            "repeat": 0,
            "output": "{}",
            "attempts": 1,
        }

    with open_store(workspace) as store:
        store.append("replay_events", [event_row(replay_id, "started", {"epoch": 1})])
        write_part(workspace.spool, "observations", [row("a")], f"{replay_id}-00000001-aaaaaaaa-00000001")
        assert store.absorb() == 1
        store.append("replay_events", [event_row(replay_id, "resumed", {"epoch": 2})])
        late = write_part(
            workspace.spool, "observations", [row("b")], f"{replay_id}-00000001-aaaaaaaa-00000002"
        )
        write_part(workspace.spool, "observations", [row("c")], f"{replay_id}-00000002-bbbbbbbb-00000001")
        assert store.absorb() == 1
        assert [each["call_id"] for each in observed(store)] == ["a", "c"]
        (aside,) = store.quarantined()
        assert aside.path.name == late.name
        assert "epoch 1" in aside.reason
        assert late_parts(store, ["observations-other.parquet"]) == {}
        assert last_epoch(store, "spam", "none") == 0
