"""What is noted beside a pair of texts: form, length, language, refusals, and facts out of nowhere.

Notes never decide a verdict; they tell a reviewer where to look, and can be filtered by.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import Any

from workbench.compare.flags import (
    MAX_SHOWN,
    Contents,
    contents,
    differences,
    lacking_names,
    lacking_numbers,
    read_contents,
)
from workbench.compare.reading import parse_json
from workbench.records import Request

MAX_REQUEST_CHARS = 200_000
"""Of a longer request it can't be said what it does not hold."""

_FENCE = re.compile(r"[ \t]*(?:```|~~~)[ \t]*([\w+-]*)")
_BULLET = re.compile(r"^[ \t]*[-*+•–][ \t]+\S", re.MULTILINE)
_NUMBERED = re.compile(r"^[ \t]*\d{1,3}[.)][ \t]+\S", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}[ \t]+\S|^[^\s|][^\n|]*\n(?:={3,}|-{3,})[ \t]*$", re.MULTILINE)
FEWEST_ITEMS = 2
"""From this many lines on, marks at their start make a list."""


def formats(text: str) -> frozenset[str]:
    """Return the forms that a text uses: bullets, numbered list, json, code block, table, headings.

    Args:
        text: The text.
    """
    found = set()
    prose, blocks = _blocks(text)
    json_blocks = [tag.casefold() == "json" or _is_json(block) for tag, block in blocks]
    if any(json_blocks) or _is_json(text):
        found.add("json")
    if not all(json_blocks):
        found.add("code block")
    if len(_BULLET.findall(prose)) >= FEWEST_ITEMS:
        found.add("bullets")
    if len(_NUMBERED.findall(prose)) >= FEWEST_ITEMS:
        found.add("numbered list")
    if _TABLE.search(prose):
        found.add("table")
    if _HEADING.search(prose):
        found.add("headings")
    return frozenset(found)


