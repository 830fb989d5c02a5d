"""Rankings: what is read as an order, which orders are equal, and how near others are."""

from __future__ import annotations

import json
import math
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from workbench.compare import Comparator, Judgement, basis, compare_outputs, evaluator_version
from workbench.compare.ranking import Ordering, RankingComparator, cut, figures, kendall_tau, ndcg
from workbench.config import Workspace
from workbench.errors import ConfigError
from workbench.records import Basis, EvalKind, Message, Output, Request, Verdict
from workbench.specs import EvalConfig, IgnoreRule, Normalisation

MATCH, MISMATCH, UNCOMPARABLE = Verdict.MATCH, Verdict.MISMATCH, Verdict.UNCOMPARABLE
ROUTES = EvalConfig(
    "route",
    EvalKind.RANKING,
    options=("Billing", "Tech support", "Sales", "Paris, France"),
    aliases={"support": "Tech support"},
)
PASSAGES = EvalConfig("rerank", EvalKind.RANKING, options_pattern=r"^\[(\d+)\]")


def asked(*messages: str | tuple[str, str]) -> Request:
    said = (("user", each) if isinstance(each, str) else each for each in messages)
    return Request(tuple(Message(role, text) for role, text in said))


def judged(config: EvalConfig, control: str, candidate: str, request: Request | None = None) -> Judgement:
    return compare_outputs(config, request, Output(control), Output(candidate))


@pytest.mark.parametrize(
    "answer",
    [
        '["Billing", "Tech support", "Sales"]',
        'Here you are:\n```json\n{"ranking": ["billing", "SUPPORT", "sales"]}\n```',
        'My ranking is ["Billing", "Tech support", "Sales"].',
        '[{"team": "Billing", "score": 0.9}, {"team": "Tech support", "score": 0.5}, {"team": "Sales"}]',
        "1. Billing\n2. Tech support\n3. Sales",
        "I say:\n1) **Billing** - they refund\n   - and quickly\n2) Support: second line\n3) Sales (last)",
        "2. Tech support\n1. Billing\n3. Sales",
        "- Billing\n- Tech support\n- Sales",
        "Billing > Tech support > Sales",
        "Billing -> support -> Sales.",
        "billing, support, sales",
        "Billing; Tech support; Sales",
        "Billing\nTech support\nSales\n",
    ],
)
def test_an_order_is_read_from_lists_lines_and_separators(answer: str) -> None:
    """All usual ways to write an order, with remarks behind the options, are the same order."""
    found = judged(ROUTES, '["Billing", "Tech support", "Sales"]', answer)
    assert (found.verdict, found.score) == (MATCH, 1.0), found.reason
    assert found.details["candidate"] == [["Billing"], ["Tech support"], ["Sales"]]


@pytest.mark.parametrize("answer", ["Sales", "**sales**", '{"team": "Sales"}', '["Sales"]', "1. Sales"])
def test_a_single_choice_is_an_order_of_one(answer: str) -> None:
    """Routing is a ranking of which only the first place is written."""
    assert judged(ROUTES, "sales", answer).verdict is MATCH
    assert judged(ROUTES, "Billing", answer).reason == "place 1: Billing against Sales"


def test_an_option_may_hold_the_mark_that_stands_between_options() -> None:
    """Paris, France is one option, alone and among others."""
    assert judged(ROUTES, "Paris, France", '["Paris, France"]').verdict is MATCH
    assert judged(ROUTES, "Sales > Paris, France", '["Sales", "Paris, France"]').verdict is MATCH


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("Billing > Legal", "'Legal' is not an option"),
        ('["Billing", "Legal"]', "'Legal' is not an option"),
        ("1. Billing\n2. Legal", "'Legal' is not an option"),
        ("Billing, Sales, billing", "'Billing' twice"),
        ('["Billing", "Sales", "Billing"]', "'Billing' twice"),
        ("I can't say.", "is not an option"),
        ('{"a": ["Billing"], "b": ["Sales"]}', "more than one list"),
        ("[]", "names no option"),
        ("", "no answer"),
    ],
)
def test_what_is_no_order_of_the_options_is_invalid_or_uncomparable_by_side(answer: str, words: str) -> None:
    """An unknown option, one named twice and prose break the candidate's contract, or leave no control."""
    found = judged(ROUTES, "Billing, Sales", answer)
    assert (found.verdict, found.invalid) == (MISMATCH, True)
    assert words in found.reason
    back = judged(ROUTES, answer, "Billing, Sales")
    assert back.verdict is UNCOMPARABLE
    assert words in back.reason


