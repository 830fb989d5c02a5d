"""What each kind of eval calls equal, and what it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from workbench.compare import (
    SIMILARITY_MISSING,
    Judgement,
    basis,
    compare_outputs,
    contradictions,
    evaluator_version,
)
from workbench.records import Basis, ErrorKind, EvalKind, Output, OutputError, Request, ToolCall, Verdict
from workbench.specs import EvalConfig, FieldRule, IgnoreRule, Normalisation, Policy

MATCH, MISMATCH, IGNORED, UNCOMPARABLE = (
    Verdict.MATCH,
    Verdict.MISMATCH,
    Verdict.IGNORED,
    Verdict.UNCOMPARABLE,
)
LABELS = EvalConfig(
    "triage", EvalKind.LABEL, labels=("billing", "bug report", "1", "-1"), aliases={"bug": "bug report"}
)


def judged(config: EvalConfig, control: Any, candidate: Any, **more: Any) -> Judgement:
    """Compare two texts, or values written as JSON."""
    sides = [each if isinstance(each, str) else json.dumps(each) for each in (control, candidate)]
    return compare_outputs(config, None, Output(sides[0]), Output(sides[1]), **more)


@pytest.mark.parametrize(
    "answer", ["billing", " Billing.\n", "**BILLING**", "`billing`", "“billing”", "ｂｉｌｌｉｎｇ"]
)
def test_declared_normalisation_makes_labels_equal(answer: str) -> None:
    """Case, white space, punctuation, mark-up and full-width letters do not change a label."""
    found = judged(LABELS, "billing", answer)
    assert (found.verdict, found.candidate_group) == (MATCH, "billing")
    assert found.identical == (answer == "billing")


def test_labels_that_only_normalisation_would_merge_stay_apart() -> None:
    """-1 is not 1, and labels that differ in case alone are told apart by case."""
    assert judged(LABELS, "1", "-1").verdict is MISMATCH
    cased = EvalConfig("t", EvalKind.LABEL, labels=("us", "US"))
    assert judged(cased, "us", "US").verdict is MISMATCH
    assert judged(cased, "US", "US").verdict is MATCH
    assert judged(cased, "US", "Us").invalid, "which of the two it means can't be told"


def test_an_alias_is_the_label_it_stands_for() -> None:
    """Bug means bug report, on either side."""
    assert judged(LABELS, "Bug", "bug report").verdict is MATCH


def test_normalisation_that_is_not_declared_is_not_applied() -> None:
    """With case switched off, Billing is outside the set."""
    strict = EvalConfig("t", EvalKind.LABEL, labels=("billing", "other"), normalise=Normalisation(case=False))
    assert judged(strict, "billing", "Billing").invalid


def test_an_answer_outside_the_labels_is_invalid_or_uncomparable_by_side() -> None:
    """The candidate breaks its contract; a control outside the set leaves nothing to compare with."""
    found = judged(LABELS, "billing", "I think it is about billing")
    assert (found.verdict, found.invalid, found.control_group) == (MISMATCH, True, "billing")
    assert judged(LABELS, "no idea", "billing").verdict is UNCOMPARABLE


def test_wrappers_unwrap_only_where_declared() -> None:
    """`answer: billing` and {"label": "billing"} are labels only under their wrapper."""
    wrapped = EvalConfig(
        "t",
        EvalKind.LABEL,
        labels=("billing", "bug"),
        normalise=Normalisation(wrappers=("json", r"answer:\s*(\w+)")),
    )
    for answer in ("Answer: Billing", '{"label": "billing"}', '```json\n{"label": "billing"}\n```'):
        assert judged(wrapped, "billing", answer).verdict is MATCH
        assert judged(LABELS, "billing", answer).invalid
    assert judged(wrapped, "billing", '{"label": "billing", "why": "x"}').invalid


def refunds(*wrappers: str, **more: Any) -> EvalConfig:
    rules = Normalisation(wrappers=wrappers)
    return EvalConfig("is_refund", EvalKind.LABEL, labels=("yes", "no"), normalise=rules, **more)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("control", "candidate", "reason"),
    [
        (
            '{"refund": "yes"}',
            '{"refuse_refund": "yes"}',
            "under the key 'refuse_refund', the recorded one under",
        ),
        ('{"refund": "yes"}', '{"refuse_refund": "no"}', "under the key 'refuse_refund'"),
        ("yes", '{"refuse_refund": "yes"}', "the recorded one under no key of its own"),
        ('{"answer": "yes"}', '{"refuse_refund": "yes"}', "the recorded one under no key of its own"),
        ('{"refund": "yes"}', "yes", "under no key of its own, the recorded one under the key 'refund'"),
    ],
)
def test_a_label_under_another_key_is_no_answer(
    control: str, candidate: str, reason: str, several: bool
) -> None:
    """The key may turn its meaning round, so that the same label proves nothing; nor does one without it."""
    config = refunds("json", several=several)
    for one, other in ((control, candidate), (candidate, control)):
        found = judged(config, one, other)
        assert (found.verdict, found.invalid, found.control_group in ("yes", "no")) == (MISMATCH, True, True)
    assert reason in judged(config, control, candidate).reason
    if several:
        listed = [each.replace('"yes"', '["yes"]').replace('"no"', '["no"]') for each in (control, candidate)]
        assert judged(config, *listed).invalid


@pytest.mark.parametrize("key", ["", "  "])
def test_a_key_without_a_name_is_not_one_that_only_says_that_a_label_follows(key: str) -> None:
    """It could mean anything: such an answer is none."""
    assert judged(refunds("json"), "yes", f'{{"{key}": "yes"}}').invalid


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"refund": "yes"}', '{"Refund ": "Yes."}'),
        ('{"label": "yes"}', "yes"),
        ('{"Final Answer": "yes"}', '{"predictedLabel": "yes"}'),
        ('{"is-refund": true}', '{"is_refund": true}'),
        ('{"is_refund": "yes"}', '{"intent": "yes"}'),
        ('{"answer": ["yes"]}', "yes"),
    ],
)
def test_the_same_key_and_those_that_only_say_that_a_label_follows_agree(
    one: str, other: str, several: bool
) -> None:
    """With no key, too: `label`, `answer` and the like, and the task's own name."""
    config = refunds("json", several=several, aliases={"true": "yes"})
    if "[" in one and not several:
        return
    for control, candidate in ((one, other), (other, one)):
        found = judged(config, control, candidate)
        assert (found.verdict, found.control_group, found.candidate_group) == (MATCH, "yes", "yes")


