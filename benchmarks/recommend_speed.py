"""Measure a recommendation: a million compared calls of one task, about twenty slices, two thousand labels.

Timed is the use case in a process of its own, which has asked nothing before: evidence read and weighed,
every slice and guard, the decision and its hash. Opening the file is told beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measures import Figures
from page_world import CANDIDATE, MILLION, lay_in, workspace_at

from workbench.config import Workspace
from workbench.scoring import recommend
from workbench.store import Store

SECONDS = 2.0
"""At most so long for a million comparisons."""
TASK, LABELS, ROUNDS = "triage", 2_000, 3


def measure(figures: Figures, count: int) -> None:
    """Print how long the first recommendation of a process takes, and the next one."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = workspace_at(Path(folder))
        with Store.open(workspace.store_path, spool=workspace.spool) as store:
            # Nine in ten comparisons are the candidate's.
            lay_in(workspace, store, int(count / 0.9), int(0.9 * LABELS), {TASK: 1.0})
        asked = [sys.executable, __file__, folder]
        rounds = [
            json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)  # noqa: S603
            for _ in range(ROUNDS)
        ]
    best = min(rounds, key=lambda each: float(each["first_s"]))
    detail = (
        f"best of {ROUNDS}; {best['processor_s']:.2f} s of processor; asked again {best['again_s']:.2f} s; "
        f"opening the store {best['open_s']:.2f} s; {best['slices']} slices"
    )
    name = f"seconds to recommend from {count:,} comparisons"
    figures.ratio(name, best["first_s"], SECONDS * count / MILLION, detail, at_most=True)


def timed(folder: Path) -> dict[str, float]:
    """Return what one process takes."""
    workspace = Workspace.load(folder)
    started = time.perf_counter()
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        found = {"open_s": time.perf_counter() - started}
        for name in ("first_s", "again_s"):
            started, used = time.perf_counter(), time.process_time()
            answer = recommend(workspace, store, TASK, CANDIDATE)
            found[name] = time.perf_counter() - started
            found.setdefault("processor_s", time.process_time() - used)
        return found | {"slices": len(answer.slices)}


if __name__ == "__main__":
    print(json.dumps(timed(Path(sys.argv[1]))))
