"""The openai engine against a server that means harm: what it sends costs one call, never the replay."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from workbench.engines import CallContext, signals
from workbench.engines.openai_api import OpenAIEngine
from workbench.engines.retries import RetryPolicy, retry_after_s
from workbench.engines.signals import LABEL_TOKENS, Token, label_margin
from workbench.records import ErrorKind, EvalKind, Message, Output, Request, to_json
from workbench.specs import Candidate, EvalConfig

LABELS = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("spam", "ham"))
REQUEST = Request((Message("user", "hello"),))
COMPLETION = json.dumps({"model": "m", "choices": [{"message": {"content": "spam"}}]}).encode()
EVENT = b'data: {"choices": [{"delta": {"content": "spam"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
BOMB_BYTES = 200 * 1024**2


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Return raw HTTP."""
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


async def ask_raw(raw: bytes, **keys: Any) -> Output:
    """Ask a server that sends these bytes whatever it is asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    candidate = Candidate(
        "c", "openai", base_url=f"http://127.0.0.1:{port}/v1", model="m", timeout_s=10.0, **keys
    )
    engine = OpenAIEngine(candidate, LABELS, RetryPolicy(attempts=2, first_wait_s=0.01, longest_wait_s=0.02))
    try:
        return await engine.complete(REQUEST, CallContext("c1", "n1"))
    finally:
        await engine.close()
        server.close()


def _bomb(encoding: str) -> bytes:
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    piece = bytes(1024**2)
    return b"".join([*(packer.compress(piece) for _ in range(BOMB_BYTES // len(piece))), packer.flush()])


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_small_body_that_unpacks_to_gigabytes_is_cut_at_the_cap(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packed body is counted as it is unpacked: it is too large long before it is unpacked whole."""
    unpacked = 0
    real = zlib.decompressobj

    class Counting:
        def __init__(self, *arguments: int) -> None:
            self._real = real(*arguments)

        def decompress(self, data: bytes, most: int = 0) -> bytes:
            nonlocal unpacked
            found = self._real.decompress(data, most)
            unpacked += len(found)
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    monkeypatch.setattr("workbench.engines.transport.zlib.decompressobj", Counting)
    output = await ask_raw(reply(_bomb(encoding), f"Content-Encoding: {encoding}"))
    assert output.error is not None
    assert (output.error.kind, output.error.message) == (
        ErrorKind.INVALID_RESPONSE,
        "the reply is larger than 8 MB",
    )
    assert 0 < unpacked < 10 * 1024**2


RAW_DEFLATE = zlib.compressobj(wbits=-15)
PACKED = [
    ("gzip", gzip.compress(COMPLETION, mtime=0), {}),
    ("deflate", zlib.compress(COMPLETION), {}),
    ("deflate", RAW_DEFLATE.compress(COMPLETION) + RAW_DEFLATE.flush(), {}),
    ("utf-8", COMPLETION, {}),
    ("gzip", gzip.compress(EVENT, mtime=0), {"stream": True}),
]


@pytest.mark.parametrize(("encoding", "body", "keys"), PACKED)
async def test_a_packed_answer_is_read_though_nobody_asked_for_it(
    encoding: str, body: bytes, keys: dict[str, Any]
) -> None:
    """Proxies pack answers unasked: they are read all the same, streamed or in one piece."""
    output = await ask_raw(reply(body, f"Content-Encoding: {encoding}"), **keys)
    assert (output.text, output.error) == ("spam", None)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", COMPLETION),
        ("gzip", gzip.compress(COMPLETION, mtime=0)[:-20]),
        ("br", COMPLETION),
        ("zstd", b""),
    ],
)
async def test_a_body_that_is_not_what_its_encoding_says_is_an_error_of_its_call(
    encoding: str, body: bytes
) -> None:
    """A lie about the encoding, or half a packed body, is an invalid response."""
    output = await ask_raw(reply(body, f"Content-Encoding: {encoding}"))
    assert output.error is not None
    assert output.error.kind is ErrorKind.INVALID_RESPONSE


ABSURD = [
    *("1e308", "-5", "nan", "soon", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 -2359"),
    *("Fri, 31 Dec 9999 23:59:59 +9999999999999999", "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"),
]


@pytest.mark.parametrize("text", ABSURD, ids=range(len(ABSURD)))
def test_no_retry_after_is_absurd_enough_to_end_a_replay(text: str) -> None:
    """Whatever a server writes into Retry-After is a wait within bounds, or none at all."""
    found = retry_after_s(text)
    assert found is None or found >= 0
    assert 0 <= RetryPolicy().wait_s(1, found) <= 60


async def test_what_a_server_writes_into_an_error_can_be_stored() -> None:
    """NUL and lone surrogates are replaced in the message of an error, as they are in an answer."""
    page = b"<html><title>a\x00b</title></html>"
    output = await ask_raw(reply(page, status="502 Bad Gateway"))
    assert output.error is not None
    assert output.error.message == "an HTML page: a\ufffdb"


@pytest.mark.parametrize("text", ['"', " ", ""])
def test_a_model_that_repeats_itself_costs_no_time(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but quotes or blanks is given up early: each token is read with all before it."""
    looked = 0
    real = signals._Beginnings._bare

    def counted(self: signals._Beginnings, written: str) -> str | None:
        nonlocal looked
        looked += 1
        return real(self, written)

    monkeypatch.setattr(signals._Beginnings, "_bare", counted)
    tokens = [Token(text, -0.1, {text: -0.1})] * 20_000
    assert label_margin(tokens, {"spam": "spam", "ham": "ham"}) is None
    assert looked < 10 * LABEL_TOKENS


async def test_a_server_that_names_itself_after_the_key_does_not_get_it_into_the_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a server says of itself stands in the replay's plan, and the key never does."""
    key = "sk-canary-0123456789"
    monkeypatch.setenv("HOSTILE_KEY", key)
    listed = reply(b'{"data": [{"id": "m"}]}', f"Server: vllm {key}")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(listed)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    engine = OpenAIEngine(
        Candidate("c", "openai", base_url=url, model="m", api_key_env="HOSTILE_KEY"), LABELS
    )
    try:
        await engine.check()
        assert engine.description["dialect"] == "vllm"
        assert key not in str(engine.description)
        assert "[redacted]" in engine.description["dialect_by"]
    finally:
        await engine.close()
        server.close()


async def test_nothing_that_a_reply_says_is_kept_without_bound() -> None:
    """Reasoning is capped and flagged as an answer is, and names are cut."""
    message = {"content": "spam", "reasoning_content": "x" * 2_000_000}
    choice = {"message": message, "finish_reason": "y" * 100_000}
    output = await ask_raw(reply(json.dumps({"model": "m", "choices": [choice]}).encode()))
    assert (output.text, output.flags) == ("spam", ("capped",))
    assert len(output.reasoning or "") == 1_000_000
    assert len(output.finish_reason or "") == 200
    other = json.dumps({"model": "z" * 100_000, "choices": [choice]}).encode()
    assert len(to_json(await ask_raw(reply(other)))) < 2_000
