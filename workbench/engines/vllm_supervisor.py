"""A small process between the workbench and a server: nothing of the server outlives the workbench.

Run as a script with nothing but the standard library. It holds one end of a pipe from the
workbench and starts the server in a process group of its own. When the pipe ends, however
the workbench ended, it asks the server to end and then kills all that is left: on Linux it
adopts orphans (PR_SET_CHILD_SUBREAPER), so that helpers which a server leaves behind are
still its own to find. Elsewhere it kills the server's process group.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

TICK_S = 0.2
KILL_S = 30.0
"""How long killing may take: a process that the kernel holds in a driver can't be killed at once."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def processes() -> dict[int, int]:
    """Return every living process of the machine and its parent; zombies are left out."""
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        command = ["ps", "-axo", "pid=,ppid=,stat="]
        listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        rows = [line.split() for line in listed.stdout.splitlines()]
        return {int(row[0]): int(row[1]) for row in rows if len(row) == 3 and not row[2].startswith("Z")}
    found = {}
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name in parentheses may hold anything, spaces and parentheses included.
            state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state not in ("Z", "X"):
                found[int(folder.name)] = int(parent)
    return found


def descendants(root: int) -> list[int]:
    """Return the living processes below one, children before grandchildren."""
    parents = processes()
    found, level = [], [root]
    while level:
        level = [pid for pid, parent in parents.items() if parent in level]
        found += level
    return found


def kill_group(group: int) -> None:
    """Kill a process group, if any of it is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    # Should somebody kill the supervisor itself, the server's first process goes with it.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Supervisor:
    def __init__(self, log: str, grace_s: float, command: list[str]) -> None:
        self._grace_s = grace_s
        self._parent = os.getppid()
        self._asked = False
        self.code: int | None = None
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # A handler, not SIG_IGN: the server would inherit an ignored signal.
            signal.signal(each, self._ask)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._server = subprocess.Popen(  # noqa: S603 - the command is the workbench's own
                command,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                process_group=0,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        finally:
            os.close(descriptor)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def watch(self) -> None:
        """Return when the server has ended, or nobody wants it any more."""
        while self.code is None and not self._asked:
            readable, _, _ = select.select([0], [], [], TICK_S)
            # Forked children of the workbench may hold its end of the pipe open: look at it too.
            if (readable and not os.read(0, 1)) or os.getppid() != self._parent:
                return
            self._reap()

    def end(self) -> None:
        """Ask the server to end, then kill whatever is left of it."""
        self._reap()
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._server.pid, signal.SIGTERM)
            self._wait_until_alone(self._grace_s)
        deadline = time.monotonic() + KILL_S
        while time.monotonic() < deadline:
            kill_group(self._server.pid)
            for pid in descendants(os.getpid()):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if self._wait_until_alone(TICK_S):
                return

    def _wait_until_alone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            self._reap()
            if not descendants(os.getpid()):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)

    def _reap(self) -> None:
        """Take note of children that ended, adopted ones too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._server.pid:
                self.code = os.waitstatus_to_exitcode(status)
                self._server.returncode = self.code


def main(arguments: list[str]) -> int:
    """Run `LOG GRACE_S COMMAND...`; return the server's exit code, 128 + N where signal N ended it."""
    supervisor = _Supervisor(arguments[0], float(arguments[1]), arguments[2:])
    supervisor.watch()
    ended_by_itself = supervisor.code is not None
    supervisor.end()
    if not ended_by_itself or supervisor.code is None:
        return 0
    return supervisor.code if supervisor.code >= 0 else 128 - supervisor.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
