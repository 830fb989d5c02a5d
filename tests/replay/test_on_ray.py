"""Replays on Ray: lost actors and killed commands lose nothing, and nothing is answered twice."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ray_world import REPLAY, a_run, told
from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import Server, serving
from small_disk import small_disk

from workbench.config import Workspace
from workbench.engines.conformance import Needs
from workbench.errors import ConfigError, EnvironmentalError, ModelMissing, PrivacyRefused, UsageError
from workbench.records import Message, Request
from workbench.replay.on_ray import replay_on_ray
from workbench.replay.ray_actor import AnsweringActor
from workbench.replay.ray_run import SharedRun
from workbench.replay.ray_settings import error_from_json, error_to_json
from workbench.replay.remote_spool import RemoteSpool
from workbench.store.replays import requests_of
from workbench.store.spool import write_part

KEY = "canary-7f3a9c"
ACTORS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own, its counts cleared by each test."""
    with serving() as found:
        yield found


def world(root: Path, server: Server, behaviour: str = "slow", calls: int = 40, **keys: Any) -> Workspace:
    """Make a workspace with calls and one candidate `c` at a behaviour of the server."""
    server.reset()
    keys = {"engine": "openai", "base_url": server.url(behaviour), "model": "m", "concurrency": 4} | keys
    workspace = make_workspace(root, candidate_toml("c", **keys))
    with open_store(workspace) as store:
        add_calls(store, calls)
    return workspace


def asked(server: Server, behaviour: str = "slow") -> dict[str, int]:
    """Return how often each call of the log was asked; checks of the candidate are left out."""
    prompts = server.stats(behaviour)["prompts"]
    return {text: count for text, count in prompts.items() if text.startswith("Message ")}


def answers(workspace: Workspace) -> list[str]:
    """Return the calls of all observations in the store."""
    with open_store(workspace) as store:
        return [row["call_id"] for row in store.rows("SELECT call_id FROM observations")]


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_piece_given_out_again_is_asked_only_what_it_lacks(
    kind: str, tmp_path: Path, server: Server
) -> None:
    """Parts of a lost actor count: another one asks the rest, and the store gets each answer once."""
    workspace = world(tmp_path / "w", server)
    url = f"memory://{tmp_path.name}/spool" if kind == "memory" else f"file://{tmp_path}/spool"
    run, files = a_run(workspace, url)
    first = AnsweringActor(url, run.folder)
    reports = told(first, files[:2])
    assert [(each["state"], each["answered"]) for each in reports] == [("finished", 10)] * 2
    second = AnsweringActor(url, run.folder)
    reports = told(second, files)
    assert [each["answered"] for each in reports] == [0, 0, 10, 10]
    assert set(asked(server).values()) == {1}
    assert run.take_parts(workspace.spool) == 40
    assert run.take_parts(workspace.spool) == 0
    with open_store(workspace) as store:
        assert store.absorb() == 40
    # The command was killed before it noted that: the parts are taken once more, and loaded once.
    assert SharedRun(RemoteSpool(url), REPLAY, 1).end(workspace.spool) == 40
    with open_store(workspace) as store:
        assert store.absorb() == 0
    assert len(answers(workspace)) == len(set(answers(workspace))) == 40
    first.close()
    second.close()


def test_a_piece_that_kills_its_actors_is_not_given_out_for_ever(tmp_path: Path, server: Server) -> None:
    """After six lost actors the run ends with the reason; the answers there are stay."""
    workspace = world(tmp_path / "w", server)
    run, files = a_run(workspace, str(tmp_path / "spool"))
    for attempt in range(6):
        run.spool.write(f"{run.folder}/attempts/p00000000/{attempt + 1:04d}", b"begun")
    actor = AnsweringActor(str(tmp_path / "spool"), run.folder)
    first, second = told(actor, files[:2])
    assert (first["state"], second["state"]) == ("failed", "finished")
    assert "6 actors died" in first["error"]
    actor.close()


