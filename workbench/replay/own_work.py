"""How busy the thread of the event loop is: whether a slow replay is the server's doing or our own."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

_SCHEDULING = Path("/proc/thread-self/schedstat")
"""Linux tells here what a thread has worked and how long it waited for a core, both in nanoseconds."""


def worked_s() -> float:
    """Return how long the calling thread has worked, or waited for a core to work on, in seconds.

    Only differences between two calls from one thread mean anything. Where the system does
    not tell the waiting (anything but Linux), it is the work alone.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        told = _SCHEDULING.read_bytes().split()
        worked_ns, waited_ns = int(told[0]), int(told[1])
        if worked_ns:
            return (worked_ns + waited_ns) / 1e9
    return time.thread_time()
