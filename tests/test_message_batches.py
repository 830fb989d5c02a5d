"""Anthropic's Message Batches: requests and results, joined on custom_id like OpenAI's."""

from __future__ import annotations

from pathlib import Path

import pytest
from import_world import Desk, tallies

SAMPLES = Path(__file__).resolve().parents[1] / "sample_logs" / "formats"
REQUESTS = SAMPLES / "openai_batch_messages_requests.jsonl"
RESULTS = SAMPLES / "openai_batch_messages_results.jsonl"


@pytest.mark.parametrize("files", [(REQUESTS, RESULTS), (RESULTS, REQUESTS)], ids=["in order", "reversed"])
def test_results_join_their_requests(tmp_path: Path, files: tuple[Path, Path]) -> None:
    """The system prompt beside the messages is kept, cached tokens are apart, and the price is a batch's."""
    desk = Desk(tmp_path)
    report = desk.take(*files, task="triage")
    assert tallies(report) == {"accepted": 3, "joined": 3}
    assert report.marks["batch_price"] == 1
    assert report.marks["error"] == 2
    rows = desk.store.rows(
        "SELECT native_id, request, text, input_tokens, cached_input_tokens, output_tokens, error_kind"
        " FROM calls JOIN controls USING (call_id) ORDER BY native_id"
    )
    first, *failed = rows
    assert '"role":"system"' in first["request"].replace(" ", "")
    told = ("text", "input_tokens", "cached_input_tokens", "output_tokens", "error_kind")
    assert [first[name] for name in told] == ["shipping", 9, 1024, 2, None]
    assert [each["error_kind"] for each in failed] == ["http", "timeout"]
    assert tallies(desk.take(*files, task="triage")) == {"skipped": 6}
