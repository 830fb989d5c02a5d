"""What exporters and failing servers write beside the plain case: read as it is meant, or marked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from workbench.formats import Draft, Joiner, OutputDraft
from workbench.formats.azure_apim import AzureAPIM
from workbench.formats.base import Format, Item, Record
from workbench.formats.bedrock import Bedrock
from workbench.formats.langfuse import Langfuse
from workbench.formats.langsmith import LangSmith
from workbench.formats.litellm import LiteLLM
from workbench.formats.openai_chat import OpenAIChat
from workbench.formats.openai_stored import OpenAIStored
from workbench.formats.openinference import OpenInference
from workbench.formats.otlp_genai import OtlpGenAI
from workbench.formats.registry import parse_record, recognised
from workbench.formats.tensorzero import TensorZero
from workbench.records import ErrorKind, Rejected, Usage

ASKED = [{"role": "user", "content": "Sort this."}]


def read(form: Format, *values: Mapping[str, Any]) -> list[Item]:
    """Return what records become, joined."""
    joiner = Joiner()
    found: list[Item] = []
    for line, value in enumerate(values, start=1):
        for item in parse_record(form, Record(line, value), "log", given=True):
            found += [each for each, _ in joiner.take(item, form.name)]
    return [*found, *(each for each, _ in joiner.finish())]


def call(form: Format, *values: Mapping[str, Any]) -> Draft:
    """Return the one call that records become."""
    (found,) = read(form, *values)
    assert isinstance(found, Draft), found
    return found


def failed(draft: Draft, says: str) -> None:
    """Check that a call is no control, though something was answered."""
    assert draft.control is not None
    assert draft.control.error is not None
    assert says in draft.control.error.message
    assert draft.control.text is None
    assert "error" in draft.control_marks
    assert draft.control.usage.output_tokens == 3


def test_a_failed_call_with_part_of_an_answer_is_no_control_in_any_format() -> None:
    """Its tokens still count. A call that succeeded keeps its answer."""
    usage = {"prompt_tokens": 9, "completion_tokens": 3}
    choice = {"message": {"role": "assistant", "content": "It is a"}, "finish_reason": "stop"}
    pair = {
        "request": {"messages": ASKED},
        "response": {"id": "a", "created": 1_760_000_000, "model": "m", "choices": [choice], "usage": usage},
    }
    form = OpenAIChat()
    failed(call(form, pair | {"status_code": 500, "error": "upstream broke off"}), "upstream broke off")
    failed(call(form, pair | {"status_code": 500}), "status 500")
    failed(call(form, pair | {"error": {"message": "broke off"}}), "broke off")
    for fine in (
        pair,
        pair | {"status_code": 200, "error": None},
        pair | {"status_code": "200", "error": ""},
    ):
        control = call(form, fine).control
        assert control is not None
        assert (control.text, control.error) == ("It is a", None)

    times = {"startTimeUnixNano": "1760000000000000000", "endTimeUnixNano": "1760000001000000000"}
    ids = {"traceId": "a" * 32, "spanId": "b" * 16, "name": "chat"}
    status = {"code": 2, "message": "the stream broke off"}
    messages = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": ASKED,
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
    }
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": "It is a"}]}]
    genai = {**ids, **times, "attributes": {**messages, "gen_ai.output.messages": answer}}
    failed(call(OtlpGenAI(), genai | {"status": status}), "the stream broke off")
    fine_control = call(OtlpGenAI(), genai).control
    assert fine_control is not None
    assert fine_control.text == "It is a"

    spans = {
        "openinference.span.kind": "LLM", "llm.model_name": "m", "llm.token_count.prompt": 9,
        "llm.token_count.completion": 3, "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "Sort this.",
        "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "It is a",
    }  # fmt: skip
    failed(call(OpenInference(), {**ids, **times, "attributes": spans, "status": status}), "broke off")


def test_an_error_that_the_answer_names_itself_stays(tmp_path: object) -> None:
    pair = {"request": {"messages": ASKED}, "response": {"error": {"code": "timeout", "message": "too late"}}}
    control = call(OpenAIChat(), pair | {"id": "a", "status_code": 504, "error": "gateway"}).control
    assert control is not None
    assert control.error is not None
    assert (control.error.kind, control.error.message) == (ErrorKind.TIMEOUT, "too late")


def _apim(question: str, **more: Any) -> dict[str, Any]:
    return {
        "Type": "ApiManagementGatewayLlmLog", "CorrelationId": "one", "SequenceNumber": 0, "ModelName": "m",
        "RequestMessages": json.dumps([{"role": "user", "content": question}]),
        "ResponseMessages": json.dumps([{"role": "assistant", "content": "ok"}]),
    } | more  # fmt: skip


def test_two_calls_of_one_gateway_request_are_two_calls() -> None:
    """Azure's CorrelationId is the gateway's; where nothing else tells calls apart, that is the reason."""
    found = read(AzureAPIM(), _apim("first", RequestId="r-1"), _apim("second", RequestId="r-2"))
    assert [each.native_id for each in found if isinstance(each, Draft)] == ["r-1", "r-2"]
    again = read(AzureAPIM(), _apim("first"), _apim("second"))
    assert [type(each) for each in again] == [Rejected, Rejected]
    assert "several calls without a RequestId" in again[0].reason  # type: ignore[union-attr]
    assert call(AzureAPIM(), _apim("first"), _apim("first")).parts == 1


def test_spans_as_a_table_of_phoenix_are_read() -> None:
    """Its columns are named by the path in a span, and lists of messages stand in one of them."""
    row = {
        "name": "ChatCompletion", "span_kind": "LLM", "parent_id": None, "start_time": "2026-01-01T00:00:00Z",
        "end_time": "2026-01-01T00:00:01Z", "status_code": "OK", "context.trace_id": "a" * 32,
        "context.span_id": "b" * 16, "attributes.openinference.span.kind": "LLM",
        "attributes.llm.model_name": "m", "attributes.llm.token_count.prompt": 9.0,
        "attributes.llm.token_count.completion": 3.0,
        "attributes.llm.input_messages": [{"message.role": "user", "message.content": "Sort this."}],
        "attributes.llm.output_messages": [{"message.role": "assistant", "message.content": "billing"}],
    }  # fmt: skip
    for each in (
        row,
        row | {"attributes.llm.input_messages": json.dumps(row["attributes.llm.input_messages"])},
    ):
        found = recognised(each)
        assert found is not None
        assert found[0].name == "openinference"
        draft = call(OpenInference(), each)
        assert draft.request.messages[0].content == "Sort this."
        assert draft.control is not None
        assert (draft.control.text, draft.control.latency_ms) == ("billing", 1000.0)
        assert draft.control.usage.output_tokens == 3


@pytest.mark.parametrize(
    "inputs", [{"prompts": ["first", "second"]}, {"messages": [[*ASKED], [{"role": "user", "content": "b"}]]}]
)
def test_a_run_of_several_prompts_is_marked(inputs: dict[str, Any]) -> None:
    run = {"id": "a", "run_type": "llm", "outputs": {"generations": [[{"text": "x"}], [{"text": "y"}]]}}
    assert "multiple_prompts" in call(LangSmith(), run | {"inputs": inputs}).marks
    one = {key: value[:1] for key, value in inputs.items()}
    assert "multiple_prompts" not in call(LangSmith(), run | {"inputs": one}).marks


def test_the_history_of_a_cohere_request_is_read() -> None:
    history = [{"role": "USER", "message": "Hello"}, {"role": "CHATBOT", "message": "Hi, what is it?"}]
    value = {
        "schemaType": "ModelInvocationLog", "requestId": "a", "modelId": "cohere.command-r-v1:0",
        "timestamp": "2026-01-01T00:00:00Z", "operation": "InvokeModel",
        "input": {"inputBodyJson": {"chat_history": history, "message": "My parcel is late."}},
        "output": {"outputBodyJson": {"text": "Sorry.", "finish_reason": "COMPLETE"}},
    }  # fmt: skip
    messages = call(Bedrock(), value).request.messages
    assert [(each.role, each.content) for each in messages] == [
        ("user", "Hello"),
        ("assistant", "Hi, what is it?"),
        ("user", "My parcel is late."),
    ]


def test_messages_that_litellm_took_out_are_no_calls() -> None:
    """With message logging off it writes one word for all of them; an answer alone may be missing."""
    word = "redacted-by-litellm"
    payload = {"id": "a", "call_type": "acompletion", "startTime": 1_760_000_000.0,
               "endTime": 1_760_000_001.0, "model_group": "m", "model": "m"}  # fmt: skip
    answer = {"choices": [{"message": {"role": "assistant", "content": word}}]}
    gone = {"messages": [{"role": "user", "content": word}], "response": answer}
    (found,) = read(LiteLLM(), payload | gone)
    assert isinstance(found, Rejected)
    assert "not stored" in found.reason
    assert call(LiteLLM(), payload | {"messages": ASKED, "response": answer}).control is None


def _inference(identity: str) -> dict[str, Any]:
    said = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    asked = {"system": {"city": "Bern"}, "messages": said}
    return {
        "id": identity, "function_name": "guide", "variant_name": "v", "episode_id": "e",
        "input": json.dumps(asked), "output": json.dumps([{"type": "text", "text": "Hello"}]),
    }  # fmt: skip


def _below(identity: str, **more: Any) -> dict[str, Any]:
    return {
        "inference_id": identity, "id": f"m-{identity}", "model_provider_name": "p", "model_name": "m",
        "raw_request": "{}", "input_tokens": 5, "output_tokens": 2, "system": "You are a guide of Bern.",
        "input_messages": json.dumps([{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]),
    } | more  # fmt: skip


@pytest.mark.parametrize("waiting", [1, 20_000])
def test_the_prompt_of_a_template_comes_before_or_after_its_inference(
    waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one file, whichever row comes first; where too many wait, the answer still gets tokens and cache."""
    monkeypatch.setattr("workbench.formats.joining.WAITING_CALLS", waiting)
    first, second = _inference("a"), _inference("b")
    rows = [_below("a", cached=True), _below("b")]
    for order in ([first, second, *rows], [*rows, first, second]):
        found = read(TensorZero(), *order)
        drafts = {each.native_id: each for each in found if isinstance(each, Draft)}
        assert drafts.keys() == {"a", "b"}
        late = [each for each in found if isinstance(each, OutputDraft)]
        if waiting == 1 and order[0] is first:
            # One had to go before its rows came.
            assert [(each.native_id, each.marks, each.output.usage.output_tokens) for each in late] == [
                ("a", ["cache_hit"], 2)
            ]
            assert "not_rendered" in drafts["a"].marks
        else:
            assert not late
            assert "cache_hit" in drafts["a"].marks
            assert drafts["a"].request.messages[0].content == "You are a guide of Bern."
        assert "not_rendered" not in drafts["b"].marks
        assert sum(each.parts for each in drafts.values()) + len(late) == 2


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": "Sort this.", "completion": "billing"},
        {"prompt": "Sort this.", "response": "billing"},
        {"messages": ASKED, "completion": "billing"},
        {"messages": ASKED, "response": "billing"},
        {
            "messages": ASKED,
            "response": {"choices": [{"message": {"role": "assistant", "content": "billing"}}]},
        },
        {"request": {"messages": ASKED}, "response": {"choices": [{"message": {"content": "billing"}}]}},
    ],
    ids=lambda value: "-".join(value),
)
def test_tokens_and_model_beside_a_call_are_those_of_the_call(value: dict[str, Any]) -> None:
    """A table that somebody wrote has them in columns, as text where it is a CSV; they make up the cost."""
    line = value | {"model": "m-1", "prompt_tokens": "12", "completion_tokens": "3", "session_id": "s"}
    found = recognised(line)
    assert found is not None
    draft = call(found[0], line)
    assert draft.control is not None
    assert draft.control.text == "billing"
    assert (draft.control.usage.input_tokens, draft.control.usage.output_tokens) == (12, 3)
    assert (draft.model, draft.session_id) == ("m-1", "s")
    assert "prompt_tokens" not in draft.attributes


