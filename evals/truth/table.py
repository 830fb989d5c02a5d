"""Rows of the report, the bars they must meet, and how large a run is."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

DELTA = 0.05
"""Error probability that the default policy promises."""
ERRORS_ALLOWED = 3.0
"""Monte Carlo standard errors that a promise is given, at its promised rate."""

PROMISE = "promise"
TARGET = "target"
COMPARED = "compared"
AT_MOST = "<="
AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is: 1 is the default, 10 the full size."""

    name: str
    scale: float

    def runs(self, usual: int, *, least: int = 20) -> int:
        """Return the number of runs for which the default size takes `usual`."""
        return max(round(usual * self.scale), min(least, usual))


SMALL = Size("small", 0.2)
USUAL = Size("default", 1.0)
FULL = Size("full", 10.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure. `error` is its Monte Carlo standard error: 0 where it was computed exactly.

    `kind` says what the bar is: a `promise` of the method, a `target`, or nothing but a
    figure to compare with (`compared`, without a bar). `level` is what is promised, where the bar allows
    for Monte Carlo error, too.
    """

    section: str
    world: str
    promise: str
    measured: float | None
    error: float | None = 0.0
    bar: float | None = None
    sense: str = AT_MOST
    kind: str = PROMISE
    level: float | None = None

    @property
    def ok(self) -> bool:
        """Return whether the bar is met; a figure that is missing meets none."""
        if self.bar is None:
            return True
        if self.measured is None or math.isnan(self.measured):
            return False
        slack = 1e-9
        if self.sense == AT_MOST:
            return self.measured <= self.bar + slack
        return self.measured >= self.bar - slack

    @property
    def verdict(self) -> str:
        """Return the last cell of the row."""
        return "-" if self.bar is None else "ok" if self.ok else "MISSED"


def promised(
    section: str, world: str, promise: str, failures: int, runs: int, *, delta: float = DELTA
) -> Row:
    """Return the row of an error rate that must not exceed `delta`, from simulated runs."""
    bar = delta + ERRORS_ALLOWED * math.sqrt(delta * (1 - delta) / runs)
    return Row(section, world, promise, failures / runs, spread(failures, runs), bar, level=delta)


def exactly(section: str, world: str, promise: str, rate: float, *, delta: float = DELTA) -> Row:
    """Return the row of an error rate that was computed, not simulated."""
    return Row(section, world, promise, rate, 0.0, delta)


def target(
    section: str,
    world: str,
    aim: str,
    measured: float | None,
    bar: float,
    *,
    error: float | None = None,
    sense: str = AT_LEAST,
    runs: int | None = None,
) -> Row:
    """Return a row whose bar is a wish, not a promise of the method.

    With `runs` it is the least share of so many runs, and the bar allows for Monte Carlo error as that of a
    promise does.
    """
    if runs is None:
        return Row(section, world, aim, measured, error, bar, sense, TARGET)
    allowed = bar - ERRORS_ALLOWED * math.sqrt(bar * (1 - bar) / runs)
    return Row(section, world, aim, measured, error, allowed, sense, TARGET, level=bar)


def compared(section: str, world: str, what: str, measured: float | None, error: float | None = 0.0) -> Row:
    """Return a row without a bar: what another rule would have done."""
    return Row(section, world, what, measured, error, None, AT_MOST, COMPARED)


def spread(hits: float, runs: int) -> float:
    """Return the Monte Carlo standard error of a share; where all runs agree, as if one did not."""
    share = min(max(hits, 1.0), runs - 1.0) / runs
    return math.sqrt(share * (1 - share) / runs)


def generator(*keys: object) -> np.random.Generator:
    """Return a generator with a seed fixed by what it is for."""
    return np.random.default_rng([zlib.crc32(str(key).encode()) for key in keys])


def median(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the median and a rough standard error of it (1.25 standard deviations over root n)."""
    found = np.asarray(values, dtype=np.float64)
    middle = float(np.median(found))
    finite = found[np.isfinite(found)]
    if not math.isfinite(middle) or finite.size < 2:
        return middle, None
    return middle, 1.25 * float(finite.std(ddof=1)) / math.sqrt(finite.size)


def markdown(rows: Sequence[Row]) -> str:
    """Return the table as Markdown."""
    head = ["section", "world", "what is promised", "measured", "error", "bar", "kind", ""]
    cells = [
        [
            row.section,
            row.world,
            row.promise,
            _number(row.measured),
            _spread(row.error),
            _bar(row),
            row.kind,
            row.verdict,
        ]
        for row in rows
    ]
    widths = [max(len(line[i]) for line in [head, *cells]) for i in range(len(head))]
    lines = [head, ["-" * max(width, 2) for width in widths], *cells]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as dictionaries for JSON; a figure that is not finite is None."""
    found = []
    for row in rows:
        cells = asdict(row) | {"verdict": row.verdict}
        for key in ("measured", "error"):
            value = cells[key]
            cells[key] = value if value is not None and math.isfinite(value) else None
        found.append(cells)
    return found


def _bar(row: Row) -> str:
    if row.bar is None:
        return ""
    promised = "" if row.level is None else f" ({_number(row.level)} promised)"
    return f"{row.sense} {_number(row.bar)}{promised}"


def _spread(error: float | None) -> str:
    if error is None or not math.isfinite(error):
        return ""
    return f"± {error:.2g}" if error else "exact"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    if not math.isfinite(value):
        return "never"
    if abs(value) < 1:
        return f"{value:.4f}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
