"""Agreement among samples, around an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from replay_world import candidate_toml, make_workspace
from servers import Server

from workbench.engines import CallContext, open_engine
from workbench.engines.base import failure
from workbench.engines.sampled import SampledEngine
from workbench.records import ErrorKind, EvalKind, Message, Output, Request, ToolCall, Usage
from workbench.specs import Candidate, EvalConfig, FieldRule

REQUEST = Request((Message("user", "hello"),), parameters={"temperature": 0.2, "seed": 7})
LABELS = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("spam", "ham"))


class Scripted:
    """An engine that gives prepared outputs, the answer first."""

    name = "scripted"
    concurrency = 3

    def __init__(self, *outputs: Output) -> None:
        self.outputs = list(outputs)
        self.asked: list[Mapping[str, Any] | None] = []

    @property
    def description(self) -> Mapping[str, Any]:
        return {"scripted": True}

    async def check(self) -> None:
        pass

    async def complete(self, request: Request, context: CallContext) -> Output:
        context.attempts += 1
        self.asked.append(context.overrides)
        return self.outputs.pop(0)

    async def close(self) -> None:
        pass

    async def peek(self, path: str) -> str:
        return path


def answer(text: str | None, **fields: Any) -> Output:
    """Return an output that cost two tokens in and one out."""
    return Output(text, usage=Usage(2, None, 1), **fields)


async def agreement(eval_config: EvalConfig, *outputs: Output) -> tuple[Output, CallContext, Scripted]:
    """Ask a scripted engine once, with as many samples as there are further outputs."""
    engine = Scripted(*outputs)
    candidate = Candidate("c", "openai", model="m", samples=len(outputs) - 1, samples_temperature=0.9)
    context = CallContext("c", "n")
    return await SampledEngine(engine, candidate, eval_config).complete(REQUEST, context), context, engine


TOOLS = (ToolCall("book", {"day": "Mon", "n": 1}),)
CASES = [
    (LABELS, "spam", ["Spam.", "ham", "spam"], 2 / 3),
    (EvalConfig(task="t", kind=EvalKind.TEXT), "Hello there!", ["hello there", "Bye"], 1 / 2),
    (
        EvalConfig(task="t", kind=EvalKind.FIELDS, fields=(FieldRule("a"), FieldRule("b", "ignore"))),
        '{"a": 1, "b": 2}',
        ['{"b": 3, "a": 1.0}', '```json\n{"a": 1}\n```', '{"a": 2}'],
        2 / 3,
    ),
]


@pytest.mark.parametrize(("eval_config", "text", "samples", "share"), CASES, ids=["label", "text", "fields"])
async def test_a_sample_agrees_where_the_eval_calls_both_equal(
    eval_config: EvalConfig, text: str, samples: list[str], share: float
) -> None:
    """Agreement is the eval's own equality, and its share is the signal; the answer stays."""
    output, context, _ = await agreement(eval_config, answer(text), *map(answer, samples))
    assert output.text == text
    assert output.confidence["sample_agreement"] == pytest.approx(share)
    assert output.usage == Usage(2 * (len(samples) + 1), None, len(samples) + 1)
    assert context.attempts == len(samples) + 1


async def test_tool_calls_agree_by_name_and_arguments() -> None:
    """Same tool and arguments in any order agree; another argument doesn't."""
    config = EvalConfig(task="t", kind=EvalKind.TOOL_CALL)
    same, other = (ToolCall("book", {"n": 1, "day": "Mon"}),), (ToolCall("book", {"day": "Tue", "n": 1}),)
    output, _, _ = await agreement(config, *(answer(None, tool_calls=each) for each in (TOOLS, same, other)))
    assert output.confidence["sample_agreement"] == 0.5


async def test_samples_have_a_temperature_and_seeds_of_their_own() -> None:
    """The answer is asked as it would be alone; each sample has the temperature and another seed."""
    _, _, engine = await agreement(LABELS, *[answer("spam")] * 3)
    assert engine.asked == [None, {"temperature": 0.9, "seed": 8}, {"temperature": 0.9, "seed": 9}]


async def test_an_empty_sample_does_not_agree_and_a_lost_one_leaves_no_signal() -> None:
    """What the model failed at is no agreement; what the server failed at is no evidence either way."""
    empty, lost = failure(ErrorKind.EMPTY), failure(ErrorKind.TIMEOUT)
    output, _, _ = await agreement(LABELS, answer("spam"), answer("spam"), empty)
    assert output.confidence["sample_agreement"] == 0.5
    output, context, engine = await agreement(LABELS, answer("spam"), lost, answer("spam"))
    assert "sample_agreement" not in output.confidence
    assert "samples_lost" in output.flags
    assert (context.attempts, len(engine.outputs)) == (2, 1)


async def test_a_sample_from_a_response_cache_leaves_no_signal() -> None:
    """The cache repeats one sample for ever: that is no sign of a model that is sure."""
    output, _, _ = await agreement(LABELS, answer("spam"), answer("spam"), answer("spam", flags=("cached",)))
    assert "sample_agreement" not in output.confidence
    assert "samples_lost" in output.flags


async def test_a_failed_answer_is_not_sampled() -> None:
    """Where there is no answer, nothing is asked for to agree with it."""
    output, context, _ = await agreement(LABELS, failure(ErrorKind.EMPTY), answer("spam"))
    assert output.error is not None
    assert context.attempts == 1


async def test_a_declared_candidate_is_sampled_over_the_wire(server: Server, tmp_path: Any) -> None:
    """`samples` of a declared candidate ask that often again, above its own temperature."""
    server.reset()
    workspace = make_workspace(
        tmp_path,
        candidate_toml(
            "c",
            engine="openai",
            base_url=server.url("wavers"),
            model="m",
            samples=4,
            parameters={"temperature": 0},
        ),
    )
    engine = open_engine(workspace, workspace.candidate("c"), workspace.eval_for("spam"))
    output = await engine.complete(REQUEST, CallContext("c", "n"))
    assert await engine.peek("models") is not None  # type: ignore[attr-defined]
    assert (engine.description["samples"], engine.name) == (4, "openai")
    await engine.close()
    assert server.stats("wavers")["hits"] == 5
    assert (output.text, output.confidence["sample_agreement"]) == ("spam", 0.5)
