"""JSON documents: objects, lists, envelopes around lists, and several of them one behind the other.

A list is read on piece by piece: memory is bounded by its largest item. An item that can't be
read costs itself alone, and nothing of a file is passed over without being counted.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Generator, Iterator
from typing import Any

from workbench.errors import UsageError
from workbench.formats.base import Record, placed, reject
from workbench.formats.files import (
    BROKEN_STREAM,
    MAX_DOCUMENT_BYTES,
    MAX_LINE_BYTES,
    Shape,
    broken_off,
    open_bytes,
)
from workbench.formats.resync import Scan, line_like
from workbench.normal import Undecodable, decode_json
from workbench.records import Rejected

ENVELOPES = ("traces", "runs", "data", "records")
"""Keys that hold the records where an export wraps them in an object."""

CHUNK_BYTES = 1 << 20
_READ_BYTES = 1 << 18
LONGEST_SEARCH = 2 * MAX_LINE_BYTES
"""How far the end of a broken item is looked for, before a line that begins as it did is taken."""

MAX_SEARCHED = 1 << 30
"""How much is searched in one file for the ends of broken items: junk may not cost hours."""

_NO_END = "the envelope breaks off here"
_Found = Generator[Record | Rejected, None, int]


def read_document(shape: Shape) -> Iterator[Record | Rejected]:
    """Give the items of a document, each with the line it begins in.

    Raises:
        UsageError: It holds one value that is too large.
    """
    with open_bytes(shape.path) as stream:
        yield from _Walker(shape, stream).walk()


class _Walker:
    """Walks JSON documents item by item, so that each item keeps its line."""

    _decoder = json.JSONDecoder()
    _space = re.compile(r"[ \t\r\n]*")
    _next_value = re.compile(r"\n[ \t\r]*(?=[{\[])")

    def __init__(self, shape: Shape, stream: Any) -> None:
        self._shape, self._name, self._stream = shape, shape.name, stream
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._ended = False
        self._broken = ""
        self._line, self._counted = 1, 0
        self._searched = 0
        self.text = ""
        self._fill()
        self.text = self.text.removeprefix("\ufeff")

    def walk(self) -> Iterator[Record | Rejected]:
        """Give the items of every value of the file; what is none is rejected."""
        position = self.skip(0)
        while position < len(self.text):
            first = self.text[position]
            if first == "[":
                position = yield from self.items(position + 1)
            elif first == "{":
                position = yield from self.document(position)
            elif first == ",":
                position += 1
            else:
                position = yield from self._rest(position, "this is no JSON")
            position = self.skip(self._trim(position))
        if self._broken:
            yield reject(self._name, self._line_at(len(self.text)), self._broken, b"")

    def _fill(self) -> bool:
        """Read on, at least as much as is held; say whether there was more."""
        if self._ended:
            return False
        size = max(CHUNK_BYTES, len(self.text))
        pieces, got = [], 0
        try:
            while got < size and (data := self._stream.read1(min(_READ_BYTES, size - got))):
                pieces.append(data)
                got += len(data)
        except BROKEN_STREAM as error:
            self._broken = broken_off(error)
        self._ended = got < size
        self.text += self._bytes.decode(b"".join(pieces), self._ended)
        if len(self.text) > MAX_DOCUMENT_BYTES:
            raise UsageError(
                f"{self._shape.path} holds one JSON value of more than {MAX_DOCUMENT_BYTES >> 20} MB.",
                "Turn it into one record a line, for example with `jq -c '.[]'`.",
            )
        return True

    def _trim(self, position: int) -> int:
        """Let go of what was read before a position; return its new place."""
        if position < CHUNK_BYTES:
            return position
        self._line_at(position)
        self.text, self._counted = self.text[position:], 0
        return 0

    def _decode(self, position: int) -> tuple[Any, int]:
        """Decode the value at a position, reading on until it is whole.

        Raises:
            ValueError: It is no JSON, is longer than is looked at, or the file ends in it.
        """
        while True:
            try:
                value, end = self._decoder.raw_decode(self.text, position)
                if end < len(self.text) or not self._fill():
                    return value, end
            except json.JSONDecodeError as error:
                self._searched += error.pos - position
                # What is wrong far from the end stays wrong, however much follows.
                near = len(self.text) - error.pos < 16 or "Unterminated" in error.msg
                if not near or len(self.text) - position > LONGEST_SEARCH or not self._fill():
                    raise

    def document(self, start: int) -> _Found:
        """Give the items of the lists of an envelope, or the object itself as one record.

        Returns:
            The place behind it.
        """
        is_envelope = False
        position = self.skip(start + 1)
        try:
            while self.text[position : position + 1] == '"':
                key, position = self._decode(position)
                position = self.skip(position)
                if self.text[position : position + 1] != ":":
                    break
                position = self.skip(position + 1)
                if key in ENVELOPES and self._begins_list(position):
                    is_envelope = True
                    position = yield from self.items(position + 1)
                    position = self._trim(position)
                else:
                    _, position = self._decode(position)
                position = self.skip(position)
                if self.text[position : position + 1] == ",":
                    position = self.skip(position + 1)
        except (ValueError, RecursionError):
            pass
        if is_envelope:
            if self.text[position : position + 1] == "}":
                return position + 1
            if self.text[position : position + 1] in ("{", "["):
                yield reject(self._name, self._line_at(position), _NO_END, b"")
                return position
            return (yield from self._rest(position, _NO_END))
        if self.text[position : position + 1] == "}":
            yield self._record(start, position + 1)
            return position + 1
        end = self._end_of(start, alone=True)
        return (yield from self._bad(start, len(self.text) if end is None else end))

    def items(self, start: int) -> _Found:
        """Give the items of the list whose first item begins at or after `start`.

        Returns:
            The place behind the list.
        """
        position = self.skip(start)
        number = 0
        while position < len(self.text) and self.text[position] != "]":
            number += 1
            place = f"item {number}"
            try:
                end: int | None = self._decode(position)[1]
            except (ValueError, RecursionError):
                end = None
            behind = end
            if end is not None and self.text[end : end + 1] not in (",", "]"):
                behind = self.skip(end)
            if end is not None and behind is not None and self.text[behind : behind + 1] in (",", "]", ""):
                yield self._record(position, end, place)
            else:  # Broken, or whole with something behind it that can follow no item.
                behind = self._end_of(position)
                if behind is None:
                    reason = "the list breaks off here; what follows can't be read"
                    return (yield from self._rest(position, reason, whole=True))
                yield from self._bad(position, behind, place)
            position = self._trim(behind)
            if self.text[position : position + 1] == ",":
                position += 1
            position = self.skip(position)
        if position < len(self.text):
            return position + 1
        if not self._broken:
            line = self._line_at(position)
            yield reject(self._name, line, "the list breaks off here: its end is missing", b"")
        return position

    def _end_of(self, position: int, *, alone: bool = False) -> int | None:
        """Return where the broken value at a position ends; None where nothing tells."""
        scan = Scan(position, alone=alone)
        like = line_like(self.text, position)
        while not scan.go_on(self.text, whole=self._ended) and not self._ended:
            exhausted = self._searched > MAX_SEARCHED
            far = len(self.text) - position > LONGEST_SEARCH
            if (far or exhausted) and (like.search(self.text, position) if like else exhausted):
                break
            self._fill()
        self._searched += scan.position - position
        if scan.end is not None and not scan.odd:
            return scan.end
        found = like.search(self.text, position) if like else None
        if found is not None and (scan.end is None or found.start() < scan.end):
            return found.end()
        return scan.end

    def _bad(self, position: int, end: int, place: str = "") -> _Found:
        """Give what a broken value is rejected as; one that the end of a broken file cut is told there."""
        if not self._broken or end < len(self.text):
            text = self.text[position:end].rstrip().removesuffix(",")
            yield self._record(position, position + len(text), place)
        return end

    def _rest(self, position: int, reason: str, *, whole: bool = False) -> _Found:
        """Reject what is no JSON, up to the next line that begins with a value, or all that follows."""
        line, head = self._line_at(position), self.text[position : position + 4096].encode("utf-8", "replace")
        while whole or (found := self._next_value.search(self.text, position)) is None:
            last = self.text.rfind("\n", position)
            position = self._trim(len(self.text) if whole or last < 0 else last)
            if not self._fill():
                position = len(self.text)
                break
        else:
            position = found.end()
        if not self._broken or position < len(self.text):
            yield reject(self._name, line, reason, head)
        return position

    def _record(self, start: int, end: int, place: str = "") -> Record | Rejected:
        line = self._line_at(start)
        raw = self.text[start:end].encode("utf-8", "replace")
        if len(raw) > MAX_LINE_BYTES:
            reason = f"longer than {MAX_LINE_BYTES >> 20} MB"
            return reject(self._name, line, placed(place, reason), raw[:4096])
        try:
            decoded = decode_json(raw)
        except Undecodable as error:
            return reject(self._name, line, placed(place, str(error)), raw)
        repaired = decoded.repaired or "\ufffd" in self.text[start:end]
        return Record(line, decoded.value, raw, repaired, decoded.has_nan, place)

    def _begins_list(self, position: int) -> bool:
        if self.text[position : position + 1] != "[":
            return False
        inside = self.skip(position + 1)
        # Numbers, texts and the like are a field of the object; what is no JSON at all is a broken record.
        return self.text[inside : inside + 1] not in tuple('"-0123456789[tfn')

    def skip(self, position: int) -> int:
        """Return the next place that is no white space, reading on where needed."""
        while True:
            found = self._space.match(self.text, position)
            position = found.end() if found else position
            if position < len(self.text) or not self._fill():
                return position

    def _line_at(self, position: int) -> int:
        self._line += self.text.count("\n", self._counted, position)
        self._counted = position
        return self._line
