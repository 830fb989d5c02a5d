"""JSON documents: one object, a list, or an envelope around a list.

A list is read on piece by piece: memory is bounded by its largest item.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from workbench.errors import UsageError
from workbench.formats.base import Record, reject
from workbench.formats.files import BROKEN_STREAM, MAX_DOCUMENT_BYTES, MAX_LINE_BYTES, Shape, open_bytes
from workbench.normal import Undecodable, decode_json
from workbench.records import Rejected

ENVELOPES = ("traces", "runs", "data", "records")
"""Keys that hold the records where an export wraps them in an object."""


def read_document(shape: Shape) -> Iterator[Record | Rejected]:
    """Give the items of a document, each with the line it begins in.

    Raises:
        UsageError: It is too large to hold, or its compression is broken.
    """
    with open_bytes(shape.path) as stream:
        walker = _Walker(shape, stream)
        start = walker.skip(0)
        if walker.text[start : start + 1] == "[":
            yield from walker.items(start + 1)
        else:
            yield from walker.document(start)


CHUNK_BYTES = 1 << 20


class _Walker:
    """Walks a JSON document item by item, so that each item keeps its line."""

    _decoder = json.JSONDecoder()
    _space = re.compile(r"[ \t\r\n]*")

    def __init__(self, shape: Shape, stream: IO[bytes]) -> None:
        self._shape, self._name, self._stream = shape, shape.name, stream
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._ended = False
        self._line, self._counted = 1, 0
        self.text = ""
        self._fill()
        self.text = self.text.removeprefix("\ufeff")

    def _fill(self) -> bool:
        """Read on, at least as much as is held; say whether there was more."""
        if self._ended:
            return False
        size = max(CHUNK_BYTES, len(self.text))
        try:
            data = self._stream.read(size)
        except BROKEN_STREAM as error:
            raise UsageError(
                f"{self._shape.path}: the compressed file breaks off: {error}.", "Copy it again."
            ) from error
        self._ended = len(data) < size
        self.text += self._bytes.decode(data, self._ended)
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
            ValueError: It is no JSON, or the file ends in it.
        """
        while True:
            try:
                value, end = self._decoder.raw_decode(self.text, position)
                if end < len(self.text) or not self._fill():
                    return value, end
            except json.JSONDecodeError as error:
                # What is wrong far from the end stays wrong, however much follows.
                near = len(self.text) - error.pos < 16 or "Unterminated" in error.msg
                if not near or not self._fill():
                    raise

    def document(self, start: int) -> Iterator[Record | Rejected]:
        """Give the items of an envelope, or the document itself as one record."""
        position = self.skip(start + 1)
        try:
            while self.text[position : position + 1] == '"':
                key, position = self._decode(position)
                position = self.skip(position)
                if self.text[position : position + 1] != ":":
                    break
                position = self.skip(position + 1)
                if key in ENVELOPES and self._begins_list(position):
                    yield from self.items(position + 1)
                    return
                _, position = self._decode(position)
                position = self.skip(position)
                if self.text[position : position + 1] == ",":
                    position = self.skip(position + 1)
        except (ValueError, RecursionError):
            pass
        while self._fill():
            pass
        yield self._record(start, len(self.text.rstrip()))

    def items(self, start: int) -> Iterator[Record | Rejected]:
        """Give the items of the list whose first item begins at or after `start`."""
        position = self.skip(start)
        while position < len(self.text) and self.text[position] != "]":
            try:
                _, end = self._decode(position)
            except (ValueError, RecursionError):
                line = self._line_at(position)
                reason = "the list breaks off here; what follows can't be read"
                yield reject(self._name, line, reason, self.text[position : position + 4096].encode())
                return
            yield self._record(position, end)
            position = self.skip(self._trim(end))
            if self.text[position : position + 1] == ",":
                position = self.skip(position + 1)
            elif self.text[position : position + 1] != "]":
                line = self._line_at(position)
                rest = self.text[position : position + 4096].encode()
                yield reject(self._name, line, "the list breaks off here; what follows can't be read", rest)
                return

    def _record(self, start: int, end: int) -> Record | Rejected:
        line = self._line_at(start)
        raw = self.text[start:end].encode("utf-8", "replace")
        if len(raw) > MAX_LINE_BYTES:
            return reject(self._name, line, f"longer than {MAX_LINE_BYTES >> 20} MB", raw[:4096])
        try:
            decoded = decode_json(raw)
        except Undecodable as error:
            return reject(self._name, line, str(error), raw)
        return Record(line, decoded.value, raw, decoded.repaired or "\ufffd" in self.text[start:end])

    def _begins_list(self, position: int) -> bool:
        if self.text[position : position + 1] != "[":
            return False
        inside = self.skip(position + 1)
        return self.text[inside : inside + 1] in ("{", "]")

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
