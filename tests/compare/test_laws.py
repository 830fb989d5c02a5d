"""Laws that every comparator keeps, whatever it is given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.compare import Comparator, Judgement, compare_outputs
from workbench.records import ErrorKind, EvalKind, Output, OutputError, Request, ToolCall, Verdict
from workbench.specs import EvalConfig, FieldRule, IgnoreRule, Normalisation

FIELDS = (
    FieldRule("total", "number", tolerance=0.01),
    FieldRule("when", "date"),
    FieldRule("name", "text"),
    FieldRule("tags", "set"),
    FieldRule("codes", "list", ordered=False),
    FieldRule("items[].sku", "exact", ordered=False),
    FieldRule("items[].price", "number", ordered=False, required=False),
    FieldRule("note", "ignore"),
)
EVALS = {
    "label": EvalConfig(
        "t", EvalKind.LABEL, labels=("billing", "Outage", "0", "-0"), aliases={"bill": "billing"}
    ),
    "wrapped label": EvalConfig(
        "t", EvalKind.LABEL, labels=("a", "b"), normalise=Normalisation(wrappers=("json", r"answer:\s*(.*)"))
    ),
    "fields": EvalConfig("t", EvalKind.FIELDS, fields=FIELDS),
    "schema": EvalConfig(
        "t",
        EvalKind.FIELDS,
        schema={
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "total": {"type": "number"}},
        },
    ),
    "text": EvalConfig("t", EvalKind.TEXT),
    "tool_call": EvalConfig("t", EvalKind.TOOL_CALL),
    "ignoring": EvalConfig(
        "t", EvalKind.TEXT, ignore=(IgnoreRule("greeting", r"(?i)^hello\W*"), IgnoreRule("digits", r"\d"))
    ),
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
records = st.fixed_dictionaries(
    {},
    optional={
        "total": st.sampled_from([1, 1.0, "1,000", "1.000,5", "one", None, True, float("nan")]),
        "when": st.sampled_from(["2024-03-13", "13/03/2024", "03/04/2024", "13 March 2024", "soon", 5]),
        "name": st.text(max_size=6) | json_values,
        "tags": st.lists(st.sampled_from(["a", "b", 1, True]), max_size=3) | st.just('["a"]'),
        "codes": json_values,
        "items": st.lists(
            st.fixed_dictionaries(
                {}, optional={"sku": st.sampled_from("AB"), "price": st.sampled_from([1, "1", 2])}
            ),
            max_size=3,
        )
        | json_values,
        "note": st.text(max_size=3),
        "surprise": json_values,
    },
)
SAID = (
    "billing",
    "Billing.",
    "**outage**",
    '{"x": "a"}',
    "answer: b",
    "I'm sorry, but I can't help.",
    "",
    "0",
    "-0",
    "I paid $5 on 3 March 2024.",
    "Hello, see Anna at 3:30 pm",
    "{{{{[[[",
    '{"total": NaN}',
    "\ud800\x00",
)
texts = st.one_of(
    st.text(max_size=60),
    st.sampled_from(SAID),
    records.map(json.dumps),
    records.map(lambda value: f"Sure:\n```json\n{json.dumps(value)}\n```\nDone."),
    records.map(lambda value: json.dumps(json.dumps(value))),
)
tool_calls = st.builds(
    ToolCall, st.sampled_from(["find", "book"]), st.one_of(json_values, records, texts), st.none()
)
good_outputs = st.builds(
    Output,
    text=st.none() | texts,
    tool_calls=st.lists(tool_calls, max_size=2).map(tuple),
    finish_reason=st.sampled_from([None, "stop", "tool_calls"]),
)
outputs = st.one_of(
    good_outputs,
    st.builds(Output, text=texts, finish_reason=st.sampled_from(["length", "content_filter"])),
    st.builds(Output, text=texts, flags=st.sampled_from([("refusal",), ("truncated",), ("capped",)])),
    st.sampled_from([Output(error=OutputError(kind)) for kind in ErrorKind]),
)
similarity = st.none() | st.floats(-1, 1)
each_kind = pytest.mark.parametrize("name", EVALS)


def key(found: Judgement) -> tuple[Any, ...]:
    return found.verdict, found.score, found.identical, sorted(found.flags)


@each_kind
@settings(max_examples=60, deadline=None)
@given(control=outputs, observed=outputs, similarity=similarity)
def test_no_output_makes_a_comparator_raise_and_every_score_is_a_share(
    name: str, control: Output, observed: Output, similarity: float | None
) -> None:
    """Junk of any shape gets a verdict; a score is missing or within 0..1; errors are invalid."""
    request = Request((), tools=({"function": {"name": "find", "parameters": {"type": "object"}}},))
    found = compare_outputs(EVALS[name], request, control, observed, similarity=similarity)
    assert found.score is None or 0 <= found.score <= 1
    assert (found.verdict is Verdict.IGNORED) == (found.ignored_by is not None)
    if found.invalid:
        assert found.verdict is Verdict.MISMATCH
        assert found.reason
    if control.error:
        assert found.verdict is Verdict.UNCOMPARABLE
    elif observed.error and found.verdict is not Verdict.UNCOMPARABLE:
        assert found.invalid
    json.dumps(found.details)


@each_kind
@settings(max_examples=60, deadline=None)
@given(control=outputs)
def test_an_output_always_agrees_with_itself(name: str, control: Output) -> None:
    """Reflexive: the same output is a match, unless there is nothing to compare with."""
    found = compare_outputs(EVALS[name], None, control, control, similarity=None)
    assert found.verdict in (Verdict.MATCH, Verdict.UNCOMPARABLE)
    assert not found.invalid


@each_kind
@settings(max_examples=100, deadline=None)
@given(first=good_outputs, second=good_outputs, similarity=similarity)
def test_swapping_the_sides_keeps_the_verdict(
    name: str, first: Output, second: Output, similarity: float | None
) -> None:
    """Symmetric wherever both sides may stand as a control."""
    comparator = Comparator(EVALS[name])
    there = comparator.compare(first, second, None, similarity)
    back = comparator.compare(second, first, None, similarity)
    sides = {there.verdict, back.verdict}
    if Verdict.UNCOMPARABLE in sides or there.invalid or back.invalid:
        return
    assert key(there) == key(back)


def test_nesting_beyond_any_recursion_limit_is_unreadable_rather_than_a_crash() -> None:
    """Twenty thousand brackets make a control uncomparable and a candidate invalid."""
    deep = '{"total":' + "[" * 20_000 + "]" * 20_000 + "}"
    fine = Output('{"total": 1}')
    assert compare_outputs(EVALS["fields"], None, Output(deep), fine).verdict is Verdict.UNCOMPARABLE
    assert compare_outputs(EVALS["fields"], None, fine, Output(deep)).invalid
    nested: Any = 1
    for _ in range(5_000):
        nested = [nested]
    called = Output(tool_calls=(ToolCall("find", {"a": nested}),))
    good = Output(tool_calls=(ToolCall("find", {"a": 1}),))
    assert compare_outputs(EVALS["tool_call"], None, good, called).invalid
    assert compare_outputs(EVALS["tool_call"], None, called, good).verdict is Verdict.UNCOMPARABLE