def test_a_request_whose_response_is_missing_is_a_call_without_an_answer() -> None:
    """Another line of the same file may hold one; a response of null is none."""
    assert recognised({"messages": ASKED, "response": None}) is None
    draft = call(OpenAIStored(), {"messages": ASKED, "response": None})
    assert draft.control is None


def test_parameters_beside_a_stored_conversation_are_those_of_the_call() -> None:
    """A count or a probability under such a name is a column like any other."""
    line = {"messages": ASKED, "completion": "billing", "temperature": 0, "max_tokens": 5, "top_p": 0.3,
            "seed": 4, "n": 17, "logprobs": -0.2, "tenant": "north"}  # fmt: skip
    draft = call(OpenAIStored(), line)
    assert draft.request.parameters == {"temperature": 0, "max_tokens": 5, "top_p": 0.3, "seed": 4}
    assert draft.attributes == {"n": 17, "logprobs": -0.2, "tenant": "north"}


def test_turns_behind_the_last_answer_are_marked() -> None:
    """Nothing answers them: the call ends with the last answer, and says what was left out."""
    turns = [*ASKED, {"role": "assistant", "content": "billing"}, {"role": "user", "content": "Thanks!"}]
    draft = call(OpenAIStored(), {"messages": turns})
    assert draft.control is not None
    assert (draft.control.text, draft.marks) == ("billing", ["turns_after_answer"])
    assert "turns_after_answer" not in call(OpenAIStored(), {"messages": turns[:2]}).marks


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_row_of_litellm_s_spend_log_keeps_all_of_the_body_that_came_in(*, wrapped: bool) -> None:
    """Its own columns hold no more than the model: tools, form and parameters are in the body alone."""
    tool = {"type": "function", "function": {"name": "find_order"}}
    body = {"model": "m", "messages": ASKED, "tools": [tool], "temperature": 0.3,
            "response_format": {"type": "json_object"}}  # fmt: skip
    row = {
        "request_id": "a", "call_type": "acompletion", "startTime": "2026-01-01 00:00:00", "spend": 0.1,
        "endTime": "2026-01-01 00:00:01", "model": "m", "model_group": "m", "messages": "{}",
        "proxy_server_request": json.dumps({"url": "/chat", "body": body} if wrapped else body),
        "response": json.dumps({"choices": [{"message": {"role": "assistant", "content": "billing"}}]}),
    }  # fmt: skip
    request = call(LiteLLM(), row).request
    assert [each.content for each in request.messages] == ["Sort this."]
    assert request.tools == (tool,)
    assert (request.parameters, request.response_format) == ({"temperature": 0.3}, {"type": "json_object"})
    responses = {"model": "m", "input": "Sort this.", "instructions": "Be brief."}
    asked = call(LiteLLM(), row | {"call_type": "aresponses", "proxy_server_request": responses}).request
    assert [each.content for each in asked.messages] == ["Be brief.", "Sort this."]


