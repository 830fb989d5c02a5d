"""Replies larger than any is read: the answer is cut and flagged, and nothing is made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Server, completion, serving

from workbench.engines import CallContext, oversized
from workbench.engines.openai_api import MAX_REPLY_BYTES, OpenAIEngine
from workbench.engines.oversized import completed
from workbench.engines.replies import MAX_TEXT_CHARS, Asked, read_beginning
from workbench.records import ErrorKind, EvalKind, Message, Output, Request
from workbench.specs import Candidate, EvalConfig

LABELS = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("spam", "ham"))
ASKED = Asked(Candidate("c", "openai", base_url="http://127.0.0.1:1/v1", model="m"), LABELS)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(TEXTS, st.booleans(), st.data())
def test_a_body_cut_in_the_answer_holds_the_beginning_of_the_answer(
    text: str, ascii_only: bool, data: st.DataObject
) -> None:
    """Wherever the cut lies, within an escape or a character too, what is left is what was sent."""
    body = json.dumps(completion(text, "m"), ensure_ascii=ascii_only).encode()
    begun = body.index(b'"content": "') + len(b'"content": "')
    ended = begun + len(json.dumps(text, ensure_ascii=ascii_only).encode()) - 2
    cut = data.draw(st.integers(begun, ended))
    found = completed(body[:cut])
    kept = found["choices"][0]["message"]["content"]
    replaced = text.replace("\x00", "\ufffd")
    assert replaced.startswith(kept) or (kept[-1:] == "\ufffd" and replaced.startswith(kept[:-1]))
    assert len(json.dumps(kept)) >= len(json.dumps(text[: len(kept)])) - 12
    assert found["model"] == "m" if "model" in found else True


@pytest.mark.parametrize(
    "beginning", [b"", b" " * 100, b"<html>", b'{"choices": [', b'{"a": 1, "b', b'{"a"}]["', b'"text', b"\\"]
)
def test_what_is_cut_elsewhere_is_no_answer(beginning: bytes) -> None:
    """A page, blanks, brackets that do not fit, a cut name: an error that says how much was read."""
    output = read_beginning(beginning, ASKED)
    assert output.text is None
    assert output.error is not None
    assert output.error.kind is ErrorKind.INVALID_RESPONSE
    assert "larger than 0 MB" in output.error.message


@pytest.mark.parametrize("flood", [b"[", b"[],", b'"",', b'{"a":', b'"\\"",'])
def test_a_flood_of_marks_is_given_up_before_it_is_read_whole(
    flood: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Megabytes of brackets or empty texts hold up no other call: a bounded number of them is looked at."""
    looked = 0
    real = oversized._TOKEN

    class Counting:
        def finditer(self, data: bytes) -> Iterator[Any]:
            nonlocal looked
            for each in real.finditer(data):
                looked += 1
                yield each

    monkeypatch.setattr(oversized, "_TOKEN", Counting())
    assert completed(b"[" + flood * (1024**2 // len(flood)) + b'"x') is None
    assert looked <= 100_001


def test_half_a_tool_call_is_no_tool_call() -> None:
    """Arguments that were cut would be others than the model wrote."""
    call = {"id": "c1", "type": "function", "function": {"name": "book", "arguments": "x" * 100}}
    choice = {"message": {"role": "assistant", "content": "fine", "tool_calls": [call]}}
    body = json.dumps({"model": "m", "choices": [choice]}).encode()
    output = read_beginning(body[:-20], ASKED)
    assert output.error is not None
    assert output.error.kind is ErrorKind.INVALID_RESPONSE


def test_another_models_endless_answer_is_the_other_models() -> None:
    """The name stands before the answer: a cut body does not hide who wrote it."""
    body = json.dumps({"model": "other", "choices": [{"message": {"content": "x" * 100}}]}).encode()
    output = read_beginning(body[:-20], ASKED)
    assert output.error is not None
    assert output.error.kind is ErrorKind.WRONG_MODEL


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A stub server in a process of its own."""
    with serving() as found:
        yield found


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hundred_megabytes_of_answer_are_capped_and_flagged(server: Server, stream: bool) -> None:
    """Announced or streamed, asked for as a stream or not: the beginning is kept, the flag says so."""
    behaviour = "streams_flood" if stream else "huge_answer"
    candidate = Candidate(
        "c", "openai", base_url=server.url(behaviour), model="m", timeout_s=30.0, stream=stream
    )
    engine = OpenAIEngine(candidate, LABELS)
    try:
        output: Output = await engine.complete(Request((Message("user", "hello"),)), CallContext("c1", "n1"))
    finally:
        await engine.close()
    assert output.error is None
    assert output.flags == ("capped",)
    assert output.text is not None
    assert len(output.text) == MAX_TEXT_CHARS < MAX_REPLY_BYTES
    assert set(output.text.split()) <= {"ham", "word", "wor", "wo", "w", "ha", "h"}
    assert output.latency_ms is not None
