"""JSON documents: one object, a list, or an envelope around a list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from workbench.errors import UsageError
from workbench.formats.base import Record, reject
from workbench.formats.files import BROKEN_STREAM, MAX_DOCUMENT_BYTES, MAX_LINE_BYTES, Shape, open_bytes
from workbench.normal import Undecodable, decode_json
from workbench.records import Rejected

ENVELOPES = ("traces", "runs", "data")
"""Keys that hold the records where an export wraps them in an object."""


def read_document(shape: Shape) -> Iterator[Record | Rejected]:
    """Give the items of a document, each with the line it begins in.

    Raises:
        UsageError: It is too large to hold, or its compression is broken.
    """
    with open_bytes(shape.path) as stream:
        try:
            data = stream.read(MAX_DOCUMENT_BYTES + 1)
        except BROKEN_STREAM as error:
            raise UsageError(
                f"{shape.path}: the compressed file breaks off: {error}.", "Copy it again."
            ) from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise UsageError(
            f"{shape.path} is one JSON document of more than {MAX_DOCUMENT_BYTES >> 20} MB.",
            "Turn it into one record a line, for example with `jq -c '.[]'`.",
        )
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    walker = _Walker(shape.name, text)
    start = text[: len(text) - len(text.lstrip())]
    if text.lstrip().startswith("["):
        yield from walker.items(len(start) + 1)
    else:
        yield from walker.document(len(start))


class _Walker:
    """Walks a JSON document item by item, so that each item keeps its line."""

    _decoder = json.JSONDecoder()
    _space = re.compile(r"[ \t\r\n]*")

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._line, self._counted = 1, 0

    def document(self, start: int) -> Iterator[Record | Rejected]:
        """Give the items of an envelope, or the document itself as one record."""
        text, position = self._text, self._skip(start + 1)
        try:
            while text[position : position + 1] == '"':
                key, position = self._decoder.raw_decode(text, position)
                position = self._skip(position)
                if text[position : position + 1] != ":":
                    break
                position = self._skip(position + 1)
                if key in ENVELOPES and self._begins_list(position):
                    yield from self.items(position + 1)
                    return
                _, position = self._decoder.raw_decode(text, position)
                position = self._skip(position)
                if text[position : position + 1] == ",":
                    position = self._skip(position + 1)
        except (ValueError, RecursionError):
            pass
        yield self._record(start, len(text.rstrip()))

    def items(self, start: int) -> Iterator[Record | Rejected]:
        """Give the items of the list whose first item begins at or after `start`."""
        text, position = self._text, self._skip(start)
        while position < len(text) and text[position] != "]":
            try:
                _, end = self._decoder.raw_decode(text, position)
            except (ValueError, RecursionError):
                line = self._line_at(position)
                reason = "the list breaks off here; what follows can't be read"
                yield reject(self._name, line, reason, text[position : position + 4096].encode())
                return
            yield self._record(position, end)
            position = self._skip(end)
            if text[position : position + 1] == ",":
                position = self._skip(position + 1)
            elif text[position : position + 1] != "]":
                line = self._line_at(position)
                rest = text[position : position + 4096].encode()
                yield reject(self._name, line, "the list breaks off here; what follows can't be read", rest)
                return

    def _record(self, start: int, end: int) -> Record | Rejected:
        line = self._line_at(start)
        raw = self._text[start:end].encode("utf-8", "replace")
        if len(raw) > MAX_LINE_BYTES:
            return reject(self._name, line, f"longer than {MAX_LINE_BYTES >> 20} MB", raw[:4096])
        try:
            decoded = decode_json(raw)
        except Undecodable as error:
            return reject(self._name, line, str(error), raw)
        return Record(line, decoded.value, raw, decoded.repaired or "\ufffd" in self._text[start:end])

    def _begins_list(self, position: int) -> bool:
        if self._text[position : position + 1] != "[":
            return False
        inside = self._skip(position + 1)
        return self._text[inside : inside + 1] in ("{", "]")

    def _skip(self, position: int) -> int:
        found = self._space.match(self._text, position)
        return found.end() if found else position

    def _line_at(self, position: int) -> int:
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line
