"""Laws that every comparator keeps, whatever it is given."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.compare import EVALUATOR_ERROR, Comparator, Judgement, compare_outputs, custom
from workbench.compare.alignment import best_pairs, near_best_pairs
from workbench.compare.folding import text_normaliser
from workbench.compare.reading import extract_json, repair_json
from workbench.compare.values import equal_values, ratio
from workbench.field_checks import COMPARATORS
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
NEAR = (
    FieldRule("total", "money", relative=0.01, currency="EUR"),
    FieldRule("name", "fuzzy", minimum=0.8, critical=True),
    FieldRule("codes[]", "number", relative=0.1, ordered=False),
    FieldRule("items[].sku", "fuzzy", ordered=False),
    FieldRule("items[].price", "money", ordered=False, required=False),
)
CUSTOM = """
    class SameWords:
        version = "1"
        structural = True

        def __call__(self, control, observed, request):
            first, second = (set((each.text or "").split()) for each in (control, observed))
            whole = first | second
            score = len(first & second) / len(whole) if whole else 1
            return {"verdict": "match" if first == second else "mismatch", "score": score}


    class Whim:
        version = "1"

        def __call__(self, control, observed, request):
            if control == observed:
                return {"verdict": "match"}
            said = [
                {"verdict": "match", "score": 7},
                {"verdict": "mismatch", "score": float("nan")},
                {"verdict": "uncomparable", "reason": "no idea"},
                {"verdict": "perhaps"},
                None,
            ]
            return said[(len(control.text or "") + len(observed.text or "")) % 6]
