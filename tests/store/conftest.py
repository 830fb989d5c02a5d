"""Stores and other processes for the tests of the store."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workbench.store import Store

PREAMBLE = """
import os, signal, sys, time
from datetime import datetime
from pathlib import Path
from workbench.store import Store
from workbench.store.spool import write_part

path = Path(sys.argv[1])

def label(name):
    return {"label_id": name, "replay_id": "r", "call_id": "c", "verdict": "equal", "annotator": "a",
            "reasons": [], "note": "", "source": "queue", "skipped": False,
            "created_at": datetime(2026, 1, 1)}
"""


def label(name: str) -> dict[str, Any]:
    """Return a row for the table of labels."""
    return {
        "label_id": name,
        "replay_id": "r",
        "call_id": "c",
        "verdict": "equal",
        "annotator": "a",
        "reasons": [],
        "note": "",
        "source": "queue",
        "skipped": False,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }


def observation(call_id: str, **values: Any) -> dict[str, Any]:
    """Return a row for the table of observations."""
    return {"replay_id": "r", "call_id": call_id, "repeat": 0, "output": "{}", "attempts": 1, **values}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's store is."""
    return tmp_path / "workbench.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store.open(path, wait_s=10) as opened:
        yield opened


@pytest.fixture
def start(path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start another process that runs some code with `path`, `Store`, `label` and `write_part` at hand."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(code), str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    """Return the next line a process prints."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise AssertionError(process.communicate()[1])
    return line


def finished(process: subprocess.Popen[str]) -> str:
    """Return what a process printed, having checked that it ended well and complained of nothing."""
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert errors == ""
    return output.strip()
