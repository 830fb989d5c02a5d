"""Calls without a task, read a part at a time: rules take some, templates are found for the rest.

What is kept of a call is its number and that of its template: twelve bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from workbench.config import Workspace
from workbench.ingest.routing import TaskRouter
from workbench.normal import content_hash
from workbench.progress import Listener, Progress
from workbench.records import Request, from_json
from workbench.store import Store, traffic_texts, workloads
from workbench.traffic.prompts import Prompt, prompt_of
from workbench.traffic.templates import Phrase, Template, Tree, is_rest, mine, templates

SAMPLE = 4_000
"""Different requests that templates are looked for in."""
PAGE, PAGE_CHARS = 5_000, 24_000_000
"""Calls read at a time; fewer of long ones, so that they fit into memory."""
FIRST_PAGE = 250
REST_SHARE = 0.02
"""A larger rest is looked at again by itself: rare templates drown in a sample of everything."""
ROUNDS = 3


@dataclass(slots=True)
class Mined:
    """Templates by id, and the template of each call: `places`, beside `seqs`, count along `names`."""

    found: dict[str, Template] = field(default_factory=dict)
    seqs: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    places: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    names: list[str] = field(default_factory=list)

    def without(self, seqs: NDArray[np.int64]) -> Mined:
        """Return the same without some calls."""
        kept = ~np.isin(self.seqs, seqs)
        return replace(self, seqs=self.seqs[kept], places=self.places[kept])


def apply_rules(workspace: Workspace, store: Store, listener: Listener) -> dict[str, int]:
    """Give calls without a task to the tasks whose rules take them; return how many each got.

    The rules are those of a new import. Calls that were replayed already stay where they are.
    """
    router = TaskRouter(workspace.evals.values(), None)
    if not any(each.rules for each in workspace.evals.values()):
        return {}
    moved: Counter[str] = Counter()
    waiting: dict[str, list[int]] = {}
    for page in _pages(store, listener, "rules"):
        for seq, asked, model, attributes in page:
            fitting = router.fitting(from_json(asked, Request), model, json.loads(attributes))
            if fitting:
                waiting.setdefault(fitting[0], []).append(seq)
        for task, seqs in waiting.items():
            if len(seqs) >= workloads.WRITTEN_AT_ONCE:
                moved[task] += workloads.move_calls(store, task, seqs)
                waiting[task] = []
    for task, seqs in waiting.items():
        moved[task] += workloads.move_calls(store, task, seqs)
    return {task: count for task, count in moved.items() if count}


def mine_calls(store: Store, listener: Listener) -> Mined:
    """Find the templates of calls without a task."""
    known = [prompt_of(each) for each in traffic_texts.different_requests(store, SAMPLE)]
    if not known:
        return Mined()
    tree = mine(known)
    seqs: NDArray[np.int64] = np.empty(0, np.int64)
    leaves: NDArray[np.int32] = np.empty(0, np.int32)
    for turn in range(ROUNDS):
        paths = [leaf.path for leaf in tree.leaves()]
        numbers = {path: number for number, path in enumerate(paths)}
        seqs, leaves, rest = _assign(store, tree, numbers, listener)
        resting = next(number for number, leaf in enumerate(tree.leaves()) if is_rest(leaf))
        large = (leaves == resting).mean() > REST_SHARE if len(leaves) else False
        if turn == ROUNDS - 1 or not large:
            break
        before = len(paths)
        mine(rest, tree)
        known += rest
        if len(tree.leaves()) == before:
            break
    by_path = templates(tree, known)
    own = [by_path[path] for path in paths]
    used = {own[number].template_id: own[number] for number in np.unique(leaves).tolist()}
    return Mined(used, seqs, leaves, [each.template_id for each in own])


def _assign(
    store: Store, tree: Tree, numbers: dict[tuple[tuple[Phrase, bool], ...], int], listener: Listener
) -> tuple[NDArray[np.int64], NDArray[np.int32], list[Prompt]]:
    """Return every call's seq and leaf, and a sample of different prompts that no phrase takes."""
    seqs: list[NDArray[np.int64]] = []
    leaves: list[NDArray[np.int32]] = []
    rest: dict[str, Prompt] = {}
    for page in _pages(store, listener, "templates"):
        own_seqs, own_leaves = np.empty(len(page), np.int64), np.empty(len(page), np.int32)
        for place, (seq, asked, _, _) in enumerate(page):
            prompt = prompt_of(from_json(asked, Request))
            leaf = tree.leaf_of(prompt)
            own_seqs[place], own_leaves[place] = seq, numbers[leaf.path]
            if is_rest(leaf):
                rest[content_hash(prompt.whole)] = prompt
        # Those with the smallest hashes are a random sample of different prompts, whatever their order.
        if len(rest) > SAMPLE:
            rest = dict(sorted(rest.items())[:SAMPLE])
        seqs.append(own_seqs)
        leaves.append(own_leaves)
    if not seqs:
        return np.empty(0, np.int64), np.empty(0, np.int32), []
    return np.concatenate(seqs), np.concatenate(leaves), [rest[key] for key in sorted(rest)]


def _pages(store: Store, listener: Listener, stage: str) -> Iterator[list[tuple[int, str, str | None, str]]]:
    first, last = workloads.first_without_task(store), workloads.newest_call(store)
    total, done = workloads.without_task(store), 0
    after, width = first - 1, FIRST_PAGE
    while total and after < last:
        page = traffic_texts.requests_without_task(store, after, after + width)
        after, width = after + width, min(2 * width, PAGE)
        if page:
            chars = sum(len(each[1]) + len(each[3]) for each in page) / len(page)
            width = max(1, min(width, int(PAGE_CHARS / chars)))
            done += len(page)
            listener(Progress(stage, done, total))
            yield page
