"""Shapes of messages and answers that libraries write: read as they are meant, in whatever log they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench.formats.answers import read_response
from workbench.formats.base import Draft, Format, Mark, Unreadable
from workbench.formats.langfuse import Langfuse
from workbench.formats.langsmith import LangSmith
from workbench.formats.logged import read_logged, read_logged_request
from workbench.formats.openinference import OpenInference
from workbench.formats.otlp_genai import OtlpGenAI
from workbench.formats.requests import read_request
from workbench.records import Message, Output, ToolCall

SPAN = {
    "traceId": "a" * 32, "spanId": "b" * 16, "name": "chat",
    "startTimeUnixNano": "1760000000000000000", "endTimeUnixNano": "1760000001000000000",
}  # fmt: skip
OBSERVATION = {"id": "o", "traceId": "t", "type": "GENERATION", "startTime": "2026-01-01T00:00:00Z"}
WEATHER = ToolCall("weather", {"city": "Bonn"}, "c1")
VERCEL = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "How warm?"}]},
    {
        "role": "assistant",
        "content": [
            {"type": "reasoning", "text": "I should look."},
            {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Bonn"}},
        ],
    },
    {
        "role": "tool",
        "content": [
            {
                "type": "tool-result",
                "toolCallId": "c1",
                "toolName": "weather",
                "output": {"type": "json", "value": {"warm": 12}},
            }
        ],
    },
]
OLDER_VERCEL = [
    *VERCEL[:2],
    {
        "role": "assistant",
        "content": [
            {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "args": {"city": "Bonn"}}
        ],
    },
    {
        "role": "tool",
        "content": [
            {"type": "tool-result", "toolCallId": "c1", "toolName": "weather", "result": {"warm": 12}}
        ],
    },
]


def call(form: Format, value: dict[str, Any]) -> Draft:
    (draft,) = form.parse(value)
    assert isinstance(draft, Draft)
    return draft


def control(draft: Draft) -> Output:
    assert draft.control is not None
    return draft.control


@pytest.mark.parametrize("messages", [VERCEL, OLDER_VERCEL], ids=["v5", "v4"])
@pytest.mark.parametrize("where", ["otlp_genai", "langfuse", "langsmith"])
def test_a_history_of_the_vercel_ai_sdk_keeps_its_calls_and_results(
    where: str, messages: list[dict[str, Any]]
) -> None:
    """Its parts name calls and results in words of their own, in every log that they come through."""
    if where == "otlp_genai":
        attributes = {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.prompt.messages": json.dumps(messages),
        }
        draft = call(OtlpGenAI(), SPAN | {"attributes": attributes})
    elif where == "langfuse":
        draft = call(Langfuse(), OBSERVATION | {"input": messages})
    else:
        draft = call(
            LangSmith(), {"id": "r", "run_type": "llm", "inputs": {"messages": messages}, "outputs": {}}
        )
    assert draft.request.messages[-2:] == (
        Message("assistant", None, None, (WEATHER,)),
        Message("tool", '{"warm":12}', "weather", (), "c1"),
    )
    assert draft.marks == []


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"type": "text", "value": "12 degrees"}, "12 degrees"),
        ({"type": "error-text", "value": "no such city"}, "no such city"),
        ({"type": "json", "value": [{"type": "warm"}]}, '[{"type":"warm"}]'),
        ({"type": "content", "value": [{"type": "text", "text": "12 degrees"}]}, "12 degrees"),
    ],
)
def test_the_value_of_a_vercel_result_is_what_the_model_read(output: dict[str, Any], text: str) -> None:
    result = {"type": "tool-result", "toolCallId": "c1", "toolName": "weather", "output": output}
    request = read_request([*VERCEL[:3], {"role": "tool", "content": [result]}], [])
    assert request.messages[-1].content == text


def test_an_answer_of_the_vercel_ai_sdk_gives_calls_reasoning_and_the_forced_tool() -> None:
    attributes = {
        "ai.operationId": "ai.streamText.doStream",
        "ai.prompt.messages": json.dumps(VERCEL[:2]),
        "ai.prompt.toolChoice": json.dumps({"type": "tool", "toolName": "weather"}),
        "ai.response.reasoning": "I should look.",
        "ai.response.finishReason": "tool-calls",
        "ai.response.toolCalls": json.dumps(
            [
                {"toolCallId": "c1", "toolName": "weather", "input": '{"city": "Bonn"}'},
                {"toolCallId": "s", "toolName": "web_search", "input": "{}", "providerExecuted": True},
            ]
        ),
    }
    draft = call(OtlpGenAI(), SPAN | {"attributes": attributes})
    answer = control(draft)
    assert (answer.tool_calls, answer.reasoning, answer.text) == ((WEATHER,), "I should look.", None)
    assert answer.finish_reason == "tool_calls"
    assert Mark.BUILT_IN_TOOL in draft.control_marks
    assert draft.request.parameters["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_an_answer_that_is_one_message_of_the_vercel_ai_sdk_is_read() -> None:
    said = {"role": "assistant", "content": [VERCEL[2]["content"][1]]}  # type: ignore[index]
    assert control(call(Langfuse(), OBSERVATION | {"input": "How warm?", "output": said})).tool_calls == (
        WEATHER,
    )


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "file", "mediaType": "image/png", "data": "AAAA"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ),
        (
            {"type": "image", "image": "https://x.test/a.png", "mediaType": "image/png"},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        ),
        (
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAAA"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ),
        (
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "AAAA"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ),
        (
            {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        ),
    ],
    ids=["vercel-file", "vercel-image", "otel-image", "otel-audio", "otel-uri"],
)
def test_media_of_any_library_can_be_sent_on(block: dict[str, Any], part: dict[str, Any]) -> None:
    """Bytes become an address that says of what kind they are; an address stays as it is."""
    (message,) = read_request([{"role": "user", "content": [block]}], []).messages
    assert message.content == [part]


def _openinference(*messages: dict[str, Any], **more: Any) -> Draft:
    attributes = {
        "openinference.span.kind": "LLM", "llm.model_name": "m",
        "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "How warm?",
        "llm.output_messages": [{"message": each} for each in messages],
    } | more  # fmt: skip
    return call(OpenInference(), SPAN | {"attributes": attributes})


def _spoken(text: str) -> dict[str, Any]:
    return {"role": "assistant", "contents": [{"message_content": {"type": "text", "text": text}}]}


def _calls(name: str, identity: str) -> dict[str, Any]:
    function = {"name": name, "arguments": '{"city": "Bonn"}'}
    return {"role": "assistant", "tool_calls": [{"tool_call": {"id": identity, "function": function}}]}


def test_the_items_of_a_response_in_openinference_are_one_answer() -> None:
    """The responses API's span has a message for each item, and one of reasoning looks like any other."""
    answer = control(_openinference(_spoken("I should look."), _spoken("12 degrees.")))
    assert (answer.text, answer.reasoning) == ("12 degrees.", "I should look.")
    answer = control(_openinference(_calls("weather", "c1"), _calls("weather", "c2")))
    assert [each.id for each in answer.tool_calls] == ["c1", "c2"]
    thought = {"llm.token_count.completion_details.reasoning": 9}
    answer = control(_openinference(_spoken("I should look."), _calls("weather", "c1"), **thought))
    assert (answer.text, answer.reasoning, answer.tool_calls) == (None, "I should look.", (WEATHER,))
    answer = control(_openinference(_spoken("Let me look."), _calls("weather", "c1")))
    assert (answer.text, answer.tool_calls) == ("Let me look.", (WEATHER,))


