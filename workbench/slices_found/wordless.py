"""Slices whose values are words of the calls, with numbers in their place: for those who read no text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from workbench.slices import OTHER, UNKNOWN

TEMPLATE, CLUSTER = "template", "similar inputs"
WORDY = (TEMPLATE, CLUSTER)
"""Slicings whose values quote prompts or inputs; those of all others are facts about a call."""


def numbers_for(name: str, values: Sequence[str]) -> dict[str, str]:
    """Return what stands for each value of a slicing: `template 1` for the commonest, and so on.

    Args:
        name: What the slicing is called.
        values: The value of each call. Other and unknown ones quote nothing, and stay.
    """
    counts = Counter(each for each in values if each not in (OTHER, UNKNOWN))
    ordered = sorted(counts, key=lambda each: (-counts[each], each))
    return {each: f"{name} {number}" for number, each in enumerate(ordered, start=1)}


def without_words(
    slicings: Mapping[str, list[str]], shares: Mapping[tuple[str, str], float]
) -> tuple[dict[str, list[str]], dict[tuple[str, str], float]]:
    """Return slicings, and the share of traffic by slice, without a word of any call.

    Args:
        slicings: The value of each call by the name of the slicing.
        shares: Share of the traffic by name and value.
    """
    numbers = {name: numbers_for(name, slicings[name]) for name in WORDY if name in slicings}
    changed = {name: [numbers[name].get(each, each) for each in slicings[name]] for name in numbers}
    told = {(name, numbers.get(name, {}).get(value, value)): share for (name, value), share in shares.items()}
    return {**slicings, **changed}, told