def test_checks_that_no_actor_got_answers_to_are_told_and_not_passed(tmp_path: Path, server: Server) -> None:
    """The piece is answered all the same; whoever checks later and is answered is believed."""
    workspace = world(tmp_path / "w", server, "busy_at_first", parameters={"logprobs": False})
    run, files = a_run(workspace, str(tmp_path / "spool"), needs=Needs())
    first = AnsweringActor(str(tmp_path / "spool"), run.folder)
    assert [each["state"] for each in told(first, files[:1])] == ["finished"]
    found = run.check_found()
    assert found is not None
    assert found.unanswered
    second = AnsweringActor(str(tmp_path / "spool"), run.folder)
    assert [each["state"] for each in told(second, files[1:2])] == ["finished"]
    found = run.check_found()
    assert found is not None
    assert not found.unanswered
    first.close()
    second.close()


def test_a_run_that_was_ended_takes_no_more_answers(tmp_path: Path, server: Server) -> None:
    """An actor that outlives its command asks nothing more and writes nothing more."""
    workspace = world(tmp_path / "w", server)
    run, files = a_run(workspace, str(tmp_path / "spool"))
    actor = AnsweringActor(str(tmp_path / "spool"), run.folder)
    told(actor, files[:1])
    run.end(workspace.spool)
    assert [each["state"] for each in told(actor, files[1:])] == ["interrupted"] * 3
    assert len(asked(server)) == 10
    actor.close()


def test_stopped_actors_write_what_they_have(tmp_path: Path, server: Server) -> None:
    """On a stop the piece ends early, and every answer that came is in a part."""
    workspace = world(tmp_path / "w", server, "sluggish", calls=40, concurrency=2)
    run, files = a_run(workspace, str(tmp_path / "spool"))
    actor = AnsweringActor(str(tmp_path / "spool"), run.folder)
    reports: list[dict[str, Any]] = []
    working = threading.Thread(target=lambda: reports.extend(told(actor, files)))
    working.start()
    wait_for(lambda: server.stats("sluggish")["hits"] >= 3, "nothing was asked")
    run.stop()
    working.join(20)
    assert {each["state"] for each in reports} == {"interrupted"}
    answered = sum(each["answered"] for each in reports)
    assert 1 <= answered < 20
    assert run.take_parts(workspace.spool) == answered
    actor.close()


def test_a_wrong_model_stops_all_with_the_reason(tmp_path: Path, server: Server) -> None:
    """What an actor finds out travels as an error that the command raises again."""
    workspace = world(tmp_path / "w", server, "wrong_model")
    run, files = a_run(workspace, str(tmp_path / "spool"))
    actor = AnsweringActor(str(tmp_path / "spool"), run.folder)
    (report,) = told(actor, files[:1])
    error = error_from_json(report["error"])
    assert report["state"] == "paused"
    assert isinstance(error, UsageError)
    assert "3 times" in error.message
    assert "answers_as" in error.hint
    actor.close()


def test_errors_keep_their_kind_between_machines() -> None:
    """Kind, message and hint survive; a kind that is none becomes an error of the environment."""
    error = error_from_json(error_to_json(PrivacyRefused("a", "b")))
    assert isinstance(error, PrivacyRefused)
    assert (error.message, error.hint, error_from_json("")) == ("a", "b", None)
    assert error_from_json('{"kind": "did_you_mean", "message": "m", "hint": ""}') is not None


def test_only_parts_of_this_run_are_taken(tmp_path: Path, server: Server) -> None:
    """Who can write into the storage can't fill other tables, nor another replay."""
    workspace = world(tmp_path / "w", server)
    run, _ = a_run(workspace, str(tmp_path / "spool"))
    parts = tmp_path / "spool" / run.folder / "parts" / "p00000000"
    write_part(parts, "labels", [{"label_id": "x"}], f"{REPLAY}-00000001-x")
    write_part(parts, "observations", [{"replay_id": "z"}], f"{'cd' * 16}-00000001-x")
    assert run.take_parts(workspace.spool) == 0
    assert list(workspace.spool.glob("*.parquet")) == []


