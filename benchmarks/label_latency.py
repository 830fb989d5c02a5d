"""Measure how long a label takes to commit, alone, while a replay writes, and against one bare row.

Run from the repository: python benchmarks/label_latency.py [seconds]
All is measured in one run. The aim with 8 reviewers while another process hands in parts is
50 ms at the 95th percentile, and a whole submit within six times one bare committed row.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "review"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "store"))

from review_world import World, make_world
from store_world import label

from workbench import review
from workbench.stats.percentiles import nearest_rank
from workbench.store import Store

REVIEWERS, SUBMITS = 8, 40
WORKER = """
import sys, time
from pathlib import Path
from workbench.store import Store
from workbench.store.spool import write_part
store = Store.open(Path(sys.argv[1]))
for part in range(1_000_000):
    row = {"replay_id": "r", "repeat": 0, "output": "x" * 300, "attempts": 1}
    write_part(store.spool, "observations", [{**row, "call_id": f"{part}-{i}"} for i in range(200)])
    store.absorb()
    print("absorbed", flush=True)
    time.sleep(1)
"""


def p95_ms(took_s: list[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    return 1000 * (nearest_rank(took_s, 0.95) or 0.0)


def commits(store: Store, seconds: float) -> list[float]:
    """Return how long each label of eight reviewers took to commit."""
    took: list[float] = []
    until = time.monotonic() + seconds

    def work(who: int) -> None:
        chance = random.Random(who)  # noqa: S311 -- spreads the labels, guards nothing
        while time.monotonic() < until:
            began = time.monotonic()
            store.append("labels", [label(f"{who}-{began}")])
            took.append(time.monotonic() - began)
            time.sleep(chance.uniform(0.05, 0.25))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(REVIEWERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def submits(world: World) -> tuple[list[float], list[float]]:
    """Return how long one bare row takes, and how long a whole submit, in turn."""
    world.add_replay("topics", [("a", "b")] * (SUBMITS + 20))
    bare, whole = [], []
    for number in range(SUBMITS):
        item = review.next_item(world.workspace, world.store, "topics", "tiny-llm", "mia", now=world.clock)
        if item is None:
            raise SystemExit("the queue is empty")
        lease = {"draw_id": f"bare {number}", "annotator": "nobody", "expires_at": world.clock()}
        began = time.perf_counter()
        world.store.append("leases", [lease])
        between = time.perf_counter()
        review.submit(world.workspace, world.store, item, "mia", "equal", now=world.clock)
        bare.append(between - began)
        whole.append(time.perf_counter() - between)
    return bare, whole


def main() -> None:
    """Print the percentiles and their ratios."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "workbench.duckdb"
        with Store.open(path) as store:
            alone = p95_ms(commits(store, seconds))
            command = [sys.executable, "-c", WORKER, str(path)]
            worker = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 -- the text above
            try:
                if worker.stdout is None or not worker.stdout.readline():
                    raise SystemExit("the worker did not start")
                beside = p95_ms(commits(store, seconds))
            finally:
                worker.kill()
                worker.communicate()
    print(f"a label: p95 {alone:.0f} ms alone, {beside:.0f} ms while a replay writes (aim 50 ms): ", end="")
    print(f"ratio {beside / alone:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        bare, whole = submits(make_world(Path(folder)))
    print(f"a submit: p95 {p95_ms(whole):.0f} ms, a bare row {p95_ms(bare):.0f} ms: ", end="")
    print(f"ratio {p95_ms(whole) / p95_ms(bare):.1f} (aim 6)")


if __name__ == "__main__":
    main()