def test_tools_in_columns_of_a_tensorzero_row_are_offered_ones() -> None:
    """Newer rows say in full what the request brought, and of the function's own tools only the name."""
    own = {"type": "function", "name": "refund", "description": "d", "parameters": {"type": "object"}}
    row = _inference("a") | {
        "input": json.dumps({"system": "Help.", "messages": ASKED}),
        "tool_params": "",
        "dynamic_tools": [json.dumps(own)],
        "dynamic_provider_tools": [],
        "allowed_tools": json.dumps({"tools": ["find_order", "refund"], "choice": "function_default"}),
        "tool_choice": json.dumps({"specific": "refund"}),
        "parallel_tool_calls": False,
    }
    draft = call(TensorZero(), row)
    refund, find = draft.request.tools
    assert refund["function"] == {"name": "refund", "description": "d", "parameters": {"type": "object"}}
    assert find["function"] == {"name": "find_order"}
    assert draft.marks == ["tools_by_name"]
    chosen = {"type": "function", "function": {"name": "refund"}}
    assert draft.request.parameters == {"tool_choice": chosen, "parallel_tool_calls": False}
    alone = row | {"allowed_tools": json.dumps({"tools": ["refund"], "choice": "explicit"})}
    assert call(TensorZero(), alone).marks == []


