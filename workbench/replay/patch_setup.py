"""Prompt patches before a run: a new candidate with its parent named, and what it is asked."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench import setup
from workbench.access import requires
from workbench.config import Workspace
from workbench.errors import UsageError
from workbench.normal import canonical_json, message_text, visible
from workbench.prompts import SYSTEM_ROLES, characters, trim
from workbench.records import Message, Request, as_builtins, from_json
from workbench.replay.patching import find_examples, hold_out, patcher, pick_examples, refuse_evaluated
from workbench.roles import Right
from workbench.sampling import draw_sample
from workbench.specs import Candidate, PromptPatch
from workbench.store import Store, accesses
from workbench.store.examples import count_systems, find_named
from workbench.store.replays import frame, replays_of, requests_of

CHARS_PER_TOKEN = 4
"""For the estimate in tokens: no tokenizer of the candidate is at hand."""


@requires(Right.REPLAY, task=None)
def patch_candidate(
    workspace: Workspace,
    store: Store | None,
    name: str,
    parent: str,
    *,
    system: str | None = None,
    system_trim: Sequence[str] = (),
    suffix: str | None = None,
    response_format: dict[str, Any] | None = None,
    examples: int = 0,
    example_ids: Sequence[str] = (),
    task: str | None = None,
    seed: int = 0,
    description: str = "",
) -> Candidate:
    """Write a candidate that is another one with its prompt patched to `workbench.toml`.

    What the parent's own patch says holds on where nothing is given here. Examples stand
    in the file as ids of calls, never as text.

    Args:
        workspace: The workspace.
        store: Its store; needed for examples.
        name: Of the new candidate.
        parent: The candidate it starts from.
        system: Replaces the system prompt.
        system_trim: Regular expressions; their matches are taken out of the system prompt.
        suffix: Put behind the last user message.
        response_format: Replaces the request's own.
        examples: So many calls are picked at random, from outside every sample.
        example_ids: Calls to be shown, by the log's id or by `call_id`; before the picked ones.
        task: Whose calls the examples are.
        seed: Seed of the draw of examples.
        description: For people.

    Returns:
        The new candidate, parents filled in.

    Raises:
        UsageError: Nothing is changed, or a call can't be an example: it was evaluated,
            is not in the log, or there are not enough others.
        ConfigError: The result would not be a valid configuration; nothing is written.
    """
    base = workspace.candidate(parent)
    if any(each.name == name for each in workspace.config.candidates):
        raise UsageError(
            f"There is a candidate {name!r} already.",
            "Each patch is a candidate of its own: take another name.",
        )
    given: dict[str, Any] = {}
    if system is not None:
        given["system"] = system
    if system_trim:
        given["system_trim"] = list(system_trim)
    if suffix is not None:
        given["suffix"] = suffix
    if response_format is not None:
        given["response_format"] = response_format
    if examples or example_ids:
        if task is None or store is None:
            raise UsageError("Examples are calls of one task.", "Name it with --task.")
        given["examples"] = _choose(workspace, store, base, name, task, example_ids, examples, seed)
    if not given:
        raise UsageError(
            f"Nothing would be changed: {name!r} would be asked what {parent!r} is asked.",
            "Give --system, --trim, --suffix, --examples, --example or --response-format.",
        )
    defaults = as_builtins(PromptPatch())
    own = {
        key: value
        for key, value in as_builtins(base.patch or PromptPatch()).items()
        if value != defaults[key]
    }
    table: dict[str, Any] = {"name": name, "parent": parent}
    if description:
        table["description"] = description
    return setup.add_candidate(workspace.root, table | {"patch": own | given})


def _choose(
    workspace: Workspace,
    store: Store,
    base: Candidate,
    name: str,
    task: str,
    named: Sequence[str],
    count: int,
    seed: int,
) -> list[str]:
    asked = replace(base, name=name, patch=PromptPatch(examples=tuple(named)))
    chosen = [row.call_id for row in find_examples(store, asked, task)]
    refuse_evaluated(store, task, chosen, f"Candidate {name!r}")
    if not count:
        return chosen
    return [*chosen, *pick_examples(workspace, store, task, count, seed, besides=chosen)]


@dataclass(frozen=True, slots=True)
class PatchPreview:
    """One call as the control was asked it, and as a candidate will be.

    Characters count the messages' text; tokens are estimated from them.
    """

    task: str
    candidate: str
    parent: str | None
    call_id: str
    native_id: str
    before: Request
    after: Request
    characters_before: int
    characters_after: int
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return the difference as a person reads it, hidden characters written as escapes."""
        whose = f", from {self.parent}" if self.parent else ""
        lines = [f"{self.task} / {self.candidate}{whose}: call {visible(self.native_id)} ({self.call_id})"]
        difference = list(
            difflib.unified_diff(
                _lines(self.before), _lines(self.after), "as logged", "as asked", lineterm=""
            )
        )
        lines += difference or ["The candidate is asked exactly what the control was."]
        saved = self.characters_before - self.characters_after
        word = "fewer" if saved >= 0 else "more"
        lines.append(
            f"{self.characters_before:,} -> {self.characters_after:,} characters: {abs(saved):,} {word}, "
            f"about {abs(saved) / CHARS_PER_TOKEN:,.0f} tokens. Nothing was sent."
        )
        return "\n".join([*lines, *(f"  {visible(note)}" for note in self.notes)])