def test_an_eval_names_a_key_of_its_own() -> None:
    """`json:refund` beside `json` makes it one that says no more; alone it is the only key that counts."""
    for config in (refunds("json", "json:refund"), refunds("json:refund")):
        assert judged(config, '{"refund": "yes"}', "yes").verdict is MATCH
        assert judged(config, "yes", '{"Refund": "yes"}').verdict is MATCH
        assert judged(config, "yes", '{"refuse_refund": "yes"}').invalid
    alone = refunds("json:refund")
    assert judged(alone, '{"refuse_refund": "yes"}', '{"refuse_refund": "yes"}').verdict is UNCOMPARABLE
    assert judged(alone, '{"label": "yes"}', "yes").verdict is UNCOMPARABLE
    assert judged(refunds("json", "json:refund"), '{"label": "yes"}', '{"refund": "yes"}').verdict is MATCH
    pattern = refunds("json", r'"re\w+":\s*"(\w+)"')
    assert judged(pattern, '{"refund": "yes"}', "yes").verdict is MATCH, "a declared pattern comes first"


def test_errors_count_against_the_candidate_and_leave_the_control_out() -> None:
    """A failed candidate disagrees; a failed, cut off or refused control is uncomparable."""
    good, failed = Output("billing"), Output(error=OutputError(ErrorKind.TIMEOUT))
    found = compare_outputs(LABELS, None, good, failed)
    assert (found.verdict, found.invalid, found.control_group) == (MISMATCH, True, "billing")
    assert "no answer in time" in found.reason
    for control in (
        failed,
        Output("billing", finish_reason="length"),
        Output("billing", finish_reason="content_filter"),
        Output("billing", flags=("refusal",)),
        Output(""),
        Output(None),
    ):
        assert compare_outputs(LABELS, None, control, good).verdict is UNCOMPARABLE


