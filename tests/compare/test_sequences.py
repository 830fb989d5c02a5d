"""Runs of two sequences: they give both back, equal runs are equal, and no more is unequal than must be."""

from difflib import SequenceMatcher
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from workbench.compare.sequences import runs

WORDS = st.lists(st.sampled_from(["a", "b", "c", " ", "ü"]), max_size=40)


@given(WORDS, WORDS)
def test_runs_cover_both_sequences_in_order(first: list[str], second: list[str]) -> None:
    """One run begins where the last one ended, equal and unequal ones in turn."""
    found = runs(first, second)
    for side, items in (("first", first), ("second", second)):
        places = [getattr(each, side) for each in found]
        assert [x for a, b in places for x in range(a, b)] == list(range(len(items)))
    for each in found:
        same = first[slice(*each.first)] == second[slice(*each.second)]
        assert same == each.equal
    assert all(a.equal != b.equal for a, b in pairwise(found))


@given(WORDS, WORDS)
def test_as_much_is_equal_as_can_be(first: list[str], second: list[str]) -> None:
    """The equal runs are at least as long as any other way finds, and swapping sides changes nothing."""
    equal = sum(each.first[1] - each.first[0] for each in runs(first, second) if each.equal)
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    assert equal >= sum(block.size for block in matcher.get_matching_blocks())
    assert equal == sum(each.first[1] - each.first[0] for each in runs(second, first) if each.equal)
