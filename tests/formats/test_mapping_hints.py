"""The mapping that is proposed for a log of an unknown format reads it whole."""

from __future__ import annotations

import csv
import json
import re
import shlex
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.errors import UsageError
from workbench.formats import WHERE_PREFIX, Draft, Mark, Passed, propose_mapping, read
from workbench.records import Usage

MESSAGES = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}]
BODY = {"model": "gpt-4o", "messages": MESSAGES}
REPLY = {
    "id": "x",
    "object": "chat.completion",
    "model": "gpt-4o",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3},
}


def proposed(path: Path) -> dict[str, str]:
    """Return the mapping that the refusal of a file proposes."""
    with pytest.raises(UsageError) as refused:
        list(read([path]))
    said = str(refused.value).replace(". Where", " Where")
    options = re.findall(r"--(map|where) ('[^']*'|\S+)", said)
    found = [(option, shlex.split(each)[0].removesuffix(".").split("=", 1)) for option, each in options]
    return {(WHERE_PREFIX if option == "where" else "") + name: place for option, (name, place) in found}


def only(path: Path) -> Draft:
    """Read a file of one call with the proposed mapping."""
    (draft,) = read([path], mapping=proposed(path))
    assert isinstance(draft, Draft)
    return draft


@pytest.mark.parametrize(
    "record",
    [
        {
            "request": {"url": "/v1", "method": "POST", "body": BODY},
            "response": {"status": 200, "body": REPLY},
        },
        {"function_kwargs": BODY, "request_response": REPLY, "function_name": "create"},
        {"attributes": {"http": {"req": json.dumps(BODY), "res": REPLY}}, "id": "7"},
        {"op_name": "create", "inputs": {"self": "client", **BODY}, "output": REPLY},
    ],
)
def test_bodies_are_found_wherever_they_lie(tmp_path: Path, record: dict[str, Any]) -> None:
    """A gateway that wraps them once more does not make its wrapping the prompt."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    draft = only(path)
    assert [(each.role, each.content) for each in draft.request.messages] == [
        ("system", "Be short."), ("user", "Hi"),
    ]  # fmt: skip
    assert draft.control is not None
    assert (draft.control.text, draft.control.usage.input_tokens) == ("Yes", 9)


def test_a_table_keeps_its_system_prompt_model_time_and_tokens(tmp_path: Path) -> None:
    """They are columns beside the question, and the proposed mapping names them too."""
    row = {
        "system_prompt": "Be short.", "user_message": "Hi", "assistant_response": "Yes", "Model": "gpt-4o",
        "prompt_tokens": 9, "completion_tokens": 3, "created_at": "2025-05-01 10:00:00", "latency_ms": 500,
    }  # fmt: skip
    path = tmp_path / "log.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    draft = only(path)
    assert [each.role for each in draft.request.messages] == ["system", "user"]
    assert draft.control is not None
    assert (draft.control.text, draft.control.latency_ms, draft.model) == ("Yes", 500, "gpt-4o")
    assert (draft.control.usage.input_tokens, draft.control.usage.output_tokens) == (9, 3)
    assert draft.occurred_at is not None


def test_an_instruction_beside_the_input_is_asked_too(tmp_path: Path) -> None:
    path = tmp_path / "alpaca.json"
    path.write_text(json.dumps([{"instruction": "Translate", "input": "Hallo", "output": "Hello"}]), "utf-8")
    assert [each.content for each in only(path).request.messages] == ["Translate", "Hallo"]


def test_a_body_gets_no_second_system_prompt(tmp_path: Path) -> None:
    """Where a column repeats what the body begins with."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"system_prompt": "Be short.", "req": BODY, "res": REPLY}) + "\n", "utf-8")
    assert [each.role for each in only(path).request.messages] == ["system", "user"]


def test_calls_between_a_programs_other_lines_are_no_table(tmp_path: Path) -> None:
    """A container's log: a time, a stream and a flag before each line, and most lines tell something else."""
    line = f"2025-05-01T10:00:00.123456789Z stdout F {json.dumps({'request': BODY, 'response': REPLY})}\n"
    other = "2025-05-01T10:00:01.123456789Z stderr F connected, 3 workers, ready\n"
    path = tmp_path / "pod.log"
    path.write_text(other + line + other * 3, encoding="utf-8")
    with pytest.raises(UsageError, match="holds JSON behind other text") as refused:
        list(read([path]))
    assert "sed" in str(refused.value)


