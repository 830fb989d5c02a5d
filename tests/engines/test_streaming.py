"""Answers that come piece by piece: the same output as in one piece, however the network cuts them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Server, answer_to, chunks_of, completion

from workbench.engines import CallContext
from workbench.engines.openai_api import OpenAIEngine
from workbench.engines.replies import Asked, read_reply, read_value
from workbench.engines.retries import RetryPolicy
from workbench.engines.streaming import BrokenStream, Streamed, read_stream
from workbench.records import ErrorKind, EvalKind, Message, Output, Request
from workbench.specs import Candidate, EvalConfig

LABELS = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("spam", "ham"))
ASKED = Asked(Candidate("c", "openai", model="m"), LABELS)
REQUEST = Request((Message("user", "hello"),))


def events(chunks: list[Any], end: str = "\n", space: str = " ", done: bool = True) -> bytes:
    """Return chunks as a stream of events."""
    texts = [json.dumps(each) for each in chunks] + (["[DONE]"] if done else [])
    return "".join(
        f": still here{end}event: message{end}data:{space}{each}{end}{end}" for each in texts
    ).encode()


async def read(body: bytes, cuts: list[int] | None = None) -> Streamed:
    """Read a body cut at places."""
    places = [0, *sorted({each % (len(body) + 1) for each in cuts or []}), len(body)]

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in itertools.pairwise(places):
            yield body[start:end]

    return await read_stream(pieces(), most_bytes=10**6)


def output_of(found: Streamed) -> Output:
    """Return the output of what was read."""
    if found.builder is None:
        return read_reply(found.body, "application/json", ASKED)
    builder = found.builder
    return read_value(builder.reply(), ASKED, repaired=builder.is_repaired, models=builder.models)


TOOL = {"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"day": "Mon"}'}}
TOKENS = [
    {"token": "sp", "logprob": -0.1, "top_logprobs": [{"token": "h", "logprob": -2.4}]},
    {"token": "äm 🙂", "logprob": -0.2, "top_logprobs": []},
]
RICH = completion(
    "späm 🙂",
    "m",
    choice={
        "message": {"role": "assistant", "content": "späm 🙂", "reasoning": "Hm?", "tool_calls": [TOOL]},
        "finish_reason": "stop",
        "logprobs": {"content": TOKENS},
    },
)


def rich_chunks() -> list[dict[str, Any]]:
    """Return the rich reply in pieces: reasoning, text, a tool call by index, log-probabilities."""
    base = {"model": "m"}

    def piece(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
        return base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None} | more]}

    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "book", "arguments": ""}}
    return [
        piece({"role": "assistant", "content": ""}),
        piece({"reasoning": "H"}),
        piece({"reasoning": "m?"}),
        piece({"content": "sp"}, logprobs={"content": TOKENS[:1]}),
        piece({"content": "äm 🙂"}, logprobs={"content": TOKENS[1:]}),
        piece({"tool_calls": [first]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": '{"day": '}}]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": '"Mon"}'}}]}),
        piece({}, finish_reason="stop"),
        base | {"choices": [], "usage": RICH["usage"]},
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 10_000), max_size=40),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", " "]),
    st.booleans(),
    st.booleans(),
)
async def test_any_cut_gives_the_output_of_one_piece(
    cuts: list[int], end: str, space: str, done: bool, mark: bool
) -> None:
    """Cut at any byte, with any line end, with or without its end mark, the output is that of one piece."""
    body = (b"\xef\xbb\xbf" if mark else b"") + events(rich_chunks(), end, space, done)
    whole = read_reply(json.dumps(RICH).encode(), "application/json", ASKED)
    assert whole.reasoning == "Hm?"
    assert whole.confidence
    assert whole.tool_calls[0].arguments == {"day": "Mon"}
    assert output_of(await read(body, cuts)) == whole


async def test_every_single_byte_may_come_alone() -> None:
    """One byte at a time makes no difference."""
    body = events(rich_chunks(), "\r\n")
    assert output_of(await read(body, list(range(len(body))))) == output_of(await read(body))


async def test_data_on_several_lines_is_one_event() -> None:
    """Lines of data of one event belong together; a missing empty line between two events is forgiven."""
    chunk = json.dumps(chunks_of(completion("spam", "m"), 1)[1], indent=1)
    lines = "".join(f"data: {line}\n" for line in chunk.split("\n"))
    found = await read(f"{lines}\ndata: [DONE]\n\n".encode())
    assert output_of(found).text == "spam"
    packed = "".join(f"data: {json.dumps(each)}\n" for each in chunks_of(completion("spam", "m")))
    assert output_of(await read(packed.encode())).text == "spam"


async def test_a_server_that_ignores_stream_is_read_as_it_answers() -> None:
    """One JSON object, a page and an empty body are what they are without streaming."""
    plain = json.dumps(completion("spam", "m")).encode()
    assert output_of(await read(plain, [3, 50])).text == "spam"
    page, empty = output_of(await read(b"<html><title>Oops</title>")), output_of(await read(b""))
    assert page.error is not None
    assert "Oops" in page.error.message
    assert empty.error is not None
    assert "empty body" in empty.error.message


async def test_tool_calls_without_an_index_stay_apart() -> None:
    """Two calls that a server sends whole and without numbers are two calls."""
    calls = [{"id": f"c{n}", "function": {"name": f"f{n}", "arguments": '{"n": 1}'}} for n in range(2)]
    chunks = [{"choices": [{"delta": {"tool_calls": [each]}}]} for each in calls]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    output = output_of(await read(events(chunks)))
    assert [(each.name, each.arguments) for each in output.tool_calls] == [("f0", {"n": 1}), ("f1", {"n": 1})]


async def test_tool_calls_that_share_an_index_stay_apart() -> None:
    """As Ollama streams parallel calls: all have index 0, and only their ids tell them apart."""
    calls = [
        {"index": 0, "id": f"c{n}", "function": {"name": f"f{n // 2}", "arguments": '{"n": 1}'}}
        for n in range(3)
    ]
    chunks = [{"choices": [{"delta": {"tool_calls": [each]}}]} for each in calls]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    output = output_of(await read(events(chunks)))
    assert [(each.id, each.name) for each in output.tool_calls] == [
        ("c0", "f0"),
        ("c1", "f0"),
        ("c2", "f1"),
    ]
    assert all(each.arguments == {"n": 1} for each in output.tool_calls)


async def test_an_id_made_up_for_each_piece_of_a_tool_call_begins_no_other() -> None:
    """As older vLLM streams one call: each piece of its arguments has an id of its own, and no name."""
    pieces = [
        {"index": 0, "id": "c0", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "id": "c1", "function": {"name": None, "arguments": '{"n":'}},
        {"index": 0, "id": "c2", "function": {"arguments": " 1}"}},
    ]
    chunks = [{"choices": [{"delta": {"tool_calls": [each]}}]} for each in pieces]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    (call,) = output_of(await read(events(chunks))).tool_calls
    assert (call.id, call.name, call.arguments) == ("c0", "f", {"n": 1})


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"reasoning": "", "content": "<think>hm</think>spam"}, "hm"),
        ({"reasoning_content": "A.", "content": "<think>hm</think>spam"}, "A.\n\nhm"),
        ({"reasoning_content": "A.", "content": "</think>\nspam"}, "A."),
        ({"thinking": "hm", "content": "spam"}, "hm"),
        ({"reasoning": "", "content": "spam"}, None),
    ],
)
async def test_tags_of_reasoning_lead_no_answer_beside_a_field_for_it(
    fields: dict[str, str], reasoning: str | None
) -> None:
    """Whatever the server has in a field for reasoning, tags before the answer are no part of it."""
    quoted = {"reasoning": "A.", "content": "It ends in </think>."}
    kept = read_value({"model": "m", "choices": [{"message": quoted}]}, ASKED)
    assert (kept.text, kept.reasoning) == (quoted["content"], "A.")
    whole = read_value({"model": "m", "choices": [{"message": fields, "finish_reason": "stop"}]}, ASKED)
    chunks = [{"model": "m", "choices": [{"delta": {key: text}}]} for key, text in fields.items()]
    chunks.append({"model": "m", "choices": [{"delta": {}, "finish_reason": "stop"}]})
    assert (whole.text, whole.reasoning) == ("spam", reasoning)
    assert output_of(await read(events(chunks))) == whole


@pytest.mark.parametrize(("second", "wrong"), [("other", True), ("m-2026-01-31", False), ("m", False)])
async def test_a_stream_that_another_model_goes_on_with_is_the_wrong_models(second: str, wrong: bool) -> None:
    """Each piece of the answer is to be of the model that was asked; one of counts alone says nothing."""
    chunks: list[dict[str, Any]] = [
        {"model": name, "choices": [{"delta": {"content": text}, "finish_reason": reason}]}
        for name, text, reason in (("m", "sp", None), (second, "am", "stop"))
    ]
    chunks.append({"model": "billing", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}})
    output = output_of(await read(events(chunks)))
    assert (output.error is not None) == wrong
    if output.error is not None:
        assert (output.error.kind, output.model) == (ErrorKind.WRONG_MODEL, second)
        assert f"answered by {second!r}" in output.error.message


@pytest.mark.parametrize(
    "bad", [{"id": "c2", "function": {"arguments": "{}"}}, {"function": {"name": ""}}, None]
)
async def test_a_tool_call_without_a_name_spoils_the_answer(bad: Any) -> None:
    """What is left without it is no whole answer, in one piece or streamed."""
    message = {"content": "spam", "tool_calls": [TOOL, bad]}
    whole = read_value({"model": "m", "choices": [{"message": message}]}, ASKED)
    found = [whole]
    if bad is not None:
        calls = [TOOL | {"index": 0}, bad | {"index": 1}]
        chunks = [{"choices": [{"delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}]
        found.append(output_of(await read(events(chunks))))
    for output in found:
        assert output.error is not None
        assert output.error.kind is ErrorKind.INVALID_RESPONSE
        assert "names no function" in output.error.message
    unused = {"content": "spam", "function_call": {"name": "", "arguments": ""}}
    assert read_value({"model": "m", "choices": [{"message": unused}]}, ASKED).text == "spam"


async def test_what_is_no_stream_of_answers_is_an_error_of_its_own() -> None:
    """Broken JSON in the middle, and an event that never ends, are refused with the reason."""
    with pytest.raises(BrokenStream, match="can't be read"):
        await read(b"data: {nonsense}\n\n")
    with pytest.raises(BrokenStream, match="larger than"):
        await read(b"data: " + b"x" * 1_000_001)


async def ask(server: Server, behaviour: str, **keys: Any) -> tuple[Output, CallContext]:
    """Ask one behaviour for a stream."""
    keys = {"model": "m", "timeout_s": 5.0, "stream": True} | keys
    engine = OpenAIEngine(
        Candidate("c", "openai", base_url=server.url(behaviour), **keys),
        LABELS,
        RetryPolicy(attempts=2, first_wait_s=0.01),
    )
    context = CallContext("c1", "n1")
    try:
        return await engine.complete(REQUEST, context), context
    finally:
        await engine.close()


async def test_a_stream_tells_the_time_to_the_first_token(server: Server) -> None:
    """Streamed and not, the answer is the same; streamed, the first piece's time comes along."""
    streamed, _ = await ask(server, "streams")
    body = server.stats("streams")["last"]
    whole, _ = await ask(server, "streams", stream=False)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert streamed.text == whole.text == answer_to("hello")
    assert streamed.usage == whole.usage
    assert whole.time_to_first_token_ms is None
    assert streamed.time_to_first_token_ms is not None
    assert streamed.latency_ms is not None
    assert 0 < streamed.time_to_first_token_ms < streamed.latency_ms


