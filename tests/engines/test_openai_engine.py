"""The openai engine against a server that works and many that don't."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

import pytest
from servers import Server, answer_to

from workbench.engines import CallContext
from workbench.engines.openai_api import OpenAIEngine, RetryPolicy, retry_after_s
from workbench.engines.own_key import OwnKey
from workbench.engines.replies import Asked, read_reply
from workbench.engines.retries import is_retried
from workbench.errors import ConfigError, EndpointUnreachable
from workbench.records import ErrorKind, EvalKind, Message, Output, Request, ToolCall, to_json
from workbench.specs import Candidate, EvalConfig

LABELS = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("spam", "ham"))
FAST = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.05)
REQUEST = Request((Message("user", "hello"),), parameters={"temperature": 0, "max_tokens": 5})


async def ask(
    server: Server, behaviour: str, request: Request = REQUEST, **keys: Any
) -> tuple[Output, CallContext]:
    """Ask one behaviour once."""
    keys = {"model": "m", "timeout_s": 5.0} | keys
    candidate = Candidate("c", "openai", base_url=server.url(behaviour), **keys)
    engine = OpenAIEngine(candidate, LABELS, FAST)
    context = CallContext("c1", "n1")
    try:
        return await engine.complete(request, context), context
    finally:
        await engine.close()


BAD = [
    ("html", ErrorKind.INVALID_RESPONSE, "HTML page: Welcome to nginx", 1),
    ("error_with_200", ErrorKind.INVALID_RESPONSE, "upstream failed", 1),
    ("no_choices", ErrorKind.INVALID_RESPONSE, "no choices", 1),
    ("empty", ErrorKind.EMPTY, "empty answer", 1),
    ("empty_body", ErrorKind.INVALID_RESPONSE, "empty body", 1),
    ("content_filter", ErrorKind.CONTENT_FILTER, "content filter", 1),
    ("cut_json", ErrorKind.INVALID_RESPONSE, "breaks off", 1),
    ("broken_off", ErrorKind.INVALID_RESPONSE, "breaks off", 3),
    ("hangs_up", ErrorKind.CONNECTION, "", 3),
    ("huge", ErrorKind.INVALID_RESPONSE, "larger than", 1),
    ("endless", ErrorKind.INVALID_RESPONSE, "larger than", 1),
    ("wrong_model", ErrorKind.WRONG_MODEL, "'m-mini'", 1),
    ("rate_limited", ErrorKind.RATE_LIMITED, "slow down", 3),
    ("server_error", ErrorKind.HTTP, "no healthy upstream", 3),
    ("not_an_object", ErrorKind.INVALID_RESPONSE, "no object", 1),
    ("gives_up", ErrorKind.INVALID_RESPONSE, "gave the answer up (finish_reason 'abort')", 1),
    ("only_thinks", ErrorKind.EMPTY, "only reasoning, cut off by the limit of tokens", 1),
    ("context_length", ErrorKind.CONTEXT_LENGTH, "2048", 1),
    ("unauthorised", ErrorKind.HTTP, "Incorrect key", 1),
    ("redirect", ErrorKind.HTTP, "redirects", 1),
]


@pytest.mark.parametrize(("behaviour", "kind", "words", "attempts"), BAD, ids=[row[0] for row in BAD])
async def test_every_odd_reply_is_an_error_of_its_own_kind(
    server: Server, behaviour: str, kind: ErrorKind, words: str, attempts: int
) -> None:
    """An odd reply is an error of its own; only what may pass is asked again, at most three times."""
    server.reset()
    output, context = await ask(server, behaviour)
    assert output.error is not None
    assert output.error.kind is kind
    assert words in output.error.message
    assert output.text is None
    assert context.attempts == attempts == server.stats(behaviour)["hits"]
    assert len(context.retried) == attempts - 1


@pytest.mark.parametrize(("behaviour", "attempts"), [("drip", 1), ("silent", 2)])
async def test_a_slow_reply_frees_its_slot_at_the_deadline(
    server: Server, behaviour: str, attempts: int
) -> None:
    """The deadline holds for the whole attempt, however the server drips: over within a second of it."""
    started = time.monotonic()
    output, context = await ask(server, behaviour, timeout_s=0.6)
    assert output.error is not None
    assert output.error.kind is ErrorKind.TIMEOUT
    assert context.attempts == attempts
    assert time.monotonic() - started < attempts * 1.6


async def test_a_good_reply_is_an_output_with_usage_and_latency(server: Server) -> None:
    """A good reply carries text, model, usage and latency, and was asked once."""
    output, context = await ask(server, "good")
    assert output.error is None
    assert output.text == answer_to("hello")
    assert (output.model, output.usage.input_tokens, output.usage.output_tokens) == ("m", 12, 3)
    assert output.latency_ms is not None
    assert context.attempts == 1


async def test_a_passing_limit_is_asked_again(server: Server) -> None:
    """A 429 that passes is asked again, counted, and ends well."""
    server.reset()
    output, context = await ask(server, "sometimes_limited")
    assert output.error is None
    assert (context.attempts, context.retried) == (2, [ErrorKind.RATE_LIMITED])


def test_every_status_of_a_server_that_may_pass_is_retried() -> None:
    """All of 5xx but what a server can't do at all; of 4xx only what asks to come again."""
    assert all(map(is_retried, (408, 425, 429, 500, 502, 503, 504, 507, 520, 522, 524, 529, 599)))
    assert not any(map(is_retried, (200, 400, 401, 404, 422, 501, 505, 600)))


