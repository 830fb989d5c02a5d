"""The process that serves the app, before anybody opens a page."""

from __future__ import annotations

import json
import subprocess
import sys

LOADED = """
import json, pkgutil, sys
import workbench
from workbench import app_process
app_process.load_pages()
names = [each.name for each in pkgutil.walk_packages(workbench.__path__, "workbench.")]
heavy = ("torch", "transformers", "sentence_transformers", "vllm", "ray")
missing = [each for each in names if each not in sys.modules]
print(json.dumps({"missing": missing, "heavy": [each for each in heavy if each in sys.modules]}))
"""


def test_the_app_holds_every_module_before_it_answers_and_no_model_library() -> None:
    """What two visitors could load at once is there by then; what only a model needs is not."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["missing"] == ["workbench.__main__", "workbench.app", "workbench.app_served"]
    assert said["heavy"] == []