def test_an_option_of_marks_alone_is_no_other_marks() -> None:
    """[] is an option only where it is written so."""
    config = EvalConfig("t", EvalKind.RANKING, options=("[]", "a"))
    assert judged(config, "a > []", "a > {}").invalid


def test_options_are_read_from_the_last_message_that_holds_any() -> None:
    """The passages of an earlier turn are not on offer any more, and a model's words never are."""
    request = asked(
        ("system", "Rank the passages."),
        "[1] old\n[9] old",
        ("assistant", "[7] > [1]"),
        "[1] cats\n[2] dogs\n[3] fish",
        "Thanks, go on.",
    )
    assert RankingComparator(PASSAGES).options(request) == ("1", "2", "3")
    found = judged(PASSAGES, "[2] > [1] > [3]", "2, 1, 3", request)
    assert (found.verdict, found.details["candidate"]) == (MATCH, [["2"], ["1"], ["3"]])
    assert judged(PASSAGES, "[2] > [1]", "[2] > [9]", request).invalid


def test_options_are_read_from_json_in_the_request() -> None:
    """A path names the options in the request's JSON, numbers among them."""
    config = EvalConfig("rerank", EvalKind.RANKING, options_path="query.candidates[].id")
    request = asked("Rank:\n" + json.dumps({"query": {"candidates": [{"id": 7}, {"id": "b"}, {"x": 1}]}}))
    assert RankingComparator(config).options(request) == ("7", "b")
    assert judged(config, '[7, "b"]', '["7", "b"]', request).verdict is MATCH
    assert judged(config, '["b"]', '["c"]', request).invalid


def test_a_request_without_options_leaves_nothing_to_compare() -> None:
    """Where no option is found it can't be said what is valid: uncomparable, and counted."""
    found = judged(PASSAGES, "1", "1", asked("no passages here"))
    assert (found.verdict, found.reason) == (UNCOMPARABLE, "the request holds no options")
    assert judged(PASSAGES, "1 > 2", "1 > 2", None).verdict is MATCH, "no request at hand: nothing to check"


def test_only_the_first_places_count_where_the_eval_says_so() -> None:
    """With top = 2 the third place may differ; with top = 1 the choice is the outcome group."""
    full, first_two = ROUTES, EvalConfig("route", EvalKind.RANKING, options=ROUTES.options, top=2)
    pair = ("Billing, Sales, Tech support", "Billing, Sales, Paris, France".replace(", ", " > ", 2))
    assert judged(full, *pair).verdict is MISMATCH
    assert judged(first_two, *pair).verdict is MATCH
    assert judged(first_two, "Billing, Sales", "Sales, Billing").verdict is MISMATCH
    assert judged(first_two, "Billing, Sales", "Billing, Sales").control_group is None
    choice = EvalConfig("route", EvalKind.RANKING, options=ROUTES.options, top=1)
    found = judged(choice, "Billing, Sales", "Sales")
    assert (found.control_group, found.candidate_group) == ("Billing", "Sales")


def test_a_tie_is_no_order() -> None:
    """Tied options agree in any order of writing, and differ from the same options put in order."""
    assert judged(ROUTES, "Billing = Sales > Support", '[["Sales", "Billing"], "support"]').verdict is MATCH
    found = judged(ROUTES, "Billing = Sales > Support", "Billing > Sales > Support")
    assert (found.verdict, found.details["top_1"]) == (MISMATCH, 0.0)


def test_a_shorter_list_is_another_answer() -> None:
    """What was left out is not taken as agreed."""
    found = judged(ROUTES, "Billing, Sales", "Billing")
    assert (found.verdict, found.reason) == (MISMATCH, "2 options against 1")


def test_nesting_beyond_any_recursion_limit_is_unreadable_rather_than_a_crash() -> None:
    """Brackets without end are no order."""
    for deep in ("[" * 20_000 + "]" * 20_000, "[" * 500 + "]" * 500, '{"a":' * 20_000):
        assert judged(ROUTES, "Sales", deep).invalid
        assert judged(ROUTES, deep, "Sales").verdict is UNCOMPARABLE


def test_labels_that_only_normalisation_would_merge_stay_apart() -> None:
    """Options that differ in case alone are told apart by case, or not at all."""
    cased = EvalConfig("t", EvalKind.RANKING, options=("us", "US", "EU"))
    assert judged(cased, "us > EU", "US > EU").verdict is MISMATCH
    assert judged(cased, "US > EU", "Us > EU").invalid
    strict = EvalConfig("t", EvalKind.RANKING, options=("a", "b"), normalise=Normalisation(case=False))
    assert judged(strict, "a", "A").invalid


