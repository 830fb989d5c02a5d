"""Engines: what answers a replayed request. A registry, and one gate on every send."""

from __future__ import annotations

from collections.abc import Callable

from workbench.config import Workspace
from workbench.engines.base import CallContext, Engine
from workbench.engines.probe import CandidateReport, test_candidate
from workbench.engines.vllm_server import shared_servers
from workbench.errors import ConfigError, did_you_mean
from workbench.progress import Listener
from workbench.specs import Candidate, EvalConfig

EngineFactory = Callable[[Workspace, Candidate, EvalConfig], Engine]


def _openai(workspace: Workspace, candidate: Candidate, eval_config: EvalConfig) -> Engine:
    from workbench.engines.openai_api import OpenAIEngine

    return OpenAIEngine(candidate, eval_config)


def _vllm(workspace: Workspace, candidate: Candidate, eval_config: EvalConfig) -> Engine:
    from workbench.engines.vllm import VLLMEngine

    return VLLMEngine(workspace, candidate, eval_config)


def _transformers(workspace: Workspace, candidate: Candidate, eval_config: EvalConfig) -> Engine:
    from workbench.engines.in_process import TransformersEngine

    return TransformersEngine(workspace, candidate, eval_config)


def _recorded(workspace: Workspace, candidate: Candidate, eval_config: EvalConfig) -> Engine:
    from workbench.engines.recorded import RecordedEngine

    return RecordedEngine(workspace, candidate, eval_config)


_FACTORIES: dict[str, EngineFactory] = {
    "openai": _openai,
    "vllm": _vllm,
    "transformers": _transformers,
    "recorded": _recorded,
}


def register(name: str, factory: EngineFactory) -> None:
    """Add an engine under a name, or put another in place of a known one."""
    _FACTORIES[name] = factory


def open_engine(workspace: Workspace, candidate: Candidate, eval_config: EvalConfig) -> Engine:
    """Open the engine of a candidate for one task's data.

    Args:
        workspace: Where files are looked for.
        candidate: Who answers.
        eval_config: The task's eval; its `allowed_zone` decides how far data may go.

    Raises:
        PrivacyRefused: The task's data may not go to this candidate; nothing was sent.
        ConfigError: The candidate's keys are wrong.
        ModelMissing: Weights or packages are not installed.
    """
    factory = _FACTORIES.get(candidate.engine)
    if factory is None:
        raise ConfigError(
            f"Candidate {candidate.name!r}: unknown engine {candidate.engine!r}.",
            did_you_mean(candidate.engine, _FACTORIES),
        )
    engine = factory(workspace, candidate, eval_config)
    if candidate.samples <= 0:
        return engine
    from workbench.engines.sampled import SampledEngine

    return SampledEngine(engine, candidate, eval_config)


def listen(engine: Engine, listener: Listener) -> None:
    """Let an engine that takes long to start say how it goes; the others have nothing to say."""
    if hasattr(engine, "listener"):
        engine.listener = listener


__all__ = [
    "CallContext",
    "CandidateReport",
    "Engine",
    "EngineFactory",
    "listen",
    "open_engine",
    "register",
    "shared_servers",
    "test_candidate",
]
