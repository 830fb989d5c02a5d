"""Which records of a mapped log are calls: where a log holds spans of all kinds, those of a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from workbench.formats.steps import MISSING, follow, split_path
from workbench.normal import as_text, visible

WHERE_PREFIX = "where."
"""How a condition begins in a mapping: a column or path follows, and the value is what lies there."""
_WHOLE = re.compile(r"^([+-]?\d+)\.0+$")
EITHER = "|"
"""Stands between values of which any will do."""
UNPICKED = "none of the first"
"""How it begins what is said where conditions pick no record of a file's beginning."""
KINDS_TOLD, KIND_CHARS = 8, 40


class Picking:
    """Picks records by what their columns hold.

    Args:
        mapping: Of a log; its conditions count, all of them.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._conditions = [
            (path, split_path(path), {_alike(each): each for each in values_of(wanted)})
            for path, wanted in conditions(mapping).items()
        ]

    def why_not(self, value: Mapping[str, Any]) -> str | None:
        """Say why a record is passed over; None where it is picked."""
        for path, steps, wanted in self._conditions:
            found = value[path] if path in value else follow(value, steps)
            if found is MISSING or found is None or _alike(as_text(found)) not in wanted:
                return f"{path} is not {' or '.join(sorted(wanted.values()))}"
        return None

    def unpicked(self, values: Iterable[Mapping[str, Any]]) -> str:
        """Say what stands where the conditions ask, where they pick none of some records.

        Args:
            values: The records; read until one is picked.

        Returns:
            Part of a sentence; empty where one is picked, or there are no conditions or records.
        """
        if not self._conditions:
            return ""
        seen, kinds = 0, {path: dict[str, None]() for path, _, _ in self._conditions}
        for value in values:
            if self.why_not(value) is None:
                return ""
            seen += 1
            for path, steps, _ in self._conditions:
                found = value[path] if path in value else follow(value, steps)
                held = kinds[path]
                if found is not MISSING and found is not None and len(held) <= KINDS_TOLD:
                    held[visible(" ".join(as_text(found).split())[:KIND_CHARS])] = None
        told = ", ".join(f"{path} holds {_listed(held)}" for path, held in kinds.items())
        return f"{UNPICKED} {seen:,} records is picked: {told}" if seen else ""


def _listed(held: Collection[str]) -> str:
    if not held:
        return "nothing"
    return " or ".join(held) if len(held) <= KINDS_TOLD else f"more than {KINDS_TOLD} other values"


def values_of(wanted: str) -> list[str]:
    """Return the values of a condition, of which any will do."""
    return [each.strip() for each in wanted.split(EITHER) if each.strip()]


def _alike(text: str) -> str:
    """Return what two ways to write a value have in common: a table may say True or 1.0 for true or 1."""
    return _WHOLE.sub(r"\1", text.strip().casefold())


def conditions(mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the conditions of a mapping: what has to lie at which column or path."""
    return {
        key.removeprefix(WHERE_PREFIX): wanted
        for key, wanted in mapping.items()
        if key.startswith(WHERE_PREFIX)
    }


def as_option(field: str, path: str) -> str:
    """Return one pair of a mapping as it is written on the command line."""
    if field.startswith(WHERE_PREFIX):
        place = field.removeprefix(WHERE_PREFIX)
        return f'--where "{place}"={path}' if "=" in place else f"--where {place}={path}"
    return f"--map {field}={path}"


def place_of(field: str, path: str) -> str:
    """Return the column or path that one pair of a mapping is about."""
    return field.removeprefix(WHERE_PREFIX) if field.startswith(WHERE_PREFIX) else path