def test_an_ignore_rule_takes_its_pattern_out_of_both_orders() -> None:
    """Scores behind the options can be declared harmless; they are counted."""
    config = EvalConfig("t", EvalKind.RANKING, options=("a", "b"), ignore=(IgnoreRule("scores", r"\s*#\d+"),))
    assert judged(config, "a > b", "a #3 > b #4").ignored_by == "scores"


def by_hand_ndcg(gains: list[float], ideal: list[float]) -> float:
    return sum(g / math.log2(i + 2) for i, g in enumerate(gains)) / sum(
        g / math.log2(i + 2) for i, g in enumerate(ideal)
    )


def test_ndcg_takes_the_control_as_graded_truth() -> None:
    """First of three is worth 3, second 2, third 1, and what the control leaves out nothing."""
    control, options = (("a",), ("b",), ("c",)), "abcd"
    assert ndcg(control, (("b",), ("a",), ("c",)), options) == pytest.approx(
        by_hand_ndcg([2, 3, 1], [3, 2, 1])
    )
    assert ndcg(control, (("d",), ("a",), ("b",), ("c",)), options) == pytest.approx(
        by_hand_ndcg([0, 3, 2, 1], [3, 2, 1])
    )
    assert ndcg(control, (("b",), ("a",)), options, top=1) == pytest.approx(2 / 3)
    assert ndcg((("a",),), (("b",), ("a",)), "ab") == pytest.approx(1 / math.log2(3))
    shared = (("a", "b"), ("c",))
    assert ndcg(shared, (("c",), ("b",), ("a",)), "abc") == pytest.approx(
        by_hand_ndcg([1, 2.5, 2.5], [2.5, 2.5, 1])
    ), "options that the control ties are worth the same"
    tied = ndcg((("a",), ("b",)), (("a", "b"),), "ab")
    assert tied == pytest.approx(
        (ndcg((("a",), ("b",)), (("a",), ("b",)), "ab") + ndcg((("a",), ("b",)), (("b",), ("a",)), "ab")) / 2
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_kendalls_tau_is_that_of_scipy_ties_included(pairs: list[tuple[int, int]]) -> None:
    """Tau-b on any two sequences of places; not defined where one side ties everything."""
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    mine = kendall_tau(first, second)
    reference = float(kendalltau(first, second).statistic) if len(pairs) > 1 else math.nan
    if mine is None:
        assert math.isnan(reference)
    else:
        assert mine == pytest.approx(reference, abs=1e-12)


def test_options_left_out_stand_tied_in_the_last_place() -> None:
    """A partial list says that what it names comes before all the rest."""
    found = figures((("a",), ("b",)), (("a",),), "abcd")
    assert found.kendall_tau == pytest.approx(float(kendalltau([0, 1, 2, 2], [0, 1, 1, 1]).statistic))
    assert found.top_1 == 1.0
    assert figures((("a",),), (("b",),), "ab").kendall_tau == -1


orderings = st.permutations("abcdef").flatmap(
    lambda order: st.lists(st.booleans(), min_size=len(order), max_size=len(order)).flatmap(
        lambda joins: st.integers(1, len(order)).map(lambda kept: tiers(order[:kept], joins))
    )
)


def tiers(order: list[str], joins: list[bool]) -> Ordering:
    found: list[tuple[str, ...]] = []
    for option, join in zip(order, joins, strict=False):
        if join and found:
            found[-1] += (option,)
        else:
            found.append((option,))
    return tuple(found)


@settings(max_examples=200, deadline=None)
@given(orderings, orderings, st.none() | st.integers(1, 6))
def test_figures_are_bounded_and_perfect_for_the_same_order(
    first: Ordering, second: Ordering, top: int | None
) -> None:
    """NDCG is a share and tau lies in -1..1, also with ties and lists of different length."""
    found = figures(first, second, "abcdef", top)
    assert 0 <= found.ndcg <= 1
    assert found.kendall_tau is None or -1 <= found.kendall_tau <= 1
    same = figures(first, first, "abcdef", top)
    assert same.ndcg == pytest.approx(1)
    assert same.top_1 == 1
    assert same.kendall_tau in (None, pytest.approx(1))
    back = figures(second, first, "abcdef", top)
    assert (back.top_1, back.kendall_tau) == (found.top_1, found.kendall_tau)


def test_the_controls_own_order_is_the_best_of_all() -> None:
    """No other order of four options reaches the NDCG of the control's."""
    control = (("a",), ("b",), ("c",), ("d",))
    scores = {
        order: ndcg(control, tuple((each,) for each in order), "abcd") for order in permutations("abcd")
    }
    assert max(scores, key=lambda order: scores[order]) == tuple("abcd")
    assert sorted(scores.values())[-2] < 1


CONFIGS = {
    "declared": ROUTES,
    "pattern": EvalConfig("t", EvalKind.RANKING, options_pattern=r"^\[(\d+)\]"),
    "path": EvalConfig("t", EvalKind.RANKING, options_path="[].id"),
    "top": EvalConfig("t", EvalKind.RANKING, options=("a", "b", "c"), top=2),
}
REQUESTS = (
    None,
    asked("[1] a\n[2] b\n[3] c"),
    asked('[{"id": "a"}, {"id": 2}, {"id": null}]'),
    asked("\ud800"),
    Request((Message("user", [{"type": "text", "text": "[1] a\n[2] b"}, {"type": "image_url"}]),)),
)
answers = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["a > b > c", "[2] > [1]", "1, 2", "a = b", '["a", ["b", "c"]]', '{"x": NaN}', "[[[[", "1.\n2.", "a"]
    ),
    st.lists(st.sampled_from([*"abc123", "Sales", "Billing"]), max_size=4).map(json.dumps),
    st.lists(st.sampled_from([*"abc123", "Sales", "Billing"]), max_size=4).map(" > ".join),
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), st.lists, max_leaves=5).map(
        json.dumps
    ),
)


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=150, deadline=None)
@given(control=answers, observed=answers, request=st.sampled_from(REQUESTS))
def test_the_laws_of_every_comparator_hold_for_rankings(
    name: str, control: str, observed: str, request: Request | None
) -> None:
    """Nothing raises, a score is a share, an order equals itself, and swapping keeps the verdict."""
    comparator = Comparator(CONFIGS[name])
    found = comparator.compare(Output(control), Output(observed), request)
    assert found.score is None or 0 <= found.score <= 1
    assert not found.invalid or (found.verdict is MISMATCH and found.reason)
    json.dumps(found.details, allow_nan=False)
    same = comparator.compare(Output(control), Output(control), request)
    assert same.verdict in (MATCH, UNCOMPARABLE)
    back = comparator.compare(Output(observed), Output(control), request)
    if UNCOMPARABLE not in (found.verdict, back.verdict) and not found.invalid and not back.invalid:
        assert (found.verdict, found.identical) == (back.verdict, back.identical)


