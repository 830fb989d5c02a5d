"""What rows of verdicts and rows of gold answers have in common: cells, ids, and why one is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.formats.base import Blank, Record
from workbench.ingest.treated import Treatment
from workbench.normal import as_text, clean_text, restore_cell
from workbench.records import RESPONSE_ID, Rejected
from workbench.review.tallying import Tally


class Refused(ValueError):
    """A record can't be taken; the message says why."""


def cell(value: Mapping[str, Any], where: Mapping[str, str], name: str) -> str:
    """Return the text of a field of a row, cleaned; empty where there is none."""
    found = value.get(where.get(name, ""), None)
    if found is None:
        return ""
    return clean_text(restore_cell(as_text(found)))[0].strip()


def rows_in(
    items: Iterator[Record | Rejected | Blank], file: str, tally: Tally
) -> Iterator[tuple[Record, dict[str, Any]]]:
    """Give the records that hold columns, with them; count every record, and what becomes of the others."""
    for item in items:
        tally.records += 1
        if isinstance(item, Rejected):
            tally.reject(item)
        elif isinstance(item, Blank):
            tally.blank += 1
        elif isinstance(item.value, dict):
            yield item, item.value
        else:
            tally.reject(item.rejected(file, "not an object with columns"))


class Ids:
    """Finds a pair or a call by call id, native id, or the id of the answer that capture keeps beside it."""

    def __init__(self, found: list[dict[str, Any]], unknown: str, treatment: Treatment | None = None) -> None:
        self._by_call = {row["call_id"]: row for row in found}
        # Two sources may use one id, and a server one for two answers: the call id tells them apart.
        self._by_native = _unambiguous(found, "native_id")
        self._by_response = _unambiguous(found, RESPONSE_ID)
        self._unknown, self._treatment = unknown, treatment

    def find(self, name: str) -> dict[str, Any]:
        """Return the row.

        Raises:
            Refused: There is none, or more than one.
        """
        if not name:
            raise Refused("the id is empty")
        if name in self._by_call:
            return self._by_call[name]
        if name not in self._by_native and self._treatment is not None:
            name = self._treatment.name(name)
        named = self._by_native if name in self._by_native else self._by_response
        if name not in named:
            raise Refused(self._unknown)
        found = named[name]
        if found is None:
            raise Refused("more than one call has this id: give the call id")
        return found


def _unambiguous(found: list[dict[str, Any]], column: str) -> dict[str, dict[str, Any] | None]:
    """Return rows by a column that not all have; None where several have the same there."""
    rows: dict[str, dict[str, Any] | None] = {}
    for row in found:
        if row[column] is not None:
            rows[row[column]] = None if row[column] in rows else row
    return rows
