"""A reply larger than any is read: what came before the cut, made readable again."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

from workbench.normal import MAX_DEPTH, Undecodable, decode_json

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\]]', re.DOTALL)
_ESCAPE_CUT = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_MOST_TOKENS = 100_000
"""More texts and brackets than any answer has before its end: a flood, which would hold up all others."""
_BRACKETS = {b"{": b"}", b"[": b"]"}


def completed(beginning: bytes) -> Any | None:
    """Return the JSON value that a cut body begins, where the cut lies inside of a text; else None.

    The text ends at the cut, and what was open around it is closed: all that is whole
    stands as the server sent it, and nothing is made up.

    Args:
        beginning: The first bytes of a body.
    """
    closing: list[bytes] = []
    is_cut_text = False
    for found in islice(_TOKEN.finditer(beginning), _MOST_TOKENS):
        mark = found.group()
        if mark in _BRACKETS:
            closing.append(_BRACKETS[mark])
        elif mark in (b"}", b"]"):
            if not closing or closing.pop() != mark:
                return None
        else:
            is_cut_text = not found[1]
            if is_cut_text and found.end() < len(beginning):
                # The pattern can't go on at a backslash that is the last byte.
                beginning = beginning[: found.end()]
                break
    if not is_cut_text or len(closing) > MAX_DEPTH:
        return None
    text = _whole_characters(_without_half_escape(beginning))
    try:
        return decode_json(text + b'"' + b"".join(reversed(closing))).value
    except Undecodable:
        return None


def _without_half_escape(data: bytes) -> bytes:
    found = _ESCAPE_CUT.search(data[-6:])
    if found is None:
        return data
    start = len(data) - (len(data[-6:]) - found.start())
    slashes = len(data[: start + 1]) - len(data[: start + 1].rstrip(b"\\"))
    return data[:start] if slashes % 2 else data


def _whole_characters(data: bytes) -> bytes:
    """Cut off a character of UTF-8 whose last bytes are missing."""
    for length in range(1, min(4, len(data)) + 1):
        byte = data[-length]
        if byte & 0xC0 != 0x80:
            needed = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-length] if needed > length else data
    return data