ORDER = EvalConfig(
    "orders",
    EvalKind.FIELDS,
    fields=(
        FieldRule("total", "number", tolerance=0.01),
        FieldRule("when", "date"),
        FieldRule("customer.name", "text"),
        FieldRule("items[].sku", ordered=False),
        FieldRule("items[].quantity", "number", ordered=False),
        FieldRule("comment", "text", required=False),
        FieldRule("trace", "ignore", required=False),
    ),
)
GOOD = {
    "total": 1234.5,
    "when": "2024-03-13",
    "customer": {"name": "Ada Lovelace"},
    "items": [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 2}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"total": "1,234.50"},
        {"total": "1.234,50"},
        {"total": "1 234.505"},
        {"when": "13/03/2024"},
        {"when": "March 13, 2024"},
        {"when": "13. März 2024"},
        {"customer": {"name": "  ada LOVELACE."}},
        {"customer": '{"name": "Ada Lovelace"}'},
        {"items": [{"sku": "B", "quantity": "2"}, {"sku": "A", "quantity": 1.0}]},
        {"comment": None},
        {"surprise": 1},
    ],
    ids=str,
)
def test_fields_that_are_declared_equal_match(change: dict[str, Any]) -> None:
    """Numbers, dates, text, list order, optional null and extra keys do not make a difference."""
    found = judged(ORDER, GOOD, GOOD | change)
    assert (found.verdict, found.score) == (MATCH, 1.0), found.reason
    assert ("extra_keys" in found.flags) == ("surprise" in change)


ITEMS = [{"sku": "A", "n": 1}]
each_order = pytest.mark.parametrize("ordered", [True, False])


def items_eval(*, ordered: bool, required: bool = True) -> EvalConfig:
    rules = (
        FieldRule("items[].sku", ordered=ordered, required=required),
        FieldRule("items[].n", "number", ordered=ordered, required=required),
    )
    return EvalConfig("t", EvalKind.FIELDS, fields=rules)


@each_order
@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("more", [{"item": "B", "qty": 900}, "also 900 of B", {}, None, [], 5], ids=str)
def test_a_list_that_holds_one_more_differs_whatever_that_one_holds(
    more: Any, required: bool, ordered: bool
) -> None:
    """Of an item that no rule finds anything in, too, and both ways round; it is shown as it stands."""
    config = items_eval(ordered=ordered, required=required)
    one, other = {"items": ITEMS}, {"items": [*ITEMS, more]}
    for control, candidate in ((one, other), (other, one)):
        found = judged(config, control, candidate)
        assert found.verdict is MISMATCH
        assert [each["equal"] for each in found.details["fields"]] == [False, False]
    assert judged(config, other, other).verdict is MATCH
    shown = judged(config, one, other).details["fields"][0]
    assert (shown["control"], shown["place"]) == ({"missing": True}, "items[1]")
    assert shown["candidate"] in (more, repr(more))


