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
LONGEST_S = 15.0


def marked(folder: str) -> list[int]:
    """Return the processes of a session, but for this one. Empty where /proc is not there."""
    needle = f"{MARK}={folder}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if needle in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]


def reap(folder: str) -> None:
    """End the processes of a session and remove its folder."""
    time.sleep(GRACE_S)
    deadline = time.monotonic() + LONGEST_S
    while (left := marked(folder)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.stdin.buffer.read()
    reap(sys.argv[1])
