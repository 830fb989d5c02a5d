"""An answer that comes piece by piece: server-sent events put together to one reply.

The pieces become the same object that a server sends in one piece, and one reader turns
both into an output: so a streamed answer can't differ from one that was not.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.engines.reasoning import REASONING_KEYS
from workbench.normal import Undecodable, decode_json

MAX_EVENT_BYTES = 8 * 1024**2
"""An event larger than this is no piece of an answer."""
MAX_MODELS = 8
"""More names of models than one stream should hold; a flood of them is not kept."""
_LINE_END = re.compile(rb"\r\n|\n|\r")


class BrokenStream(ValueError):
    """The stream can't be read on; the message says why."""


class EventReader:
    """Cut bytes into the data of server-sent events, wherever the network cut them.

    Source: WHATWG HTML, "Server-sent events". Beyond it, an event without its empty line
    at the end still counts.
    """

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._looked = 0
        self._data: list[bytes] = []
        self._size = 0
        self._begun = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Take bytes; return the data of every event they complete.

        Raises:
            BrokenStream: One event is larger than any piece of an answer.
        """
        self._waiting += piece
        if not self._begun and len(self._waiting) >= 3:
            self._begun = True
            if self._waiting.startswith(b"\xef\xbb\xbf"):
                del self._waiting[:3]
        return self._take(last=False) if self._begun else []

    def end(self) -> list[bytes]:
        """Return the data of what was left when the bytes ended."""
        return [*self._take(last=True), *self._dispatch()]

    def _take(self, last: bool) -> list[bytes]:
        found: list[bytes] = []
        start = 0
        for match in _LINE_END.finditer(self._waiting, self._looked):
            if match.end() == len(self._waiting) and match.group() == b"\r" and not last:
                break  # The other half of the line's end may be in the next piece.
            found += self._line(bytes(self._waiting[start : match.start()]))
            start = match.end()
        del self._waiting[:start]
        self._looked = max(len(self._waiting) - 1, 0)
        if last and self._waiting:
            found += self._line(bytes(self._waiting))
            self._waiting.clear()
        if len(self._waiting) + self._size > MAX_EVENT_BYTES:
            raise BrokenStream(f"one event of the stream is larger than {MAX_EVENT_BYTES // 1024**2} MB")
        return found

    def _line(self, line: bytes) -> list[bytes]:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value)
        return []

    def _dispatch(self) -> list[bytes]:
        data, self._data, self._size = self._data, [], 0
        return [b"\n".join(data)] if data else []


class ReplyBuilder:
    """Put the pieces of one streamed chat completion together.

    `done` says that the server said so, `finished` that it gave a reason to stop,
    `is_capped` that nobody read on, `has_nan` that a piece held the word NaN. `models` are
    those that pieces of the answer name, the first one too.
    """

    def __init__(self) -> None:
        self.done = False
        self.finished = False
        self.is_answering = False
        self.is_repaired = False
        self.is_capped = False
        self.has_nan = False
        self.error: Any = None
        self.models: dict[str, None] = {}
        self._seen = False
        self._top: dict[str, Any] = {}
        self._choice: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._calls: list[dict[str, Any]] = []
        self._places: dict[int, dict[str, Any]] = {}
        self._order: dict[int, int] = {}
        self._logprobs: list[Any] = []
        self._message: dict[str, Any] | None = None

    def add(self, data: bytes) -> None:
        """Take the data of one event.

        Raises:
            BrokenStream: It is no piece of a chat completion.
        """
        if self.done or self.error is not None:
            return
        text = data.strip()
        if not text:
            return
        if text == b"[DONE]":
            self.done = True
            return
        try:
            decoded = decode_json(text)
        except Undecodable as error:
            lines = [each for each in text.split(b"\n") if each.strip()]
            if len(lines) < 2:
                raise BrokenStream(f"an event of the stream can't be read: {error}") from None
            # Some servers leave out the empty line between two events.
            for line in lines:
                self.add(line)
            return
        self.is_repaired = self.is_repaired or decoded.repaired
        self.has_nan = self.has_nan or decoded.has_nan
        if not isinstance(decoded.value, dict):
            raise BrokenStream("an event of the stream is JSON, but no object")
        self._take(decoded.value)

    def _take(self, chunk: dict[str, Any]) -> None:
        self._seen = True
        if chunk.get("error"):
            self.error = chunk
            return
        if chunk.get("object") == "error" and "message" in chunk:
            self.error = {"error": chunk}
            return
        if isinstance(chunk.get("id"), str):
            self._top.setdefault("id", chunk["id"])
        choices = chunk.get("choices")
        if isinstance(chunk.get("model"), str) and chunk["model"]:
            self._top.setdefault("model", chunk["model"])
            if choices and len(self.models) < MAX_MODELS:
                self.models[chunk["model"]] = None
        if isinstance(chunk.get("usage"), dict):
            self._top["usage"] = chunk["usage"]
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index", 0) in (0, None):
                self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Any]) -> None:
        if choice.get("finish_reason"):
            self._choice["finish_reason"] = choice["finish_reason"]
            self.finished = True
        if choice.get("error"):
            self._choice["error"] = choice["error"]
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            self._logprobs += logprobs["content"]
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._take_delta(delta)
        elif isinstance(choice.get("message"), dict):
            # A server that sends the whole message in its last event.
            self._message = choice["message"]
            self.is_answering = True

    def _take_delta(self, delta: dict[str, Any]) -> None:
        for key in ("content", *REASONING_KEYS, "refusal"):
            text = _text_of(delta.get(key))
            if text:
                self._texts.setdefault(key, []).append(text)
                self.is_answering = True
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._take_call(call)
        if isinstance(delta.get("function_call"), dict):
            self._take_call({"index": 0, "function": delta["function_call"]})

    def _take_call(self, call: Mapping[str, Any]) -> None:
        self.is_answering = True
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        index = call.get("index")
        if isinstance(index, int):
            known = self._places.get(index)
            if known is not None and function.get("name") and known["id"] and call.get("id"):
                # Ollama gives every call the index 0. Others make up an id with each piece of one call,
                # but name it only once.
                known = known if call["id"] == known["id"] else None
        else:
            # Without an index, a name begins another call.
            known = None if function.get("name") or not self._calls else self._calls[-1]
        if known is None:
            known = {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
            self._calls.append(known)
        if isinstance(index, int):
            self._places[index] = known
            self._order[id(known)] = index
        known["id"] = known["id"] or call.get("id")
        parts = known["function"]
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(name, str) and name != parts["name"]:
            parts["name"] += name
        if isinstance(arguments, str) and isinstance(parts["arguments"], str):
            parts["arguments"] += arguments
        elif isinstance(arguments, dict):
            parts["arguments"] = arguments

    def reply(self) -> dict[str, Any]:
        """Return the object that the server would have sent in one piece."""
        if self.error is not None:
            return dict(self.error)
        if not (self._choice or self._texts or self._calls or self._message):
            return self._top | {"choices": []}
        message: dict[str, Any] = {"role": "assistant", "content": None}
        message |= {key: "".join(texts) for key, texts in self._texts.items()}
        if self._calls:
            message["tool_calls"] = sorted(
                self._calls, key=lambda each: self._order.get(id(each), len(self._calls))
            )
        if self._message is not None:
            message = message | {key: value for key, value in self._message.items() if value is not None}
        choice = {"index": 0, "message": message, "finish_reason": None} | self._choice
        if self._logprobs:
            choice["logprobs"] = {"content": self._logprobs}
        return self._top | {"choices": [choice]}

    @property
    def is_text(self) -> bool:
        """Say whether pieces of a text came, and of nothing that is worthless when cut."""
        return "content" in self._texts and not self._calls

    @property
    def is_whole(self) -> bool:
        """Say whether the answer came to its end: the server said so, or gave its reason."""
        return self.done or self.finished or self.error is not None


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(each for each in texts if isinstance(each, str))
    return ""


def is_event_stream(beginning: bytes) -> bool | None:
    """Say whether a body is a stream of events, or None while nothing of it is there.

    Judged by its first sign, not by its media type: servers that ignore `stream` answer
    with one JSON object, and proxies with a page.
    """
    start = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return start not in (b"{", b"[", b"<") if start else None


@dataclass(frozen=True, slots=True)
class Streamed:
    """What was read: pieces put together, or the body of a server that ignored `stream`.

    `is_cut` says that the body is larger than was read, `first_s` when the first piece of an
    answer was there, by the clock that was given.
    """

    builder: ReplyBuilder | None = None
    body: bytes = b""
    is_cut: bool = False
    first_s: float | None = None


async def read_stream(
    pieces: AsyncIterator[bytes], now: Callable[[], float] = time.perf_counter, *, most_bytes: int
) -> Streamed:
    """Read a reply that may be a stream of events.

    Reading ends where the server says that it is done, or reports an error: a connection
    kept open behind that holds nobody up.

    Args:
        pieces: The bytes as they come.
        now: The clock, in seconds.
        most_bytes: What a reply may have at most.

    Raises:
        BrokenStream: It is larger, or an event can't be read.
    """
    reader, builder = EventReader(), ReplyBuilder()
    begun: bool | None = None
    held = bytearray()
    first_s: float | None = None
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > most_bytes:
            if builder.is_text:
                builder.is_capped = True
                return Streamed(builder, first_s=first_s)
            if begun is False:
                return Streamed(body=bytes(held), is_cut=True)
            raise BrokenStream(f"the reply is larger than {most_bytes // 1024**2} MB")
        if not begun:
            held += piece
            if begun is None:
                begun = is_event_stream(bytes(held))
            if not begun:
                continue
            piece = bytes(held)
            held.clear()
        for data in reader.feed(piece):
            builder.add(data)
        if first_s is None and builder.is_answering:
            first_s = now()
        if builder.done or builder.error is not None:
            return Streamed(builder, first_s=first_s)
    if not begun:
        return Streamed(body=bytes(held))
    for data in reader.end():
        _add_last(builder, data)
    return Streamed(builder, first_s=now() if first_s is None and builder.is_answering else first_s)


def _add_last(builder: ReplyBuilder, data: bytes) -> None:
    """Add what no empty line had closed: it may be whole, or cut in the middle."""
    try:
        builder.add(data)
    except BrokenStream:
        if builder.is_whole:
            return
        raise BrokenStream("the stream breaks off") from None
