"""A stub of the chat completions API that costs next to nothing, for benchmarks.

It runs in a process of its own and answers each request at once with one of two prepared
replies, so that what is measured is the client. It counts what it was asked.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

LABELS = ("spam", "ham")


def _http(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _completion(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1767225600, "model": "m"}
    return _http(json.dumps(whole | {"choices": [choice], "usage": usage}).encode())


class _Stub(asyncio.Protocol):
    """One connection: whole requests in, whole replies out."""

    answered: ClassVar[list[int]] = [0, 0]
    replies = tuple(_completion(label) for label in LABELS)
    models = _http(b'{"object": "list", "data": []}')

    def __init__(self) -> None:
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where replies go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer all requests that are complete."""
        data = self._waiting + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(data) < end + 4 + length:
                break
            body, data = data[end + 4 : end + 4 + length], data[end + 4 + length :]
            self._transport.write(self._reply(head, body))  # type: ignore[attr-defined]
        self._waiting = data

    def _reply(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"post"):
            which = zlib.crc32(body) & 1
            self.answered[which] += 1
            return self.replies[which]
        return _http(json.dumps(self.answered).encode()) if b"/stats " in head else self.models


class Stub:
    """A running stub, by its port."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"

    def answered(self) -> dict[str, int]:
        """Return how many completions were answered with each label."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/stats") as reply:
            return dict(zip(LABELS, json.load(reply), strict=True))


@contextmanager
def serving() -> Iterator[Stub]:
    """Run the stub in a process of its own; it ends with the block, or with this process."""
    command = [sys.executable, str(Path(__file__).resolve())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    if process.stdout is None:
        raise SystemExit("the stub did not start")
    try:
        yield Stub(int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Stub, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
