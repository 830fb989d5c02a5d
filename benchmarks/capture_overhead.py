"""What capture adds to a call: `python benchmarks/capture_overhead.py`.

The same openai client, bare and captured, in turns, against a server in this process that
takes 20 ms to answer, so that no network adds noise. Beside the time that the application
waits stands the processor's time: that of its own thread, which other programs on the
machine hardly change, and that of the process, which the writing thread is part of.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
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


def measure(
    name: str, size: int, calls: int, folder: Path, *, stream: bool = False, redact: bool = False
) -> None:
    """Print what capture adds to a call of this kind, in milliseconds and as a ratio."""
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
    verdict = "holds" if thread < BAR_MS and not lost else f"MISSED {lost or ''}"
    print(
        f"{name:24} {without[0]:8.2f} {wall:+8.3f} (x{with_it[0] / without[0]:.2f}) {without[1]:8.2f} "
        f"{thread:+8.3f} {process:+8.3f}   {verdict}"
    )


def main() -> None:
    """Measure whole and streamed answers, small and large, and with redaction."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    calls = parser.parse_args().calls
    print("Medians in ms: the call, what is added to it (ratio); processor time of the calling thread,")
    print(f"what is added to it (below {BAR_MS} ms), and to the whole process.")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        measure("1 KB", 1_000, calls, root)
        measure("100 KB", 100_000, calls, root)
        measure("streamed in 51 chunks", 1_000, calls, root, stream=True)
        measure("1 KB redacted", 1_000, calls, root, redact=True)


if __name__ == "__main__":
    main()
