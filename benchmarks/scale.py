"""Measure what a replay on many machines rests on: plan, parts, loading, and what Ray adds.

Run from the repository: python benchmarks/scale.py [calls] [--ray]
docs/scale.md computes from these figures how it goes to a hundred GPUs.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from replay_world import add_calls, candidate_toml, make_workspace, open_store
from servers import serving

from workbench.config import Workspace
from workbench.replay.on_ray import replay_on_ray
from workbench.replay.ray_actor import AnsweringActor
from workbench.replay.ray_run import SharedRun
from workbench.replay.ray_settings import RunSettings
from workbench.replay.remote_spool import RemoteSpool
from workbench.store import Store
from workbench.store.replays import requests_of
from workbench.store.spool import write_part

PART_ROWS = 1_000
ACTOR_CALLS = 10_000
REPLAY = "ab" * 16


def processor_s() -> float:
    """Return the processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure_plan(store: Store, folder: Path, calls: list[str]) -> None:
    """Write a plan, as the command does before the actors begin."""
    run = SharedRun(RemoteSpool(str(folder / "shared")), REPLAY, 1)
    started, used = time.perf_counter(), processor_s()
    files = run.write_plan(
        [[(each, 0) for each in calls]],
        len(calls),
        lambda call_ids: requests_of(store, call_ids),
        None,
        actors=4,
    )
    seconds, used = time.perf_counter() - started, processor_s() - used
    size = sum((folder / "shared" / each).stat().st_size for each in files)
    print(
        f"plan: {len(calls) / seconds:,.0f} calls/s, {1e6 * used / len(calls):.0f} us of processor and "
        f"{size / len(calls):.0f} bytes a call"
    )


def measure_absorbing(store: Store, calls: list[str], words: int) -> None:
    """Write parts of answers of so many words and load them into the store."""
    size, dice = 0, random.Random(7)  # noqa: S311 - words, no secret
    replay_id = f"{words:032x}"
    for start in range(0, len(calls), PART_ROWS):
        rows = [observation(replay_id, each, words, dice) for each in calls[start : start + PART_ROWS]]
        part = write_part(store.spool, "observations", rows, f"{replay_id}-00000001-{start:08d}")
        size += part.stat().st_size
    started, used = time.perf_counter(), processor_s()
    loaded = store.absorb()
    seconds, used = time.perf_counter() - started, processor_s() - used
    print(f"answers of {words} words")
    print(f"parts: {size / len(calls):.0f} bytes an answer, {PART_ROWS:,} answers a part")
    print(f"loading: {loaded / seconds:,.0f} answers/s, {1e6 * used / loaded:.0f} us of processor an answer")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"store: {store.path.stat().st_size / 1e6:,.0f} MB; memory at most {memory:,.0f} MB")


def observation(replay_id: str, call_id: str, words: int, dice: random.Random) -> dict[str, object]:
    """Return an answer of random words out of 5,000."""
    text = " ".join(f"w{dice.randrange(5_000)}" for _ in range(words))
    output = f'{{"text":"{text}","finish_reason":"stop","model":"m","usage":{{"output_tokens":{words}}}}}'
    return {
        "replay_id": replay_id,
        "call_id": call_id,
        "repeat": 0,
        "output": output,
        "text": text,
        "error_kind": None,
        "attempts": 1,
        "latency_ms": dice.random() * 1_000,
        "input_tokens": 12,
        "output_tokens": 3,
        "started_at": datetime.now(UTC),
        "retried": None,
    }


def measure_actor(workspace: Workspace, store: Store, folder: Path, calls: list[str]) -> None:
    """Answer pieces as an actor does, without Ray."""
    run = SharedRun(RemoteSpool(str(folder / "actor")), REPLAY, 1)
    files = run.write_plan(
        [[(each, 0) for each in calls]],
        len(calls),
        lambda call_ids: requests_of(store, call_ids),
        None,
        actors=1,
    )
    spec, eval_config = workspace.candidate("c"), workspace.eval_for("spam")
    root = str(workspace.root)
    run.begin(
        RunSettings(
            REPLAY, 1, None, False, None, workspace.config.ray, spec, eval_config, root, workspace.config
        )
    )
    actor = AnsweringActor(str(folder / "actor"), run.folder)
    started, used = time.perf_counter(), processor_s()
    done = sum(each["answered"] for name in files for each in actor(pa.table({"file": [name]})).to_pylist())
    seconds, used = time.perf_counter() - started, processor_s() - used
    size = sum(path.stat().st_size for path in (folder / "actor" / run.folder / "parts").rglob("*.parquet"))
    actor.close()
    print(
        f"actor: {done / seconds:,.0f} calls/s, {1e3 * used / done:.2f} ms of processor a call; "
        f"parts of {size / done:.0f} bytes an answer"
    )


def measure_ray(workspace: Workspace, store: Store) -> None:
    """Replay through Ray on this machine, start and end of the cluster included."""
    started = time.perf_counter()
    report = replay_on_ray(workspace, store, "spam", "c", actors=2, checks=False)
    whole = time.perf_counter() - started
    print(f"ray: {report.answered:,} calls at 2 actors, {whole:.1f} s with start and end of the cluster")
    print(f"     from the first plan file to the last part {report.seconds:.1f} s")


def main() -> None:
    """Print all figures."""
    numbers = [each for each in sys.argv[1:] if each.isdigit()]
    count = int(numbers[0]) if numbers else 200_000
    with tempfile.TemporaryDirectory() as name, serving() as server:
        folder = Path(name)
        candidate = candidate_toml(
            "c", engine="openai", base_url=server.url("good"), model="m", concurrency=64
        )
        workspace = make_workspace(folder, candidate)
        with open_store(workspace) as store:
            add_calls(store, count)
            calls = [row["call_id"] for row in store.rows("SELECT call_id FROM calls ORDER BY call_id")]
            if "--ray" in sys.argv:
                measure_ray(workspace, store)
            measure_actor(workspace, store, folder, calls[:ACTOR_CALLS])
            measure_plan(store, folder, calls)
            for words in (1, 200):
                measure_absorbing(store, calls, words)


if __name__ == "__main__":
    main()
