"""The main job on logs that nobody here wrote, with the commands a user types.

The files lie in the folder named by WORKBENCH_DATA; without it these tests skip.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DATA = Path(os.environ.get("WORKBENCH_DATA", ""))

pytestmark = pytest.mark.skipif(
    "WORKBENCH_DATA" not in os.environ, reason="WORKBENCH_DATA names no folder of real logs"
)


def run(root: Path, *arguments: str | Path, code: int = 0) -> Any:
    """Type one command in a workspace and return the JSON document it prints."""
    command = [sys.executable, "-m", "workbench", *map(str, arguments), "--workspace", str(root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def write_eval(root: Path, task: str, text: str) -> None:
    (root / "evals" / task).mkdir(parents=True)
    (root / "evals" / task / "eval.toml").write_text(f'task = "{task}"\n{text}')


@pytest.fixture
def rewriting(tmp_path: Path) -> Path:
    """Return a workspace for the OpenAI Batch pair, with a candidate whose outputs are in a file."""
    root = tmp_path
    folder = DATA / "openai_batch_pair"
    run(root, "init")
    write_eval(root, "rewriting", 'kind = "text"\n')
    outputs = folder / "batch_output.jsonl"
    run(root, "candidate", "add", "gpt-3.5-turbo", "--engine", "recorded", "--outputs", outputs)
    return root


def test_a_batch_pair_is_joined_and_no_output_is_lost_silently(rewriting: Path) -> None:
    """Of 1,500 outputs 1,000 have their request; the other 500 are reported one by one."""
    files = [
        DATA / "openai_batch_pair" / name for name in ("batch_requests.jsonl", "batch_output_gpt4.jsonl")
    ]
    report = run(rewriting, "import", *files, "--task", "rewriting")
    counts = {key: report[key] for key in ("records", "accepted", "joined", "rejected")}
    assert counts == {"records": 2500, "accepted": 1000, "joined": 1000, "rejected": 500}
    assert sum(report["reject_reasons"].values()) == 500
    assert all("request" in reason for reason in report["reject_reasons"])

    again = run(rewriting, "import", *files, "--task", "rewriting")
    assert (again["accepted"], again["joined"], again["skipped"], again["rejected"]) == (0, 0, 2000, 500)


def test_without_labels_similarity_moves_no_rewriting(rewriting: Path) -> None:
    """HOLD 0 % and what to label, whatever the similarity."""
    files = [
        DATA / "openai_batch_pair" / name for name in ("batch_requests.jsonl", "batch_output_gpt4.jsonl")
    ]
    run(rewriting, "import", *files, "--task", "rewriting")
    replayed = run(rewriting, "replay", "--task", "rewriting", "--candidate", "gpt-3.5-turbo", "--limit", 40)
    assert replayed["done"] == 40
    (compared,) = run(rewriting, "compare", "--task", "rewriting")
    assert compared["compared"] == 40
    answer = run(rewriting, "recommend", "--task", "rewriting", "--candidate", "gpt-3.5-turbo")
    assert (answer["action"], answer["share"], answer["cap"], answer["basis"]) == ("HOLD", 0, 0, "semantic")
    assert answer["harm"]["high"] == 1
    assert any("label" in each for each in answer["missing"])
    assert answer["harm_per_day_at_most"] is None


@pytest.fixture(scope="module")
def technology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace where gpt-4o is the control and two small models are candidates."""
    root = tmp_path_factory.mktemp("technology")
    table = DATA / "textclass" / "technology_EN.csv"
    run(root, "init")
    write_eval(root, "technology", 'kind = "label"\nlabels = ["0", "1"]\n')
    columns = ["--map", "id=row", "--map", "input=text", "--map", "output=gpt-4o-2024-11-20"]
    report = run(root, "import", table, "--task", "technology", *columns)
    assert (report["records"], report["accepted"]) == (1000, 1000)
    for name in ("gemma2", "llama3.2"):
        mapping = ["--map", "id=row", "--map", f"output={name}"]
        run(root, "candidate", "add", name, "--engine", "recorded", "--outputs", table, *mapping)
        run(root, "replay", "--task", "technology", "--candidate", name)
    run(root, "compare")
    return root


def test_agreement_alone_lets_gemma2_start_but_not_run(technology: Path) -> None:
    """Agreement .973: RAMP 1 %, cap 25 % since nobody has looked yet."""
    answer = run(technology, "recommend", "--task", "technology", "--candidate", "gemma2")
    assert (answer["action"], answer["share"], answer["cap"]) == ("RAMP", 0.01, 0.25)
    assert answer["harm"]["high"] == pytest.approx(0.0457, abs=5e-5)
    assert answer["harm"]["n"] == 1000
    assert answer["basis"] == "structural"


def test_a_model_that_stopped_giving_a_label_is_blocked_whatever_its_agreement(technology: Path) -> None:
    """Agreement .947 and U .0783, but label 1 in 2 of 55 cases: HOLD 0 %, and the reason says so."""
    answer = run(technology, "recommend", "--task", "technology", "--candidate", "llama3.2")
    assert (answer["action"], answer["share"]) == ("HOLD", 0)
    assert answer["harm"]["high"] == pytest.approx(0.0783, abs=5e-5)
    assert "2 of 55" in answer["binding_reason"]
    assert "1" in answer["binding_reason"]


def test_the_reports_of_a_comparison_show_the_measured_agreement(technology: Path) -> None:
    """Agreement is .973 and .947, with 1,000 compared calls each."""
    reports = {each["candidate"]: each for each in run(technology, "compare")}
    assert reports["gemma2"]["agreement"]["point"] == pytest.approx(0.973)
    assert reports["llama3.2"]["agreement"]["point"] == pytest.approx(0.947)


def test_gold_answers_cover_every_disagreement_and_enter_the_bound(technology: Path, tmp_path: Path) -> None:
    """12 of 27 disagreements are the candidate's fault: U falls to the bound of 12 in 1,000.

    That carries all traffic, but a gold answer is no look at an output: 25 % until somebody has looked.
    """
    # A copy: tests of the same workspace come in any order.
    technology = shutil.copytree(technology, tmp_path / "technology")
    table = DATA / "textclass" / "technology_EN.csv"
    before = run(technology, "recommend", "--task", "technology", "--candidate", "gemma2")
    mapping = ["--map", "id=row", "--map", "gold=gold"]
    report = run(technology, "label", "import", table, "--task", "technology", *mapping)
    assert report["accepted"] == 1000
    after = run(technology, "recommend", "--task", "technology", "--candidate", "gemma2")
    assert after["harm"]["point"] == pytest.approx(0.012)
    assert after["harm"]["high"] < before["harm"]["high"]
    assert (after["cap"], after["details"]["evidence_cap"]) == (0.25, 1.0)
    again = run(technology, "label", "import", table, "--task", "technology", *mapping)
    assert (again["accepted"], again["skipped"]) == (0, 1000)
