"""An openai client that is captured behaves as before, and its calls can be imported."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from capture_server import CALL, Server
from import_world import Desk, tallies
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel

from workbench.capture import CaptureLog, tag, wrap
from workbench.compare.judgement import control_problem
from workbench.formats import Draft, read
from workbench.records import ErrorKind

KEY = "sk-canary-4f9d8e7c6b5a"
ASK = [{"role": "user", "content": "the order A-17, please; ü 😀"}]
TOOLS = [{"type": "function", "function": {"name": "find_order", "parameters": {"type": "object"}}}]


class Label(BaseModel):
    label: str


def sync_client(server: Server, behaviour: str = "good", **options: Any) -> OpenAI:
    return OpenAI(base_url=server.url(behaviour), api_key=KEY, **options)


def records(log: CaptureLog, kind: str = "") -> list[dict[str, Any]]:
    """Return the records of a log in the order of writing, after a check that every line is whole."""
    assert log.flush()
    found = []
    for path in sorted(log.folder.glob(f"{kind}*.jsonl")):
        data = path.read_bytes()
        assert data.endswith(b"\n")
        found += [json.loads(line) for line in data.splitlines()]
    return found


def drafts(log: CaptureLog) -> list[Draft]:
    assert log.flush()
    found = list(read(sorted(log.folder.glob("chat-*.jsonl"))))
    assert all(isinstance(each, Draft) for each in found), found
    return found  # type: ignore[return-value]


def plain(value: Any) -> Any:
    """Return what the application sees, without what differs between any two calls."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, BaseModel):
        found = value.model_dump(exclude={"id", "created", "created_at"})
        if isinstance(found.get("response"), dict):
            found["response"] = {
                key: each for key, each in found["response"].items() if key not in ("id", "created_at")
            }
        return type(value).__name__, found
    return type(value).__name__, repr(value)


def raw(client: OpenAI) -> Any:
    answer = client.chat.completions.with_raw_response.create(model="m", messages=ASK)
    return [type(answer).__name__, answer.http_response.status_code, plain(answer.parse())]


def streamed_body(client: OpenAI) -> Any:
    with client.chat.completions.with_streaming_response.create(model="m", messages=ASK) as answer:
        return [type(answer).__name__, len(answer.read()), plain(answer.parse())]


def helper_stream(client: OpenAI) -> Any:
    with client.chat.completions.stream(model="m", messages=ASK) as stream:
        kinds = [event.type for event in stream]
        return kinds, plain(stream.get_final_completion())


def response_stream(client: OpenAI) -> Any:
    with client.responses.stream(model="m", input="hi") as stream:
        return [event.type for event in stream], plain(stream.get_final_response())


def create(**options: Any) -> Callable[[OpenAI], Any]:
    return lambda client: client.chat.completions.create(model="m", messages=ASK, **options)


CALLS: dict[str, Callable[[OpenAI], Any]] = {
    "create": lambda client: plain(create()(client)),
    "tools": lambda client: plain(create(tools=TOOLS)(client)),
    "stream": lambda client: plain(list(create(stream=True)(client))),
    "stream of tools": lambda client: plain(list(create(stream=True, tools=TOOLS)(client))),
    "stream type": lambda client: type(create(stream=True)(client)).__name__,
    "parse": lambda client: plain(
        client.chat.completions.parse(model="m", messages=ASK, response_format=Label)
    ),
    "helper stream": helper_stream,
    "raw": raw,
    "streamed body": streamed_body,
    "with options": lambda client: plain(create()(client.with_options(timeout=5, max_retries=0))),
    "response": lambda client: plain(client.responses.create(model="m", input="hi")),
    "response stream": lambda client: plain(
        list(client.responses.create(model="m", input="hi", stream=True))
    ),
    "response helper": response_stream,
    "response parse": lambda client: plain(client.responses.parse(model="m", input="hi", text_format=Label)),
}
BEHAVIOURS = ("good", "zipped", "limited", "refuse", "html", "drop", "breaks", "errors")


def outcome(call: Callable[[OpenAI], Any], client: OpenAI) -> Any:
    try:
        return call(client)
    except Exception as error:
        return type(error).__name__, str(error), getattr(error, "status_code", None)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("name", CALLS)
