"""What each kind of server is told about the answer's form, and what comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from servers import Server, answer_to

from workbench.engines import CallContext
from workbench.engines.dialects import detect, format_constraint, is_strict, schema_constraint, unwrap_label
from workbench.engines.openai_api import OpenAIEngine
from workbench.engines.retries import RetryPolicy
from workbench.engines.wire import request_body
from workbench.records import ErrorKind, EvalKind, Message, Output, Request
from workbench.specs import Candidate, EvalConfig, FieldRule

LABELS = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("spam", "ham"))
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FIELDS = EvalConfig(task="t", kind=EvalKind.FIELDS, fields=(FieldRule("a"),), schema=SCHEMA)
REQUEST = Request((Message("user", "hello"),), parameters={"max_tokens": 3})
STRUCTURED = {"structured_outputs": True}


def engine_of(server: Server, behaviour: str, eval_config: EvalConfig = LABELS, **keys: Any) -> OpenAIEngine:
    """Open an engine on a behaviour."""
    keys = {"model": "m", "timeout_s": 5.0, "parameters": STRUCTURED} | keys
    candidate = Candidate("c", "openai", base_url=server.url(behaviour), **keys)
    return OpenAIEngine(candidate, eval_config, RetryPolicy(attempts=2, first_wait_s=0.01))


async def ask(engine: OpenAIEngine, request: Request = REQUEST) -> tuple[Output, CallContext]:
    """Ask once and close."""
    context = CallContext("c1", "n1")
    try:
        return await engine.complete(request, context), context
    finally:
        await engine.close()


DETECTED = [
    ("vllm", "vllm", "vLLM"),
    ("ollama", "ollama", "Ollama"),
    ("ollama_by_version", "ollama", "Ollama"),
    ("llamacpp", "openai", "llama.cpp"),
    ("good", "openai", None),
]


@pytest.mark.parametrize(("behaviour", "dialect", "name"), DETECTED, ids=[row[0] for row in DETECTED])
async def test_the_dialect_is_read_off_the_servers_own_words(
    server: Server, behaviour: str, dialect: str, name: str | None
) -> None:
    """The check finds the dialect, says by what, and sends no request for it."""
    server.reset()
    engine = engine_of(server, behaviour)
    await engine.check()
    await engine.close()
    assert engine.description["dialect"] == dialect
    assert engine.description.get("server") == name
    assert engine.description["dialect_by"]
    assert server.stats(behaviour)["hits"] == 0


@pytest.mark.parametrize("behaviour", ["vllm", "ollama", "llamacpp", "constrained"])
async def test_allowed_labels_hold_in_every_dialect(server: Server, behaviour: str) -> None:
    """Whatever the server takes, the answer is the bare label, with the confidence of its own tokens."""
    server.reset()
    output, context = await ask(engine_of(server, behaviour))
    body = server.stats(behaviour)["last"]
    assert output.text == "ham"
    assert output.error is None
    assert output.confidence["token_quantile"] == pytest.approx(0.99, abs=0.01)
    # One token is told: the other label may have all that is left of 1.
    assert output.confidence["label_margin"] == pytest.approx(0.98, abs=0.01)
    assert context.attempts == server.stats(behaviour)["hits"] == 1
    if behaviour == "vllm":
        assert body["structured_outputs"] == {"choice": ["spam", "ham"]}
        assert body["max_tokens"] == 3
    else:
        inner = body["response_format"]["json_schema"]
        assert inner["strict"] is True
        assert is_strict(inner["schema"])
        assert inner["schema"]["properties"]["label"]["enum"] == ["spam", "ham"]
        assert body["max_tokens"] == 19


async def test_a_server_that_says_nothing_of_itself_is_not_guessed_at(server: Server) -> None:
    """Where the server can't be asked what it is, the call fails as one to a server that is away."""
    candidate = Candidate("c", "openai", model="m", base_url="http://127.0.0.1:9/v1", parameters=STRUCTURED)
    output, _ = await ask(OpenAIEngine(candidate, LABELS, RetryPolicy(attempts=1)))
    assert output.error is not None
    assert output.error.kind is ErrorKind.CONNECTION


@pytest.mark.parametrize("dialect", ["vllm", "ollama", "openai"])
async def test_a_declared_dialect_is_not_asked_for(server: Server, dialect: str) -> None:
    """A dialect in the configuration counts whatever the server calls itself, and nobody asks it."""
    server.reset()
    output, _ = await ask(engine_of(server, "ollama", dialect=dialect))
    assert output.text == "ham"
    assert server.stats("ollama")["checks"] == 0


def body_of(request: Request, eval_config: EvalConfig, dialect: str, **keys: Any) -> dict[str, Any]:
    """Return a body for a dialect."""
    keys = {"parameters": STRUCTURED} | keys
    return request_body(request, Candidate("c", "openai", model="m", **keys), eval_config, dialect=dialect)


@pytest.mark.parametrize("dialect", ["vllm", "ollama", "openai"])
def test_an_answer_of_several_labels_is_not_held_to_one(dialect: str) -> None:
    """A task whose answers may name several labels is asked freely: to allow one would make it wrong."""
    several = replace(LABELS, several=True)
    one, free = (body_of(REQUEST, each, dialect) for each in (LABELS, several))
    assert "structured_outputs" in one or "response_format" in one
    assert "structured_outputs" not in free
    assert "response_format" not in free


