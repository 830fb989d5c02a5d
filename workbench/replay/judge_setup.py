"""Who may judge a pair: never one of the two models that it compares, as far as these are known."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.config import Workspace
from workbench.engines.wire import is_same_model
from workbench.errors import ConfigError
from workbench.records import EvalKind
from workbench.replay.control import is_declared
from workbench.specs import CONTROL, Candidate, EvalConfig
from workbench.store import Store
from workbench.store.judgements import answering_models
from workbench.store.noise import recorded_models


@dataclass(frozen=True, slots=True)
class Arms:
    """The names by which the two compared models are known.

    `control` are those of the log and of a declared control, `candidate` the compared
    candidate's own and those that its answers came under.
    """

    control: tuple[str, ...]
    candidate: tuple[str, ...]

    def side_of(self, model: str | None) -> str:
        """Return which of the two a model is, in words, or an empty text."""
        if model is None:
            return ""
        for side, names in (("the compared candidate", self.candidate), ("the frontier", self.control)):
            if any(_is_same(name, model) for name in names):
                return side
        return ""


def arms_of(workspace: Workspace, store: Store, task: str, compared: Candidate, fingerprint: str) -> Arms:
    """Return the names of the two models whose answers are compared.

    Args:
        workspace: Holds a declared control.
        store: Holds the log, and the candidate's answers.
        task: The task.
        compared: The candidate.
        fingerprint: Its fingerprint.
    """
    logged = [name for name in recorded_models(store, task) if name]
    if is_declared(workspace) and (declared := workspace.candidate(CONTROL).model):
        logged.append(declared)
    own = [*_names(compared), *answering_models(store, task, fingerprint)]
    return Arms(tuple(dict.fromkeys(logged)), tuple(dict.fromkeys(own)))


def refuse_an_arm(
    workspace: Workspace, config: EvalConfig, judge: Candidate, compared: Candidate, arms: Arms
) -> None:
    """Refuse a judge that is one of the two models it would compare.

    Args:
        workspace: Knows fingerprints.
        config: The task's eval.
        judge: The judge.
        compared: The candidate.
        arms: What the two models are called.

    Raises:
        ConfigError: It is one of them.
    """
    sides = [arms.side_of(name) for name in _names(judge)]
    if judge.name == compared.name or workspace.fingerprint(judge) == _fingerprint(workspace, compared):
        sides.insert(0, "the compared candidate")
    side = next((each for each in sides if each), "")
    if side:
        where = f"{config.root}/eval.toml" if config.root else f"The eval of {config.task!r}"
        raise ConfigError(
            f"{where}: the judge {judge.name!r} ({judge.model}) is {side}: no model judges its own answers.",
            "Name a candidate in [judge] that is a third model.",
        )


def eval_for_judge(config: EvalConfig) -> EvalConfig:
    """Return the eval under which a judge's engine is opened: the same data and zone, plain texts as answers.

    Labels and schemas of the task are none of the judge's.
    """
    return EvalConfig(config.task, EvalKind.TEXT, allowed_zone=config.allowed_zone, root=config.root)


def _is_same(one: str, other: str) -> bool:
    """Say whether two names are one model's, whatever provider a gateway puts before them."""
    if all(name.startswith(("/", ".", "~")) for name in (one, other)):
        return one == other  # Two folders: their last part alone says nothing.
    return is_same_model(*(name.rstrip("/").rsplit("/", 1)[-1] for name in (one, other)))


def _names(spec: Candidate) -> list[str]:
    alias = spec.parameters.get("answers_as")
    return [name for name in (spec.model, alias) if isinstance(name, str)]


def _fingerprint(workspace: Workspace, spec: Candidate) -> str | None:
    # A file of recorded answers may be gone; then it is no endpoint either.
    return None if spec.engine == "recorded" else workspace.fingerprint(spec)