def test_an_application_sees_the_same(server: Server, log: CaptureLog, name: str, behaviour: str) -> None:
    """Whatever is called and however the server behaves, a captured client gives and raises the same."""
    retries = 2 if behaviour == "limited" else 0
    server.asked.clear()
    bare = outcome(CALLS[name], sync_client(server, behaviour, max_retries=retries))
    server.asked.clear()
    captured = outcome(CALLS[name], wrap(sync_client(server, behaviour, max_retries=retries), log))
    assert captured == bare
    if name != "stream type":
        assert len(records(log)) == 1
    assert log.counts()["lost"] == {}


@pytest.mark.parametrize("behaviour", ["good", "zipped"])
@pytest.mark.parametrize("name", [each for each in CALLS if "respons" not in each and each != "stream type"])
def test_what_was_said_can_be_imported(server: Server, log: CaptureLog, name: str, behaviour: str) -> None:
    """The pair reader gets messages, answer, tokens, latency and time out of every kind of call."""
    client = wrap(sync_client(server, behaviour), log, task="orders")
    with tag(session_id="s-1", tenant="acme"):
        CALLS[name](client)
    (draft,) = drafts(log)
    assert draft.request.messages[0].content == ASK[0]["content"]
    assert draft.control is not None
    if "tools" in name:
        assert draft.control.tool_calls[0].arguments == json.loads(CALL["function"]["arguments"])
        assert draft.control.finish_reason == "tool_calls"
    elif name == "parse":
        assert draft.control.text == '{"label": "spam"}'
    else:
        assert draft.control.text == f"echo: {ASK[0]['content']}"
    assert (draft.control.usage.input_tokens, draft.control.usage.output_tokens) == (12, 3)
    assert draft.control.model == "stub-2026"
    assert draft.control.latency_ms is not None
    assert draft.control.error is None
    assert (draft.task, draft.session_id, draft.attributes["tenant"]) == ("orders", "s-1", "acme")
    assert draft.occurred_at is not None
    assert draft.attributes["sampling_rate"] == 1.0


def test_a_stream_and_its_whole_are_one_output(server: Server, log: CaptureLog) -> None:
    """A streamed answer is put together to what the same answer is when it comes whole."""
    client = wrap(sync_client(server), log)
    for stream in (False, True):
        for tools in ({}, {"tools": TOOLS}):
            answer = client.chat.completions.create(model="m", messages=ASK, stream=stream, **tools)
            if stream:
                list(answer)
    whole, whole_tools, streamed, streamed_tools = (each.control for each in drafts(log))
    for one, other in ((whole, streamed), (whole_tools, streamed_tools)):
        assert (one.text, one.tool_calls, one.finish_reason, one.usage, one.model) == (
            other.text or None, other.tool_calls, other.finish_reason, other.usage, other.model,
        )  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
def test_responses_go_to_a_file_of_their_own(server: Server, log: CaptureLog, stream: bool) -> None:
    """A call of the Responses API is one line with the request and the whole response object."""
    client = wrap(sync_client(server), log, task="t")
    answer = client.responses.create(model="m", input="hi", instructions="be short", stream=stream)
    if stream:
        list(answer)
    (record,) = records(log, "responses-")
    assert record["request"]["input"] == "hi"
    assert record["request"]["instructions"] == "be short"
    assert record["response"]["object"] == "response"
    assert record["response"]["output"][0]["content"][0]["text"] == "echo: hi"
    assert record["task"] == "t"
    assert record["latency_ms"] > 0
    assert records(log, "chat-") == []


RESPONSES: dict[str, dict[str, Any]] = {
    "text": {"input": "hi", "instructions": "be short"},
    "items": {"input": [{"role": "developer", "content": "be short"}, {"role": "user", "content": "hi"}]},
    "blocks": {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "instructions": "be short",
    },
}


