"""Reading what will be asked for next in a second thread, while the first works on what it has."""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.store import Store


@contextlib.contextmanager
def alongside(store: Store, *questions: Callable[[], object]) -> Iterator[None]:
    """Ask questions whose answers are kept (`remembered`) in another thread, until the block ends.

    The block asks them, too, and waits where an answer is on its way. What goes wrong does so again for
    the block, which is where it is reported. Inside a transaction nothing is asked: the other thread would
    not see it.

    Args:
        store: Where they read.
        questions: Asked one after the other.
    """
    if store.is_writing:
        yield
        return

    def ask() -> None:
        with contextlib.suppress(Exception):
            for question in questions:
                question()

    # The same context: who asks may ask here, and tables that are read are noted.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(ask,), name="alongside", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        thread.join()
