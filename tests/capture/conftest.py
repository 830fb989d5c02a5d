"""A server to capture calls to, and a log for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from capture_server import Server, serving

from workbench.capture import CaptureLog


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture
def log(tmp_path: Path) -> CaptureLog:
    return CaptureLog(tmp_path / "log")
