"""OpenAI's responses API: a request and its response, or the response with its input beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Parsed, Unreadable
from workbench.formats.drafts import as_mapping
from workbench.formats.pairs import parse_pair
from workbench.normal import decode_nested

_ECHOED = (
    "instructions", "tools", "tool_choice", "text", "reasoning", "temperature", "top_p", "max_output_tokens",
    "parallel_tool_calls", "previous_response_id", "conversation", "model",
)  # fmt: skip


class OpenAIResponses:
    """`{"request": {"input": ...}, "response": {"object": "response", ...}}`, or the response alone."""

    name = "openai_responses"
    title = "OpenAI responses, request and response on one line"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record holds a response object or a request with input."""
        response = as_mapping(value.get("response"))
        if response.get("object") == "response":
            return "a response with object: response"
        if value.get("object") == "response":
            return "object: response"
        request = as_mapping(value.get("request"))
        if "messages" not in request and "input" in request and (
            "model" in request or "instructions" in request or isinstance(response.get("output"), list)
        ):  # fmt: skip
            return "request.input"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one record.

        Raises:
            Unreadable: There is no input, or one of the two is not in shape.
        """
        if value.get("object") == "response":
            asked = value.get("input") or value.get("input_items")
            items = as_mapping(asked).get("data")
            if items is not None:
                # The list of input items comes newest first.
                asked = list(reversed(items)) if isinstance(items, list) else items
            if not asked:
                raise Unreadable("the response stands alone: its input was not logged with it")
            kept = {key: value[key] for key in _ECHOED if value.get(key) is not None}
            return parse_pair({"metadata": value.get("metadata")}, {**kept, "input": asked}, value)
        response = decode_nested(value.get("response"))
        request = decode_nested(value.get("request"))
        if isinstance(response, dict) and isinstance(request, dict):
            # The response repeats instructions and tools that a stored prompt may have added.
            echoed = {key: response[key] for key in _ECHOED if response.get(key) not in (None, [], "")}
            request = {**echoed, **request}
        return parse_pair(value, request, response)
