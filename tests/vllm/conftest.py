"""An interpreter with real vLLM: named, made before by `make vllm`, or made now where it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-vllm"


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """Return an interpreter that has vLLM."""
    named = os.environ.get("WORKBENCH_VLLM_PYTHON")
    if named:
        return named
    if not (FOLDER / ".complete").exists():
        if not os.environ.get("WORKBENCH_REQUIRE_VLLM"):
            pytest.skip("no vLLM here: make vllm builds it (3.4 GB), or WORKBENCH_VLLM_PYTHON names one")
        script = Path(__file__).with_name("environment.sh")
        subprocess.run(["bash", str(script), str(FOLDER), sys.executable], check=True)
    return str(FOLDER / "bin" / "python")