"""
"""A well-behaved evaluator, and one that answers alike both ways round but mostly nonsense, or raises."""
EVALS = {
    "label": EvalConfig(
        "t", EvalKind.LABEL, labels=("billing", "Outage", "0", "-0"), aliases={"bill": "billing"}
    ),
    "wrapped label": EvalConfig(
        "t", EvalKind.LABEL, labels=("a", "b"), normalise=Normalisation(wrappers=("json", r"answer:\s*(.*)"))
    ),
    "several labels": EvalConfig(
        "t",
        EvalKind.LABEL,
        labels=("a", "b", "Outage", "0", "-0"),
        several=True,
        separators=(",", "\n", " and "),
        normalise=Normalisation(wrappers=("json", r"answer:\s*(.*)")),
    ),
    "fields": EvalConfig("t", EvalKind.FIELDS, fields=FIELDS),
    "near fields": EvalConfig("t", EvalKind.FIELDS, fields=NEAR),
    "repaired fields": EvalConfig("t", EvalKind.FIELDS, fields=FIELDS, repair=True),
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
    "ranking": EvalConfig("t", EvalKind.RANKING, options=("a", "b", "Outage", "0"), aliases={"bee": "b"}),
    "first places of a ranking": EvalConfig("t", EvalKind.RANKING, options=("a", "b", "Outage"), top=2),
    "ranking of what the request holds": EvalConfig("t", EvalKind.RANKING, options_pattern=r"^\[(\w+)\]"),
    "custom": EvalConfig("t", EvalKind.TEXT, evaluator="laws_same_words"),
    "custom beside labels": EvalConfig(
        "t", EvalKind.LABEL, labels=("a", "b", "0"), evaluator="laws_same_words"
    ),
    "custom that talks nonsense": EvalConfig("t", EvalKind.TEXT, evaluator="laws_whim"),
}
DIRECTED = {EvalKind.RANKING}
"""Kinds whose score, NDCG, takes the control for the truth: the verdict is symmetric, the score is not."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
clocks = st.builds(
    lambda mark, hour, rest, zone: f"{mark}{hour}{rest}{zone}",
    st.sampled_from("T t"),
    st.sampled_from(["00", "10", "23", "24", "25", "99"]),
    st.sampled_from([":00", ":60", ":59:59", ":59:60", ":00:00.000", ":59:60.5", ":00:61", ""]),
    st.sampled_from(["", "Z", "z", "+01:00", "-08:00", "+0060", "+25:00", "+99:99"]),
)
moments = st.builds(
    lambda day, clock: f"{day}{clock}",
    st.sampled_from(
        [
            "2024-03-04",
            "2024-3-4",
            "2016/12/31",
            "2016-12-31",
            "2016.02.30",
            "0001-01-01",
            "9999-12-31",
            "0000-00-00",
        ]
    ),
    clocks | st.just(""),
)
records = st.fixed_dictionaries(
    {},
    optional={
        "total": st.sampled_from(
            [
                1,
                1.0,
                "1,000",
                "1.000,5",
                "one",
                None,
                True,
                float("nan"),
                "€1",
                "1.00 EUR",
                "$1,000",
                "1.000 EUR",
            ]
        ),
        "when": st.sampled_from(["2024-03-13", "13/03/2024", "03/04/2024", "13 March 2024", "soon", 5])
        | moments,
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
    '{"not_x": "a"}',
    '{"label": "a"}',
    '{"topics": ["a", "b"]}',
    "answer: b",
    "answer: b, a",
    "- b\n- a",
    '["a", "b", "a"]',
    "[]",
    "[[[",
    "{'total': 1, name: 'x',",
    '{"total": 1, "items": [{"sku": "A"}], "name": oops}',
    "I'm sorry, but I can't help.",
    "",
    "0",
    "-0",
    "I paid $5 on 3 March 2024.",
    "Hello, see Anna at 3:30 pm",
    "Open until 2024-03-04T24:00, or 2024-03-04 25:10.",
    '{"when": "2016-12-31T23:59:60Z", "name": "2024-03-04T10:00:00+25:00"}',
    "a",
    "b",
    " b",
    "a, b",
    "1. b\n2. a",
    "a > b > Outage",
    "a = b",
    "b a",
    "a  b",
    "{{{{[[[",
    '{"total": NaN}',
    "\ud800\x00",
)
texts = st.one_of(
    st.text(max_size=60),
    st.sampled_from(SAID),
    moments.map(lambda moment: f"Hello, it ended {moment}."),
    records.map(json.dumps),
    records.map(lambda value: f"Sure:\n```json\n{json.dumps(value)}\n```\nDone."),
    records.map(lambda value: json.dumps(json.dumps(value))),
    st.builds(lambda value, cut: json.dumps(value)[:-cut], records, st.integers(1, 9)),
    st.lists(st.sampled_from(["a", "b", "Outage", "0", "c"]), max_size=4).map(", ".join),
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


@pytest.fixture(scope="module", autouse=True)
def evaluators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the custom evaluators as pip leaves them, and forget them afterwards."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "laws_evaluators.py").write_text(textwrap.dedent(CUSTOM))
    info = folder / "laws_evaluators-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: laws_evaluators\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[workbench.evaluators]\nlaws_same_words = laws_evaluators:SameWords\n"
        "laws_whim = laws_evaluators:Whim\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        custom.forget_loaded()
        yield
    custom.forget_loaded()
    sys.modules.pop("laws_evaluators", None)


def key(found: Judgement, kind: EvalKind) -> tuple[Any, ...]:
    score = None if kind in DIRECTED else found.score
    return found.verdict, score, found.identical, sorted(found.flags)


def without_law(evals: dict[str, EvalConfig]) -> set[str]:
    """Return which kinds of comparison no entry stands for: every `EvalKind`, and custom evaluators."""
    held = {"custom" if each.evaluator else str(each.kind) for each in evals.values()}
    return {*map(str, EvalKind), "custom"} - held


def test_every_kind_has_its_entry_in_the_laws() -> None:
    """A new kind can't be left out of the laws below; who takes one out is told which."""
    assert without_law(EVALS) == set()
    for missing in (*map(str, EvalKind), "custom"):
        rest = {
            name: each
            for name, each in EVALS.items()
            if ("custom" if each.evaluator else str(each.kind)) != missing
        }
        assert without_law(rest) == {missing}


@each_kind
def test_no_law_is_kept_for_want_of_a_case(name: str) -> None:
    """Among what the laws draw from, each kind has two different answers that agree and two that differ."""
    drawn = [Output(text) for text in SAID]
    drawn += [
        Output(tool_calls=(ToolCall("find", {"total": value}, None),)) for value in ("1", "2", 1, 1.0, None)
    ]
    agreeing = Verdict.IGNORED if EVALS[name].ignore else Verdict.MATCH
    # What answers with nonsense never agrees on two different texts.
    missing = {Verdict.MISMATCH} | ({agreeing} if EVALS[name].evaluator != "laws_whim" else set())
    for one, other in permutations(drawn, 2):
        found = compare_outputs(EVALS[name], None, one, other, similarity=0.9)
        if not found.invalid and not found.identical:
            missing.discard(found.verdict)
        if not missing:
            return
    pytest.fail(f"no two different answers end in {missing}")


@each_kind
@settings(max_examples=60, deadline=None)
@given(control=outputs, observed=outputs, similarity=similarity)
def test_no_output_makes_a_comparator_raise_and_every_score_is_a_share(
    name: str, control: Output, observed: Output, similarity: float | None
) -> None:
    """Junk of any shape gets a verdict; a score is missing or within 0..1; errors are invalid.

    Nothing fails but an evaluator of somebody else.
    """
    request = Request((), tools=({"function": {"name": "find", "parameters": {"type": "object"}}},))
    found = compare_outputs(EVALS[name], request, control, observed, similarity=similarity)
    assert EVALUATOR_ERROR not in found.flags or EVALS[name].evaluator == "laws_whim", found.reason
    assert found.score is None or 0 <= found.score <= 1
    assert (found.verdict is Verdict.IGNORED) == (found.ignored_by is not None)
    if found.invalid:
        assert found.verdict is Verdict.MISMATCH
        assert found.reason
        assert not found.score
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
    """Symmetric wherever both sides may stand as a control; a ranking's score alone knows which is which."""
    comparator = Comparator(EVALS[name])
    there = comparator.compare(first, second, None, similarity)
    back = comparator.compare(second, first, None, similarity)
    sides = {there.verdict, back.verdict}
    if Verdict.UNCOMPARABLE in sides or there.invalid or back.invalid:
        return
    kind = EVALS[name].kind
    assert key(there, kind) == key(back, kind)


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


RULES = {
    "exact": FieldRule("x"),
    "text": FieldRule("x", "text"),
    "fuzzy": FieldRule("x", "fuzzy", minimum=0.6),
    "number": FieldRule("x", "number"),
    "number within an absolute tolerance": FieldRule("x", "number", tolerance=0.5),
    "number within a relative tolerance": FieldRule("x", "number", relative=0.2),
    "money": FieldRule("x", "money"),
    "money within a tolerance": FieldRule("x", "money", tolerance=1.0, relative=0.1, currency="USD"),
    "date": FieldRule("x", "date", tolerance=1),
    "list": FieldRule("x", "list"),
    "list in any order": FieldRule("x", "list", ordered=False),
    "set": FieldRule("x", "set"),
}
numbers_written = st.builds(
    lambda sign, digits, mark, rest, unit: f"{sign}{digits}{mark}{rest}{unit}",
    st.sampled_from(["", "-", "+", "$", "($", "€ ", "USD "]),
    st.sampled_from(["1", "1234", "1,234", "1.234", "1 234", "1'234'567", "12,34,567", "0", "9" * 40]),
    st.sampled_from([".", ",", ""]),
    st.sampled_from(["", "5", "50", "500", "1e5"]),
    st.sampled_from(["", " EUR", "$", " kr", "¥", ")", " CAD", "%", "."]),
)
values = st.one_of(
    json_values,
    numbers_written,
    moments,
    texts,
    st.sampled_from(
        [2**53, 2**53 + 1, 10**30, -(10**400), 1e308, float("inf"), "\ud800", "2024-03-13", "[1, 2]"]
    ),
    st.fixed_dictionaries({"amount": json_values | numbers_written}, optional={"currency": json_values}),
)


def test_every_comparator_of_fields_has_its_law() -> None:
    """A new comparator can't be left out of the laws below."""
    assert {rule.compare for rule in RULES.values()} == set(COMPARATORS) - {"ignore"}


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=150, deadline=None)
@given(first=values, second=values)
def test_equality_of_values_is_reflexive_and_symmetric_and_never_raises(
    name: str, first: Any, second: Any
) -> None:
    """Whatever two values are, they get the same answer both ways round, and each equals itself."""
    rule, text = RULES[name], text_normaliser(Normalisation())
    assert equal_values(first, first, rule, text)
    assert equal_values(first, second, rule, text) is equal_values(second, first, rule, text)


def test_equality_of_numbers_without_a_tolerance_is_transitive() -> None:
    """Of three ways to write a number, two that equal the third equal each other, also beyond 2**53."""
    rule, text = RULES["number"], text_normaliser(Normalisation())
    written = [2**53, 2**53 + 1, float(2**53), "9007199254740993.0", "9007199254740993", "9007199254740992.3"]
    written += [10**23, 1e23, "1e23", 10**400, "1e400", "1e-400", 0, -0.0, "0.00", 0.1, "0.1"]
    written += ["0.10000000000000001", 1.5, "1,50"]
    places = range(len(written))
    equal = {(a, b): equal_values(written[a], written[b], rule, text) for a, b in product(places, repeat=2)}
    assert sum(equal.values()) > 2 * len(written)
    for a, b, c in product(places, repeat=3):
        assert equal[a, c] or not (equal[a, b] and equal[b, c]), (written[a], written[b], written[c])


@settings(max_examples=100, deadline=None)
@given(first=st.text(max_size=40), second=st.text(max_size=40))
def test_the_ratio_of_two_texts_is_a_share_and_symmetric(first: str, second: str) -> None:
    """1 for equal texts, within 0..1 for any, the same both ways round."""
    assert ratio(first, first) == 1
    assert 0 <= ratio(first, second) <= 1
    assert ratio(first, second) == ratio(second, first)


@settings(max_examples=100, deadline=None)
@given(first=st.lists(st.integers(0, 3), max_size=5), second=st.lists(st.integers(0, 3), max_size=5))
def test_lists_without_order_are_paired_alike_both_ways_round(first: list[int], second: list[int]) -> None:
    """Every item has one partner at most, as many are equal as can be, and swapping changes nothing."""

    def equal_parts(a: int, b: int) -> list[bool]:
        return [a == b, a % 2 == b % 2]

    for there, back in (
        (best_pairs(first, second, equal_parts, None), best_pairs(second, first, equal_parts, None)),
        (
            near_best_pairs(first, second, hash, equal_parts, None),
            near_best_pairs(second, first, hash, equal_parts, None),
        ),
    ):
        assert sorted(map(repr, there)) == sorted(repr((a, b)) for b, a in back)
        assert sorted(a for a, _ in there if a is not None) == sorted(first)
        assert sorted(b for _, b in there if b is not None) == sorted(second)
        assert sum(a == b for a, b in there) == sum(min(first.count(x), second.count(x)) for x in range(4))


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(texts, st.text(alphabet="{}[]\",:\\ a1\n`/*'", max_size=80)))
def test_mending_json_never_raises_and_gives_what_was_wanted(text: str) -> None:
    """An object with content, or nothing."""
    good, value = repair_json(text)
    assert (isinstance(value, dict) and bool(value)) if good else value is None
    extract_json(text, (dict, list))


@pytest.mark.parametrize(
    "text", ["{" * 20_000, "[" * 20_000, '{"a":' * 20_000, '{"' * 20_000, '{"a": "' + "\\" * 40_001]
)
def test_mending_hostile_text_is_given_up_rather_than_waited_for(text: str) -> None:
    """What opens without end is unreadable at once."""
    assert repair_json(text) in ((False, None), (True, {"a": "\\"}))
