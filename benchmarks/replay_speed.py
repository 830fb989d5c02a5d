"""Measure a stored, validated replay against a bare aiohttp loop and against the openai SDK.

All ask the same stub in one run, in turn. Each ratio is the median over rounds of two rates measured one
right after the other: on a machine whose speed swings by half, the best of each would not belong together.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp
from measures import Figures, Rate, messages_of, open_store, workspace_with_calls
from openai import AsyncOpenAI
from stub import serving

from workbench.config import Workspace
from workbench.replay import replay

ROUNDS = 6
"""An even number: each order of what is compared comes as often as the other."""
FEW, MANY = 64, 512
SDK_SHARE = 8
"""The SDK is asked for so many times fewer calls: it takes that much longer."""


async def bare(url: str, calls: int, in_flight: int) -> Rate:
    """Measure a loop that sends, reads and parses, and does nothing else."""
    queue = iter(range(calls))

    async def work(session: aiohttp.ClientSession) -> None:
        for index in queue:
            body = {"model": "m", "messages": messages_of(index), "temperature": 0, "max_tokens": 8}
            async with session.post(f"{url}/chat/completions", json=body) as reply:
                json.loads(await reply.read())

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work(session) for _ in range(in_flight)))
        return rate(calls, started, cpu)


async def with_sdk(url: str, calls: int, in_flight: int) -> Rate:
    """Measure the same loop through the openai SDK."""
    queue = iter(range(calls))

    async def work(client: AsyncOpenAI) -> None:
        for index in queue:
            reply = await client.chat.completions.create(
                model="m",
                messages=messages_of(index),  # type: ignore[arg-type]
                temperature=0,
                max_tokens=8,
            )
            if not reply.choices[0].message.content:
                raise SystemExit("the stub answered nothing")

    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work(client) for _ in range(in_flight)))
        return rate(calls, started, cpu)


def stored(workspace: Workspace, calls: int, in_flight: int) -> Rate:
    """Measure a whole replay: sample drawn, asked, validated, in the store."""
    with open_store(workspace) as store:
        started, cpu = time.perf_counter(), time.process_time()
        report = replay(workspace, store, "spam", "stub", concurrency=in_flight, new=True, checks=False)
        took = rate(calls, started, cpu)
    if report.done != calls or report.errors:
        raise SystemExit(f"the replay did not go well: {report.text}")
    return took


def rate(calls: int, started_s: float, cpu_s: float) -> Rate:
    """Return what so many calls took since two clocks were read."""
    took_s = time.perf_counter() - started_s
    return Rate(calls / took_s, 1000 * (time.process_time() - cpu_s) / calls)


def middle(over: list[Rate], under: list[Rate]) -> float:
    """Return the median of the ratios of rates that were measured next to each other."""
    return statistics.median(a.per_s / b.per_s for a, b in zip(over, under, strict=True))


def typical(rates: list[Rate]) -> Rate:
    """Return the medians of some rates."""
    per_s = statistics.median(each.per_s for each in rates)
    return Rate(per_s, statistics.median(each.cpu_ms for each in rates))


def measure(figures: Figures, calls: int) -> None:
    """Print the ratios at 64 and 512 in flight."""
    loops: dict[int, list[Rate]] = {FEW: [], MANY: []}
    replays: dict[int, list[Rate]] = {FEW: [], MANY: []}
    sdk: list[Rate] = []
    with serving() as stub, tempfile.TemporaryDirectory() as folder:
        workspace = workspace_with_calls(Path(folder), calls, stub.url)
        for turn in range(ROUNDS):
            # All that is compared stands next to each other: each loop beside its replay, and the replays
            # side by side. The store grows with each: neither is always the later one.
            first, second = (FEW, MANY) if turn % 2 else (MANY, FEW)
            loops[first].append(asyncio.run(bare(stub.url, calls, first)))
            replays[first].append(stored(workspace, calls, first))
            replays[second].append(stored(workspace, calls, second))
            loops[second].append(asyncio.run(bare(stub.url, calls, second)))
            sdk.append(asyncio.run(with_sdk(stub.url, calls // SDK_SHARE, FEW)))
    for in_flight in (FEW, MANY):
        loop, ours = loops[in_flight], replays[in_flight]
        name = f"replay against a bare loop, {in_flight} in flight"
        figures.ratio(name, middle(ours, loop), 0.5, f"replay {typical(ours)}, bare loop {typical(loop)}")
        name = f"milliseconds of processor time a call, {in_flight} in flight"
        detail = "all of the replay's threads, planning and storing"
        figures.ratio(name, typical(ours).cpu_ms, 0.5, detail, at_most=True)
    few, many = replays[FEW], replays[MANY]
    name = "replay, 512 against 64 in flight"
    figures.ratio(name, middle(many, few), 1.0, f"{typical(many)} against {typical(few)}")
    name = "replay against the openai SDK"
    figures.ratio(name, middle(few, sdk), 3.0, f"replay {typical(few)}, SDK {typical(sdk)}")
