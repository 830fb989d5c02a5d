"""A small model in this process, for machines without a server: batches, greedy, exact labels."""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.config import Workspace
from workbench.engines.base import CallContext, failure, limit_of
from workbench.engines.privacy import open_gate
from workbench.engines.reasoning import speaks_of_tags, split_reasoning
from workbench.engines.signals import Token, answer_tokens, label_margin, margin, token_quantile
from workbench.engines.weights import find_weights, quiet_transformers
from workbench.engines.wire import TOP_LOGPROBS, effective_parameters
from workbench.normal import clean_text, message_text, parse_arguments
from workbench.records import ErrorKind, Message, Output, Request, ToolCall, Usage
from workbench.specs import Candidate, EvalConfig

if TYPE_CHECKING:
    from workbench.engines.local_model import LocalModel, Written

DEFAULT_TOKENS = 256
"""Most tokens of an answer where neither log nor candidate says."""
GATHER_S = 0.005
"""How long a batch waits for more requests."""
BATCH_TOKENS = 16_384
"""Most tokens of all prompts of a pass, padding included: bounds memory."""
_TOOL_CALL = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: Request
    answered: asyncio.Future[Output]
    temperature: float


@dataclass(frozen=True, slots=True)
class _Prompt:
    index: int
    ids: list[int]
    limit: int
    stops: tuple[str, ...]
    temperature: float = 0.0
    is_literal: bool = False


