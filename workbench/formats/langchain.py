"""What LangChain's messages keep of the answer that they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.formats.usage import inclusive_usage, read_usage
from workbench.records import Usage


def said_beside(message: Any, *keys: str) -> Any:
    """Return what a LangChain message keeps of the provider's answer."""
    for holder in _holders(message):
        metadata = holder.get("response_metadata")
        for key in keys:
            if isinstance(metadata, dict) and metadata.get(key):
                return metadata[key]
    return None


def message_usage(message: Any) -> Usage | None:
    """Return the tokens that such a message says it took; None where it says nothing."""
    for holder in _holders(message):
        usage = holder.get("usage_metadata")
        if isinstance(usage, dict) and ("input_tokens" in usage or "output_tokens" in usage):
            if "input_token_details" in usage or "output_token_details" in usage:
                return read_usage(usage)
            return inclusive_usage(usage.get("input_tokens"), None, usage.get("output_tokens"))
    return None


def _holders(message: Any) -> list[Mapping[str, Any]]:
    if not isinstance(message, dict):
        return []
    return [message, *(message[key] for key in ("kwargs", "data") if isinstance(message.get(key), dict))]
