"""OpenAI chat completions on the wire: what is sent. Pure functions; `replies` reads what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from workbench.engines.dialects import WRAPPER_TOKENS, Constraint, constraint_of
from workbench.records import Message, Request
from workbench.specs import CONTROL, Candidate, EvalConfig

SHARED_PARAMETERS = frozenset(
    (
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "tool_choice",
        "parallel_tool_calls",
        "logprobs",
        "top_logprobs",
    )
)
"""What a logged request may pass on. The rest names the frontier's own features or tokens."""

FRONTIER_PARAMETERS = frozenset(
    ("top_k", "min_p", "repetition_penalty", "logit_bias", "reasoning_effort", "verbosity")
)
"""What beyond that decides an answer of the frontier, and is passed on to it alone."""

RENAMED_PARAMETERS = {"stop_sequences": "stop", "max_output_tokens": "max_tokens", "maxTokens": "max_tokens"}
OWN_PARAMETERS = frozenset(("answers_as", "structured_outputs", "score_labels"))
"""Keys of `parameters` that the workbench reads itself."""
TOP_LOGPROBS = 5
"""Likeliest tokens asked for at each place of a label: servers allow 5 to 20, and two decide a margin."""

LIMITS = ("max_tokens", "max_completion_tokens")
_VERSION = re.compile(r"[-@:](latest|v?\d{3,8}|\d{4}-\d{2}-\d{2})", re.IGNORECASE)


def shared_parameters(logged: Mapping[str, Any]) -> dict[str, Any]:
    """Return those logged parameters that any model understands, under their OpenAI names."""
    named = {RENAMED_PARAMETERS.get(key, key): value for key, value in logged.items()}
    return {key: value for key, value in named.items() if key in SHARED_PARAMETERS and value is not None}


