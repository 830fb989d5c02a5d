"""`make gpu-check` claims nothing on a machine without a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_machine_without_a_gpu_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    """It ends with code 3, and figures of a CPU never stand where those of a GPU belong."""
    environ = os.environ | {"PATH": str(tmp_path)}  # No nvidia-smi there, whatever the machine has.
    command = [sys.executable, "benchmarks/gpu_check.py", "--out", str(tmp_path / "found")]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "no GPU" in done.stdout
    assert list(tmp_path.iterdir()) == []
    command = [sys.executable, "benchmarks/gpu_check.py", "--cpu"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--out" in done.stderr
