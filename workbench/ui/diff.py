"""Differences between two answers. The only place that builds HTML, from escaped text alone."""

from __future__ import annotations

import difflib
import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_CHARS = 20_000
"""Longer answers are cut before they are shown; the page says so."""

MAX_WORDS = 3_000
"""Beyond this many words a word diff costs seconds, so that side is shown without marks."""

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"\s+|[{_IDEOGRAPHS}]|[^\W{_IDEOGRAPHS}]+|[^\w\s]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True)
class Sides:
    """Two answers as safe HTML. `marked` is False where they were too long to compare by word."""

    left: str
    right: str
    marked: bool


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field of two JSON answers.

    `state` is differs, only frontier, only candidate, equal by rule, not compared, or equal.
    """

    path: str
    control: str
    candidate: str
    state: str


def word_diff(left: str, right: str, styles: tuple[str, str] = ("control", "candidate")) -> Sides:
    """Mark the words that only one of two answers has.

    Args:
        left: One answer, of any length and content.
        right: The other.
        styles: How each side is drawn; `blind` does not tell which is which.

    Returns:
        Safe HTML of both: every character is escaped, and what turns text around or
        hides it is written out as its code point.
    """
    texts = visible(capped(left)), visible(capped(right))
    words = _WORD.findall(texts[0]), _WORD.findall(texts[1])
    if max(map(len, words)) > MAX_WORDS:
        return Sides(_frame([(texts[0], False)], styles[0]), _frame([(texts[1], False)], styles[1]), False)
    matcher = difflib.SequenceMatcher(None, words[0], words[1], autojunk=False)
    sides: tuple[list[tuple[str, bool]], list[tuple[str, bool]]] = ([], [])
    for tag, i, j, k, m in matcher.get_opcodes():
        sides[0].append(("".join(words[0][i:j]), tag != "equal"))
        sides[1].append(("".join(words[1][k:m]), tag != "equal"))
    return Sides(_frame(sides[0], styles[0]), _frame(sides[1], styles[1]), True)


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


def visible(text: str) -> str:
    """Write out characters that hide text or turn it around, as their code point."""
    return _INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def _frame(parts: Sequence[tuple[str, bool]], style: str) -> str:
    body = "".join(
        f"<mark>{html.escape(text)}</mark>" if marked and text.strip() else html.escape(text)
        for text, marked in parts
    )
    return f'<div class="wb-diff wb-{style}" dir="auto">{body}</div>'


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
    return visible(capped(text, 500))
