"""Few human labels and a judge's verdict on everything, on real answers: what the interval covers.

Reads `llmbar` (two answers to an instruction, which one people prefer, and what LLM judges said in
both orders), `judge_bench` (summaries rated by several people: the first stands for a judge) and `negation`
(sentences and their negations) below the folder named by WORKBENCH_DATA.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.stats.prediction import ppi_mean

Floats = NDArray[np.float64]
LABELS = 100
DRAWS = 200
DELTA = 0.025
"""Of each limit: the interval holds at 95 %."""


@dataclass(frozen=True, slots=True)
class Judged:
    """People's verdicts and a judge's on the same items, both in 0..1."""

    source: str
    judge: str
    people: Floats
    verdicts: Floats

    @property
    def truth(self) -> float:
        """Return the rate that all labels together say."""
        return float(self.people.mean())


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often an interval from few labels held the rate that all labels say.

    `alone` says whether the interval that a judge alone would give holds it: all its verdicts taken for
    labels. `width` is the mean width against that of the labels without the judge.
    """

    judged: Judged
    covered: int
    draws: int
    width: float
    judge_rate: float
    alone: bool


def folder(name: str) -> Path | None:
    """Return the folder of one set of real data, or None where it is absent."""
    named = os.environ.get("WORKBENCH_DATA")
    found = Path(named) / name if named else None
    return found if found is not None and found.is_dir() else None


def llmbar(path: Path) -> Iterator[Judged]:
    """Yield each judge with its items; 1 stands for "the first answer is better"."""
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in (path / "llmbar_vanilla.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for name in sorted({judge for row in rows for judge in row["judges"]}):
        for orders, keys in (("both orders", ("winner", "winner_swapped")), ("one order", ("winner",))):
            items = [
                (float(str(row["gold"]) == "1"), verdict)
                for row in rows
                if (verdict := verdict_of(row["judges"].get(name), keys)) is not None
            ]
            if len(items) >= 2 * LABELS:
                people, verdicts = zip(*items, strict=True)
                yield Judged("LLMBar", f"{name}, {orders}", np.asarray(people), np.asarray(verdicts))


def verdict_of(said: dict[str, Any] | None, keys: tuple[str, ...]) -> float | None:
    """Return the mean of the verdicts in some orders; None where one can't be read: that is no tie."""
    found = [str((said or {}).get(key)) for key in keys]
    return statistics.mean(each == "1" for each in found) if set(found) <= {"1", "2"} else None


def newsroom(path: Path) -> Iterator[Judged]:
    """Yield each dimension: the first person stands for a judge, the mean of the others is the truth."""
    instances = json.loads((path / "newsroom.json").read_text(encoding="utf-8"))["instances"]
    for name in sorted(instances[0]["annotations"]):
        scores = [each["annotations"][name].get("individual_human_scores") or [] for each in instances]
        numbers = [[float(value) for value in each if value is not None] for each in scores]
        known = [each for each in numbers if len(each) >= 2]
        if len(known) >= 2 * LABELS:
            yield Judged(
                "Newsroom",
                f"one of the raters, {name}",
                np.asarray([statistics.mean(each[1:]) > 3 for each in known], dtype=np.float64),
                np.asarray([each[0] > 3 for each in known], dtype=np.float64),
            )


def covers(judged: Judged, draws: int = DRAWS, labels: int = LABELS, seed: int = 0) -> Coverage:
    """Return how often the interval from a few drawn labels and all verdicts holds the full-label rate."""
    dice = np.random.default_rng(seed)
    n = judged.people.size
    covered, widths = 0, []
    for _ in range(draws):
        order = dice.permutation(n)
        drawn, rest = order[:labels], order[labels:]
        found, _ = ppi_mean(judged.people[drawn], judged.verdicts[drawn], judged.verdicts[rest], DELTA)
        plain, _ = ppi_mean(judged.people[drawn], judged.verdicts[drawn], [], DELTA)
        covered += found.low <= judged.truth <= found.high
        widths.append((found.high - found.low) / (plain.high - plain.low))
    alone, _ = ppi_mean(judged.verdicts, judged.verdicts, [], DELTA)
    return Coverage(
        judged,
        covered,
        draws,
        statistics.mean(widths),
        float(judged.verdicts.mean()),
        alone.low <= judged.truth <= alone.high,
    )


def negations(path: Path, most: int = 300) -> list[tuple[str, str]]:
    """Return pairs of a sentence and its negation."""
    pairs = []
    for name in ("glue_diagnostic.tsv", "nan_nli.tsv"):
        with (path / name).open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            pairs += [(row["sentence"], row["negated"]) for row in rows]
    return pairs[:most]
