"""Tokens of any provider in one form: uncached in, cached in, out, reasoning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.normal import as_count, as_number, decode_nested, usage_openai
from workbench.records import Usage

_UNKNOWN = Usage()
_EXCLUSIVE_CACHE = ("cache_read_input_tokens", "cacheReadInputTokens")
_WHOLE_IN = ("input", "prompt_tokens", "input_tokens", "promptTokens")
_WHOLE_OUT = ("output", "completion_tokens", "output_tokens", "completionTokens")
_TOTALS = ("total", "total_tokens", "totalTokens")
_WHOLES = frozenset((*_WHOLE_IN, *_WHOLE_OUT, *_TOTALS))
_CACHE_WRITES = ("cache_creation_input_tokens", "cacheWriteInputTokens")

_TIERS_AT_BATCH_PRICE = ("batch", "flex")
"""OpenAI and Google bill flex as they do a batch; Anthropic calls a batch's tier so (their guides, 2026)."""


def is_at_batch_price(request: Any, response: Any) -> bool:
    """Tell whether a call was billed as calls of a batch are, by the service tier that its bodies name.

    Args:
        request: Its body; what it asks for counts where the answer does not say what it got.
        response: The answer's body.
    """
    if isinstance(response, dict):
        usage = response.get("usage")
        tier = response.get("service_tier") or (
            usage.get("service_tier") if isinstance(usage, dict) else None
        )
        if tier is not None:
            return tier in _TIERS_AT_BATCH_PRICE
    return isinstance(request, dict) and request.get("service_tier") in _TIERS_AT_BATCH_PRICE


def logged_cost(value: Any, *, is_cached: bool = False) -> float | None:
    """Return what a log says that a call cost, in US dollars; None where it says nothing.

    Args:
        value: A number, also as text.
        is_cached: Whether the answer came from a gateway's own cache. Without that a cost of 0 says that
            the gateway has no price for the model.
    """
    cost = as_number(value)
    return cost if cost is not None and (cost > 0 or (cost == 0 and is_cached)) else None


def read_usage(value: Any) -> Usage:
    """Normalise a provider's or a library's usage object.

    Args:
        value: Of OpenAI (chat and responses), Anthropic, Bedrock Converse, Gemini, Cohere or
            LangChain, the AI SDK, or an answer of Ollama's; anything else gives unknown tokens.
    """
    usage = decode_nested(value)
    if not isinstance(usage, dict):
        return _UNKNOWN
    if "eval_count" in usage:  # The body of an answer of Ollama's
        return inclusive_usage(usage.get("prompt_eval_count"), None, usage["eval_count"])
    billed = usage.get("billed_units", usage.get("tokens"))
    if isinstance(billed, dict) and "output_tokens" in billed:  # Cohere
        return inclusive_usage(billed.get("input_tokens"), None, billed.get("output_tokens"))
    if "promptTokenCount" in usage or "prompt_token_count" in usage:
        return _gemini(usage)
    if "input_token_details" in usage or "output_token_details" in usage:
        return _langchain(usage)
    if any(key in usage for key in (*_EXCLUSIVE_CACHE, *_CACHE_WRITES)) and not any(
        isinstance(usage.get(key), dict) for key in ("prompt_tokens_details", "input_tokens_details")
    ):
        return _exclusive(usage)
    if "cachedInputTokens" in usage or "promptTokens" in usage:  # The AI SDK, whose input holds the cached.
        whole, cached = _first(usage, "inputTokens", "promptTokens"), _first(usage, "cachedInputTokens")
        return inclusive_usage(whole, cached, _first(usage, "outputTokens", "completionTokens"))
    asked, answered = usage.get("inputTokens"), usage.get("outputTokens")
    if isinstance(asked, dict) and isinstance(answered, dict):  # The AI SDK's providers
        return inclusive_usage(
            asked.get("total"), asked.get("cacheRead"), answered.get("total"), answered.get("reasoning")
        )
    if "inputTokens" in usage or "outputTokens" in usage:
        return Usage(as_count(usage.get("inputTokens")), None, as_count(usage.get("outputTokens")))
    return usage_openai(usage)


