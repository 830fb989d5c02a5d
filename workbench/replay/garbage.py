"""Fewer garbage collections while a replay runs."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

RARELY = (50_000, 20, 100)
"""Thresholds of Python's collector; its own 700 are passed by a few calls in flight."""

_lock = threading.Lock()
_inside = 0
_before = gc.get_threshold()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let Python look for cyclic garbage less often in this block.

    Each call in flight keeps some forty objects alive, and Python goes through all that
    are young after every 700 new ones: with hundreds of calls in flight that costs as much
    processor time as the calls. They leave hardly any cycles behind, so that waiting for
    more of them costs no memory to speak of. The setting is the whole process's; it is put
    back when the last block of all threads ends.
    """
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = gc.get_threshold()
            gc.set_threshold(*RARELY)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                gc.set_threshold(*_before)
