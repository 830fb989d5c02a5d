"""Five tiny calls tell a candidate that can be asked from one that can't, before anything is paid for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from servers import completion

from workbench.engines.conformance import (
    CheckState,
    ConformanceReport,
    Needs,
    check_conformance,
)
from workbench.engines.openai_api import OpenAIEngine
from workbench.engines.retries import RetryPolicy
from workbench.errors import ConfigError, WorkbenchError
from workbench.records import EvalKind
from workbench.specs import Candidate, EvalConfig

LABELS = EvalConfig("t", EvalKind.LABEL, labels=("spam", "ham"))
TEXT = EvalConfig("t", EvalKind.TEXT)
STRUCTURED = {"structured_outputs": True}

Answer = Callable[[dict[str, Any]], web.Response]


def reply(text: str | None, body: dict[str, Any], **choice: Any) -> web.Response:
    """Return a completion."""
    return web.json_response(completion(text, body["model"], choice=choice))


def refuse(message: str, status: int = 400) -> web.Response:
    """Return an error as servers write it."""
    return web.json_response({"error": {"message": message}}, status=status)


def tool_reply(body: dict[str, Any], arguments: str = '{"city": "Paris"}') -> web.Response:
    """Return a parsed tool call."""
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return reply(None, body, message=message, finish_reason="tool_calls")


def fit(body: dict[str, Any]) -> web.Response:
    """Answer as a server in good order does."""
    if body.get("tools"):
        return tool_reply(body)
    if choice := (body.get("structured_outputs") or {}).get("choice"):
        return reply(choice[0], body, logprobs=tokens(choice[0], choice))
    if body.get("response_format"):
        return reply('{"ok": true}', body)
    asked = body["messages"][-1]["content"]
    text = "spam" if "spam" in asked else "ready"
    return reply(text, body, logprobs=tokens(text, ("spam", "ham")))


def tokens(text: str, others: Any, value: float = -0.1) -> dict[str, Any]:
    """Return log-probabilities of a text of one token."""
    tops = [{"token": each, "logprob": value if each == text else -2.5} for each in others]
    return {"content": [{"token": text, "logprob": value, "top_logprobs": tops}]}


async def checked(
    answer: Answer,
    needs: Needs,
    eval_config: EvalConfig = TEXT,
    models: dict[str, Any] | None = None,
    **keys: Any,
) -> tuple[ConformanceReport, list[dict[str, Any]]]:
    """Check a candidate against a server; return what was found and every body that was sent."""
    sent: list[dict[str, Any]] = []

    async def complete(request: web.Request) -> web.Response:
        sent.append(await request.json())
        return answer(sent[-1])

    async def listed(_: web.Request) -> web.Response:
        return web.json_response(models or {"object": "list", "data": []})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_get("/v1/models", listed)
    async with TestServer(app) as server:
        keys = {"model": "m", "base_url": str(server.make_url("/v1")), "dialect": "vllm"} | keys
        candidate = Candidate("c", "openai", **keys)
        engine = OpenAIEngine(candidate, eval_config, RetryPolicy(attempts=2, first_wait_s=0.01))
        try:
            return await check_conformance(engine, candidate, eval_config, needs), sent
        finally:
            await engine.close()


def states(report: ConformanceReport) -> dict[str, str]:
    """Return the state of every check."""
    return {each.name: each.state.value for each in report.checks}


def message(report: ConformanceReport, name: str) -> str:
    """Return what a check says."""
    return next(each.message for each in report.checks if each.name == name)


async def test_a_server_in_good_order_passes_within_five_small_calls() -> None:
    """All that a sample needs is found, with at most five calls of at most 64 tokens."""
    needs = Needs(
        has_tools=True,
        response_formats=("json_schema",),
        wants_labels=True,
        lengths=(100, 900),
    )
    models = {"data": [{"id": "m", "max_model_len": 4096}]}
    report, sent = await checked(fit, needs, LABELS, models, parameters=STRUCTURED)
    assert set(states(report).values()) == {"passed"}, report.text
    assert report.ok
    assert report.calls == len(sent) <= 5
    assert all(each["max_tokens"] <= 64 for each in sent)
    assert [each["role"] for each in sent[0]["messages"]] == ["system", "user", "assistant", "user"]


async def test_a_sample_that_asks_for_everything_takes_five_calls_at_most() -> None:
    """Labels that come without usable log-probabilities are not asked for again then; the length still is."""

    def bare(body: dict[str, Any]) -> web.Response:
        if body.get("tools"):
            return tool_reply(body)
        return reply('{"ok": true}' if body.get("response_format") else "spam", body)

    needs = Needs(
        has_tools=True,
        response_formats=("json_schema",),
        wants_labels=True,
        wants_schema=True,
        lengths=(9_000,),
    )
    report, sent = await checked(bare, needs, LABELS, parameters=STRUCTURED)
    assert report.calls == len(sent) == 5
    assert len(json.dumps(sent[-1])) > 9_000
    assert states(report)["log-probabilities"] == "warning"


async def test_what_a_sample_does_not_ask_is_not_paid_for() -> None:
    """A sample of plain texts costs one call."""
    report, sent = await checked(fit, Needs(has_system=False, has_turns=False))
    assert states(report)["tools"] == states(report)["schema"] == states(report)["labels"] == "skipped"
    assert len(sent) == 1
    assert [each["role"] for each in sent[0]["messages"]] == ["user"]


async def test_a_template_that_refuses_system_messages_fails_only_where_they_are_asked() -> None:
    """The message says that one user message works; a sample without system messages is let through."""

    def gemma(body: dict[str, Any]) -> web.Response:
        has_system = body["messages"][0]["role"] == "system"
        return refuse("System role not supported") if has_system else fit(body)

    report, _ = await checked(gemma, Needs(has_turns=False))
    assert states(report) == {"chat": "failed"}
    assert "takes one user message, but not a system message" in message(report, "chat")
    with pytest.raises(ConfigError, match="System role not supported") as refused:
        report.require()
    assert "--no-checks" in refused.value.hint
    assert (await checked(gemma, Needs(has_system=False)))[0].ok


TOOLS: list[tuple[Answer, str, str]] = [
    (lambda body: refuse('"auto" tool choice requires --tool-call-parser'), "failed", "tool parser"),
    (
        lambda body: reply('<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>', body),
        "failed",
        "came back as text",
    ),
    (lambda body: reply("It is sunny in Paris.", body), "warning", "where a tool was to be called"),
    (lambda body: tool_reply(body, "Paris"), "warning", "no JSON object"),
]


@pytest.mark.parametrize(("answer", "state", "words"), TOOLS)
async def test_a_missing_tool_parser_is_told_from_a_model_that_calls_no_tool(
    answer: Answer, state: str, words: str
) -> None:
    """A call that comes back as text stops a replay; a model's own choice does not."""
    report, _ = await checked(
        lambda body: answer(body) if body.get("tools") else fit(body), Needs(has_tools=True)
    )
    assert states(report)["tools"] == state
    assert words in message(report, "tools")
    assert report.ok is (state == "warning")


