"""Agreement beyond chance, against definitions written out in full and published examples."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.records import Estimate
from workbench.stats.agreement import (
    Confusion,
    agreement_by_label,
    cohen_kappa,
    confusion,
    gwet_ac1,
    krippendorff_alpha,
    pairwise_kappa,
)
from workbench.stats.audit import kappa

NAMES = "abcd"
pair_lists = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=40)
rating_lists = st.lists(
    st.dictionaries(st.sampled_from("rstu"), st.sampled_from(NAMES), max_size=4), min_size=1, max_size=15
)


def alpha_by_definition(ratings: list[dict[str, str]]) -> float:
    """Return alpha from all ordered pairs, as the definition reads."""
    items = [list(each.values()) for each in ratings if len(each) > 1]
    values = [value for each in items for value in each]
    n = len(values)
    observed = (
        sum(sum(a != b for a, b in itertools.permutations(each, 2)) / (len(each) - 1) for each in items) / n
    )
    expected = sum(a != b for a, b in itertools.permutations(values, 2)) / (n * (n - 1))
    return 1 - observed / expected if expected else math.nan


@given(rating_lists)
@settings(max_examples=100, deadline=None)
def test_alpha_is_what_its_definition_says(ratings: list[dict[str, str]]) -> None:
    """Counting all ordered pairs of ratings one by one gives the same coefficient."""
    if not any(len(each) > 1 for each in ratings):
        assert krippendorff_alpha(ratings).point is None
        return
    expected = alpha_by_definition(ratings)
    found = krippendorff_alpha(ratings).point
    assert (found is None) if math.isnan(expected) else found == pytest.approx(expected)


def test_alpha_of_the_textbook_with_gaps() -> None:
    """Krippendorff's own example of four observers and twelve units with gaps: nominal alpha .743."""
    observers = {
        "a": "1 2 3 3 2 1 4 1 2 * * *",
        "b": "1 2 3 3 2 2 4 1 2 5 * 3",
        "c": "* 3 3 3 2 3 4 2 2 5 1 *",
        "d": "1 2 3 3 2 4 4 1 2 5 1 *",
    }
    columns = zip(*(each.split() for each in observers.values()), strict=True)
    ratings = [
        {name: value for name, value in zip(observers, column, strict=True) if value != "*"}
        for column in columns
    ]
    found = krippendorff_alpha(ratings)
    assert found.point == pytest.approx(0.743, abs=5e-4)
    assert found.low < 0.743 < found.high


@given(pair_lists)
@settings(max_examples=100, deadline=None)
def test_kappa_agrees_with_the_one_of_the_decision_and_is_symmetric(pairs: list[tuple[str, str]]) -> None:
    """The same coefficient as beside the recommendation; swapping the sides changes neither nor AC1."""
    found = cohen_kappa(confusion(Counter(pairs)))
    swapped = cohen_kappa(confusion(Counter((b, a) for a, b in pairs)))
    expected = kappa(pairs)
    assert (found.point is None) == (expected is None)
    if found.point is not None and expected is not None:
        assert found.point == pytest.approx(expected)
        assert swapped.point == pytest.approx(found.point)
        assert found.low - 1e-9 <= found.point <= found.high + 1e-9
    first = gwet_ac1(confusion(Counter(pairs))).point
    assert (first or 0) == pytest.approx(gwet_ac1(confusion(Counter((b, a) for a, b in pairs))).point or 0)


@given(pair_lists, st.permutations(NAMES))
@settings(max_examples=60, deadline=None)
def test_names_of_categories_do_not_matter(pairs: list[tuple[str, str]], others: list[str]) -> None:
    """Renaming the labels changes neither coefficient."""
    names = dict(zip(NAMES, others, strict=True))
    renamed = Counter((names[a], names[b]) for a, b in pairs)
    for coefficient in (cohen_kappa, gwet_ac1):
        first, second = coefficient(confusion(Counter(pairs))), coefficient(confusion(renamed))
        assert (first.point is None) == (second.point is None)
        assert (first.point or 0, first.low, first.high) == pytest.approx(
            (second.point or 0, second.low, second.high)
        )


