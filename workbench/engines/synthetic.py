"""The workbench's own tiny requests, which hold nobody's data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.records import Message, Request

SHORT_TOKENS = 16
LONG_TOKENS = 64
"""Room for a tool call or a small JSON object, with the marks that models put around them."""
TOOL = "get_weather"
NONSENSE = "zebra"
"""A word that no list of labels is likely to hold."""
FILLER = "one two three four five six seven eight nine ten "
"""Ten words that nearly every tokenizer reads as ten tokens."""

SCHEMA: dict[str, dict[str, Any]] = {
    "json_schema": {
        "type": "json_schema",
        "json_schema": {
            "name": "check",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": {"ok": {"type": "boolean"}},
                "required": ["ok"],
                "additionalProperties": False,
            },
        },
    },
    "json_object": {"type": "json_object"},
}
"""Response formats by type, the more demanding first."""


def _request(*messages: Message, tokens: int = SHORT_TOKENS, **fields: Any) -> Request:
    return Request(messages, parameters={"max_tokens": tokens, "temperature": 0}, **fields)


def plain_request() -> Request:
    """Return one user message."""
    return _request(Message("user", "Answer with the one word: ready"))


def chat_request(system: bool, turns: bool) -> Request:
    """Return a conversation with the roles that a sample has.

    Args:
        system: Begin with a system message.
        turns: Have an earlier answer of the assistant in it.
    """
    messages = [Message("system", "You answer with one word.")] if system else []
    if turns:
        messages += [Message("user", "Answer with the one word: steady"), Message("assistant", "steady")]
    return _request(*messages, Message("user", "Answer with the one word: ready"))


def tool_request() -> Request:
    """Return a question that only the offered tool can answer."""
    tool = {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": "Tell the weather of a city now.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    ask = f"What is the weather in Paris now? Call {TOOL}; write nothing else."
    return _request(Message("user", ask), tokens=LONG_TOKENS, tools=(tool,))


def pointed_label_request() -> Request:
    """Return a request for a word that no allowed label is: only a server that enforces them says another."""
    return _request(Message("user", f"Write the word {NONSENSE} and nothing else."))


def label_request(labels: Sequence[str]) -> Request:
    """Return a request to choose any of the labels."""
    return _request(Message("user", f"Answer with one of these and nothing else: {', '.join(labels[:20])}"))


def schema_request(kind: str | None) -> Request:
    """Return a request for prose under a response format: only a server that enforces it writes JSON.

    Args:
        kind: `json_schema` or `json_object`; None where the engine adds the eval's own schema.
    """
    # Hosted servers refuse json_object unless the word JSON stands in a message.
    ask = "Write a sentence about the sea in plain words, not in JSON."
    fields = {} if kind is None else {"response_format": SCHEMA[kind]}
    return _request(Message("user", ask), tokens=LONG_TOKENS, **fields)


def long_request(tokens: int) -> Request:
    """Return a prompt of about that many tokens, which asks for one word."""
    text = FILLER * (tokens // 10)
    return _request(Message("user", f"{text}\nAnswer with the one word: ready"), tokens=1)