class TransformersEngine:
    """Answer with a model in this process.

    For label evals every allowed label is scored exactly, its end included, and the
    likeliest is the answer; `parameters.score_labels = false` has it write freely.
    Otherwise it writes greedily: asked again, it answers the same. Samples alone
    (`candidate.samples`) are drawn, labels by their scores too.

    Args:
        workspace: Local model folders are looked for from its folder.
        candidate: `model`, `revision`, `dtype`, `batch_size`, `parameters`.
        eval_config: The task's eval.

    Raises:
        ModelMissing: Weights or packages are not installed.
        ConfigError: The weights may not be loaded.
    """

    name = "transformers"

    def __init__(self, workspace: Workspace, candidate: Candidate, eval_config: EvalConfig) -> None:
        open_gate(candidate, eval_config)
        quiet_transformers()
        self._folder = find_weights(workspace, candidate)
        self._candidate = candidate
        self._eval = eval_config
        self._model: LocalModel | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._batching: asyncio.Task[None] | None = None
        self._labels: list[list[int]] = []
        self.batch_size = max(candidate.batch_size, 1)
        # While one batch is computed, the next one gathers.
        self.concurrency = 2 * self.batch_size

    @property
    def description(self) -> Mapping[str, Any]:
        """Return where and how the model runs."""
        found = {"weights": self._folder.name, "batch_size": self.batch_size}
        if self._model is not None:
            found |= {"dtype": self._model.dtype, "device": self._model.device}
        return found

    @property
    def context_tokens(self) -> int | None:
        """Return how many tokens prompt and answer may have together, once the model is loaded."""
        return None if self._model is None else self._model.context

    @property
    def scores_labels(self) -> bool:
        """Return whether answers are the likeliest allowed label."""
        return (
            self._eval.names_one_label
            and bool(self._eval.labels)
            and bool(self._candidate.parameters.get("score_labels", True))
        )

    async def check(self) -> None:
        """Load the model."""
        if self._model is None:
            self._model = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    def _load(self) -> LocalModel:
        from workbench.engines.local_model import LocalModel

        model = LocalModel(self._folder, self._candidate.dtype)
        if self.scores_labels:
            encode = model.tokenizer
            self._labels = [encode(each, add_special_tokens=False)["input_ids"] for each in self._eval.labels]
        return model

    async def complete(self, request: Request, context: CallContext) -> Output:
        """Answer with the next batch; see `Engine.complete`."""
        await self.check()
        context.attempts = 1
        if self._batching is None:
            self._batching = asyncio.create_task(self._batch())
        temperature = float((context.overrides or {}).get("temperature") or 0.0)
        waiting = _Waiting(request, asyncio.get_running_loop().create_future(), temperature)
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.answered

    async def _batch(self) -> None:
        """Gather waiting requests and answer them, batch after batch."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            if len(self._waiting) < self.batch_size:
                await asyncio.sleep(GATHER_S)
            taken, self._waiting = self._waiting[: self.batch_size], self._waiting[self.batch_size :]
            if not self._waiting:
                self._wake.clear()
            taken = [each for each in taken if not each.answered.done()]
            if not taken:
                continue
            try:
                requests, heat = [each.request for each in taken], [each.temperature for each in taken]
                outputs = await loop.run_in_executor(self._thread, self.answer, requests, heat)
            except Exception as error:
                for each in taken:
                    if not each.answered.done():
                        each.answered.set_exception(error)
                continue
            for each, output in zip(taken, outputs, strict=True):
                if not each.answered.done():
                    each.answered.set_result(output)

    def answer(self, requests: list[Request], temperatures: list[float] | None = None) -> list[Output]:
        """Answer requests in passes of similar length.

        Args:
            requests: In any order.
            temperatures: Of each request; 0, also where there are none, takes the likeliest.

        Returns:
            Outputs in the order of the requests; `latency_ms` is that of the whole pass.
        """
        outputs: dict[int, Output] = {}
        prompts = []
        for index, request in enumerate(requests):
            found = self._encode(index, request)
            if isinstance(found, Output):
                outputs[index] = found
            else:
                heat = temperatures[index] if temperatures else 0.0
                prompts.append(replace(found, temperature=heat))
        for group in _passes(sorted(prompts, key=lambda each: (len(each.ids), each.limit)), self.batch_size):
            started = time.perf_counter()
            answered = self._score(group) if self.scores_labels else self._write(group)
            latency_ms = (time.perf_counter() - started) * 1000
            for prompt, output in zip(group, answered, strict=True):
                outputs[prompt.index] = replace(output, latency_ms=latency_ms, model=self._candidate.model)
        return [outputs[index] for index in range(len(requests))]

    def _encode(self, index: int, request: Request) -> _Prompt | Output:
        model = self._loaded()
        parameters = effective_parameters(request, self._candidate)
        template = str(model.tokenizer.chat_template)
        if request.tools and "tools" not in template and not self.scores_labels:
            return failure(ErrorKind.OTHER, "the model's chat template takes no tools")
        try:
            messages = [_plain(each) for each in request.messages]
        except ValueError as error:
            return failure(ErrorKind.OTHER, str(error))
        ids = self._template(messages, list(request.tools))
        if isinstance(ids, str):
            return failure(ErrorKind.OTHER, f"the chat template refuses the messages: {ids}")
        room = model.context - len(ids)
        needed = max(map(len, self._labels)) + 1 if self.scores_labels else 1
        if room < needed:
            return failure(
                ErrorKind.CONTEXT_LENGTH, f"the prompt has {len(ids):,} tokens of {model.context:,} at most"
            )
        stop = parameters.get("stop") or ()
        stops = (stop,) if isinstance(stop, str) else tuple(str(each) for each in stop)
        limit = min(limit_of(parameters) or DEFAULT_TOKENS, room)
        return _Prompt(index, ids, limit, stops, is_literal=speaks_of_tags(request.messages))

    def _template(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> list[int] | str:
        """Return the prompt's tokens, or why the template refuses."""
        why = ""
        for attempt in (messages, _without_system(messages)):
            try:
                text = self._loaded().tokenizer.apply_chat_template(
                    attempt, tools=tools or None, add_generation_prompt=True, tokenize=False
                )
            except Exception as error:
                # Templates are programs of the models' makers and raise what they like.
                why = str(error)
                continue
            ids: list[int] = self._loaded().tokenizer(text, add_special_tokens=False)["input_ids"]
            return ids
        return why

    def _loaded(self) -> LocalModel:
        if self._model is None:
            self._model = self._load()
        return self._model

    def _score(self, group: list[_Prompt]) -> list[Output]:
        found = []
        scores = self._loaded().score([each.ids for each in group], self._labels)
        for prompt, row in zip(group, scores, strict=True):
            highest = max(row)
            shares = {
                label: math.exp(each - highest) for label, each in zip(self._eval.labels, row, strict=True)
            }
            best = _pick(row, prompt.temperature)
            given = self._eval.labels[best]
            ahead = margin(shares, given)
            found.append(
                Output(
                    text=given,
                    finish_reason="stop",
                    usage=Usage(len(prompt.ids), 0, len(self._labels[best]) + 1),
                    confidence={
                        **({} if ahead is None else {"label_margin": ahead}),
                        "label_probability": shares[given] / sum(shares.values()),
                    },
                )
            )
        return found

    def _write(self, group: list[_Prompt]) -> list[Output]:
        written = self._loaded().write(
            [each.ids for each in group],
            [each.limit for each in group],
            [each.temperature for each in group],
            TOP_LOGPROBS if self._eval.names_one_label else 0,
        )
        return [self._output(prompt, each) for prompt, each in zip(group, written, strict=True)]

    def _output(self, prompt: _Prompt, written: Written) -> Output:
        text = self._loaded().tokenizer.decode(written.ids, skip_special_tokens=True)
        text, repaired = clean_text(text)
        ended = written.ended
        for stop in prompt.stops:
            if stop and stop in text:
                text, ended = text[: text.index(stop)], True
        usage = Usage(len(prompt.ids), 0, len(written.ids) + written.ended)
        finish = "stop" if ended else "length"
        flags = (*(() if ended else ("truncated",)), *(("repaired_text",) if repaired else ()))
        reasoning, text = (None, text) if prompt.is_literal else split_reasoning(text)
        calls = _tool_calls(text)
        if not text.strip():
            what = "only reasoning and no answer" if reasoning else "an empty answer"
            return failure(
                ErrorKind.EMPTY, what, flags=flags, finish_reason=finish, usage=usage, reasoning=reasoning
            )
        return Output(
            text=(_TOOL_CALL.sub("", text).strip() or None) if calls else text.strip(),
            tool_calls=calls,
            finish_reason="tool_calls" if calls and ended else finish,
            usage=usage,
            reasoning=reasoning,
            confidence=self._signals(written, text, reasoning is not None),
            flags=flags,
        )

    def _signals(self, written: Written, answer: str, has_reasoning: bool) -> dict[str, float]:
        """Return the signals that a server's log-probabilities would give."""
        word = self._loaded().tokenizer.decode
        tops = written.tops or [{} for _ in written.ids]
        tokens = [
            Token(word([token]), logprob, {word([each]): value for each, value in likeliest.items()})
            for token, logprob, likeliest in zip(written.ids, written.logprobs, tops, strict=False)
        ]
        own = answer_tokens(tokens, answer, has_reasoning)
        found = {"token_quantile": token_quantile([each.logprob for each in own])}
        if self._eval.names_one_label:
            names = {label: label for label in self._eval.labels} | dict(self._eval.aliases)
            found["label_margin"] = label_margin(own, names)
        return {name: value for name, value in found.items() if value is not None}

    async def close(self) -> None:
        """Let the pass that is computed end, then free the model."""
        if self._batching is not None:
            self._batching.cancel()
            await asyncio.gather(self._batching, return_exceptions=True)
            self._batching = None
        for each in self._waiting:
            each.answered.cancel()
        self._waiting.clear()
        await asyncio.to_thread(self._thread.shutdown)
        self._model = None


