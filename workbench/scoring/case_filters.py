"""What to look at of a candidate's cases, as words: the same in a link, on the command line and in Python."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.access import requires
from workbench.compare import evaluator_version
from workbench.config import Workspace
from workbench.errors import UsageError, did_you_mean
from workbench.records import ErrorKind, LabelVerdict, Verdict
from workbench.roles import Right
from workbench.scoring.found import found_members
from workbench.slices import KNOWN_KEYS, name_of
from workbench.specs import EvalConfig, SliceRule
from workbench.store.cases import CaseFilter, Pool
from workbench.store.slicing import slicing

if TYPE_CHECKING:
    from workbench.store import Store

FOUND = "found:"
"""Before the name of a slice that nobody declared."""
SEARCH_CHARS = 200
KNOWN = {
    "verdict": "match, mismatch, ignored or uncomparable",
    "language": "a code such as de",
    "flag": "what a comparison noticed",
    "label": "a verdict of people, any or none",
    "search": "a text in request or answers",
    "similarity": "a range such as 0.5..0.8",
    "frontier": "the frontier's answer, one of the labels",
    "answer": "the candidate's answer, one of the labels or (invalid)",
    "field": "the path of a field that differs",
    "error": "a kind of error of the candidate",
    "by": "what a slice is made by",
    "value": "the slice's value",
}
"""The words and what each takes."""
_PLAIN = {
    "language": "language",
    "flag": "flag",
    "frontier": "control_answer",
    "answer": "candidate_answer",
    "field": "field",
}


def pool_of(workspace: Workspace, task: str, candidate: str) -> Pool:
    """Return the comparisons of a candidate under the present eval and the present configuration.

    Raises:
        UsageError: The task or the candidate is not known.
    """
    config = workspace.eval_for(task)
    return Pool(task, workspace.fingerprint(workspace.candidate(candidate)), evaluator_version(config))


def rules_by_name(config: EvalConfig) -> dict[str, SliceRule]:
    """Return what a task's cases can be split by without a search: declared rules before known ones."""
    known = {by: SliceRule(by) for by in KNOWN_KEYS if "." not in by}
    return {name_of(rule): rule for rule in config.slices} | {
        name: rule
        for name, rule in known.items()
        if all(rule.by != declared.by and name != name_of(declared) for declared in config.slices)
    }


@requires(Right.SEE, Right.READ)
def case_filter(
    workspace: Workspace, store: Store, task: str, candidate: str, asked: Mapping[str, str]
) -> CaseFilter:
    """Return a filter from its words.

    Args:
        workspace: Names the eval and the candidate.
        store: Knows the slices.
        task: The task.
        candidate: The candidate's name.
        asked: Values by the words of `KNOWN`; empty ones are no filter.

    Raises:
        UsageError: A word or its value is not known.
    """
    given = {word: value for word, value in asked.items() if value}
    for word in given:
        if word not in KNOWN:
            raise UsageError(
                f"Cases have no filter {word!r}.",
                did_you_mean(word, KNOWN),
            )
    allowed: dict[str, list[str]] = {
        "verdict": [*Verdict],
        "label": ["any", "none", *LabelVerdict],
        "error": [*ErrorKind],
    }
    for word, options in allowed.items():
        if word in given and given[word] not in options:
            raise UsageError(
                f"{word} = {given[word]!r} is unknown.",
                did_you_mean(given[word], options),
            )
    chosen = CaseFilter(
        verdict=given.get("verdict"),
        label=given.get("label"),
        error=given.get("error"),
        search=given.get("search", "")[:SEARCH_CHARS].strip(),
        **{name: given.get(word) for word, name in _PLAIN.items()},  # type: ignore[arg-type]
    )
    if "similarity" in given:
        least, most = _span(given["similarity"])
        chosen = replace(chosen, least=least, most=most)
    if "value" in given and "by" not in given:
        raise UsageError("A slice's value needs what the slice is made by.", "Add by=NAME.")
    if "by" in given and "value" in given:
        chosen = replace(chosen, **_slice(workspace, store, task, candidate, given["by"], given["value"]))
    return chosen


@requires(Right.SEE, Right.READ)
def values_of(workspace: Workspace, store: Store, task: str, candidate: str, by: str) -> dict[str, int]:
    """Return the values of a slice with their calls, the commonest first; empty where there is no such slice.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds the calls.
        task: The task.
        candidate: The candidate's name.
        by: A rule's name, or `FOUND` and the name of a slice that was found. Calls are those of the
            task's log, of found slices the compared ones.
    """
    if by.startswith(FOUND):
        members = found_members(workspace, store, task, candidate, by.removeprefix(FOUND))
        counts = {value: len(calls) for value, calls in members.items()}
        return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))
    rule = rules_by_name(workspace.eval_for(task)).get(by)
    found = slicing(store, task, rule) if rule else None
    return found.counts if found else {}


def _slice(
    workspace: Workspace, store: Store, task: str, candidate: str, by: str, value: str
) -> dict[str, Any]:
    if by.startswith(FOUND):
        members = found_members(workspace, store, task, candidate, by.removeprefix(FOUND))
        if value in members:
            return {"calls": members[value]}
        raise _no_value(by, value, members)
    rules = rules_by_name(workspace.eval_for(task))
    if by not in rules:
        raise UsageError(f"No slice is made by {by!r}.", did_you_mean(by, rules))
    found = slicing(store, task, rules[by])
    part = found.part(value) if found else None
    if part is None:
        raise _no_value(by, value, found.counts if found else ())
    return {"part": part}


def _no_value(by: str, value: str, known: Iterable[str]) -> UsageError:
    return UsageError(f"The slice {by} has no value {value!r}.", did_you_mean(value, known))


def _span(text: str) -> tuple[float, float]:
    try:
        least, most = (float(each) for each in text.split(".."))
        if not (math.isfinite(least) and math.isfinite(most) and least <= most):
            raise ValueError
    except ValueError:
        raise UsageError(f"similarity = {text!r} is no range.", "Write it as 0.5..0.8.") from None
    return least, most