@pytest.mark.parametrize("behaviour", ["good", "zipped"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("shape", RESPONSES)
def test_responses_can_be_imported(
    server: Server, log: CaptureLog, tmp_path: Path, shape: str, stream: bool, behaviour: str
) -> None:
    """What capture writes of the Responses API is read by its format: request, answer, tokens, time, task."""
    tools = [{"type": "function", "name": "find_order", "parameters": {"type": "object"}}]
    client = wrap(sync_client(server, behaviour), log, task="orders")
    with tag(session_id="s-1", tenant="acme"):
        answer = client.responses.create(model="m", stream=stream, tools=tools, **RESPONSES[shape])
        if stream:
            list(answer)
    assert log.flush()
    (draft,) = read(sorted(log.folder.glob("responses-*.jsonl")), format="openai_responses")
    assert isinstance(draft, Draft)
    assert [each.content for each in draft.request.messages] == ["be short", "hi"]
    assert draft.request.tools[0]["function"]["name"] == "find_order"
    assert draft.control is not None
    assert draft.control.error is None
    assert draft.control.text is not None
    assert draft.control.text.startswith("echo: ")
    assert (draft.control.usage.input_tokens, draft.control.usage.output_tokens) == (12, 3)
    assert (draft.control.model, draft.control.finish_reason) == ("stub-2026", "stop")
    assert draft.control.latency_ms is not None
    assert draft.occurred_at is not None
    assert (draft.task, draft.session_id, draft.attributes["tenant"]) == ("orders", "s-1", "acme")


@pytest.mark.parametrize(
    ("behaviour", "stream"),
    [("refuse", False), ("refuse", True), ("drop", False), ("breaks", True), ("errors", True)],
)
def test_a_failed_response_is_a_failed_output(
    server: Server, log: CaptureLog, behaviour: str, stream: bool
) -> None:
    """A call of the Responses API that failed is imported with why, never as an answer or an empty one."""
    client = wrap(sync_client(server, behaviour, max_retries=0), log)
    with pytest.raises(openai.APIError):
        list(client.responses.create(model="m", input="hi", stream=stream))
    assert log.flush()
    (draft,) = read(sorted(log.folder.glob("responses-*.jsonl")))
    assert isinstance(draft, Draft)
    assert draft.control is not None
    assert draft.control.error is not None
    assert draft.control.error.kind is (ErrorKind.CONNECTION if behaviour == "drop" else ErrorKind.HTTP)
    assert draft.control.text is None
    assert "error" in draft.control_marks


def test_the_folder_of_a_log_is_imported_whole(server: Server, log: CaptureLog, tmp_path: Path) -> None:
    """A log of both kinds that lost something too is imported by its folder, twice without a double."""
    client = wrap(sync_client(server), log, task="orders")
    client.chat.completions.create(model="m", messages=ASK)
    client.responses.create(model="m", input="hi")
    client.responses.create(model="m", input="hi", background=True)
    assert log.flush()
    assert len(list(log.folder.glob("counts-*.json"))) == 1
    (tmp_path / "space").mkdir()
    bench = Desk(tmp_path / "space")
    report = bench.take(log.folder)
    assert tallies(report) == {"accepted": 2}
    assert report.tasks == {"orders": 2}
    assert tallies(bench.take(log.folder)) == {"skipped": 2}
    assert tallies(bench.take(f"{log.folder}/*", dry_run=True)) == {"skipped": 2}


def test_a_response_that_comes_later_is_counted(server: Server, log: CaptureLog) -> None:
    """A background response has no answer yet: it is counted as lost, not logged as empty."""
    wrap(sync_client(server), log).responses.create(model="m", input="hi", background=True)
    assert records(log) == []
    assert log.counts()["lost"] == {"answered later": 1}


@pytest.mark.parametrize(
    ("behaviour", "stream", "kind"),
    [
        ("refuse", False, ErrorKind.HTTP),
        ("refuse", True, ErrorKind.HTTP),
        ("limited", False, ErrorKind.RATE_LIMITED),
        ("drop", False, ErrorKind.CONNECTION),
        ("html", False, ErrorKind.HTTP),
        ("breaks", True, ErrorKind.HTTP),
        ("errors", True, ErrorKind.HTTP),
        ("hang", False, ErrorKind.TIMEOUT),
    ],
)
def test_a_failed_call_is_a_failed_output(
    server: Server, log: CaptureLog, behaviour: str, stream: bool, kind: ErrorKind
) -> None:
    """A call that failed is logged once, as an error and never as an answer."""
    server.asked.clear()
    timeout = 0.3 if behaviour == "hang" else 10
    client = wrap(sync_client(server, behaviour, max_retries=0, timeout=timeout), log)
    if behaviour == "html":
        client.chat.completions.create(model="m", messages=ASK)
    else:
        with pytest.raises(openai.APIError):
            list(client.chat.completions.create(model="m", messages=ASK, stream=stream))
    (draft,) = drafts(log)
    assert draft.control is not None
    assert draft.control.error is not None
    assert draft.control.error.kind is kind
    assert draft.control.text is None


def test_retries_are_one_call(server: Server, log: CaptureLog) -> None:
    """What the client tried several times is one record, with the latency of the last attempt."""
    server.asked.clear()
    wrap(sync_client(server, "limited", max_retries=3), log).chat.completions.create(model="m", messages=ASK)
    (record,) = records(log)
    assert record["attempts"] == 3
    assert "error" not in record
    assert record["response"]["choices"]


def test_a_stream_left_early_has_no_answer(server: Server, log: CaptureLog) -> None:
    """What an application stopped reading midway is imported as cut off, which nothing is compared with."""
    client = wrap(sync_client(server), log)
    for _ in client.chat.completions.create(model="m", messages=ASK, stream=True):
        break
    with client.chat.completions.create(model="m", messages=ASK, stream=True) as stream:
        next(iter(stream))
    for number, _ in enumerate(client.responses.create(model="m", input="hi", stream=True)):
        if number == 3:
            break
    gc.collect()  # The client's own stream refers to itself.
    assert log.flush()
    found = list(read(sorted(log.folder.glob("*.jsonl"))))
    assert len(found) == 3
    for each in found:
        assert isinstance(each, Draft)
        assert "truncated" in each.control_marks
        assert each.control is not None
        error = each.control.error.kind if each.control.error is not None else None
        assert control_problem(error, each.control.finish_reason, each.control.flags) is not None


def test_azure_clients_are_captured(server: Server, log: CaptureLog) -> None:
    """AzureOpenAI, whose paths name a deployment and whose key is a header of its own, is captured alike."""
    azure = AzureOpenAI(azure_endpoint=server.url(), api_key=KEY, api_version="2024-10-21")
    wrap(azure, log).chat.completions.create(model="m", messages=ASK)
    (draft,) = drafts(log)
    assert draft.control is not None
    assert draft.control.text == f"echo: {ASK[0]['content']}"


def test_other_calls_pass_untouched(server: Server, log: CaptureLog) -> None:
    """Embeddings and the like are neither changed nor logged."""
    client = wrap(sync_client(server), log)
    assert client.embeddings.create(model="e", input="x", encoding_format="float").data[0].embedding == [
        0.1,
        0.2,
    ]
    assert records(log) == []
    assert log.counts() == {"written": 0, "sampled_out": 0, "lost": {}}


def test_the_client_stays_what_it_is(server: Server, log: CaptureLog) -> None:
    """The client is the same object of the same type, and wrapping it twice logs once."""
    client = sync_client(server)
    assert wrap(wrap(client, log), log) is client
    assert type(client) is OpenAI
    assert type(client.with_options(timeout=3)) is OpenAI
    client.chat.completions.create(model="m", messages=ASK)
    assert len(records(log)) == 1


def test_wrapping_something_else_says_so(log: CaptureLog) -> None:
    """What is no openai client is refused at set-up, before any traffic."""
    with pytest.raises(TypeError, match="no openai client"):
        wrap(object(), log)
    with pytest.raises(ValueError, match="sampling_rate"):
        CaptureLog("x", sampling_rate=5)
    with pytest.raises(TypeError):
        wrap(OpenAI(api_key=KEY), log, sampling_rate=0.5)


@pytest.mark.parametrize("behaviour", ["good", "limited", "refuse", "breaks"])
async def test_async_clients_are_captured_alike(server: Server, log: CaptureLog, behaviour: str) -> None:
    """An AsyncOpenAI gives and raises the same, and logs the same."""

    async def ask(client: AsyncOpenAI, stream: bool) -> Any:
        try:
            answer = await client.chat.completions.create(model="m", messages=ASK, stream=stream, tools=TOOLS)
            return plain([each async for each in answer] if stream else answer)
        except openai.APIError as error:
            return type(error).__name__, str(error)

    for stream in (False, True):
        seen = []
        for captured in (False, True):
            server.asked.clear()
            async with AsyncOpenAI(base_url=server.url(behaviour), api_key=KEY) as client:
                seen.append(await ask(wrap(client, log) if captured else client, stream))
        assert seen[0] == seen[1]
    assert len(await asyncio.to_thread(records, log)) == 2


async def test_concurrent_calls_keep_their_own_tags(server: Server, log: CaptureLog) -> None:
    """Calls of many tasks at once are logged each with its own request, answer and tags."""
    client = wrap(AsyncOpenAI(base_url=server.url(), api_key=KEY), log)

    async def ask(number: int) -> None:
        with tag(session_id=f"s{number}"):
            stream = number % 2 == 0
            answer = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": f"n{number}"}], stream=stream
            )
            if stream:
                async for _ in answer:
                    await asyncio.sleep(0)

    await asyncio.gather(*(ask(number) for number in range(40)))
    await client.close()
    found = await asyncio.to_thread(drafts, log)
    assert len(found) == 40
    for draft in found:
        number = str(draft.session_id)[1:]
        assert draft.request.messages[0].content == f"n{number}"
        assert draft.control is not None
        assert draft.control.text == f"echo: n{number}"


async def test_a_cancelled_call_is_counted(server: Server, log: CaptureLog) -> None:
    """A call that the application itself gives up is no failure of the model: counted, not logged."""
    client = wrap(AsyncOpenAI(base_url=server.url("hang"), api_key=KEY), log)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.chat.completions.create(model="m", messages=ASK), 0.2)
    await client.close()
    assert await asyncio.to_thread(records, log) == []
    assert log.counts()["lost"] == {"cancelled": 1}


