"""Slices: named predicates over what is known before a call, so that a router can use them. Pure."""

from __future__ import annotations

import bisect
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.specs import SliceRule

OTHER = "other"
UNKNOWN = "unknown"
RARE_CALLS = 5
"""Values with fewer calls are put together as `other`."""
MOST_VALUES = 20
"""At most this many values of a slice stand on their own, the commonest."""
QUANTILES = 5

_COLUMNS = {
    "language": "language",
    "input_length": "input_chars",
    "turn_depth": "turn_depth",
    "tool_use": "tool_count",
    "model": "model",
}
ATTRIBUTE = "attributes."
KNOWN_KEYS = (*_COLUMNS, f"{ATTRIBUTE}NAME")
"""What a slice can be made by."""


def known_rule(by: str) -> bool:
    """Say whether a slice can be made by this key."""
    return by in _COLUMNS or (by.startswith(ATTRIBUTE) and len(by) > len(ATTRIBUTE))


def column_of(rule: SliceRule) -> str:
    """Return the column of a call that a slice is made from."""
    return _COLUMNS.get(rule.by, "attributes")


def name_of(rule: SliceRule) -> str:
    """Return the name a slice is shown under."""
    return rule.name or rule.by.removeprefix(ATTRIBUTE)


def edges_of(rule: SliceRule, values: Iterable[float | None]) -> tuple[float, ...]:
    """Return the bin limits of a slice over numbers.

    Args:
        rule: Its own edges count where it has any.
        values: What is known of the task's calls; quintile limits are taken from
            them for `input_length`. Equal limits are kept once.
    """
    return edges_of_counts(rule, Counter(value for value in values if value is not None))


def edges_of_counts(rule: SliceRule, counts: Mapping[float, int]) -> tuple[float, ...]:
    """Return the bin limits of a slice from how many calls have each number; see `edges_of`."""
    if rule.edges:
        return tuple(sorted(set(rule.edges)))
    total = sum(counts.values())
    if rule.by != "input_length" or total < QUANTILES:
        return ()
    known = sorted(counts)
    upto = list(itertools.accumulate(counts[value] for value in known))
    limits = {known[bisect.bisect_right(upto, total * part // QUANTILES)] for part in range(1, QUANTILES)}
    return tuple(sorted(limits - {known[0]}))


def value_of(rule: SliceRule, call: Mapping[str, Any], edges: Sequence[float] = ()) -> str:
    """Return the value of a slice for one call.

    Args:
        rule: The slice.
        call: `language`, `input_chars`, `turn_depth`, `tool_count`, `model` and
            `attributes` (an object, or its JSON) as far as they are known.
        edges: Bin limits, ascending; a value at a limit belongs to the upper bin.
    """
    value = _raw(rule, call)
    if value is None or value == "":
        return UNKNOWN
    if rule.by == "tool_use":
        return "with tools" if value else "without tools"
    if edges and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _bin(value, edges)
    if rule.by == "turn_depth":
        return str(value) if value < 4 else "4 or more"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)[:80]


def slice_values(rules: Sequence[SliceRule], calls: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the value of every slice for every call, rare values put together.

    Args:
        rules: The eval's slices.
        calls: All calls of a task, so that limits and rare values do not depend on
            which of them were replayed.

    Returns:
        One list by slice name, in the order of the calls.
    """
    found: dict[str, list[str]] = {}
    for rule in rules:
        numbers = [_number(_raw(rule, call)) for call in calls] if rule.by == "input_length" else ()
        edges = edges_of(rule, numbers)
        found[name_of(rule)] = rare_as_other(_values(rule, calls, edges))
    return found


def entry_values(rule: SliceRule, entries: Sequence[Any], counts: Sequence[int]) -> list[str]:
    """Return the value of a slice for each distinct entry of the log, rare values put together.

    Args:
        rule: The slice.
        entries: Distinct entries of the column that it is made from; None where one is missing.
        counts: How many calls of the task have each.
    """
    source = column_of(rule)
    numbers: Counter[float] = Counter()
    if rule.by == "input_length" and not rule.edges:
        for entry, n in zip(entries, counts, strict=True):
            number = _number(_raw(rule, {source: entry}))
            if number is not None and n:
                numbers[number] += n
    edges = edges_of_counts(rule, numbers)
    found = [value_of(rule, {source: entry}, edges) for entry in entries]
    calls: Counter[str] = Counter()
    for value, n in zip(found, counts, strict=True):
        if n:
            calls[value] += n
    kept = kept_values(calls)
    return found if kept is None else [value if value in kept else OTHER for value in found]


def _values(rule: SliceRule, calls: Sequence[Mapping[str, Any]], edges: Sequence[float]) -> list[str]:
    """Return the value for every call, worked out once for each distinct entry of the log."""
    source = column_of(rule)
    known: dict[tuple[type, Any], str] = {}
    values = []
    for call in calls:
        entry = call.get(source)
        if isinstance(entry, Mapping):
            values.append(value_of(rule, call, edges))
            continue
        key = (type(entry), entry)
        value = known.get(key)
        if value is None:
            value = known[key] = value_of(rule, call, edges)
        values.append(value)
    return values


def rare_as_other(values: Sequence[str], fewest: int = RARE_CALLS) -> list[str]:
    """Return values with the rare ones, those of less than `fewest` calls, replaced by `other`."""
    kept = kept_values(Counter(values), fewest)
    return list(values) if kept is None else [value if value in kept else OTHER for value in values]


def kept_values(counts: Mapping[str, int], fewest: int = RARE_CALLS) -> frozenset[str] | None:
    """Return the values that stand on their own; None where all do.

    Args:
        counts: Calls by value. Of values with equally many, those first by name stay.
        fewest: Calls of the rarest that stays.
    """
    commonest = sorted(counts, key=lambda value: (-counts[value], value))[:MOST_VALUES]
    kept = frozenset(value for value in commonest if counts[value] >= fewest)
    return None if len(counts) - len(kept) <= 1 and len(counts) <= MOST_VALUES else kept


def _raw(rule: SliceRule, call: Mapping[str, Any]) -> Any:
    if rule.by in _COLUMNS:
        value = call.get(_COLUMNS[rule.by])
        return None if isinstance(value, float) and value != value else value
    if not rule.by.startswith(ATTRIBUTE):
        return None
    attributes = call.get("attributes")
    if isinstance(attributes, str):
        try:
            attributes = json.loads(attributes)
        except ValueError:
            return None
    name = rule.by.removeprefix(ATTRIBUTE)
    found: Any = attributes
    if isinstance(attributes, Mapping) and name in attributes:
        found = attributes[name]
    else:
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, (str, int, float, bool)) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _bin(value: float, edges: Sequence[float]) -> str:
    place = bisect.bisect_right(edges, value)
    if place == 0:
        return f"under {edges[0]:g}"
    if place == len(edges):
        return f"{edges[-1]:g} and more"
    return f"{edges[place - 1]:g} to {edges[place]:g}"
