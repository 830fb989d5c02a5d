"""JSONL: a record a line, in bounded memory, by one reader or shared by several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workbench.formats.base import Blank, Record, reject
from workbench.formats.files import BROKEN_STREAM, MAX_LINE_BYTES, Meter, Shape, open_bytes
from workbench.normal import Undecodable, decode_json
from workbench.records import Rejected

BLOCK_BYTES = 4 * 1024 * 1024


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
    line = position = 0
    share = share or _ALL
    alone = share.of == 1
    with open_bytes(shape.path, meter) as stream:
        try:
            while raw := stream.readline(MAX_LINE_BYTES + 1):
                line += 1
                mine = alone or share.has(position)
                position += len(raw)
                if len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n"):
                    while piece := stream.readline(1 << 20):
                        position += len(piece)
                        if piece.endswith(b"\n"):
                            break
                    if mine:
                        yield reject(shape.name, line, f"longer than {MAX_LINE_BYTES >> 20} MB", raw[:4096])
                    continue
                if mine:
                    yield _record(shape, line, raw)
        except BROKEN_STREAM as error:
            if share.index == 0:
                yield reject(shape.name, line + 1, f"the compressed file breaks off here: {error}", b"")


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
    return Record(line, decoded.value, raw, decoded.repaired)