def _exclusive(usage: Mapping[str, Any]) -> Usage:
    """Read Anthropic's and Converse's usage, whose input tokens leave the cached ones out.

    Tokens written to the cache were read by the model at full length: they count as uncached.
    """
    plain = _first(usage, "input_tokens", "inputTokens", "prompt_tokens")
    written = _first(usage, *_CACHE_WRITES)
    cached = _first(usage, *_EXCLUSIVE_CACHE)
    if "prompt_tokens" in usage and plain is not None:
        # Gateways that speak OpenAI's words follow OpenAI's sum, the cached ones included.
        plain, written = max(plain - (cached or 0), 0), 0
    uncached = None if plain is None else plain + (written or 0)
    return Usage(uncached, cached, _first(usage, "output_tokens", "outputTokens", "completion_tokens"))


def _gemini(usage: Mapping[str, Any]) -> Usage:
    total = _first(usage, "promptTokenCount", "prompt_token_count")
    cached = _first(usage, "cachedContentTokenCount", "cached_content_token_count")
    answer = _first(usage, "candidatesTokenCount", "candidates_token_count", "generation_token_count")
    thought = _first(usage, "thoughtsTokenCount", "thoughts_token_count")
    out = None if answer is None and thought is None else (answer or 0) + (thought or 0)
    return Usage(None if total is None else max(total - (cached or 0), 0), cached, out, thought)


def _langchain(usage: Mapping[str, Any]) -> Usage:
    total = _first(usage, "input_tokens", "prompt_tokens")
    details = usage.get("input_token_details")
    cached = as_count(details.get("cache_read")) if isinstance(details, dict) else None
    details = usage.get("output_token_details")
    reasoning = as_count(details.get("reasoning")) if isinstance(details, dict) else None
    uncached = None if total is None else max(total - (cached or 0), 0)
    return Usage(uncached, cached, _first(usage, "output_tokens", "completion_tokens"), reasoning)


def usage_details(value: Any) -> Usage:
    """Normalise named counts whose names and sum differ from exporter to exporter.

    Args:
        value: Such as `{"input": 12, "output": 3, "input_cached_tokens": 8, "total": 23}`. The
            total tells whether `input` and `output` include the finer counts.
    """
    details = decode_nested(value)
    if not isinstance(details, dict):
        return _UNKNOWN
    counts = {str(key): count for key, item in details.items() if (count := as_count(item)) is not None}
    plain_in = next((counts[key] for key in _WHOLE_IN if key in counts), None)
    plain_out = next((counts[key] for key in _WHOLE_OUT if key in counts), None)
    parts = {key: count for key, count in counts.items() if key not in _WHOLES}
    if not parts:
        return Usage(plain_in, None, plain_out)
    cached = _matching(parts, ("cache_read", "cached"))
    written = _matching(parts, ("cache_creation", "cache_write"))
    reasoning = _matching(parts, ("reasoning",))
    finer = (cached or 0) + (written or 0) + (reasoning or 0)
    total = _first(counts, *_TOTALS)
    inclusive = total is not None and finer > 0 and (plain_in or 0) + (plain_out or 0) == total
    if inclusive:
        uncached = None if plain_in is None else max(plain_in - (cached or 0), 0)
        return Usage(uncached, cached, plain_out, reasoning)
    uncached = None if plain_in is None else plain_in + (written or 0)
    out = None if plain_out is None else plain_out + (reasoning or 0)
    return Usage(uncached, cached, out, reasoning)


def _matching(counts: Mapping[str, int], words: tuple[str, ...]) -> int | None:
    found = [count for key, count in counts.items() if any(word in key for word in words)]
    return sum(found) if found else None


def inclusive_usage(total_in: Any, cached: Any, out: Any, reasoning: Any = None) -> Usage:
    """Return the usage of counts whose input includes the cached tokens.

    A cache count above the input can't be part of it: then the two are apart already.
    """
    whole, part = as_count(total_in), as_count(cached)
    if whole is not None and part is not None and part <= whole:
        whole -= part
    return Usage(whole, part, as_count(out), as_count(reasoning))


def known(usage: Usage) -> bool:
    """Tell whether a usage says anything."""
    return any(
        each is not None for each in (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
    )


def _first(usage: Mapping[str, Any], *keys: str) -> int | None:
    return next((found for key in keys if (found := as_count(usage.get(key))) is not None), None)
