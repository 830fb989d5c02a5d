"""Reading outputs: JSON found in chatty text, values made hashable."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Hashable, Iterator
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from workbench.compare.exact import holds_infinity, read_fraction
from workbench.errors import ModelMissing

MAX_DEPTH = 100
"""Deeper JSON is treated as unreadable: no real answer is nested like that."""
MAX_STARTS = 200
"""How many brackets of a chatty text may open no JSON; a text with more is not read."""
MAX_OBJECTS = 20
"""A text with more broken objects is not mended."""

_FENCE = re.compile(r"```[\w+-]*[ \t]*\r?\n(.*?)```", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_BRACE = re.compile(r"\{")
_OBJECT = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:')
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\]]', re.DOTALL)
MAX_REPAIRED = 50_000
"""Longer texts are not repaired."""

Wanted = tuple[type, ...]


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of its pairs, for a decoder of JSON.

    Raises:
        ValueError: A key stands there twice: of programs some take the first, some the last, and some fail.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("one key twice")
    return found


DECODER = json.JSONDecoder(
    parse_float=read_fraction, parse_constant=_refuse_constant, object_pairs_hook=each_once
)
"""Reads JSON as programs agree on it."""


def parse_json(text: str) -> tuple[bool, Any]:
    """Parse a text that is nothing but JSON.

    Returns:
        Whether it is, and the value. Never raises.
    """
    try:
        return True, DECODER.decode(text.strip())
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


def decode_within(value: Any) -> Any:
    """Return a JSON value of no unusual depth with the objects and lists in its texts read.

    A text in quotation marks stays one: a search for `"a b"` is another than one for `a b`.

    Args:
        value: Any JSON value. What comes back may be nested deeper than `MAX_DEPTH`.
    """
    inner = decode_nested(value)
    value = value if isinstance(inner, str) else inner
    if too_deep(value):
        return value
    if isinstance(value, dict):
        return {key: decode_within(each) for key, each in value.items()}
    if isinstance(value, list):
        return [decode_within(each) for each in value]
    return value


def extract_json(text: str | None, wanted: Wanted = (dict,)) -> tuple[bool, Any]:
    """Find the JSON value in a model's answer: alone, fenced, or amid prose.

    The whole text is tried first, then fenced blocks, then what starts at a bracket. Two different
    values are no answer: of the programs that read such a text some take the first, some the
    last, and some fail. The same value twice is one. A fence marks the answer, so what
    stands before it (an example, a first thought) is prose, and another value behind it is not.
    What stands inside an object that can't be read is no answer by itself.

    Args:
        text: What the model wrote.
        wanted: The types that count.

    Returns:
        Whether there is one that is not nested deeper than `MAX_DEPTH`, and the value.
    """
    found = _answers(text, wanted) if text else []
    return (True, found[0]) if found is not None and len(found) == 1 else (False, None)


def longest_json(text: str, wanted: Wanted = (dict,)) -> tuple[bool, Any]:
    """Find the longest JSON value of a text that may hold several, such as a request.

    Args:
        text: What a user wrote.
        wanted: The types that count.

    Returns:
        Whether there is one that is not nested deeper than `MAX_DEPTH`, and the value.
    """
    good, value = extract_json(text, wanted)
    if good:
        return True, value
    found, _ = _amid_prose(text, wanted, 0)
    return (True, max(found, key=lambda each: each[0])[1]) if found else (False, None)


def _answers(text: str, wanted: Wanted) -> list[Any] | None:
    """Return the different values that a text may mean as its answer, or None where they can't be told."""
    good, value = parse_json(text)
    if good:
        value = decode_nested(value, wanted)
        return [value] if isinstance(value, wanted) and not too_deep(value) else []
    fenced: list[Any] = []
    after = 0
    for block in _FENCE.finditer(text):
        good, value = parse_json(block[1])
        if good and isinstance(value := decode_nested(value, wanted), wanted) and not too_deep(value):
            fenced.append(value)
            after = block.end()
    amid, complete = _amid_prose(text, wanted, after)
    return _different([*fenced, *(value for _, value in amid)]) if complete else None


def _amid_prose(text: str, wanted: Wanted, start: int) -> tuple[list[tuple[int, Any]], bool]:
    """Return the outermost values from a place on, each with its length, and whether all was looked at."""
    found: list[tuple[int, Any]] = []
    position, failures = start, 0
    while opening := _OPENING.search(text, position):
        at = opening.start()
        position = at + 1
        try:
            value, end = DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            failures += 1
            if failures > MAX_STARTS:
                return found, False
            if _OBJECT.match(text, at):
                position = _end_of(text, at)
            continue
        if isinstance(value, wanted) and not too_deep(value):
            found.append((end - at, value))
        position = end
    return found, True


def _different(values: list[Any]) -> list[Any]:
    """Return each value once, footnote marks and tick boxes only where there is nothing else."""
    if len(values) < 2:
        return values
    telling = [each for each in values if not _is_mark(each)] or values
    return list({freeze(each): each for each in telling}.values())


def _is_mark(value: Any) -> bool:
    """Say whether a list is [3] or [ ], as prose has them."""
    return isinstance(value, list) and (not value or (len(value) == 1 and type(value[0]) is int))


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
    A value without content is none: anything could be read as that. Neither are two different
    ones, broken or not, one with a number too large to be mended exactly, nor one in which a key stands
    twice, as far as it can be read.

    Args:
        text: What the model wrote.
        wanted: The types that count.

    Returns:
        Whether there is one, and the value.

    Raises:
        ModelMissing: json-repair is not installed.
    """
    if not text or len(text) > MAX_REPAIRED or _opens_deeply(text):
        return False, None
    readable = _answers(text, wanted)
    if readable is None or len(readable) > 1:
        return False, None
    mended: list[Any] = []
    for piece in _objects_of(text, _OPENING if list in wanted else _BRACE):
        if _says_twice(piece):
            return False, None
        value = _mended(piece)
        if isinstance(value, wanted) and value:
            mended.append(value)
        if len(mended) > MAX_OBJECTS:
            return False, None
    if any(too_deep(each) or holds_infinity(each) for each in mended):
        return False, None
    found = _different(mended)
    return (True, found[0]) if len(found) == 1 else (False, None)


def _objects_of(text: str, opening: re.Pattern[str]) -> Iterator[str]:
    """Yield the pieces of a text that each open a bracket and close it again, the last one perhaps not."""
    position = 0
    while found := opening.search(text, position):
        position = _end_of(text, found.start())
        yield text[found.start() : position]


def _says_twice(text: str) -> bool:
    """Say whether a text is JSON but for a key that an object holds twice: mending would choose one."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    try:
        json.loads(text, object_pairs_hook=each_once)
    except ValueError:
        return True
    return False


def _mended(text: str) -> Any:
    try:
        from json_repair import repair_json as mend
    except ImportError as error:
        raise ModelMissing(
            "An eval has `repair = true`, and json-repair is not installed.",
            "Install it with: pip install 'shadow-workbench[repair]'.",
        ) from error
    try:
        return mend(text, return_objects=True, skip_json_loads=True)
    except Exception:
        # Whatever it stumbles on in foreign text, the answer can't be read.
        return None


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
    if isinstance(value, (int, float, Decimal)):
        return ("number", "nan") if isinstance(value, float) and math.isnan(value) else ("number", value)
    if isinstance(value, dict):
        return ("object", frozenset((str(key), freeze(each, text)) for key, each in value.items()))
    if isinstance(value, (list, tuple)):
        return ("list", tuple(freeze(each, text) for each in value))
    return ("other", type(value).__name__, repr(value))