@pytest.mark.parametrize("beside", [{}, {"messages": None, "metadata": {"task": "x"}}])
def test_answers_alone_are_told_as_such(tmp_path: Path, beside: dict[str, Any]) -> None:
    """The list of stored completions has no messages: no mapping can make calls of it."""
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"object": "list", "data": [REPLY | beside, REPLY | beside]}), "utf-8")
    with pytest.raises(UsageError, match="holds answers, and not what was asked"):
        list(read([path]))


TOKENS = {"prompt_tokens": 9, "completion_tokens": 3}
CHAT = {"type": "chat", "messages": MESSAGES}
SAID = {"role": "assistant", "content": "Yes"}


@pytest.mark.parametrize(
    ("record", "latency_ms"),
    [
        (  # Braintrust
            {"id": "s", "created": "2026-01-01T00:00:00Z", "input": MESSAGES, "metadata": {"model": "gpt-4o"},
             "output": [{"index": 0, "message": SAID, "finish_reason": "stop"}],
             "metrics": {"start": 1.0, **TOKENS}, "span_attributes": {"type": "llm"}},
            None,
        ),
        (  # Weave
            {"id": "c", "started_at": "2026-01-01T00:00:00Z", "op_name": "create",
             "inputs": {"self": "x", **BODY}, "output": REPLY,
             "summary": {"usage": {"gpt-4o": TOKENS}, "weave": {"latency_ms": 20}}},
            20,
        ),
        (  # PromptLayer
            {"request_id": 7, "engine": "gpt-4o", "input": CHAT, "output": {"messages": [SAID]},
             "request_start_time": "2026-01-01T00:00:00Z", "input_tokens": 9, "output_tokens": 3},
            None,
        ),
        (  # Portkey
            {"id": "l", "created_at": "2026-01-01T00:00:00Z", "request": {"url": "/v1", "body": BODY},
             "response": {"status": 200, "body": REPLY | {"usage": None}}, "ai_model": "gpt-4o",
             "req_units": 9, "res_units": 3},
            None,
        ),
        (  # Names as JavaScript writes them
            {"id": "l", "createdAt": "2026-01-01T00:00:00Z", "prompt": MESSAGES, "response": "Yes",
             "modelName": "gpt-4o", "usage": {"inputTokens": 9, "outputTokens": 3}, "durationMs": 20},
            20,
        ),
    ],
)  # fmt: skip
def test_the_proposed_mapping_finds_model_time_and_tokens_beside_the_bodies(
    tmp_path: Path, record: dict[str, Any], latency_ms: float | None
) -> None:
    """Observability tools keep them in an object of their own, which no column's name tells."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    draft = only(path)
    assert propose_mapping(path) == proposed(path), "the Upload page offers what the command does"
    assert [each.content for each in draft.request.messages] == ["Be short.", "Hi"]
    assert draft.occurred_at is not None
    assert draft.control is not None
    assert (draft.control.text, draft.control.model) == ("Yes", "gpt-4o")
    assert (draft.control.usage.input_tokens, draft.control.usage.output_tokens) == (9, 3)
    assert draft.control.latency_ms == latency_ms


SPANS = [
    (  # Braintrust
        {"input": MESSAGES, "output": [{"index": 0, "message": SAID, "finish_reason": "stop"}],
         "metrics": {"start": 1_767_225_600.25, "end": 1_767_225_601.5, **TOKENS},
         "created": "2026-01-01T00:05:00Z", "span_attributes": {"type": "llm"}},
        {"span_attributes": {"type": "task"}},
        (2026, 1, 1, 0, 0, 0, 250_000),
        1_250,
    ),
    (  # A tracer with a kind of its own for each model API
        {"input": MESSAGES, "output": "Yes", "Kind": "CHAT_MODEL", "startedAt": "2026-01-01T00:00:00Z",
         "endedAt": "2026-01-01T00:00:00.020Z"},
        {"Kind": "TOOL"},
        (2026, 1, 1),
        20,
    ),
    (  # A table of runs
        {"input": MESSAGES, "output": "Yes", "type": "generation", "created_at": "2025-12-31T00:00:00Z",
         "start_time": "2026-01-01T00:00:00+01:00", "end_time": "2025-12-31T23:00:02Z"},
        {"type": "event"},
        (2025, 12, 31, 23),
        2_000,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "other", "began", "latency_ms"), SPANS)
def test_a_log_of_all_kinds_of_spans_gives_the_calls_of_models_with_their_time(
    tmp_path: Path, call: dict[str, Any], other: dict[str, Any], began: tuple[int, ...], latency_ms: float
) -> None:
    """What a tool was given is no prompt, and how long a call took lies between its begin and its end."""
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, (call, call | other, call))) + "\n", encoding="utf-8")
    mapping = proposed(path)
    assert propose_mapping(path) == mapping, "the Upload page offers what the command does"
    first, between, last = read([path], mapping=mapping)
    assert isinstance(first, Draft)
    assert isinstance(last, Draft)
    assert first.control is not None
    assert first.control.latency_ms == latency_ms
    assert first.control_marks == []
    assert first.occurred_at == datetime(*began, tzinfo=UTC)
    assert isinstance(between, Passed)
    assert re.fullmatch(r"\S+ is not (llm|CHAT_MODEL|generation)", between.reason)


def test_where_all_spans_are_calls_nothing_is_left_out(tmp_path: Path) -> None:
    """Several names of model calls are all kept, and none is asked for where there is nothing else."""
    path = tmp_path / "log.jsonl"
    calls = [{"input": "Hi", "output": "Yes", "type": kind} for kind in ("llm", "chat")]
    path.write_text("\n".join(map(json.dumps, calls)) + "\n", encoding="utf-8")
    assert propose_mapping(path) == {"input": "input", "output": "output"}
    path.write_text("\n".join(map(json.dumps, [*calls, calls[0] | {"type": "tool"}])) + "\n", "utf-8")
    assert propose_mapping(path)["where.type"] == "chat|llm"
    kept = [type(each) for each in read([path], mapping=propose_mapping(path))]
    assert kept == [Draft, Draft, Passed]


def test_times_that_are_no_begin_and_end_make_no_latency(tmp_path: Path) -> None:
    """Places in a text, an end before its begin, and times days apart are something else."""
    path = tmp_path / "log.jsonl"
    call = {"input": "Hi", "output": "Yes"}
    for times in ({"start": 3, "end": 9}, {"start": 1_767_225_601, "end": 1_767_225_600},
                  {"start": 1_767_225_600, "end": 1_767_925_600}):  # fmt: skip
        path.write_text(json.dumps(call | times) + "\n", encoding="utf-8")
        assert propose_mapping(path) == {"input": "input", "output": "output"}
    path.write_text(
        json.dumps(call | {"t": "2026-01-01T00:00:01Z", "e": "2026-01-01T00:00:00Z"}) + "\n", "utf-8"
    )
    mapping = {"input": "input", "output": "output", "time": "t", "end_time": "e"}
    (draft,) = read([path], mapping=mapping)
    assert isinstance(draft, Draft)
    assert draft.control is not None
    assert draft.control.latency_ms is None
    assert draft.control_marks == [Mark.NO_LATENCY]


@pytest.mark.parametrize("holder", ["judge", "eval", "parent", "budget", "grader", "score", "scores"])
def test_figures_of_something_else_are_none_of_the_call_s(tmp_path: Path, holder: str) -> None:
    """A judge has a model and tokens of its own, a parent its time, a budget its limit."""
    figures = {"model": "gpt-4o", "llm_model": "x", "input_tokens": 9, "output_tokens": 3, "latency_ms": 20}
    path = tmp_path / "log.jsonl"
    record = {"asked": MESSAGES, "response": "Yes", holder: figures, "metadata": {holder: figures}}
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert propose_mapping(path) == {"input": "asked", "output": "response"}
    record |= {"Metadata": {"usage": {"inputTokens": 7}}}
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    assert propose_mapping(path)["input_tokens"] == "Metadata.usage.inputTokens"


def test_a_column_with_all_tokens_asked_leaves_the_cached_ones_apart(tmp_path: Path) -> None:
    """Else the cached tokens of the body would count a second time."""
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    path = tmp_path / "log.jsonl"
    record = {"req": BODY, "res": REPLY | {"usage": usage}, "prompt_tokens": 9, "completion_tokens": 3}
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    control = only(path).control
    assert control is not None
    assert control.usage == Usage(5, 4, 3)


@pytest.mark.parametrize(
    "request_body",
    [
        BODY,
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"topK": 1}},
        {"model": "m", "prompt": "Hi", "max_tokens": 3},
        {"model": "m", "input": "Hi"},
    ],
)
def test_requests_without_answers_are_told_as_such(tmp_path: Path, request_body: dict[str, Any]) -> None:
    """What is proposed for them reads them as traffic."""
    path = tmp_path / "log.jsonl"
    path.write_text((json.dumps(request_body) + "\n") * 2, encoding="utf-8")
    with pytest.raises(UsageError, match="holds requests and no answers") as refused:
        list(read([path]))
    assert "COLUMN" not in str(refused.value)
    assert "jq -c '{request: .}' log.jsonl" in str(refused.value)
    path.write_text(json.dumps({"request": request_body}) + "\n", encoding="utf-8")
    (draft,) = read([path])
    assert isinstance(draft, Draft)
    assert (draft.request.messages[-1].content, draft.control) == ("Hi", None)


@pytest.mark.parametrize("key", ["input", "prompt", "inputText", "message", "query"])
def test_a_request_that_is_a_text_is_offered_a_mapping_that_reads_it(tmp_path: Path, key: str) -> None:
    """Wrapped as a request alone, it would be refused again."""
    path = tmp_path / "log.jsonl"
    path.write_text((json.dumps({key: "Hi", "max_tokens": 3}) + "\n") * 2, encoding="utf-8")
    with pytest.raises(UsageError, match="holds requests and no answers") as refused:
        list(read([path]))
    assert "jq" not in str(refused.value)
    assert proposed(path) == {"input": key}
    for draft in read([path], mapping=proposed(path)):
        assert isinstance(draft, Draft)
        assert (draft.request.messages[-1].content, draft.control) == ("Hi", None)


@pytest.mark.parametrize("said", [{"message": {"role": "assistant", "content": "Yes"}}, {"response": "Yes"}])
def test_whole_answers_of_ollama_s_are_no_pieces(tmp_path: Path, said: dict[str, Any]) -> None:
    said = {"model": "m"} | said
    path = tmp_path / "log.jsonl"
    path.write_text((json.dumps(said | {"done": True}) + "\n") * 2, encoding="utf-8")
    with pytest.raises(UsageError, match="holds answers, and not what was asked"):
        list(read([path]))
    path.write_text("".join(json.dumps(said | {"done": each}) + "\n" for each in (False, True)), "utf-8")
    with pytest.raises(UsageError, match="holds the pieces of streamed answers"):
        list(read([path]))


def test_pieces_of_the_ai_sdk_s_alone_are_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    pieces = [{"type": "start"}, {"type": "text-delta", "id": "1", "delta": "Hi"}, {"type": "finish"}]
    path.write_text("".join(json.dumps(each) + "\n" for each in pieces), "utf-8")
    with pytest.raises(UsageError, match="holds the pieces of streamed answers"):
        list(read([path]))


def test_a_table_of_questions_alone_is_offered_no_column_for_answers(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("id,question\n1,Hi\n", encoding="utf-8")
    with pytest.raises(UsageError, match="no column is left that could hold the answers") as refused:
        list(read([path]))
    assert "COLUMN" not in str(refused.value)


@pytest.mark.parametrize(
    ("response", "text", "called", "tokens"),
    [
        (
            {"text": "V", "usage": {"promptTokens": 3, "completionTokens": 2}, "finishReason": "stop"},
            "V", [], (3, None, 2),
        ),
        (
            {
                "text": "", "finishReason": "tool-calls",
                "toolCalls": [
                    {"type": "tool-call", "toolCallId": "c1", "toolName": "find", "input": {"a": 1}},
                    {"toolCallId": "c2", "toolName": "show", "args": {"b": 2}},
                ],
                "usage": {"inputTokens": 30, "cachedInputTokens": 10, "outputTokens": 2},
            },
            "", [("find", {"a": 1}, "c1"), ("show", {"b": 2}, "c2")], (20, 10, 2),
        ),
    ],
)  # fmt: skip
def test_what_the_ai_sdk_returns_is_an_answer_and_no_json_text(
    tmp_path: Path,
    response: dict[str, Any],
    text: str,
    called: list[tuple[str, dict[str, int], str]],
    tokens: tuple[int | None, ...],
) -> None:
    """Text, tools that are called, and tokens, in the words of its older and its newer versions."""
    path = tmp_path / "log.jsonl"
    line = {"messages": [{"role": "user", "content": "Hi"}], "response": response}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    control = only(path).control
    assert control is not None
    assert (control.text or "") == text
    assert [(each.name, each.arguments, each.id) for each in control.tool_calls] == called
    usage = control.usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens) == tokens


def test_a_span_that_holds_both_bodies_in_one_object_is_read_by_each(tmp_path: Path) -> None:
    """What was asked and what the model said are lists of messages; neither is taken for the other."""
    path = tmp_path / "spans.jsonl"
    span = {
        "span_id": "a1",
        "trace_id": "t",
        "name": "createChatCompletion",
        "start_ns": 1_790_000_000_000_000_000,
        "duration": 900_000_000,
        "meta": {
            "span.kind": "llm",
            "model_name": "gpt-4o",
            "input": {"messages": MESSAGES},
            "output": {"messages": [{"role": "assistant", "content": "Yes"}]},
        },
        "metrics": {"input_tokens": 9, "output_tokens": 3},
    }
    path.write_text(json.dumps(span) + "\n", encoding="utf-8")
    draft = only(path)
    assert [each.content for each in draft.request.messages] == ["Be short.", "Hi"]
    assert draft.control is not None
    assert (draft.control.text, draft.control.usage) == ("Yes", Usage(9, None, 3))
    assert (draft.native_id, draft.model) == ("a1", "gpt-4o")
    assert draft.occurred_at == datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)


def test_texts_that_a_service_logs_inside_an_object_are_found_by_their_names(tmp_path: Path) -> None:
    """A line of a service's own log, with what was asked and answered beside the latency."""
    path = tmp_path / "service.jsonl"
    line = {
        "@timestamp": "2026-10-01T10:00:00Z",
        "message": "LLM call",
        "llm": {"prompt": "Is it late?", "answer": "Yes", "latencyMs": 900},
    }
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    draft = only(path)
    assert [each.content for each in draft.request.messages] == ["Is it late?"]
    assert draft.control is not None
    assert (draft.control.text, draft.control.latency_ms) == ("Yes", 900)


