"""OpenPipe records: `{input, output, tags}`, both bodies in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.formats.base import Parsed
from workbench.formats.drafts import as_mapping
from workbench.formats.pairs import parse_pair

_OWN = frozenset(
    ("input", "output", "tags", "metadata", "id", "timestamp", "created_at", "latency_ms", "duration_ms")
)


class OpenPipe:
    """The request's body as `input`, the completion as `output`, tags beside."""

    name = "openpipe"
    title = "OpenPipe records with input, output and tags"

    def recognise(self, value: Mapping[str, Any]) -> str | None:
        """Say whether a record holds a request and a completion as input and output."""
        asked, answer = as_mapping(value.get("input")), as_mapping(value.get("output"))
        if "messages" in asked and "choices" in answer:
            return "input.messages and output.choices"
        return None

    def parse(self, value: Mapping[str, Any]) -> Sequence[Parsed]:
        """Read one record.

        Raises:
            Unreadable: There is no input, or one of the two is not in shape.
        """
        tags = as_mapping(value.get("tags"))
        return parse_pair({**value, "metadata": tags}, value.get("input"), value.get("output"), own=_OWN)
