"""Slices that nobody declared, found from what is known before a call. Pure.

Language, length, turns, tools, model, template, attributes with few values, clusters of
similar inputs, and inputs far from all others. None of them looks at an output, so that
the bounds of all slices together hold at delta over their number (`ranking`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.slices import ATTRIBUTE, MOST_VALUES, RARE_CALLS, UNKNOWN, rare_as_other, slice_values
from workbench.slices_found.clusters import Places, Vectors, cluster_count, far_from_all, k_means
from workbench.slices_found.ranking import (
    FoundSlice,
    LengthLimit,
    length_keys,
    length_limits,
    longest_within,
    ranked,
)
from workbench.slices_found.wordings import masked, names_of, templates
from workbench.slices_found.wordless import CLUSTER, TEMPLATE, WORDY, numbers_for, without_words
from workbench.specs import SliceRule

__all__ = [
    "CLUSTER",
    "TAIL",
    "TEMPLATE",
    "WORDY",
    "FoundSlice",
    "LengthLimit",
    "attributes_with_few_values",
    "cluster_count",
    "clusters_and_tail",
    "far_from_all",
    "find",
    "k_means",
    "length_keys",
    "length_limits",
    "longest_within",
    "masked",
    "names_of",
    "numbers_for",
    "ranked",
    "templates",
    "without_words",
]

KNOWN = ("language", "input_length", "turn_depth", "tool_use", "model")
MOST_ATTRIBUTES = 10
FEWEST_CALLS = 20
"""Values with fewer calls are put together: they prove nothing, and each costs the others certainty."""
KNOWN_SHARE = 0.5
"""An attribute that fewer of the calls have says more about the log than about the calls."""
TAIL = "neighbourhood"
FAR, NEAR = "long tail", "among similar ones"


def find(
    calls: Sequence[Mapping[str, Any]], systems: Sequence[str], texts: Sequence[str]
) -> dict[str, list[str]]:
    """Return every slicing that splits the calls, without those that need embeddings.

    Args:
        calls: What `slices.value_of` takes, with `attributes` as objects.
        systems: System prompt of each call.
        texts: Input of each call: the last message of the user.

    Returns:
        The value of each call by the name of the slicing, rare values as `other`.
    """
    rules = [SliceRule(by) for by in KNOWN]
    rules += [SliceRule(f"{ATTRIBUTE}{name}", name=name) for name in attributes_with_few_values(calls)]
    found = slice_values(rules, calls)
    found[TEMPLATE] = templates(systems, texts)
    return _splitting(found)


def attributes_with_few_values(calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the attributes that split the calls into a few groups, the best known ones first.

    Half of the calls must have the attribute, with two to twenty values that five calls
    share on average. At most ten attributes are taken.

    Args:
        calls: With `attributes` as objects; those inside an object are named `outer.inner`.
    """
    seen: dict[str, Counter[str]] = {}
    for call in calls:
        for name, value in _flat(call.get("attributes")):
            seen.setdefault(name, Counter())[str(value)] += 1
    few = [
        (-counts.total(), name)
        for name, counts in seen.items()
        if 2 <= len(counts) <= MOST_VALUES
        and counts.total() >= max(KNOWN_SHARE * len(calls), RARE_CALLS * len(counts))
    ]
    taken = {*KNOWN, TEMPLATE, CLUSTER, TAIL}
    return [name for _, name in sorted(few) if name not in taken][:MOST_ATTRIBUTES]


def _flat(attributes: Any) -> list[tuple[str, Any]]:
    if not isinstance(attributes, Mapping):
        return []
    found = []
    for name, value in attributes.items():
        inner = value.items() if isinstance(value, Mapping) else ()
        found += [(f"{name}.{key}", each) for key, each in inner if isinstance(each, (str, int, float, bool))]
        if isinstance(value, (str, int, float, bool)):
            found.append((str(name), value))
    return found


def clusters_and_tail(
    vectors: Vectors, input_of: Places, texts: Sequence[str], *, seed: int = 0
) -> dict[str, list[str]]:
    """Return the slicings that need embeddings: similar inputs, and those far from all others.

    Args:
        vectors: One of length 1 for each distinct input, shape (m, d).
        input_of: Which input each call has, 0..m-1, or -1 where it has no vector.
        texts: The distinct inputs, for the names of the clusters.
        seed: Of the first centres.
    """
    known = np.flatnonzero(input_of >= 0)
    if not known.size:
        return {}
    found = {}
    k = cluster_count(len(vectors))
    if k:
        cluster = k_means(vectors, k, seed=seed)
        names = names_of(texts, cluster)
        values = [names[cluster[place]] if place >= 0 else UNKNOWN for place in input_of.tolist()]
        found[CLUSTER] = values
    calls = np.bincount(input_of[known], minlength=len(vectors))
    far = far_from_all(vectors, calls, seed=seed)
    if far.any():
        found[TAIL] = [UNKNOWN if place < 0 else FAR if far[place] else NEAR for place in input_of.tolist()]
    return _splitting(found)


def _splitting(found: Mapping[str, list[str]]) -> dict[str, list[str]]:
    joined = {name: rare_as_other(values, FEWEST_CALLS) for name, values in found.items()}
    return {name: values for name, values in joined.items() if len(set(values)) > 1}
