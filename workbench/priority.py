"""Work in the background gives way to a person who waits.

Threads of one process share one interpreter: what is computed beside a page makes each step
of the page wait for its turn, several times over. So whoever serves a person says so
(`served_first`), and what runs in the background (`background`) stands still meanwhile, at
the places where it says that it can (`give_way`): the store has one before each query.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Condition, get_ident

LONGEST_S = 1.0
"""Nobody is given way to for longer at a time: who forgot to say that they were served holds up nothing."""
AFTERWARDS_S = 0.1
"""So long after somebody was served their page is still on its way to the browser."""
PATIENCE_S = 10.0
"""Work that has stood still for so long in all goes on, whoever waits: it must get done some time."""

_changed = Condition()
_served: dict[int, float] = {}
"""Threads that serve a person, and until when, on the monotonic clock."""
_patience_s: ContextVar[list[float] | None] = ContextVar("patience", default=None)


def served_first() -> None:
    """Say that this thread serves a person who waits, until it says that they are `served`."""
    with _changed:
        _served[get_ident()] = time.monotonic() + LONGEST_S


def served() -> None:
    """Say that the person whom this thread served has what they waited for."""
    with _changed:
        if get_ident() in _served:
            _served[get_ident()] = min(_served[get_ident()], time.monotonic() + AFTERWARDS_S)
            _changed.notify_all()


@contextmanager
def background() -> Iterator[None]:
    """Mark what this block does as work that nobody waits for."""
    token = _patience_s.set([PATIENCE_S])
    try:
        yield
    finally:
        _patience_s.reset(token)


def give_way() -> None:
    """Stand still while somebody is served, if this is work in the background; never while holding a lock."""
    patience = _patience_s.get()
    if patience is None:
        return
    with _changed:
        begun = time.monotonic()
        while (left_s := _left_s()) > 0 and (most_s := patience[0] - (time.monotonic() - begun)) > 0:
            _changed.wait(min(left_s, most_s))
        patience[0] -= time.monotonic() - begun


def _left_s() -> float:
    """Return how long somebody is served at most from now on; forget those that were served."""
    now = time.monotonic()
    for thread in [thread for thread, until in _served.items() if until <= now]:
        del _served[thread]
    return max(_served.values(), default=now) - now