async def test_a_server_that_answers_whole_all_the_same_is_fine(server: Server) -> None:
    """Where the server ignores `stream`, there is an answer, and no time to the first token."""
    output, _ = await ask(server, "good")
    assert output.text == answer_to("hello")
    assert output.time_to_first_token_ms is None


STREAMS = [
    ("streams_error", ErrorKind.INVALID_RESPONSE, "the engine died", 1),
    ("streams_switch", ErrorKind.WRONG_MODEL, "answered by 'm-mini'", 1),
    ("streams_break", ErrorKind.INVALID_RESPONSE, "the stream breaks off", 2),
    ("streams_on", ErrorKind.TIMEOUT, "no complete reply", 1),
    ("rate_limited", ErrorKind.RATE_LIMITED, "slow down", 2),
    ("html", ErrorKind.INVALID_RESPONSE, "nginx", 1),
    ("broken_off", ErrorKind.INVALID_RESPONSE, "breaks off", 2),
    ("wrong_model", ErrorKind.WRONG_MODEL, "m-mini", 1),
]


@pytest.mark.parametrize(("behaviour", "kind", "words", "attempts"), STREAMS, ids=[row[0] for row in STREAMS])
async def test_every_odd_stream_is_an_error_of_its_own_kind(
    server: Server,
    behaviour: str,
    kind: ErrorKind,
    words: str,
    attempts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error in the middle, an end without an answer, a stream without an end: each says what it is."""
    monkeypatch.setattr(RetryPolicy, "wait_s", lambda *_: 0.01)
    started = time.monotonic()
    output, context = await ask(server, behaviour, timeout_s=0.7 if behaviour == "streams_on" else 20.0)
    assert output.error is not None
    assert output.error.kind is kind
    assert words in output.error.message
    assert output.text is None
    assert context.attempts == attempts
    if behaviour == "streams_on":
        assert time.monotonic() - started < 1.7


async def test_a_connection_kept_open_behind_the_end_holds_nobody_up(server: Server) -> None:
    """Once the server says that it is done, the answer is there, whatever the connection does."""
    output, _ = await ask(server, "streams_hang", timeout_s=5.0)
    assert output.text == "spam"


async def test_a_key_cut_in_two_pieces_is_redacted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that a server echoes over two pieces of a stream is not kept."""
    monkeypatch.setenv("CANARY_KEY", answer_to("hello"))
    output, _ = await ask(server, "streams", api_key_env="CANARY_KEY")
    assert output.text == "[redacted]"
