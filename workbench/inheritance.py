"""Candidates with a parent: what they take over from it. Pure functions over parsed TOML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import ConfigError, did_you_mean

OWN_KEYS = frozenset(("name", "description", "parent", "served_as"))
"""What describes one candidate, and so never comes from its parent."""

ENGINES_OF = {
    "server": ("vllm",),
    "stream": ("openai", "vllm"),
    "dialect": ("openai", "vllm", "recorded"),
    "samples": ("openai", "vllm", "transformers"),
    "samples_temperature": ("openai", "vllm", "transformers"),
    "base_url": ("openai", "vllm"),
    "api_key_env": ("openai", "vllm"),
    "outputs": ("recorded",),
    "map": ("recorded",),
    "format": ("recorded",),
}
"""Keys that only some engines know: a child with another engine does not take them over."""


def with_parents(tables: Sequence[Any], where: str) -> list[Any]:
    """Return candidates' tables with the keys that each takes over from its parent.

    A key that a candidate sets counts as it stands there, tables such as `patch` and
    `parameters` whole. All others come from the parent, and from the parent's parent.

    Args:
        tables: `[[candidates]]` as parsed.
        where: The file, for the message.

    Raises:
        ConfigError: A parent is not there, or a candidate is its own ancestor.
    """
    known = {each["name"]: each for each in tables if isinstance(each, dict) and _is_name(each.get("name"))}
    return [_complete(each, known, where) if isinstance(each, dict) else each for each in tables]


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _complete(table: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], where: str) -> dict[str, Any]:
    line = [table]
    names = [table.get("name")]
    while isinstance(parent := line[-1].get("parent"), str):
        said = f"{where}: candidate {names[-1]!r}: parent"
        if parent in names:
            raise ConfigError(
                f"{said} = {parent!r} makes a circle: {' -> '.join(map(str, [*names, parent]))}.",
                "Take `parent` out of one of them.",
            )
        if parent not in known:
            others = [each for each in known if each != names[-1]]
            raise ConfigError(f"{said} = {parent!r} is no candidate.", did_you_mean(parent, others))
        line.append(known[parent])
        names.append(parent)
    found: dict[str, Any] = {}
    for ancestor in reversed(line[1:]):
        found |= {key: value for key, value in ancestor.items() if key not in OWN_KEYS}
    engine = table.get("engine", found.get("engine"))
    taken = {key: value for key, value in found.items() if engine in ENGINES_OF.get(key, (engine,))}
    return taken | dict(table)