@pytest.mark.parametrize(
    "told",
    [
        {"promptTokens": 10, "completionTokens": 3, "totalTokens": 13},
        {"prompt_tokens": 10, "completion_tokens": 3},
        {"inputUsage": "10", "outputUsage": "3"},
        {"usage": {"input": 10, "output": 3}, "promptTokens": 99},
        {"usage": {"input": None, "output": None}, "inputTokens": 10, "outputTokens": 3},
    ],
)
def test_tokens_of_older_langfuse_exports_and_of_its_tables_are_read(told: dict[str, Any]) -> None:
    """They stand in columns of their own, beside a usage that may be empty."""
    row = {"id": "o", "type": "GENERATION", "traceId": "t", "model": "m", "input": "Hi?", "output": "Hello."}
    (draft,) = Langfuse().parse(row | told)
    assert isinstance(draft, Draft)
    assert draft.control is not None
    assert draft.control.usage == Usage(input_tokens=10, output_tokens=3)


@pytest.mark.parametrize("name", ["timeToFirstToken", "time_to_first_token"])
def test_langfuse_s_table_says_in_seconds_when_the_first_token_came(name: str) -> None:
    """Where the time itself is there, too, it is the exact one."""
    row = {"id": "o", "type": "GENERATION", "traceId": "t", "model": "m", "input": "Hi?", "output": "Hello."}
    row |= {"startTime": "2026-01-01T00:00:00Z", name: "0.45"}
    for told, expected in (({}, 450), ({"completionStartTime": "2026-01-01T00:00:00.451Z"}, 451)):
        (draft,) = Langfuse().parse(row | told)
        assert isinstance(draft, Draft)
        assert draft.control is not None
        assert draft.control.time_to_first_token_ms == expected