def test_ac1_stays_where_kappa_falls() -> None:
    """Gwet's case: 118 of 125 pairs agree on the common answer, and kappa is below 0 where AC1 is .94."""
    table = confusion({("+", "+"): 118, ("+", "-"): 5, ("-", "+"): 2})
    assert gwet_ac1(table).point == pytest.approx(0.9408, abs=5e-5)
    assert cohen_kappa(table).point == pytest.approx(-0.0234, abs=5e-5)


ABSTRACTORS = {("e", "e"): 13, ("a", "a"): 20, ("a", "n"): 7, ("n", "a"): 4, ("n", "n"): 56}


@pytest.mark.parametrize(
    ("coefficient", "value", "error"),
    [(cohen_kappa, 0.7964094, 0.05891072), (gwet_ac1, 0.8493305, 0.04321747)],
)
def test_points_and_limits_of_a_published_table(
    coefficient: Callable[[Confusion], Estimate], value: float, error: float
) -> None:
    """Gwet's abstractors (package irrCAC): the coefficients to seven digits, the limits to a hundredth."""
    found = coefficient(confusion(ABSTRACTORS))
    assert found.point == pytest.approx(value, abs=1e-7)
    assert (found.low, found.high) == pytest.approx((value - 1.96 * error, value + 1.96 * error), abs=0.01)


def test_alpha_of_a_published_table_of_two_raters() -> None:
    """The same abstractors: Krippendorff's alpha of irrCAC, point and limits."""
    ratings = [{"x": a, "y": b} for (a, b), times in ABSTRACTORS.items() for _ in range(times)]
    found = krippendorff_alpha(ratings)
    assert found.point == pytest.approx(0.7972585, abs=1e-7)
    assert (found.low, found.high) == pytest.approx((0.680, 0.914), abs=0.03)


def test_the_jackknife_is_the_one_that_leaves_out_each_pair_in_turn() -> None:
    """Leaving out all 20 pairs one by one and starting anew gives the same limits."""
    pairs = [("a", "a")] * 9 + [("b", "b")] * 6 + [("a", "b")] * 3 + [("b", "a")] * 2
    found = cohen_kappa(confusion(Counter(pairs)))
    without = [kappa(pairs[:place] + pairs[place + 1 :]) for place in range(20)]
    pseudo = np.asarray([20 * (found.point or 0) - 19 * (each or 0) for each in without])
    reach = 1.959964 * pseudo.std(ddof=1) / 20**0.5
    assert found.high - found.low == pytest.approx(2 * reach, rel=1e-6)


