"""Measure importing: a log into the store, against DuckDB reading the same file into a table.

Both run as commands of their own, in turns. The ratio is that of the least time of each, since
whatever else runs on the machine only adds to it; the ratio of every round and the processor time of
both stand beside it. The log is made of plain chat pairs with prompts of some hundred words. Memory is
that of the import and all of its processes together, sampled from /proc.
"""

from __future__ import annotations

import json
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from measures import Figures

RATIO = 0.3
MEMORY_MB = 1024.0
WORDS = re.findall(
    r"\w+",
    "order parcel invoice late refund please when where delivery card charged twice account login reset "
    "password thanks hello shipping address change cancel subscription month price broken screen battery "
    "return label warehouse agent waiting week still nothing arrived wrong colour size exchange question",
)
BARE = """
import sys, duckdb
connection = duckdb.connect(sys.argv[2])
connection.execute("SET temp_directory = ''")
connection.execute(f"CREATE TABLE log AS FROM read_json('{sys.argv[1]}', format = 'newline_delimited')")
connection.execute("CHECKPOINT")
"""


def write_log(path: Path, megabytes: int) -> int:
    """Write a log of about so many megabytes; return how many calls it holds."""
    dice = random.Random(3)  # noqa: S311 - words, no secret
    prompts = [" ".join(dice.choices(WORDS, k=150)) for _ in range(8)]
    count = written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < megabytes << 20:
            words = " ".join(dice.choices(WORDS, k=dice.randint(20, 200)))
            record = {
                "timestamp": 1_750_000_000 + 7 * count,
                "latency_ms": dice.randint(200, 3_000),
                "metadata": {"task": f"task-{count % 5}", "tenant": f"tenant-{count % 17}"},
                "request": {
                    "model": "gpt-4o",
                    "messages": [
                        {"role": "system", "content": prompts[count % 8]},
                        {"role": "user", "content": f"{words}, order {count}."},
                    ],
                    "temperature": 0,
                },
                "response": {
                    "id": f"chatcmpl-{count}",
                    "created": 1_750_000_000 + 7 * count,
                    "model": "gpt-4o-2024-11-20",
                    "choices": [
                        {
                            "index": 0,
                            "message": {"role": "assistant", "content": " ".join(dice.choices(WORDS, k=12))},
                            "finish_reason": "stop",
                        }
                    ],
                    "usage": {"prompt_tokens": 300, "completion_tokens": 15},
                },
            }
            written += file.write(json.dumps(record) + "\n")
            count += 1
    return count


class Watch:
    """Takes the seconds since it was made: of the clock, and of the processors for commands that ended."""

    def __init__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), _children_s()

    def read(self) -> tuple[float, float]:
        """Return both."""
        return time.perf_counter() - self._clock, _children_s() - self._cpu


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bare(log: Path, folder: Path) -> tuple[float, float]:
    """Return the seconds that DuckDB takes for a table of the log, by the clock and of the processors."""
    watch = Watch()
    subprocess.run([sys.executable, "-c", BARE, str(log), str(folder / "bare.duckdb")], check=True)  # noqa: S603
    took = watch.read()
    (folder / "bare.duckdb").unlink()
    return took


def imported(log: Path, folder: Path, calls: int) -> tuple[float, float, float]:
    """Return the seconds of `workbench import` into a new workspace, as `bare`, and its peak memory in MB."""
    space = folder / "space"
    command = [sys.executable, "-m", "workbench"]
    subprocess.run([*command, "init", str(space)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    watch = Watch()
    with subprocess.Popen(  # noqa: S603
        [*command, "import", str(log), "--workspace", str(space), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        peak = Peak(process.pid)
        said, _ = process.communicate()
        peak.stop()
    took_s, cpu_s = watch.read()
    accepted = json.loads(said)["accepted"]
    if accepted != calls:
        raise SystemExit(f"{accepted:,} of {calls:,} calls were imported")
    shutil.rmtree(space)
    return took_s, cpu_s, peak.megabytes


class Peak:
    """Samples the memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        self.megabytes = 0.0
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        """End the sampling."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.megabytes = max(self.megabytes, _tree_mb(self._pid))


def _tree_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = [
            int(each)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for each in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    # Memory that maps a file is the system's to take back: a part of the import, or a library.
    own = sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))
    return own / 1024 + sum(map(_tree_mb, children))


def measure(figures: Figures, megabytes: int, rounds: int = 3) -> None:
    """Print import against DuckDB's own reading, and the memory of the import."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log.jsonl"
        calls = write_log(log, megabytes)
        found = [(bare(log, folder), imported(log, folder, calls)) for _ in range(rounds)]
    bare_s, ours_s = (min(each[side][0] for each in found) for side in (0, 1))
    bare_cpu_s, ours_cpu_s = (min(each[side][1] for each in found) for side in (0, 1))
    rounds_told = ", ".join(f"{theirs[0] / ours[0]:.2f}" for theirs, ours in found)
    detail = (
        f"{calls:,} calls of {megabytes:,} MB: {ours_s:.1f} s, {calls / ours_s:,.0f}/s; DuckDB "
        f"{bare_s:.1f} s; rounds {rounds_told}; processor time {ours_cpu_s:.1f} s against {bare_cpu_s:.1f} s"
    )
    figures.ratio("import against DuckDB read_json", bare_s / ours_s, RATIO, detail)
    peak = max(ours[2] for _, ours in found)
    figures.ratio("MB of memory an import takes", peak, MEMORY_MB, f"of {megabytes:,} MB", at_most=True)
