"""Prompt patches against the store: examples looked up, refused where they leak, shown."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from workbench.compare.labels import LabelReader
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.normal import content_hash
from workbench.prompts import Example, apply_patch, turns_of
from workbench.records import Message, Output, Request, from_json, to_json, told_error
from workbench.specs import Candidate, PromptPatch
from workbench.store import Store
from workbench.store import examples as rows

SHOWN_IDS = 5


@dataclass(frozen=True, slots=True)
class Patcher:
    """What turns a recorded request into the one that a candidate is asked: its patch, and its examples."""

    patch: PromptPatch | None
    examples: tuple[Example, ...] = ()

    def __call__(self, request: Request) -> Request:
        """Return the request as the candidate is asked it."""
        return request if self.patch is None else apply_patch(request, self.patch, self.examples)

    @property
    def shown(self) -> str:
        """Return a hash of what the examples show; empty without any.

        The patch names calls, and a call's content may change: a conflict is resolved, another import brings
        the answer that was missing. The candidate's fingerprint knows nothing of that.
        """
        if not self.examples:
            return ""
        turns = [turn for example in self.examples for turn in turns_of(example)]
        return content_hash("examples", to_json(turns))


def patcher(store: Store, spec: Candidate, task: str) -> Patcher:
    """Return what turns a recorded request into the one that a candidate is asked.

    Args:
        store: Holds the calls shown as examples; read here, not later.
        spec: The candidate. Without a patch, requests stay as they are.
        task: Whose calls are asked.

    Raises:
        UsageError: A call named as an example can't be one.
    """
    return Patcher(spec.patch, tuple(_example(row) for row in find_examples(store, spec, task)))


def shows_examples(spec: Candidate) -> bool:
    """Say whether a candidate is asked with examples; one whose outputs lie in a file is asked nothing."""
    return spec.engine != "recorded" and spec.patch is not None and bool(spec.patch.examples)


def find_examples(store: Store, spec: Candidate, task: str) -> list[rows.ExampleRow]:
    """Return the calls that a candidate's patch names as examples, in the patch's order.

    Raises:
        UsageError: An id is not in the log, stands for several calls or for one of another
            task, or the call has no whole answer, no user message, or is in a conflict.
    """
    ids = spec.patch.examples if spec.patch else ()
    if not ids:
        return []
    named: dict[str, list[rows.ExampleRow]] = defaultdict(list)
    for row in rows.find_named(store, ids):
        for name in {row.call_id, row.native_id}:
            named[name].append(row)
    found: dict[str, rows.ExampleRow] = {}
    for name in ids:
        row = _only(spec, name, named.get(name, []), task)
        fault = _fault(row, task)
        if fault:
            raise UsageError(
                f"Candidate {spec.name!r}: call {name!r} can't be an example: {fault}.",
                "Name another call in `patch.examples`, or let `workbench candidate patch` pick.",
            )
        if row.call_id in found:
            raise UsageError(
                f"Candidate {spec.name!r}: `patch.examples` names call {name!r} twice.", "Keep one."
            )
        found[row.call_id] = row
    return list(found.values())


def _only(spec: Candidate, name: str, matches: list[rows.ExampleRow], task: str) -> rows.ExampleRow:
    own = [row for row in matches if row.call_id == name] or [row for row in matches if row.task == task]
    chosen = own or matches
    if not chosen:
        raise UsageError(
            f"Candidate {spec.name!r}: the log holds no call {name!r}, which `patch.examples` names.",
            "Import the log it stands in, or name another call.",
        )
    if len(chosen) > 1:
        choices = ", ".join(row.call_id for row in chosen[:SHOWN_IDS])
        raise UsageError(
            f"Candidate {spec.name!r}: {name!r} in `patch.examples` stands for {len(chosen)} calls.",
            f"Name one by its call_id: {choices}.",
        )
    return chosen[0]


def _fault(row: rows.ExampleRow, task: str) -> str:
    """Say why a call can't be an example, or nothing where it can."""
    if row.task != task:
        return f"it belongs to task {row.task!r}, and this is about {task!r}"
    if row.in_conflict:
        return "the log holds two versions of it"
    if row.control is None:
        return "the log holds no output for it"
    control = from_json(row.control, Output)
    if control.error is not None:
        return f"its recorded output is an error ({told_error(control.error.kind)})"
    if "truncated" in control.flags:
        return "its recorded output breaks off"
    if not control.text and not control.tool_calls:
        return "its recorded output is empty"
    if _asked(from_json(row.request, Request)) is None:
        return "its request has no user message"
    return ""