def test_a_response_object_says_more_than_the_items_made_of_it() -> None:
    body = {
        "object": "response", "status": "completed",
        "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "I should look."}]},
            {"type": "web_search_call", "id": "w"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "12."}]},
        ],
    }  # fmt: skip
    draft = _openinference(_spoken("I should look."), _spoken("12."), **{"output.value": json.dumps(body)})
    answer = control(draft)
    assert (answer.text, answer.reasoning, answer.finish_reason) == ("12.", "I should look.", "stop")
    assert Mark.BUILT_IN_TOOL in draft.control_marks


def test_a_built_in_tool_in_openinference_is_no_call_of_the_answer() -> None:
    """The span names it as if the caller had offered it."""
    draft = _openinference(_calls("web_search_call", "w"), _spoken("12 degrees."))
    assert (control(draft).text, control(draft).tool_calls) == ("12 degrees.", ())
    assert Mark.BUILT_IN_TOOL in draft.control_marks
    own = _openinference(_calls("schedule_call", "c1"))
    assert [each.name for each in control(own).tool_calls] == ["schedule_call"]


@pytest.mark.parametrize(
    "more", [{"llm.invocation_parameters": '{"n": 2}'}, {"output.value": '{"choices": [{}, {}]}'}]
)
def test_several_choices_in_openinference_are_no_items_of_one_answer(more: dict[str, Any]) -> None:
    draft = _openinference(_spoken("Warm."), _spoken("Cold."), **more)
    assert (control(draft).text, draft.control_marks) == ("Warm.", [Mark.MULTIPLE_CHOICES])


