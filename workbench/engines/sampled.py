"""Agreement among samples as a signal of confidence, around any engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from workbench.compare import Comparator
from workbench.compare.folding import text_normaliser
from workbench.engines.base import CallContext, Engine
from workbench.engines.replies import CACHED
from workbench.engines.wire import effective_parameters
from workbench.records import ErrorKind, EvalKind, Output, Request, Usage, Verdict
from workbench.specs import Candidate, EvalConfig

SIGNAL = "sample_agreement"
LOST = "samples_lost"
"""Flag of an answer whose samples could not all be asked for: it has no such signal."""

_LOST_KINDS = frozenset(
    (ErrorKind.TIMEOUT, ErrorKind.CONNECTION, ErrorKind.RATE_LIMITED, ErrorKind.HTTP, ErrorKind.MISSING)
)
"""Failures that tell of the server, not of how sure the model is."""


class SampledEngine:
    """Ask each request `samples` times more, and say how many samples agree with the answer.

    The answer itself is asked as without it; only the samples have a temperature. They
    are asked one after another, so that no more requests are in flight than the engine
    was told. A sample agrees where the eval itself would call the two equal. One that is
    empty, filtered or unreadable does not agree. Where one could not be asked for (time-out,
    connection, limit, status) or came from a response cache, the answer has no agreement and
    the flag `samples_lost`: a server's bad minute must not look like a model's doubt.

    Usage and attempts of the samples are added to the answer's: that is what the signal
    costs, in the replay and later in production.

    Args:
        engine: Who answers.
        candidate: `samples` and `samples_temperature`.
        eval_config: Its equality is what agreement means.
    """

    def __init__(self, engine: Engine, candidate: Candidate, eval_config: EvalConfig) -> None:
        self._engine = engine
        self._candidate = candidate
        self._agree = _agreement(eval_config)
        self.name = engine.name
        self.concurrency = engine.concurrency

    def __getattr__(self, name: str) -> Any:
        """Return what else the engine offers (`peek`, `require_any`, ...)."""
        if name.startswith("__") or name == "_engine":
            raise AttributeError(name)
        return getattr(self._engine, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Hand on what is set from outside (`listener`): it is meant for the engine."""
        own = name.startswith("_") or name in ("name", "concurrency")
        object.__setattr__(self if own else self._engine, name, value)

    @property
    def unsampled(self) -> Engine:
        """Return the engine around which this one is, for checks that need no samples."""
        return self._engine

    @property
    def description(self) -> Mapping[str, Any]:
        """Return the engine's own, and how it is sampled."""
        sampled = {
            "samples": self._candidate.samples,
            "samples_temperature": self._candidate.samples_temperature,
        }
        return {**self._engine.description, **sampled}

    async def check(self) -> None:
        """See that the engine can answer; see `Engine.check`."""
        await self._engine.check()

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Answer one request, then ask for its samples; see `Engine.complete`."""
        answer = await self._engine.complete(request, context)
        if answer.error is not None:
            return answer
        agreeing, usage, lost = 0, answer.usage, False
        for index in range(self._candidate.samples):
            own = CallContext(
                context.call_id,
                context.native_id,
                context.repeat,
                overrides=self._overrides(request, index),
                patient=context.patient,
                outer=context,
            )
            sample = await self._engine.complete(request, own)
            context.attempts += own.attempts
            context.retried += own.retried
            usage = _sum(usage, sample.usage)
            if context.patient and sample.error and sample.error.kind is ErrorKind.RATE_LIMITED:
                # Nothing gets through any more: the whole call is asked again when something does.
                return replace(sample, usage=usage)
            # A response cache gives one sample again and again: no doubt would ever show.
            cached = CACHED in sample.flags
            if cached or (sample.error is not None and sample.error.kind in _LOST_KINDS):
                # The others would not help any more: a share of fewer samples is another signal.
                lost = True
                break
            agreeing += sample.error is None and self._agree(answer, sample)
        if lost:
            return replace(answer, usage=usage, flags=(*answer.flags, LOST))
        share = agreeing / self._candidate.samples
        return replace(answer, usage=usage, confidence={**answer.confidence, SIGNAL: share})

    def _overrides(self, request: Request, index: int) -> dict[str, Any]:
        found: dict[str, Any] = {"temperature": self._candidate.samples_temperature}
        seed = effective_parameters(request, self._candidate).get("seed")
        if isinstance(seed, int):
            # With one seed, all samples would be the same text.
            found["seed"] = seed + index + 1
        return found

    async def close(self) -> None:
        """Free what the engine holds."""
        await self._engine.close()


def _agreement(eval_config: EvalConfig) -> Callable[[Output, Output], bool]:
    """Return what says whether a sample agrees with an answer."""
    if eval_config.kind is EvalKind.TEXT:
        normalise = text_normaliser(eval_config.normalise)

        def same_text(answer: Output, sample: Output) -> bool:
            calls = [(each.name, each.arguments) for each in answer.tool_calls]
            others = [(each.name, each.arguments) for each in sample.tool_calls]
            return calls == others and normalise(answer.text or "") == normalise(sample.text or "")

        return same_text
    comparator = Comparator(eval_config)

    def same_answer(answer: Output, sample: Output) -> bool:
        # What is odd about the answer (cut off, refused) is not asked here: only whether both say the same.
        plain = replace(answer, flags=(), finish_reason="stop")
        return comparator.compare(plain, sample).verdict in (Verdict.MATCH, Verdict.IGNORED)

    return same_answer


def _sum(first: Usage, second: Usage) -> Usage:
    """Add two usages; a count that neither knows stays unknown."""

    def total(one: int | None, other: int | None) -> int | None:
        return None if one is None and other is None else (one or 0) + (other or 0)

    return Usage(
        total(first.input_tokens, second.input_tokens),
        total(first.cached_input_tokens, second.cached_input_tokens),
        total(first.output_tokens, second.output_tokens),
        total(first.reasoning_tokens, second.reasoning_tokens),
    )
