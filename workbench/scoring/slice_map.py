"""How often a candidate differs from the frontier, by task and by value of one slice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.access import may, requires
from workbench.config import Workspace
from workbench.records import Estimate, Verdict
from workbench.roles import Right
from workbench.scoring.case_filters import pool_of, rules_by_name
from workbench.scoring.spread import effect_on, spread_of
from workbench.slices import KNOWN_KEYS
from workbench.stats import bounds
from workbench.store.cases import entry_verdicts
from workbench.store.slicing import slicing

if TYPE_CHECKING:
    from workbench.store import Store


@dataclass(frozen=True, slots=True)
class SliceCell:
    """One task and one value of a slice: how often the answers differ, of the compared calls."""

    task: str
    value: str
    differing: Estimate


def tasks_of(workspace: Workspace, replayed: Iterable[tuple[str, str]], candidate: str) -> tuple[str, ...]:
    """Return the tasks of a candidate that whoever asks may see, of all tasks and candidates replayed.

    Args:
        workspace: Names the evals.
        replayed: Pairs of task and candidate (see `store.pages.replayed`).
        candidate: The candidate's name.
    """
    return tuple(
        task
        for task, name in replayed
        if name == candidate and task in workspace.evals and may(Right.SEE, task)
    )


def slice_names(workspace: Workspace, tasks: tuple[str, ...]) -> tuple[str, ...]:
    """Return by what the calls of any of the tasks can be split, the declared first.

    Args:
        workspace: Names the evals.
        tasks: The tasks.
    """
    names = [name for task in tasks for name in rules_by_name(workspace.eval_for(task))]
    known = [name for name in KNOWN_KEYS if name in names]
    return tuple(dict.fromkeys([*(name for name in names if name not in known), *known]))


@requires(Right.SEE)
def slice_map(workspace: Workspace, store: Store, task: str, candidate: str, by: str) -> list[SliceCell]:
    """Return how often a candidate's answers differ, for every value of a slice of one task.

    What differs need not be worse: this shows where to look, and harm decides.

    Args:
        workspace: Names eval and candidate.
        store: Holds calls and comparisons.
        task: The task.
        candidate: The candidate's name.
        by: Name of a slice.

    Returns:
        Cells with at least one compared call, the commonest value first; none where the task can't be
        split by it. Limits hold for one look; counts are divided by the design effect of the task's
        sessions and equal requests.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    config = workspace.eval_for(task)
    rule = rules_by_name(config).get(by)
    pool = pool_of(workspace, task, candidate)
    split = slicing(store, task, rule) if rule else None
    if rule is None or split is None:
        return []
    compared: Counter[str] = Counter()
    differing: Counter[str] = Counter()
    for entry, verdict, n in entry_verdicts(store, pool, rule):
        if verdict == Verdict.UNCOMPARABLE or entry not in split.entries:
            continue
        value = split.entries[entry]
        compared[value] += n
        differing[value] += n * (verdict == Verdict.MISMATCH)
    effect = spread_of(store, config, pool.candidate_fingerprint).agreement
    delta = config.policy.delta
    return [
        SliceCell(task, value, bounds.exact(differing[value], n, delta, deff=effect_on(effect, n)))
        for value, n in compared.most_common()
    ]
