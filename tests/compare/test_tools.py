"""Tool calls: what is the same call, and how missing, extra and changed calls are told apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.compare import Comparator, Judgement, compare_outputs
from workbench.records import EvalKind, Output, Request, ToolCall, Verdict
from workbench.specs import EvalConfig, IgnoreRule

TOOLS = EvalConfig("tools", EvalKind.TOOL_CALL)


def calls(*pairs: tuple[str, Any]) -> Output:
    return Output(tool_calls=tuple(ToolCall(name, arguments) for name, arguments in pairs))


def judged(control: Output, candidate: Output, request: Request | None = None) -> Judgement:
    return compare_outputs(TOOLS, request, control, candidate)


@pytest.mark.parametrize(
    "arguments",
    [
        {"where": {"b": [1, 2], "a": 1}},
        {"where": '{"b": [1, 2], "a": 1}'},
        {"where": '  {"a":1.0,"b":[1,2]} '},
        {"where": {"a": 1, "b": "[1, 2]"}},
        {"where": json.dumps(json.dumps({"a": 1, "b": [1, 2]}))},
        '{"where": "{\\"b\\": [1, 2], \\"a\\": 1}"}',
    ],
    ids=str,
)
def test_json_within_the_text_of_an_argument_is_read_as_what_it_holds(arguments: Any) -> None:
    """Key order and white space of JSON in a string, at any depth, make no other call."""
    control = calls(("find", {"where": {"a": 1, "b": [1, 2]}}))
    assert judged(control, calls(("find", arguments))).verdict is Verdict.MATCH
    assert judged(control, calls(("find", {"where": '{"b": [2, 1], "a": 1}'}))).verdict is Verdict.MISMATCH


def test_text_that_only_looks_like_json_is_text() -> None:
    """A quoted word, a number and half an object stay what they are."""
    for one, other in (("1", 1), ('"a"', "a"), ("{a", "{ a"), ("true", True), ("null", None)):
        assert judged(calls(("f", {"x": one})), calls(("f", {"x": other}))).verdict is Verdict.MISMATCH


def test_an_object_where_the_tool_takes_its_text_breaks_the_tools_schema() -> None:
    """Both hold the same, and only one can be called: the schema on offer says which."""
    schema = {"type": "object", "properties": {"where": {"type": "string"}}}
    request = Request((), tools=({"function": {"name": "find", "parameters": schema}},))
    found = judged(calls(("find", {"where": '{"a": 1}'})), calls(("find", {"where": {"a": 1}})), request)
    assert (found.verdict, found.invalid) == (Verdict.MISMATCH, True)


@pytest.mark.parametrize("written", ["null", " null\n", "", None, {}])
def test_no_arguments_are_none_however_a_server_writes_that(written: Any) -> None:
    """A call without arguments agrees with `{}` on either side, and with no call that has some."""
    called, plain, other = (calls(("find", each)) for each in (written, "{}", {"a": None}))
    assert judged(called, plain).verdict is judged(plain, called).verdict is Verdict.MATCH
    assert judged(called, other).verdict is judged(other, called).verdict is Verdict.MISMATCH


CONTROL = calls(("find", {"city": "Rome", "n": 1}), ("find", {"city": "Oslo", "n": 2}), ("book", {"id": 7}))


@pytest.mark.parametrize(
    ("candidate", "reason", "details", "score"),
    [
        (
            (("find", {"city": "Oslo", "n": 2}), ("book", {"id": 7})),
            "missing call of find",
            {"missing": ["find"], "extra": [], "changed": []},
            2 / 3,
        ),
        (
            (("book", {"id": 7}),),
            "missing call of find (2 times)",
            {"missing": ["find", "find"], "extra": [], "changed": []},
            1 / 3,
        ),
        (
            (
                ("book", {"id": 7}),
                ("book", {"id": 7}),
                ("find", {"city": "Rome", "n": 1}),
                ("find", {"city": "Oslo", "n": 2}),
            ),
            "extra call of book",
            {"missing": [], "extra": ["book"], "changed": []},
            3 / 4,
        ),
        (
            (("find", {"city": "Oslo", "n": 2}), ("find", {"city": "Rome", "n": 3}), ("book", {"id": 7})),
            "other arguments for find",
            {
                "missing": [],
                "extra": [],
                "changed": [{"tool": "find", "arguments": [{"name": "n", "control": "1", "candidate": "3"}]}],
            },
            2 / 3,
        ),
        (
            (("find", {"city": "Rome", "n": 1}), ("find", {"city": "Oslo"}), ("pay", {})),
            "missing call of book; extra call of pay; other arguments for find",
            {
                "missing": ["book"],
                "extra": ["pay"],
                "changed": [
                    {"tool": "find", "arguments": [{"name": "n", "control": "2", "candidate": "(missing)"}]}
                ],
            },
            1 / 3,
        ),
    ],
    ids=["missing", "both missing", "extra", "changed", "all"],
)
def test_missing_extra_and_changed_calls_are_told_apart(
    candidate: tuple[tuple[str, Any], ...], reason: str, details: dict[str, Any], score: float
) -> None:
    """The reason says which of the three it is, and the details name tools and arguments."""
    found = judged(CONTROL, calls(*candidate))
    assert (found.verdict, found.reason, found.details) == (Verdict.MISMATCH, reason, details)
    assert found.score == pytest.approx(score)


def test_changed_calls_of_one_tool_are_paired_by_what_they_share() -> None:
    """Of parallel calls in another order, each is shown beside the one that it resembles most."""
    control = calls(("find", {"city": "Rome", "n": 1}), ("find", {"city": "Oslo", "n": 2}))
    found = judged(control, calls(("find", {"city": "Oslo", "n": 5}), ("find", {"city": "Rome", "n": 6})))
    assert [each["arguments"] for each in found.details["changed"]] == [
        [{"name": "n", "control": "1", "candidate": "6"}],
        [{"name": "n", "control": "2", "candidate": "5"}],
    ]


def test_calls_that_agree_have_nothing_missing_extra_or_changed() -> None:
    """Parallel calls in any order leave the details empty."""
    found = judged(CONTROL, calls(*((each.name, each.arguments) for each in reversed(CONTROL.tool_calls))))
    assert (found.verdict, found.details) == (Verdict.MATCH, {"missing": [], "extra": [], "changed": []})


def test_an_ignored_argument_may_hold_json_in_text() -> None:
    """Leaving an argument out comes before its text is read."""
    config = EvalConfig("t", EvalKind.TOOL_CALL, ignore=(IgnoreRule("trace", field="find.trace"),))
    pair = (
        calls(("find", {"a": '{"x": 1}', "trace": "{1"})),
        calls(("find", {"a": {"x": 1}, "trace": "{2"})),
    )
    assert compare_outputs(config, None, *pair).ignored_by == "trace"


arguments = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats()
    | st.sampled_from(["", "[1]", '{"a": "[1]"}', "{"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
tool_calls = st.lists(
    st.tuples(st.sampled_from(["find", "book"]), arguments | arguments.map(json.dumps)), max_size=4
)


@settings(max_examples=200, deadline=None)
@given(one=tool_calls, other=tool_calls)
def test_the_laws_of_every_comparator_hold_for_tool_calls(
    one: list[tuple[str, Any]], other: list[tuple[str, Any]]
) -> None:
    """Nothing raises, a call equals itself, and swapping the sides swaps missing and extra calls."""
    comparator = Comparator(TOOLS)
    first, second = calls(*one), calls(*other)
    found, back = comparator.compare(first, second), comparator.compare(second, first)
    assert found.score is None or 0 <= found.score <= 1
    json.dumps(found.details)
    assert comparator.compare(first, first).verdict in (Verdict.MATCH, Verdict.UNCOMPARABLE)
    if Verdict.UNCOMPARABLE in (found.verdict, back.verdict) or found.invalid or back.invalid:
        return
    assert (found.verdict, found.score) == (back.verdict, back.score)
    assert (found.details["missing"], found.details["extra"]) == (
        back.details["extra"],
        back.details["missing"],
    )
    assert len(found.details["changed"]) == len(back.details["changed"])
    nothing = not (found.details["missing"] or found.details["extra"] or found.details["changed"])
    assert nothing == (found.verdict is Verdict.MATCH) or not (one and other)
