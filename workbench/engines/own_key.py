"""The key of an endpoint, taken out of whatever its server writes: whole, or cut short."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

REDACTED = "[redacted]"
LEAST_SECRET = 8
"""So many characters of a key's secret part give it away; fewer may stand in a text by chance."""
_VENDOR = re.compile(r"(?:[a-z]{1,10}[0-9]{0,2}[-_]){0,3}")
"""What all keys of a vendor begin with, such as `sk-proj-` or `sk-ant-api03-`: no secret."""
_WORD = re.compile(r"[A-Z]?[a-z]*|[A-Z]*|[0-9]*")


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A way to write a key, with its shortest beginning and end that are taken out by themselves."""

    whole: str
    head: str
    tail: str

    def hidden(self, text: str) -> str:
        """Return a text without the key and without longer beginnings and ends of it."""
        if self.head not in text and self.tail not in text:
            return text
        # Kept apart until the end: what stands in place of the key is not looked at again.
        kept = text.split(self.whole)
        kept = [left for each in kept for left in self._without_heads(each)]
        kept = [left for each in kept for left in self._without_tails(each)]
        return REDACTED.join(kept)

    def _without_heads(self, text: str) -> Iterator[str]:
        at = 0
        while (start := text.find(self.head, at)) >= 0:
            yield text[at:start]
            at, length = start + len(self.head), len(self.head)
            while at < len(text) and length < len(self.whole) and text[at] == self.whole[length]:
                at, length = at + 1, length + 1
        yield text[at:]

    def _without_tails(self, text: str) -> Iterator[str]:
        at = 0
        while (start := text.find(self.tail, at)) >= 0:
            end, first = start + len(self.tail), len(self.whole) - len(self.tail)
            while start > at and first and text[start - 1] == self.whole[first - 1]:
                start, first = start - 1, first - 1
            yield text[at:start]
            at = end
        yield text[at:]


class OwnKey:
    """Takes a key out of texts. Servers name a refused key in part: its beginning or end goes, too.

    Args:
        key: The key.
    """

    def __init__(self, key: str) -> None:
        # In JSON that sits in a text, the key stands escaped.
        self._spellings = [_spelled(each) for each in dict.fromkeys((key, json.dumps(key)[1:-1]))]
        # Such a key stands in JSON as it is, or as \u followed by digits.
        plain = re.fullmatch(r"[A-Za-z0-9._-]+", key) is not None
        self._signs = [each.encode() for each in (self._spellings[0].head, self._spellings[0].tail)]
        self._signs = self._signs if plain else []

    def may_stand_in(self, data: bytes) -> bool:
        """Say whether the texts that JSON holds must be looked at: most replies hold no sign of the key."""
        return not self._signs or b"\\u" in data or any(each in data for each in self._signs)

    def hidden(self, text: str) -> str:
        """Return a text with the key, and long beginnings and ends of it, replaced."""
        for spelling in self._spellings:
            text = spelling.hidden(text)
        return text


def _spelled(key: str) -> _Spelling:
    found = _VENDOR.match(key)
    secret = key[found.end() :] if found else key
    vendor = len(key) - len(secret)
    # The shortest that is secret; where nothing shorter is, the whole key.
    sizes = range(LEAST_SECRET, len(secret) + 1)
    head = next((size for size in sizes if not _is_ordinary(secret[:size])), len(secret))
    tail = next((size for size in sizes if not _is_ordinary(secret[-size:])), len(key))
    return _Spelling(key, key[: vendor + head], key[-tail:])


def _is_ordinary(piece: str) -> bool:
    """Say whether a piece of a key may be words or numbers of an ordinary text."""
    return all(_WORD.fullmatch(each) for each in re.split(r"[^A-Za-z0-9]+", piece))