def test_cutting_keeps_a_tie_across_the_limit_whole() -> None:
    """Of a tie in places 2 and 3, no half can be called the second."""
    assert cut((("a",), ("b", "c"), ("d",)), 2) == (("a",), ("b", "c"))


def test_a_ranking_is_structural_and_its_version_knows_what_decides() -> None:
    """Equal order is a declared equality; options and places are part of the evaluator version."""
    assert basis(ROUTES) is Basis.STRUCTURAL
    versions = {evaluator_version(each) for each in (*CONFIGS.values(), EvalConfig("t", EvalKind.RANKING))}
    assert len(versions) == len(CONFIGS) + 1


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("", ["no options", "options_pattern"]),
        ('options = ["a", "b"]\noptions_path = "x"', ["`options` and `options_path`"]),
        ('options = ["a"]', ["two or more"]),
        ('options = ["a", "a"]', ["each once"]),
        ('options_pattern = "("', ["options_pattern", "regular expression"]),
        ('options_pattern = "(a)(b)"', ["more than one group"]),
        ('options = ["a", "b"]\ntop = 0', ["top = 0"]),
        ('options = ["alpha", "b"]\naliases = {x = "alpa"}', ["'alpa'", "Did you mean 'alpha'"]),
    ],
)
def test_a_ranking_that_could_not_be_read_is_refused_with_its_key(
    tmp_path: Path, keys: str, words: list[str]
) -> None:
    """The message names the file, the key and what to write."""
    folder = tmp_path / "evals" / "t"
    folder.mkdir(parents=True)
    (tmp_path / "workbench.toml").write_text("")
    (folder / "eval.toml").write_text(f'task = "t"\nkind = "ranking"\n{keys}\n')
    with pytest.raises(ConfigError) as caught:
        _ = Workspace.load(tmp_path).evals
    for word in ["eval.toml", *words]:
        assert word in str(caught.value)


def test_the_keys_of_a_ranking_mean_nothing_elsewhere(tmp_path: Path) -> None:
    """They would be passed over in silence."""
    folder = tmp_path / "evals" / "t"
    folder.mkdir(parents=True)
    (tmp_path / "workbench.toml").write_text("")
    (folder / "eval.toml").write_text('task = "t"\nkind = "text"\ntop = 3\n')
    with pytest.raises(ConfigError, match="`top` means nothing to kind text"):
        _ = Workspace.load(tmp_path).evals
