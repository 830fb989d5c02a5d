"""Guidelines as a page to read: headings, lists, bold and code of Markdown; nothing loads or links."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.ui.diff import capped
from workbench.ui.markup import Safe, element, joined

_HEADING = re.compile(r"#{1,6}\s+(.*?)[#\s]*$")
_ITEM = re.compile(r"\s*(?:[-*+]|(\d{1,3})[.)])\s+(.*)$")
_INLINE = re.compile(
    r"\*\*(?=\S)(.+?)(?<=\S)\*\*|(?<![\w*])\*(?=[^\s*])(.+?)(?<=[^\s*])\*(?![\w*])|`([^`]+)`"
)


def card(text: str) -> Safe:
    """Return what a team wrote in guidelines.md; whatever else Markdown can do stays as typed.

    Args:
        text: The file's content.
    """
    return element("div", *_blocks(capped(text)), classes="wb-guide", label="Guidelines", reachable=True)


def _blocks(text: str) -> Iterator[Safe]:
    """Return headings, lists and paragraphs in their order."""
    words: list[str] = []
    items: list[str] = []
    kind = ""
    for line in [*text.splitlines(), ""]:
        heading, item = _HEADING.match(line), _ITEM.match(line)
        if item and not heading:
            now = "ol" if item[1] else "ul"
            if words or (items and now != kind):
                yield from _flushed(words, items, kind)
            kind = now
            items.append(item[2])
        elif heading or not line.strip():
            yield from _flushed(words, items, kind)
            if heading:
                yield element("div", _inline(heading[1]), classes="wb-head")
        elif items:
            items[-1] += f" {line.strip()}"
        else:
            words.append(line.strip())


def _flushed(words: list[str], items: list[str], kind: str) -> Iterator[Safe]:
    if words:
        yield element("p", _inline(" ".join(words)))
    if items:
        yield element(kind, *(element("li", _inline(each)) for each in items))
    words.clear()
    items.clear()


def _inline(text: str) -> Safe:
    pieces: list[str] = []
    place = 0
    for found in _INLINE.finditer(text):
        bold, light, code = found.groups()
        tag = "b" if bold else "em" if light else "code"
        pieces += [text[place : found.start()], element(tag, bold or light or code)]
        place = found.end()
    return joined(*pieces, text[place:])