@each_order
def test_an_optional_field_may_be_missing_from_an_item_but_not_the_item(ordered: bool) -> None:
    """Where another field of the list is required, that one alone differs."""
    rules = (
        FieldRule("items[].sku", ordered=ordered),
        FieldRule("items[].n", ordered=ordered, required=False),
    )
    config = EvalConfig("t", EvalKind.FIELDS, fields=rules)
    assert judged(config, {"items": [{"sku": "A"}]}, {"items": [{"sku": "A", "n": None}]}).verdict is MATCH
    found = judged(config, {"items": [{"sku": "A"}]}, {"items": [{"sku": "A"}, {}]})
    assert [each["equal"] for each in found.details["fields"]] == [False, True]


@each_order
def test_an_item_that_is_null_is_no_item_without_fields(ordered: bool) -> None:
    """Null against an object of other keys differs, and so does an order without lines."""
    config = items_eval(ordered=ordered)
    null, unknown = {"items": [*ITEMS, None]}, {"items": [*ITEMS, {"item": "B"}]}
    assert judged(config, null, unknown).verdict is MISMATCH
    assert judged(config, null, null).verdict is MATCH
    rules = (FieldRule("id"), FieldRule("orders[].lines[].sku", ordered=ordered))
    nested = EvalConfig("t", EvalKind.FIELDS, fields=rules)
    assert judged(nested, {"id": 1, "orders": []}, {"id": 1, "orders": [{}]}).verdict is MISMATCH


@pytest.mark.parametrize(
    ("one", "other"), [("Ann", "Bob"), ("Ann", None), (5, {}), ([1], {"surname": "A"})], ids=str
)
def test_what_stands_where_rules_expect_an_object_counts(one: Any, other: Any) -> None:
    """No rule finds anything in it, in an object or in an item: only the same again agrees."""
    customer = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("id"), FieldRule("customer.name")))
    items = EvalConfig(
        "t", EvalKind.FIELDS, fields=(FieldRule("id"), FieldRule("items[].name", ordered=False))
    )
    for config, inside in (
        (customer, lambda each: {"customer": each}),
        (items, lambda each: {"items": [each]}),
    ):
        sides = [{"id": 1} | inside(each) for each in (one, other)]
        assert judged(config, *sides).verdict is MISMATCH
        assert judged(config, *reversed(sides)).verdict is MISMATCH
        assert judged(config, sides[0], sides[0]).verdict is MATCH


def test_keys_that_no_rule_looks_at_are_shown_wherever_they_stand() -> None:
    """In objects and items as at the top: named by their path and never decisive; not below a rule."""
    rules = (FieldRule("customer.name"), FieldRule("items[].sku", ordered=False), FieldRule("meta"))
    config = EvalConfig("t", EvalKind.FIELDS, fields=rules)
    control = {"customer": {"name": "A"}, "items": [{"sku": "A"}, {"sku": "B", "n": 1}], "meta": {"a": 1}}
    candidate = {
        "customer": {"name": "A", "since": 2020},
        "items": [{"sku": "B", "qty": 1}, {"sku": "A"}],
        "meta": {"a": 1},
        "also": None,
    }
    found = judged(config, control, candidate)
    assert (found.verdict, found.flags) == (MATCH, ("extra_keys",))
    assert found.details["extra_keys"] == ["also", "customer.since", "items[].n", "items[].qty"]
    assert judged(config, control, control).flags == ()
    without = EvalConfig("t", EvalKind.FIELDS, fields=rules, ignore=(IgnoreRule("since", field="customer"),))
    changed = candidate | {"customer": {"name": "B"}}
    assert judged(without, control, changed).details["extra_keys"] == ["also", "items[].n", "items[].qty"]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"total": 1234.6}, ["total"]),
        ({"total": True}, ["total"]),
        ({"total": None}, ["total"]),
        ({"when": "2024-03-14"}, ["when"]),
        ({"when": "03/13/24"}, ["when"]),
        ({"customer": {}}, ["customer.name"]),
        ({"items": [{"sku": "A", "quantity": 1}]}, ["items[].sku", "items[].quantity"]),
        ({"items": None}, ["items[].sku", "items[].quantity"]),
        ({"comment": "late"}, ["comment"]),
    ],
    ids=str,
)
def test_a_field_that_differs_is_named_and_lowers_the_score(
    change: dict[str, Any], fields: list[str]
) -> None:
    """The score is the share of equal fields, and the details say which are not."""
    found = judged(ORDER, GOOD, GOOD | change)
    assert found.verdict is MISMATCH
    assert not found.invalid
    assert [each["path"] for each in found.details["fields"] if not each["equal"]] == fields
    assert found.score == pytest.approx(1 - len(fields) / 6)