def test_parts_that_the_full_disk_of_the_store_refuses_are_taken_when_there_is_room(
    tmp_path: Path, server: Server
) -> None:
    """A full disk is said with what to do, no half part is left, and the next try takes the part."""
    run, _ = a_run(world(tmp_path / "w", server), str(tmp_path / "spool"))
    row = {"replay_id": REPLAY, "error_kind": "http", "input_tokens": 1, "output_tokens": 1}
    parts = tmp_path / "spool" / run.folder / "parts" / "p00000000"
    write_part(parts, "observations", [row | {"retried": "http"}], f"{REPLAY}-00000001-x")
    with small_disk(tmp_path / "disk") as disk:
        into = disk.path / "spool"
        into.mkdir()
        disk.fill()
        with pytest.raises(EnvironmentalError, match="can't be written") as refused:
            run.take_parts(into)
        assert "Make room" in (refused.value.hint or "")
        assert list(into.iterdir()) == []
        disk.make_room()
        assert run.take_parts(into) == 1


def test_the_prompt_patch_is_in_the_plan(tmp_path: Path, server: Server) -> None:
    """Actors have no store, so requests are patched before they go out; pieces keep the order."""
    workspace = world(tmp_path / "w", server, calls=5)
    run = SharedRun(RemoteSpool(str(tmp_path / "spool")), REPLAY, 1)
    with open_store(workspace) as store:
        todo = [(row["call_id"], 0) for row in store.rows("SELECT call_id FROM calls ORDER BY native_id")]
        files = run.write_plan(
            [todo],
            len(todo),
            lambda call_ids: requests_of(store, call_ids),
            lambda request: Request((Message("user", "patched"), *request.messages)),
            actors=1,
        )
    actor = AnsweringActor(str(tmp_path / "spool"), run.folder)
    rows = [row for file in files for row in actor._planned(file)]
    assert [(row["call_id"], row["repeat"]) for row in rows] == todo
    assert all('"patched"' in row["request"] for row in rows)
    actor.close()