@pytest.mark.parametrize("lasting", [False, True])
async def test_a_look_up_that_fails_for_once_is_asked_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    """EAI_AGAIN is a failed connection of that call, asked again; nothing is raised."""
    loop = asyncio.get_running_loop()
    real, seen = loop.getaddrinfo, []

    async def flaky(*args: Any, **keys: Any) -> Any:
        seen.append(args)
        if lasting or len(seen) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return await real(*args, **keys)

    monkeypatch.setattr(loop, "getaddrinfo", flaky)
    url = server.url("good").replace("127.0.0.1", "localhost")
    candidate = Candidate("c", "openai", base_url=url, model="m", timeout_s=5)
    engine = OpenAIEngine(candidate, LABELS, RetryPolicy(attempts=2, first_wait_s=0.01))
    context = CallContext("c1", "n1")
    try:
        output = await engine.complete(Request((Message("user", "hello"),)), context)
    finally:
        await engine.close()
    assert context.attempts == 2
    assert context.retried == [ErrorKind.CONNECTION]
    assert (output.error is not None) == lasting
    if output.error is not None:
        assert output.error.kind is ErrorKind.CONNECTION
        assert "can't be resolved" in output.error.message


async def test_a_redirect_never_carries_the_prompt_on(server: Server) -> None:
    """A 307 to another place is not followed: that place gets no request."""
    server.reset()
    await ask(server, "redirect")
    assert server.stats("good")["hits"] == 0


async def test_an_answer_whose_own_log_probability_is_nan_is_no_answer(server: Server) -> None:
    """Arithmetic that broke down is an error of its own kind, which says what to try."""
    output, _ = await ask(server, "nan_logprobs")
    assert output.error is not None
    assert output.error.kind is ErrorKind.NOT_A_NUMBER
    assert "logprobs = false" in output.error.message
    assert (output.text, output.confidence) == (None, {})


@pytest.mark.parametrize(
    ("logprob", "top", "text"), [("-0.1", "NaN", "spam"), ("null", "-0.1", "spam"), ("-0.1", "-0.2", "NaN")]
)
def test_nan_elsewhere_costs_no_answer(logprob: str, top: str, text: str) -> None:
    """NaN of an alternative, a log-probability left out, the word itself: the answer stands."""
    numbers = {"null": None, "NaN": float("nan")}
    others = [{"token": "ham", "logprob": numbers.get(top, -0.2)}]
    token = {"token": "spam", "logprob": numbers.get(logprob, -0.1), "top_logprobs": others}
    choice = {"message": {"content": text}, "logprobs": {"content": [token]}}
    body = json.dumps({"model": "m", "choices": [choice]}).encode()
    output = read_reply(body, "application/json", Asked(Candidate("c", "openai", model="m"), LABELS))
    assert (output.text, output.error) == (text, None)
    if top == "NaN":
        assert "label_margin" not in output.confidence


async def test_log_probabilities_become_confidence(server: Server) -> None:
    """The margin is that of the two labels, 0.8 and 0.2, read off the first deciding token."""
    output, _ = await ask(server, "logprobs")
    assert output.confidence["label_margin"] == pytest.approx(0.6, abs=1e-4)
    assert output.confidence["token_quantile"] == pytest.approx(0.8, abs=1e-4)


async def test_unstorable_text_is_repaired_and_flagged(server: Server) -> None:
    """NUL and half surrogate pairs are replaced, and the output says so."""
    output, _ = await ask(server, "surrogates")
    assert output.text is not None
    assert "\x00" not in output.text
    output.text.encode()
    assert "repaired_text" in output.flags


async def test_tool_calls_are_parsed(server: Server) -> None:
    """Arguments of a tool call come back parsed."""
    output, _ = await ask(server, "tool_call")
    assert output.tool_calls == (ToolCall("book", {"day": "Monday"}, "c1"),)
    assert output.error is None


