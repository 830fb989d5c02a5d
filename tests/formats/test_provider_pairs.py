"""Pairs whose answer is no chat completion, read as whole calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.formats import Draft, read
from workbench.records import Rejected, ToolCall, Usage

REQUEST = {
    "model": "m",
    "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}],
}
OLLAMA = {
    "model": "llama3", "created_at": "2026-01-01T00:00:00Z", "done": True, "done_reason": "length",
    "message": {"role": "assistant", "content": "Hel"},
    "total_duration": 1_500_000_000, "prompt_eval_count": 26, "eval_count": 1,
}  # fmt: skip
COHERE = {
    "id": "c2", "finish_reason": "TOOL_CALL",
    "message": {
        "role": "assistant", "tool_plan": "look it up",
        "tool_calls": [{"id": "f1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
    },
    "usage": {"billed_units": {"input_tokens": 3, "output_tokens": 4}, "tokens": {"input_tokens": 70}},
}  # fmt: skip


def only(tmp_path: Path, record: dict[str, Any]) -> Draft:
    """Read a file of one record."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    (draft,) = read([path])
    assert isinstance(draft, Draft), draft
    return draft


def test_ollama_is_read_with_its_tokens_time_and_duration(tmp_path: Path) -> None:
    """Its own server says in nanoseconds how long it took; what the logger says goes before."""
    draft = only(tmp_path, {"request": REQUEST, "response": OLLAMA})
    assert draft.control is not None
    assert (draft.control.text, draft.control.finish_reason, draft.control.latency_ms) == (
        "Hel",
        "length",
        1500,
    )
    assert draft.control.usage == Usage(26, None, 1)
    assert draft.occurred_at is not None
    assert [each.role for each in draft.request.messages] == ["system", "user"]
    timed = only(tmp_path, {"request": REQUEST, "response": OLLAMA, "latency_ms": 1700}).control
    assert timed is not None
    assert timed.latency_ms == 1700


def test_cohere_s_second_version_is_read_with_its_calls_and_billed_tokens(tmp_path: Path) -> None:
    draft = only(tmp_path, {"request": REQUEST, "response": COHERE})
    assert draft.native_id == "c2"
    assert draft.control is not None
    assert draft.control.tool_calls == (ToolCall("f", {"a": 1}, "f1"),)
    assert draft.control.usage == Usage(3, None, 4)


@pytest.mark.parametrize(("key", "expected"), [("id", "line"), ("responseId", "answer")])
def test_gemini_s_answer_is_known_by_its_line_before_its_own_id(
    tmp_path: Path, key: str, expected: str
) -> None:
    """Two equal prompts are two calls, since the answer has an id where the line has none."""
    answer = {"candidates": [{"content": {"parts": [{"text": "Yes"}]}}], "responseId": "answer"}
    line = {"request": {"contents": [{"parts": [{"text": "Hi"}]}]}, "response": answer}
    draft = only(tmp_path, line | ({"id": "line"} if key == "id" else {}))
    assert draft.native_id == expected


def test_a_request_of_several_prompts_is_no_call(tmp_path: Path) -> None:
    """Its answers are several, too, and one of them would be taken for the answer to all."""
    path = tmp_path / "log.jsonl"
    choices = [{"text": each, "index": index} for index, each in enumerate("ab")]
    line = {"request": {"model": "m", "prompt": ["One", "Two"]}, "response": {"choices": choices}}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    (found,) = read([path])
    assert isinstance(found, Rejected)
    assert "several prompts" in found.reason


def test_what_amazon_s_sdk_returns_is_read_with_model_id_time_and_duration(tmp_path: Path) -> None:
    """A pair of Converse as `boto3` gives it: the model is asked for by its id alone."""
    asked = {"modelId": "amazon.nova", "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
    answer = {
        "ResponseMetadata": {"RequestId": "r1", "HTTPHeaders": {"date": "Thu, 01 Jan 2026 00:00:00 GMT"}},
        "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
        "stopReason": "end_turn", "usage": {"inputTokens": 5}, "metrics": {"latencyMs": 900},
    }  # fmt: skip
    draft = only(tmp_path, {"request": asked, "response": answer})
    assert (draft.native_id, draft.model, draft.occurred_at is None) == ("r1", "amazon.nova", False)
    assert draft.control is not None
    assert (draft.control.text, draft.control.latency_ms) == ("Hello", 900)


def test_a_provider_that_failed_behind_openrouter_is_a_failed_call(tmp_path: Path) -> None:
    """It answers 200, and the error stands in the choice."""
    choice = {"index": 0, "finish_reason": "error", "message": {"role": "assistant", "content": "Hel"}}
    failed = {"id": "g", "model": "m", "choices": [choice | {"error": {"code": 502, "message": "upstream"}}]}
    draft = only(tmp_path, {"request": REQUEST, "response": failed})
    assert draft.control is not None
    assert draft.control.error is not None
    assert (draft.control.error.status, draft.control.error.message) == (502, "upstream")
    assert draft.control_marks == ["error"]


@pytest.mark.parametrize("write", [dict, lambda body: [body]])
def test_a_prompt_that_gemini_held_back_has_no_answer(tmp_path: Path, write: Any) -> None:
    """The response then has no candidates at all."""
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}
    draft = only(tmp_path, {"request": {"contents": "Hi"}, "response": write(body)})
    assert draft.control is not None
    assert draft.control.error is not None
    assert (draft.control.error.kind, draft.control.usage.input_tokens) == ("content_filter", 3)
    assert draft.control_marks == ["content_filter"]


@pytest.mark.parametrize(
    ("request_body", "answer", "model", "usage"),
    [
        (
            {"inputs": "Hi", "parameters": {"max_new_tokens": 3}},
            [{"generated_text": "Hello", "details": {"finish_reason": "length", "generated_tokens": 2}}],
            None, Usage(None, None, 2),
        ),
        (
            {"input": "Hi", "model_id": "ibm/granite", "parameters": {"max_new_tokens": 3}},
            {"model_id": "ibm/granite", "results": [{
                "generated_text": "Hello", "generated_token_count": 2, "input_token_count": 5,
                "stop_reason": "max_tokens",
            }]},
            "ibm/granite", Usage(5, None, 2),
        ),
    ],
)  # fmt: skip
def test_generated_text_is_an_answer(
    tmp_path: Path, request_body: dict[str, Any], answer: Any, model: str | None, usage: Usage
) -> None:
    """As Text Generation Inference and watsonx write it."""
    draft = only(tmp_path, {"request": request_body, "response": answer})
    assert ([each.content for each in draft.request.messages], draft.model) == (["Hi"], model)
    assert draft.request.parameters == {"max_tokens": 3}
    assert draft.control is not None
    assert (draft.control.text, draft.control.finish_reason, draft.control.usage) == (
        "Hello",
        "length",
        usage,
    )
