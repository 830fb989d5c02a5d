"""Which slices of a task go wrong for a candidate, though nobody declared them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from workbench import access
from workbench.access import requires
from workbench.config import Workspace
from workbench.embed import text_hash, vectors_of
from workbench.errors import ModelMissing
from workbench.normal import last_user_text, system_text
from workbench.progress import Listener, silent
from workbench.records import Basis, Policy, Request, from_json
from workbench.roles import Right
from workbench.routing import RoutingReport, features_of, route
from workbench.scoring.comparing import open_embedder
from workbench.scoring.confidences import chosen_signal, signals_of
from workbench.scoring.gathered import Gathered, gather_compared
from workbench.slices import OTHER, rare_as_other
from workbench.slices_found import (
    CLUSTER,
    FEWEST_CALLS,
    TAIL,
    TEMPLATE,
    FoundSlice,
    LengthLimit,
    clusters_and_tail,
    find,
    length_keys,
    length_limits,
    longest_within,
    numbers_for,
    ranked,
    without_words,
)
from workbench.slices_found.ranking import AT_MOST
from workbench.stats.audit import from_rows
from workbench.stats.wording import count, measured, plural
from workbench.store.calls import FRONTIER_MODEL

if TYPE_CHECKING:
    from workbench.embed import Embedder
    from workbench.store import Store

SHOWN = 20
LOG_AT_MOST = 20_000
"""Calls of the log from which shares of traffic are counted; more are drawn from."""
_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class FoundReport:
    """The slices found for a task and candidate, the worst first, and the longest safe input.

    `notes` say what could not be looked at, and why. Rates hold for all slices at once:
    each is `level` sure.
    """

    task: str
    candidate: str
    basis: Basis
    compared: int
    tolerance: float
    level: float
    slices: tuple[FoundSlice, ...]
    limit: LengthLimit | None
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the report as lines."""
        lines = [
            f"{self.task}, {self.candidate}: {plural(len(self.slices), 'slice')} of "
            f"{plural(self.compared, 'compared call')} looked at; tolerance {measured(self.tolerance)}."
        ]
        if not any(each.status == "bad" for each in self.slices):
            lines.append("No slice is proven to be worse than the tolerance.")
        known = [each for each in self.slices if each.harm.point is not None or each.harm.high < 1]
        lines += [f"  {each.status:<8} {each.sentence}" for each in known[:SHOWN]]
        rest = len(known) - SHOWN
        if rest > 0:
            lines.append(f"  and {count(rest)} more.")
        lines.append(self.limit.sentence if self.limit else "No input length is proven to be safe yet.")
        return "\n".join([*lines, *self.notes])


@requires(Right.SEE)
def found_slices(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    policy: Policy | None = None,
    similar: bool = True,
    wordless: bool = False,
    embedder: Callable[[str], Embedder] | None = None,
    seed: int = 0,
    listener: Listener = silent,
) -> FoundReport:
    """Find the slices of a task's compared calls in which a candidate does worst.

    Shares of traffic are those of the task's whole log; of a long one, of a random part. For those who
    may not read the text of its calls, templates and groups of similar inputs have numbers for names.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds calls, comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        policy: Another policy than the eval's own.
        similar: Whether similar inputs are looked at, which embeds all that are compared, for whoever may
            replay the task; for others they are looked at once that is done.
        wordless: Whether templates and groups have numbers for names in any case.
        embedder: Opens an embedder by name, for similar inputs; the eval's own without one.
        seed: Of the clusters.
        listener: Hears how many inputs are embedded.

    Raises:
        UsageError: Task or candidate is unknown, or no batch of it is compared.
    """
    gathered = gather_compared(workspace, store, task, candidate, policy)
    policy = gathered.policy
    compared = _calls(store, list(gathered.frame["call_id"]))
    log, whole = _log(store, task)
    slicings, shares = _known_before(compared, log)
    notes: tuple[str, ...] = ()
    if similar:
        model = workspace.eval_for(task).embedder
        texts = [each["text"] for each in compared]
        makes = access.may(Right.REPLAY, task)
        by_input, notes = _by_input(store, texts, model, embedder or open_embedder, seed, listener, makes)
        slicings |= by_input
    if not whole:
        notes = (*notes, f"Shares of traffic are from {count(len(log))} calls drawn from the task's log.")

    if wordless or not access.may(Right.READ, task):
        slicings, shares = without_words(slicings, shares)
    limits = length_limits([each["input_chars"] for each in compared])
    keys = {
        call["call_id"]: (
            *((name, values[place]) for name, values in slicings.items()),
            *length_keys(call["input_chars"], limits),
        )
        for place, call in enumerate(compared)
    }
    lengths = [each["input_chars"] for each in log]
    shares |= {
        (AT_MOST, str(limit)): sum(each is not None and each <= limit for each in lengths) / len(log)
        for limit in limits
    }
    evidence = from_rows(
        gathered.rows(keys),
        basis=gathered.basis,
        draws=gathered.draws,
        weight_max=gathered.weight_max,
        icc=policy.icc,
    )
    # Inputs outside the sample are not embedded: groups of similar ones keep their share of the sample.
    found = [
        replace(each, traffic_share=shares.get((each.name, each.value), each.traffic_share))
        for each in evidence.slices
    ]
    slices = ranked([each for each in found if each.name != AT_MOST], policy)
    parts = {int(each.value): each for each in found if each.name == AT_MOST}
    if not evidence.task.looked:
        notes = (*notes, _unlabelled(gathered.basis))
    return FoundReport(
        task=task,
        candidate=candidate,
        basis=gathered.basis,
        compared=evidence.task.compared,
        tolerance=policy.tolerance,
        level=1 - policy.delta / (len(slices) + 1),
        slices=slices,
        limit=longest_within(parts, policy, claims=len(slices)),
        notes=notes,
    )