def test_the_requests_own_format_comes_first() -> None:
    """A logged format is kept, in the nested form; the eval's labels and schema don't stand beside it."""
    flat = {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}
    request = Request((Message("user", "x"),), response_format=flat)
    for eval_config in (LABELS, FIELDS):
        body = body_of(request, eval_config, "vllm")
        assert body["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "x", "schema": SCHEMA, "strict": True},
        }
        assert "structured_outputs" not in body
    for own in ({"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}):
        assert format_constraint("openai", own).body == {"response_format": own}


def test_the_evals_schema_is_strict_only_where_it_already_is() -> None:
    """A schema is never changed to please a dialect: it is sent as strict where it keeps the rules."""
    loose = body_of(REQUEST, FIELDS, "openai")["response_format"]["json_schema"]
    assert (loose["schema"], loose["strict"]) == (SCHEMA, False)
    closed = SCHEMA | {"additionalProperties": False}
    assert schema_constraint("openai", closed).body["response_format"]["json_schema"]["strict"] is True
    nested = {"type": "array", "items": SCHEMA}
    assert not is_strict(
        {"type": "object", "properties": {"l": nested}, "required": ["l"]} | {"additionalProperties": False}
    )


def test_nothing_is_sent_beside_tools_or_to_a_server_that_takes_nothing() -> None:
    """Constrained text can call no tool; and dialect none leaves every such field out."""
    tools = ({"type": "function", "function": {"name": "f"}},)
    assert "structured_outputs" not in body_of(Request((Message("user", "x"),), tools), LABELS, "vllm")
    formatted = Request((Message("user", "x"),), response_format={"type": "json_object"})
    assert "response_format" not in body_of(formatted, LABELS, "none")
    assert "response_format" not in body_of(REQUEST, LABELS, "none")


def test_only_the_wrapper_is_unwrapped() -> None:
    """Only an object with the one key that was asked for is taken for a wrapper."""
    assert unwrap_label(' {"label": "spam"}\n') == "spam"
    for text in ('{"label": "sp', '{"label": 1}', '{"label": "a", "b": 1}', "spam", "[1]", "{"):
        assert unwrap_label(text) == text


@pytest.mark.parametrize("models", [None, "html", [], {"data": 3}, {"data": [None, {"owned_by": 3}]}])
def test_odd_lists_of_models_tell_nothing(models: Any) -> None:
    """Whatever a server answers, the reading of it never fails."""
    assert detect(models, "", "m") is None
    assert detect(models, "llama.cpp", "m") is not None


async def test_a_refusal_of_log_probabilities_costs_one_request(server: Server) -> None:
    """Asked for by default; refused, the call goes again without, and the others never ask."""
    server.reset()
    engine = engine_of(server, "no_logprobs", parameters={})
    first, second = CallContext("a", "a"), CallContext("b", "b")
    outputs = [await engine.complete(REQUEST, each) for each in (first, second)]
    assert [each.text for each in outputs] == [answer_to("hello")] * 2
    assert (first.attempts, second.attempts) == (2, 1)
    assert first.retried == [ErrorKind.HTTP]
    assert "refused" in engine.description["logprobs"]
    await engine.close()
    assert server.stats("no_logprobs")["hits"] == 3


async def test_log_probabilities_that_the_candidate_asks_for_are_not_given_up(server: Server) -> None:
    """What the candidate declares is sent as it is: the server's refusal is the call's error."""
    output, context = await ask(engine_of(server, "no_logprobs", parameters={"logprobs": True}))
    assert output.error is not None
    assert output.error.status == 400
    assert context.attempts == 1
    output, _ = await ask(engine_of(server, "no_logprobs", parameters={"logprobs": False}))
    assert output.error is not None, "the word alone is refused here"


@pytest.mark.parametrize(("eval_config", "tops"), [(LABELS, 5), (FIELDS, None)], ids=["label", "fields"])
async def test_every_kind_is_asked_for_log_probabilities(
    server: Server, eval_config: EvalConfig, tops: int | None
) -> None:
    """Log-probabilities are asked for by default, the likeliest in each place for labels alone."""
    await ask(engine_of(server, "good", eval_config, parameters={}))
    body = server.stats("good")["last"]
    assert body["logprobs"] is True
    assert body.get("top_logprobs") == tops


@pytest.mark.parametrize("behaviour", ["thinks_beside", "thinks_inside"])
async def test_reasoning_is_kept_apart_from_the_answer(server: Server, behaviour: str) -> None:
    """Reasoning, in a field or in tags, is never part of the answer."""
    output, _ = await ask(engine_of(server, behaviour))
    assert (output.text, output.reasoning) == ("spam", "ham? No.")


async def test_tags_that_the_user_wrote_are_left_alone(server: Server) -> None:
    """Where the user speaks of such tags, they stand in the answer as the model wrote them."""
    request = Request((Message("user", "Put your thoughts into <think> tags."),))
    output, _ = await ask(engine_of(server, "thinks_inside"), request)
    assert output.reasoning is None
    assert output.text is not None
    assert output.text.startswith("<think>")


async def test_refusals_and_cut_answers_are_flagged(server: Server) -> None:
    """A refusal in its own field is the text, flagged; so is an answer cut off by the limit."""
    refused, _ = await ask(engine_of(server, "refusal"))
    cut, _ = await ask(engine_of(server, "cut_off"))
    assert (refused.text, refused.flags) == ("I can't help with that.", ("refusal",))
    assert (cut.finish_reason, cut.flags) == ("length", ("truncated",))
