"""Starts a process that reads log files: `reading.main`, with as little loaded as that needs."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_numpy() -> Iterator[None]:
    """Let pyarrow be loaded without numpy, which takes as long again and which no reader needs.

    pyarrow does without it where it is not installed; who asks for numpy later gets it.
    """
    if "numpy" in sys.modules:
        yield
        return
    # So Python says that a module is not there.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["numpy"]


def main() -> int:
    """Read what is asked for on standard input."""
    # Modules and records hold no cycles: looking for some after every few hundred took a fifth of the time.
    gc.set_threshold(100_000, 20, 100)
    with without_numpy():
        from workbench.ingest.reading import main as read
    return read()


if __name__ == "__main__":
    status = main()
    # All of it is told and written: taking everything apart again would only take time.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
