"""The event loop that requests are sent on: uvloop where it is installed, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop for `asyncio.Runner(loop_factory=...)`.

    With hundreds of small requests in flight the loop itself takes a good part of the time of
    a call; uvloop, written in C over libuv, takes less of it. There is none for Windows.
    """
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