def test_where_nothing_tells_the_bodies_the_places_inside_the_columns_are_named(tmp_path: Path) -> None:
    """Whoever knows the log sees what to write after the equals sign."""
    path = tmp_path / "own.jsonl"
    line = {"evt": "x", "payload": {"a": {"conv": "Is it late?"}, "b": {"txt": "Yes"}}}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        list(read([path]))
    assert "--map input=COLUMN --map output=COLUMN" in str(refused.value)
    assert "inside the columns lie payload.a.conv, payload.b.txt" in str(refused.value)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            ("User Prompt", "Model Response", "Time (ms)", "Date"),
            {
                "input": "User Prompt",
                "output": "Model Response",
                "latency_ms": "Time (ms)",
                "time": "Date",
            },
        ),
        (
            ("question_text", "answer_text", "llm_name"),
            {"input": "question_text", "output": "answer_text", "model": "llm_name"},
        ),
        (("input_text", "predicted_text"), {"input": "input_text", "output": "predicted_text"}),
        (("ticket", "gpt_answer"), {"input": "COLUMN", "output": "gpt_answer"}),
        (("user_id", "prompt", "full_output"), {"input": "prompt", "output": "full_output"}),
    ],
)
def test_columns_are_found_by_names_with_more_words(
    tmp_path: Path, header: tuple[str, ...], expected: dict[str, str]
) -> None:
    """Whose text it is, that it is one, and a unit may stand in the name; an exact name goes first."""
    path = tmp_path / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, [f"value {number}" for number in range(len(header))]])
    assert proposed(path) == expected


