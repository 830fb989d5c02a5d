"""Differences that an eval ignores: named by the rules that were needed, wherever a field stands."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.compare import Judgement, by_rule, compare_outputs
from workbench.records import EvalKind, Output, Verdict
from workbench.specs import EvalConfig, FieldRule, IgnoreRule

LETTERS = ("b", "c", "d")
FIELDS = EvalConfig(
    "t",
    EvalKind.FIELDS,
    fields=tuple(FieldRule(each) for each in ("a", *LETTERS)),
    ignore=tuple(IgnoreRule(f"no {each}", field=each) for each in LETTERS),
)
PATTERNS = EvalConfig(
    "t", EvalKind.TEXT, ignore=tuple(IgnoreRule(f"no {each}", pattern=f"{each}\\d") for each in LETTERS)
)


def judged(config: EvalConfig, control: Any, candidate: Any) -> Judgement:
    sides = [each if isinstance(each, str) else json.dumps(each) for each in (control, candidate)]
    return compare_outputs(config, None, Output(sides[0]), Output(sides[1]), similarity=0.1)


@pytest.mark.parametrize("differing", [each for n in (1, 2, 3) for each in combinations(LETTERS, n)])
def test_only_the_rules_that_were_needed_are_named(differing: tuple[str, ...]) -> None:
    """Of three rules those are named without which the pair would differ, for fields and for patterns."""
    control = dict.fromkeys(("a", *LETTERS), 1)
    names = " + ".join(f"no {each}" for each in differing)
    found = judged(FIELDS, control, control | dict.fromkeys(differing, 2))
    assert (found.verdict, found.ignored_by) == (Verdict.IGNORED, names)
    texts = [
        " ".join(f"{key}{n}" for key, n in each.items())
        for each in (control, control | dict.fromkeys(differing, 2))
    ]
    found = judged(PATTERNS, *texts)
    assert (found.verdict, found.ignored_by) == (Verdict.IGNORED, names)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=4, max_size=4))
def test_a_named_rule_is_never_one_too_many(values: list[tuple[int, int]]) -> None:
    """Without any one of the rules named, and with the others, the pair differs."""
    control, candidate = (dict(zip(("a", *LETTERS), side, strict=True)) for side in zip(*values, strict=True))
    found = judged(FIELDS, control, candidate)
    if found.verdict is not Verdict.IGNORED:
        return
    assert found.ignored_by is not None
    named = [rule for rule in FIELDS.ignore if rule.name in found.ignored_by.split(" + ")]
    for left_out in named:
        fewer = tuple(each for each in named if each is not left_out)
        config = EvalConfig("t", EvalKind.FIELDS, fields=FIELDS.fields, ignore=fewer)
        assert judged(config, control, candidate).verdict is Verdict.MISMATCH


SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": "string"},
        "trace": {"type": "string"},
        "who": {"type": "object", "properties": {"name": {"type": "string"}, "id": {"type": "string"}}},
        "lines": {
            "type": "array",
            "items": {"type": "object", "properties": {"n": {"type": "number"}, "at": {}}},
        },
    },
    "oneOf": [{"properties": {"kind": {"const": "x"}, "note": {"type": "object"}}}],
}
WHOLE = {
    "a": "1",
    "trace": "1",
    "who": {"name": "1", "id": "1"},
    "lines": [{"n": 1, "at": 1}],
    "kind": "x",
    "note": {"deep": 1},
}


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("trace", {"trace": "2"}),
        ("who.id", {"who": {"name": "1", "id": "2"}}),
        ("who", {"who": {"name": "2", "id": "2"}}),
        ("lines[].at", {"lines": [{"n": 1, "at": 2}]}),
        ("lines", {"lines": []}),
        ("note", {"note": {"deep": 2}}),
    ],
)
def test_a_field_is_ignored_under_a_schema_alone_too(field: str, change: dict[str, Any]) -> None:
    """Also a whole object, a part of list items, and what no rule of the schema looks at."""
    config = EvalConfig("t", EvalKind.FIELDS, schema=SCHEMA, ignore=(IgnoreRule("noise", field=field),))
    found = judged(config, WHOLE, WHOLE | change)
    assert (found.verdict, found.ignored_by) == (Verdict.IGNORED, "noise")
    assert judged(config, WHOLE, WHOLE | change | {"a": "2"}).verdict is Verdict.MISMATCH
    without = EvalConfig("t", EvalKind.FIELDS, schema=SCHEMA)
    assert judged(without, WHOLE, WHOLE | change).verdict is Verdict.MISMATCH


def test_a_field_of_a_schema_without_rules_can_be_ignored() -> None:
    """Where the schema names nothing but branches, the rest of the answer still counts."""
    schema = {"anyOf": [{"properties": {"x": {"type": "string"}, "y": {"type": "string"}}}]}
    config = EvalConfig("t", EvalKind.FIELDS, schema=schema, ignore=(IgnoreRule("noise", field="x"),))
    assert judged(config, {"x": "1", "y": "1"}, {"x": "2", "y": "1"}).ignored_by == "noise"
    assert judged(config, {"x": "1", "y": "1"}, {"x": "2", "y": "2"}).verdict is Verdict.MISMATCH


def test_pairs_are_counted_for_every_rule_they_needed() -> None:
    """A pair that needed two counts for both; the commonest rule comes first."""
    assert by_rule({"b": 1, "a + b": 2, "c": 1}) == {"b": 3, "a": 2, "c": 1}


def items(**rules: bool) -> EvalConfig:
    fields = tuple(FieldRule(f"items[].{name}", ordered=ordered) for name, ordered in rules.items())
    return EvalConfig("t", EvalKind.FIELDS, fields=fields)


def test_one_rule_alone_takes_the_order_from_no_other() -> None:
    """Items are in no order only where every rule on them says so; a list's own order is its own."""
    control = {"items": [{"sku": "A", "n": 1}, {"sku": "B", "n": 2}]}
    turned = {"items": control["items"][::-1]}
    assert judged(items(sku=False, n=False), control, turned).verdict is Verdict.MATCH
    assert judged(items(sku=False, n=True), control, turned).verdict is Verdict.MISMATCH
    tags = FieldRule("items[].tags", "list")
    config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("items[].sku", ordered=False), tags))
    one = {"items": [{"sku": "A", "tags": [1, 2]}, {"sku": "B", "tags": [3]}]}
    assert judged(config, one, {"items": one["items"][::-1]}).verdict is Verdict.MATCH
    other = {"items": [{"sku": "B", "tags": [3]}, {"sku": "A", "tags": [2, 1]}]}
    assert judged(config, one, other).verdict is Verdict.MISMATCH
