"""The whole review with a reviewer whose answers are known: the queue, overlap, conflicts, decisions.

Logs are imported, candidates replayed and compared, and people answer by the use cases that the app
calls. They put aside what is harmful more often than what is not, let items lapse, and err half of the time
where somebody else judges the pair, too. Disputes are decided, some of them wrongly at
first. What the decision would say is looked at again and again, and the lowest bound of a run is held against
two truths: the harm of the compared calls, and the rate with which harm was dealt out. The second is the
harder one, since no label tells anything of it but by chance.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest.mock import patch
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from scipy.stats import beta, binom

from evals.truth.table import PROMISE, Row, Size, compared, generator, spread, target
from workbench import Workbench, review, scoring
from workbench.records import LabelVerdict
from workbench.review.states import scope_of
from workbench.stats import bounds
from workbench.stats.harm import regressions

STRUCTURAL_NAME, SEMANTIC_NAME = "structural review", "semantic review"
RUNS, RUNS_FULL, RUNS_SMALL = 30, 300, 3
BATCH = 15
"""Runs that share a workspace: a candidate each. More of them would slow each other down."""
CALLS, STEPS, LOOK_EVERY = 100, 30, 6
LEVELS = (0.05, 0.2)
CHANCE = 0.001
"""Chance that bounds which miss exactly as often as promised miss the bar."""
FOUND_OUT = 0.9
"""Chance with which a bound that errs as often as the table says would have been found out."""
PEOPLE = ("mia", "noor")
LEAD = "ada"

_EVALS = {
    "topics": 'task = "topics"\nkind = "label"\nlabels = ["a", "b"]\n[review]\ndouble_share = 0.4\n',
    "names": (
        'task = "names"\nkind = "fields"\n[[fields]]\npath = "name"\ncompare = "fuzzy"\nminimum = 0.8\n'
        "[review]\ndouble_share = 0.4\n"
    ),
}
_PLANS = {
    "topics": "structural plan, half of 100 pairs differ, 30 % harm",
    "names": "semantic plan, half of 100 pairs differ, 35 % harm, most of it in what agrees",
}
_RATES = {"topics": (0.0, 0.6), "names": (0.5, 0.2)}
"""How often an answer is harmful where it agrees, and where it differs."""


def structural_rows(size: Size) -> Iterator[Row]:
    """Return how often bounds of an audit in order were ever below the truth."""
    return _rows(STRUCTURAL_NAME, "topics", size)


def semantic_rows(size: Size) -> Iterator[Row]:
    """Return how often bounds from the mix of strata were ever below the truth."""
    return _rows(SEMANTIC_NAME, "names", size)


def bar_of(level: float, runs: int) -> float:
    """Return the largest share of misses that a bound which keeps its level shows, but for `CHANCE`.

    Args:
        level: The promised error.
        runs: How many independent runs.
    """
    return float(binom.ppf(1 - CHANCE, runs, level)) / runs


def found_out(level: float, runs: int) -> float:
    """Return the least true error that misses the bar with probability `FOUND_OUT`; exact.

    Args:
        level: The promised error.
        runs: How many independent runs.
    """
    allowed = round(bar_of(level, runs) * runs)
    # More than `allowed` of `runs` miss exactly when a beta quantile lies below the rate.
    return float(beta.ppf(FOUND_OUT, allowed + 1, runs - allowed)) if allowed < runs else 1.0


def _rows(name: str, task: str, size: Size) -> Iterator[Row]:
    runs = RUNS_SMALL if size.scale < 1 else RUNS_FULL if size.scale > 1 else RUNS
    missed: Counter[tuple[str, float]] = Counter()
    naive, heights, doubled, decided = 0, [], 0, 0
    for found in _runs(task, runs):
        for level in LEVELS:
            lowest = min(look[level] for look in found.looks)
            missed["pool", level] += lowest < found.truth
            missed["rate", level] += lowest < found.rate
        naive += found.naive < found.rate
        heights.append(found.looks[-1][LEVELS[1]])
        doubled, decided = doubled + found.doubled, decided + found.decided
    world = f"{_PLANS[task]}; two reviewers, a look after every 6th of 30 acts"
    for level in LEVELS:
        bar = bar_of(level, runs)
        for what, of in (("pool", "harm of the compared calls"), ("rate", "rate of harm")):
            promise = f"bound of {1 - level:.0%} ever below the {of}"
            n = missed[what, level]
            # So few runs may tell nothing: a bar that nothing misses is none.
            shown = bar if bar < 1 else None
            yield Row(name, world, promise, n / runs, spread(n, runs), shown, kind=PROMISE, level=level)
        yield compared(
            name,
            world,
            f"true error of that bound found out 9 times in 10: {1 - level:.0%}",
            found_out(level, runs),
        )
    yield compared(
        name,
        world,
        "labels as they are, exact 80% bound, last look, below the rate of harm",
        naive / runs,
        spread(naive, runs),
    )
    yield target(name, world, "bound of 80% at the last look, mean", float(np.mean(heights)), 0.9, sense="<=")
    yield compared(name, world, "pairs judged by two people, a run", doubled / runs, None)
    yield compared(name, world, "disputes decided or decided anew, a run", decided / runs, None)


@dataclass
class _Found:
    """What one run showed: the bound by level at every look, and what labels alone would have said."""

    truth: float
    rate: float
    looks: list[dict[float, float]]
    naive: float
    doubled: int
    decided: int


class _Clock:
    def __init__(self) -> None:
        self.present = datetime(2026, 3, 2, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.present


def _runs(task: str, runs: int) -> Iterator[_Found]:
    """Play every run, `BATCH` of them in one workspace."""
    for start in range(0, runs, BATCH):
        yield from _batch(task, min(BATCH, runs - start), generator("review", task, start), start)


@contextmanager
def _named(run: str) -> Iterator[None]:
    """Let replays of this world be called by the run, and not by chance.

    What a replay is called decides the order in which its pairs are drawn: called by chance, no two runs of
    this program would draw the same.
    """
    name = SimpleNamespace(uuid4=lambda: uuid5(NAMESPACE_OID, run))
    with patch("workbench.replay.plan.uuid", name):
        yield


def _batch(task: str, runs: int, rng: np.random.Generator, names: int) -> Iterator[_Found]:
    """Import one log, and let each of as many candidates as there are runs answer it.

    Args:
        task: Which of the two plans.
        runs: How many.
        rng: Of what is dealt out and of what people do.
        names: How many runs there were before.
    """
    # Helpers of an import may still be closing their files.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        dealt = _write(root, task, runs, rng)
        with Workbench(root) as bench:
            bench.import_logs(
                [root / "log.csv"],
                task=task,
                mapping={"id": "row", "input": "question", "output": "answer"},
            )
            for run in range(runs):
                with _named(f"{task} {names + run}"):
                    bench.replay(task, f"c{run}", checks=False)
                bench.compare(task, f"c{run}")
                yield _Run(bench, task, f"c{run}", *dealt[run], rng).play()


def _write(root: Path, task: str, runs: int, rng: np.random.Generator) -> list[tuple[set[str], float]]:
    """Write a workspace, its log, and what each candidate answered.

    Returns:
        By candidate the harmful rows, and the rate they were dealt with. Calls of a structural audit come
        as they come; the mix of strata goes by the shares of what was compared.
    """
    differs = [rng.random(CALLS) < 0.5 for _ in range(runs)]
    rates = _RATES[task]
    with (root / "log.csv").open("w", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        log.writerow(["row", "question", "answer"])
        log.writerows(
            [f"r{place}", f"Question {place}?", _answer(task, place, False)] for place in range(CALLS)
        )
    parts, dealt = [], []
    for run, marks in enumerate(differs):
        with (root / f"c{run}.csv").open("w", newline="", encoding="utf-8") as file:
            answers = csv.writer(file)
            answers.writerow(["row", "out"])
            answers.writerows(
                [f"r{place}", _answer(task, place, bool(mark), run)] for place, mark in enumerate(marks)
            )
        parts.append(
            f'[[candidates]]\nname = "c{run}"\nengine = "recorded"\noutputs = "c{run}.csv"\n'
            'map = { id = "row", output = "out" }\n'
        )
        bad = rng.random(CALLS) < np.where(marks, rates[1], rates[0])
        share = 0.5 if task == "topics" else float(np.mean(marks))
        rate = (1 - share) * rates[0] + share * rates[1]
        dealt.append(({f"r{place}" for place in np.flatnonzero(bad).tolist()}, rate))
    (root / "workbench.toml").write_text("\n".join(parts), encoding="utf-8")
    home = root / "evals" / task
    home.mkdir(parents=True)
    (home / "eval.toml").write_text(_EVALS[task], encoding="utf-8")
    (home / "guidelines.md").write_text("Which is better?\n", encoding="utf-8")
    return dealt


def _answer(task: str, place: int, differs: bool, run: int = 0) -> str:
    if task == "topics":
        return "b" if differs else "a"
    name = f"Company number {place}"
    return json.dumps({"name": f"Nobody {run}" if differs else f"{name}."[: len(name) + bool(run % 2)]})


class _Run:
    """One candidate and those who review it."""

    def __init__(
        self,
        bench: Workbench,
        task: str,
        candidate: str,
        harmful: set[str],
        rate: float,
        rng: np.random.Generator,
    ) -> None:
        self.bench, self.task, self.candidate, self.rng = bench, task, candidate, rng
        self.where = (bench.workspace, bench.store, task, candidate)
        self.clock = _Clock()
        calls = bench.store.rows("SELECT call_id, native_id FROM calls WHERE task = ?", (task,))
        self.harmful = {row["call_id"] for row in calls if row["native_id"] in harmful}
        self.truth, self.rate = len(self.harmful) / CALLS, rate
        self.judged: Counter[str] = Counter()
        self.decided = 0

    def play(self) -> _Found:
        """Let people answer and decide, and look now and then."""
        desks: dict[str, review.ReviewItem | None] = {}
        looks = []
        for step in range(STEPS):
            who = PEOPLE[int(self.rng.integers(len(PEOPLE)))]
            item = desks.pop(who, None) or review.next_item(*self.where, who, now=self.clock)
            if item is not None:
                desks[who] = self._act(item, who)
            if step % LOOK_EVERY == LOOK_EVERY - 1:
                looks.append(self._look())
                self._decide()
        looks.append(self._look())
        plain = [
            each
            for each in self._states()
            if each.verdict and each.plan in (review.Plan.MIX, review.Plan.AUDIT)
        ]
        bad = sum(each.verdict is LabelVerdict.CONTROL_BETTER for each in plain)
        share = 0.5 if self.task == "topics" else 1.0
        naive = share * bounds.exact_upper(bad, len(plain), LEVELS[1]) if plain else 1.0
        doubled = sum(n > 1 for n in self.judged.values())
        return _Found(self.truth, self.rate, looks, naive, doubled, self.decided)

    def _act(self, item: review.ReviewItem, who: str) -> review.ReviewItem | None:
        """Answer an item as somebody careless would, or let it lie until it lapses."""
        bad, dice = item.call_id in self.harmful, float(self.rng.random())
        if dice < 0.04:
            self.clock.present += timedelta(minutes=11)
            return None
        skips = dice < (0.25 if bad else 0.05)
        # Only beside somebody else: what one person alone overlooks or imagines no bound can know, and
        # harm that is imagined would leave room for a bound that is too low.
        errs = bool(self.judged[item.call_id]) and self.rng.random() < 0.5
        said = "control_better" if bad is not errs else "equal"
        turn = review.answer(
            *self.where[:2], item, self.candidate, who, review.Answer(None if skips else said), now=self.clock
        )
        if not skips:
            self.judged[item.call_id] += 1
        if dice > 0.97:
            # Taken back, and judged again with the next act.
            self.judged[item.call_id] -= not skips
            return review.undo(*self.where, who, now=self.clock)
        return turn.following

    def _decide(self) -> None:
        """Decide most of the disputes; one in four wrongly at first, which is taken back."""
        for head in review.conflicts(*self.where, LEAD, now=self.clock):
            if head.barred or self.rng.random() < 0.3:
                continue
            bad = head.call_id in self.harmful
            for right in (False, True) if self.rng.random() < 0.25 else (True,):
                conflict = review.open_conflict(*self.where, LEAD, head.key, now=self.clock)
                verdict = "control_better" if bad is right else "equal"
                label = review.adjudicate(*self.where[:2], conflict, LEAD, verdict, now=self.clock)
                self.decided += 1
                if not right:
                    review.take_decision_back(self.bench.store, label, LEAD, now=self.clock)

    def _look(self) -> dict[float, float]:
        """Return the upper bound on harm by level, as the decision has it."""
        found = scoring.evidence(*self.where, moment=self.clock()).task
        return {level: regressions(found, level).estimate.high for level in LEVELS}

    def _states(self) -> list[review.DrawState]:
        return review.draw_states(self.bench.store, *scope_of(*self.where).params, now=self.clock)