async def test_labels_that_are_not_enforced_are_a_warning() -> None:
    """Asked for another word under a list of labels, only a server that ignores the list says it."""
    report, _ = await checked(
        lambda body: reply("zebra" if body.get("structured_outputs") else "ready", body),
        Needs(wants_labels=True),
        LABELS,
        parameters=STRUCTURED,
    )
    assert states(report)["labels"] == "warning"
    assert "answered 'zebra'" in message(report, "labels")
    assert report.ok


async def test_json_that_is_refused_fails_and_json_that_is_ignored_warns() -> None:
    """What a server does with a response format is said before the sample is sent."""
    needs = Needs(response_formats=("json_schema",))

    def refuses(body: dict[str, Any]) -> web.Response:
        return refuse("response_format is not supported") if body.get("response_format") else fit(body)

    report, _ = await checked(refuses, needs)
    assert states(report)["schema"] == "failed"
    report, _ = await checked(lambda body: reply("The sea is wide.", body), needs)
    assert states(report)["schema"] == "warning"
    assert report.ok


async def test_a_model_whose_own_log_probability_is_nan_fails_before_money_is_spent() -> None:
    """Its arithmetic breaks down: what it writes is no answer, and the first check says so."""

    def answer(body: dict[str, Any]) -> web.Response:
        found = tokens("spam", ("spam", "ham"), float("nan"))
        text = json.dumps(completion("spam", body["model"], choice={"logprobs": found}))
        return web.Response(text=text, content_type="application/json")

    report, _ = await checked(answer, Needs(), LABELS)
    with pytest.raises(WorkbenchError, match="is NaN"):
        report.require()


@pytest.mark.parametrize("value", [None, 0.7])
async def test_log_probabilities_that_can_not_be_used_are_a_warning(value: float | None) -> None:
    """Absent or above 0: thresholds are not possible, and the replay goes on."""

    def answer(body: dict[str, Any]) -> web.Response:
        found = None if value is None else tokens("spam", ("spam", "ham"), value)
        text = json.dumps(completion("spam", body["model"], choice={"logprobs": found}))
        return web.Response(text=text, content_type="application/json")

    report, _ = await checked(answer, Needs(), LABELS)
    assert states(report)["log-probabilities"] == "warning"
    assert "thresholds will not be possible" in message(report, "log-probabilities")
    assert report.ok


