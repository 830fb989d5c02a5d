"""What rows of verdicts and rows of gold answers have in common: cells, ids, and why one is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.formats.base import Blank, Record
from workbench.ingest.treated import Treatment
from workbench.normal import as_text, clean_text, restore_cell
from workbench.records import Rejected
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
    """Finds a pair or a call by call id or native id."""

    def __init__(self, found: list[dict[str, Any]], unknown: str, treatment: Treatment | None = None) -> None:
        self._by_call = {row["call_id"]: row for row in found}
        self._by_native: dict[str, dict[str, Any] | None] = {}
        for row in found:
            # Two sources may use one id; then only the call id tells them apart.
            self._by_native[row["native_id"]] = None if row["native_id"] in self._by_native else row
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
        if name not in self._by_native:
            raise Refused(self._unknown)
        found = self._by_native[name]
        if found is None:
            raise Refused("more than one call has this id: give the call id")
        return found
