"""All benchmarks, each a ratio measured in one run, beside its bar.

Run from the repository: make bench, or python benchmarks/run.py [--only NAME ...] [--json FILE]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import capture_overhead
import compare_speed
import embed_speed
import import_speed
import recommend_speed
import replay_speed
import result_sink
import vllm_speed
from measures import Figures


def main() -> None:
    """Run what was asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=("speed", "sink", "vllm", "embed", "compare", "recommend", "import", "capture"),
        help="run these alone",
    )
    parser.add_argument("--calls", type=int, default=20_000, help="calls of each replay (20000)")
    parser.add_argument("--sink-calls", type=int, default=100_000, help="calls of the sink's replay (100000)")
    parser.add_argument("--vllm-calls", type=int, default=200, help="calls through vLLM (200)")
    parser.add_argument("--texts", type=int, default=1_500, help="distinct texts to embed (1500)")
    parser.add_argument("--pairs", type=int, default=1_000_000, help="label pairs to compare (1000000)")
    parser.add_argument("--megabytes", type=int, default=2_000, help="size of the log to import (2000)")
    parser.add_argument("--rounds", type=int, default=3, help="imports of that log (3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    given = parser.parse_args()
    figures = Figures(given.json)
    if not given.only or "speed" in given.only:
        replay_speed.measure(figures, given.calls)
    if not given.only or "sink" in given.only:
        result_sink.measure(figures, given.sink_calls)
    if not given.only or "vllm" in given.only:
        vllm_speed.measure(figures, given.vllm_calls)
    if not given.only or "embed" in given.only:
        embed_speed.measure(figures, given.texts)
    if not given.only or "compare" in given.only:
        compare_speed.measure(figures, given.pairs)
    if not given.only or "recommend" in given.only:
        recommend_speed.measure(figures, given.pairs)
    if not given.only or "import" in given.only:
        import_speed.measure(figures, given.megabytes, given.rounds)
    if not given.only or "capture" in given.only:
        capture_overhead.measure(figures)
    figures.write()


if __name__ == "__main__":
    main()
