"""Files as streams of records: JSONL, JSON arrays and envelopes, CSV, Parquet, compressed or not.

All are read in bounded memory, JSON arrays and envelopes item by item; only one JSON
object without a list is held whole, up to a cap. What can't be read is a `Rejected`
with its line, what was never a log is a `UsageError`.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from workbench.errors import UsageError
from workbench.formats.base import Blank, Record
from workbench.formats.documents import ENVELOPES, read_document
from workbench.formats.files import (
    HEAD_BYTES,
    REFUSED_SUFFIXES,
    Meter,
    Shape,
    read_head,
    refuse_binary,
    refuse_other_text,
)
from workbench.formats.lines import Share, read_lines
from workbench.formats.near_misses import behind_text, only_events
from workbench.formats.paths import check_readable
from workbench.formats.registry import recognised
from workbench.formats.streams import events_of_text
from workbench.formats.tables import csv_columns, parquet_columns, read_csv, read_parquet
from workbench.normal import Undecodable, decode_json
from workbench.records import Rejected

_CALL_KEYS = frozenset({"request", "response", "messages", "body", "custom_id"})
_PAGE_KEYS = frozenset(ENVELOPES) | {
    *("object", "has_more", "first_id", "last_id", "meta", "page", "total", "count"),
    *("cursor", "cursors", "next_cursor", "next_page_token"),
}
"""What stands beside the records of one page of an export."""

_ROWS_COMPARED = 50
_FEWEST_ROWS = 3
_FIGURE = re.compile(r"[^\W\d]\w*[:=] *-?\d")
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"\s*")


def look(path: Path) -> Shape:
    """Tell how a file is laid out, from its content.

    Raises:
        UsageError: It is missing, empty, binary or not a log; the hint says what to do.
    """
    check_readable(path)
    refused = REFUSED_SUFFIXES.get(path.suffix.lower())
    if refused:
        raise UsageError(f"{path} is {refused[0]}, not a log.", refused[1])
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty.", "Check the export that wrote it.")
    with path.open("rb") as file:
        start = file.read(16)
    if start[:4] == b"PAR1":
        return Shape(path, "parquet", parquet_columns(path))
    head = read_head(path)
    refuse_binary(path, head)
    if not head.strip():
        raise UsageError(f"{path} holds nothing but white space.", "Check the export that wrote it.")
    return _text_shape(path, head)


def records(
    shape: Shape, share: Share | None = None, meter: Meter | None = None
) -> Iterator[Record | Rejected | Blank]:
    """Give every source record of a file, in order, with its line.

    Args:
        shape: How the file is laid out.
        share: Which of several readers this is; only JSONL can be shared.
        meter: Says how far it is, for JSONL.

    Raises:
        UsageError: The file expands beyond any log, or a document is too large to hold.
    """
    if shape.kind == "jsonl":
        return read_lines(shape, share, meter)
    reader = {"json": read_document, "csv": read_csv, "parquet": read_parquet}
    return reader[shape.kind](shape)


def _plain_suffix(path: Path) -> str:
    suffixes = [each.lower() for each in path.suffixes]
    return next((each for each in reversed(suffixes) if each not in (".gz", ".zst")), "")


def _text_shape(path: Path, head: bytes) -> Shape:
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.splitlines()
    complete = lines if len(head) < HEAD_BYTES else lines[:-1]
    first = next((line for line in lines if line.strip()), "").strip()
    suffix = _plain_suffix(path)
    if first.startswith("[") and _starts_array(text.lstrip()):
        return Shape(path, "json")
    if first.startswith("{"):
        return Shape(path, _object_kind(text, complete, len(head) < HEAD_BYTES))
    is_table = suffix in (".csv", ".tsv", ".tab")
    if not is_table and any(line.lstrip().startswith("{") for line in complete):
        return Shape(path, "jsonl")
    if suffix in (".jsonl", ".ndjson", ".json"):
        return Shape(path, "jsonl")
    if not is_table:
        _refuse_near_miss(path, first, [line for line in complete if line.strip()][:50])
    delimiter = max("\t,;|", key=first.count)
    if is_table or (first.count(delimiter) > 0 and _has_rows(complete, delimiter)):
        # Beyond the head, the reader looks; here, one of many files of a folder can be left out.
        refuse_other_text(path, head)
        columns = csv_columns(path, delimiter)
        return Shape(path, "csv", columns, delimiter)
    raise UsageError(
        f"{path} is neither JSON, JSONL, CSV nor Parquet: it begins with {first[:60]!r}.",
        "Export the log in one of these. What a server prints of its own work (vLLM's, a proxy's) holds no "
        "answers: log the calls where they are made, see docs/capture.md.",
    )


def _refuse_near_miss(path: Path, first: str, lines: list[str]) -> None:
    """Refuse text that has commas enough for a table, but is a stream, or JSON behind something else.

    Raises:
        UsageError: The hint says how it becomes a log.
    """
    if first.startswith(("data:", "event:")) and events_of_text("\n".join(lines)):
        raise only_events(path)
    places = [line.find("{") for line in lines]
    behind = [_try_object(line[place:]) for line, place in zip(lines, places, strict=True) if place > 0]
    found = [each for each in behind if each is not None]
    # A program's log has more lines of other kinds than calls; one that is a known log's says enough.
    if 2 * len(found) > len(lines) or any(recognised(each) for each in found):
        raise behind_text(
            path, next(line[:place] for line, place in zip(lines, places, strict=True) if place > 0)
        )


def _has_rows(lines: list[str], delimiter: str) -> bool:
    """Tell whether lines are rows of a table: of what a program tells in words, few have as many cells."""
    filled = (each for each in csv.reader(lines, delimiter=delimiter) if each)
    rows = list(islice(filled, _ROWS_COMPARED))
    if not rows:
        return True
    # A first row that tells figures names no columns: it is a server's statistics, printed again and again.
    if 2 * sum(_FIGURE.search(each) is not None for each in rows[0]) > len(rows[0]):
        return False
    alike = sum(len(each) == len(rows[0]) for each in rows[1:])
    return len(rows) < _FEWEST_ROWS or 2 * alike >= len(rows) - 1


def _starts_array(text: str) -> bool:
    rest = text[1:].lstrip()
    if rest.startswith("]"):
        return True
    # Its first item may be broken. Commas behind the others tell it from a broken line before good ones.
    opens = rest.startswith(("{", "}", ",")) or text[1:].lstrip(" \t\r").startswith("\n")
    commas = text.rstrip().endswith("]") or any(line.rstrip().endswith("},") for line in text.splitlines())
    if opens and commas:
        return True
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except json.JSONDecodeError as error:
        return error.pos >= len(rest.rstrip()) - 1 and len(text) >= HEAD_BYTES // 2
    except (RecursionError, ValueError):
        return False
    return rest[end:].lstrip()[:1] in (",", "]", "")


def _object_kind(text: str, complete: list[str], whole: bool) -> str:
    filled = [line for line in complete if line.strip()]
    parsed = [value for value in map(_try_object, filled[:50]) if value is not None]
    if parsed and _try_object(filled[0]) is None and _starts_envelope(text):
        return "json"  # One of its items is alone on its line.
    if parsed:
        only = whole and len(filled) == 1
        return "json" if (only and _envelope_key(parsed[0])) or _are_pages(parsed) else "jsonl"
    if _starts_envelope(text):
        return "json"
    return "json" if filled and filled[0].rstrip()[-1:] in "{[,:" else "jsonl"


def _starts_envelope(text: str) -> bool:
    """Tell whether a text begins with an object that holds a list of records, maybe behind other keys."""
    position = _skip(text, 0)
    if text[position : position + 1] != "{":
        return False
    try:
        while True:
            key, position = _DECODER.raw_decode(text, _skip(text, position + 1))
            position = _skip(text, position)
            if not isinstance(key, str) or key in _CALL_KEYS or text[position : position + 1] != ":":
                return False
            position = _skip(text, position + 1)
            if key in ENVELOPES and text[position : position + 1] == "[":
                return True
            _, position = _DECODER.raw_decode(text, position)
            position = _skip(text, position)
            if text[position : position + 1] != ",":
                return False
    except (ValueError, RecursionError):
        return False


def _skip(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _try_object(line: str) -> dict[str, Any] | None:
    try:
        value = decode_json(line).value
    except Undecodable:
        return None
    return value if isinstance(value, dict) else None


def _are_pages(lines: list[dict[str, Any]]) -> bool:
    """Tell whether each line is an envelope, as a paged export appended to one file is; calls hold more."""
    return all(_envelope_key(each) and each.keys() <= _PAGE_KEYS for each in lines)


def _envelope_key(value: dict[str, Any]) -> str | None:
    if _CALL_KEYS & value.keys():
        return None
    for key in ENVELOPES:
        items = value.get(key)
        if isinstance(items, list) and all(isinstance(item, dict) for item in items):
            return key
    return None