def _asked(request: Request) -> Message | None:
    found = next((each for each in reversed(request.messages) if each.role == "user"), None)
    return Message("user", found.content) if found is not None and found.content else None


def _example(row: rows.ExampleRow) -> Example:
    control = from_json(row.control or "", Output)
    # `_fault` refused a call without a user message.
    asked = _asked(from_json(row.request, Request)) or Message("user", "")
    return Example(asked, Message("assistant", control.text, tool_calls=control.tool_calls))


def hold_out(store: Store, spec: Candidate, task: str, *, is_new: bool) -> rows.HeldOut:
    """Return the calls that a candidate must never be evaluated on, because it is shown them.

    Args:
        store: The store.
        spec: The candidate.
        task: The task.
        is_new: Whether the candidate has no replay yet. Then its examples must be calls
            that nothing was evaluated on, unless a replayed candidate shows them already:
            they were chosen in time, whatever others were replayed on later. Outputs
            made elsewhere are passed too: `export batch` looked before they were made.

    Returns:
        The examples and the calls with the same request; and those that only end on the
        same user message. Computed from the log as it is: what arrives later is held out too.

    Raises:
        UsageError: A call named as an example can't be one, or was evaluated already.
    """
    examples = find_examples(store, spec, task)
    if not examples:
        return rows.HeldOut(frozenset(), frozenset())
    ids = [row.call_id for row in examples]
    if is_new and spec.engine != "recorded":
        shown = rows.shown_before(store, task)
        fresh = [row.call_id for row in examples if not shown & {row.call_id, row.native_id}]
        refuse_evaluated(store, task, fresh, f"Candidate {spec.name!r}")
    return rows.held_out(store, task, ids)


def refuse_evaluated(store: Store, task: str, examples: Sequence[str], who: str) -> None:
    """Refuse examples on which something was evaluated already.

    Args:
        store: The store.
        task: The task.
        examples: Their `call_id`.
        who: Begins the message.

    Raises:
        UsageError: One is in the sample of a replay, was labelled or has a gold answer;
            a call with the same request counts as the same.
    """
    known = rows.evaluated(store, task, examples)
    if known:
        listed = "; ".join(f"{each} {' and '.join(why)}" for each, why in list(known.items())[:SHOWN_IDS])
        more = f"; and {len(known) - SHOWN_IDS} more" if len(known) > SHOWN_IDS else ""
        raise UsageError(
            f"{who}: what was evaluated can't be shown as an example: {listed}{more}.",
            "Take calls outside every sample: `workbench candidate patch NAME --parent P --examples N "
            f"--task {task}` picks them.",
        )


def pick_examples(
    workspace: Workspace, store: Store, task: str, count: int, seed: int, *, besides: Collection[str] = ()
) -> list[str]:
    """Pick calls to be shown as examples, at random from what no sample holds.

    Where the eval compares labels, labels take turns, so that each is shown as long as
    there are enough examples.

    Args:
        workspace: Holds the task's eval.
        store: The store.
        task: Whose calls.
        count: How many examples.
        seed: Seed of the draw.
        besides: Calls that are shown already.

    Returns:
        Their `call_id`, in the order in which they are shown.

    Raises:
        UsageError: There are not enough calls; the hint says how to hold some out.
    """
    eval_config = workspace.eval_for(task)
    free = [each for each in rows.free_calls(store, task) if each[0] not in besides]
    if eval_config.names_one_label:
        reader = LabelReader(eval_config)
        grouped = [(call_id, label) for call_id, text in free if (label := reader.read(text)) is not None]
    else:
        grouped = [(call_id, "") for call_id, _ in free]
    if len(grouped) < count:
        kind = "calls with one of the labels" if eval_config.names_one_label else "calls"
        raise UsageError(
            f"Task {task!r} has {len(grouped):,} {kind} that no sample holds and nobody judged; "
            f"{count} examples were asked for.",
            "A replay without --limit draws every call. Hold some out: import calls that were not "
            f"replayed (workbench import MORE --task {task}), or give replays a --limit.",
        )
    grouped.sort(key=lambda each: hashlib.sha256(f"example\0{seed}\0{each[0]}".encode()).digest())
    waiting: dict[str, list[str]] = {label: [] for label in dict.fromkeys((*eval_config.labels, ""))}
    for call_id, label in grouped:
        waiting.setdefault(label, []).append(call_id)
    # Round by round, one of each label; within a round in the order of the labels.
    rounds = itertools.zip_longest(*waiting.values())
    return [each for turn in rounds for each in turn if each is not None][:count]


__all__ = [
    "Patcher",
    "find_examples",
    "hold_out",
    "patcher",
    "pick_examples",
    "refuse_evaluated",
    "shows_examples",
]
