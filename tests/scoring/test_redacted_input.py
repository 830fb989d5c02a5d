"""A candidate that was asked redacted requests is marked, from the replay to the recommendation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench import Workbench

EVAL = 'task = "t"\nkind = "label"\nlabels = ["spam", "ham"]\n'
CANDIDATE = """
[[candidates]]
name = "c"
engine = "recorded"
outputs = "out.csv"
map = { id = "id", output = "out" }
"""


def bench_with(root: Path, *, redact: bool, personal: bool) -> Workbench:
    (root / "evals" / "t").mkdir(parents=True)
    (root / "evals" / "t" / "eval.toml").write_text(EVAL)
    (root / "workbench.toml").write_text(CANDIDATE)
    (root / "out.csv").write_text("id,out\n" + "".join(f"r{number},ham\n" for number in range(6)))
    lines = []
    for number in range(6):
        text = f"message {number}" + (f" of a{number}@example.com" if personal and number < 4 else "")
        choice = {"message": {"content": "ham"}, "finish_reason": "stop"}
        request = {"messages": [{"role": "user", "content": text}]}
        lines.append(json.dumps({"request": request, "response": {"id": f"r{number}", "choices": [choice]}}))
    (root / "log.jsonl").write_text("\n".join(lines))
    bench = Workbench(root)
    bench.import_logs([root / "log.jsonl"], task="t", redact=redact)
    return bench


def test_redacted_input_is_told(tmp_path: Path) -> None:
    """Replay and recommendation say in how many calls the frontier had seen more than the candidate."""
    with bench_with(tmp_path / "w", redact=True, personal=True) as bench:
        report = bench.replay("t", "c")
        assert report.marks == ("redacted-input",)
        assert "4 of 6 calls were redacted" in report.text
        bench.compare("t", "c")
        answer = bench.recommend("t", "c")
        assert any("redacted-input: in 4 of 6" in each for each in answer.reasons)
        assert answer.details["redacted_input"] == {"calls": 4, "of": 6}


@pytest.mark.parametrize(("redact", "personal"), [(True, False), (False, True)])
def test_without_it_nothing_is_said(tmp_path: Path, redact: bool, personal: bool) -> None:
    """Calls as logged, or in which nothing was found, are not spoken of."""
    with bench_with(tmp_path / "w", redact=redact, personal=personal) as bench:
        assert bench.replay("t", "c").marks == ()
        bench.compare("t", "c")
        answer = bench.recommend("t", "c")
        assert not any("redacted" in each for each in answer.reasons)
        assert "redacted_input" not in answer.details
