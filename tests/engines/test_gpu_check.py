"""`make gpu-check` claims nothing on a machine without a GPU, and measures the model that was named."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workbench.config import Workspace

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


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The benchmark of a replay through vLLM, on a machine without a GPU or vLLM."""
    pytest.importorskip("openai")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("vllm_speed")
    monkeypatch.setattr(module, "GPU", tmp_path / "nvidia0")
    monkeypatch.setattr(module, "ENVIRONMENT", tmp_path / ".venv-vllm")
    for name in ("MODEL", "REVISION", "PYTHON"):
        monkeypatch.delenv(f"WORKBENCH_VLLM_{name}", raising=False)
    return module


def test_the_benchmark_measures_the_model_that_was_named(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A hub model comes with its revision, and on a GPU its own type is used, as in the tests."""

    def candidate() -> Any:
        (tmp_path / "workbench.toml").write_text(benchmark.candidate_text("/v/bin/python"))
        return Workspace.load(tmp_path).candidate("served")

    found = candidate()
    assert (found.model, found.revision, found.dtype) == ("packaged:smollm2-135m", None, "float32")
    assert found.server.python == "/v/bin/python"
    monkeypatch.setenv("WORKBENCH_VLLM_MODEL", "some/model")
    monkeypatch.setenv("WORKBENCH_VLLM_REVISION", "a" * 40)
    (tmp_path / "nvidia0").touch()
    found = candidate()
    assert (found.model, found.revision, found.dtype) == ("some/model", "a" * 40, "auto")


def test_the_benchmark_finds_the_vllm_that_the_tests_find(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The interpreter that is named, else that of a complete .venv-vllm, else none."""
    assert benchmark.find_python() is None
    folder = tmp_path / ".venv-vllm"
    folder.mkdir()
    assert benchmark.find_python() is None
    (folder / ".complete").touch()
    assert benchmark.find_python() == str(folder / "bin" / "python")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_VLLM_PYTHON", "vllm/bin/python")
    assert benchmark.find_python() == str(tmp_path / "vllm" / "bin" / "python")
