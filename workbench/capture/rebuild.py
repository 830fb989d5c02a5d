"""What went over the wire as a record of the log: bodies, and streams put together again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

CHAT, RESPONSES = "chat", "responses"
PATHS = {"/chat/completions": CHAT, "/responses": RESPONSES}

_NEVER_KEPT = frozenset(("api_key", "authorization", "headers", "extra_headers"))
"""Of a request and of its tools: an MCP server's key is sent in the body."""
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_UNFINISHED = ("queued", "in_progress")


class Unfinished(ValueError):
    """The answer comes later, by a request of its own."""


def kind_of(path: str) -> str | None:
    """Return which API a path belongs to; None for one that is not captured."""
    path = path.partition("?")[0].rstrip("/")
    return next((kind for end, kind in PATHS.items() if path.endswith(end)), None)


def request_of(body: bytes) -> Any:
    """Return a request's body without credentials.

    Raises:
        ValueError: It is not JSON.
    """
    found = json.loads(body)
    if not isinstance(found, dict):
        return found
    found = {key: value for key, value in found.items() if key not in _NEVER_KEPT}
    if isinstance(found.get("tools"), list):
        found["tools"] = [
            {key: value for key, value in tool.items() if key.lower() not in _NEVER_KEPT}
            if isinstance(tool, dict)
            else tool
            for tool in found["tools"]
        ]
    return found


def answer_of(kind: str, body: bytes) -> dict[str, Any]:
    """Return the parts of a record that hold the answer.

    Args:
        kind: `chat` or `responses`.
        body: The response's body, decoded: JSON or server-sent events.

    Returns:
        `response`: the whole answer, or a list of the pieces of a stream that broke off;
        `error` where the server sent one.

    Raises:
        Unfinished: The answer comes later.
        ValueError: It is neither JSON nor a stream.
    """
    text = body.decode("utf-8", "replace")
    if not text.lstrip().startswith(("data:", "event:", ":", "id:", "retry:")):
        found = json.loads(text)
        if isinstance(found, dict) and found.get("error") and not _holds_answer(kind, found):
            return {"response": None, "error": found["error"]}
        if kind == RESPONSES and isinstance(found, dict) and found.get("status") in _UNFINISHED:
            raise Unfinished
        return {"response": found}
    pieces = list(events(text))
    error = next(
        (each["error"] for each in pieces if each.get("error") and not _holds_answer(kind, each)), None
    )
    whole = chat_completion(pieces) if kind == CHAT else response_object(pieces)
    if error is None and whole is not None:
        return {"response": whole}
    return {"response": pieces} if error is None else {"response": pieces, "error": error}


def _holds_answer(kind: str, value: Mapping[str, Any]) -> bool:
    return bool(value.get("choices")) if kind == CHAT else "output" in value or "response" in value


def events(text: str) -> Iterator[dict[str, Any]]:
    """Give the JSON objects of server-sent events; a last one that is cut off is left out."""
    data: list[str] = []
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            try:
                found = json.loads("\n".join(data))
            except ValueError:
                found = None
            data = []
            if isinstance(found, dict):
                yield found


def response_object(pieces: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the response that the last event of a stream carries; None where it broke off."""
    for piece in reversed(pieces):
        if piece.get("type") in _ENDS and isinstance(piece.get("response"), dict):
            found: dict[str, Any] = piece["response"]
            return found
    return None


def chat_completion(pieces: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Put a chat completion together from its chunks.

    Returns:
        The completion; None where a choice has no end, so that its text may be cut off.
    """
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for piece in pieces:
        whole |= {
            key: value
            for key, value in piece.items()
            if key not in ("choices", "object", "obfuscation") and value is not None
        }
        for choice in piece.get("choices") or ():
            if isinstance(choice, dict):
                _add(choices.setdefault(int(choice.get("index") or 0), {}), choice)
    if not choices or any(each.get("finish_reason") is None for each in choices.values()):
        return None
    for each in choices.values():
        if "tool_calls" in each["message"]:
            each["message"]["tool_calls"] = [call for call in each["message"]["tool_calls"] if call]
    ordered = [{"index": index, **choices[index]} for index in sorted(choices)]
    return {"object": "chat.completion", **whole, "choices": ordered}


def _add(choice: dict[str, Any], piece: Mapping[str, Any]) -> None:
    message = choice.setdefault("message", {"role": "assistant", "content": None})
    for key, value in (piece.get("delta") or {}).items():
        if key == "tool_calls":
            _add_tool_calls(message, value)
        elif key == "function_call" and isinstance(value, dict):
            _join(message.setdefault("function_call", {}), value)
        elif isinstance(value, str) and key != "role":
            message[key] = (message.get(key) or "") + value
        elif value is not None:
            message[key] = value
    if piece.get("finish_reason") is not None:
        choice["finish_reason"] = piece["finish_reason"]
    found = piece.get("logprobs")
    if isinstance(found, dict):
        logprobs = choice.setdefault("logprobs", {})
        for key, value in found.items():
            if isinstance(value, list):
                logprobs[key] = [*(logprobs.get(key) or ()), *value]


def _add_tool_calls(message: dict[str, Any], pieces: Any) -> None:
    calls = message.setdefault("tool_calls", [])
    for piece in pieces or ():
        if not isinstance(piece, dict):
            continue
        index = piece.get("index")
        # Some servers send whole calls without an index.
        place = index if isinstance(index, int) and 0 <= index < 10_000 else len(calls)
        while len(calls) <= place:
            calls.append({})
        call = calls[place]
        for key, value in piece.items():
            if key in ("function", "custom") and isinstance(value, dict):
                _join(call.setdefault(key, {}), value)
            elif key != "index" and value is not None:
                call[key] = value


def _join(whole: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add a piece of a call: arguments grow; some servers send the whole name with every piece."""
    for key, value in piece.items():
        if isinstance(value, str) and not (key == "name" and whole.get(key) == value):
            whole[key] = (whole.get(key) or "") + value
