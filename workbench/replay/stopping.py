"""Ctrl-C and SIGTERM end a run in good order."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_by_signals(
    stop: Callable[[], object], loop: asyncio.AbstractEventLoop | None = None
) -> Iterator[None]:
    """Call `stop` when Ctrl-C or SIGTERM comes in this block; only the main thread can.

    Args:
        stop: Says that the run is to end.
        loop: The running event loop, where there is one: `stop` is called in it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with signals_kept():
        for each in SIGNALS:
            if loop is None:
                signal.signal(each, lambda *_: stop())
            else:
                loop.add_signal_handler(each, stop)
        try:
            yield
        finally:
            if loop is not None:
                for each in SIGNALS:
                    loop.remove_signal_handler(each)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Put the handlers of both signals back at the end of the block, whoever took them in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {each: signal.getsignal(each) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in kept.items():
            signal.signal(each, handler)