def test_azure_s_portal_names_the_zone_in_the_column_of_the_time() -> None:
    """Saved as CSV, `TimeGenerated [UTC]` is the time; one in figures alone is marked, not passed over."""
    row = {
        "Type": "ApiManagementGatewayLlmLog", "CorrelationId": "c", "RequestMessages": json.dumps(ASKED),
        "ResponseMessages": json.dumps([{"role": "assistant", "content": "billing"}]),
    }  # fmt: skip
    told = call(AzureAPIM(), {**row, "TimeGenerated [UTC]": "2025-05-01T10:00:00.123Z"})
    assert told.occurred_at is not None
    assert "bad_time" not in told.marks
    figures = call(AzureAPIM(), {**row, "TimeGenerated [UTC]": "5/1/2025, 10:00:00.123 AM"})
    assert figures.occurred_at is None
    assert "bad_time" in figures.marks


def test_a_stream_of_bedrock_says_how_long_it_took() -> None:
    """The last piece of InvokeModel's has both times; without it nothing is known."""
    pieces: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"role": "assistant", "usage": {"input_tokens": 9}}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    log = {
        "schemaType": "ModelInvocationLog", "requestId": "r", "operation": "InvokeModelWithResponseStream",
        "input": {"inputBodyJson": {"anthropic_version": "x", "messages": ASKED}},
    }  # fmt: skip
    untimed = call(Bedrock(), {**log, "output": {"outputBodyJson": pieces}})
    assert "no_latency" in untimed.control_marks
    pieces[-1]["amazon-bedrock-invocationMetrics"] = {"invocationLatency": 640, "firstByteLatency": 300}
    timed = call(Bedrock(), {**log, "output": {"outputBodyJson": pieces}})
    assert timed.control is not None
    assert (timed.control.latency_ms, timed.control.time_to_first_token_ms) == (640, 300)
    assert "no_latency" not in timed.control_marks


