"""Five tiny calls that show whether a candidate can be asked what a sample asks.

They hold none of the task's data and go through the engine, so the privacy gate
and the way labels and schemas are sent are those of the replay itself. What fails here
would fail in every call: it is said before the sample is paid for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from workbench.engines.base import CallContext, Engine
from workbench.engines.server_facts import context_limit
from workbench.engines.synthetic import (
    NONSENSE,
    SCHEMA,
    TOOL,
    chat_request,
    label_request,
    long_request,
    plain_request,
    pointed_label_request,
    schema_request,
    tool_request,
)
from workbench.errors import ConfigError
from workbench.normal import Undecodable, decode_json
from workbench.records import ErrorKind, Output, Request, Usage, told_error
from workbench.specs import Candidate, EvalConfig

MOST_QUESTIONS = 5
"""Each is one call, and one more where its reply can't be read."""
CALL_LIMIT_S = 60.0
"""A check that has no answer by then is skipped: the replay itself will say what a slow server means."""
ESTIMATE_MARGIN = 0.8
"""Lengths are estimates. Only a request that is too long even at this part of its estimate is surely so."""
UNTOLD_TOKENS = 3_000
"""Where a server does not tell its context length, requests below this length are taken to fit."""


class CheckState(StrEnum):
    """What a check found. Only `failed` stops a replay."""

    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `name` is chat, tools, labels, schema, log-probabilities or context."""

    name: str
    state: CheckState
    message: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What a sample asks of a candidate.

    `response_formats` are the types found in the requests (`json_schema`, `json_object`).
    `wants_labels` and `wants_schema` say that the candidate is to be held to the
    eval's labels or schema by the server. `lengths` are estimated tokens of requests,
    the room for the answer included: all of them, or as many quantiles.
    """

    has_system: bool = True
    has_turns: bool = True
    has_tools: bool = False
    response_formats: tuple[str, ...] = ()
    wants_labels: bool = False
    wants_schema: bool = False
    wants_logprobs: bool = True
    lengths: tuple[int, ...] = ()

    @property
    def longest_tokens(self) -> int:
        """Return the estimated tokens of the longest request, 0 where none is known."""
        return max(self.lengths, default=0)


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """What the checks of one candidate showed. `calls` counts the requests that were sent.

    `usage` is what these calls read and wrote, as far as the server counts it.
    `unanswered` says that the server did not answer in the middle of it.
    """

    candidate: str
    checks: tuple[Check, ...]
    calls: int = 0
    seconds: float = 0.0
    unanswered: bool = False
    usage: Usage = Usage()

    @property
    def ok(self) -> bool:
        """Return whether a replay may start."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """Return the checks that stop a replay."""
        return tuple(each for each in self.checks if each.state is CheckState.FAILED)

    @property
    def text(self) -> str:
        """Return the report as a person reads it: one line a check."""
        if not self.checks:
            return f"{self.candidate}: no model runs, so there is nothing to check."
        lines = [f"{self.candidate}: {'fit to be asked' if self.ok else 'not fit to be asked'}"]
        return "\n".join(
            [*lines, *(f"  {each.state:<8} {each.name}: {each.message}" for each in self.checks)]
        )

    def require(self) -> None:
        """Refuse a candidate that failed.

        Raises:
            ConfigError: A check failed; the message says which and why.
        """
        if self.failed:
            found = " ".join(f"{each.name}: {each.message}" for each in self.failed)
            raise ConfigError(
                f"Candidate {self.candidate!r} can't be asked what this sample asks. {found}",
                "Nothing of the task was sent. Mend the server or the candidate's keys and see with "
                f"`workbench candidate test {self.candidate}`; --no-checks starts the replay all the same.",
            )


async def check_conformance(
    engine: Engine, candidate: Candidate, eval_config: EvalConfig, needs: Needs
) -> ConformanceReport:
    """Check a candidate with at most five tiny calls of the workbench's own.

    A call whose reply can't be read is made once more.

    Args:
        engine: Its engine, after `engine.check()`; a recorded one is asked nothing.
        candidate: The candidate.
        eval_config: The task's eval, under which the engine was opened.
        needs: What the sample asks; what it doesn't ask is not checked.

    Returns:
        One check a line. A server that is busy or gone makes the rest `skipped`:
        the replay's own rules say what that means.
    """
    if engine.name == "recorded":
        return ConformanceReport(candidate.name, ())
    started = time.perf_counter()
    checker = _Checker(engine, candidate, eval_config, needs)
    checks = await checker.run()
    return ConformanceReport(
        candidate.name,
        tuple(checks),
        checker.calls,
        round(time.perf_counter() - started, 3),
        checker.busy,
        Usage(checker.read, checker.cached, checker.wrote),
    )


class _Busy(Exception):
    """The server does not answer now, whatever it is asked."""


class _Checker:
    """The checks of one candidate, in the order of what depends on what."""

    def __init__(self, engine: Engine, candidate: Candidate, eval_config: EvalConfig, needs: Needs) -> None:
        # Samples of an answer have its form: they would cost calls and show nothing new.
        self._engine: Engine = getattr(engine, "unsampled", engine)
        self._candidate = candidate
        self._eval = eval_config
        self._needs = needs
        self._confidence: dict[str, float] = {}
        self._questions = 0
        self.calls = 0
        self.read = self.cached = self.wrote = 0
        self.busy = False

    async def run(self) -> list[Check]:
        found: list[Check] = []
        steps = (
            ("chat", self._chat),
            ("tools", self._tools),
            ("labels", self._labels),
            ("schema", self._schema),
            ("log-probabilities", self._logprobs),
            ("context", self._context),
        )
        for name, step in steps:
            try:
                state, message = await step()
            except _Busy as busy:
                state, message = CheckState.SKIPPED, str(busy)
                found.append(Check(name, state, message))
                self.busy = True
                break
            found.append(Check(name, state, message))
            if name == "chat" and state is CheckState.FAILED:
                break  # Nothing else can be told apart from this.
        return found

    async def _ask(self, request: Request) -> Output:
        """Ask; a reply that can't be read is no finding before a second one can't be read either."""
        self._questions += 1
        output = await self._ask_once(request)
        if output.error is not None and output.error.kind is ErrorKind.INVALID_RESPONSE:
            output = await self._ask_once(request)
        return output

    async def _ask_once(self, request: Request) -> Output:
        """Ask once. A failure that is the server's state, not the candidate's, ends the checks."""
        self.calls += 1
        context = CallContext(f"check-{self.calls}", f"check-{self.calls}")
        try:
            async with asyncio.timeout(CALL_LIMIT_S):
                output = await self._engine.complete(request, context)
        except TimeoutError:
            raise _Busy(f"no answer within {CALL_LIMIT_S:g} s; not checked") from None
        self.read += output.usage.input_tokens or 0
        self.cached += output.usage.cached_input_tokens or 0
        self.wrote += output.usage.output_tokens or 0
        error = output.error
        gone = error and error.kind in (ErrorKind.TIMEOUT, ErrorKind.CONNECTION, ErrorKind.RATE_LIMITED)
        if error and (gone or (error.kind is ErrorKind.HTTP and (error.status or 0) > 500)):
            raise _Busy(f"the server does not answer now ({said(output)}); not checked")
        self._confidence |= output.confidence
        return output

    async def _chat(self) -> tuple[CheckState, str]:
        needs = self._needs
        output = await self._ask(chat_request(needs.has_system, needs.has_turns))
        if output.error is None:
            return CheckState.PASSED, f"answered {(output.text or '')[:40]!r}"
        kind, status = output.error.kind, output.error.status or 0
        if kind is ErrorKind.EMPTY:
            # One word was asked for, and the model came to its end: every answer would be lost so.
            return CheckState.FAILED if _is_mistaken(output) else CheckState.WARNING, _empty(output)
        if kind is ErrorKind.CONTENT_FILTER:
            return CheckState.WARNING, "the server's content filter took a harmless sentence"
        if kind is ErrorKind.WRONG_MODEL:
            return CheckState.FAILED, (
                f"{output.error.message}: set `model` to the name the server answers with, or "
                "parameters.answers_as where it answers under another name on purpose."
            )
        hint = _set_up_hint(status, output.error.message)
        if (kind is ErrorKind.HTTP and hint) or not (needs.has_system or needs.has_turns):
            return CheckState.FAILED, f"{said(output)}. {hint}".strip()
        if (await self._ask(plain_request())).error is None:
            what = [*(["a system message"] if needs.has_system else [])]
            what += ["earlier turns of the assistant"] if needs.has_turns else []
            return CheckState.FAILED, (
                f"takes one user message, but not {' and '.join(what)}, as the sample has: {said(output)}. "
                "Serve the model with another chat template, or leave them out with a prompt patch."
            )
        return CheckState.FAILED, f"{said(output)}. {hint}".strip()

    async def _tools(self) -> tuple[CheckState, str]:
        if not self._needs.has_tools:
            return CheckState.SKIPPED, "no request of the sample has tools"
        output = await self._ask(tool_request())
        if output.error is not None:
            if output.error.kind is ErrorKind.EMPTY:
                return CheckState.WARNING, _empty(output)
            return CheckState.FAILED, (
                f"a request with a tool is refused: {said(output)}. Start the server with its tool parser "
                "(vLLM: --enable-auto-tool-choice --tool-call-parser NAME; llama.cpp: --jinja)."
            )
        text = output.text or ""
        if output.tool_calls:
            call = output.tool_calls[0]
            if call.name == TOOL and isinstance(call.arguments, Mapping):
                return CheckState.PASSED, f"called {call.name} with {dict(call.arguments)}"
            return CheckState.WARNING, f"called {call.name!r} with {call.arguments!r:.100}, no JSON object"
        if TOOL in text:
            return CheckState.FAILED, (
                f"the tool call came back as text ({text[:80]!r}): the server's tool parser is missing or "
                "another model's. Every answer would count as one without a call."
            )
        return CheckState.WARNING, f"answered {text[:60]!r} where a tool was to be called"

    async def _labels(self) -> tuple[CheckState, str]:
        if not self._eval.names_one_label or not self._eval.labels:
            return CheckState.SKIPPED, "there are no labels to allow; they come from the eval of a task"
        if self._engine.name == "transformers":
            return CheckState.PASSED, "scored in this process unless parameters.score_labels is false"
        if not self._needs.wants_labels:
            return (
                CheckState.SKIPPED,
                "the candidate writes freely (parameters.structured_outputs is not set)",
            )
        output = await self._ask(pointed_label_request())
        if output.error is not None:
            if output.error.kind is ErrorKind.EMPTY:
                return CheckState.WARNING, _empty(output)
            return CheckState.FAILED, (
                f"the list of allowed labels is refused: {said(output)}. Set `dialect` to what the server "
                "speaks, or leave parameters.structured_outputs out."
            )
        text = (output.text or "").strip().strip('"')
        allowed = {each.casefold() for each in (*self._eval.labels, *self._eval.aliases)}
        if text.casefold() in allowed or _holds_label(text, allowed):
            return CheckState.PASSED, f"asked for {NONSENSE!r}, it answered {text[:40]!r}, an allowed label"
        return CheckState.WARNING, (
            f"not enforced: asked for {NONSENSE!r}, it answered {text[:40]!r}. Answers outside the labels "
            "count as invalid; set `dialect` to what the server speaks."
        )

    async def _schema(self) -> tuple[CheckState, str]:
        needs = self._needs
        if not needs.response_formats and not needs.wants_schema:
            return CheckState.SKIPPED, "no request of the sample asks for JSON"
        if self._engine.name == "transformers":
            return (
                CheckState.WARNING,
                "a model in this process is not held to JSON: what it writes is compared",
            )
        kind = next((each for each in SCHEMA if each in needs.response_formats), None)
        output = await self._ask(schema_request(kind))
        if output.error is not None:
            if output.error.kind is ErrorKind.EMPTY:
                return CheckState.WARNING, _empty(output)
            return CheckState.FAILED, (
                f"a request for JSON ({kind or 'the schema of the eval'}) is refused: {said(output)}. Set "
                "`dialect` to what the server speaks, or replace response_format with a prompt patch."
            )
        if is_json(output):
            return CheckState.PASSED, "asked for prose, it answered in JSON all the same"
        return CheckState.WARNING, (
            f"not enforced: asked for prose, it answered {(output.text or '')[:40]!r}. Answers that are no "
            "JSON count as invalid."
        )

    async def _logprobs(self) -> tuple[CheckState, str]:
        if not self._needs.wants_logprobs:
            return CheckState.SKIPPED, "not asked for (parameters.logprobs is false)"
        if self._engine.name == "transformers":
            return CheckState.PASSED, "read off the model in this process"
        labels = self._eval.labels if self._eval.names_one_label else ()
        # The last question is that of the length.
        if labels and "label_margin" not in self._confidence and self._questions < MOST_QUESTIONS - 1:
            # No earlier answer had to be a label.
            output = await self._ask(label_request(labels))
            if output.error is not None and output.error.kind is ErrorKind.EMPTY:
                return CheckState.WARNING, _empty(output)
            if output.error is not None:
                return CheckState.FAILED, f"a request for a label is refused: {said(output)}."
        if not self._confidence:
            return CheckState.WARNING, (
                "none that can be used (absent, NaN, or above 0): confidence thresholds will not be possible"
            )
        if labels and "label_margin" not in self._confidence:
            return CheckState.WARNING, (
                "given, but the likeliest tokens don't tell the labels apart: thresholds rest on the written "
                "tokens alone. Ask for more with parameters.top_logprobs."
            )
        found = ", ".join(f"{key} {value:.2f}" for key, value in self._confidence.items())
        return CheckState.PASSED, f"given ({found})"

    async def _context(self) -> tuple[CheckState, str]:
        longest = self._needs.longest_tokens
        if not longest:
            told = await context_limit(self._engine, self._candidate)
            return CheckState.SKIPPED, f"{told:,} tokens" if told else "not told by the server"
        told = await context_limit(self._engine, self._candidate)
        if told is not None:
            return self._judge_context(told)
        if longest < UNTOLD_TOKENS:
            return CheckState.SKIPPED, (
                f"the server does not tell; the longest request has about {longest:,} tokens"
            )
        output = await self._ask(long_request(longest))
        if output.error and output.error.kind in (ErrorKind.CONTEXT_LENGTH, ErrorKind.HTTP):
            # One length is known to be too long, not how many calls are: the person decides.
            return CheckState.WARNING, f"a prompt of about {longest:,} tokens is refused: {said(output)}"
        read = output.usage.input_tokens
        if read is not None and read < ESTIMATE_MARGIN / 2 * longest:
            return CheckState.WARNING, (
                f"of a prompt of about {longest:,} tokens the server read {read:,}: it cuts prompts; "
                "raise its context length (Ollama: num_ctx or OLLAMA_CONTEXT_LENGTH)."
            )
        return CheckState.PASSED, f"took a prompt of about {longest:,} tokens"

    def _judge_context(self, told: int) -> tuple[CheckState, str]:
        lengths = self._needs.lengths
        allowed = self._eval.policy.maximum_invalid
        likely = sum(each > told for each in lengths) / len(lengths)
        surely = sum(each * ESTIMATE_MARGIN > told for each in lengths) / len(lengths)
        seen = f"{told:,} tokens; the longest request takes about {self._needs.longest_tokens:,}"
        if surely > allowed:
            return CheckState.FAILED, (
                f"{seen}, and about {100 * likely:.1f} % of the sample are too long, room for the answer "
                f"included (most allowed: {100 * allowed:.3g} %). Serve a longer context, or set "
                "parameters.max_tokens lower."
            )
        if likely:
            return CheckState.WARNING, f"{seen}; about {100 * likely:.1f} % of the sample may be too long"
        return CheckState.PASSED, seen


def said(output: Output) -> str:
    """Return an output's error in a few words."""
    if output.error is None:
        return ""
    status = f"status {output.error.status}" if output.error.status else told_error(output.error.kind)
    return f"{status}: {output.error.message[:200].rstrip('. ')}"