async def test_the_candidate_sees_what_the_control_saw(server: Server) -> None:
    """Messages, tools, response format and limits arrive; the frontier's own features and tokens don't."""
    tool = {"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}
    request = Request(
        (
            Message("system", "Be brief."),
            Message("user", "Book Monday."),
            Message("assistant", None, tool_calls=(ToolCall("book", {"day": "Monday"}),)),
            Message("tool", "done"),
        ),
        tools=(tool,),
        response_format={"type": "json_object"},
        parameters={"max_tokens": 7, "temperature": 0.5, "logit_bias": {"1": 5}, "service_tier": "flex"},
    )
    await ask(server, "good", request, parameters={"temperature": 0.0, "top_k": 1})
    body = server.stats("good")["last"]
    assert body["tools"] == [tool]
    assert body["response_format"] == {"type": "json_object"}
    assert (body["max_tokens"], body["temperature"], body["top_k"]) == (7, 0.0, 1)
    assert "logit_bias" not in body
    assert "service_tier" not in body
    call = body["messages"][2]["tool_calls"][0]
    assert call["function"] == {"name": "book", "arguments": '{"day":"Monday"}'}
    assert body["messages"][3]["tool_call_id"] == call["id"]


async def test_allowed_labels_are_sent_only_when_asked_for(server: Server) -> None:
    """The labels of the eval go along only where the candidate says so; a table goes as it is."""
    await ask(server, "vllm")
    assert not {"structured_outputs", "response_format"} & set(server.stats("vllm")["last"])
    await ask(server, "vllm", parameters={"structured_outputs": True})
    assert server.stats("vllm")["last"]["structured_outputs"] == {"choice": ["spam", "ham"]}
    await ask(server, "vllm", parameters={"structured_outputs": {"regex": "spam|ham"}})
    assert server.stats("vllm")["last"]["structured_outputs"] == {"regex": "spam|ham"}


@pytest.mark.parametrize("key", ["sk-canary-123", 'sk-"canary"/\\123'])
async def test_the_key_is_sent_and_never_kept(
    server: Server, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """The key reaches the server; what the server echoes of it is redacted, however JSON spells it."""
    monkeypatch.setenv("CANARY_KEY", key)
    for behaviour in ("echo", "unauthorised"):
        output, _ = await ask(server, behaviour, api_key_env="CANARY_KEY")
        assert b"[redacted]" in to_json(output)
        assert b"canary" not in to_json(output)


KEY = "sk-proj-aB3dE6gH9kL2nP5qR8tU"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (
            f"Incorrect key {KEY}. Truncated: {KEY[:16]}***",
            "Incorrect key [redacted]. Truncated: [redacted]***",
        ),
        (f"{KEY[:20]}...{KEY[-9:]}", "[redacted]...[redacted]"),
        (f"ends in {KEY[-8:]}, begins with {KEY[:16]}", "ends in [redacted], begins with [redacted]"),
        (f"a key begins with sk-proj-, {KEY[:12]}", f"a key begins with sk-proj-, {KEY[:12]}"),
    ],
)
def test_a_key_cut_short_is_redacted(text: str, left: str) -> None:
    """Beginnings and ends of a key go where they hold eight secret characters; a vendor's prefix stays."""
    own = OwnKey(KEY)
    assert own.hidden(text) == left
    assert own.may_stand_in(text.encode()) is (text != left)


def test_words_in_a_key_are_redacted_only_with_what_makes_them_secret() -> None:
    """A key made of words takes no ordinary words, or its own replacement, out of texts."""
    own = OwnKey("local-development-server1")
    assert own.hidden("local-development of a server1") == "local-development of a server1"
    assert own.hidden("with local-development-server1") == "with [redacted]"
    assert OwnKey("redacted").hidden("redacted") == "[redacted]"
    assert OwnKey("redacted1redacted").hidden("redacted1") == "[redacted]"


async def test_a_key_that_a_server_cuts_short_is_never_kept(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that names the beginning of the key is stored without it."""
    monkeypatch.setenv("CANARY_KEY", KEY)
    output, _ = await ask(server, "truncates_key", api_key_env="CANARY_KEY")
    assert b"[redacted]***" in to_json(output)
    assert KEY[8:16].encode() not in to_json(output)


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable of the key, the engine does not open and names the variable."""
    monkeypatch.delenv("ABSENT_KEY", raising=False)
    with pytest.raises(ConfigError, match="ABSENT_KEY"):
        OpenAIEngine(
            Candidate("c", "openai", model="m", base_url="http://127.0.0.1:1", api_key_env="ABSENT_KEY"),
            LABELS,
        )


async def test_a_server_that_is_down_is_named(server: Server) -> None:
    """The check of a closed port says that nothing answers there."""
    engine = OpenAIEngine(Candidate("c", "openai", model="m", base_url="http://127.0.0.1:9/v1"), LABELS)
    with pytest.raises(EndpointUnreachable, match=r"127\.0\.0\.1:9"):
        await engine.check()
    await engine.close()


def test_retry_after_is_honoured_up_to_a_minute() -> None:
    """Retry-After counts in seconds or as a date, at most 60 s; nonsense does not count."""
    policy = RetryPolicy()
    assert policy.wait_s(1, retry_after_s("7")) == 7
    assert policy.wait_s(1, retry_after_s("1000000")) == 60
    assert retry_after_s("Wed, 21 Oct 2099 07:28:00 GMT") is not None
    assert retry_after_s("soon") is None
    assert retry_after_s("-5") is None
    assert policy.wait_s(1, None) <= 0.5
    assert [policy.unsaid_s(attempt) for attempt in (1, 2, 3)] == [None, 7.5, 60]
