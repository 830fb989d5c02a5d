"""A stub of chat completions and Responses for capture: whole, streamed, broken, compressed, refusing."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "find_order", "arguments": '{"order": "A-17", "notes": ["ü", "😀"]}'},
}
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """Return a chat completion: a tool call where there are tools, else an echo."""
    message: dict[str, Any] = {"role": "assistant", "content": f"echo: {body['messages'][-1]['content']}"}
    finish = "stop"
    if body.get("tools"):
        message, finish = {"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls"
    if body.get("response_format"):
        message["content"] = '{"label": "spam"}'
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}", "object": "chat.completion", "created": int(time.time()),
        "model": "stub-2026", "choices": [choice], "usage": USAGE,
    }  # fmt: skip


def chunks(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the chunks of a completion, cut where servers cut: in words and in arguments."""
    message = whole["choices"][0]["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if message.get("content"):
        text = message["content"]
        deltas += [{"content": text[i : i + 5]} for i in range(0, len(text), 5)]
    for call in message.get("tool_calls", ()):
        head = call | {"index": 0, "function": {"name": call["function"]["name"], "arguments": ""}}
        deltas.append({"tool_calls": [head]})
        arguments = call["function"]["arguments"]
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": arguments[i : i + 7]}}]}
            for i in range(0, len(arguments), 7)
        ]
    base = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    found = [base | {"choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in deltas]
    end = {"index": 0, "delta": {}, "finish_reason": whole["choices"][0]["finish_reason"]}
    return [*found, base | {"choices": [end]}, base | {"choices": [], "usage": USAGE}]


def response_object(body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer of the Responses API."""
    if body.get("background"):
        status, output = "queued", []
    else:
        status = "completed"
        part = {"type": "output_text", "text": f"echo: {body['input']}", "annotations": []}
        if body.get("text"):
            part["text"] = '{"label": "spam"}'
        output = [
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        ]
    return {
        "id": f"resp_{uuid.uuid4().hex}", "object": "response", "created_at": int(time.time()),
        "status": status, "model": "stub-2026", "output": output, "parallel_tool_calls": True, "tools": [],
        "tool_choice": "auto",
        "usage": {
            "input_tokens": 12, "output_tokens": 3, "total_tokens": 15,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        },
        "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
    }  # fmt: skip


def response_events(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a streamed response."""
    item = whole["output"][0]
    text = item["content"][0]["text"]
    started = whole | {"status": "in_progress", "output": []}
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    found: list[dict[str, Any]] = [
        {"type": "response.created", "response": started},
        {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
        {"type": "response.content_part.added", **place, "part": item["content"][0] | {"text": ""}},
        *(
            {"type": "response.output_text.delta", **place, "delta": text[i : i + 5], "logprobs": []}
            for i in range(0, len(text), 5)
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [each | {"sequence_number": number} for number, each in enumerate(found)]


@dataclass
class Server:
    """A running stub; `asked` holds the headers and bodies that arrived."""

    port: int
    asked: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)

    def url(self, behaviour: str = "good") -> str:
        """Return the base URL of a behaviour."""
        return f"http://127.0.0.1:{self.port}/{behaviour}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: ClassVar[dict[int, Server]] = {}
    fails: ClassVar[dict[str, int]] = {}

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer as the first part of the path says."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        server = self.server_of[self.server.server_address[1]]
        server.asked.append((dict(self.headers), body))
        behaviour = self.path.split("/")[1]
        if behaviour == "limited" and sum(each[1] == body for each in server.asked) < 3:
            return self._json({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, 429)
        if behaviour == "refuse":
            key = self.headers.get("Authorization", "")
            return self._json({"error": {"message": f"{key} may not", "type": "invalid_request_error"}}, 400)
        if behaviour == "html":
            return self._raw(b"<html>gateway</html>", "text/html", 200)
        if behaviour == "hang":
            time.sleep(3)
        if behaviour == "drop":
            return self._cut()
        if behaviour == "embeddings" or self.path.endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}
            return self._json({"object": "list", "data": [vector], "model": "e", "usage": USAGE})
        if self.path.endswith("/responses"):
            whole, cut = response_object(body), response_events
        else:
            whole, cut = completion(body), chunks
        if behaviour == "counter":
            whole["id"] = "chatcmpl-7"
        pieces = cut(whole) if body.get("stream") else None
        if behaviour == "echokey":
            whole["choices"][0]["message"]["content"] = self.headers.get("Authorization")
        if pieces is None:
            return self._json(whole, zipped=behaviour == "zipped")
        return self._stream(pieces, behaviour)

    def _stream(self, pieces: list[dict[str, Any]], behaviour: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        named = "type" in pieces[0]
        for number, piece in enumerate(pieces):
            if behaviour == "breaks" and number == 3:
                self._cut()
                return
            if behaviour == "errors" and number == 3:
                piece = {"error": {"message": "overloaded", "code": "server_error"}}
            event = f"event: {piece['type']}\n" if named and "type" in piece else ""
            self._chunk(f"{event}data: {json.dumps(piece)}\n\n".encode())
        if not named:
            self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _json(self, body: dict[str, Any], status: int = 200, *, zipped: bool = False) -> None:
        self._raw(json.dumps(body).encode(), "application/json", status, zipped=zipped)

    def _raw(self, data: bytes, kind: str, status: int, *, zipped: bool = False) -> None:
        data = gzip.compress(data) if zipped else data
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.send_header("retry-after-ms", "1")
        if zipped:
            self.send_header("content-encoding", "gzip")
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving() -> Iterator[Server]:
    """Run the stub on a free port of this machine."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    server = Server(httpd.server_address[1])
    _Handler.server_of[server.port] = server
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