def test_swapped_values_between_list_items_do_not_pass_as_another_order() -> None:
    """A with 2 and B with 1 is another order than A with 1 and B with 2, though both lists hold both."""
    swapped = GOOD | {"items": [{"sku": "B", "quantity": 1}, {"sku": "A", "quantity": 2}]}
    assert judged(ORDER, GOOD, swapped).verdict is MISMATCH


def test_order_counts_where_the_rule_says_so() -> None:
    """An ordered list differs when its order does; an unordered one and a set do not."""
    for compare, ordered, verdict in (("list", True, MISMATCH), ("list", False, MATCH), ("set", True, MATCH)):
        config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("tags", compare, ordered=ordered),))
        assert judged(config, {"tags": ["a", "b"]}, {"tags": ["b", "a"]}).verdict is verdict
    counted = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("tags", "list", ordered=False),))
    assert judged(counted, {"tags": ["a"]}, {"tags": ["a", "a"]}).verdict is MISMATCH


def test_an_ignored_field_that_differs_is_counted_by_name() -> None:
    """IGNORED, not MATCH: harmless differences stay visible."""
    found = judged(ORDER, GOOD | {"trace": 1}, GOOD | {"trace": 2})
    assert (found.verdict, found.ignored_by) == (IGNORED, "field trace")
    assert judged(ORDER, GOOD | {"trace": 1}, GOOD | {"trace": 1}).verdict is MATCH


@pytest.mark.parametrize(
    "wrapped",
    [
        "Here you are:\n```json\n{}\n```\nAnything else?",
        "Sure! {} That is all {{curly}}.",
        "{}",
        "```\n{}\n```",
    ],
)
def test_json_is_found_amid_prose(wrapped: str) -> None:
    """Fences and chatter around the object are not part of the answer."""
    text = json.dumps(GOOD)
    assert judged(ORDER, GOOD, wrapped.replace("{}", text)).verdict is MATCH
    assert judged(ORDER, GOOD, json.dumps(text)).verdict is MATCH
    thrice = json.dumps(json.dumps(json.dumps(text)))
    assert judged(ORDER, GOOD, thrice).invalid, "JSON in a string is decoded at most twice"


def test_unreadable_json_is_invalid_or_uncomparable_by_side() -> None:
    """Half an object breaks the candidate's contract, and leaves nothing of a control."""
    assert judged(ORDER, GOOD, '{"total": 12').invalid
    assert judged(ORDER, '{"total": 12', json.dumps(GOOD)).verdict is UNCOMPARABLE


def test_breaking_the_schema_is_invalid_where_the_control_keeps_it() -> None:
    """A wrong type is a broken contract; where the control breaks it too, it is a difference at most."""
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "kind": {"enum": ["a", "b"]}},
        "required": ["n"],
        "additionalProperties": False,
    }
    config = EvalConfig("t", EvalKind.FIELDS, schema=schema)
    assert judged(config, {"n": 1, "kind": "a"}, {"n": 1.0, "kind": "a"}).verdict is MATCH
    for broken in (
        {"n": "1", "kind": "a"},
        {"kind": "a"},
        {"n": 1, "kind": "c"},
        {"n": 1, "kind": "a", "x": 1},
    ):
        found = judged(config, {"n": 1, "kind": "a"}, broken)
        assert (found.verdict, found.invalid) == (MISMATCH, True), broken
    found = judged(config, {"n": "one"}, {"n": "two"})
    assert (found.verdict, found.invalid) == (MISMATCH, False)


