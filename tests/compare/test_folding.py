"""What normalisation folds, and what it never joins: a structural match moves traffic unseen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.compare import compare_outputs
from workbench.compare.folding import fold_unicode, name_normaliser, text_normaliser
from workbench.records import EvalKind, Output, Verdict
from workbench.specs import EvalConfig, FieldRule, Normalisation

APART = [
    ("10² kg", "102 kg"),
    ("x²", "x2"),
    ("H₂O₃", "H203"),
    ("20 ㎡", "20 m2"),
    ("1½", "11/2"),
    ("1½", "11⁄2"),
    ("10①", "101"),
    ("1⒈", "11."),
    ("(5)", "5"),
    ("[5]", "5"),
    ("!active", "active"),
    ("5'", '5"'),
    ("[]", "{}"),
    ('""', "."),
    ("", "."),
    ("...", "."),
    ("Yes?", "Yes."),
    ("Is it paid?", "Is it paid."),
    ("Is it paid?", "Is it paid"),
    (",5", "5"),
    (".5", "5"),
    ("5.", "5"),
    ("5!", "5"),
    ("sort!", "sort"),
    ('"New York"', "New York"),
    ("No, stop", "No stop"),
    ("12, 5", "12 5"),
    ("The rest...", "The rest"),
]


@pytest.mark.parametrize(("one", "other"), APART)
@pytest.mark.parametrize("compare", ["text", "list", "set", "implied", "turn without tools", "text kind"])
def test_values_that_may_mean_different_things_are_never_joined(one: str, other: str, compare: str) -> None:
    """Under the default normalisation, wherever texts are compared as equal."""
    rule = FieldRule("x", compare if compare in ("text", "list", "set") else "text")
    config = EvalConfig("t", EvalKind.FIELDS, fields=(rule,))
    sides: list[Any] = [{"x": each} for each in (one, other)]
    if compare in ("list", "set"):
        sides = [{"x": [each]} for each in (one, other)]
    if compare == "implied":
        config = EvalConfig("t", EvalKind.FIELDS, schema={"properties": {"x": {"type": "string"}}})
    outputs = [Output(json.dumps(each)) for each in sides]
    if compare in ("turn without tools", "text kind"):
        kind = EvalKind.TEXT if compare == "text kind" else EvalKind.TOOL_CALL
        config = EvalConfig("t", kind)
        outputs = [Output(f"{each} it is") for each in (one, other)]
    assert compare_outputs(config, None, *outputs).verdict is Verdict.MISMATCH
    assert compare_outputs(config, None, *outputs[::-1]).verdict is Verdict.MISMATCH


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes.", "yes"),
        ("See you at noon.", "see you  at NOON"),
        ("That makes 5.", "That makes 5"),
        ("Stop right there!", "Stop right there."),
        ("He said “no”.", 'He said "no"'),
        ("ｂｉｌｌｉｎｇ", "billing"),
        ("ﬁne", "fine"),
        ("５ kg", "5 kg"),
        ("好的。", "好的"),
    ],
)
def test_the_mark_that_ends_a_sentence_and_ways_to_write_a_letter_are_folded(one: str, other: str) -> None:
    """They carry no meaning, so a text with and without them is the same."""
    text = text_normaliser(Normalisation())
    assert text(one) == text(other)


@pytest.mark.parametrize(
    ("compare", "one", "other"),
    [
        ("number", "(5) kg", "5 kg"),
        ("number", "5 mW", "5 MW"),
        ("number", "1,234", 1234),
        ("number", "1,234", "1.234"),
        ("number", "0,500", 500),
        ("number", "0,500", "500"),
        ("number", "0.500.000", 500000),
        ("number", "10²", "102"),
        ("money", "(100) points", "100 points"),
        ("money", "100 points.", "100 points"),
        ("date", "(3 March)", "3 March"),
        ("date", "3.", "3"),
    ],
)
def test_what_can_not_be_read_as_a_number_or_a_day_is_compared_with_its_marks(
    compare: str, one: Any, other: Any
) -> None:
    """A number that could be two is none, as an amount of money is: it equals its own words alone."""
    config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("x", compare),))
    first, second = (Output(json.dumps({"x": each})) for each in (one, other))
    assert compare_outputs(config, None, first, second).verdict is Verdict.MISMATCH
    assert compare_outputs(config, None, first, first).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0,500", 0.5),
        ("1,234.0", 1234),
        ("1,234,567", 1234567),
        ("1.234", 1.234),
        ("1,5", 1.5),
        ("n/a", "N/A"),
    ],
)
def test_a_number_that_can_be_read_in_one_way_only_is_that_number(one: Any, other: Any) -> None:
    """Groups of three behind a zero are none; what JSON itself would read is what it is there."""
    config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("x", "number"),))
    sides = [Output(json.dumps({"x": each})) for each in (one, other)]
    assert compare_outputs(config, None, *sides).verdict is Verdict.MATCH


LABELS = EvalConfig("t", EvalKind.LABEL, labels=("yes", "no", "active", "B", "C++", "5"))


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("Yes.", "yes"),
        ("yes!", "yes"),
        ("“YES”", "yes"),
        ("**yes**.", "yes"),
        ('**"yes"**.', "yes"),
        ("(B)", "B"),
        ("[b].", "B"),
        ("`C++`.", "C++"),
        (": no", "no"),
        ("5.", "5"),
    ],
)
def test_a_label_may_be_wrapped_and_end_as_a_sentence_does(answer: str, label: str) -> None:
    """It comes out of a closed set, so marks around it can't turn it into another value."""
    found = compare_outputs(LABELS, None, Output(label), Output(answer))
    assert (found.verdict, found.candidate_group) == (Verdict.MATCH, label)


@pytest.mark.parametrize("answer", ["Yes?", "!active", ",5", "5'", "-5", "5²", "(yes", "yes or no", "¿yes"])
def test_a_label_that_its_marks_turn_into_another_word_is_no_label(answer: str) -> None:
    """A negated label, one in doubt and half a bracket are no answer out of the set."""
    assert compare_outputs(LABELS, None, Output("yes"), Output(answer)).invalid


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=30))
def test_folding_leaves_no_text_empty(text: str) -> None:
    """Of a text that holds more than white space something stays, so it never equals an empty one."""
    assert bool(text_normaliser(Normalisation())(text)) == bool(fold_unicode(text).strip())
    assert len(name_normaliser(Normalisation())(text)) <= len(fold_unicode(text).casefold())