def test_keys_and_headers_never_reach_the_disk(server: Server, log: CaptureLog) -> None:
    """Keys are nowhere in the log: not of headers, of MCP tools, or echoed in answers and errors."""
    header = {"x-my-token": "headersecret-1234567"}
    for behaviour in ("echokey", "refuse"):
        client = wrap(sync_client(server, behaviour, max_retries=0, default_headers=header), log)
        for stream in (False, True):
            with_mcp = [
                *TOOLS,
                {
                    "type": "mcp",
                    "server_url": "x",
                    "authorization": "mcpsecret-123",
                    "headers": {"k": "mcpheader-1"},
                },
            ]
            try:
                answer: Any = client.chat.completions.create(
                    model="m",
                    messages=ASK,
                    stream=stream,
                    tools=with_mcp,
                    extra_headers={"X-Api-Key": "extra-12345"},
                )
                if stream:
                    list(answer)
            except openai.APIError:
                pass
    assert len(records(log)) == 4
    written = b"".join(path.read_bytes() for path in log.folder.iterdir())
    for secret in (KEY, "headersecret", "mcpsecret", "mcpheader", "extra-12345", "Bearer", "User-Agent"):
        assert secret.encode() not in written


def test_sampling_by_session_keeps_whole_sessions(server: Server, tmp_path: Path) -> None:
    """A sample by session has all calls of a session or none, alike in every process, and tells its rate."""
    kept = []
    for name in ("a", "b"):
        log = CaptureLog(tmp_path / name, sampling_rate=0.5, sample_by="session_id")
        client = wrap(sync_client(server), log)
        for number in range(40):
            with tag(session_id=f"s{number % 20}"):
                client.chat.completions.create(model="m", messages=ASK)
        found = records(log)
        sessions = [each["session_id"] for each in found]
        assert all(sessions.count(each) == 2 for each in sessions)
        assert {each["sampling_rate"] for each in found} == {0.5}
        assert log.counts()["sampled_out"] == 40 - len(found)
        kept.append(set(sessions))
    assert kept[0] == kept[1]
    assert 3 <= len(kept[0]) <= 17


def test_nothing_is_kept_at_a_rate_of_zero(server: Server, tmp_path: Path) -> None:
    """A rate of 0 turns capture off without a change of code: not even a folder is made."""
    log = CaptureLog(tmp_path / "log", sampling_rate=0)
    wrap(sync_client(server), log).chat.completions.create(model="m", messages=ASK)
    assert log.flush()
    assert not log.folder.exists()
    assert log.counts() == {"written": 0, "sampled_out": 1, "lost": {}}
