"""Run blocking work that makes its own event loop, also where one runs already (notebooks)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def run_apart(work: Callable[[], T]) -> T:
    """Call `work` here, or in a thread of its own where this one has a running event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    box: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            box.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, name="replay")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return box[0]
