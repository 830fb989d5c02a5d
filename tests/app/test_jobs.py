"""Commands that the app starts, as real processes: they outlive the page, and their end is known."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from app_building import make_workspace

from workbench.config import Workspace
from workbench.ui import jobs


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Give an empty workspace."""
    return make_workspace(tmp_path / "w")


def ended(workspace: Workspace, name: str, seconds: float = 60) -> jobs.Job:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = next(each for each in jobs.recent(workspace) if each.name == name)
        if not job.running:
            return job
        time.sleep(0.1)
    raise AssertionError("the job did not end")


def test_a_job_runs_its_commands_and_notes_how_it_ended(workspace: Workspace) -> None:
    """Its output is kept, its exit code too."""
    started = jobs.start(workspace, "triage", "small", [["--version"], ["--help"]])
    assert started.running
    job = ended(workspace, started.name)
    assert job.code == 0
    assert "$ workbench --version" in jobs.tail(job)
    assert "Find out how much traffic can move" in jobs.tail(job)


def test_the_first_failure_ends_a_job(workspace: Workspace) -> None:
    """What would follow a failed command is not run."""
    started = jobs.start(workspace, "triage", "small", [["no-such-command"], ["--version"]])
    job = ended(workspace, started.name)
    assert job.code == 2
    assert "--version" not in jobs.tail(job)


def test_a_job_can_be_stopped(workspace: Workspace) -> None:
    """Stopping reaches the command that runs, and the commands after it are not begun."""
    # `app` on a free port is a command that runs until it is told to stop.
    app = ["app", "--workspace", str(workspace.root), "--port", "18533"]
    started = jobs.start(workspace, "triage", "small", [app, ["--version"]])
    deadline = time.monotonic() + 60
    while "press Ctrl-C" not in jobs.tail(started) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert jobs.stop(workspace, started.name)
    job = ended(workspace, started.name)
    assert "--version" not in jobs.tail(job)
    assert job.code is not None
    assert not jobs.stop(workspace, started.name)


def test_a_job_stopped_while_it_starts_ends_without_a_traceback(workspace: Workspace) -> None:
    """Whoever stops at once reads that it was stopped, not where the interpreter was."""
    commands = jobs.replay_commands(workspace, "triage", "small", 5)
    started = jobs.start(workspace, "triage", "small", commands)
    deadline = time.monotonic() + 60
    while "$ workbench" not in jobs.tail(started) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert jobs.stop(workspace, started.name)
    job = ended(workspace, started.name)
    assert job.code == jobs.EXIT_INTERRUPTED
    assert "Traceback" not in jobs.tail(job)


def test_a_killed_job_is_not_taken_for_a_running_one(workspace: Workspace) -> None:
    """Without its lock a job that noted no end has ended, whatever process has its number now."""
    place = jobs.folder(workspace)
    place.mkdir(parents=True)
    note = {"task": "t", "candidate": "c", "commands": [], "started_at": datetime.now(UTC).isoformat()}
    (place / "20260101T000000-dead.json").write_text(json.dumps(note))
    (place / "20260101T000000-dead.lock").write_text("1")
    (job,) = jobs.recent(workspace)
    assert not job.running
    assert job.code is None
    assert not jobs.stop(workspace, job.name)


def test_a_damaged_note_is_left_out(workspace: Workspace) -> None:
    """Half a file does not break the page."""
    place = jobs.folder(workspace)
    place.mkdir(parents=True)
    (place / "20260101T000000-half.json").write_text('{"task": "t"')
    assert jobs.recent(workspace) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "x/y"])
def test_a_name_from_a_page_can_not_leave_the_folder(workspace: Workspace, name: str) -> None:
    """Stopping takes letters, digits and dashes alone."""
    assert not jobs.stop(workspace, name)


def test_a_log_is_shown_without_control_sequences(workspace: Workspace, tmp_path: Path) -> None:
    """Colours are taken out, and a progress line shows its last state."""
    log = tmp_path / "x.log"
    log.write_bytes(b"old\n\x1b[32m1 of 9\r2 of 9\x1b[0m\n" + b"\xff")
    job = jobs.Job("x", "t", "c", (), datetime.now(UTC), False, 0, log)
    assert "2 of 9" in jobs.tail(job)
    assert "1 of 9" not in jobs.tail(job)
    assert "\x1b" not in jobs.tail(job)


def test_the_commands_are_what_a_person_would_type(workspace: Workspace) -> None:
    """Replay with its limit, then compare, both in this workspace."""
    root = str(workspace.root)
    assert jobs.replay_commands(workspace, "t", "c", 50) == [
        ["replay", "--workspace", root, "--task", "t", "--candidate", "c", "--limit", "50"],
        ["compare", "--workspace", root, "--task", "t", "--candidate", "c"],
    ]
