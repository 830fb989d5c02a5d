"""JSONL: a record a line, in bounded memory, by one reader or shared by several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from workbench.formats.base import Blank, Record, reject
from workbench.formats.files import (
    BROKEN_STREAM,
    MAX_EMPTY_BYTES,
    MAX_LINE_BYTES,
    Meter,
    Shape,
    broken_off,
    endless_space,
    open_bytes,
)
from workbench.formats.plain import PlainPair, read_plain
from workbench.normal import Undecodable, decode_json
from workbench.records import Rejected

BLOCK_BYTES = 4 * 1024 * 1024
_READ_BYTES = 256 * 1024
"""What is lost of a packed file that breaks off; a whole number of them is a block."""
_HEAD_BYTES = 4096
_LONG_BYTES = 512
"""A line from which on the end is found faster by looking for it than by counting."""
_LINE_END = ord("\n")


@dataclass(frozen=True, slots=True)
class Share:
    """One of `of` readers of the same file: it has every line that begins in one of its blocks."""

    index: int
    of: int

    def has(self, position: int) -> bool:
        """Say whether a line that begins at a position, in unpacked bytes, is this reader's."""
        return position // BLOCK_BYTES % self.of == self.index


_ALL = Share(0, 1)


def read_lines(
    shape: Shape, share: Share | None = None, meter: Meter | None = None
) -> Iterator[Record | Rejected | Blank]:
    """Give the records of a JSONL file with their lines; what can't be read is rejected.

    All readers of a file go through all of it, which costs little: reading JSON is what takes time.
    """
    for each in _lines(shape, share or _ALL, meter):
        if isinstance(each, Rejected):
            yield each
        else:
            for line, raw in enumerate(each[1], each[0]):
                yield _record(shape, line, raw)


def read_plain_lines(
    shape: Shape, share: Share | None = None, meter: Meter | None = None
) -> Iterator[list[PlainPair] | Record | Rejected | Blank]:
    """Give the plain pairs of a JSONL file as such, those that follow each other together.

    All else is given as `read_lines` does.
    """
    for each in _lines(shape, share or _ALL, meter):
        if isinstance(each, Rejected):
            yield each
            continue
        pairs: list[PlainPair] = []
        for line, raw in enumerate(each[1], each[0]):
            pair = read_plain(raw)
            if pair is not None:
                pair.line = line
                pairs.append(pair)
                continue
            if pairs:
                yield pairs
                pairs = []
            yield _record(shape, line, raw)
        if pairs:
            yield pairs


def _lines(shape: Shape, share: Share, meter: Meter | None) -> Iterator[tuple[int, list[bytes]] | Rejected]:
    """Give a reader's lines, with or without their ends, and the number of the first; others' are counted."""
    line = position = empty = 0
    begun: _Begun | None = None
    with open_bytes(shape.path, meter) as stream:
        try:
            while data := stream.read1(_READ_BYTES - position % _READ_BYTES):
                mine = share.has(position)
                position += len(data)
                empty = empty + len(data) if data.isspace() else 0
                if empty > MAX_EMPTY_BYTES:
                    raise endless_space(shape.path)
                if begun is not None:
                    end = data.find(b"\n")
                    begun.add(data if end < 0 else data[:end])
                    if end < 0:
                        continue
                    line += 1
                    if begun.mine:
                        yield begun.ended(shape, line)
                    begun, data = None, data[end + 1 :]
                if mine:
                    # This looks for line ends in a fifth of the time that splitting takes; they stay on.
                    whole = BytesIO(data).readlines()
                    last = whole.pop() if data and data[-1] != _LINE_END else b""
                    if whole:
                        yield line + 1, whole
                        line += len(whole)
                else:
                    line += _line_ends(data)
                    last = data[data.rfind(b"\n") + 1 :]
                if last:
                    begun = _Begun(mine)
                    begun.add(last)
            if begun is not None and begun.mine:
                yield begun.ended(shape, line + 1)
        except BROKEN_STREAM as error:
            if begun is not None and begun.mine and begun.whole:
                line += 1
                yield begun.ended(shape, line)
            if share.index == 0:
                yield reject(shape.name, line + 1, broken_off(error), b"")


def _line_ends(data: bytes) -> int:
    """Count line ends. To look for each takes a quarter of looking at every byte, where lines are long."""
    if data.count(b"\n", 0, _HEAD_BYTES) > _HEAD_BYTES // _LONG_BYTES:
        return data.count(b"\n")
    found, place = 0, data.find(b"\n")
    while place >= 0:
        found, place = found + 1, data.find(b"\n", place + 1)
    return found


class _Begun:
    """A line whose end has not come yet; of one that is too long, the head is kept."""

    def __init__(self, mine: bool) -> None:
        self.mine = mine
        self._pieces: list[bytes] = []
        self._bytes = 0

    def add(self, data: bytes) -> None:
        """Take what follows, without its line end."""
        if not self.mine:
            return
        self._bytes += len(data)
        if self._bytes <= MAX_LINE_BYTES:
            self._pieces.append(data)
        elif len(self._pieces) != 1 or len(self._pieces[0]) > _HEAD_BYTES:
            self._pieces = [b"".join([*self._pieces, data])[:_HEAD_BYTES]]

    @property
    def whole(self) -> bool:
        """Return whether what came is a record, though no line end did."""
        try:
            return isinstance(decode_json(b"".join(self._pieces)).value, dict)
        except Undecodable:
            return False

    def ended(self, shape: Shape, line: int) -> tuple[int, list[bytes]] | Rejected:
        """Return the number and the line, or why it is none."""
        raw = b"".join(self._pieces)
        if self._bytes > MAX_LINE_BYTES:
            return reject(shape.name, line, f"longer than {MAX_LINE_BYTES >> 20} MB", raw)
        return line, [raw]


def _record(shape: Shape, line: int, raw: bytes) -> Record | Rejected | Blank:
    raw = raw.strip()
    if line == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw:
        return Blank(shape.name, line)
    try:
        decoded = decode_json(raw)
    except Undecodable as error:
        return reject(shape.name, line, str(error), raw)
    return Record(line, decoded.value, raw, decoded.repaired, decoded.has_nan)
