"""Comparators of single fields: money, near texts, relative tolerances; and JSON that has to be mended."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from typing import Any

import pytest

from workbench.compare import Judgement, basis, compare_outputs, evaluator_version
from workbench.compare.fields import JSON_REPAIRED
from workbench.compare.money import as_money
from workbench.compare.reading import repairer_version
from workbench.errors import ModelMissing
from workbench.records import Basis, EvalKind, Output, ToolCall, Verdict
from workbench.specs import EvalConfig, FieldRule


def same(rule: FieldRule, control: Any, candidate: Any) -> bool:
    """Say whether a field of two answers agrees under its rule."""
    config = EvalConfig("t", EvalKind.FIELDS, fields=(rule,))
    sides = [Output(json.dumps({"x": value})) for value in (control, candidate)]
    return compare_outputs(config, None, *sides).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("written", "amount", "currency"),
    [
        ("$1,234.50", "1234.5", "USD"),
        ("1234.5 USD", "1234.5", "USD"),
        ("USD 1 234.50", "1234.5", "USD"),
        ("1.234,50 €", "1234.5", "EUR"),
        ("€1,234.50", "1234.5", "EUR"),
        ("CHF 1'234.50", "1234.5", "CHF"),
        ("1.234.567,89 eur", "1234567.89", "EUR"),
        ("₹1,23,456.50", "123456.5", "INR"),
        ("$1,234", "1234", "USD"),
        ("£1.234", "1.234", "GBP"),
        ("0.125 EUR", "0.125", "EUR"),
        ("-$5", "-5", "USD"),
        ("($5.00)", "-5", "USD"),
        ("$5 CAD", "5", "CAD"),
        ("US$5", "5", "USD"),
        ("5 US dollars.", "5", "USD"),
        ("12.50", "12.5", None),
        (12.5, "12.5", None),
        ({"amount": 1234.5, "currency": "usd"}, "1234.5", "USD"),
        ({"value": "1.234,5", "currency": "€"}, "1234.5", "EUR"),
        ("9" * 40 + " USD", None, None),
        ("1,234 EUR", None, None),
        ("1.234 EUR", None, None),
        ("1,234", None, None),
        ("€5 USD", None, None),
        ("$1.2k", None, None),
        ("5 to 6 USD", None, None),
        ("1,2,3 USD", None, None),
        ({"amount": "$5", "currency": "EUR"}, None, None),
        (True, None, None),
        ("free", None, None),
    ],
)
def test_money_is_read_in_the_ways_people_write_it(
    written: Any, amount: str | None, currency: str | None
) -> None:
    """Signs, codes and separators of many places; what could be two amounts is none."""
    found = as_money(written)
    if amount is None:
        assert found is None
    else:
        assert found is not None
        assert (found.amount, found.currency) == (Decimal(amount), currency)


def test_amounts_are_equal_in_one_currency_only() -> None:
    """$1,234.50 is 1234.5 USD, and neither euros nor an amount of nothing."""
    money = FieldRule("x", "money")
    assert same(money, "$1,234.50", "1234.5 USD")
    assert same(money, "1.234,50 €", {"amount": 1234.5, "currency": "EUR"})
    assert not same(money, "$5", "€5")
    assert not same(money, "$5", "5")
    assert not same(money, "$5", "$5.01")
    assert not same(money, "¥5", "5 JPY"), "¥ may be yen or yuan"
    assert same(FieldRule("x", "money", currency="USD"), "$5", 5)


def test_an_ambiguous_amount_equals_only_the_same_words() -> None:
    """1.234 EUR may be 1234 euros or one and a bit: it is neither."""
    money = FieldRule("x", "money")
    for other in ("1234 EUR", "1,234 EUR", "1.23 EUR", "1.234,00 EUR"):
        assert not same(money, "1.234 EUR", other)
    assert same(money, "1.234 EUR", "1.234 eur")


def test_money_may_have_tolerances() -> None:
    """Absolute in the currency's own unit, or a share of the larger amount."""
    assert same(FieldRule("x", "money", tolerance=0.01), "$1.00", "$1.01")
    assert not same(FieldRule("x", "money", tolerance=0.01), "$1.00", "$1.02")
    assert same(FieldRule("x", "money", relative=0.01), "$100", "$101")
    assert not same(FieldRule("x", "money", relative=0.01), "$100", "$102")


def test_a_relative_tolerance_is_a_share_of_the_larger_number() -> None:
    """1 % of 1,000 is 10; the larger of both tolerances holds."""
    rule = FieldRule("x", "number", relative=0.01)
    assert same(rule, 990, 1000)
    assert same(rule, "1,000", -1000) is False
    assert not same(rule, 989, 1000)
    assert not same(rule, 0, 0.001)
    assert same(FieldRule("x", "number", tolerance=0.5, relative=0.01), 0, 0.5)


