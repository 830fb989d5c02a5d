"""Interpreters with packages that can't live beside the workbench's own: named, made before, or made now."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PACKAGES = {
    # It needs an openai package below 3, and mcp as soon as a call has tools.
    "litellm": ("litellm==1.106.12", "mcp==2.3.0"),
    "presidio": ("presidio-analyzer==2.2.366",),
    # An OpenID Connect provider for tests; MIT.
    "nanoidp": ("nanoidp==3.4.0",),
}


def python_with(name: str) -> str:
    """Return an interpreter that has a package; skip where there is none and none is demanded.

    WORKBENCH_LITELLM_PYTHON (or _PRESIDIO_, _NANOIDP_) names one; WORKBENCH_REQUIRE_LITELLM=1 makes
    one in `.venv-litellm`, which takes a minute and 400 MB.
    """
    named = os.environ.get(f"WORKBENCH_{name.upper()}_PYTHON")
    if named:
        return named
    folder = ROOT / f".venv-{name}"
    if not _is_made(folder, name) and not os.environ.get(f"WORKBENCH_REQUIRE_{name.upper()}"):
        pytest.skip(f"no {name} here: WORKBENCH_REQUIRE_{name.upper()}=1 makes an environment with it")
    # Tests of one file may run in several processes, and each would make it.
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_made(folder, name):
            script = Path(__file__).with_name("environment.sh")
            subprocess.run(["bash", str(script), str(folder), sys.executable, *PACKAGES[name]], check=True)
    return str(folder / "bin" / "python")


def _is_made(folder: Path, name: str) -> bool:
    done = folder / ".complete"
    return done.exists() and done.read_text() == " ".join(PACKAGES[name])
