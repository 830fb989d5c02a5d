"""Try a candidate with a handful of tiny calls before anything depends on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from workbench.config import Workspace
from workbench.engines.conformance import Check, CheckState, ConformanceReport, Needs, check_conformance
from workbench.engines.dialects import wants_structure
from workbench.errors import WorkbenchError
from workbench.progress import Listener, silent
from workbench.records import EvalKind
from workbench.specs import Candidate, EvalConfig


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """What tiny calls to a candidate showed. `ok` says that replays can use it."""

    candidate: str
    engine: str
    zone: str
    ok: bool
    checks: tuple[Check, ...]
    task: str | None = None
    calls: int = 0
    seconds: float = 0.0
    error: str = ""
    hint: str = ""

    @property
    def text(self) -> str:
        """Return the report as a person reads it."""
        for_task = f" for task {self.task}" if self.task else ""
        works = "works" if self.ok else "does not work"
        lines = [f"{self.candidate} ({self.engine}, {self.zone}): {works}{for_task}"]
        lines += [f"  {each.state:<8} {each.name}: {each.message}" for each in self.checks]
        lines += [f"  {each}" for each in (self.error, self.hint) if each]
        return "\n".join(lines)


def test_candidate(
    workspace: Workspace,
    candidate: Candidate,
    eval_config: EvalConfig | None = None,  # noqa: PT028 - no test, whatever its name
    needs: Needs | None = None,  # noqa: PT028
    listener: Listener = silent,  # noqa: PT028
) -> CandidateReport:
    """Send a candidate at most five tiny calls that hold none of anybody's data.

    Args:
        workspace: Where its files lie.
        candidate: Who is tried. Of a recorded one, the file is read instead.
        eval_config: The eval of the task it is tried for; without one, all that a task
            could ask is tried: roles, a tool, a JSON schema.
        needs: What the task's calls ask, where that is known.
        listener: Told how the start of a server goes.

    Returns:
        What came back. Set-up errors are in it, with the way to mend them.
    """
    task = eval_config.task if eval_config else None
    # The prompts are the workbench's own, so they may go wherever the candidate is.
    config = eval_config or EvalConfig("probe", EvalKind.TEXT, allowed_zone=candidate.effective_zone)
    wanted = needs or _all_needs(candidate, config, known=eval_config is not None)
    zone = candidate.effective_zone
    try:
        found = asyncio.run(_probe(workspace, candidate, config, wanted, listener))
    except WorkbenchError as problem:
        return CandidateReport(
            candidate.name, candidate.engine, zone, False, (), task, error=problem.message, hint=problem.hint
        )
    checks = found.checks if eval_config else tuple(_if_asked(each) for each in found.checks)
    broken = any(each.state is CheckState.FAILED for each in checks)
    # A replay may start while a server is busy; a person who tries it wants to know.
    ok = not broken and not found.unanswered
    return CandidateReport(
        candidate.name, candidate.engine, zone, ok, checks, task, found.calls, found.seconds
    )


# pytest would take the function for a test where it is imported.
test_candidate.__test__ = False  # type: ignore[attr-defined]


def _if_asked(check: Check) -> Check:
    """Take a failure for a warning where no task is known that would ask for this."""
    if check.state is not CheckState.FAILED or check.name == "chat":
        return check
    return replace(
        check, state=CheckState.WARNING, message=f"{check.message} Only tasks that ask for it need it."
    )


def _all_needs(candidate: Candidate, config: EvalConfig, *, known: bool) -> Needs:
    structured = wants_structure(candidate)
    return Needs(
        has_tools=config.kind is EvalKind.TOOL_CALL or not known,
        response_formats=() if known else ("json_schema",),
        wants_labels=structured and config.names_one_label,
        wants_schema=structured and config.kind is EvalKind.FIELDS and bool(config.schema),
        wants_logprobs=bool(candidate.parameters.get("logprobs", True)),
    )


async def _probe(
    workspace: Workspace, candidate: Candidate, config: EvalConfig, needs: Needs, listener: Listener
) -> ConformanceReport:
    from workbench.engines import listen, open_engine

    engine = open_engine(workspace, candidate, config)
    listen(engine, listener)
    try:
        await engine.check()
        return await check_conformance(engine, candidate, config, needs)
    finally:
        await engine.close()