@pytest.mark.parametrize(
    ("begin", "end", "latency_ms"),
    [
        ("2026-10-01T10:00:00Z", "2026-10-01T10:00:01.5Z", 1_500),
        (1_790_000_000, 1_790_000_002, 2_000),
        ("2026-10-01", "2026-10-01", None),
        ("2026-10-01", "2026-12-01", None),
        ("2026-10-01T10:00:00Z", "2026-10-03T10:00:00Z", None),
        ("2026-10-01T10:00:01Z", "2026-10-01T10:00:00Z", None),
        ("2026-10-01T10:00:00Z", "soon", None),
        ("2026-10-01T10:00:00+02:00", "2026-10-01T10:00:00.500", None),
        ("2026-10-01T10:00:00+02:00", "2026-10-01T08:00:00.500Z", 500),
        ("2026-10-01 10:00:00", "2026-10-01 10:00:02", 2_000),
        ("2026-10-01 10:00", "2026-10-01 10:00", None),
        ("2026-W01-4", "2026-W01-4", None),
        (1_790_000_000, "2026-09-21 14:13:21", None),
    ],
)
def test_begin_and_end_give_a_latency_only_where_a_call_can_take_so_long(
    tmp_path: Path, begin: Any, end: Any, latency_ms: float | None
) -> None:
    """Days alone are all alike, and what lies more than a day apart are other times: marked as not known."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"q": "Hi", "a": "Yes", "b": begin, "e": end}) + "\n", encoding="utf-8")
    mapping = {"input": "q", "output": "a", "time": "b", "end_time": "e"}
    (draft,) = read([path], mapping=mapping)
    assert isinstance(draft, Draft)
    assert draft.control is not None
    assert draft.control.latency_ms == latency_ms
    assert (Mark.NO_LATENCY in draft.control_marks) is (latency_ms is None)


def test_days_that_are_no_begin_and_end_of_a_call_are_not_proposed_as_such(tmp_path: Path) -> None:
    """A ticket was started on one day and completed on another; the call's time is the first."""
    path = tmp_path / "tickets.csv"
    rows = [("question", "answer", "started_at", "completed_at"), ("Hi", "Yes", "2026-10-01", "2026-10-04")]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    found = proposed(path)
    assert "end_time" not in found
    assert found["time"] == "started_at"


