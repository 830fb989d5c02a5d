"""Anthropic messages: a request and its response, or the response with its messages beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Parsed
from workbench.formats.drafts import as_list, as_mapping
from workbench.formats.pairs import parse_pair

_BODY = ("id", "type", "role", "content", "model", "stop_reason", "stop_sequence", "usage", "container")


class AnthropicMessages:
    """`{"request": {"messages": ..., "system": ...}, "response": {"type": "message", ...}}`."""

    name = "anthropic_messages"
    title = "Anthropic messages, request and response on one line"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record holds an Anthropic message or a request that only Anthropic takes."""
        response = as_mapping(value.get("response"))
        if response.get("type") == "message" and isinstance(response.get("content"), list):
            return "a response with type: message"
        if value.get("type") == "message" and "messages" in value and "stop_reason" in value:
            return "type: message"
        request = as_mapping(value.get("request"))
        if "messages" in request and ("anthropic_version" in request or "choices" not in response):
            tools = as_list(request.get("tools"))
            if "anthropic_version" in request or isinstance(request.get("system"), str | list):
                return "a request with system beside the messages"
            if any(isinstance(each, dict) and "input_schema" in each for each in tools):
                return "a request whose tools have input_schema"
        chunks = as_list(value.get("response"))
        if any(isinstance(each, dict) and each.get("type") == "message_start" for each in chunks[:2]):
            return "a streamed response that begins with message_start"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one record.

        Raises:
            Unreadable: There are no messages, or one of the two is not in shape.
        """
        if value.get("type") == "message" and "messages" in value:
            request = {key: item for key, item in value.items() if key not in _BODY}
            response = {key: value[key] for key in _BODY if key in value}
            own = frozenset((*request, *_BODY))
            return parse_pair(value, request, response, own=own)
        return parse_pair(value, value.get("request"), value.get("response"))