def test_long_whole_numbers_are_compared_digit_by_digit() -> None:
    """An account number that differs in its last digit differs, though floating point can't tell."""
    number = FieldRule("x", "number")
    assert not same(number, 2**53, 2**53 + 1)
    assert not same(number, float(2**53), 2**53 + 1)
    assert same(number, float(2**53), 2**53)
    assert not same(number, "9007199254740993.0", float(2**53))
    assert not same(number, "90071992547409921", "90071992547409922")
    assert same(number, 2**60, str(2**60))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2024-03-04T24:00", "2024-03-05"),
        ("2024-12-31 24:00:00.000", "2025-01-01"),
        ("2024-03-04T24:00:00+02:00", "2024-03-04T22:00:00Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("1990-12-31T15:59:60-08:00", "1991-01-01T00:00:00Z"),
        ("2016-12-31t23:59:60.5z", "2017-01-01T00:00:00.5Z"),
    ],
)
def test_midnight_ends_a_day_and_a_leap_second_is_the_one_behind_it(written: str, meant: str) -> None:
    """24:00 is the next day's 00:00; a leap second, at the end of a month in UTC, is the second after it."""
    assert same(FieldRule("x", "date"), written, meant)


@pytest.mark.parametrize(
    "written",
    [
        "2024-03-04 25:10",
        "2024-03-04T24:01",
        "2024-03-04T24:00:01Z",
        "2024-03-04T10:61",
        "2024-03-04T10:00:60Z",
        "2016-12-31T23:59:60+01:00",
        "2024-03-04T10:00:00+25:00",
        "9999-12-31T24:00",
    ],
)
def test_a_clock_that_no_day_has_makes_no_date(written: str) -> None:
    """Such a text equals itself alone, not its day, and a text that names it can be compared, too."""
    rule = FieldRule("x", "date", tolerance=1)
    assert same(rule, written, written)
    assert not same(rule, written, written[:10])
    found = judged(EvalConfig("t", EvalKind.TEXT), f"It ended {written}.", f"It ended {written[:10]}.")
    assert "dates" in found.flags


def test_near_texts_are_equal_from_the_declared_ratio_on() -> None:
    """One letter in ten is a ratio of .9; case and space go as declared; other values have to be equal."""
    near = FieldRule("x", "fuzzy", minimum=0.9)
    assert same(near, "Jonathan Smith", "jonathan  smyth")
    assert not same(near, "Jonathan Smith", "Joan Smithers")
    assert not same(near, "", "x")
    assert same(near, 5, 5.0)
    assert not same(near, 5, "5")
    assert not same(FieldRule("x", "fuzzy", minimum=1.0), "smith", "smyth")
    long = "word " * 10_000
    assert not same(near, long, long + "x"), "too long for a ratio"


def test_a_field_compared_by_nearness_makes_the_task_semantic() -> None:
    """Near is not equal: agreement proves nothing until people look."""
    exact, near = FieldRule("a"), FieldRule("b", "fuzzy")
    assert basis(EvalConfig("t", EvalKind.FIELDS, fields=(exact,))) is Basis.STRUCTURAL
    assert basis(EvalConfig("t", EvalKind.FIELDS, fields=(exact, near))) is Basis.SEMANTIC


def test_near_items_of_lists_without_order_find_their_partners() -> None:
    """The best assignment pairs items whose names are near, whatever their order."""
    config = EvalConfig(
        "t",
        EvalKind.FIELDS,
        fields=(
            FieldRule("people[].name", "fuzzy", minimum=0.8, ordered=False),
            FieldRule("people[].paid", "money", ordered=False),
        ),
    )
    control = [{"name": "Ada Lovelace", "paid": "$1"}, {"name": "Alan Turing", "paid": "$2"}]
    candidate = [{"name": "Allan Turing", "paid": "2 USD"}, {"name": "Ada Lovelace", "paid": "1 USD"}]
    sides = [Output(json.dumps({"people": each})) for each in (control, candidate)]
    assert compare_outputs(config, None, *sides).verdict is Verdict.MATCH


