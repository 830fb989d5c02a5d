"""Paths into records, such as `$.choices[0].message.content`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from workbench.normal import decode_nested

_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,9})\]")
MISSING = object()
"""What lies at a path that leads nowhere."""


def split_path(path: str) -> list[str | int]:
    """Split a JSON path such as `$.choices[0].message.content` into its steps."""
    text = path.removeprefix("$.") if path.startswith("$.") else path.removeprefix("$")
    steps: list[str | int] = [
        int(match.group(2)) if match.group(2) else match.group(1) for match in _STEP.finditer(text)
    ]
    return steps or [path]


def follow(value: Any, steps: Sequence[str | int]) -> Any:
    """Return what lies at a path, going into JSON text where needed; `MISSING` where nothing does."""
    for step in steps:
        if isinstance(value, str):
            value = decode_nested(value)
        found = isinstance(value, dict) and step in value
        if not found and not (isinstance(step, int) and isinstance(value, list) and step < len(value)):
            return MISSING
        value = value[step]
    return value
