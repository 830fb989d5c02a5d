"""Commands that the app starts: the same command line, its own process, its output in a file.

Run as a module it is the process itself: it holds a lock while it works, so that the
app knows after any reload or restart whether it still does, and notes how it ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench import access
from workbench.config import Workspace
from workbench.errors import WorkbenchError
from workbench.roles import Actor, Right
from workbench.specs import CONTROL
from workbench.ui import doorway
from workbench.writing import written_to

EXIT_INTERRUPTED = 130
COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
from workbench.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
"""`python -m workbench`, but stopped while its modules load it ends at once, without a traceback."""

BESIDE = ("latency", "live")
"""Kinds of jobs that are about a candidate and no replay of its sample."""
LOG_TAIL_BYTES = 6_000
KEPT = 50


@dataclass(frozen=True, slots=True)
class Job:
    """A command that the app started. `code` is None while it runs, or where it was killed."""

    name: str
    task: str
    candidate: str
    commands: tuple[tuple[str, ...], ...]
    started_at: datetime
    running: bool
    code: int | None
    log: Path

    @property
    def kind(self) -> str:
        """Return what it does: replay, latency, live, noise or demo."""
        if self.commands and self.commands[0][0] == "demo":
            return "demo"
        if self.candidate == CONTROL:
            return "noise"
        options = self.commands[0] if self.commands else ()
        return "latency" if "--probe" in options else "live" if "--live" in options else "replay"


def folder(workspace: Workspace) -> Path:
    """Return where jobs of a workspace are noted."""
    return workspace.store_path.with_name(workspace.store_path.name + ".runs")


def replay_commands(
    workspace: Workspace,
    task: str,
    candidate: str,
    limit: int | None,
    *,
    compare: bool = True,
    options: Sequence[str] = (),
) -> list[list[str]]:
    """Return the commands of a replay: what a person would type.

    Args:
        workspace: Where it runs.
        task: The task.
        candidate: The candidate's name; the control is compared by the replay itself.
        limit: Calls to replay at most; None for all.
        compare: Compare afterwards.
        options: Further options of `workbench replay`.
    """
    where = ["--workspace", str(workspace.root)]
    what = ["--task", task, "--candidate", candidate]
    first = ["replay", *where, *what, *(["--limit", str(limit)] if limit else []), *options]
    return [first, ["compare", *where, *what]] if compare and candidate != CONTROL else [first]


def option(name: str, value: float | None) -> list[str]:
    """Return an option of the command line with its value, or nothing where there is none."""
    return [] if value is None else [f"--{name}", f"{value:.12g}"]


def again(
    workspace: Workspace, task: str, candidate: str, calls: int, budget: Mapping[str, float] | None = None
) -> list[list[str]]:
    """Return the commands that go on with a replay: those that began it here, under the budget it has.

    Args:
        workspace: Where it runs.
        task: The task.
        candidate: The candidate's name.
        calls: Size of its sample, for one that was begun elsewhere: it goes on and does not grow.
        budget: What its last run was allowed, `usd` and `minutes`, wherever it was begun.
    """
    allowed = dict(budget or {})
    limits = [part for name, most in allowed.items() for part in option(f"budget-{name}", most)]
    for job in recent(workspace, KEPT):
        mine = (job.task, job.candidate) == (task, candidate)
        if mine and job.kind not in BESIDE and job.commands:
            first, *rest = (list(each) for each in job.commands)
            if "--limit" in first and calls:
                # The size of the sample makes the command go on, not grow.
                first[first.index("--limit") + 1] = str(calls)
            for name in allowed:
                if (flag := f"--budget-{name}") in first:
                    del first[first.index(flag) : first.index(flag) + 2]
            return [[*first, *limits], *rest]
    return replay_commands(workspace, task, candidate, calls or None, options=limits)


def start(workspace: Workspace, task: str, candidate: str, commands: Sequence[Sequence[str]]) -> Job:
    """Start commands one after the other in a process that outlives the page and the app.

    Args:
        workspace: Where they run.
        task: The task they are about.
        candidate: The candidate they are about.
        commands: Arguments of `workbench`, each a list.

    Raises:
        EnvironmentalError: It can't be noted what runs, so nothing is started.
    """
    actor = access.require(Right.REPLAY, task=task)
    with written_to(folder(workspace)):
        return _started(workspace, task, candidate, commands, actor)


def _started(
    workspace: Workspace, task: str, candidate: str, commands: Sequence[Sequence[str]], actor: Actor
) -> Job:
    place = folder(workspace)
    place.mkdir(parents=True, exist_ok=True)
    _forget_old(place)
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    note = {"task": task, "candidate": candidate, "commands": commands, "started_at": now.isoformat()}
    partial = place / f"{name}.partial"
    partial.write_text(json.dumps(note), encoding="utf-8")
    partial.replace(place / f"{name}.json")
    environment = access.for_child(_without_secrets(workspace), actor)
    with (place / f"{name}.log").open("ab") as log:
        subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
            [sys.executable, "-m", "workbench.ui.jobs", str(place / f"{name}.json")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=workspace.root,
            env=environment,
            start_new_session=True,
        )
    return Job(name, task, candidate, tuple(map(tuple, commands)), now, True, None, place / f"{name}.log")


def _without_secrets(workspace: Workspace) -> dict[str, str]:
    """Return this process's environment without what only the app's server needs.

    The workspace may be the demo, which nobody signs in to: the app's own names the secrets.
    """
    from workbench.ui import session

    shown = [workspace]
    with contextlib.suppress(WorkbenchError):
        shown.append(session.find())
    secret = doorway.secret_variables(*shown)
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("STREAMLIT_") and key not in secret
    }


def recent(workspace: Workspace, limit: int = 10) -> list[Job]:
    """Return the newest jobs, those that still run among them."""
    found = sorted(folder(workspace).glob("*.json"), reverse=True)[:limit]
    return [job for path in found if (job := _read(path)) is not None]


def stop(workspace: Workspace, name: str) -> bool:
    """Ask a running job to stop cleanly, as Ctrl-C does; its next start goes on from there.

    Returns:
        Whether it was running.
    """
    path = folder(workspace) / f"{_safe(name)}.json"
    if not _is_locked(path):
        return False
    job = _read(path)
    access.require(Right.REPLAY, task=job.task if job else None)
    pid = int(path.with_suffix(".lock").read_text() or 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGINT)
    return True


def tail(job: Job) -> str:
    """Return the last lines a job wrote."""
    if not job.log.is_file():
        return ""
    with job.log.open("rb") as file:
        file.seek(max(0, job.log.stat().st_size - LOG_TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    # A progress line is rewritten in place: its last state counts.
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", "\n".join(lines)).strip()


def main(path: Path) -> int:
    """Run the commands of a job and note how it ended.

    Args:
        path: The job's note.

    Returns:
        The exit code of the first command that failed, else 0.
    """
    interrupted = False

    def note_interrupt(_number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = True

    signal.signal(signal.SIGINT, note_interrupt)
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(os.getpgrp(), signal.SIGINT))
    with path.with_suffix(".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        code = 0
        for arguments in json.loads(path.read_text(encoding="utf-8"))["commands"]:
            if interrupted:
                code = EXIT_INTERRUPTED
            if code:
                break
            print("$ workbench " + " ".join(arguments), flush=True)
            code = subprocess.run([sys.executable, "-c", COMMAND, *arguments], check=False).returncode  # noqa: S603
            if interrupted and code < 0:
                code = EXIT_INTERRUPTED
        partial = path.with_suffix(".ending")
        partial.write_text(str(code))
        partial.replace(path.with_suffix(".code"))
    return code


def _read(path: Path) -> Job | None:
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        ended = path.with_suffix(".code")
        code = int(ended.read_text()) if ended.is_file() else None
        started = datetime.fromisoformat(note["started_at"])
    except (OSError, ValueError, KeyError):
        return None
    # A job that was started a moment ago may not hold its lock yet.
    young = (datetime.now(UTC) - started).total_seconds() < 5 and not path.with_suffix(".lock").exists()
    running = code is None and (young or _is_locked(path))
    return Job(
        name=path.stem,
        task=note["task"],
        candidate=note["candidate"],
        commands=tuple(map(tuple, note["commands"])),
        started_at=started,
        running=running,
        code=code,
        log=path.with_suffix(".log"),
    )


def _is_locked(path: Path) -> bool:
    lock = path.with_suffix(".lock")
    if not lock.is_file():
        return False
    with lock.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _forget_old(place: Path) -> None:
    for path in sorted(place.glob("*.json"), reverse=True)[KEPT:]:
        if not _is_locked(path):
            for each in place.glob(f"{path.stem}.*"):
                each.unlink(missing_ok=True)


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "", name)


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
