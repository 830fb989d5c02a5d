"""Measure a stored, validated replay against a bare aiohttp loop on the same stub server.

Run from the repository: python benchmarks/replay_throughput.py [calls] [in flight]
Both are measured three times in turn, in one run; the best of each counts. The aim is
0.5 of the bare loop's requests a second.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from replay_world import add_calls, candidate_toml, make_workspace, open_store, prompt
from servers import Server, serving

from workbench.replay import replay

TIMES = 3


async def bare(server: Server, calls: int, in_flight: int) -> float:
    """Return requests a second of a loop that sends, reads and parses, and does nothing else."""
    queue = iter(range(calls))

    async def work(session: aiohttp.ClientSession) -> None:
        for index in queue:
            messages = [
                {"role": "system", "content": "Answer spam or ham."},
                {"role": "user", "content": prompt(index)},
            ]
            body = {"model": "m", "messages": messages, "temperature": 0, "max_tokens": 8}
            async with session.post(f"{server.url('good')}/chat/completions", json=body) as reply:
                json.loads(await reply.read())

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        started = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(in_flight)))
        return calls / (time.perf_counter() - started)


def stored(server: Server, calls: int, in_flight: int) -> tuple[float, float]:
    """Return requests a second and milliseconds of processor time a call of a whole replay."""
    with tempfile.TemporaryDirectory() as folder:
        candidate = candidate_toml("c", engine="openai", base_url=server.url("good"), model="m")
        workspace = make_workspace(Path(folder), candidate)
        with open_store(workspace) as store:
            add_calls(store, calls)
            before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            report = replay(workspace, store, "spam", "c", concurrency=in_flight)
            seconds = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_SELF)
        if report.done != calls or report.errors:
            raise SystemExit(f"the replay did not go well: {report.text}")
    processor_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return calls / seconds, 1000 * processor_s / calls


def main() -> None:
    """Print both rates and their ratio."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    in_flight = int(sys.argv[2]) if len(sys.argv) > 2 else 64
    with serving() as server:
        loops, replays = [], []
        for _ in range(TIMES):
            loops.append(asyncio.run(bare(server, calls, in_flight)))
            replays.append(stored(server, calls, in_flight))
    best, (rate, processor_ms) = max(loops), max(replays)
    print(f"bare loop {best:,.0f}/s, replay {rate:,.0f}/s: ratio {rate / best:.2f} (aim 0.5)")
    print(f"processor time of the replay: {processor_ms:.2f} ms a call (aim 0.5), {in_flight} in flight")


if __name__ == "__main__":
    main()
