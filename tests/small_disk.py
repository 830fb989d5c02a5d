"""A disk of a megabyte that a test can fill: a tmpfs, where this user may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, leave: int = 0) -> None:
        """Leave no more than some bytes of room, rounded down to pages."""
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        with self._filler.open("r+b") as file:
            file.truncate(max(self._filler.stat().st_size - leave, 0))

    def make_room(self) -> None:
        """Let there be room again."""
        self._filler.unlink()


@contextmanager
def small_disk(path: Path, kilobytes: int = 1024) -> Iterator[SmallDisk]:
    """Mount a small disk; skip the test where that is not allowed."""
    path.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