def test_a_business_s_own_kinds_make_no_condition(tmp_path: Path) -> None:
    """What came by chat and what came by mail are calls alike: a condition on one would lose the other."""
    path = tmp_path / "log.jsonl"
    rows = [{"input": "Hi", "output": "Yes", "type": kind} for kind in ("chat", "email", "task", "event")]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert not [each for each in proposed(path) if each.startswith(WHERE_PREFIX)]


def test_a_place_beyond_any_list_is_not_there_and_breaks_nothing(tmp_path: Path) -> None:
    """A number too long to be one is a place that no record has."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"input": ["Hi"], "output": "Yes"}) + "\n", encoding="utf-8")
    with pytest.raises(UsageError, match="input"):
        list(read([path], mapping={"input": f"input[{'9' * 5_000}]", "output": "output"}))


def test_moments_are_no_latency_whatever_their_column_is_called(tmp_path: Path) -> None:
    """Milliseconds since 1970 are when a call was; taken for its length, they count as unknown."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"input": "Hi", "output": "Yes", "time_ms": 1_790_000_000_000}) + "\n")
    found = proposed(path)
    assert "latency_ms" not in found
    assert found["time"] == "time_ms"
    (draft,) = read([path], mapping={"input": "input", "output": "output", "latency_ms": "time_ms"})
    assert isinstance(draft, Draft)
    assert draft.control is not None
    assert draft.control.latency_ms is None


def test_days_of_a_table_with_types_give_no_latency(tmp_path: Path) -> None:
    """Parquet knows dates and times apart."""
    path = tmp_path / "log.parquet"
    day = date(2026, 10, 1)
    table = pa.table(
        {"q": ["Hi"], "a": ["Yes"], "begin": [day], "end": [datetime(2026, 10, 1, 5, tzinfo=UTC)]}
    )
    pq.write_table(table, path)
    (draft,) = read([path], mapping={"input": "q", "output": "a", "time": "begin", "end_time": "end"})
    assert isinstance(draft, Draft)
    assert draft.control is not None
    assert draft.control.latency_ms is None


def test_names_inside_columns_are_cut_and_in_one_line(tmp_path: Path) -> None:
    """A key may be as long as a text, and hold what breaks a line."""
    path = tmp_path / "log.jsonl"
    row = {"evt": {"x" * 5_000: 1, "two\nlines": 2, "c": 3}}
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        list(read([path]))
    assert len(str(refused.value)) < 1_000
    assert "evt.c)" in str(refused.value)
    assert "two" not in str(refused.value)