def test_what_can_not_be_is_refused_before_ray_starts(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set-up mistakes name the key or the package, and start nothing."""
    workspace = world(tmp_path, server, calls=2)
    config = (tmp_path / "workbench.toml").read_text()
    with open_store(workspace) as store:
        with pytest.raises(UsageError, match="all of its machines"):
            replay_on_ray(workspace, store, "spam", "c", address="auto")
        with pytest.raises(UsageError, match="HOST:PORT"):
            replay_on_ray(workspace, store, "spam", "c", address="ray://10.0.0.1:10001", spool=str(tmp_path))
        with pytest.raises(PrivacyRefused, match="internal"):
            replay_on_ray(workspace, store, "spam", "c", address="8.8.8.8:6379", spool=str(tmp_path))
        (tmp_path / "workbench.toml").write_text(config + '[ray]\nzone = "intern"\n')
        with pytest.raises(ConfigError, match=r"ray\.zone"):
            Workspace.load(tmp_path)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ModelMissing) as missing:
            replay_on_ray(workspace, store, "spam", "c")
        assert "pip install 'shadow-workbench[ray]'" in missing.value.hint
        assert store.rows("SELECT * FROM replay_events") == []
    assert server.stats("slow")["hits"] == 0


def wait_for(condition: Any, otherwise: str, seconds: float = 180.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


@pytest.fixture
def commands() -> Iterator[list[subprocess.Popen[bytes]]]:
    """What a test started; killed at its end if it still runs."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for each in started:
        each.kill()
        each.wait()
        if each.stdout is not None:
            each.stdout.close()


def start(
    workspace: Workspace, log: Path, commands: list[subprocess.Popen[bytes]]
) -> subprocess.Popen[bytes]:
    """Run the command in a process of its own, with a key in its environment."""
    command = [sys.executable, "-m", "workbench", "replay", "--workspace", str(workspace.root), "--json"]
    command += ["--task", "spam", "--candidate", "c", "--on", "ray", "--actors", str(ACTORS)]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=os.environ | {"WB_RAY_KEY": KEY}
        )
    commands.append(process)
    return process


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return a command's process and all that it started."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def actors_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes of a command's actors."""
    found = []
    for each in family(process):
        try:
            if "AnsweringActor" in " ".join(each.cmdline()):
                found.append(each)
        except psutil.Error:
            continue
    return found


def left_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that still run after some seconds."""

    def running(each: psutil.Process) -> bool:
        try:
            return each.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    deadline = time.monotonic() + 20
    while (left := [each for each in processes if running(each)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def listening(processes: list[psutil.Process]) -> set[str]:
    """Return the addresses at which processes take connections."""
    found = set()
    for each in processes:
        try:
            connections = each.net_connections(kind="tcp")
        except psutil.Error:
            continue
        found |= {link.laddr.ip for link in connections if link.status == psutil.CONN_LISTEN}
    return found


def files_with(text: str, *folders: Path) -> list[Path]:
    """Return the files below folders that hold a text."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [path for path in paths if text.encode() in path.read_bytes()]


@pytest.mark.slow
def test_a_lost_actor_and_a_killed_command_lose_nothing(
    tmp_path: Path, server: Server, commands: list[subprocess.Popen[bytes]]
) -> None:
    """Of 4 actors one is killed, then the command; a resume is stopped, another ends: one answer a call."""
    calls, concurrency = 800, 4
    workspace = world(tmp_path, server, calls=calls, concurrency=concurrency, api_key_env="WB_RAY_KEY")
    log = tmp_path / "errors.txt"

    worker = start(workspace, log, commands)
    wait_for(lambda: len(asked(server)) >= 100, "the actors never began")
    wait_for(lambda: len(actors_of(worker)) >= ACTORS, f"fewer than {ACTORS} actors were made")
    started = family(worker)
    victims = actors_of(worker)
    assert len(victims) == ACTORS
    assert listening(started) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    victims[0].kill()
    wait_for(lambda: len(asked(server)) >= 350, "the replay did not go on after an actor was lost")
    assert sum(asked(server).values()) - len(asked(server)) <= concurrency
    assert files_with(KEY, workspace.spool) == []
    worker.kill()
    worker.communicate()
    assert left_of(started) == []

    worker = start(workspace, log, commands)
    before = len(asked(server))
    wait_for(lambda: len(asked(server)) >= before + 100, "the resume never began")
    worker.send_signal(signal.SIGINT)  # Before the look at its processes: that takes as long as many calls.
    started = family(worker)
    assert len(started) > 1
    worker.communicate(timeout=180)
    assert worker.returncode == 130
    assert "Run the same command again" in log.read_text()
    assert left_of(started) == []
    kept = len(answers(workspace))
    assert before - ACTORS * concurrency <= kept < calls

    worker = start(workspace, log, commands)
    output, _ = worker.communicate(timeout=180)
    assert worker.returncode == 0, log.read_text()
    assert json.loads(output)["state"] == "finished"
    found = answers(workspace)
    assert len(found) == len(set(found)) == calls
    again = sum(asked(server).values()) - calls
    # In flight: of the actor that was killed, of all four when the command was, and when it was stopped.
    assert again <= concurrency * (1 + ACTORS + ACTORS)
    assert not any((workspace.spool / "ray").glob("*/*"))
    with open_store(workspace) as store:
        events = [row["event"] for row in store.rows("SELECT event FROM replay_events ORDER BY seq")]
        assert store.quarantined() == []
    assert events == ["started", "checked", "resumed", "interrupted", "resumed", "finished"]
