"""Rows and other processes for the tests of the store."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import Any

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