def _blocks(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what stands outside of fenced blocks, and each block with its language."""
    outside: list[str] = []
    blocks: list[tuple[str, str]] = []
    inside: list[str] | None = None
    tag = ""
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        if fence and inside is None:
            inside, tag = [], fence[1]
        elif fence and inside is not None:
            blocks.append((tag, "\n".join(inside)))
            inside = None
        else:
            (outside if inside is None else inside).append(line)
    if inside is not None:
        blocks.append((tag, "\n".join(inside)))
    return "\n".join(outside), blocks


def _is_json(text: str) -> bool:
    good, value = parse_json(text)
    return good and isinstance(value, (dict, list))


def notes_of(control: str, candidate: str, request: Request | None) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the notes on a pair of texts beside its contradictions, and the details of all.

    Args:
        control: The frontier's text.
        candidate: The candidate's text.
        request: What was asked; None where it is not at hand: then nothing can be called new.

    Returns:
        Flags (`format`, `new_number`, `new_name`, `new_date`), and what they rest on: `length_ratio`
        (candidate to control), `differs`, `formats`, `languages`, `refusal` (which side) and `new`, as
        far as there is something to say.
    """
    left, right = contents(control), contents(candidate)
    flags: list[str] = []
    details: dict[str, Any] = {"length_ratio": round(right.chars / max(left.chars, 1), 3)}
    if apart := differences(control, candidate):
        details["differs"] = apart
    here, there = formats(control), formats(candidate)
    if here != there:
        flags.append("format")
        details["formats"] = {"control": sorted(here - there), "candidate": sorted(there - here)}
    if left.language and right.language and left.language != right.language:
        details["languages"] = {"control": left.language, "candidate": right.language}
    if left.refusal != right.refusal:
        details["refusal"] = "candidate" if right.refusal else "control"
    new = new_facts(control, candidate, request)
    if new:
        flags += [f"new_{kind}" for kind in new]
        details["new"] = new
    return tuple(flags), details


def new_facts(control: str, candidate: str, request: Request | None) -> dict[str, list[str]]:
    """Return the numbers, names and dates of an answer that neither the request nor the control holds.

    Not every one is invented: a model may know it, or have worked it out. Nothing is said where the
    request is not at hand, is longer than `MAX_REQUEST_CHARS`, or holds pictures or sound.

    Args:
        control: The frontier's text.
        candidate: The candidate's text.
        request: What was asked.

    Returns:
        The facts by `number`, `name` and `date`; kinds without any are left out.
    """
    answer, known = contents(candidate), contents(control)
    kinds = {
        "number": [each for each in lacking_numbers(answer, known) if "in words" not in each],
        "name": lacking_names(answer, known),
        "date": answer.when.lacking(known.when),
    }
    if not any(kinds.values()):
        return {}
    text = text_of(request)
    if text is None:
        return {}
    asked = _read_request(text)
    there: dict[str, set[str]] = {
        "number": set(lacking_numbers(_without_units(answer), asked)),
        "name": set(lacking_names(answer, asked)),
        "date": set(answer.when.lacking(asked.when)),
    }
    new = {
        kind: [each for each in found if (_number_alone(each) if kind == "number" else each) in there[kind]]
        for kind, found in kinds.items()
    }
    return {kind: found[:MAX_SHOWN] for kind, found in new.items() if found}


def facts_beyond(answer: str, request: Request | None) -> tuple[int, int] | None:
    """Count the numbers, names and dates of an answer, and those that its request does not hold.

    Args:
        answer: A model's text.
        request: What was asked.

    Returns:
        How many of them the request lacks, and how many there are; None where the request can't be read
        as text.
    """
    text = text_of(request)
    if text is None:
        return None
    said, asked = _without_units(contents(answer)), _read_request(text)
    nothing = read_contents("")
    lacking, all_ = (
        len(lacking_numbers(said, other))
        + len(lacking_names(said, other))
        + len(said.when.lacking(other.when))
        for other in (asked, nothing)
    )
    return lacking, max(all_, lacking)


def _without_units(each: Contents) -> Contents:
    """Return contents whose numbers have no units: a request often names the unit elsewhere."""
    return replace(each, numbers=Counter((value, "") for value, _ in each.numbers))


def _number_alone(shown: str) -> str:
    return shown.split(" ")[0]


@lru_cache(maxsize=64)
def _read_request(text: str) -> Contents:
    return read_contents(text)


def text_of(request: Request | None) -> str | None:
    """Return all that a request says, or None where that can't be read as text.

    Args:
        request: What was asked, tools' answers and earlier turns included.
    """
    if request is None:
        return None
    parts: list[str] = []
    for message in request.messages:
        if isinstance(message.content, str):
            parts.append(message.content)
        for part in message.content if isinstance(message.content, list) else ():
            if not isinstance(part, dict) or not isinstance(part.get("text"), str):
                return None
            parts.append(part["text"])
        parts += [json.dumps(each.arguments, default=str, ensure_ascii=False) for each in message.tool_calls]
    text = "\n".join(parts)
    return text if len(text) <= MAX_REQUEST_CHARS else None


def in_words(flags: tuple[str, ...], details: dict[str, Any]) -> list[str]:
    """Return the notes on a pair as sentences for a page, the contradictions first.

    Details may come from an evaluator of one's own: of what has another shape nothing is said.

    Args:
        flags: The flags of a comparison.
        details: Its details.
    """
    said = []
    apart = _table(details, "differs")
    for kind, sides in apart.items():
        if kind in flags and (only := _only(sides)):
            said.append(f"{kind.capitalize()} differ: {only}.")
    if "dates" in flags and "dates" not in apart:
        said.append("Days or months in words differ.")
    if "units" in flags:
        said.append("The same number stands with another unit.")
    if "negation" in flags:
        said.append("One side negates what the other does not.")
    if "refusal" in flags:
        side = details.get("refusal")
        known = side in ("control", "candidate")
        said.append(f"Only the {side} refuses to answer." if known else "Only one side refuses to answer.")
    named = _table(details, "languages")
    if "language" in flags and named:
        said.append(
            f"Languages differ: {named.get('control')} (control), {named.get('candidate')} (candidate)."
        )
    ratio = details.get("length_ratio")
    if "length" in flags and isinstance(ratio, (int, float)):
        said.append(f"The candidate's answer is {ratio:.1f} times as long.")
    if "format" in flags and (only := _only(details.get("formats"))):
        said.append(f"Form differs: {only}.")
    for kind, values in _table(details, "new").items():
        if shown := _listed(values):
            said.append(f"In neither request nor control: {kind} {shown}.")
    return said


def _table(details: dict[str, Any], key: str) -> dict[str, Any]:
    value = details.get(key)
    return value if isinstance(value, dict) else {}


def _listed(values: Any) -> str:
    return ", ".join(map(str, values)) if isinstance(values, (list, tuple)) else ""


def _only(sides: Any) -> str:
    """Return what each side alone has, in words."""
    parts = sides.items() if isinstance(sides, dict) else ()
    return "; ".join(f"{shown} ({side} only)" for side, values in parts if (shown := _listed(values)))