def test_json_numbers_and_truth_values_are_not_mixed_up() -> None:
    """1 equals 1.0 and not true."""
    config = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("x"),))
    assert judged(config, {"x": 1}, {"x": 1.0}).verdict is MATCH
    assert judged(config, {"x": 1}, {"x": True}).verdict is MISMATCH
    assert judged(config, {"x": {"a": 1, "b": [2]}}, {"x": '{"b": [2.0], "a": 1}'}).verdict is MATCH


TEXT = EvalConfig("rewriting", EvalKind.TEXT)


def test_texts_match_when_equal_after_normalisation_without_any_similarity() -> None:
    """Equal words need no embedding."""
    assert judged(TEXT, "See you at noon.", "see you  at noon").verdict is MATCH


def test_similar_texts_match_and_a_missing_similarity_never_does() -> None:
    """From match_at on a pair matches; without a similarity it is a mismatch that says so."""
    pair = ("Your parcel is on its way.", "The parcel has been sent.")
    assert judged(TEXT, *pair, similarity=0.81).verdict is MATCH
    assert judged(TEXT, *pair, similarity=0.79).verdict is MISMATCH
    missing = judged(TEXT, *pair)
    assert (missing.verdict, missing.score, missing.reason) == (MISMATCH, None, SIMILARITY_MISSING)


@pytest.mark.parametrize(
    ("left", "right", "flag"),
    [
        ("The fee is $50.", "The fee is $15.", "numbers"),
        ("Take 2 mg daily.", "Take 2 kg daily.", "numbers"),
        ("It fell by -5 points.", "It fell by 5 points.", "numbers"),
        ("Due on 3 March 2024.", "Due on 2024-03-04.", "dates"),
        ("We open at 3:30 pm.", "We open at 3:30 am.", "dates"),
        ("The offer is valid.", "The offer is not valid.", "negation"),
        ("You can return it.", "You can't return it.", "negation"),
        ("Das Angebot gilt und ist frei.", "Das Angebot gilt nicht und ist frei.", "negation"),
        ("Le colis est dans la boîte et il est arrivé.", "Le colis n'est pas dans la boîte.", "negation"),
        ("El pedido y la caja son para usted.", "El pedido y la caja no son para usted.", "negation"),
        ("這個優惠有效", "這個優惠不是有效", "negation"),
        ("The change is reversible.", "The change is irreversible.", "negation"),
        ("We will meet Anna in Paris.", "We will meet Anna in Rome.", "names"),
        ("Answer: B", "Answer: C", "names"),
    ],
)
def test_a_contradiction_makes_similar_texts_a_mismatch(left: str, right: str, flag: str) -> None:
    """However similar: another number, date, name, or a negation on one side."""
    assert flag in contradictions(left, right)
    assert set(contradictions(left, right)) == set(contradictions(right, left))
    found = judged(TEXT, left, right, similarity=0.99)
    assert found.verdict is MISMATCH
    assert found.reason.startswith("similar (0.99)")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("I paid $1,200 on 3 March 2024 in Berlin.", "On 2024-03-03 I paid 1200 dollars in Berlin."),
        ("It opens at 3:30 pm.", "The opening time is 15:30."),
        ("Take two pills.", "Take 2 pills."),
        ("About 50 percent agreed.", "Some 50% agreed."),
        ("1. Open the box\n2. Read it", "- Open the box\n- Read it"),
        ("The order has shipped. Thanks!", "Thanks! Your order has shipped."),
        ("Ich schicke Ihnen die Rechnung.", "Die Rechnung schicke ich Ihnen heute noch per Mail."),
        ("Wait for 5 days.", "Wait for 5."),
    ],
)
def test_the_same_said_otherwise_is_no_contradiction(left: str, right: str) -> None:
    """Formats, number words, list marks and German nouns raise no flag."""
    assert not {"numbers", "dates", "negation", "names"} & set(contradictions(left, right))