def _pick(scores: list[float], temperature: float) -> int:
    """Return the place of the highest score, or of one drawn by the scores at a temperature."""
    if temperature <= 0:
        return scores.index(max(scores))
    highest = max(scores)
    weights = [math.exp((each - highest) / temperature) for each in scores]
    return random.choices(range(len(scores)), weights)[0]  # noqa: S311 - a sample, no secret


def _passes(prompts: list[_Prompt], most: int) -> list[list[_Prompt]]:
    """Cut prompts, sorted by length, into passes of bounded size."""
    groups: list[list[_Prompt]] = []
    for prompt in prompts:
        group = groups[-1] if groups else None
        # Sorted: the new prompt is the longest, and all others are padded to it.
        if group is None or len(group) >= most or (len(group) + 1) * len(prompt.ids) > BATCH_TOKENS:
            groups.append([prompt])
        else:
            group.append(prompt)
    return groups


def _plain(message: Message) -> dict[str, Any]:
    """Return a message as chat templates take it: text alone, arguments as objects."""
    if isinstance(message.content, list) and any("text" not in part for part in message.content):
        raise ValueError("the model reads text alone, and the request holds other content")
    role = "system" if message.role == "developer" else message.role
    plain: dict[str, Any] = {"role": role, "content": message_text(message)}
    if message.name:
        plain["name"] = message.name
    if message.tool_calls:
        plain["tool_calls"] = [
            {"type": "function", "function": {"name": each.name, "arguments": each.arguments or {}}}
            for each in message.tool_calls
        ]
    return plain


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the system text before the first user message: some templates know no system role."""
    system = "\n\n".join(each["content"] for each in messages if each["role"] == "system")
    others = [dict(each) for each in messages if each["role"] != "system"]
    first = next((each for each in others if each["role"] == "user"), None)
    if system and first is not None:
        first["content"] = f"{system}\n\n{first['content']}"
    return others


def _tool_calls(text: str) -> tuple[ToolCall, ...]:
    """Read tool calls written as `<tool_call>{...}</tool_call>`, as most open models do."""
    found = []
    for match in _TOOL_CALL.finditer(text):
        try:
            value = json.loads(match[1])
        except ValueError:
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                arguments = item.get("arguments", item.get("parameters"))
                found.append(ToolCall(item["name"], parse_arguments(arguments)))
    return tuple(found)
