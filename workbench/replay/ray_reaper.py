"""A process that outlives a command and ends what its Ray left behind, also when it was killed.

Run as a script, with the folder of a Ray session: it waits until its standard input ends,
which happens when the command ends, however it does. Then it ends every process that
carries this session's mark in its environment, and removes the folder. The standard
library is all it needs, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK = "WORKBENCH_RAY"
"""Variable that every process of a session inherits; its value is the session's folder."""
GRACE_S = 0.5
QUIET_S = 0.2
QUIET_AFTER_KILL_S = 5.0
"""Nobody waits for this process when the command was killed, so that it may look longer."""
LONGEST_S = 30.0


def marked(folder: str) -> list[int]:
    """Return the processes of a session, but for this one. Empty where /proc is not there."""
    needle = f"{MARK}={folder}".encode()
    found = []
    for path in sorted(Path("/proc").iterdir()) if Path("/proc").is_dir() else ():
        if path.name.isdigit() and int(path.name) != os.getpid():
            # A process that ends while it is looked at must not hide the others.
            with contextlib.suppress(OSError):
                if needle in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
    return found


def reap(folder: str, quiet_s: float) -> None:
    """End the processes of a session and remove its folder.

    Args:
        folder: The session's folder.
        quiet_s: How long none may be seen before that is believed.
    """
    time.sleep(GRACE_S)
    now = time.monotonic()
    deadline, seen = now + LONGEST_S, now
    while now < deadline and now - seen <= quiet_s:
        for pid in marked(folder):
            seen = now
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
        now = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    shut_down = sys.stdin.buffer.read()
    reap(sys.argv[1], QUIET_S if shut_down else QUIET_AFTER_KILL_S)
