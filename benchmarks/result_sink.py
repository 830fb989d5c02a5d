"""Measure the result sink: many calls from the stub at flat memory, and rows without any HTTP.

The counts are checked against what the stub counted itself.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from measures import Figures, open_store, workspace_with_calls
from stub import LABELS, Stub, serving

from workbench.config import Workspace
from workbench.normal import content_hash
from workbench.progress import Progress
from workbench.records import Observation, Output, Usage
from workbench.replay import replay
from workbench.replay.journal import PartWriter
from workbench.replay.lease import ReplayLease
from workbench.store import Store
from workbench.store.replays import observation_row

IN_FLIGHT = 64
POINTS = 10
GROWTH_BAR = 1.25
"""The memory after all calls, against the memory after the first tenth."""
SPARE_BAR = 4.0
"""The sink takes at least so many times what a replay brings, so that it never holds one up."""


def filled(root: Path, calls: int, url: str) -> Workspace:
    """Make the workspace in a process of its own, so that its memory is not measured."""
    making = multiprocessing.get_context("spawn").Process(
        target=workspace_with_calls, args=(root, calls, url)
    )
    making.start()
    making.join()
    if making.exitcode:
        raise SystemExit("the workspace could not be made")
    return Workspace.load(root)


def megabytes() -> float:
    """Return the memory this process has now."""
    return float(psutil.Process().memory_info().rss / 1e6)


def measure(figures: Figures, calls: int) -> None:
    """Replay so many calls and print the memory at each tenth; then the sink alone."""
    with serving() as stub, tempfile.TemporaryDirectory() as folder:
        workspace = filled(Path(folder), calls, stub.url)
        points: list[tuple[int, float]] = []
        marks = iter(range(calls // POINTS, calls + 1, max(calls // POINTS, 1)))
        mark = next(marks)
        started = time.perf_counter()

        def watch(progress: Progress) -> None:
            nonlocal mark
            if progress.done >= mark:
                points.append((progress.done, megabytes()))
                took_s = time.perf_counter() - started
                rate = progress.done / took_s
                print(f"      {progress.done:>9,} calls: {points[-1][1]:,.0f} MB, {rate:,.0f}/s", flush=True)
                mark = next((each for each in marks if each > progress.done), calls + 1)

        with open_store(workspace) as store:
            cpu = time.process_time()
            report = replay(
                workspace, store, "spam", "stub", concurrency=IN_FLIGHT, checks=False, listener=watch
            )
            took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
            points.append((calls, megabytes()))
            check_counts(store, stub, calls)
    if report.errors:
        raise SystemExit(f"the replay did not go well: {report.text}")
    slope = float(np.polyfit(*np.array(points).T, 1)[0]) * 1e5
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    detail = (
        f"{points[0][1]:,.0f} MB after {points[0][0]:,} calls, {points[-1][1]:,.0f} MB after {calls:,}, all "
        f"stored; slope {slope:+.1f} MB a 100,000 calls, highest {peak:,.0f} MB; {calls / took_s:,.0f}/s at "
        f"{1000 * cpu_s / calls:.2f} ms CPU, counts right"
    )
    growth = points[-1][1] / points[0][1]
    figures.ratio("memory at the end against a tenth", growth, GROWTH_BAR, detail, at_most=True)
    sink_alone(figures, calls, calls / took_s)


def check_counts(store: Store, stub: Stub, calls: int) -> None:
    """Compare what the store holds with what the stub answered, label by label.

    Raises:
        SystemExit: They differ.
    """
    rows = store.rows(
        "SELECT text, count(*) AS n, count(DISTINCT call_id) AS calls, sum(input_tokens) AS tokens, "
        "count(error_kind) AS errors, count(output) AS outputs FROM observations GROUP BY text"
    )
    held = {row["text"]: row["n"] for row in rows}
    asked = stub.answered()
    whole = all(row["n"] == row["calls"] == row["outputs"] and row["tokens"] == 12 * row["n"] for row in rows)
    failed = any(row["errors"] for row in rows)
    if held != asked or sum(held.values()) != calls or not whole or failed:
        raise SystemExit(f"the counts are wrong: the stub answered {asked}, the store holds {rows}")


def sink_alone(figures: Figures, rows: int, replay_per_s: float) -> None:
    """Measure rows a second from a finished answer to the committed store, without HTTP."""
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store.duckdb") as store:
        started, cpu = time.perf_counter(), time.process_time()
        asyncio.run(hand_in(store, rows))
        acknowledged_s = time.perf_counter() - started
        store.absorb()
        took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        held = store.value("SELECT count(*) FROM observations")
    if held != rows:
        raise SystemExit(f"the sink took {rows:,} rows and holds {held:,}")
    detail = (
        f"{rows / took_s:,.0f} rows/s stored at {1e6 * cpu_s / rows:.0f} us CPU, "
        f"{rows / acknowledged_s:,.0f}/s acknowledged, replay {replay_per_s:,.0f}/s"
    )
    figures.ratio("sink alone against the replay", rows / took_s / replay_per_s, SPARE_BAR, detail)


async def hand_in(store: Store, rows: int) -> None:
    """Hand in answers as the workers of a replay do."""
    queue = iter(range(rows))
    output = Output(text=LABELS[0], finish_reason="stop", model="m", usage=Usage(12, None, 3), latency_ms=1.5)
    with ReplayLease(store.spool, "sink") as lease:
        absorb = lambda: store.absorb(wait_s=0, rest=True)  # noqa: E731 - what a replay passes as well
        writer = PartWriter(store.spool, "r", lease, absorb=absorb)

        async def work() -> None:
            for index in queue:
                call_id = content_hash("sink", str(index))
                row: dict[str, Any] = observation_row(
                    Observation("r", call_id, 0, output, 1, datetime.now(UTC))
                )
                await writer.add([row])

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        await writer.flush()
