"""Differences between two answers, by field and by word, as plain values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from workbench.compare import sequences
from workbench.normal import visible
from workbench.records import Output, ToolCall

MAX_CHARS = 20_000
"""Longer answers are cut before they are shown; the page says so."""

MAX_WORDS = 6_000
"""Beyond this many words and gaps an answer is shown without marks: nobody reads so many."""

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"\s+|[{_IDEOGRAPHS}]|[^\W{_IDEOGRAPHS}]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of two JSON answers.

    `state` is differs, only frontier, only candidate, equal by rule, not compared, or equal.
    """

    path: str
    control: str
    candidate: str
    state: str


def words_of(text: str) -> list[str]:
    """Return a text as words, gaps, marks and single ideographs, in order; joined they are the text."""
    return _WORD.findall(text)


def stretches(left: list[str], right: list[str]) -> list[tuple[bool, str, str]]:
    """Return equal and unequal stretches in turn; a gap alone does not part two unequal ones."""
    found: list[tuple[bool, str, str]] = []
    for run in sequences.runs(left, right):
        stretch = "".join(left[slice(*run.first)]), "".join(right[slice(*run.second)])
        between = run.equal and not stretch[0].strip() and bool(found)
        equal = run.equal and not between
        if found and not found[-1][0] and not equal:
            _, *before = found.pop()
            stretch = before[0] + stretch[0], before[1] + stretch[1]
        found.append((equal, *stretch))
    return found


def comparable(left: Output, right: Output) -> tuple[Any, Any] | None:
    """Return both answers as values to compare by field, or None where one of them has no fields."""
    if left.error or right.error:
        return None
    if left.tool_calls or right.tool_calls:
        return _tools(left, right)
    values = parsed(left.text), parsed(right.text)
    return None if values[0] is None or values[1] is None else values


def _tools(left: Output, right: Output) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pair tool calls in order, by name where both have it, so that a call too many shifts nothing."""
    pairs: list[tuple[ToolCall | None, ToolCall | None]] = []
    names = [each.name for each in left.tool_calls], [each.name for each in right.tool_calls]
    for run in sequences.runs(*names):
        pairs += zip_longest(left.tool_calls[slice(*run.first)], right.tool_calls[slice(*run.second)])
    sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for side, output in zip(sides, (left, right), strict=True):
        if output.text or not output.tool_calls:
            side["Text"] = output.text or "(empty answer)"
    for index, both in enumerate(pairs, start=1):
        for side, call in zip(sides, both, strict=True):
            if call is not None:
                side[f"Call {index}"] = {"tool": call.name, "arguments": call.arguments}
    return sides


def field_diff(control: Any, candidate: Any, rules: Mapping[str, bool] | None = None) -> list[FieldRow]:
    """Compare two JSON values field by field, the unequal fields first.

    Args:
        control: The frontier's value, parsed.
        candidate: The candidate's value, parsed.
        rules: What the eval's rules said, by path (`items[].sku`); other fields are not
            compared. None leaves rules out.
    """
    left, right = dict(_flat(control)), dict(_flat(candidate))
    rows = []
    for path in [*left, *(each for each in right if each not in left)]:
        state = (
            "only candidate"
            if path not in left
            else "only frontier"
            if path not in right
            else "equal"
            if _same(left[path], right[path])
            else "differs"
        )
        if rules is not None and state != "equal":
            ruled = _rule_of(path, rules)
            state = "not compared" if ruled is None else "equal by rule" if ruled else state
        rows.append(FieldRow(path, _shown(left, path), _shown(right, path), state))
    return sorted(rows, key=lambda row: _ORDER[row.state])


_ORDER = {
    "differs": 0,
    "only frontier": 0,
    "only candidate": 0,
    "equal by rule": 1,
    "not compared": 2,
    "equal": 3,
}


def is_unequal(row: FieldRow) -> bool:
    """Say whether a field counts as different."""
    return _ORDER[row.state] == 0


def _rule_of(path: str, rules: Mapping[str, bool]) -> bool | None:
    """Return what the rule of a field, or of what holds it, said; None where no rule covers it."""
    general = re.sub(r"\[\d+\]", "[]", path)
    while general:
        if general in rules:
            return rules[general]
        general = general[:-2] if general.endswith("[]") else re.sub(r"\.?[^.\[\]]+$", "", general)
    return rules.get("")


def parsed(text: str | None) -> Any | None:
    """Return the JSON object or list in a text, with or without a code fence; None if there is none."""
    body = (text or "").strip()
    if fenced := re.fullmatch(r"```(?:json)?\s*(.*?)\s*```", body, re.DOTALL):
        body = fenced[1]
    if len(body) > 50 * MAX_CHARS or body[:1] not in ("{", "["):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def capped(text: str, limit: int = MAX_CHARS) -> str:
    """Return a text cut to a number of characters, saying so at its end."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n… cut here: {limit:,} of {len(text):,} characters are shown."


def _flat(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth < 20 and isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}" if path else str(key), depth + 1)
    elif depth < 20 and isinstance(value, list) and value:
        for index, each in enumerate(value):
            yield from _flat(each, f"{path}[{index}]", depth + 1)
    else:
        yield path or "(whole answer)", value


def _same(left: Any, right: Any) -> bool:
    # True == 1 in Python; in JSON they are two things.
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _shown(values: Mapping[str, Any], path: str) -> str:
    if path not in values:
        return ""
    value = values[path]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return visible(capped(text, 500), keep="\n\t")
