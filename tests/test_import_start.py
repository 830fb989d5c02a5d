"""What an import loads, and when: the files are read while the store is opened."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from import_world import Desk

from workbench.ingest import import_files
from workbench.store import Store

LINE = {
    "timestamp": 1_760_000_000,
    "request": {"model": "m", "messages": [{"role": "user", "content": "Where is my parcel?"}]},
    "response": {
        "id": "a",
        "model": "m-1",
        "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "At home."}}],
    },
}


def test_the_command_does_without_pandas(tmp_path: Path) -> None:
    """Neither DuckDB nor pyarrow loads it for an import: that took longer than most logs."""
    subprocess.run([sys.executable, "-m", "workbench", "init", str(tmp_path / "w")], check=True)
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps(LINE) + "\n")
    code = """
import atexit, runpy, sys
atexit.register(lambda: print("pandas" in sys.modules))
runpy.run_module("workbench", run_name="__main__", alter_sys=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "import", str(log), "--workspace", str(tmp_path / "w"), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    report, loaded = done.stdout.strip().splitlines()
    assert (json.loads(report)["accepted"], loaded) == (1, "False")


def test_a_store_that_is_opened_late_takes_the_calls(tmp_path: Path) -> None:
    """It is opened once, and only when the files are known to be logs."""
    desk = Desk(tmp_path)
    log = desk.write("log.jsonl", LINE)
    opened: list[int] = []

    def opening() -> Store:
        opened.append(1)
        return desk.store

    report = import_files(desk.workspace, opening, [log], task="t")
    assert (report.accepted, len(opened)) == (1, 1)


def test_a_reading_process_loads_no_more_than_it_reads_with() -> None:
    """There are two of them for a long log: engines, comparators and numpy took half of their start."""
    code = """
import sys
from workbench.ingest.reader import without_numpy
with without_numpy():
    import workbench.ingest.reading
unneeded = ("numpy", "asyncio", "email", "workbench.engines", "workbench.compare", "workbench.stats")
print([each for each in unneeded if each in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_workspace_without_evals_of_fields_loads_no_comparator() -> None:
    """Every command reads the workspace first; few of them compare."""
    code = "import sys, workbench.cli; print('workbench.compare' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
