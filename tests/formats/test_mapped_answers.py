"""Mapped columns of prompts and answers: text, a provider's body, or a stream that was logged as text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench.formats.base import Draft, Mark, OutputDraft, Unreadable
from workbench.formats.mapped import Mapped
from workbench.records import ErrorKind, Message, Output, Request, ToolCall, Usage

CHUNKS = "".join(
    f"data: {json.dumps({'choices': [{'index': 0, 'delta': {'content': word}}], 'model': 'm-1'})}\n\n"
    for word in ("bil", "ling")
)
ANTHROPIC = {
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [{"type": "text", "text": "billing"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 11, "output_tokens": 2},
}


def answer(found: object, **more: object) -> Output:
    mapped = Mapped({"input": "q", "output": "a"} | {name: name for name in more})
    (draft,) = mapped.parse({"q": "Which queue?", "a": found, **more})
    assert isinstance(draft, Draft)
    assert draft.control is not None
    return draft.control


@pytest.mark.parametrize(
    "found", [CHUNKS, CHUNKS + "data: [DONE]\n\n", json.dumps(ANTHROPIC), ANTHROPIC], ids=str
)
def test_what_a_provider_sent_is_read_as_the_answer_in_it(found: object) -> None:
    """No user ever saw the frames of a stream: a small model's answer is not compared with them."""
    assert (answer(found).text, answer(found).model) == ("billing", "m-1")


@pytest.mark.parametrize(
    "found", ["billing", '{"choices": 3}', '{"queue": "billing"}', "data: none was given", "[1, 2]", "{}"]
)
def test_an_answer_that_only_looks_like_one_stays_the_text_it_is(found: str) -> None:
    assert answer(found) == Output(text=found)


def test_a_column_of_its_own_says_more_than_the_body_does() -> None:
    read = answer(ANTHROPIC, model="m-2", output_tokens="7", latency_ms="12.5")
    assert (read.model, read.latency_ms) == ("m-2", 12.5)
    assert read.usage == Usage(input_tokens=11, output_tokens=7)


def test_outputs_made_elsewhere_are_read_the_same_way() -> None:
    (draft,) = Mapped({"id": "n", "output": "a"}, outputs_only=True).parse({"n": "1", "a": CHUNKS})
    assert isinstance(draft, OutputDraft)
    assert draft.output.text == "billing"


def test_a_stream_with_a_hole_is_no_answer() -> None:
    """A frame that can't be read may have said the opposite: the call has no answer, and a mark says why."""
    broken = CHUNKS.replace("data: {", "data: {{", 1)
    (draft,) = Mapped({"input": "q", "output": "a"}).parse({"q": "Which queue?", "a": broken})
    assert isinstance(draft, Draft)
    assert draft.control is None
    assert draft.control_marks == [Mark.STREAM_NOT_REBUILT]
    (made,) = Mapped({"id": "n", "output": "a"}, outputs_only=True).parse({"n": "1", "a": broken})
    assert isinstance(made, OutputDraft)
    assert made.output.error is not None
    assert made.output.error.kind is ErrorKind.MISSING


def test_an_item_of_output_without_a_role_is_the_answer() -> None:
    """The responses API names its items by type; somebody may have left the role out."""
    items = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "a"}]},
    ]
    assert answer(items).text == "a"


def asked(found: object, **more: object) -> Request:
    (draft,) = Mapped({"input": "q"} | {name: name for name in more}).parse({"q": found, **more})
    assert isinstance(draft, Draft)
    return draft.request


def test_a_column_of_a_provider_s_requests_is_read_as_such() -> None:
    """What Anthropic and Gemini were asked: instructions, tools and parameters, no less than the turns."""
    function = {"name": "find", "parameters": {"type": "object"}}
    anthropic = {
        "model": "m", "system": "Be brief.", "temperature": 0, "max_tokens": 5,
        "tools": [{"name": "find", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Where?"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "find", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "Bonn"}]},
        ],
    }  # fmt: skip
    gemini = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Where?"}]}],
        "generationConfig": {"temperature": 0, "maxOutputTokens": 5},
        "tools": [{"functionDeclarations": [function]}],
    }
    for body in (anthropic, gemini):
        for value in (body, json.dumps(body)):
            request = asked(value)
            assert request.messages[0] == Message("system", "Be brief.")
            assert request.parameters == {"temperature": 0, "max_tokens": 5}
            assert request.tools == ({"type": "function", "function": function},)
    assert asked(anthropic).messages[-2:] == (
        Message("assistant", None, None, (ToolCall("find", {}, "t"),)),
        Message("tool", "Bonn", None, (), "t"),
    )
    assert asked(gemini).messages[1] == Message("user", "Where?")


@pytest.mark.parametrize(
    "found",
    ['{"query": "refund"}', '{"order": 3, "input": "late"}', '[{"sku": 1}]', '{"prompt": "x"}', "[1]"],
)
def test_a_prompt_that_is_json_itself_is_asked_as_it_stands(found: str) -> None:
    assert asked(found).messages == (Message("user", found),)


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ({"q": {"model": "m-0", "messages": [{"role": "user", "content": "Where?"}]}, "a": ANTHROPIC}, "m-1"),
        ({"q": {"model": "m-0", "messages": [{"role": "user", "content": "Where?"}]}, "a": "here"}, "m-0"),
        ({"q": {"messages": [{"role": "user", "content": "Where?"}], "model": 7}, "a": None}, None),
        ({"q": "Where?", "a": CHUNKS, "model": "m-2"}, "m-2"),
        ({"q": "Where?", "a": "here"}, None),
    ],
)
def test_the_model_is_that_of_its_column_else_of_the_answer_else_of_the_request(
    row: dict[str, Any], model: str | None
) -> None:
    """A call is priced, counted and ruled by one model, wherever the row says which."""
    columns = {"input": "q", "output": "a"} | ({"model": "model"} if "model" in row else {})
    (draft,) = Mapped(columns).parse(row)
    assert isinstance(draft, Draft)
    assert draft.model == model


def test_a_column_of_instructions_goes_before_those_of_the_body() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Where?"}]}
    assert [each.role for each in asked(body, system="Be brief.").messages] == ["system", "user"]


def test_messages_that_a_column_cut_short_are_refused() -> None:
    with pytest.raises(Unreadable, match="cut short"):
        asked('{"messages": [{"role": "user", "content": "A very lo')