def test_long_lists_without_order_are_compared_item_by_item_too() -> None:
    """Of a thousand items in another order, equal ones find each other, and the few others their best."""
    config = EvalConfig(
        "t",
        EvalKind.FIELDS,
        fields=(FieldRule("items[].sku", ordered=False), FieldRule("items[].n", "number", ordered=False)),
    )
    items = [{"sku": f"s{number}", "n": number} for number in range(1_000)]
    turned = items[::-1]
    turned[::25] = [each | {"n": str(each["n"])} for each in turned[::25]]
    sides = [Output(json.dumps({"items": each})) for each in (items, turned)]
    assert compare_outputs(config, None, *sides).verdict is Verdict.MATCH
    turned[0] = turned[0] | {"n": -1}
    found = compare_outputs(config, None, sides[0], Output(json.dumps({"items": turned})))
    assert [each["path"] for each in found.details["fields"] if not each["equal"]] == ["items[].n"]


ORDER = (FieldRule("total", "number"), FieldRule("name", required=False))
STRICT = EvalConfig("t", EvalKind.FIELDS, fields=ORDER)
MENDING = EvalConfig("t", EvalKind.FIELDS, fields=ORDER, repair=True)


def judged(config: EvalConfig, control: str, candidate: str) -> Judgement:
    return compare_outputs(config, None, Output(control), Output(candidate))


@pytest.mark.parametrize(
    "broken",
    [
        '{"total": 5, "name": "Ada",}',
        "{'total': 5, 'name': 'Ada'}",
        '{total: 5, name: "Ada"}',
        '{"total": 5, "name": "Ada"',
        'Here you are:\n```json\n{"total": 5, "name": "Ada",\n```\nAnything else?',
        '{"total": 5 // five\n, "name": "Ada"}',
    ],
)
def test_json_is_mended_only_where_the_eval_says_so_and_then_it_is_counted(broken: str) -> None:
    """Broken JSON is invalid, or mended and flagged, with the side that needed it."""
    good = '{"total": 5, "name": "Ada"}'
    assert judged(STRICT, good, broken).invalid
    assert judged(STRICT, broken, good).verdict is Verdict.UNCOMPARABLE
    found = judged(MENDING, good, broken)
    assert (found.verdict, found.flags) == (Verdict.MATCH, (JSON_REPAIRED,))
    assert found.details["repaired"] == ["candidate"]
    assert judged(MENDING, broken, good).details["repaired"] == ["control"]
    assert judged(MENDING, good, good).flags == ()


def test_mending_invents_no_answer() -> None:
    """Prose, an empty object and a bracket alone are no JSON; a value that was cut off differs."""
    good = '{"total": 54, "name": "Ada"}'
    for answer in ("I can't tell {yet}", "{", "{,}", "no JSON at all"):
        assert judged(MENDING, good, answer).invalid, answer
    assert judged(MENDING, good, '{"total": 5').verdict is Verdict.MISMATCH


def test_the_arguments_of_a_lone_tool_call_are_mended_too() -> None:
    """Some models return structured answers as a tool call, and break them there."""
    called = Output(tool_calls=(ToolCall("answer", '{"total": 5, "name": "Ada",}'),))
    found = compare_outputs(MENDING, None, Output('{"total": 5, "name": "Ada"}'), called)
    assert (found.verdict, found.flags) == (Verdict.MATCH, (JSON_REPAIRED,))
    assert compare_outputs(STRICT, None, Output('{"total": 5}'), called).invalid


def test_an_object_inside_a_broken_one_is_not_the_answer() -> None:
    """Half an order whose customer can be read is unreadable, not a customer."""
    broken = '{"total": 5, "customer": {"name": "Ada"}, "note": oops}'
    assert judged(STRICT, '{"name": "Ada"}', broken).invalid
    assert judged(STRICT, broken, '{"name": "Ada"}').verdict is Verdict.UNCOMPARABLE
    after = 'Not {"total": } but {"total": 5}'
    assert judged(STRICT, '{"total": 5}', after).verdict is Verdict.MATCH


def test_mending_is_part_of_the_evaluator_with_the_version_of_what_mends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another json-repair may mend otherwise: its verdicts never mix with those of this one."""
    assert repairer_version()
    before = evaluator_version(MENDING)
    assert before != evaluator_version(STRICT)
    monkeypatch.setattr("workbench.compare.repairer_version", lambda: "99.0")
    assert evaluator_version(MENDING) != before


def test_mending_without_the_package_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is judged as unreadable because a package is missing."""
    monkeypatch.setitem(sys.modules, "json_repair", None)
    assert judged(MENDING, '{"total": 5}', '{"total": 5}').verdict is Verdict.MATCH
    with pytest.raises(ModelMissing, match="json-repair") as caught:
        judged(MENDING, '{"total": 5}', '{"total": 5,')
    assert "shadow-workbench[repair]" in caught.value.hint


