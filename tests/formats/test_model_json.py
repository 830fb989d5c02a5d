"""Answers and prompts that are JSON of the model's or the user's own: never taken apart, never lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench.formats.base import Unreadable
from workbench.formats.logged import read_logged, read_logged_request, was_cut
from workbench.normal import as_text
from workbench.records import ErrorKind, ToolCall


@pytest.mark.parametrize(
    "said",
    [
        {"messages": [{"type": "info", "text": "x"}]},
        {"messages": [{"type": "info", "msg": "x"}]},
        {"messages": [{"role": "user", "name": "Bob"}]},
        {"generations": ["a", "b"]},
        {"type": "message", "text": "a", "priority": 1},
        {"role": "ai", "data": {"a": 1}},
        [{"type": "message", "text": "a", "priority": 1}],
        [{"type": "reasoning", "text": "x"}],
        [{"type": "tool_call", "amount": 3}],
        [{"type": "text", "colour": "red"}],
        [{"role": "user", "name": "Bob"}],
    ],
    ids=json.dumps,
)
def test_json_of_a_model_s_own_stays_the_text_it_is(said: Any) -> None:
    """What only resembles messages, blocks or a provider's body is an answer like any other."""
    for value, text in ((said, as_text(said)), (json.dumps(said, indent=1), json.dumps(said, indent=1))):
        found = read_logged(value, marks := [])
        assert found is not None
        assert (found.text, found.error, marks) == (text, None, [])


@pytest.mark.parametrize(
    "said",
    [
        {"role": "assistant", "content": ""},
        [{"role": "assistant", "content": None}],
        [{"type": "text", "text": ""}],
        [{"type": "thinking", "thinking": "Let me see.", "signature": "s"}],
        [{"type": "reasoning", "id": "r", "summary": []}],
        {"messages": [{"type": "human", "content": "Hi"}, {"type": "ai", "content": ""}]},
        {"generations": [[{"text": ""}]], "llm_output": {}},
    ],
    ids=json.dumps,
)
def test_an_answer_that_is_surely_a_provider_s_can_be_an_empty_one(said: Any) -> None:
    """Its JSON is not taken for what the model wrote."""
    for value in (said, json.dumps(said)):
        found = read_logged(value, [])
        assert found is not None
        assert found.error is not None
        assert (found.text or None, found.error.kind) == (None, ErrorKind.EMPTY)


def test_a_library_s_answer_that_can_t_be_read_is_refused() -> None:
    """LangChain keeps the frame of a call that failed: that is no answer."""
    with pytest.raises(Unreadable):
        read_logged({"generations": [[]], "llm_output": None}, [])


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "human", "content": "Hi"}, {"type": "ai", "content": "billing"}],
        [["human", "Hi"], {"role": "assistant", "content": "billing"}],
        [
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
            {"type": "message", "role": "assistant", "content": "billing"},
        ],
    ],
)
def test_a_logged_conversation_is_its_last_answer(messages: list[Any]) -> None:
    found = read_logged({"messages": messages}, [])
    assert found is not None
    assert (found.text, found.tool_calls) == ("billing", ())


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ('{"type":"refund", "note": "please fix this json:', False),
        ('{"type": "user pasted broken json', False),
        ('[{"type":"order","sku":1},{"type":"or', False),
        ('{"content": "please fix', False),
        ('{"role": "user", "content": "Sort', True),
        ('[{"type": "text", "text": "Sort', True),
        ('[{"type": "function_call", "name": "f', True),
        ('{"messages": [{"from', True),
    ],
)
def test_only_json_with_the_keys_or_types_of_messages_was_cut(text: str, *, cut: bool) -> None:
    """People paste broken JSON into prompts: that is what they asked about."""
    assert was_cut(text) is cut
    if not cut:
        (message,) = read_logged_request(text, []).messages
        assert message.content == text


def test_a_named_call_alone_is_an_answer() -> None:
    found = read_logged([{"type": "tool_call", "name": "f", "args": {"a": 1}}], [])
    assert found is not None
    assert found.tool_calls == (ToolCall("f", {"a": 1}),)


def test_a_list_of_langchain_s_messages_alone_is_its_last_answer() -> None:
    """Its type says who speaks, where no role does."""
    said = {"type": "ai", "content": "billing", "additional_kwargs": {}}
    found = read_logged([said], [])
    assert found is not None
    assert found.text == "billing"