def test_instructions_beside_a_developer_s_message_are_kept() -> None:
    """The model saw both; what stands in both places is one message."""
    developer = {"role": "developer", "content": "Use German."}
    said = {"role": "user", "content": "Hi"}
    both = read_request({"instructions": "Be brief.", "input": [developer, said]}, [])
    assert [each.role for each in both.messages] == ["system", "developer", "user"]
    assert both.messages[0].content == "Be brief."
    twice = read_request({"instructions": "Use German.", "input": [developer, said]}, [])
    assert [each.role for each in twice.messages] == ["developer", "user"]


def test_instructions_of_a_span_beside_a_system_message_are_kept() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief."}]),
        "gen_ai.input.messages": json.dumps(
            [
                {"role": "system", "parts": [{"type": "text", "content": "Use German."}]},
                {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
            ]
        ),
    }
    draft = call(OtlpGenAI(), SPAN | {"attributes": attributes})
    assert [each.content for each in draft.request.messages] == ["Be brief.", "Use German.", "Hi"]


CUT = '[{"role": "user", "parts": [{"type": "text", "content": "A very long'


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (
            OtlpGenAI(),
            SPAN | {"attributes": {"gen_ai.operation.name": "chat", "gen_ai.input.messages": CUT}},
        ),
        (Langfuse(), OBSERVATION | {"input": CUT}),
    ],
    ids=["otlp_genai", "langfuse"],
)
def test_messages_without_their_end_are_no_prompt(form: Format, value: dict[str, Any]) -> None:
    """A limit on the length of attributes cuts JSON in two; nobody was ever asked the half of it."""
    with pytest.raises(Unreadable, match="cut short"):
        form.parse(value)


@pytest.mark.parametrize("where", ["otlp_genai", "langfuse"])
def test_an_answer_without_its_end_is_marked_and_never_compared_with(where: str) -> None:
    said = '[{"role": "assistant", "parts": [{"type": "text", "content": "A very'
    if where == "otlp_genai":
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": json.dumps(VERCEL[:2]),
            "gen_ai.output.messages": said,
        }
        draft = call(OtlpGenAI(), SPAN | {"attributes": attributes})
    else:
        draft = call(Langfuse(), OBSERVATION | {"input": "Hi", "output": said})
    assert control(draft).flags == ("truncated",)
    assert Mark.TRUNCATED in draft.control_marks
    assert control(draft).finish_reason is None


@pytest.mark.parametrize("said", ['{"queue": "bil', "[1, 2", "{not JSON", '[{"role": "user"}] and more'])
def test_a_text_that_only_begins_like_json_is_what_was_said(said: str) -> None:
    marks: list[str] = []
    found = read_logged(said, marks)
    assert found is not None
    assert (found.text, found.flags, marks) == (said, (), [])