def test_whatever_the_mender_raises_the_answer_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in it is no crash of a comparison."""
    import json_repair

    def fails(*_: Any, **__: Any) -> Any:
        raise IndexError("a bug")

    monkeypatch.setattr(json_repair, "repair_json", fails)
    assert judged(MENDING, '{"total": 5}', '{"total": 5,').invalid


BRANCHES = {
    "type": "object",
    "properties": {
        "kind": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    },
    "oneOf": [
        {"properties": {"kind": {"const": "refund"}, "amount": {"type": "number"}}},
        {"properties": {"kind": {"const": "none"}}},
    ],
}


@pytest.mark.parametrize(
    ("control", "candidate", "where"),
    [
        ('{"kind": "refund", "amount": 5}', '{"kind": "refund", "amount": 5000}', "amount"),
        ('{"kind": "refund", "amount": 5}', '{"kind": "refund"}', "amount"),
        ('{"kind": "none", "note": {"a": [1]}}', '{"kind": "none", "note": {"a": [2]}}', "note"),
        ('{"lines": [{"sku": "a", "n": 1}]}', '{"lines": [{"sku": "a", "n": 2}]}', "lines[0].n"),
        (
            '{"lines": [{"sku": "a"}], "a.b": 1, "a": {"b": 2}}',
            '{"lines": [{"sku": "a"}], "a.b": 2, "a": {"b": 1}}',
            "a.b",
        ),
    ],
)
def test_under_a_schema_alone_what_its_rules_do_not_name_must_be_equal_too(
    control: str, candidate: str, where: str
) -> None:
    """Branches, keys without a name and those inside lists: agreement would prove nothing otherwise."""
    config = EvalConfig("t", EvalKind.FIELDS, schema=BRANCHES)
    found = judged(config, control, candidate)
    assert found.verdict is Verdict.MISMATCH
    assert where in found.details["beside_rules"]
    assert where in found.reason
    assert found.score < 1
    same = judged(config, control, control.replace("{", "{ "))
    assert (same.verdict, same.score) == (Verdict.MATCH, 1.0)
    # Whoever declares fields says what counts; and what an older version said is compared anew.
    declared = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("kind", "text"),), schema=BRANCHES)
    expected = Verdict.MATCH if '"kind"' in control else Verdict.UNCOMPARABLE
    assert judged(declared, control, candidate).verdict is expected
    assert judged(config, control, candidate.replace("5000", "5.0")).verdict is (
        Verdict.MATCH if "5000" in candidate else Verdict.MISMATCH
    )


def test_null_is_as_good_as_nothing_beside_the_rules() -> None:
    """As it is for an optional field that a rule looks at."""
    config = EvalConfig("t", EvalKind.FIELDS, schema=BRANCHES)
    assert judged(config, '{"kind": "none", "amount": null}', '{"kind": "none"}').verdict is Verdict.MATCH


def test_what_breaks_the_schema_is_kept_apart_from_what_differs() -> None:
    """The details say that a schema is broken, also where the control broke it and the two agree."""
    schema = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
    config = EvalConfig("t", EvalKind.FIELDS, fields=ORDER, schema=schema)
    found = judged(config, '{"total": "5"}', '{"total": "5"}')
    assert (found.verdict, found.details["schema_problem"]) == (
        Verdict.MATCH,
        "total is not of type number",
    )
    assert "schema_problem" not in judged(config, '{"total": 5}', '{"total": 6}').details


@pytest.mark.parametrize(
    ("control", "candidate", "verdict"),
    [
        ({"other": 1}, {"other": 2}, Verdict.UNCOMPARABLE),
        ({"noise": 1}, {"noise": 2}, Verdict.UNCOMPARABLE),
        ({}, {"other": 2}, Verdict.UNCOMPARABLE),
        ({}, {}, Verdict.MATCH),
        ({"other": 1, "noise": 2}, {"noise": 2, "other": 1.0}, Verdict.MATCH),
        ({"x": None, "other": 1}, {"other": 2}, Verdict.MATCH),
        ({"x": 1, "other": 1}, {"other": 2}, Verdict.MISMATCH),
    ],
)
def test_answers_without_any_field_that_decides_agree_only_if_they_are_the_same(
    control: Any, candidate: Any, verdict: Verdict
) -> None:
    """Two answers that both lack what was to be compared prove nothing."""
    rules = (FieldRule("x", required=False), FieldRule("noise", "ignore"))
    config = EvalConfig("t", EvalKind.FIELDS, fields=rules)
    found = compare_outputs(config, None, Output(json.dumps(control)), Output(json.dumps(candidate)))
    assert found.verdict is verdict
