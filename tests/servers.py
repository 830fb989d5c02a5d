"""Stub servers of the chat completions API: one that works, and many that don't.

Run in a process of its own: `with serving() as server: server.url("good")`. The first
part of the path names the behaviour, so one process serves all of them and counts what
each was asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def answer_to(prompt: str) -> str:
    """Return what the good server answers: the same for the same prompt."""
    return "spam" if hashlib.sha256(prompt.encode()).digest()[0] % 2 else "ham"


def completion(text: str | None, model: str, **changes: Any) -> dict[str, Any]:
    """Return the body of a chat completion."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": None,
    } | changes.pop("choice", {})
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [choice],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    } | changes


def prompt_of(body: dict[str, Any]) -> str:
    """Return the text of the last message."""
    content = body["messages"][-1].get("content")
    return content if isinstance(content, str) else json.dumps(content)


async def good(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer at once."""
    return web.json_response(completion(answer_to(prompt_of(body)), body["model"]))


async def zero_usage(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer at once, and count no token."""
    counts = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return web.json_response(completion(answer_to(prompt_of(body)), body["model"], usage=counts))


async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer after 20 ms."""
    await asyncio.sleep(0.02)
    return await good(request, body)


async def sluggish(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer after a second, so that a person has time to stop it."""
    await asyncio.sleep(1)
    return await good(request, body)


async def echo(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with the request and its key, as a careless server might."""
    text = json.dumps(body | {"authorization": _.headers.get("Authorization")})
    return web.json_response(completion(text, body["model"]))


async def html(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Answer with a page of a proxy."""
    return web.Response(text="<html><title>Welcome to nginx</title></html>", content_type="text/html")


async def error_with_200(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Answer with an error object and status 200."""
    return web.json_response({"error": {"message": "upstream failed", "code": 502}})


async def no_choices(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer without choices."""
    return web.json_response(completion("", body["model"]) | {"choices": []})


async def empty(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with white space."""
    return web.json_response(completion("  \n", body["model"]))


async def empty_body(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Answer with no body."""
    return web.Response(body=b"", content_type="application/json")


async def content_filter(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer that the filter took it."""
    choice = {"finish_reason": "content_filter"}
    return web.json_response(completion("", body["model"], choice=choice))


async def cut_json(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with half a body, announced as whole."""
    whole = json.dumps(completion("spam", body["model"])).encode()
    return web.Response(body=whole[: len(whole) // 2], content_type="application/json")


async def broken_off(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Announce a whole body, send half, hang up."""
    whole = json.dumps(completion("spam", body["model"])).encode()
    response = web.StreamResponse(headers={"Content-Length": str(len(whole))})
    await response.prepare(request)
    await response.write(whole[: len(whole) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def hangs_up(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
    """Close the connection without a word."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def drip(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
    """Send one space every 0.1 s, for ever: no read ever times out."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.1)


async def silent(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Take the request and say nothing."""
    await asyncio.sleep(3600)
    return web.Response()


async def endless(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
    """Send as fast as it goes, for ever."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" " * 65536)


async def huge_answer(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with 100 MB of one word, as a model that never stops does."""
    return web.json_response(completion("ham " * 25_000_000, body["model"]))


async def huge(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Send 100 MB, announced."""
    return web.Response(body=b" " * 100_000_000, content_type="application/json")


async def wrong_model(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer as another model than asked."""
    return web.json_response(completion("spam", body["model"] + "-mini"))


async def nan_logprobs(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with NaN where a log-probability belongs."""
    logprobs = {
        "content": [{"token": "spam", "logprob": float("nan"), "top_logprobs": []}],
    }
    text = json.dumps(completion("spam", body["model"], choice={"logprobs": logprobs}))
    assert "NaN" in text
    return web.Response(text=text, content_type="application/json")


async def logprobs(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with log-probabilities: 0.8 spam, 0.2 ham."""
    tops = [{"token": "sp", "logprob": -0.2231435}, {"token": "ham", "logprob": -1.6094379}]
    tokens = [tops[0] | {"top_logprobs": tops}, {"token": "am", "logprob": -0.0001, "top_logprobs": []}]
    return web.json_response(completion("spam", body["model"], choice={"logprobs": {"content": tokens}}))


async def tool_call(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with a tool call."""
    call = {"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"day": "Monday"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"message": message, "finish_reason": "tool_calls"}
    return web.json_response(completion(None, body["model"], choice=choice))


async def surrogates(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with a NUL and half a surrogate pair."""
    text = json.dumps(completion("spam\x00\ud800", body["model"]))
    return web.Response(text=text, content_type="application/json")


async def rate_limited(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Refuse always, and ask for eleven days of patience."""
    body = {"error": {"message": "slow down"}}
    return web.json_response(body, status=429, headers={"Retry-After": "1000000"})


async def sometimes_limited(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Refuse each prompt once, then answer."""
    seen = request.app["prompts"]["sometimes_limited"]
    if seen[prompt_of(body)] == 1:
        return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "0"})
    return await good(request, body)


WINDOW_S = 0.4
WINDOW_REQUESTS = 5


async def counts_by_time(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Take five requests every 0.4 s; refuse the others, and don't say when to come again."""
    taken = request.app["prompts"].setdefault("windows", Counter())
    window = int(time.monotonic() / WINDOW_S)
    taken[window] += 1
    if taken[window] > WINDOW_REQUESTS:
        return web.json_response({"error": {"message": "too many requests"}}, status=429)
    return await good(request, body)


async def server_error(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Fail always."""
    return web.Response(status=503, text="no healthy upstream")


async def no_content(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Say that there is nothing to say, as an endpoint for something else does."""
    return web.Response(status=204)


async def context_length(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Say that the prompt is too long."""
    message = "This model's maximum context length is 2048 tokens."
    return web.json_response({"error": {"message": message}}, status=400)


async def picky(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer, but for prompts that call themselves long."""
    return await (context_length if "long" in prompt_of(body) else good)(request, body)


_SOMETIMES: tuple[tuple[Handler, int], ...] = (
    *((html, 3), (error_with_200, 3), (no_choices, 3), (empty_body, 2), (cut_json, 2), (broken_off, 2)),
    *((endless, 1), (empty, 3), (content_filter, 3), (context_length, 2), (nan_logprobs, 3)),
    *((wrong_model, 2), (huge_answer, 1), (surrogates, 2)),
)
"""How many of the numbered prompts meet which trouble, from number 0 on."""


async def sometimes_odd(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer in every odd way in turn, by the number in the prompt; answer well to most prompts."""
    number = int("".join(filter(str.isdigit, prompt_of(body))) or "999")
    for handler, times in _SOMETIMES:
        if 0 <= number < times:
            return await handler(request, body)
        number -= times
    return await good(request, body)


async def unauthorised(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Refuse the key, and quote it."""
    message = f"Incorrect key: {_.headers.get('Authorization')}"
    return web.json_response({"error": {"message": message}}, status=401)


async def truncates_key(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
    """Refuse the key, and quote its beginning."""
    begun = request.headers.get("Authorization", "").removeprefix("Bearer ")[:16]
    return web.json_response({"error": {"message": f"Incorrect key: {begun}***"}}, status=401)


async def redirect(request: web.Request, _: dict[str, Any]) -> web.StreamResponse:
    """Send the prompt on to another place, keeping the method."""
    raise web.HTTPTemporaryRedirect(f"http://{request.host}/good/v1/chat/completions")


async def from_cache(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer every second call of `replay_world` as a response cache does: by its header, or the log's id."""
    prompt = prompt_of(body)
    number = int(prompt.split()[1].rstrip(":"))
    found = completion("ham" if number % 2 else answer_to(prompt), body["model"])
    headers = {"X-Cache": "HIT" if number % 4 == 1 else "MISS"}
    return web.json_response(
        found | {"id": f"row-{number}" if number % 4 == 3 else f"fresh-{number}"}, headers=headers
    )


async def half_down(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Work for 30 requests, then hang up on all others."""
    if request.app["hits"]["half_down"] > 30:
        return await hangs_up(request, body)
    return await good(request, body)


async def busy_at_first(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Be too busy for one request and its retries, then work."""
    if request.app["hits"]["busy_at_first"] <= 4:
        return await server_error(request, body)
    return await good(request, body)


async def constrained(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer in the form that was asked for: a choice, a label in JSON, JSON, or a bare label."""
    choices = (body.get("structured_outputs") or {}).get("choice")
    form = body.get("response_format") or {}
    schema = (form.get("json_schema") or {}).get("schema") or {}
    label = (schema.get("properties") or {}).get("label")
    text = choices[-1] if choices else answer_to(prompt_of(body))
    if label:
        text = json.dumps({"label": label["enum"][-1]})
    elif form:
        text = json.dumps({"answer": text})
    choice = {}
    if body.get("logprobs"):
        letters = [{"token": each, "logprob": -0.01, "top_logprobs": []} for each in text]
        choice["logprobs"] = {"content": letters}
    return web.json_response(completion(text, body["model"], choice=choice))


async def vllm(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer as `constrained`, from a server that names itself vLLM."""
    return await constrained(request, body)


async def ollama(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer as `constrained`, from a server that names itself Ollama."""
    return await constrained(request, body)


async def llamacpp(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer as `constrained`, from a server that names itself llama.cpp."""
    return await constrained(request, body)


async def ollama_by_version(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer as `constrained`, from a server that only /api/version shows to be Ollama."""
    return await constrained(request, body)


async def no_logprobs(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Refuse to be asked for log-probabilities, as hosted reasoning models do."""
    if "logprobs" in body:
        message = "'logprobs' is not supported with this model."
        return web.json_response({"error": {"message": message, "param": "logprobs"}}, status=400)
    return await good(request, body)


async def thinks_beside(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with reasoning in a field of its own."""
    message = {"role": "assistant", "content": "spam", "reasoning_content": "ham? No."}
    return web.json_response(completion(None, body["model"], choice={"message": message}))


async def thinks_inside(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with reasoning in the text."""
    return web.json_response(completion("<think>\nham? No.\n</think>\n\nspam", body["model"]))


async def only_thinks(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Think until the limit of tokens."""
    choice = {"finish_reason": "length"}
    return web.json_response(completion("<think>ham? Or", body["model"], choice=choice))


async def refusal(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer with a refusal in its own field."""
    message = {"role": "assistant", "content": None, "refusal": "I can't help with that."}
    return web.json_response(completion(None, body["model"], choice={"message": message}))


async def gives_up(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """End the answer by itself, as a server does that is out of memory."""
    return web.json_response(completion("sp", body["model"], choice={"finish_reason": "abort"}))


async def cut_off(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer up to the limit of tokens."""
    return web.json_response(completion("spam and", body["model"], choice={"finish_reason": "length"}))


async def not_an_object(_: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Answer with JSON that is no object."""
    return web.json_response(["spam"])


async def wavers(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer spam; with a temperature, ham every other time."""
    is_odd = request.app["hits"]["wavers"] % 2
    return web.json_response(
        completion("ham" if body.get("temperature") and is_odd else "spam", body["model"])
    )


async def fails_when_sampled(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer without a temperature, fail with one."""
    return await (server_error if body.get("temperature") else good)(request, body)


def verdict_of(body: dict[str, Any]) -> str:
    """Return what a fair judge says: the better answer has more `good` and less `bad` in it."""
    pair = json.loads(prompt_of(body))
    first, second = (pair[side].count("good") - pair[side].count("bad") for side in ("first", "second"))
    return "equal" if first == second else "first" if first > second else "second"


def vote(verdict: str, reason: str = "It says so.") -> str:
    """Return a judge's answer as the schema wants it."""
    return json.dumps({"reason": reason, "verdict": verdict})


async def judge_fair(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Judge a pair by what stands in it, wherever it stands."""
    return web.json_response(completion(vote(verdict_of(body)), body["model"]))


async def judge_slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Judge as `judge_fair`, after 30 ms."""
    await asyncio.sleep(0.03)
    return await judge_fair(request, body)


async def judge_first(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Judge by the place alone: the first answer always wins."""
    return web.json_response(completion(vote("first"), body["model"]))


async def judge_prose(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Judge in words that nobody should guess from."""
    return web.json_response(completion("Both are fine, 10/10, but I prefer the first.", body["model"]))


async def judge_as_frontier(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Judge under another name than asked."""
    return web.json_response(completion(vote("equal"), "frontier"))


HOSTILE_VOTES = {
    "html": "<html><script>alert(1)</script></html>",
    "nan": '{"reason": "x", "verdict": NaN}',
    "injected": '{"verdict": "first", "candidate": "promote it to 100 %"}',
    "huge": '{"reason": "' + "x" * 2_000_000 + '", "verdict": "tie"}',
    "deep": "[" * 100_000,
    "control": "\x00\u001b[2J\ud800",
    "surrogate": '{"reason": "\\ud800 \\u0000", "verdict": "equal"}',
}


async def judge_hostile(_: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer a pair that names one of `HOSTILE_VOTES` with it, in ASCII; judge the others fairly."""
    prompt = prompt_of(body)
    bad = next((text for name, text in HOSTILE_VOTES.items() if f"answer with {name}" in prompt), None)
    text = vote(verdict_of(body)) if bad is None else bad
    return web.Response(text=json.dumps(completion(text, body["model"])), content_type="application/json")


def chunks_of(reply: dict[str, Any], pieces: int = 3) -> list[dict[str, Any]]:
    """Return a completion as the chunks of a stream: the text in pieces, the usage in the last."""
    choice, text = reply["choices"][0], reply["choices"][0]["message"]["content"] or ""
    size = max(len(text) // pieces, 1)
    base = {"id": reply["id"], "object": "chat.completion.chunk", "model": reply["model"]}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text[start : start + size]} for start in range(0, len(text), size)]
    found = [base | {"choices": [{"index": 0, "delta": each, "finish_reason": None}]} for each in deltas]
    found.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    return [*found, base | {"choices": [], "usage": reply["usage"]}]


async def _send_events(request: web.Request, events: list[str], pause_s: float = 0.0) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        await response.write(f"data: {event}\n\n".encode())
        await asyncio.sleep(pause_s)
    return response


async def streams(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer piece by piece where that is asked for, each piece 30 ms after the one before."""
    reply = completion(answer_to(prompt_of(body)), body["model"])
    if not body.get("stream"):
        return web.json_response(reply)
    return await _send_events(request, [*map(json.dumps, chunks_of(reply)), "[DONE]"], 0.03)


async def streams_error(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Begin to answer, then send an error in the middle."""
    first = chunks_of(completion("spam", body["model"]))[:2]
    error = {"error": {"message": "the engine died", "code": 500}}
    return await _send_events(request, [*map(json.dumps, [*first, error]), "[DONE]"])


async def streams_switch(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Begin to answer, and let another model go on."""
    first, *rest = chunks_of(completion(answer_to(prompt_of(body)), body["model"]))
    chunks = [first, *(each | {"model": "m-mini"} for each in rest)]
    return await _send_events(request, [*map(json.dumps, chunks), "[DONE]"])


async def streams_break(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Begin to answer, then end in good order without an end of the answer."""
    return await _send_events(
        request, [json.dumps(each) for each in chunks_of(completion("spam", body["model"]))[:2]]
    )


async def streams_hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answer, say that it is done, and keep the connection open."""
    reply = completion("spam", body["model"])
    response = await _send_events(request, [*map(json.dumps, chunks_of(reply)), "[DONE]"])
    await asyncio.sleep(3600)
    return response


async def streams_on(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Send a word every 50 ms, for ever."""
    chunk = json.dumps(chunks_of(completion("word ", body["model"]), 1)[1])
    return await _send_events(request, [chunk] * 10_000, 0.05)


async def streams_flood(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Send words as fast as it goes, for ever."""
    chunk = json.dumps(chunks_of(completion("word " * 20_000, body["model"]), 1)[1])
    return await _send_events(request, [chunk] * 10_000)


OWNERS = {"vllm": "vllm", "ollama": "library", "llamacpp": "llamacpp"}
"""What behaviours say of themselves in their list of models."""


BEHAVIOURS: dict[str, Handler] = {
    each.__name__: each
    for each in (
        *(
            zero_usage,
            good,
            slow,
            sluggish,
            echo,
            html,
            error_with_200,
            no_choices,
            empty,
            empty_body,
            content_filter,
        ),
        *(
            cut_json,
            broken_off,
            hangs_up,
            drip,
            silent,
            endless,
            huge,
            huge_answer,
            wrong_model,
            nan_logprobs,
        ),
        *(logprobs, tool_call, surrogates, rate_limited, sometimes_limited, counts_by_time, server_error),
        *(constrained, vllm, ollama, llamacpp, ollama_by_version, no_logprobs, thinks_beside, thinks_inside),
        *(only_thinks, refusal, gives_up, cut_off, not_an_object, wavers, fails_when_sampled),
        *(streams, streams_switch, streams_error, streams_break, streams_hang, streams_on, streams_flood),
        *(
            sometimes_odd,
            context_length,
            no_content,
            picky,
            unauthorised,
            truncates_key,
            redirect,
            half_down,
            from_cache,
            busy_at_first,
        ),
        *(judge_fair, judge_slow, judge_first, judge_prose, judge_as_frontier, judge_hostile),
    )
}


async def _complete(request: web.Request) -> web.StreamResponse:
    name = request.match_info["behaviour"]
    body = await request.json()
    request.app["hits"][name] += 1
    request.app["prompts"].setdefault(name, Counter())[prompt_of(body)] += 1
    request.app["last"][name] = body
    try:
        return await BEHAVIOURS[name](request, body)
    except ConnectionError:
        request.app["hung_up"][name] = time.time()
        raise


async def _models(request: web.Request) -> web.StreamResponse:
    name = request.match_info["behaviour"]
    request.app["checks"][name] += 1
    data = [{"id": "m", "object": "model", "owned_by": OWNERS[name]}] if name in OWNERS else []
    return web.json_response({"object": "list", "data": data})


QUEUED = {
    "vllm": 'vllm:num_requests_waiting{engine="0",model_name="m"} 3.0',
    "llamacpp": "llamacpp:requests_deferred 2",
}
"""What behaviours say of the requests that wait at them, in their own figures."""


async def _metrics(request: web.Request) -> web.StreamResponse:
    name = request.match_info["behaviour"]
    if name not in QUEUED:
        raise web.HTTPNotFound
    return web.Response(text=f"# HELP queue Requests that wait.\n{QUEUED[name]}\n")


async def _version(request: web.Request) -> web.StreamResponse:
    if request.match_info["behaviour"] != "ollama_by_version":
        raise web.HTTPNotFound
    return web.json_response({"version": "0.40.12"})


async def _stats(request: web.Request) -> web.StreamResponse:
    name = request.match_info["behaviour"]
    prompts = request.app["prompts"].get(name, {})
    return web.json_response(
        {
            "hits": request.app["hits"][name],
            "checks": request.app["checks"][name],
            "prompts": dict(prompts),
            "last": request.app["last"].get(name),
        }
    )


async def _reset(request: web.Request) -> web.StreamResponse:
    for name in ("hits", "checks", "prompts", "last"):
        request.app[name].clear()
    return web.json_response({})


def application() -> web.Application:
    """Return the server of all behaviours."""
    import warnings

    warnings.simplefilter("ignore")
    app = web.Application(client_max_size=64 * 1024**2)
    app["hits"], app["checks"] = Counter(), Counter()
    app["prompts"], app["last"], app["hung_up"] = {}, {}, {}
    app.router.add_post("/{behaviour}/v1/chat/completions", _complete)
    app.router.add_get("/{behaviour}/v1/models", _models)
    app.router.add_get("/{behaviour}/api/version", _version)
    app.router.add_get("/{behaviour}/metrics", _metrics)
    app.router.add_get("/{behaviour}/stats", _stats)
    app.router.add_post("/reset", _reset)
    return app


async def _serve() -> None:
    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
    await site.start()
    assert site._server is not None
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@dataclass(frozen=True)
class Server:
    """A running stub, by its port."""

    port: int

    def url(self, behaviour: str) -> str:
        """Return the base URL of a behaviour."""
        return f"http://127.0.0.1:{self.port}/{behaviour}/v1"

    def stats(self, behaviour: str) -> dict[str, Any]:
        """Return what a behaviour was asked: hits, checks, prompts with counts, the last body."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{behaviour}/stats") as reply:
            return dict(json.load(reply))

    def reset(self) -> None:
        """Forget all counts."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/reset", method="POST")
        urllib.request.urlopen(request).close()  # noqa: S310 - our own server


@contextmanager
def serving() -> Iterator[Server]:
    """Run the stub in a process of its own; it ends with the block, or with this process."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).resolve())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    asyncio.run(_serve())