def effective_parameters(
    request: Request, candidate: Candidate, overrides: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a request is sent with: the log's parameters, then the candidate's over them.

    One limit of tokens counts: the candidate's own, under the name the candidate uses.

    Args:
        request: The recorded request.
        candidate: Its `parameters` override the log's.
        overrides: What overrides both, as `CallContext` carries it.
    """
    found = shared_parameters(request.parameters)
    if candidate.name == CONTROL:
        # The frontier itself is asked with all that the log says: its own features are no strangers to it.
        found |= {key: request.parameters[key] for key in FRONTIER_PARAMETERS & request.parameters.keys()}
    if any(key in candidate.parameters for key in LIMITS):
        found = {key: value for key, value in found.items() if key not in LIMITS}
    return {**found, **candidate.parameters, **(overrides or {})}


def message_body(message: Message, call_ids: Iterable[str]) -> dict[str, Any]:
    """Return one message as the API takes it; tool arguments become a JSON string.

    Args:
        message: The message.
        call_ids: Ids for tool calls the log names none for.
    """
    role = "system" if message.role == "developer" else message.role
    body: dict[str, Any] = {"role": role, "content": message.content}
    if message.name:
        body["name"] = message.name
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": call.id or call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": arguments_text(call.arguments)},
            }
            for call, call_id in zip(message.tool_calls, call_ids, strict=False)
        ]
    elif message.content is None:
        body["content"] = ""
    return body


def arguments_text(arguments: Any) -> str:
    """Return tool arguments as the JSON string the API asks for; text stays as it is."""
    if isinstance(arguments, str):
        return arguments
    return msgspec.json.encode({} if arguments is None else arguments).decode()


def message_bodies(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return all messages, with tool results tied to their calls even where the log lost the ids."""
    bodies = []
    waiting: list[str] = []
    count = 0
    for message in messages:
        if message.role == "tool":
            answered = message.tool_call_id or (waiting[0] if waiting else "call_0")
            waiting = [each for each in waiting if each != answered]
            body = message_body(message, ()) | {"tool_call_id": answered}
        else:
            ids = [each.id or f"call_{count + index}" for index, each in enumerate(message.tool_calls)]
            count += len(ids)
            if ids:
                waiting = ids
            body = message_body(message, ids)
        bodies.append(body)
    return bodies


def request_body(
    request: Request,
    candidate: Candidate,
    eval_config: EvalConfig,
    *,
    dialect: str | None = None,
    logprobs: bool | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of one chat completion: what the control was asked, as this candidate.

    Args:
        request: The recorded request.
        candidate: Its `parameters` override the log's. `structured_outputs = true` sends
            the allowed labels or the schema of the eval, in the server's dialect; a table
            is sent as it is (vLLM's own field).
        eval_config: The task's eval.
        dialect: vllm, ollama, openai or none. None: the candidate's own, vllm for auto.
        logprobs: Ask for log-probabilities (True), leave them out unless the candidate
            itself asks for them (False), or do as log and candidate say (None).
        overrides: Parameters over the candidate's own.
    """
    if dialect is None:
        dialect = "vllm" if candidate.dialect == "auto" else candidate.dialect
    constraint = constraint_of(request, candidate, eval_config, dialect)
    return constrained_body(
        request, candidate, eval_config, constraint, logprobs=logprobs, overrides=overrides
    )


def constrained_body(
    request: Request,
    candidate: Candidate,
    eval_config: EvalConfig,
    constraint: Constraint,
    *,
    logprobs: bool | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the body of one chat completion under a constraint; see `request_body`."""
    parameters = effective_parameters(request, candidate, overrides)
    body: dict[str, Any] = {"model": candidate.model, "messages": message_bodies(request.messages)}
    if request.tools:
        body["tools"] = [tool_body(tool) for tool in request.tools]
    else:
        parameters.pop("tool_choice", None)
        parameters.pop("parallel_tool_calls", None)
    body |= constraint.body
    if isinstance(structured := parameters.get("structured_outputs"), dict):
        body["structured_outputs"] = structured
    _ask_logprobs(parameters, candidate, eval_config, logprobs)
    if constraint.wrapped:
        for key in LIMITS:
            if isinstance(parameters.get(key), int):
                parameters[key] += WRAPPER_TOKENS
    body |= {key: value for key, value in parameters.items() if key not in OWN_PARAMETERS}
    if candidate.stream:
        body["stream"] = True
        body.setdefault("stream_options", {"include_usage": True})
    return body


def _ask_logprobs(
    parameters: dict[str, Any], candidate: Candidate, eval_config: EvalConfig, wanted: bool | None
) -> None:
    own = candidate.parameters
    if wanted and "logprobs" not in own:
        parameters["logprobs"] = True
        if eval_config.names_one_label:
            parameters.setdefault("top_logprobs", TOP_LOGPROBS)
    elif wanted is False and not own.get("logprobs"):
        parameters.pop("logprobs", None)
    if not parameters.get("logprobs"):
        # Servers refuse the one without the other.
        parameters.pop("top_logprobs", None)


def tool_body(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool's definition in the nested OpenAI shape."""
    if "function" in tool or "name" not in tool:
        return tool
    schema = tool.get("parameters") or tool.get("input_schema") or {"type": "object", "properties": {}}
    function = {"name": tool["name"], "parameters": schema}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def is_same_model(asked: str, answered: str) -> bool:
    """Say whether a server answered as the model that was asked.

    A date or version behind the name, a path before it and `.gguf` are no difference:
    `gpt-x-mini` may answer as `gpt-x-mini-2026-01-31`, never `gpt-x` as `gpt-x-mini`.
    """
    first, second = (name.casefold().removesuffix(".gguf") for name in (asked, answered))
    ends = [name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] for name in (first, second)]
    if first == second or (ends[0] == ends[1] and ("/" not in first or "/" not in second)):
        return True
    if second.startswith(("/", ".")) and ends[0] == ends[1]:
        return True
    longer, shorter = (first, second) if len(first) > len(second) else (second, first)
    return longer.startswith(shorter) and bool(_VERSION.fullmatch(longer[len(shorter) :]))