@pytest.mark.parametrize(
    ("lengths", "state"),
    [((100, 900), "passed"), ((100,) * 99 + (2100,), "warning"), ((100, 9000), "failed")],
)
@pytest.mark.parametrize("told", [{"meta": {"n_ctx": 2048}}, {"max_input_tokens": 2048}])
async def test_a_context_too_short_for_much_of_the_sample_fails(
    lengths: tuple[int, ...], state: str, told: dict[str, Any]
) -> None:
    """The share that is too long is stated; a few calls are a warning."""
    models = {"data": [{"id": "other", "max_model_len": 10}, {"id": "m", **told}]}
    report, _ = await checked(fit, Needs(lengths=lengths), models=models)
    assert states(report)["context"] == state
    assert "2,048 tokens" in message(report, "context")


async def test_a_server_that_does_not_tell_its_context_is_asked_once_with_the_longest_length() -> None:
    """One that cuts prompts silently is found out by the tokens that it read."""

    def cuts(body: dict[str, Any]) -> web.Response:
        found = completion("one", body["model"])
        found["usage"] = {"prompt_tokens": min(len(body["messages"][-1]["content"]) // 5, 4096)}
        return web.json_response(found)

    report, sent = await checked(cuts, Needs(lengths=(20_000,)))
    assert states(report)["context"] == "warning"
    assert "cuts prompts" in message(report, "context")
    assert sent[-1]["max_tokens"] == 1


async def test_a_busy_server_is_not_taken_for_an_unfit_one() -> None:
    """What the server's state hides is skipped, and no more calls are sent at it."""
    report, sent = await checked(lambda _: refuse("no healthy upstream", 503), Needs(has_tools=True))
    assert states(report) == {"chat": "skipped"}
    assert report.ok
    assert report.unanswered
    assert len(sent) == 2  # One call, and its retry.


@pytest.mark.parametrize("bad", [(1,), (1, 2)])
async def test_one_reply_that_can_not_be_read_refuses_no_candidate(bad: tuple[int, ...]) -> None:
    """The request is asked again, and only where that fails too is the candidate unfit."""
    calls: list[int] = []

    def stumbles(body: dict[str, Any]) -> web.Response:
        calls.append(len(calls) + 1)
        if calls[-1] in bad:
            return web.json_response({"error": {"message": "worker restarted"}}, status=200)
        return fit(body)

    report, sent = await checked(stumbles, Needs())
    assert report.ok is (bad == (1,)), report.text
    assert sent[0] == sent[1]
    if report.ok:
        assert states(report)["chat"] == "passed"
        assert report.calls == len(sent) == 2
    else:
        assert "worker restarted" in message(report, "chat")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: refuse("no such key", 401), "api_key_env"),
        (lambda _: refuse("model not found", 404), "Mend `base_url`"),
        # As LiteLLM 1.x replies without a database.
        (lambda _: refuse("No connected db."), "api_key_env"),
        (lambda _: refuse("/chat/completions: Invalid model name passed in model=m."), "Mend `model`"),
        (lambda body: web.json_response(completion("x", "another-model")), "answers_as"),
    ],
)
async def test_a_wrong_key_path_or_model_fails_with_the_key_to_mend(answer: Answer, words: str) -> None:
    """Nothing else is asked then."""
    report, sent = await checked(answer, Needs(has_tools=True))
    assert states(report) == {"chat": "failed"}
    assert words in message(report, "chat")
    assert len(sent) == 1


async def test_a_model_that_only_thinks_is_a_warning() -> None:
    """Within the limit of tokens it answers nothing: the calls of the log may end so, too."""
    report, _ = await checked(
        lambda body: reply(
            None,
            body,
            message={"content": None, "reasoning_content": "Let me see"},
            finish_reason="length",
        ),
        Needs(),
    )
    assert report.checks[0].state is CheckState.WARNING
    assert "Turn thinking off" in report.checks[0].message


async def test_an_answer_that_the_server_takes_for_reasoning_stops_the_replay() -> None:
    """As vLLM 0.32 replies with a reasoning parser over a model that doesn't think: nothing is an answer."""

    def parsed_wrongly(body: dict[str, Any]) -> web.Response:
        message = {"role": "assistant", "content": None, "refusal": None, "reasoning": "Yes please! ;-)"}
        return reply(None, body, message=message, finish_reason="stop", stop_reason=None)

    report, sent = await checked(parsed_wrongly, Needs())
    assert not report.ok
    assert "--reasoning-parser" in report.text
    assert len(sent) == 1
