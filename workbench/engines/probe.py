"""Try a candidate with two tiny calls before anything depends on it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from workbench.config import Workspace
from workbench.engines.base import CallContext, Engine
from workbench.errors import WorkbenchError
from workbench.records import EvalKind, Message, Output, Request
from workbench.specs import Candidate, EvalConfig

PROMPTS = ("Answer with the one word: ready", "What is 2 + 2? Answer with the number alone.")
MAX_TOKENS = 16


@dataclass(frozen=True, slots=True)
class ProbeCall:
    """One tiny call: what was asked and what came back. `error` is empty where it worked."""

    asked: str
    answered: str
    error: str
    latency_ms: float | None
    attempts: int


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """What two tiny calls to a candidate showed. `ok` says that replays can use it."""

    candidate: str
    engine: str
    zone: str
    ok: bool
    calls: tuple[ProbeCall, ...]
    error: str = ""
    hint: str = ""

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        lines = [f"{self.candidate} ({self.engine}, {self.zone}): {'works' if self.ok else 'does not work'}"]
        for call in self.calls:
            took = f" in {call.latency_ms:,.0f} ms" if call.latency_ms is not None else ""
            outcome = call.error or repr(call.answered[:200])
            lines.append(f"  asked {call.asked!r}{took}: {outcome}")
        lines.extend(f"  {each}" for each in (self.error, self.hint) if each)
        return "\n".join(lines)


def test_candidate(workspace: Workspace, candidate: Candidate) -> CandidateReport:
    """Send a candidate two tiny calls that hold none of anybody's data.

    Args:
        workspace: Where its files lie.
        candidate: Who is tried. Of a recorded one, the file is read instead.

    Returns:
        What came back. Set-up errors are in it, with the way to mend them.
    """
    try:
        calls, error = asyncio.run(_probe(workspace, candidate))
    except WorkbenchError as problem:
        return CandidateReport(
            candidate.name,
            candidate.engine,
            candidate.effective_zone,
            False,
            (),
            problem.message,
            problem.hint,
        )
    ok = not error and all(not call.error for call in calls)
    return CandidateReport(candidate.name, candidate.engine, candidate.effective_zone, ok, calls, error)


# pytest would take the function for a test where it is imported.
test_candidate.__test__ = False  # type: ignore[attr-defined]


async def _probe(workspace: Workspace, candidate: Candidate) -> tuple[tuple[ProbeCall, ...], str]:
    from workbench.engines import open_engine

    # The prompts are the workbench's own, so they may go wherever the candidate is.
    eval_config = EvalConfig(task="probe", kind=EvalKind.TEXT, allowed_zone=candidate.effective_zone)
    engine = open_engine(workspace, candidate, eval_config)
    try:
        await engine.check()
        if engine.name == "recorded":
            return (), ""
        return tuple([await _ask(engine, index, prompt) for index, prompt in enumerate(PROMPTS)]), ""
    finally:
        await engine.close()


async def _ask(engine: Engine, index: int, prompt: str) -> ProbeCall:
    request = Request((Message("user", prompt),), parameters={"max_tokens": MAX_TOKENS, "temperature": 0})
    context = CallContext(f"probe-{index}", f"probe-{index}")
    started = time.perf_counter()
    output: Output = await engine.complete(request, context)
    latency_ms = output.latency_ms or (time.perf_counter() - started) * 1000
    error = ""
    if output.error:
        status = f" (status {output.error.status})" if output.error.status else ""
        error = f"{output.error.kind}{status}: {output.error.message}"
    answered = output.text or ", ".join(call.name for call in output.tool_calls)
    return ProbeCall(prompt, answered, error, latency_ms, context.attempts)