@pytest.mark.parametrize(
    "said",
    [
        {"label": "a", "content": "b"},
        {"message": "we are closed", "priority": "high"},
        {"content": "b", "role": "manager"},
        {"choices": ["yes", "no"]},
        {"candidates": ["Ann", "Bob"], "tool_calls": []},
        {"messages": ["one", "two"]},
        {"parts": ["wheel", "axle"]},
        [{"type": "refund", "amount": 3}, {"type": "message", "text": "hi"}],
        [{"delta": 0.3}],
        {"name": "Ann", "text": "hello"},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("form", ["object", "text"])
def test_a_model_s_own_json_is_the_answer_however_it_was_logged(said: Any, form: str) -> None:
    """Its fields may have a message's names; only a known role, a message's type or choices make it one."""
    value = said if form == "object" else json.dumps(said)
    marks: list[str] = []
    found = read_logged(value, marks)
    assert found is not None
    assert json.loads(found.text or "") == said
    assert marks == []


@pytest.mark.parametrize(
    "said",
    [
        {"role": "assistant", "content": "billing"},
        {"type": "message", "content": [{"type": "text", "text": "billing"}]},
        {"choices": [{"message": {"role": "assistant", "content": "billing"}, "finish_reason": "stop"}]},
        {"message": {"role": "assistant", "content": "billing"}, "done": True},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "billing"}]},
        [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "billing"}}],
        [{"finish_reason": "stop", "message": {"content": "billing"}}],
        [{"type": "message", "content": "billing"}],
        [{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"text": "billing"}]}],
        [{"role": "assistant", "content": "billing"}],
    ],
    ids=json.dumps,
)
def test_a_logged_message_is_taken_apart(said: Any) -> None:
    """A message, a body, and the list of choices that OpenTelemetry and Braintrust write."""
    for value in (said, json.dumps(said)):
        found = read_logged(value, [])
        assert found is not None
        assert (found.text, found.error) == ("billing", None)


def test_all_items_of_a_logged_response_are_the_answer() -> None:
    """Langfuse keeps the list of them alone: a call beside a text is no less an answer."""
    items = [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Let me look."}],
        },
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Bonn"}'},
        {"type": "web_search_call", "id": "w"},
    ]
    found = read_logged(items, marks := [])
    assert found is not None
    assert (found.text, found.tool_calls) == ("Let me look.", (WEATHER,))
    assert marks == [Mark.BUILT_IN_TOOL]


def test_several_answers_to_choose_from_are_not_joined() -> None:
    said = [{"role": "assistant", "content": "Warm."}, {"role": "assistant", "content": "Cold."}]
    found = read_response(said, [])
    assert found is not None
    assert found.text == "Cold."


@pytest.mark.parametrize(
    ("asked", "prompt"),
    [
        ({"question": "How warm?", "context": "Bonn"}, '{"context":"Bonn","question":"How warm?"}'),
        ({"query": "How warm?", "lang": "de"}, '{"lang":"de","query":"How warm?"}'),
        ({"input": {"city": "Bonn"}}, '{"input":{"city":"Bonn"}}'),
        ({"prompt": "How warm?", "temperature": 0}, "How warm?"),
        ({"model": "m", "input": "How warm?", "client": "x"}, "How warm?"),
        ({"input": {"messages": [{"role": "user", "content": "How warm?"}]}, "x": 1}, "How warm?"),
        ({"args": ["How warm?"], "kwargs": {}}, "How warm?"),
        ({"args": [], "kwargs": {"prompt": "How warm?"}}, "How warm?"),
        ({"args": ["How warm?", "Bonn"]}, '{"args":["How warm?","Bonn"]}'),
    ],
    ids=json.dumps,
)
def test_a_prompt_that_is_json_is_asked_as_it_is(asked: dict[str, Any], prompt: str) -> None:
    """Only a request's body is taken apart: beside its prompt stands nothing that no body has."""
    (message,) = read_logged_request(asked, []).messages
    assert message == Message("user", prompt)


def test_pairs_of_a_role_and_a_text_are_messages() -> None:
    """LangChain's short form, of which a list of several prompts is told apart."""
    inputs = {"messages": [["system", "Be brief."], ["human", "Hi"]]}
    draft = call(LangSmith(), {"id": "r", "run_type": "llm", "inputs": inputs, "outputs": {}})
    assert draft.request.messages == (Message("system", "Be brief."), Message("user", "Hi"))
    assert draft.marks == []
    single = read_request([["human", "Hi"]], [])
    assert single.messages == (Message("user", "Hi"),)