@requires(Right.SEE, Right.READ)
def found_members(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    name: str,
    *,
    embedder: Callable[[str], Embedder] | None = None,
    seed: int = 0,
) -> dict[str, tuple[str, ...]]:
    """Return the compared calls of every value of a found slice, by value; empty where there is none.

    They are those that `found_slices` counts, so that a page can show what stands behind a figure.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds calls and comparisons.
        task: The task.
        candidate: The candidate's name.
        name: What the slice is made by.
        embedder: As for `found_slices`.
        seed: As for `found_slices`.

    Raises:
        UsageError: Task or candidate is unknown, or no batch of it is compared.
    """
    gathered = gather_compared(workspace, store, task, candidate, None)
    compared = _calls(store, list(gathered.frame["call_id"]))
    if name in (CLUSTER, TAIL):
        texts = [each["text"] for each in compared]
        model = workspace.eval_for(task).embedder
        makes = access.may(Right.REPLAY, task)
        slicings, _ = _by_input(store, texts, model, embedder or open_embedder, seed, silent, makes)
    else:
        slicings, _ = _known_before(compared, _log(store, task)[0])
    members: dict[str, list[str]] = {}
    for call, value in zip(compared, slicings.get(name, ()), strict=False):
        members.setdefault(value, []).append(call["call_id"])
    return {value: tuple(calls) for value, calls in members.items()}


@requires(Right.SEE)
def routing_rule(
    workspace: Workspace,
    store: Store,
    task: str,
    candidate: str,
    *,
    policy: Policy | None = None,
    seed: int = 0,
) -> RoutingReport:
    """Learn where to send a task's calls before the candidate is asked, and prove it on other calls.

    The candidate's confidence, where most of its answers have one, is set beside the rule. For those who
    may not read the text of its calls, templates have numbers for names.

    Args:
        workspace: Names the eval and the candidate.
        store: Holds calls, comparisons, draws and labels.
        task: The task.
        candidate: The candidate's name.
        policy: Another policy than the eval's own.
        seed: Of the two halves.

    Raises:
        UsageError: Task or candidate is unknown, or no batch of it is compared.
    """
    found = gather_compared(workspace, store, task, candidate, policy)
    rows = found.audit
    known = {call["call_id"]: call for call in _calls(store, list(found.frame["call_id"]))}
    calls = [known[row.call_id] for row in rows]
    columns = features_of(calls, [each["system"] for each in calls], [each["text"] for each in calls])
    if not access.may(Right.READ, task):
        said = columns[TEMPLATE].tolist()
        numbers = numbers_for(TEMPLATE, said)
        columns[TEMPLATE] = np.asarray([numbers.get(each, each) for each in said], dtype=object)
    return route(
        rows,
        columns,
        found.policy,
        basis=found.basis,
        draws=found.draws,
        weight_max=found.weight_max,
        confidence=_confidence(store, found),
        seed=seed,
    )


