"""The decision on real answers with human truth: who is clearly worse must stay where it is.

Reads `textclass` below the folder named by WORKBENCH_DATA: answers of many models to three
text classification tasks, with gold labels. The control is one GPT-4o, the candidates are
the open models of at most 14 billion parameters by their names. Reviewers are played by
the gold labels: they look at disagreements in audit order, so many and no more.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from workbench import ramp
from workbench.records import Basis, LabelVerdict, Policy
from workbench.stats.audit import AuditRow, from_rows
from workbench.stats.paired import tango

TASKS = ("policy_ES", "sust_finance_EN", "technology_EN")
CONTROL = "gpt-4o-2024-11-20"
SMALL = (
    "aya-expanse",
    "command-r7b-arabic",
    "deepseek-r1_8b",
    "dolphin3",
    "exaone3.5",
    "falcon3_10b",
    "ft-ModernBERT-policy-agenda-English",
    "ft-XLM-RoBERTa-policy-agenda-English",
    "gemma2",
    "gemma3",
    "gemma3_12b",
    "glm4",
    "granite3.1-dense",
    "granite3.1-moe",
    "granite3.2",
    "granite3.3",
    "granite3.3_2b",
    "hermes3",
    "llama3.1",
    "llama3.2",
    "marco-o1",
    "ministral-8b-2410",
    "mistral",
    "mistral-nemo",
    "mistral-openorca",
    "nemotron-mini",
    "nous-hermes2",
    "olmo2",
    "olmo2_13b",
    "open-codestral-mamba",
    "openthinker",
    "orca2",
    "phi3_14b",
    "phi4",
    "phi4-mini",
    "pixtral-12b-2409",
    "qwen2.5",
    "qwen2.5_14b",
    "qwen3",
    "qwen3_14b",
    "sailor2",
    "tulu3",
    "xlm-roberta-large-english-legislative-cap-v3",
    "yi",
    "yi_9b",
)
"""Open weights, at most 14 billion parameters: llama3.1, llama3.2, qwen2.5, mistral, yi and others without a
size in their name are the sizes that the benchmark's own names say (8, 3, 7, 7 and 6 billion)."""
LABELS = (0, 1, 3, 6, 10, 15, 20, 25, 50, 75, 100, 150, 200, 250, 300)
"""How many disagreements a reviewer has judged when somebody looks: often at first, where luck is largest."""
DAYS = 30.0
GOAL = 0.25
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Pair:
    """A task and a candidate, with how often each side alone is right (of n)."""

    task: str
    candidate: str
    n: int
    worse: int
    better: int
    disagreements: int

    @property
    def loss(self) -> float:
        """Return how much less accurate the candidate is than the control, 0..1."""
        return (self.worse - self.better) / self.n

    @property
    def provably_worse(self) -> bool:
        """Say whether the paired accuracy is more than 5 points lower, 95 % sure (Tango 1998, one-sided)."""
        return tango(self.worse, self.better, self.n, 1 - LEVEL).low > Policy().tolerance


@dataclass(frozen=True, slots=True)
class Step:
    """What the decision said with so many labels: share from none, cap, upper bound, and what held it."""

    labels: int
    share: float
    cap: float
    high: float
    held_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """What the decision said while labels came in, for one kind of harm."""

    pair: Pair
    harm: str
    steps: tuple[Step, ...]

    @property
    def highest_share(self) -> float:
        """Return the largest share ever recommended from none."""
        return max(each.share for each in self.steps)

    @property
    def final_cap(self) -> float:
        """Return what the evidence supports with all labels."""
        return self.steps[-1].cap

    @property
    def truth(self) -> float:
        """Return what all labels together say of the kind of harm that the bound is on."""
        return self.pair.loss if self.harm == "net" else self.pair.worse / self.pair.n

    @property
    def ever_broken(self) -> bool:
        """Say whether the bound was below the truth at any look."""
        return any(each.high < self.truth - 1e-12 for each in self.steps)

    @property
    def labels_to_goal(self) -> int | None:
        """Return with how many labels the cap is at 25 % and stays there; None if it never is."""
        found = None
        for each in reversed(self.steps):
            if each.cap < GOAL:
                break
            found = each.labels
        return found


def data_folder() -> Path | None:
    """Return the folder with the real data, or None where it is absent."""
    named = os.environ.get("WORKBENCH_DATA")
    folder = Path(named) / "textclass" if named else None
    return folder if folder is not None and folder.is_dir() else None


@lru_cache(maxsize=4)
def read(path: Path) -> tuple[dict[str, str], ...]:
    """Return the rows of one task's file."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def pairs(folder: Path) -> Iterator[Pair]:
    """Yield every task and candidate."""
    for task in TASKS:
        rows = read(folder / f"{task}.csv")
        for name in SMALL:
            if name in rows[0]:
                yield _pair(task, name, rows)


def _pair(task: str, name: str, rows: tuple[dict[str, str], ...]) -> Pair:
    worse = sum(row[CONTROL] == row["gold"] != row[name] for row in rows)
    better = sum(row[CONTROL] != row["gold"] == row[name] for row in rows)
    differing = sum(row[CONTROL] != row[name] for row in rows)
    return Pair(task, name, len(rows), worse, better, differing)


def judge(control: str, candidate: str, gold: str) -> LabelVerdict:
    """Return what a reviewer who knows the right answer says."""
    if control == gold:
        return LabelVerdict.EQUAL if candidate == gold else LabelVerdict.CONTROL_BETTER
    return LabelVerdict.CANDIDATE_BETTER if candidate == gold else LabelVerdict.BOTH_BAD


def audit_rows(rows: tuple[dict[str, str], ...], candidate: str, labels: int) -> list[AuditRow]:
    """Return the compared calls with the first so many disagreements judged in audit order."""
    found = []
    for row in sorted(rows, key=lambda row: _key(candidate, row["row"])):
        control, answer = row[CONTROL], row[candidate]
        verdict = None
        if control != answer and labels > 0:
            verdict, labels = judge(control, answer, row["gold"]), labels - 1
        found.append(
            AuditRow(
                call_id=row["row"],
                batch=1,
                audit_key=_key(candidate, row["row"]),
                agrees=control == answer,
                identical=control == answer,
                invalid=not answer,
                request_hash=hashlib.sha256(row["text"].encode()).hexdigest(),
                verdict=verdict,
                control_group=control,
                candidate_group=answer or None,
            )
        )
    return found


def _key(candidate: str, row: str) -> str:
    return hashlib.sha256(f"{candidate}\0{row}".encode()).hexdigest()


@lru_cache(maxsize=2)
def courses(folder: Path) -> tuple[Course, ...]:
    """Return the course of every pair, by regressions and by net harm."""
    found = []
    for pair in pairs(folder):
        rows = read(folder / f"{pair.task}.csv")
        steps: dict[str, list[Step]] = {"regressions": [], "net": []}
        for labels in LABELS:
            evidence = from_rows(audit_rows(rows, pair.candidate, labels), basis=Basis.STRUCTURAL, days=DAYS)
            for harm, course in steps.items():
                answer = ramp.recommend(evidence, Policy(harm=harm))
                high = answer.net.high if harm == "net" else answer.harm.high
                held = tuple(each.name for each in answer.guards if not each.ok)
                course.append(Step(labels, answer.share, answer.cap, high, held))
            if labels >= pair.disagreements:
                break
        found += [Course(pair, harm, tuple(course)) for harm, course in steps.items()]
    return tuple(found)