@pytest.mark.parametrize(
    "item",
    [
        {"type": "web_search_call", "id": "w", "status": "completed"},
        {"type": "mcp_list_tools", "server_label": "s", "tools": []},
        {"type": "code_interpreter_call", "id": "c", "code": "1", "outputs": []},
        {"type": "mcp_approval_response", "approve": True},
    ],
    ids=lambda item: item["type"],
)
def test_items_of_built_in_tools_in_a_history_are_left_out_and_marked(item: dict[str, Any]) -> None:
    """Agents send them back to the provider; no other model could do anything with them."""
    marks: list[str] = []
    request = read_request({"input": [{"role": "user", "content": "News?"}, item]}, marks)
    assert request.messages == (Message("user", "News?"),)
    assert marks == [Mark.BUILT_IN_TOOL]


def test_a_remote_tool_s_call_and_answer_in_a_history_stay() -> None:
    """The model read them both, and they are a call and its result like any other."""
    item = {"type": "mcp_call", "id": "m", "name": "weather", "arguments": '{"city": "Bonn"}', "output": "12"}
    marks: list[str] = []
    request = read_request({"input": [{"role": "user", "content": "Warm?"}, item]}, marks)
    assert request.messages[1:] == (
        Message("assistant", None, None, (ToolCall("weather", {"city": "Bonn"}, "m"),)),
        Message("tool", "12", "weather", (), "m"),
    )
    assert marks == [Mark.BUILT_IN_TOOL]


def test_a_compacted_history_is_a_missing_one() -> None:
    marks: list[str] = []
    read_request({"input": [{"type": "compaction", "encrypted_content": "x"}, *VERCEL[1:2]]}, marks)
    assert marks == [Mark.HISTORY_MISSING]


def test_a_search_of_anthropic_s_is_no_call_of_the_answer() -> None:
    """The provider ran it and went on: a candidate that answers without it agrees."""
    body = {
        "type": "message", "role": "assistant", "stop_reason": "end_turn",
        "content": [
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "warm"}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            {"type": "text", "text": "12 degrees."},
        ],
    }  # fmt: skip
    found = read_response(body, marks := [])
    assert found is not None
    assert (found.text, found.tool_calls, marks) == ("12 degrees.", (), [Mark.BUILT_IN_TOOL])


