"""What capture adds to a call: `python benchmarks/run.py --only capture`.

The same openai client, bare and captured, in turns, against a server in this process that
takes 20 ms to answer, so that no network adds noise. Beside the time that the application
waits stands the processor's time: that of its own thread, which other programs on the
machine hardly change, and that of the process, which the writing thread is part of.
"""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
from measures import Figures
from openai import DefaultHttpxClient, OpenAI

from workbench.capture import CaptureLog, wrap

BAR_MS = 1.0
ANSWERS_AFTER_S = 0.02
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


def _answer(request: httpx2.Request) -> httpx2.Response:
    time.sleep(ANSWERS_AFTER_S)
    body = json.loads(request.content)
    text = "word " * (len(body["messages"][0]["content"]) // 20)
    head = {"id": "c1", "created": 1767225600, "model": "m"}
    if body.get("stream"):
        pieces = [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}] * 50
        pieces.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        events = (
            json.dumps(head | {"object": "chat.completion.chunk", "choices": [each]}) for each in pieces
        )
        return httpx2.Response(
            200,
            headers={"content-type": "text/event-stream"},
            stream=_Stream([f"data: {each}\n\n".encode() for each in events] + [b"data: [DONE]\n\n"]),
        )
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return httpx2.Response(
        200, json=head | {"object": "chat.completion", "choices": [choice], "usage": USAGE}
    )


class _Stream(httpx2.SyncByteStream):
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Any:
        yield from self._chunks


def _client() -> OpenAI:
    http = DefaultHttpxClient(transport=httpx2.MockTransport(_answer))
    return OpenAI(api_key="sk-benchmark", base_url="http://stub/v1", http_client=http)


def _ask(client: OpenAI, text: str, *, stream: bool) -> Callable[[], Any]:
    messages: Any = [{"role": "user", "content": text}]
    if stream:
        return lambda: list(client.chat.completions.create(model="m", messages=messages, stream=True))
    return lambda: client.chat.completions.create(model="m", messages=messages)


def _clocks() -> tuple[float, float, float]:
    return time.perf_counter(), time.thread_time(), time.process_time()


def _added(
    figures: Figures,
    name: str,
    size: int,
    calls: int,
    folder: Path,
    *,
    stream: bool = False,
    redact: bool = False,
) -> None:
    log = CaptureLog(folder / name.replace(" ", "-"), redact=folder if redact else None)
    text = "some words of a prompt. " * (size // 24 + 1)
    bare, captured = _ask(_client(), text, stream=stream), _ask(wrap(_client(), log), text, stream=stream)
    spent: dict[bool, list[list[float]]] = {False: [], True: []}
    for number in range(calls + 20):
        # In turns, so that what else the machine does hits both.
        for is_captured, ask in ((False, bare), (True, captured))[:: 1 if number % 2 else -1]:
            log.flush()
            start = _clocks()
            ask()
            here = _clocks()
            log.flush()
            whole = time.process_time()
            if number >= 20:
                took = (here[0] - start[0], here[1] - start[1], whole - start[2])
                spent[is_captured].append([each * 1000 for each in took])
        if number % 50 == 0:
            gc.collect()
    lost = log.counts()["lost"]
    without, with_it = (
        [statistics.median(column) for column in zip(*spent[each], strict=True)] for each in (False, True)
    )
    wall, thread, process = (after - before for before, after in zip(without, with_it, strict=True))
    detail = (
        f"of {without[1]:.2f} ms; {process:+.2f} ms of the process, {wall:+.2f} ms of waiting "
        f"(x{with_it[0] / without[0]:.2f})"
    )
    if lost:
        raise SystemExit(f"capture lost records of {name}: {lost}")
    figures.ratio(
        f"ms of its thread that capture adds to a call, {name}", thread, BAR_MS, detail, at_most=True
    )


def measure(figures: Figures, calls: int = 400) -> None:
    """Print what capture adds to whole and streamed calls, small and large, and with redaction."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _added(figures, "1 KB", 1_000, calls, root)
        _added(figures, "100 KB", 100_000, calls, root)
        _added(figures, "streamed in 51 chunks", 1_000, calls, root, stream=True)
        _added(figures, "1 KB redacted", 1_000, calls, root, redact=True)
