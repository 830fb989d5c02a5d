"""Reading outputs: text normalised as declared, JSON found in chatty text, values made hashable."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Hashable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from workbench.errors import ModelMissing
from workbench.specs import Normalisation

MAX_DEPTH = 100
"""Deeper JSON is treated as unreadable: no real answer is nested like that."""
MAX_STARTS = 200
"""How many opening brackets of a chatty text are tried before giving up."""

_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'"})
_STOPS = ".,;:!?…\"'`()[]{}¿¡。、，！？；：「」"
_OUTER = re.compile(rf"(?<![^\W_])[{re.escape(_STOPS)}]+|[{re.escape(_STOPS)}]+(?![^\W_])")
_SPACE = re.compile(r"\s+")
_FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n(.*?)```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_BRACE = re.compile(r"\{")
_OBJECT = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:')
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]', re.DOTALL)
MAX_REPAIRED = 50_000
"""Longer texts are not repaired."""

Wanted = tuple[type, ...]


def text_normaliser(rules: Normalisation) -> Callable[[str], str]:
    """Return the function that brings texts into the form in which they are compared.

    Punctuation between two letters or digits stays (1.5, don't, e-mail), as do
    signs that carry meaning (%, #, @, /, -), so that -5 never equals 5.

    Args:
        rules: What the eval declares to be equal.
    """

    def normalise(text: str) -> str:
        if rules.unicode:
            text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
        if rules.case:
            text = text.casefold()
        if rules.punctuation:
            text = _OUTER.sub(_outer_stop, text)
        if rules.whitespace:
            text = _SPACE.sub(" ", text).strip()
        return text

    return normalise


def _outer_stop(found: re.Match[str]) -> str:
    """Keep the point of a number such as .5, drop every other stop."""
    after = found.string[found.end() : found.end() + 1]
    return "." if found.group().endswith(".") and after.isdigit() and found.start() == found.end() - 1 else ""


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def parse_json(text: str) -> tuple[bool, Any]:
    """Parse a text that is nothing but JSON.

    Returns:
        Whether it is, and the value. Never raises.
    """
    try:
        return True, _DECODER.decode(text.strip())
    except (ValueError, RecursionError):
        return False, None


def decode_nested(value: Any, wanted: Wanted = (dict, list)) -> Any:
    """Decode JSON inside a JSON string, at most twice.

    Args:
        value: Any value; only a string that decodes to a wanted type changes.
        wanted: Which types are worth decoding to.
    """
    for _ in range(2):
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
            return value
        good, decoded = parse_json(value)
        if not good or not isinstance(decoded, (*wanted, str)):
            return value
        value = decoded
    return value


def extract_json(text: str | None, wanted: Wanted = (dict,)) -> tuple[bool, Any]:
    """Find the JSON value in a model's answer: alone, fenced, or amid prose.

    The whole text is tried first, then fenced blocks (the last one that holds a
    value), then the longest value that starts at a bracket. What stands inside an object
    that can't be read is no answer by itself.

    Args:
        text: What the model wrote.
        wanted: The types that count.

    Returns:
        Whether there is one that is not nested deeper than `MAX_DEPTH`, and the value.
    """
    if not text:
        return False, None
    good, value = parse_json(text)
    if good:
        value = decode_nested(value, wanted)
        return (True, value) if isinstance(value, wanted) and not too_deep(value) else (False, None)
    for block in reversed(_FENCE.findall(text)):
        good, value = parse_json(block)
        if good and isinstance(value := decode_nested(value, wanted), wanted) and not too_deep(value):
            return True, value
    best: tuple[int, Any] = (0, None)
    position, tries = 0, 0
    while (found := _OPENING.search(text, position)) and tries < MAX_STARTS:
        tries += 1
        position = found.start() + 1
        try:
            value, end = _DECODER.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            if _OBJECT.match(text, found.start()):
                position = _end_of(text, found.start())
            continue
        if isinstance(value, wanted) and end - found.start() > best[0] and not too_deep(value):
            best = (end - found.start(), value)
        position = end
    return best[0] > 0, best[1]


def _end_of(text: str, start: int) -> int:
    """Return where the brackets that open at a place are closed again, or the text's end."""
    depth = 0
    for each in _STRUCTURE.finditer(text, start):
        mark = each.group()
        if mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
            if depth == 0:
                return each.end()
    return len(text)


def repair_json(text: str | None, wanted: Wanted = (dict,)) -> tuple[bool, Any]:
    """Mend the JSON value of an answer in which `extract_json` finds none.

    Quotes, commas and closing brackets are added, comments and prose dropped, by json-repair.
    A value without content is none: anything could be read as that.

    Args:
        text: What the model wrote.
        wanted: The types that count.

    Returns:
        Whether there is one, and the value.

    Raises:
        ModelMissing: json-repair is not installed.
    """
    opening = _OPENING if list in wanted else _BRACE
    found = opening.search(text or "")
    if not text or not found or len(text) > MAX_REPAIRED or _opens_deeply(text):
        return False, None
    try:
        from json_repair import repair_json as mend
    except ImportError as error:
        raise ModelMissing(
            "An eval has `repair = true`, and json-repair is not installed.",
            "Install it with: pip install 'shadow-workbench[repair]'.",
        ) from error
    try:
        value = mend(text[found.start() :], return_objects=True, skip_json_loads=True)
    except Exception:
        # Whatever it stumbles on in foreign text, the answer can't be read.
        return False, None
    good = isinstance(value, wanted) and bool(value) and not too_deep(value)
    return good, value if good else None


def repairer_version() -> str | None:
    """Return the version of json-repair, which decides how an answer is mended; None where it is missing."""
    try:
        return version("json-repair")
    except PackageNotFoundError:
        return None


def _opens_deeply(text: str) -> bool:
    """Say whether more brackets are open at one place than a value may have; mending takes their square."""
    depth = deepest = 0
    for mark in text:
        if mark in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "}]" and depth:
            depth -= 1
    return deepest > MAX_DEPTH


def too_deep(value: Any) -> bool:
    """Say whether a value is nested deeper than `MAX_DEPTH`, without recursion."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list, tuple))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def freeze(value: Any, text: Callable[[str], str] | None = None) -> Hashable:
    """Return a hashable stand-in: equal exactly where two JSON values are equal.

    1 equals 1.0, but not true; the order of an object's keys does not count.

    Args:
        value: A JSON value not nested deeper than `MAX_DEPTH`.
        text: Brings texts into the form in which they are compared.
    """
    if value is None or isinstance(value, bool):
        return ("constant", value)
    if isinstance(value, str):
        return ("text", text(value) if text else value)
    if isinstance(value, (int, float)):
        return ("number", "nan") if isinstance(value, float) and math.isnan(value) else ("number", value)
    if isinstance(value, dict):
        return ("object", frozenset((str(key), freeze(each, text)) for key, each in value.items()))
    if isinstance(value, (list, tuple)):
        return ("list", tuple(freeze(each, text) for each in value))
    return ("other", type(value).__name__, repr(value))
