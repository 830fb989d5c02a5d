"""Pairs of a request and its response whose request has no messages in OpenAI's sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.answers import whole_body
from workbench.formats.base import Parsed, Unreadable
from workbench.formats.drafts import as_list, as_mapping
from workbench.formats.pairs import PAIR_KEYS, parse_pair

_NAMES = (("request", "response"), ("full_request", "full_response"))
"""What the two bodies are called: by loggers, and in the table that Vertex AI writes."""
_OWN = PAIR_KEYS | {"full_request", "full_response", "request_payload", "response_payload", "logging_time"}
_COMPLETED = ("choices", "response", "generation", "completion", "error")


class ProviderPair:
    """Gemini's `contents`, Cohere's `message`, and the `prompt` or `inputs` of completions, with answers."""

    name = "provider_pair"
    title = "Gemini, Cohere or plain completions, request and response on one line"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record is a pair of bodies of one of these providers."""
        for asked, answered in _NAMES:
            request, response = as_mapping(value.get(asked)), as_mapping(value.get(answered))
            if as_list(request.get("contents")) or isinstance(request.get("contents"), str):
                return f"{asked}.contents (Gemini)"
            if not response and not request.keys().isdisjoint(("prompt", "message")):
                response = as_mapping(whole_body(value.get(answered)))
            if isinstance(request.get("inputs"), str) or (
                isinstance(request.get("input"), str) and "model_id" in request
            ):
                return f"{asked}.inputs (Text Generation Inference, watsonx)"
            if isinstance(request.get("message"), str) and (
                "generation_id" in response or not request.keys().isdisjoint(("chat_history", "preamble"))
            ):
                return f"{asked}.message (Cohere)"
            if isinstance(request.get("prompt"), str | list) and not response.keys().isdisjoint(_COMPLETED):
                return f"{asked}.prompt and a completion"
            if isinstance(request.get("prompt"), str) and "model" in request and value.get(answered) is None:
                return f"{asked}.prompt of a model, without its answer"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one pair.

        Raises:
            Unreadable: There is no request, it asks several prompts, or one of the two is not in shape.
        """
        asked, answered = next((names for names in _NAMES if value.get(names[0])), _NAMES[0])
        request = as_mapping(value.get(asked))
        prompt = request.get("prompt")
        if isinstance(prompt, list):
            if len(prompt) != 1 or not isinstance(prompt[0], str):
                raise Unreadable("the request asks several prompts at once, or tokens: log one text each")
            request = {**request, "prompt": prompt[0]}
        if "timestamp" not in value and value.get("logging_time"):
            value = {**value, "timestamp": value["logging_time"]}
        answer = as_mapping(whole_body(value.get(answered)))
        if not value.get("request_id"):
            value = {**value, "request_id": answer.get("responseId") or answer.get("response_id")}
        return parse_pair(value, request or value.get(asked), value.get(answered), own=_OWN)
