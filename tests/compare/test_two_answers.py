"""An answer that says two things, and numbers that no double holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.compare import compare_outputs
from workbench.compare.exact import exact_number, is_near, read_fraction
from workbench.compare.reading import extract_json, freeze, longest_json, repair_json
from workbench.compare.schema import schema_problem
from workbench.normal import parse_arguments
from workbench.records import EvalKind, Output, ToolCall, Verdict
from workbench.specs import EvalConfig, FieldRule, Normalisation
from workbench.traffic.shapes import infer_schema

FIELDS = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("a", "exact"),))
MENDING = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("a", "exact"),), repair=True)
LABELS = EvalConfig(
    "t",
    EvalKind.LABEL,
    labels=("billing", "outage"),
    normalise=Normalisation(wrappers=("json", r"answer:\s*(\w+)")),
)
ONE, OTHER = '{"a": 1}', '{"a": 2, "why": "a longer one"}'


def judged(config: EvalConfig, control: str, candidate: str) -> Any:
    return compare_outputs(config, None, Output(control), Output(candidate))


@pytest.mark.parametrize(
    "answer",
    [
        f"{ONE}\n{OTHER}",
        f"{OTHER}\n{ONE}",
        f"First I thought {OTHER}, final: {ONE}",
        f"<think>{OTHER}</think>{ONE}",
        f"```json\n{ONE}\n```\nor\n```json\n{OTHER}\n```",
        f"```json\n{ONE}\n```\nOn second thoughts: {OTHER}",
        f"{ONE} {ONE} {OTHER}",
        ONE + "{x} " * 201 + OTHER,
    ],
)
def test_two_different_objects_are_no_answer(answer: str) -> None:
    """Programs take the first, the last, or fail: a broken contract, or a control that says nothing."""
    for config in (FIELDS, MENDING):
        found = judged(config, ONE, answer)
        assert (found.verdict, found.invalid) == (Verdict.MISMATCH, True)
        assert judged(config, answer, ONE).verdict is Verdict.UNCOMPARABLE


@pytest.mark.parametrize(
    "answer",
    [
        f"{ONE}\n{ONE}",
        f'{ONE} or, the same, {{"a": 1.0}}',
        f"First I thought {OTHER}.\n```json\n{ONE}\n```",
        f"```json\n{ONE}\n```\nThat is {ONE}.",
        f"```python\nprint({OTHER})\n```\n```json\n{ONE}\n```",
        f"As in [1] and [2], with boxes [ ] and {{}}: {ONE}".replace("{}", "braces"),
        f'Not {{"a": }} but {ONE}',
    ],
)
def test_one_answer_amid_much_else_is_read(answer: str) -> None:
    """The same object twice is one; a fence marks the answer behind a first thought."""
    assert judged(FIELDS, ONE, answer).verdict is Verdict.MATCH


@pytest.mark.parametrize("broken", ["{a: 1} {a: 2}", '{"a": 1,} {"a": 2,}', '{"a": 1,} then {"b": 2,}'])
def test_two_broken_objects_are_not_mended_into_one(broken: str) -> None:
    """What mends would keep the last; two equal broken ones are one."""
    assert judged(MENDING, ONE, broken).invalid
    assert judged(MENDING, ONE, '{"a": 1,} {"a": 1,}').verdict is Verdict.MATCH


def test_two_labels_in_their_wrappers_are_no_answer() -> None:
    """In objects and behind a pattern alike; the same label twice is one."""
    for answer in (
        '{"label": "billing"} {"label": "outage"}',
        "Answer: billing. No, answer: outage",
        'First {"label": "outage"}, then {"label": "billing"}',
    ):
        assert judged(LABELS, "billing", answer).invalid, answer
        assert judged(LABELS, answer, "billing").verdict is Verdict.UNCOMPARABLE
    for answer in (
        '{"label": "billing"} {"label": "billing"}',
        "Answer: billing. I repeat, answer: Billing",
        "Answer: billing (answer: see above)",
    ):
        assert judged(LABELS, "billing", answer).verdict is Verdict.MATCH, answer


def test_two_lists_are_no_answer_and_a_footnote_is_none() -> None:
    """Where lists count, [1] beside an answer is a mark, and alone it is the answer."""
    assert extract_json('see [1], [ ]: ["a"]', (list,)) == (True, ["a"])
    assert extract_json("the answer is [1]", (list,)) == (True, [1])
    assert extract_json("[1] or [2]", (list,)) == (False, None)
    assert extract_json('["a"] or ["b"]', (list,)) == (False, None)
    assert longest_json('["a"] of ["b", "c"]', (list,)) == (True, ["b", "c"])


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=3), values, max_size=3)


@settings(max_examples=200, deadline=None)
@given(one=objects, other=objects, between=st.text(alphabet="ab ,.:\n", max_size=10))
def test_two_objects_are_an_answer_exactly_where_they_are_equal(
    one: dict[str, Any], other: dict[str, Any], between: str
) -> None:
    """Whatever they hold and whatever stands between them."""
    good, value = extract_json(f"{json.dumps(one)}{between}{json.dumps(other)}")
    assert good is (freeze(one) == freeze(other))
    assert not good or freeze(value) == freeze(one)


LARGE = ["1e400", "1e401", "-1e400", "1e999999999", "1e999999998", "1e-400", "1e-401", "0", "9" * 400]


@pytest.mark.parametrize("kind", ["exact", "text", "number", "money", "list"])
def test_numbers_beyond_a_double_are_equal_only_where_they_are(kind: str) -> None:
    """Also to another way of writing the same number, and at any exponent without delay."""
    config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("x", kind),))

    def verdict(left: str, right: str) -> Verdict:
        form = '{"x": [%s]}' if kind == "list" else '{"x": %s}'
        found: Verdict = judged(config, form % left, form % right).verdict
        return found

    for left in LARGE:
        for right in LARGE:
            expected = Verdict.MATCH if left == right else Verdict.MISMATCH
            assert verdict(left, right) is expected, (left, right)
    for left, right in (("1e400", "10.0e399"), ("1e400", "1" + "0" * 400), ("1e999999999", "0.1e1000000000")):
        assert verdict(left, right) is Verdict.MATCH, (left, right)


def test_tolerances_hold_for_numbers_of_any_size() -> None:
    """A hundredth of 1e400 is a tolerance, one is not; ids of 20 digits keep their last one."""
    config = EvalConfig(
        "t", EvalKind.FIELDS, fields=(FieldRule("x", "number", tolerance=1.0, relative=0.01),)
    )
    plain = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("x", "number", tolerance=1.0),))
    assert judged(config, '{"x": 1e400}', '{"x": 1.009e400}').verdict is Verdict.MATCH
    assert judged(config, '{"x": 1e400}', '{"x": 1.02e400}').verdict is Verdict.MISMATCH
    assert judged(plain, '{"x": 1e400}', '{"x": 1.009e400}').verdict is Verdict.MISMATCH
    assert (
        judged(plain, '{"x": 12345678901234567890}', '{"x": 12345678901234567891}').verdict is Verdict.MATCH
    )
    assert (
        judged(plain, '{"x": 12345678901234567890}', '{"x": 12345678901234567892}').verdict
        is Verdict.MISMATCH
    )
    assert judged(plain, '{"x": "1e400"}', '{"x": 1e400}').verdict is Verdict.MATCH
    assert not is_near(10**60, 10**60 + 1, 0.5, 0.0)
    assert is_near(10**60, 10**60 + 1, 1.0, 0.0)


def test_a_number_that_can_not_be_held_at_all_is_unreadable() -> None:
    """An exponent of nineteen digits, or a number of five thousand."""
    for written in ("1e1000000000000000000", "1." + "1" * 5000 + "e400", "9" * 5000):
        assert judged(FIELDS, ONE, f'{{"a": {written}}}').invalid
    with pytest.raises(ValueError, match="exponent"):
        read_fraction("1e1000000000000000000")
    assert exact_number(float("inf")) is None


def test_a_large_number_keeps_to_its_schema() -> None:
    """It is a number, whole where it is, and above its maximum."""
    good, value = extract_json('{"x": 1e400, "y": 1.5e-400}')
    assert good
    assert schema_problem(value["x"], {"type": "integer", "minimum": 3}) is None
    assert schema_problem(value["y"], {"type": "integer"}) is not None
    assert schema_problem(value["x"], {"type": "number", "maximum": 10.5}) is not None


def test_a_large_number_is_shown_as_it_is_written_and_drafted_as_a_number() -> None:
    """In the details of a comparison, alone and within an object, and in the schema of a log."""
    whole = EvalConfig("t", EvalKind.FIELDS)
    for config in (FIELDS, whole):
        found = judged(config, '{"a": 1e400}', '{"a": 1e401}').details["fields"][0]
        assert "1E+400" in found["control"]
        assert "Decimal" not in found["control"]
    drafted = infer_schema([extract_json('{"a": 1e400}')[1], {"a": 1.5}])
    assert drafted["properties"]["a"]["type"] == "number"


def test_a_mended_number_too_large_to_be_exact_is_none() -> None:
    """What mends reads 1e400 as infinity, which would equal 1e500."""
    assert repair_json('{"a": 1e400,}') == (False, None)


def test_arguments_of_tools_keep_numbers_that_a_double_can_not_hold() -> None:
    """1e400 and 1e401 are other arguments, and 1e5 is parsed as ever."""
    config = EvalConfig("t", EvalKind.TOOL_CALL)

    def verdict(left: str, right: str) -> Verdict:
        sides = [
            Output(tool_calls=(ToolCall("f", parse_arguments(f'{{"n": {each}}}')),)) for each in (left, right)
        ]
        return compare_outputs(config, None, *sides).verdict

    assert verdict("1e400", "1e401") is Verdict.MISMATCH
    assert verdict("1e400", "10e399") is Verdict.MATCH
    assert parse_arguments('{"n": 1e50}') == {"n": 1e50}