@requires(Right.READ)
def preview_patch(
    workspace: Workspace, store: Store, candidate: str, task: str, call: str | None = None
) -> PatchPreview:
    """Show what a candidate will be asked for one call; send nothing.

    Args:
        workspace: The workspace.
        store: Its store.
        candidate: Whose patch.
        task: Whose calls.
        call: Which call, by the log's id or by `call_id`; None takes the first of the sample.

    Raises:
        UsageError: The call is not in the log, or a replay would refuse the examples.
    """
    workspace.eval_for(task)
    spec = workspace.candidate(candidate)
    is_new = not replays_of(store, task, workspace.fingerprint(spec))
    held = hold_out(store, spec, task, is_new=is_new)
    call_id = _one_call(store, task, call) if call else _first_call(store, task, held.same | held.alike)
    native_id, raw = requests_of(store, [call_id])[call_id]
    accesses.viewed(store, accesses.Kind.CASE, task, [call_id])
    before = from_json(raw, Request)
    after = patcher(store, spec, task)(before)
    notes = _notes(store, task, spec.patch or PromptPatch(), before)
    if call_id in held.same:
        notes.append("This call is shown as an example, or asks the same as one: it is never evaluated.")
    elif call_id in held.alike:
        notes.append("This call ends on the user message of an example: it is never evaluated.")
    if held.same:
        notes.append(
            f"{len(held.same):,} calls are held out for the examples, and {len(held.alike):,} like them."
        )
    return PatchPreview(
        task,
        spec.name,
        spec.parent,
        call_id,
        native_id,
        before,
        after,
        characters(before),
        characters(after),
        tuple(notes),
    )


def _one_call(store: Store, task: str, name: str) -> str:
    found = [row for row in find_named(store, [name]) if row.task == task]
    own = [row for row in found if row.call_id == name] or found
    if not own:
        raise UsageError(
            f"Task {task!r} has no call {name!r}.", "Leave --call out to see the first call of the sample."
        )
    if len(own) > 1:
        choices = ", ".join(row.call_id for row in own[:5])
        raise UsageError(f"{name!r} stands for {len(own)} calls.", f"Name one by its call_id: {choices}.")
    return own[0].call_id


def _first_call(store: Store, task: str, held: frozenset[str]) -> str:
    sample = draw_sample((row.call_id for row in frame(store, task) if row.call_id not in held), 1, 0)
    if not sample:
        raise UsageError(
            f"Task {task!r} has no call that could be asked.", f"Import: workbench import FILE --task {task}"
        )
    return sample[0].call_id


def _notes(store: Store, task: str, patch: PromptPatch, before: Request) -> list[str]:
    notes = []
    systems = "\n".join(message_text(each) for each in before.messages if each.role in SYSTEM_ROLES)
    if patch.system is not None and (count := count_systems(store, task)) > 1:
        notes.append(
            f"The calls of this task have {count:,} different system prompts: what differs is lost where "
            "`system` replaces them. `system_trim` keeps the rest."
        )
    if patch.system is None:
        notes += [
            f"system_trim {pattern!r} matches nothing in this call."
            for pattern in patch.system_trim
            if trim(pattern, systems) == systems
        ]
    return notes


def _lines(request: Request) -> list[str]:
    found = [line for message in request.messages for line in _message_lines(message)]
    if request.response_format is not None:
        found.append(f"response_format: {visible(canonical_json(request.response_format))}")
    return found


def _message_lines(message: Message) -> list[str]:
    lines = [f"[{visible(message.role)}]"]
    content = message.content
    if content:
        lines += [visible(line) for line in message_text(message).split("\n")]
    if isinstance(content, list):
        lines += [f"({visible(str(part.get('type')))})" for part in content if "text" not in part]
    lines += [
        f"-> {visible(call.name)}({visible(canonical_json(call.arguments))})" for call in message.tool_calls
    ]
    return lines
