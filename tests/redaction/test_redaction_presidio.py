"""Names by Presidio, with the real packages in an environment of their own and a pipeline without weights."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from environments import python_with

from workbench.errors import ModelMissing
from workbench.redaction import PLACEHOLDER
from workbench.redaction.presidio import PresidioDetector

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what the script beside this test printed."""
    python = python_with("presidio")
    script, folder = Path(__file__).with_name("presidio_calls.py"), tmp_path_factory.mktemp("presidio")
    done = subprocess.run(
        [python, str(script), str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.rpartition("ANSWERS ")[2])
    return found


def test_names_are_replaced_beside_the_built_in_kinds(answers: dict[str, Any]) -> None:
    """Persons and places become placeholders, the same person the same one, and stay so."""
    assert answers["found"] == {"PERSON": 2, "EMAIL": 1, "LOCATION": 1}
    assert answers["twice"] == answers["once"]
    persons = [each for each in PLACEHOLDER.findall(answers["once"]) if each.startswith("[PERSON")]
    assert len(persons) == 2
    assert len(set(persons)) == 1
    assert "Ada Lovelace" not in answers["once"]


def test_json_long_texts_and_own_recognisers(answers: dict[str, Any]) -> None:
    """Names in JSON and behind 100,000 characters are found, and so is what a team's own pattern names."""
    assert PLACEHOLDER.fullmatch(json.loads(answers["json"])["who"])
    assert PLACEHOLDER.search(answers["long"])
    assert answers["own"].startswith("customer [CUSTOMER_")


def test_a_failing_analyzer_leaks_nothing(answers: dict[str, Any]) -> None:
    """A text on which the analyzer fails is replaced as a whole rather than kept as it was."""
    assert answers["broken"].startswith("[TEXT_")


def test_a_model_that_is_not_here_is_named(answers: dict[str, Any]) -> None:
    """A missing model is an error with the command that gets it; nothing is downloaded unasked."""
    assert "spacy download en_core_web_lg" in answers["missing"]


def test_without_presidio_the_extra_is_named() -> None:
    """Where Presidio is not installed, the error names the extra."""
    pytest.importorskip("workbench")
    try:
        import presidio_analyzer  # noqa: F401
    except ImportError:
        with pytest.raises(ModelMissing, match=r"shadow-workbench\[presidio\]"):
            PresidioDetector.of_model("en_core_web_lg")
