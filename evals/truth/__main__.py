"""Run the worlds with known truth and print the table: `python -m evals.truth`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from evals.truth import (
    absent,
    before,
    clusters,
    collapse,
    coverage,
    drifting,
    finding,
    pace,
    queues,
    ramping,
    real,
    reviewing,
    slicing,
    thresholding,
)
from evals.truth.table import FULL, SMALL, USUAL, Row, Size, markdown, plain

Section = Callable[[Size], Iterable[Row]]

SECTIONS: dict[str, Section] = {
    coverage.NAME: coverage.rows,
    ramping.NAME: ramping.rows,
    pace.NAME: pace.rows,
    thresholding.NAME: thresholding.rows,
    clusters.NAME: clusters.rows,
    queues.NAME: queues.rows,
    drifting.NAME: drifting.rows,
    slicing.NAME: slicing.rows,
    finding.NAME: finding.rows,
    before.NAME: before.rows,
    collapse.NAME: collapse.rows,
    absent.NAME: absent.rows,
    reviewing.STRUCTURAL_NAME: reviewing.structural_rows,
    reviewing.SEMANTIC_NAME: reviewing.semantic_rows,
    real.LABEL_NAME: real.label_rows,
    real.JUDGE_NAME: real.judge_rows,
    real.NEGATION_NAME: real.negation_rows,
}
"""Name and function of every section, in the order of the table. A new section is one more line."""


def measure(name: str, size: Size) -> tuple[list[Row], float]:
    """Run one section.

    Args:
        name: One of `SECTIONS`.
        size: How large.

    Returns:
        Its rows, and how long it took in seconds.
    """
    start = time.perf_counter()
    return list(SECTIONS[name](size)), time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, and return 1 where a bar is missed.

    Args:
        arguments: Of the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m evals.truth", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--full", action="store_const", const=FULL, dest="size", help="ten times the runs")
    size.add_argument("--small", action="store_const", const=SMALL, dest="size", help="a fifth of the runs")
    parser.add_argument("--only", action="append", choices=SECTIONS, metavar="NAME", help="|".join(SECTIONS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here, too")
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(os.cpu_count() or 1, len(SECTIONS)),
        help="processes; 1 stays in this one",
    )
    asked = parser.parse_args(arguments)
    found = _run(asked.only or list(SECTIONS), asked.size or USUAL, asked.jobs)
    rows = [row for section, _ in found.values() for row in section]
    print(markdown(rows))
    missed = [row for row in rows if not row.ok]
    times = ", ".join(f"{name} {seconds:.0f} s" for name, (_, seconds) in found.items())
    print(f"\n{len(rows)} rows, {len(missed)} missed. {times}.")
    if asked.json is not None:
        asked.json.write_text(json.dumps(plain(rows), indent=1) + "\n", encoding="utf-8")
    return 1 if missed else 0


def _run(names: Sequence[str], size: Size, jobs: int) -> dict[str, tuple[list[Row], float]]:
    if jobs <= 1:
        return {name: measure(name, size) for name in names}
    with ProcessPoolExecutor(jobs) as pool:
        futures = {name: pool.submit(measure, name, size) for name in names}
        return {name: future.result() for name, future in futures.items()}


if __name__ == "__main__":
    sys.exit(main())
