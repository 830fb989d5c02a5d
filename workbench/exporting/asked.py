"""What of a table is wanted, and how its rows are put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from workbench.errors import UsageError
from workbench.exporting.table import NUMBER, Row, Table
from workbench.records import Estimate


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a table is wanted.

    `filters` are the words of `scoring.case_filters`, or those that a table names as its own. `who`
    reads it; a reviewer (`blind`) gets no verdict of others on a pair that they may be asked for.
    """

    task: str | None = None
    candidate: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    who: str = ""
    blind: bool = False

    def pair(self) -> tuple[str, str]:
        """Return task and candidate.

        Raises:
            UsageError: One of them is missing.
        """
        if not self.task or not self.candidate:
            raise UsageError(
                "This table is about one task and one candidate.", "Give --task and --candidate."
            )
        return self.task, self.candidate

    def filter(self, name: str, default: str = "") -> str:
        """Return one filter of a table's own."""
        return self.filters.get(name, default)

    def only(self, *names: str) -> None:
        """Refuse filters that a table does not have.

        Raises:
            UsageError: There is another one.
        """
        for each in self.filters:
            if each not in names:
                known = f"It has {', '.join(names)}." if names else "It has none."
                raise UsageError(f"This table has no filter {each!r}.", known)


ESTIMATE = {"point": NUMBER, "low": NUMBER, "high": NUMBER, "level": NUMBER, "n": NUMBER}


def estimate_columns(name: str) -> dict[str, pa.DataType]:
    """Return the columns of an estimate: a rate never leaves bare."""
    return {f"{name}_{key}": kind for key, kind in ESTIMATE.items()}


def told(name: str, value: Estimate | None) -> Row:
    """Return the values of an estimate's columns."""
    return {f"{name}_{key}": getattr(value, key) for key in ESTIMATE} if value is not None else {}


def whole(columns: Mapping[str, pa.DataType], rows: Iterable[Row], *, raw: bool = False) -> Table:
    """Return a table of rows that are there already."""
    return Table(columns, [list(rows)], raw)


def named(columns: Mapping[str, pa.DataType], rows: Iterable[Sequence[Any]], *, raw: bool = False) -> Table:
    """Return a table of rows without names, in the order of the columns."""
    return whole(columns, (dict(zip(columns, row, strict=True)) for row in rows), raw=raw)