def test_a_conversation_of_sharegpt_ends_with_its_answer() -> None:
    """`from` and `value` are role and content; who else speaks there is not guessed."""
    turns = [("system", "Be short."), ("human", "Hi"), ("gpt", "Yo"), ("human", "And?"), ("gpt", "Done")]
    record = {"id": "s1", "conversations": [{"from": who, "value": said} for who, said in turns]}
    form = recognised(record)
    assert form is not None
    draft = call(form[0], record)
    assert [each.role for each in draft.request.messages] == ["system", "user", "assistant", "user"]
    assert draft.control is not None
    assert (draft.native_id, draft.control.text, draft.attributes) == ("s1", "Done", {})
    assert recognised({"conversations": [{"from": "human", "value": "Hi"}]}) is None
    odd = [
        {"from": "human", "value": "Hi"},
        {"from": "observation", "value": "3"},
        {"from": "gpt", "value": "3"},
    ]
    assert recognised({"conversations": odd}) is None


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ("RateLimitError(\"Error code: 429 - {'error': {'code': 'slow'}}\")", ErrorKind.RATE_LIMITED, None),
        ("openai.APITimeoutError: Request timed out.", ErrorKind.TIMEOUT, None),
        ("APIConnectionError('Connection error.')", ErrorKind.CONNECTION, None),
        ({"type": "rate_limit_error", "message": "slow down"}, ErrorKind.RATE_LIMITED, None),
        ({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "quota"}, ErrorKind.RATE_LIMITED, 429),
        ({"__type": "ThrottlingException", "message": "slow down"}, ErrorKind.RATE_LIMITED, None),
        ({"code": 503, "message": "busy"}, ErrorKind.HTTP, 503),
        ({"code": 100_429, "message": "ours"}, ErrorKind.HTTP, None),
        ("it broke after a RateLimitError", ErrorKind.HTTP, None),
    ],
)  # fmt: skip
def test_why_a_call_failed_is_told_in_the_words_of_any_provider(
    error: Any, kind: ErrorKind, status: int | None
) -> None:
    """Errors of the API as they are logged, and the texts of the exceptions that libraries raise."""
    line = {"request": {"model": "m", "messages": ASKED}, "id": "x", "error": error}
    control = call(OpenAIChat(), line).control
    assert control is not None
    assert control.error is not None
    assert (control.error.kind, control.error.status) == (kind, status)


@pytest.mark.parametrize(
    ("asked", "read_from", "written", "expected"),
    [
        (50, 3_000, 7, (57, 3_000)),
        (50, 40, 3_000, (3_050, 40)),
        (50, None, 3_000, (3_050, None)),
        (3_057, 3_000, 7, (57, 3_000)),
        (50, 30, 7, (20, 30)),
    ],
)
def test_tokens_written_to_a_cache_count_as_asked_where_the_sum_leaves_them_out(
    asked: int, read_from: int | None, written: int, expected: tuple[int, int | None]
) -> None:
    """Instrumentations pass on Anthropic's counts as they came, or the sum that OpenTelemetry asks for."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": ASKED,
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "a"}]}],
        "gen_ai.usage.input_tokens": asked,
        "gen_ai.usage.cache_creation.input_tokens": written,
        "gen_ai.usage.output_tokens": 3,
    }
    if read_from is not None:
        attributes["gen_ai.usage.cache_read.input_tokens"] = read_from
    span = {
        "trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "2", "name": "chat m", "attributes": attributes,
        "start_time": "2025-05-01T10:00:00Z", "end_time": "2025-05-01T10:00:01Z",
    }  # fmt: skip
    control = call(OtlpGenAI(), span).control
    assert control is not None
    assert (control.usage.input_tokens, control.usage.cached_input_tokens) == expected
