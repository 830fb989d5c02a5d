"""What a server tells about itself beside its answers: context length, waiting requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workbench.engines.base import Engine
from workbench.engines.wire import is_same_model
from workbench.specs import Candidate

LENGTH_KEYS = (
    "max_model_len",  # vLLM, SGLang
    "loaded_context_length",  # LM Studio
    "n_ctx",  # llama.cpp
    "context_window",  # Groq
    "max_context_length",  # Mistral
    "context_length",  # Ollama, OpenRouter, Together
    "max_input_tokens",  # LiteLLM: of the prompt alone, mostly the same number
)
"""Where servers say how many tokens fit, in the order of trust."""
QUEUES = ("vllm:num_requests_waiting", "llamacpp:requests_deferred", "sglang:num_queue_reqs")
"""How servers call the requests that wait at them, in their own figures."""
_WAITING = re.compile(rf"^(?:{'|'.join(QUEUES)})(?:\{{[^}}]*\}})?\s+([0-9.eE+]+)", re.MULTILINE)


async def peek(engine: Engine, path: str) -> Any:
    """Ask a server about itself; no data of a task is sent.

    Args:
        engine: Its engine; one that has no server tells nothing.
        path: Below the base address (`models`), or with a slash, beside it (`/metrics`).

    Returns:
        Decoded JSON, or text; None where it doesn't say.
    """
    ask = getattr(engine, "peek", None)
    return None if ask is None else await ask(path)


async def context_limit(engine: Engine, candidate: Candidate) -> int | None:
    """Return how many tokens prompt and answer may have together, or None where nothing says so."""
    own = getattr(engine, "context_tokens", None)
    if isinstance(own, int):
        return own
    found = _of_models(await peek(engine, "models"), candidate.model or "")
    if found is None and (props := await peek(engine, "/props")):
        settings = props.get("default_generation_settings") if isinstance(props, Mapping) else None
        found = _length(settings)
    if found is None:
        found = _of_models(await peek(engine, "/api/v0/models"), candidate.model or "")  # LM Studio
    if found is None:
        # Ollama serves a part of what the model could take; only a loaded model has its own line.
        found = _of_models(await peek(engine, "/api/ps"), candidate.model or "")
    return found


def _of_models(listed: Any, model: str) -> int | None:
    rows = (listed.get("data") or listed.get("models")) if isinstance(listed, Mapping) else None
    for row in rows if isinstance(rows, list) else ():
        name = row.get("id") or row.get("name") or row.get("model") if isinstance(row, Mapping) else None
        if isinstance(name, str) and is_same_model(model, name):
            return _length(row) or _length(row.get("meta"))
    return None


def _length(table: Any) -> int | None:
    for key in LENGTH_KEYS:
        value = table.get(key) if isinstance(table, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


async def requests_waiting(engine: Engine) -> float | None:
    """Return how many requests wait in a server's own queue, or None where it doesn't tell."""
    told = await peek(engine, "/metrics")
    if not isinstance(told, str):
        return None
    found = [float(each) for each in _WAITING.findall(told)]
    return sum(found) if found else None