def test_length_refusal_and_language_are_noted_and_do_not_decide() -> None:
    """Notes stand beside the verdict that the similarity gives."""
    long = "The parcel is on the way and you have it with you in a day for sure, " * 2
    assert "length" in contradictions(long, "It is coming.")
    assert "refusal" in contradictions("Here is the text.", "I'm sorry, but I can't help with that.")
    pair = ("The parcel is on the way to you.", "Das Paket ist auf dem Weg und es ist von der Post.")
    found = judged(TEXT, *pair, similarity=0.9)
    assert (found.verdict, found.flags) == (MATCH, ("language",))


def test_a_refused_control_leaves_nothing_to_compare_with() -> None:
    """A refusal in words is one even where no flag says so."""
    assert judged(TEXT, "I'm sorry, but I can't help with that.", "Here it is.").verdict is UNCOMPARABLE
    assert judged(TEXT, "Here it is.", "").invalid


TOOLS = EvalConfig("tools", EvalKind.TOOL_CALL)


def calls(*pairs: tuple[str, Any], text: str | None = None) -> Output:
    return Output(text=text, tool_calls=tuple(ToolCall(name, arguments) for name, arguments in pairs))


def test_tool_calls_are_equal_by_name_and_parsed_arguments_in_any_order() -> None:
    """Key order, 1 against 1.0, JSON as text and the order of parallel calls do not count."""
    control = calls(("find", {"city": "Rome", "n": 1}), ("book", {"ids": [1, 2]}))
    same = calls(("book", '{"ids": [1.0, 2]}'), ("find", '{"n": 1.0, "city": "Rome"}'))
    assert compare_outputs(TOOLS, None, control, same).verdict is MATCH
    for other, reason in (
        (calls(("find", {"city": "Rome", "n": 1}), ("book", {"ids": [2, 1]})), "other arguments for book"),
        (calls(("find", {"city": "Rome", "n": 1})), "missing call of book"),
        (
            calls(("find", {"city": "Rome", "n": 1}), ("book", {"ids": [1, 2]}), ("pay", {})),
            "extra call of pay",
        ),
        (Output("Rome is nice."), "missing call of book, find"),
    ):
        found = compare_outputs(TOOLS, None, control, other)
        assert (found.verdict, found.reason) == (MISMATCH, reason)
        assert found.control_group == "book + find"


def test_two_answers_without_tools_agree_when_their_texts_do() -> None:
    """Not calling a tool is a decision, too, and equal words prove that it is the same one."""
    assert compare_outputs(TOOLS, None, Output("Which city?"), Output(" which  CITY?")).verdict is MATCH
    assert compare_outputs(TOOLS, None, Output("It is Rome."), Output("it is rome")).verdict is MATCH
    assert compare_outputs(TOOLS, None, Output("It is Rome."), Output("It is Rome?")).verdict is MISMATCH
    assert compare_outputs(TOOLS, None, Output("Which city?"), Output("Done.")).verdict is MISMATCH
    assert (
        compare_outputs(TOOLS, None, Output("Which city?"), calls(("find", {}))).reason
        == "extra call of find"
    )


def test_a_tool_that_was_not_offered_or_arguments_against_its_schema_are_invalid() -> None:
    """The request's tools are the contract, where the control keeps it."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    request = Request((), tools=({"type": "function", "function": {"name": "find", "parameters": schema}},))
    control = calls(("find", {"n": 1}))
    assert compare_outputs(TOOLS, request, control, calls(("fetch", {"n": 1}))).invalid
    assert compare_outputs(TOOLS, request, control, calls(("find", {"n": "one"}))).invalid
    assert compare_outputs(TOOLS, request, control, calls(("find", "not json"))).invalid
    assert not compare_outputs(TOOLS, request, control, calls(("find", {"n": 2}))).invalid


def test_tool_turns_of_a_text_task_are_compared_and_not_dropped() -> None:
    """A text task's tool calls are compared as tool calls."""
    assert (
        compare_outputs(TEXT, None, calls(("find", {"n": 1})), calls(("find", {"n": 1.0}))).verdict is MATCH
    )
    assert compare_outputs(TEXT, None, calls(("find", {"n": 1})), Output("No.")).verdict is MISMATCH


