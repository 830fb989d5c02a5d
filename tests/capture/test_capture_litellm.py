"""The LiteLLM callback, with the real package in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from capture_server import CALL, serving
from environments import python_with

from workbench.formats import Draft, read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log of calls through LiteLLM: sync, async, streamed, with tools, refused, Responses."""
    python = python_with("litellm")
    folder = tmp_path_factory.mktemp("litellm")
    script = Path(__file__).with_name("litellm_calls.py")
    settings = {"PYTHONPATH": str(ROOT), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with serving() as server:
        done = subprocess.run(
            [python, str(script), server.url(), server.url("refuse"), str(folder)],
            env=os.environ | settings, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout.rpartition("COUNTS ")[2])
    assert counts == {"written": 9, "sampled_out": 0, "lost": {}}
    return folder


def test_every_call_is_one_draft(folder: Path) -> None:
    """Sync and async calls, whole and streamed, are each one call with its answer, tokens and latency."""
    found = list(read(sorted(folder.glob("chat-*.jsonl"))))
    assert all(isinstance(each, Draft) for each in found), found
    drafts = {each.request.messages[0].content: each for each in found if isinstance(each, Draft)}
    assert len(found) == len(drafts) == 7
    for text, draft in drafts.items():
        control = draft.control
        assert control is not None
        assert draft.task == "orders"
        assert draft.session_id == f"s-{text}"
        assert draft.attributes["tenant"] == "acme"
        assert draft.occurred_at is not None
        if "refused" in str(text):
            assert control.error is not None
            assert control.error.status == 400
        else:
            assert control.error is None
            assert control.latency_ms is not None
            assert control.usage.output_tokens is not None
    tools = drafts["tools"].control
    assert tools is not None
    assert tools.tool_calls[0].arguments == json.loads(CALL["function"]["arguments"])
    assert drafts["tools"].request.tools[0]["function"]["name"] == "find_order"
    assert drafts["sync"].request.parameters["temperature"] == 0.5
    for name in ("sync", "stream", "async", "async stream"):
        assert drafts[name].control.text == f"echo: {name}"  # type: ignore[union-attr]


def test_responses_are_kept_with_their_request(folder: Path) -> None:
    """Calls of the Responses API go to files of their own, with request and response."""
    records = [json.loads(line) for path in folder.glob("responses-*.jsonl") for line in path.open()]
    assert len(records) == 2
    assert all("response" in json.dumps(each["request"]["input"]) for each in records)
    assert {each["request"].get("instructions") for each in records} == {"be short", None}
    assert all(each["response"]["object"] == "response" for each in records)


def test_no_key_is_written(folder: Path) -> None:
    """The key, and what was sent beside it, is nowhere in the log."""
    for path in folder.iterdir():
        assert b"sk-canary" not in path.read_bytes()
