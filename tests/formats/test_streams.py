"""Streams that were logged in pieces, of every provider, read as the one answer they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.formats import Draft, read
from workbench.records import Output, ToolCall, Usage

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
CALL = {"function": {"name": "f", "arguments": {"a": 1}}}


def chat(text: str, **more: Any) -> dict[str, Any]:
    """Return one object of Ollama's `/api/chat`."""
    said = {"role": "assistant", "content": text} | more
    return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False}


def event(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    """Return one event of Cohere's second version."""
    return {"type": kind} | ({} if index is None else {"index": index}) | {"delta": {"message": message}}


def chunk(index: int | None, text: str | None, finish: str | None = None) -> dict[str, Any]:
    """Return one chunk of a chat completion."""
    delta = {} if text is None else {"content": text}
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


LAST = {
    "model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": ""},
    "done": True, "done_reason": "stop", "total_duration": 1_500_000_000, "prompt_eval_count": 26,
    "eval_count": 5,
}  # fmt: skip
OLLAMA = [chat("", thinking="H"), chat("", thinking="m"), chat("Hel"), chat("lo", tool_calls=[CALL]), LAST]
GENERATE = [
    {"model": "m", "response": "Hel", "done": False},
    {"model": "m", "response": "lo", "done": False},
    {"model": "m", "response": "", "done": True, "done_reason": "length", "eval_count": 2},
]
ENDED = {"usage": {"billed_units": {"input_tokens": 3, "output_tokens": 2}}}
COHERE = [
    {"id": "c2", **event("message-start", role="assistant", content=[], tool_calls=[])},
    event("tool-plan-delta", tool_plan="look it up"),
    event("content-start", 0, content={"type": "thinking", "thinking": "Hm"}),
    event("content-delta", 0, content={"thinking": "m"}),
    {"type": "content-end", "index": 0},
    event("content-start", 1, content={"type": "text", "text": ""}),
    event("content-delta", 1, content={"text": "Hel"}),
    event("content-delta", 1, content={"text": "lo"}),
    event("citation-start", 0, citations={"start": 0, "end": 3, "text": "Hel"}),
    event("tool-call-start", 0, tool_calls={"id": "f1", "type": "function", "function": {"name": "f"}}),
    event("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"a"'}}),
    event("tool-call-delta", 0, tool_calls={"function": {"arguments": ": 1}"}}),
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", **ENDED}},
]
OLDER_COHERE = [
    {"is_finished": False, "event_type": "stream-start", "generation_id": "g"},
    {"is_finished": False, "event_type": "text-generation", "text": "Hel"},
    {"is_finished": False, "event_type": "text-generation", "text": "lo"},
]


def only(tmp_path: Path, response: Any, request: Any = None, **mapping: str) -> Draft:
    """Read a file of one call."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"request": request or ASKED, "response": response}) + "\n", encoding="utf-8")
    (draft,) = read([path], mapping=mapping or None)
    assert isinstance(draft, Draft), draft
    return draft


def answer(tmp_path: Path, response: Any, request: Any = None, **mapping: str) -> Output:
    """Return the answer of a file of one call."""
    control = only(tmp_path, response, request, **mapping).control
    assert control is not None
    return control


def lines(pieces: list[Any]) -> str:
    """Return pieces as text, an object a line."""
    return "".join(json.dumps(each) + "\n" for each in pieces)


def sent(pieces: list[Any]) -> str:
    """Return pieces as text of server-sent events."""
    return "".join(f"event: {each.get('type')}\ndata: {json.dumps(each)}\n\n" for each in pieces)


@pytest.mark.parametrize("write", [list, json.dumps, lines])
@pytest.mark.parametrize("mapping", [{}, {"input": "request", "output": "response"}])
def test_ollama_s_chat_is_put_together_from_its_pieces(
    tmp_path: Path, write: Any, mapping: dict[str, str]
) -> None:
    """The last one has the tokens, why it ended and how long it took."""
    read_as = answer(tmp_path, write(OLLAMA), **mapping)
    assert (read_as.text, read_as.reasoning, read_as.finish_reason) == ("Hello", "Hm", "stop")
    assert read_as.tool_calls == (ToolCall("f", {"a": 1}, None),)
    assert read_as.usage == Usage(26, None, 5)
    if not mapping:
        draft = only(tmp_path, write(OLLAMA))
        assert (read_as.latency_ms, draft.occurred_at is None, draft.control_marks) == (1500, False, [])


@pytest.mark.parametrize("write", [list, lines])
def test_ollama_s_completion_is_put_together_from_its_pieces(tmp_path: Path, write: Any) -> None:
    read_as = answer(tmp_path, write(GENERATE), {"model": "m", "prompt": "Hi"})
    assert (read_as.text, read_as.finish_reason, read_as.usage.output_tokens) == ("Hello", "length", 2)


@pytest.mark.parametrize("pieces", [OLLAMA[:3], OLLAMA[2:3], lines(OLLAMA)[:-20], OLDER_COHERE, COHERE[:7]])
def test_a_stream_without_its_end_is_never_compared_with(tmp_path: Path, pieces: Any) -> None:
    read_as = answer(tmp_path, pieces)
    assert (read_as.text or "").startswith("Hel")
    assert "truncated" in read_as.flags


@pytest.mark.parametrize("write", [list, sent, lines])
def test_cohere_s_events_are_put_together(tmp_path: Path, write: Any) -> None:
    draft = only(tmp_path, write(COHERE))
    assert draft.native_id == "c2"
    assert draft.control is not None
    assert (draft.control.text, draft.control.reasoning) == ("Hello", "Hmm")
    assert draft.control.tool_calls == (ToolCall("f", {"a": 1}, "f1"),)
    assert (draft.control.finish_reason, draft.control.usage) == ("tool_calls", Usage(3, None, 2))


def test_cohere_s_older_stream_says_all_once_more_at_its_end(tmp_path: Path) -> None:
    whole = {"response_id": "r1", "text": "Hello", "meta": ENDED["usage"]}
    end = {"is_finished": True, "event_type": "stream-end", "finish_reason": "COMPLETE", "response": whole}
    draft = only(tmp_path, [*OLDER_COHERE, end], {"message": "Hi", "chat_history": []})
    assert draft.native_id == "r1"
    assert draft.control is not None
    assert (draft.control.text, draft.control.finish_reason) == ("Hello", "stop")
    assert draft.control.usage == Usage(3, None, 2)


@pytest.mark.parametrize("write", [list, sent])
def test_a_completion_and_older_claude_are_put_together_from_their_pieces(tmp_path: Path, write: Any) -> None:
    """The line says only here what was asked: a prompt, with the pieces of its answer beside."""
    base = {"id": "cmpl-1", "object": "text_completion", "model": "m"}
    pieces = [
        base | {"choices": [{"index": 0, "text": "Hel", "finish_reason": None}]},
        base | {"choices": [{"index": 0, "text": "lo", "finish_reason": "stop"}]},
    ]
    read_as = answer(tmp_path, write(pieces), {"model": "m", "prompt": "Hi"})
    assert (read_as.text, read_as.finish_reason) == ("Hello", "stop")
    claude = [{"completion": "Hel"}, {"completion": "lo", "stop_reason": "stop_sequence"}]
    assert answer(tmp_path, write(claude), {"model": "m", "prompt": "Hi"}).text == "Hello"


def test_a_tool_s_call_in_a_response_that_breaks_off_is_kept(tmp_path: Path) -> None:
    """An answer that came to nothing would count as the model's fault."""
    item = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
    pieces = [
        {"type": "response.created", "response": {"id": "r", "model": "m", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"a": '},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "1}"},
    ]
    read_as = answer(tmp_path, pieces, {"model": "m", "input": "Hi"})
    assert read_as.tool_calls == (ToolCall("f", {"a": 1}, "c1"),)
    assert (read_as.error, read_as.flags) == (None, ("truncated",))


STREAMED = [chunk(1, "B"), chunk(0, "A"), chunk(1, None, "stop"), chunk(0, None, "length")]
WHOLE = {
    "id": "c", "model": "m",
    "choices": [
        {"index": 1, "message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"},
        {"index": 0, "message": {"role": "assistant", "content": "A"}, "finish_reason": "length"},
    ],
}  # fmt: skip
GEMINI = [
    {"candidates": [{"content": {"parts": [{"text": "B"}]}, "index": 1, "finishReason": "STOP"}]},
    {"candidates": [{"content": {"parts": [{"text": "A"}]}, "index": 0, "finishReason": "MAX_TOKENS"}]},
]
GEMINI_WHOLE = {"candidates": [*GEMINI[0]["candidates"], *GEMINI[1]["candidates"]]}


@pytest.mark.parametrize("response", [STREAMED, sent(STREAMED), WHOLE, GEMINI, GEMINI_WHOLE])
def test_of_several_choices_the_first_by_its_index_counts(tmp_path: Path, response: Any) -> None:
    """Streamed or not, they may come in any order, and that there were several is marked."""
    draft = only(tmp_path, response)
    assert draft.control is not None
    assert (draft.control.text, draft.control.finish_reason) == ("A", "length")
    assert "multiple_choices" in draft.control_marks


@pytest.mark.parametrize("index", [None, 0, 1])
def test_the_only_choice_counts_whatever_its_index(tmp_path: Path, index: int | None) -> None:
    draft = only(tmp_path, [chunk(index, "A"), chunk(index, None, "stop")])
    assert draft.control is not None
    assert (draft.control.text, draft.control.flags) == ("A", ())
    assert "multiple_choices" not in draft.control_marks


@pytest.mark.parametrize("ended", [True, False])
def test_text_generation_inference_is_put_together_from_its_tokens(tmp_path: Path, ended: bool) -> None:
    """Its last one has the whole text; special tokens are none of the answer's."""
    tokens = [{"token": {"text": each, "special": each == "</s>"}} for each in ("Hel", "lo", "</s>")]
    pieces: list[dict[str, Any]] = [each | {"generated_text": None, "details": None} for each in tokens]
    if ended:
        pieces[-1] |= {"generated_text": "Hello", "details": {"finish_reason": "eos_token"}}
    read_as = answer(tmp_path, pieces, {"inputs": "Hi"})
    assert (read_as.text, read_as.finish_reason) == ("Hello", "stop" if ended else None)
    assert read_as.flags == (() if ended else ("truncated",))


FINISHED = {
    "type": "finish",
    "finishReason": "tool-calls",
    "usage": {"promptTokens": 3, "completionTokens": 2},
}
OLDER_SDK = [
    {"type": "reasoning", "textDelta": "Hm"},
    {"type": "text-delta", "textDelta": "Hel"},
    {"type": "text-delta", "textDelta": "lo"},
    {"type": "tool-call", "toolCallId": "t1", "toolName": "f", "args": {"a": 1}},
    FINISHED,
]
SDK = [
    {"type": "start"},
    {"type": "reasoning-delta", "id": "0", "delta": "Hm"},
    {"type": "text-start", "id": "1"},
    {"type": "text-delta", "id": "1", "delta": "Hel"},
    {"type": "text-delta", "id": "1", "text": "lo"},
    {"type": "tool-call", "toolCallId": "t1", "toolName": "f", "input": '{"a": 1}'},
    FINISHED | {"finishReason": {"unified": "tool-calls", "raw": "tool_calls"}},
]


@pytest.mark.parametrize("write", [list, sent])
@pytest.mark.parametrize("pieces", [OLDER_SDK, SDK])
def test_what_the_ai_sdk_streams_reads_as_what_it_returns(tmp_path: Path, pieces: Any, write: Any) -> None:
    read_as = answer(tmp_path, write(pieces))
    assert (read_as.text, read_as.reasoning, read_as.finish_reason) == ("Hello", "Hm", "tool_calls")
    assert read_as.tool_calls == (ToolCall("f", {"a": 1}, "t1"),)
    assert read_as.usage == Usage(3, None, 2)


GEMINI_LINES = [
    {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hel"}]}}], "modelVersion": "g"},
    {"candidates": [{"content": {"parts": [{"text": "lo"}]}, "finishReason": "STOP"}], "modelVersion": "g"},
    {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2}},
]
COMPLETION = {"id": "cmpl-1", "object": "text_completion", "model": "m"}
COMPLETION_LINES = [
    COMPLETION | {"choices": [{"index": 0, "text": "Hel", "finish_reason": None}]},
    COMPLETION | {"choices": [{"index": 0, "text": "lo", "finish_reason": "stop"}]},
    COMPLETION | {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
]
TGI_LINES = [
    {"token": {"text": "Hel"}, "generated_text": None, "details": None},
    {"token": {"text": "lo"}, "generated_text": "Hello", "details": {"finish_reason": "eos_token"}},
]
CLAUDE_LINES = [
    {"type": "message_start", "message": {"id": "a", "role": "assistant", "content": [], "model": "c"}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping", "cost": 0},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
RESPONSE = {"id": "r", "object": "response", "model": "m", "output": []}
SAID = {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}
RESPONSES_LINES = [
    {"type": "response.created", "response": RESPONSE},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "Hello"},
    {"type": "response.something.new"},
    {"type": "response.completed", "response": RESPONSE | {"output": [SAID], "status": "completed"}},
]


@pytest.mark.parametrize(
    ("asked", "pieces"),
    [
        (ASKED, [*SDK[:-1], {"type": "data-weather", "data": 1}, FINISHED]),
        ({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, GEMINI_LINES),
        ({"model": "m", "prompt": "Hi"}, COMPLETION_LINES),
        ({"inputs": "Hi"}, TGI_LINES),
        (ASKED, CLAUDE_LINES),
        ({"model": "m", "input": "Hi"}, RESPONSES_LINES),
        (ASKED, [chunk(0, "Hel"), chunk(0, "lo"), chunk(0, None, "stop")]),
    ],
)
@pytest.mark.parametrize("write", [lines, list, json.dumps])
@pytest.mark.parametrize("mapping", [{}, {"input": "request", "output": "response"}])
def test_a_text_of_one_piece_a_line_is_the_answer_that_it_makes(
    tmp_path: Path, asked: Any, pieces: list[Any], write: Any, mapping: dict[str, str]
) -> None:
    read_as = answer(tmp_path, write(pieces), asked, **mapping)
    assert (read_as.text, read_as.error, read_as.flags) == ("Hello", None, ())


@pytest.mark.parametrize("write", [list, lines])
@pytest.mark.parametrize("pieces", [OLLAMA[:3], [chunk(0, "Hel"), chunk(0, "lo")], CLAUDE_LINES[:4]])
@pytest.mark.parametrize("mapping", [{}, {"input": "request", "output": "response"}])
def test_a_stream_that_ends_in_an_error_is_one(
    tmp_path: Path, pieces: list[Any], write: Any, mapping: dict[str, str]
) -> None:
    read_as = answer(tmp_path, write([*pieces, {"error": "out of memory"}]), **mapping)
    assert read_as.text is None
    assert read_as.error is not None
    assert read_as.error.message == "out of memory"


FAILED_CHOICE = chunk(0, None, "error")
FAILED_CHOICE["choices"][0]["error"] = {"code": 502, "message": "it went down"}
COHERE_FAILED = {"type": "message-end", "delta": {"finish_reason": "ERROR", **ENDED}}
COHERE_WHOLE = {"id": "c", "finish_reason": "ERROR", "message": {"role": "assistant", "content": "Hel"}}
OLDER_WHOLE = {"generation_id": "g", "text": "Hel", "finish_reason": "ERROR", "chat_history": []}
OLDER_END = {"is_finished": True, "event_type": "stream-end", "response": OLDER_WHOLE}


@pytest.mark.parametrize(
    ("response", "why"),
    [
        ([chunk(0, "Hel"), FAILED_CHOICE], "it went down"),
        (sent([chunk(0, "Hel"), FAILED_CHOICE]), "it went down"),
        ([chunk(0, "Hel"), chunk(0, None, "error")], "ended the answer with error"),
        ([*COHERE[:1], *COHERE[5:7], COHERE_FAILED], "ended the answer with ERROR"),
        (COHERE_WHOLE, "ended the answer with ERROR"),
        (OLDER_WHOLE, "ended the answer with ERROR"),
        ([*OLDER_COHERE, OLDER_END], "ended the answer with ERROR"),
    ],
)
def test_an_answer_that_its_provider_failed_to_end_is_no_answer(
    tmp_path: Path, response: Any, why: str
) -> None:
    """Half of one would count as all that the frontier model said."""
    older = response is OLDER_WHOLE or (isinstance(response, list) and OLDER_END in response)
    asked = {"message": "Hi", "chat_history": []} if older else ASKED
    read_as = answer(tmp_path, response, asked)
    assert read_as.text is None
    assert read_as.error is not None
    assert why in read_as.error.message


@pytest.mark.parametrize(
    ("ended", "finish", "mark", "flags"),
    [
        ("BLOCKLIST", "content_filter", "content_filter", ()),
        (6, "content_filter", "content_filter", ()),
        ("OTHER", "OTHER", "truncated", ("truncated",)),
        ("FinishReason.OTHER", "OTHER", "truncated", ("truncated",)),
    ],
)
@pytest.mark.parametrize("write", [list, lambda pieces: pieces[0]])
def test_an_answer_of_gemini_s_that_was_held_back_is_marked(
    tmp_path: Path, ended: Any, finish: str, mark: str, flags: tuple[str, ...], write: Any
) -> None:
    pieces = [{"candidates": [{"content": {"parts": [{"text": "Hel"}]}, "finishReason": ended}]}]
    asked = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    draft = only(tmp_path, write(pieces), asked)
    assert draft.control is not None
    assert (draft.control.text, draft.control.finish_reason, draft.control.flags) == ("Hel", finish, flags)
    assert mark in draft.control_marks


def test_calls_of_cohere_s_first_version_keep_their_arguments(tmp_path: Path) -> None:
    """It calls them parameters, streamed or not."""
    calls = [{"name": "f", "parameters": {"a": 1}}]
    whole = {"generation_id": "g", "text": "", "finish_reason": "COMPLETE", "tool_calls": calls}
    called = {"is_finished": False, "event_type": "tool-calls-generation", "tool_calls": calls}
    end = {"is_finished": True, "event_type": "stream-end", "response": whole}
    for response in (whole, [OLDER_COHERE[0], called], [OLDER_COHERE[0], called, end]):
        read_as = answer(tmp_path, response, {"message": "Hi", "chat_history": []})
        assert read_as.tool_calls == (ToolCall("f", {"a": 1}, None),)


@pytest.mark.parametrize("ended", ["abort", "cancelled"])
def test_an_answer_that_was_given_up_is_half_of_one(tmp_path: Path, ended: str) -> None:
    assert answer(tmp_path, [chunk(0, "Hel"), chunk(0, None, ended)]).flags == ("truncated",)


def delta(text: str) -> dict[str, Any]:
    """Return a piece of a text as the AI SDK streams it."""
    return {"type": "text-delta", "id": "1", "delta": text}


FIRST_STEP = [delta("Let me look. "), {"type": "tool-call", "toolCallId": "t1", "toolName": "f", "input": {}}]


@pytest.mark.parametrize(
    ("pieces", "text", "flags"),
    [
        (
            [{"type": "start"}, {"type": "start-step"}, *FIRST_STEP, {"type": "finish-step"},
             {"type": "start-step"}, delta("Hel"), delta("lo"), {"type": "finish-step"}, FINISHED],
            "Hello", (),
        ),
        ([*FIRST_STEP, {"type": "step-finish"}, delta("Hel"), delta("lo"), FINISHED], "Hello", ()),
        ([*FIRST_STEP, {"type": "finish-step"}, {"type": "start-step"}, delta("Hel")], "Hel", ("truncated",)),
    ],
)  # fmt: skip
def test_of_an_agent_s_steps_the_last_is_the_answer(
    tmp_path: Path, pieces: list[Any], text: str, flags: tuple[str, ...]
) -> None:
    read_as = answer(tmp_path, pieces)
    assert (read_as.text, read_as.tool_calls, read_as.flags) == (text, (), flags)


def test_a_step_that_only_calls_a_tool_is_the_answer_where_it_is_the_last(tmp_path: Path) -> None:
    read_as = answer(tmp_path, [{"type": "start-step"}, *FIRST_STEP, {"type": "finish-step"}, FINISHED])
    assert (read_as.text, read_as.tool_calls) == ("Let me look. ", (ToolCall("f", {}, "t1"),))


def test_tokens_of_a_provider_s_stream_are_read(tmp_path: Path) -> None:
    """What the AI SDK gets of a provider names them one level deeper."""
    counts = {"inputTokens": {"total": 9, "cacheRead": 4}, "outputTokens": {"total": 3, "reasoning": 1}}
    end = {"type": "finish", "finishReason": {"unified": "stop", "raw": "stop"}, "usage": counts}
    assert answer(tmp_path, [{"type": "stream-start"}, delta("Hello"), end]).usage == Usage(5, 4, 3, 1)


def test_events_of_a_stream_that_nobody_knows_are_no_empty_answer(tmp_path: Path) -> None:
    draft = only(tmp_path, [{"type": "begin"}, {"type": "more", "delta": {"words": "Hello"}}])
    assert (draft.control, draft.control_marks) == (None, ["stream_not_rebuilt"])


@pytest.mark.parametrize(
    "said",
    [
        '{"done": true}\n{"done": false}', '{"type": "order"}\n{"type": "reply"}', lines(OLLAMA) + "Yes.",
        lines([{"type": "content-card", "index": 0, "title": "A"}, {"type": "content-card", "index": 1}]),
        lines([{"type": "response.greeting", "text": "A"}, {"type": "response.end"}]),
        lines([{"type": "ping", "host": "a"}, {"type": "ping", "host": "b"}]),
        lines([{"type": "ping"}, {"type": "ping"}]),
        lines([{"type": "message_start_time", "at": 1}, {"type": "message_stop", "at": 2}]),
        lines([{"event_type": "login", "is_finished": True}, {"event_type": "x", "is_finished": False}]),
        lines([{"response": "A", "done": False}, {"response": "B", "done": True}]),
        lines([{"model": "m", "response": each, "done": True} for each in ("A", "B")]),
        lines([{"model": "m", "response": each, "done": False} for each in ("A", "B")]),
        lines([{"message": {"to": "x"}, "done": False}, {"message": {"to": "y"}, "done": True}]),
        lines([{"type": "start"}, {"type": "finish"}]),
        lines([{"type": ["a"], "event_type": {"b": 1}}, {"type": {"c": 1}, "object": [], "done": 1}]),
        lines([{"type": "message_start", "message": {}}, {"type": ["a"]}]),
        lines([{"type": "start"}, {"type": ["a"]}, {"type": "text-delta", "delta": "A"}]),
        lines([{"a": 1}, {"error": "none"}]),
        lines([{"type": "text-delta"}, {"type": "finish"}]),
        lines([{"candidates": [{"name": "A"}]}, {"candidates": [{"name": "B"}]}]),
        lines([{"candidates": [{"content": {"parts": []}}], "rank": each} for each in (1, 2)]),
        lines([{"object": "text_completion", "id": each, "choices": []} for each in "ab"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("of_gemini", [False, True])
def test_json_lines_of_a_model_s_own_stay_its_text(tmp_path: Path, said: str, of_gemini: bool) -> None:
    """Only what a provider alone writes is a stream, and only where something is made of it."""
    if of_gemini:
        read_as = answer(tmp_path, said, {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]})
    else:
        read_as = answer(tmp_path, said, None, input="request", output="response")
    assert (read_as.text, read_as.error) == (said, None)
