"""Agreement beyond chance, against definitions written out in full and published examples."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.stats.agreement import (
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
    """The same coefficient as beside the recommendation; swapping the sides changes nothing."""
    found = cohen_kappa(confusion(Counter(pairs)))
    swapped = cohen_kappa(confusion(Counter((b, a) for a, b in pairs)))
    expected = kappa(pairs)
    assert (found.point is None) == (expected is None)
    if found.point is not None and expected is not None:
        assert found.point == pytest.approx(expected)
        assert swapped.point == pytest.approx(found.point)
        assert found.low - 1e-9 <= found.point <= found.high + 1e-9


@given(pair_lists, st.permutations(NAMES))
@settings(max_examples=60, deadline=None)
def test_names_of_categories_do_not_matter(pairs: list[tuple[str, str]], others: list[str]) -> None:
    """Renaming the labels changes neither coefficient."""
    names = dict(zip(NAMES, others, strict=True))
    renamed = Counter((names[a], names[b]) for a, b in pairs)
    for coefficient in (cohen_kappa, gwet_ac1):
        first, second = coefficient(confusion(Counter(pairs))), coefficient(confusion(renamed))
        assert first.point == pytest.approx(second.point) if first.point is not None else second.point is None


def test_ac1_stays_where_kappa_falls() -> None:
    """Gwet's case: 118 and 2 of 125 pairs agree, 5 don't; kappa is .2 lower than anybody would say."""
    table = confusion({("+", "+"): 118, ("+", "-"): 5, ("-", "-"): 2})
    assert gwet_ac1(table).point == pytest.approx(0.9570, abs=2e-3)
    assert (cohen_kappa(table).point or 0) < 0.5


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


def test_two_annotators_are_compared_on_what_both_rated() -> None:
    """Items that one of them left out do not count."""
    ratings = [{"ann": "a", "bo": "a"}, {"ann": "b", "bo": "a"}, {"ann": "b"}, {"bo": "a", "cy": "a"}] * 5
    found = pairwise_kappa(ratings)
    assert set(found) == {("ann", "bo"), ("bo", "cy")}
    assert found["ann", "bo"].n == 10
