"""JSON as programs behind a model would read it: in texts, with keys that stand twice, against its schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench.compare import Judgement, compare_outputs
from workbench.records import EvalKind, Output, Request, ToolCall, Verdict
from workbench.specs import EvalConfig, FieldRule


def judged(config: EvalConfig, control: Any, candidate: Any) -> Judgement:
    sides = [each if isinstance(each, str) else json.dumps(each) for each in (control, candidate)]
    return compare_outputs(config, None, Output(sides[0]), Output(sides[1]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"b":1,"c":2}', '{"c": 2, "b": 1}'),
        ('{"b":1}', {"b": 1}),
        ('["x"]', '[ "x" ]'),
        ({"deep": '{"b":1}'}, {"deep": '{"b": 1.0}'}),
        (['{"b":1}'], [{"b": 1}]),
        ('"{\\"b\\":1}"', '{"b": 1}'),
    ],
    ids=str,
)
@pytest.mark.parametrize("compare", ["exact", "text", "fuzzy", "number", "list", "set"])
def test_json_in_a_text_is_read_on_both_sides(compare: str, one: Any, other: Any) -> None:
    """Key order and white space inside a text do not count, at whatever depth; what it holds does."""
    config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("a", compare),))
    assert judged(config, {"a": one}, {"a": other}).verdict is Verdict.MATCH
    assert judged(config, {"a": other}, {"a": one}).verdict is Verdict.MATCH
    changed = json.loads(json.dumps(other).replace("1", "7").replace("x", "y"))
    if compare != "fuzzy":
        assert judged(config, {"a": one}, {"a": changed}).verdict is Verdict.MISMATCH


def test_a_text_in_quotation_marks_stays_a_text() -> None:
    """A search for "a b" is another than one for a b."""
    config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("a"),))
    assert judged(config, {"a": '"a b"'}, {"a": "a b"}).verdict is Verdict.MISMATCH


def test_json_in_a_text_beside_the_rules_is_read_as_well() -> None:
    """Of what a schema does not name, key order and white space inside a text do not count either."""
    config = EvalConfig("t", EvalKind.FIELDS, schema={"properties": {"a": {"type": "string"}}})
    control = {"a": "x", "more": '{"b":1,"c":2}'}
    assert judged(config, control, control | {"more": '{"c": 2, "b": 1}'}).verdict is Verdict.MATCH
    assert judged(config, control, control | {"more": '{"c": 2, "b": 7}'}).verdict is Verdict.MISMATCH


TWICE = '{"a": 1, "a": 2}'


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize(
    "answer", [TWICE, f"Here: {TWICE}", f"```json\n{TWICE}\n```", f'{{"a": 2, "b": [{TWICE}]}}']
)
def test_an_object_with_a_key_twice_is_no_answer(answer: str, repair: bool) -> None:
    """Some programs take the first value, some the last: it equals neither, and mending chooses none."""
    config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("a"),), repair=repair)
    assert judged(config, '{"a": 2}', answer).invalid
    assert judged(config, answer, '{"a": 2}').verdict is Verdict.UNCOMPARABLE
    assert judged(config, TWICE.replace('"a": 1', '"b": 1'), '{"a": 2}').verdict is Verdict.MATCH


def test_a_key_twice_makes_no_order_and_no_arguments_either() -> None:
    """Rankings and tool calls are read by the same rule."""
    ranking = EvalConfig("t", EvalKind.RANKING, options=("x", "y"))
    twice = 'I say {"order": ["y", "x"], "order": ["x", "y"]}'
    assert judged(ranking, '["x", "y"]', twice).invalid
    tools = EvalConfig("t", EvalKind.TOOL_CALL)
    once, again = (Output(tool_calls=(ToolCall("f", each),)) for each in ('{"a": 2}', TWICE))
    assert compare_outputs(tools, None, once, again).invalid


def test_an_answer_that_breaks_its_contract_scores_nothing() -> None:
    """A score of one beside an invalid answer would tell whoever predicts harm that it is harmless."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    found = judged(EvalConfig("t", EvalKind.FIELDS, schema=schema), {"n": 1}, {"n": "1"})
    assert (found.verdict, found.invalid, found.score) == (Verdict.MISMATCH, True, 0.0)
    tools = ({"function": {"name": "find", "parameters": schema}},)
    one, other = (Output(tool_calls=(ToolCall("find", {"n": each}),)) for each in (1, "1"))
    called = compare_outputs(EvalConfig("t", EvalKind.TOOL_CALL), Request((), tools=tools), one, other)
    assert (called.invalid, called.score) == (True, 0.0)
