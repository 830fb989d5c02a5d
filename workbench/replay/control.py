"""The control as a replay asks it again: which model that is, and which calls it answered."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from workbench.config import Workspace
from workbench.engines.wire import is_same_model
from workbench.errors import UsageError
from workbench.specs import CONTROL, Candidate
from workbench.store import Store
from workbench.store.noise import calls_answered_by, recorded_models

T = TypeVar("T")


def is_declared(workspace: Workspace) -> bool:
    """Say whether `workbench.toml` says where the recorded model can be asked."""
    return any(each.name == CONTROL for each in workspace.config.candidates)


def with_model(workspace: Workspace, store: Store, task: str) -> Workspace:
    """Return the workspace with the control's `model` filled in from the log, where it was left out.

    The model that answered most of the task's calls is taken, by the name in the log.

    Raises:
        UsageError: The log names no model.
    """
    spec = workspace.candidate(CONTROL)
    if spec.model is not None or spec.engine != "openai":
        return workspace
    named = [name for name in recorded_models(store, task) if name is not None]
    if not named:
        raise UsageError(
            f"The log of task {task!r} does not name the model that answered.",
            f"Set `model` of the candidate {CONTROL!r} in workbench.toml.",
        )
    full = dataclasses.replace(spec, model=named[0])
    candidates = tuple(full if each.name == CONTROL else each for each in workspace.config.candidates)
    return dataclasses.replace(workspace, config=dataclasses.replace(workspace.config, candidates=candidates))


def models_of(store: Store, task: str, model: str | None) -> list[str | None]:
    """Return the logged names whose calls a model is asked again: itself, else its versions.

    A log that names no model at all is taken to be this model's.

    Args:
        store: Holds the log.
        task: The task.
        model: The model that is asked; None takes the one most used (engine `recorded`).
    """
    logged = recorded_models(store, task)
    named = [name for name in logged if name is not None]
    if not named:
        return [None]
    if model is None:
        return [named[0]]
    return [model] if model in named else [name for name in named if is_same_model(model, name)]


def only_its_own(store: Store, task: str, candidate: Candidate, calls: Mapping[str, T]) -> dict[str, T]:
    """Return the calls that the control itself answered; another model's answer is no second one.

    Args:
        store: Holds the log.
        task: The task.
        candidate: The candidate; any but the control may be asked all calls.
        calls: Calls by id.

    Raises:
        UsageError: None of them is the control's own.
    """
    if candidate.name != CONTROL:
        return dict(calls)
    if candidate.model is None and candidate.engine == "openai":
        raise UsageError(
            f"Which model {CONTROL!r} is stands in the log: it is asked for the noise floor only.",
            f"Run `workbench replay --task {task} --candidate {CONTROL}`, or Workbench.noise_floor.",
        )
    own = calls_answered_by(store, task, models_of(store, task, candidate.model))
    found = {call_id: each for call_id, each in calls.items() if call_id in own}
    if calls and not found:
        known = ", ".join(sorted(name for name in recorded_models(store, task) if name))
        raise UsageError(
            f"No call of task {task!r} was answered by {candidate.model!r}.",
            f"The log names: {known}. Set `model` of the candidate {CONTROL!r} to one of them.",
        )
    return found