def test_an_ignore_rule_is_named_and_only_used_where_it_makes_the_difference() -> None:
    """A difference declared harmless is IGNORED by its name; a match without it stays a match."""
    config = EvalConfig(
        "t", EvalKind.TEXT, ignore=(IgnoreRule("greeting", r"^Hi \w+,\s*"), IgnoreRule("ticket", r"#\d+"))
    )
    assert judged(config, "Hi Ann, all good", "Hi Bob, all good").ignored_by == "greeting"
    assert judged(config, "Hi Ann, all good #1", "Hi Bob, all good #2").ignored_by == "greeting + ticket"
    assert judged(config, "Hi Ann, all good", "Hi Ann, all good").verdict is MATCH
    assert judged(config, "Hi Ann, all good", "Hi Ann, all bad", similarity=0.1).verdict is MISMATCH


def test_an_ignored_field_or_argument_is_named() -> None:
    """Ignore rules may name a field, or an argument as tool.argument."""
    fields = EvalConfig(
        "t",
        EvalKind.FIELDS,
        fields=(FieldRule("a"), FieldRule("b")),
        ignore=(IgnoreRule("b is noise", field="b"),),
    )
    assert judged(fields, {"a": 1, "b": 1}, {"a": 1, "b": 2}).ignored_by == "b is noise"
    assert judged(fields, {"a": 1, "b": 1}, {"a": 2, "b": 2}).verdict is MISMATCH
    tools = EvalConfig("t", EvalKind.TOOL_CALL, ignore=(IgnoreRule("page size", field="find.limit"),))
    found = compare_outputs(
        tools, None, calls(("find", {"q": "x", "limit": 5})), calls(("find", {"q": "x", "limit": 9}))
    )
    assert (found.verdict, found.ignored_by) == (IGNORED, "page size")


def test_the_evaluator_version_changes_with_what_decides_and_with_nothing_else() -> None:
    """Labels, rules and thresholds of its own kind count; policy, guidelines and other kinds' keys do not."""
    base = EvalConfig("t", EvalKind.LABEL, labels=("a", "b"))
    same = EvalConfig(
        "u", EvalKind.LABEL, labels=("a", "b"), match_at=0.5, guidelines="x", policy=Policy(tolerance=0.1)
    )
    assert evaluator_version(base) == evaluator_version(same)
    for other in (
        EvalConfig("t", EvalKind.LABEL, labels=("a", "c")),
        EvalConfig("t", EvalKind.LABEL, labels=("a", "b"), aliases={"x": "a"}),
        EvalConfig("t", EvalKind.LABEL, labels=("a", "b"), normalise=Normalisation(case=False)),
        EvalConfig("t", EvalKind.LABEL, labels=("a", "b"), ignore=(IgnoreRule("r", "x"),)),
    ):
        assert evaluator_version(other) != evaluator_version(base)
    assert evaluator_version(TEXT) != evaluator_version(EvalConfig("t", EvalKind.TEXT, match_at=0.9))
    critical = EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("x", critical=True),))
    assert evaluator_version(critical) == evaluator_version(
        EvalConfig("t", EvalKind.FIELDS, fields=(FieldRule("x"),))
    )


def test_only_declared_equality_is_structural() -> None:
    """Agreement of texts proves nothing until people look."""
    assert [basis(each) for each in (LABELS, ORDER, TOOLS, TEXT)] == [Basis.STRUCTURAL] * 3 + [Basis.SEMANTIC]