def _confidence(store: Store, found: Gathered) -> list[float | None] | None:
    """Return the candidate's confidence in each answer: the first signal that most answers have."""
    answers = signals_of(store, found)
    signal = chosen_signal(answers)
    if signal is None:
        return None
    return [None if math.isnan(value) else float(value) for value in answers[signal]]


def _unlabelled(kind: Basis) -> str:
    if kind is Basis.SEMANTIC:
        return "Nobody has looked at an output, so nothing is known of any slice: label what the queue draws."
    return "Nobody has looked at an output: every disagreement counts as harm, and none proves it."


_BEFORE = (
    f"call_id, language, input_chars, turn_depth, tool_count, attributes, request, {FRONTIER_MODEL} AS model"
)
"""What is known of a call before it is answered."""


def _calls(store: Store, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is known before each of the calls, in the order of their ids."""
    return _read(
        store.rows(
            f"SELECT {_BEFORE} FROM usable_calls c WHERE call_id IN (SELECT unnest(?)) ORDER BY call_id",  # noqa: S608
            (list(wanted),),
        )
    )


def _log(store: Store, task: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the same of the task's whole log, or of a random part of it, and whether it is whole."""
    rows = store.rows(
        f"SELECT {_BEFORE} FROM usable_calls c WHERE task = ? ORDER BY md5(call_id) LIMIT ?",  # noqa: S608
        (task, LOG_AT_MOST + 1),
    )
    return _read(rows[:LOG_AT_MOST]), len(rows) <= LOG_AT_MOST


def _read(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for row in rows:
        messages = from_json(row.pop("request"), Request).messages
        row["attributes"] = _decoder.decode(row["attributes"] or "{}")
        row["system"], row["text"] = system_text(messages), last_user_text(messages)
    return rows


def _known_before(
    compared: Sequence[dict[str, Any]], log: Sequence[dict[str, Any]]
) -> tuple[dict[str, list[str]], dict[tuple[str, str], float]]:
    """Return the slicings of the compared calls, and the share of the log by slice.

    Limits and values are those of the log. A value that few compared calls have joins the others:
    it proves nothing, and each costs the rest certainty.
    """
    every = [*compared, *log]
    n = len(compared)
    slicings: dict[str, list[str]] = {}
    shares: dict[tuple[str, str], float] = {}
    for name, values in find(
        every, [each["system"] for each in every], [each["text"] for each in every]
    ).items():
        mine = rare_as_other(values[:n], FEWEST_CALLS)
        kept = set(mine)
        if len(kept) < 2:
            continue
        slicings[name] = mine
        counts = Counter(value if value in kept else OTHER for value in values[n:])
        shares |= {(name, value): counts[value] / len(log) for value in kept}
    return slicings, shares


def _by_input(
    store: Store,
    texts: Sequence[str],
    model: str,
    opened: Callable[[str], Embedder],
    seed: int,
    listener: Listener,
    makes: bool,
) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Return the slicings by embedding, or why there are none.

    Who may not ask a model (`makes`) sees the groups once the embeddings are there, and makes none.
    """
    distinct = [text for text in dict.fromkeys(texts) if text.strip()]
    try:
        found = vectors_of(store, opened(model), distinct, listener=listener, makes=makes)
    except ModelMissing as missing:
        return {}, (
            f"Similar inputs and the long tail are left out. {missing.message} {missing.hint}".strip(),
        )
    usable = [text for text in distinct if text_hash(text) in found.by_hash]
    notes = tuple(f"Inputs without an embedding: {each}." for each in found.failures)
    if not makes and len(usable) < len(distinct):
        notes = (
            f"{plural(len(distinct) - len(usable), 'input')} without an embedding, so in "
            "no group of similar ones: it is made once somebody who may replay this task looks here.",
        )
    if not usable:
        return {}, notes
    place = {text: number for number, text in enumerate(usable)}
    vectors = np.stack([found.by_hash[text_hash(text)] for text in usable])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    input_of = np.asarray([place.get(text, -1) for text in texts], dtype=np.int64)
    slicings = clusters_and_tail(vectors, input_of, usable, seed=seed)
    if not slicings:
        few = f"{plural(len(usable), 'distinct input')}: too few for groups of similar ones."
        return {}, (*notes, few)
    return slicings, notes
