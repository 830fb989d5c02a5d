"""The shape of answers, and the eval that is drafted from it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.compare.schema import schema_problem
from workbench.config import convert
from workbench.eval_checks import check_eval
from workbench.records import EvalKind, ToolCall
from workbench.specs import EvalConfig, MatchRule
from workbench.traffic.drafts import append_rules, draft_eval
from workbench.traffic.shapes import Answer, Shape, ShapeKind, field_paths, infer_schema, label_set, shape_of

PATH = Path("evals/x/eval.toml")
RULE = MatchRule(input=r"\ASort\s+it's\b", attributes={"tenant": "a"})


def loaded(text: str) -> EvalConfig:
    config = convert(tomllib.loads(text), EvalConfig, str(PATH))
    check_eval(config, PATH)
    return config


def shaped(texts: list[str], **keys: object) -> Shape:
    counts = {text: texts.count(text) for text in texts}
    return shape_of([Answer(each, **keys) for each in texts], counts, len(texts), len(counts))  # type: ignore[arg-type]


def test_few_short_answers_are_labels_in_their_usual_spelling() -> None:
    """Case and a full stop make no other label; what was said once is none."""
    found = shaped(["Billing"] * 60 + ["billing."] * 5 + ["outage"] * 34 + ["I can't say, sorry"])
    assert found.kind is ShapeKind.LABELS
    assert found.labels == {"Billing": 65, "outage": 34}
    assert found.coverage == pytest.approx(0.99)


def test_many_different_short_answers_are_no_labels() -> None:
    """A set of answers that is never closed can't be a list of labels."""
    assert label_set({f"answer {number}": 2 for number in range(300)}, 600) == {}
    assert shaped([f"name {number}" for number in range(100)]).kind is ShapeKind.SHORT


def test_an_estimate_of_different_answers_never_passes_the_answers() -> None:
    """The store counts them roughly; 509 different ones among 500 answers would be nonsense."""
    texts = [Answer(f"a thing called {number}") for number in range(20)]
    assert shape_of(texts, {}, 500, 509).distinct == 500
    assert shape_of(texts, {}, 500, 480).distinct == 480
    assert shape_of(texts, {}, 500).distinct is None


def test_json_answers_have_a_schema_that_all_of_them_fit() -> None:
    """Types, what is always there, and few values are found."""
    objects = [
        {"sku": f"A-{n}", "count": n, "size": "LS"[n % 2], "note": ("x", None, None)[n % 3]}
        for n in range(60)
    ]
    del objects[7]["note"]
    found = shaped([json.dumps(each) for each in objects])
    assert found.kind is ShapeKind.JSON
    assert found.schema is not None
    assert found.schema["properties"]["size"]["enum"] == ["L", "S"]
    assert set(found.schema["required"]) == {"sku", "count", "size", "note"}
    assert not any(schema_problem(each, found.schema) for number, each in enumerate(objects) if number != 7)


def test_tool_calls_long_and_rewritten_texts_are_told_apart() -> None:
    """Each shape names the eval that fits."""
    called = shape_of([Answer(None, (ToolCall("refund", {}),))] * 30, {}, 30)
    assert (called.kind, called.eval_kind) == (ShapeKind.TOOLS, EvalKind.TOOL_CALL)
    long = [" ".join([str(number)] * 900) for number in range(30)]
    assert shaped(long, tokens=900).kind is ShapeKind.LONG
    near = [f"Dear customer, parcel {number} is late." for number in range(30)]
    assert shaped(near, tokens=9, overlap=0.8).kind is ShapeKind.REWRITE
    assert shape_of([], {}, 0).kind is ShapeKind.NONE


KEYS = st.text(min_size=1, max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
ANSWERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
OBJECTS = st.lists(st.dictionaries(KEYS, JSON, max_size=4), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(OBJECTS)
def test_a_draft_of_any_json_loads(objects: list[dict[str, object]]) -> None:
    """Whatever keys a log holds, the workspace takes the draft."""
    schema = infer_schema(objects)
    shape = Shape(ShapeKind.JSON, 1.0, len(objects), schema=schema)
    if field_paths(schema):
        assert loaded(draft_eval("x", shape, [RULE])).kind is EvalKind.FIELDS


def test_a_draft_says_which_keys_it_could_not_name() -> None:
    """A path can't tell a dot in a key from one between keys; what is left out is said in the file."""
    schema = infer_schema([{"a.b": 1, "total": 2, "lines": [{"x[0]": 1, "sku": "s"}]}] * 30)
    text = draft_eval("x", Shape(ShapeKind.JSON, 1.0, 30, schema=schema), [RULE])
    assert [each.path for each in loaded(text).fields] == ["total", "lines[].sku"]
    assert "can't be a field" in text
    plain = infer_schema([{"total": 2}] * 30)
    assert "can't be a field" not in draft_eval("x", Shape(ShapeKind.JSON, 1.0, 30, schema=plain), [RULE])


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(ANSWERS, st.integers(20, 99), max_size=8))
def test_a_draft_of_any_labels_loads(answers: dict[str, int]) -> None:
    """Quotes, line ends and signs of TOML in an answer stay an answer."""
    shape = shape_of([Answer(text) for text in answers], answers, sum(answers.values()))
    config = loaded(
        draft_eval("x", shape, [RULE, MatchRule(system_prompt="b")], languages={"en": 9, "de": 9})
    )
    if shape.kind is ShapeKind.LABELS:
        assert set(config.labels) == set(shape.labels)
    assert config.match_any == (RULE, MatchRule(system_prompt="b"))
    assert config.slices[0].by == "language"


@pytest.mark.parametrize(
    "rules",
    [
        "",
        "[match]\ninput = 'a' # ours\n",
        "[[match_any]]\ninput = 'a' # ours\n",
        "match_any = [{ input = 'a' }] # ours\n",
    ],
)
def test_further_rules_keep_a_file_as_it_is(rules: str) -> None:
    """Comments and rules that stand there stay; the same rule twice is one."""
    before = f"# made by hand\ntask = 'x' # the name\nkind = 'text'\n{rules}"
    text = append_rules(before, [RULE, MatchRule(input="a")] if rules else [RULE])
    assert "# made by hand" in text
    assert "# the name" in text
    assert ("# ours" in text) == bool(rules)
    config = loaded(text)
    assert config.rules == ((MatchRule(input="a"), RULE) if rules else (RULE,))
    assert append_rules(text, [RULE]) == text