def test_results_without_an_id_are_tied_only_where_one_call_can_be_meant() -> None:
    calls = [
        {"id": identity, "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        for identity in ("a", "b")
    ]
    asked = {"role": "assistant", "content": None, "tool_calls": calls}
    answers = [{"role": "weather", "content": "12"}, {"role": "weather", "content": "13"}]
    request = read_request([*VERCEL[1:2], asked, *answers], [])
    assert [(each.role, each.name, each.tool_call_id) for each in request.messages[2:]] == [
        ("tool", "weather", None),
        ("tool", "weather", None),
    ]
    speaker = read_request([{"role": "critic", "content": "Hm."}, *VERCEL[1:2]], [])
    assert speaker.messages[0].role == "critic"


def test_a_tool_s_answer_that_is_json_stays_as_the_model_read_it() -> None:
    said = '[{"function": {"name": "weather"}, "type": "function"}]'
    asked = {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": {"name": "list"}}]}
    request = read_request([*VERCEL[1:2], asked, {"role": "tool", "tool_call_id": "a", "content": said}], [])
    assert request.messages[-1] == Message("tool", said, None, (), "a")


def test_calls_that_langfuse_drew_from_an_answer_count_where_the_answer_is_gone() -> None:
    """It keeps their names in a list of its own, and the definitions as JSON under the tool's name."""
    row = OBSERVATION | {
        "input": "How warm?",
        "output": None,
        "toolDefinitions": {"weather": json.dumps({"description": "d", "parameters": '{"type": "object"}'})},
        "toolCalls": [
            json.dumps({"id": "c1", "arguments": '{"city": "Bonn"}', "type": "tool_use", "index": 0})
        ],
        "toolCallNames": ["weather"],
    }
    draft = call(Langfuse(), row)
    assert control(draft).tool_calls == (WEATHER,)
    function = {"name": "weather", "description": "d", "parameters": {"type": "object"}}
    assert draft.request.tools == ({"type": "function", "function": function},)
    said = call(Langfuse(), row | {"output": "12 degrees."})
    assert (control(said).text, control(said).tool_calls) == ("12 degrees.", ())


def test_an_answer_that_a_span_says_was_cut_off_is_marked() -> None:
    """Langfuse keeps why an answer ended only among the attributes of the span."""
    metadata = {"attributes": {"gen_ai.response.finish_reasons": '["length"]'}}
    draft = call(Langfuse(), OBSERVATION | {"input": "Hi", "output": "A very", "metadata": metadata})
    assert (control(draft).finish_reason, control(draft).flags) == ("length", ("truncated",))
    assert {Mark.TRUNCATED, Mark.FINISH_LENGTH} <= set(draft.control_marks)


def test_a_spoken_answer_is_what_was_said() -> None:
    """OpenAI writes the words beside the sound, and no content."""
    audio = {"id": "a", "data": "AAAA", "transcript": "It is warm."}
    message = {"role": "assistant", "content": None, "audio": audio}
    for body in ({"choices": [{"message": message, "finish_reason": "stop"}]}, [message]):
        found = read_response(body, marks := [])
        assert found is not None
        assert (found.text, found.error, marks) == ("It is warm.", None, [Mark.AUDIO])


@pytest.mark.parametrize(
    "names", [("reasoning",), ("reasoning_content",), ("reasoning", "reasoning_content")]
)
def test_reasoning_in_a_stream_is_kept_once_whatever_it_is_called(names: tuple[str, ...]) -> None:
    deltas = [*(dict.fromkeys(names, word) for word in ("I should ", "look.")), {"content": "12."}]
    chunks = [{"choices": [{"index": 0, "delta": each}]} for each in deltas]
    found = read_response([*chunks, {"choices": [{"delta": {}, "finish_reason": "stop"}]}], [])
    assert found is not None
    assert (found.text, found.reasoning) == ("12.", "I should look.")


def test_tokens_that_deepseek_took_from_its_cache_are_cached_ones() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 3, "prompt_cache_hit_tokens": 64}
    body = {"choices": [{"message": {"content": "12."}, "finish_reason": "stop"}], "usage": usage}
    found = read_response(body, [])
    assert found is not None
    assert (found.usage.input_tokens, found.usage.cached_input_tokens) == (36, 64)


def event(name: str, **attributes: Any) -> dict[str, Any]:
    """Return an event of a span."""
    listed = [
        {"key": key.replace("__", "."), "value": {"stringValue": item}} for key, item in attributes.items()
    ]
    return {"name": name, "timeUnixNano": "1760000000000000000", "attributes": listed}


def test_a_span_of_semantic_kernel_is_a_call_with_its_tokens() -> None:
    """It names the operation after the path of OpenAI's API, and prints enums as Python does."""
    told = {
        "gen_ai.operation.name": "chat.completions",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.finish_reason": "FinishReason.STOP",
        "gen_ai.response.prompt_tokens": 5,
        "gen_ai.response.completion_tokens": 2,
    }
    asked = json.dumps([{"role": "user", "content": "How warm?"}])
    said = json.dumps([{"role": "assistant", "content": "12 degrees"}])
    events = [
        event("gen_ai.content.prompt", gen_ai__prompt=asked),
        event("gen_ai.content.completion", gen_ai__completion=said),
    ]
    draft = call(OtlpGenAI(), SPAN | {"attributes": told, "events": events})
    read = control(draft)
    assert (draft.request.messages[0].content, read.text) == ("How warm?", "12 degrees")
    assert (read.finish_reason, read.usage.input_tokens, read.usage.output_tokens) == ("stop", 5, 2)


def test_of_several_events_of_choices_that_of_index_0_counts() -> None:
    """As of several choices of a response, in whatever order they come."""
    events = [
        event("gen_ai.user.message", content="How warm?"),
        *(event("gen_ai.choice", index=index, content=text) for index, text in (("1", "B"), ("0", "A"))),
    ]
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    draft = call(OtlpGenAI(), SPAN | {"attributes": told, "events": events})
    assert (control(draft).text, Mark.MULTIPLE_CHOICES in draft.control_marks) == ("A", True)
