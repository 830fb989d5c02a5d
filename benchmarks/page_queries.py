"""Measure what pages ask of a store with a million comparisons.

Run from the repository: python benchmarks/page_queries.py FOLDER [comparisons]
The store is made in FOLDER once, which takes some minutes, and used again. Wall-clock is that of this
machine as busy as it is; processor time, over all threads, is steadier.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from page_world import CANDIDATE, MILLION, TASKS, lay_in, workspace_at

from workbench.scoring.case_filters import case_filter, pool_of, values_of
from workbench.scoring.tables import field_tables, label_tables
from workbench.store import Store, cases, replay_facts
from workbench.store.facets import facets, verdict_counts

RUNS = 9
SAMPLE = 20_000
FILTERS: dict[str, dict[str, str]] = {
    "everything": {},
    "one verdict and language": {"verdict": "mismatch", "language": "de"},
    "a slice by length": {"by": "input_length", "value": ""},
    "labelled": {"label": "any"},
    "an error": {"error": "timeout"},
    "search": {"search": "order 77777?"},
}


def measured(name: str, ask: Callable[[], Any]) -> Any:
    """Print how long a question takes, and return its answer."""
    walls, processors = [], []
    answer = None
    for _ in range(RUNS):
        used, started = time.process_time(), time.perf_counter()
        answer = ask()
        processors.append(1e3 * (time.process_time() - used))
        walls.append(1e3 * (time.perf_counter() - started))
    print(f"  {name:<42} {statistics.median(processors):6.0f} ms processor {max(walls):6.0f} ms at most")
    return answer


def main(folder: Path, comparisons: int) -> None:
    """Make the store where there is none, and print a line a question."""
    workspace = workspace_at(folder)
    is_new = not workspace.store_path.is_file()
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        if is_new:
            lay_in(workspace, store, comparisons)
        for task in TASKS:
            print(task)
            pool = pool_of(workspace, task, CANDIDATE)
            measured("verdicts", lambda pool=pool: verdict_counts(store, pool))
            measured("facets", lambda pool=pool: facets(store, pool))
            for name, asked in FILTERS.items():
                if "value" in asked:
                    asked = asked | {"value": _commonest(workspace, store, task)}
                chosen = case_filter(workspace, store, task, CANDIDATE, asked)
                measured(f"count: {name}", lambda c=chosen, p=pool: cases.matching(store, p, c))
                rows = measured(f"page: {name}", lambda c=chosen, p=pool: cases.case_page(store, p, c))
                if not asked:
                    measured("a case", lambda p=pool, call=rows[0].call_id: cases.case(store, p, call))
            measured("similarity", lambda pool=pool: cases.score_bins(store, pool))
            config, fingerprint = workspace.eval_for(task), pool.candidate_fingerprint
            if config.kind == "label":
                measured("label tables", lambda c=config, f=fingerprint: label_tables(store, c, f))
            elif config.kind == "fields":
                measured(
                    "field tables, sampled",
                    lambda c=config, f=fingerprint: field_tables(store, c, f, sample=SAMPLE),
                )
            replay = store.value("SELECT replay_id FROM replays WHERE task = ? ORDER BY seq LIMIT 1", [task])
            measured("times of a replay", lambda r=replay: replay_facts.times_of(store, r))
            measured("pace of a replay", lambda r=replay: replay_facts.pace_of(store, r))
            measured("errors of a replay", lambda r=replay: replay_facts.errors_of(store, r))


def _commonest(workspace: Any, store: Store, task: str) -> str:
    return next(iter(values_of(workspace, store, task, CANDIDATE, "input_length")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else MILLION)