@pytest.mark.parametrize("n", [4, 10, 40])
def test_agreeing_every_time_is_not_certainty(n: int) -> None:
    """Few pairs that all agree leave room below 1, the more the fewer they are; so do items."""
    table = confusion({("a", "a"): n // 2, ("b", "b"): n - n // 2})
    ratings = [{"x": "ab"[place % 2], "y": "ab"[place % 2]} for place in range(n)]
    share = 1 - 0.025 ** (1 / n)
    for found in (cohen_kappa(table), gwet_ac1(table)):
        assert (found.point, found.high) == (1, 1)
        assert found.low == pytest.approx(max(1 - share / 0.5, -1))
    found = krippendorff_alpha(ratings)
    assert (found.point, found.high) == (1, 1)
    assert found.low == pytest.approx(max(1 - share / (n / (2 * n - 1)), -1))


@pytest.mark.parametrize("pairs", [{("a", "b"): 30}, {("a", "b"): 5, ("b", "a"): 5}])
def test_pairs_that_differ_without_any_spread_claim_nothing(pairs: dict[tuple[str, str], int]) -> None:
    """Whichever pair is left out, the rest is the same table: the limits stay open."""
    for found in (cohen_kappa(confusion(pairs)), gwet_ac1(confusion(pairs))):
        assert (found.point or 0) <= 0
        assert (found.low, found.high) == (-1, 1)


def test_without_pairs_there_is_no_coefficient() -> None:
    """An empty table has neither a point nor a limit, and no label has an agreement."""
    empty = confusion({})
    for found in (cohen_kappa(empty), gwet_ac1(empty)):
        assert (found.point, found.low, found.high, found.n) == (None, -1, 1, 0)
    assert agreement_by_label(empty, 0.05) == {}


def test_agreement_by_label_has_limits_and_shows_the_rare_one() -> None:
    """A label that the candidate gave up has a low upper limit though agreement is high overall."""
    table = confusion({("common", "common"): 900, ("rare", "common"): 90, ("rare", "rare"): 10})
    found = agreement_by_label(table, 0.05)
    assert found["rare"].high < 0.25
    assert found["common"].low > 0.99
    assert table.n == 1000


def test_jackknife_limits_cover_kappa() -> None:
    """Over 300 drawn tables the two-sided 95 % limits hold the true kappa in about 95 of 100."""
    dice = np.random.default_rng(3)
    cells = np.array([[0.5, 0.08], [0.07, 0.35]])
    chance = cells.sum(axis=0) @ cells.sum(axis=1)
    truth = (np.trace(cells) - chance) / (1 - chance)
    held = 0
    for drawn in dice.multinomial(200, cells.ravel(), 300):
        counts = {("ab"[i // 2], "ab"[i % 2]): int(k) for i, k in enumerate(drawn)}
        found = cohen_kappa(confusion(counts))
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 300 <= 0.99


def test_bootstrap_limits_cover_alpha() -> None:
    """Of 60 drawn samples of 80 items the two-sided 95 % limits hold the true alpha in nearly all."""
    dice = np.random.default_rng(8)
    # Three raters who each copy the truth, one of two even answers, four times out of five: each pair
    # differs in 2 x .8 x .2 of items, by chance in half of them.
    truth, held = 1 - 2 * 0.8 * 0.2 / 0.5, 0
    for run in range(60):
        right = dice.random(80) < 0.5
        wrong = dice.random((80, 3)) < 0.2
        answers = np.where(right[:, None] ^ wrong, "a", "b")
        found = krippendorff_alpha(
            [dict(zip("xyz", map(str, row), strict=True)) for row in answers], seed=run
        )
        held += found.low <= truth <= found.high
    assert 52 <= held <= 60
    assert found == krippendorff_alpha(
        [dict(zip("xyz", map(str, row), strict=True)) for row in answers], seed=59
    )


@given(rating_lists, st.permutations(NAMES), st.permutations("rstu"))
@settings(max_examples=40, deadline=None)
def test_alpha_knows_no_names(ratings: list[dict[str, str]], others: list[str], people: list[str]) -> None:
    """Renaming labels and annotators changes nothing, the limits included."""
    labels, names = dict(zip(NAMES, others, strict=True)), dict(zip("rstu", people, strict=True))
    renamed = [{names[who]: labels[what] for who, what in each.items()} for each in ratings]
    first, second = krippendorff_alpha(ratings), krippendorff_alpha(renamed)
    assert (first.point is None) == (second.point is None)
    assert (first.point or 0, first.low, first.high) == pytest.approx(
        (second.point or 0, second.low, second.high)
    )
    assert first.low <= first.high


def test_two_annotators_are_compared_on_what_both_rated() -> None:
    """Items that one of them left out do not count."""
    ratings = [{"ann": "a", "bo": "a"}, {"ann": "b", "bo": "a"}, {"ann": "b"}, {"bo": "a", "cy": "a"}] * 5
    found = pairwise_kappa(ratings)
    assert set(found) == {("ann", "bo"), ("bo", "cy")}
    assert found["ann", "bo"].n == 10