def is_json(output: Output) -> bool:
    """Say whether an answer is JSON, or the beginning of it where it was cut off."""
    text = (output.text or "").strip()
    if "truncated" in output.flags:
        return text[:1] in ("{", "[")
    try:
        value: Any = decode_json(text.encode()).value
    except Undecodable:
        return False
    return isinstance(value, dict | list)


def _holds_label(text: str, allowed: set[str]) -> bool:
    """Say whether an answer is a JSON object around one allowed label, as some dialects send it."""
    try:
        value: Any = decode_json(text.encode()).value
    except Undecodable:
        return False
    held = list(value.values()) if isinstance(value, dict) else [value]
    return len(held) == 1 and str(held[0]).casefold() in allowed


def _is_mistaken(output: Output) -> bool:
    """Say whether a server seems to take the answer for reasoning: nothing else came, and no limit cut it."""
    return bool(output.reasoning) and output.finish_reason == "stop"


def _empty(output: Output) -> str:
    if _is_mistaken(output):
        return (
            f"all it wrote came as reasoning ({(output.reasoning or '')[:40]!r}), no answer behind it: the "
            "server's reasoning parser seems to be another model's, or the model does not think. Start the "
            "server without it (vLLM: --reasoning-parser; llama.cpp: --reasoning-format)."
        )
    if output.reasoning:
        return (
            "thought until the limit of tokens and answered nothing: with the log's own limits calls may end "
            "so too. Turn thinking off, or raise parameters.max_tokens."
        )
    return "answered nothing"


def _set_up_hint(status: int, message: str) -> str:
    # LiteLLM without a database says so, with status 400, of a key that it does not know.
    if status in (401, 403) or "no connected db" in message.casefold():
        return "Put a valid key in the variable that `api_key_env` names."
    if status in (404, 405):
        return "Mend `base_url` (it mostly ends in /v1) or `model`."
    if "model name" in message.casefold():
        return "Mend `model`."
    if 200 < status < 300:
        return "Mend `base_url`: chat completions are answered with status 200 and content."
    if 300 <= status < 400:
        return "Redirects are never followed: set `base_url` to the final address."
    return ""
