"""A slice as a condition on calls, so that DuckDB counts and filters by what the evidence is split by.

A slice's value is a function of one entry of the log. It is worked out here once for each
distinct entry, by the very code that splits the evidence, and a query then looks for entries.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.slices import (
    ATTRIBUTE,
    OTHER,
    column_of,
    entry_values,
    known_rule,
)
from workbench.specs import SliceRule
from workbench.stats.cluster import firsts
from workbench.store.calls import FRONTIER_MODEL
from workbench.store.conflicting import not_in_conflict
from workbench.store.remembered import TornRead

if TYPE_CHECKING:
    from workbench.store import Store

MOST_ENTRIES = 50_000
"""Distinct entries of the log that are looked at; what has more identifies calls and groups none."""


@dataclass(frozen=True, slots=True)
class SlicePart:
    """The calls of one value of a slice: those with one of `entries`, or with none of them.

    `missing` says whether calls without an entry belong to it.
    """

    rule: SliceRule
    value: str
    entries: tuple[Any, ...]
    missing: bool
    all_but: bool = False


@dataclass(frozen=True, slots=True)
class Slicing:
    """What the calls of a task are split into by one rule: calls by value, the commonest first."""

    rule: SliceRule
    counts: dict[str, int]
    entries: dict[Any, str]

    def part(self, value: str) -> SlicePart | None:
        """Return the calls of a value, or None where no call has it."""
        if value not in self.counts:
            return None
        missing = self.entries.get(None) == value
        known = {entry: mine for entry, mine in self.entries.items() if entry is not None}
        mine = tuple(entry for entry, its in known.items() if its == value)
        if value == OTHER or 2 * len(mine) > len(known):
            rest = tuple(entry for entry, its in known.items() if its != value)
            return SlicePart(self.rule, value, rest, missing, all_but=True)
        return SlicePart(self.rule, value, mine, missing)


def slicing(store: Store, task: str, rule: SliceRule) -> Slicing | None:
    """Return what a rule splits the usable calls of a task into, rare values as `other`.

    Args:
        store: Where the calls are.
        task: The task.
        rule: What to split by, declared or not.

    Returns:
        None where the entries are too many to be groups.
    """
    expression, values = entry_of(rule)
    found = store.each(
        lambda entry, n: (entry, n),
        f"""
        SELECT entry, count(*) AS n FROM (
            SELECT {expression} AS entry FROM calls c
            WHERE c.task = ? AND {not_in_conflict(store, "c")})
        GROUP BY entry ORDER BY n DESC, entry LIMIT {MOST_ENTRIES + 1}
        """,  # noqa: S608 - an expression of this module, and a constant
        [*values, task],
    )
    if len(found) > MOST_ENTRIES:
        return None
    named = _named(rule, found)
    joined: Counter[str] = Counter()
    for (_, n), value in zip(found, named, strict=True):
        joined[value] += n
    entries = {entry: value for (entry, _), value in zip(found, named, strict=True)}
    return Slicing(rule, dict(joined.most_common()), entries)


def sliced_calls(
    store: Store, task: str, rules: Sequence[SliceRule]
) -> tuple[NDArray[np.int64], list[tuple[list[str], NDArray[np.int64]]]]:
    """Return what rules split each usable call of a task into.

    Args:
        store: Where the calls are.
        task: The task.
        rules: What to split by.

    Returns:
        The calls' numbers in the store, ascending; and for each rule its values, and of every call the
        place of its own among them.

    Raises:
        TornRead: Calls changed meanwhile.
    """
    expressions = [entry_of(rule) for rule in rules]
    hashes = ", ".join(f"hash({text}) AS by_{place}" for place, (text, _) in enumerate(expressions))
    columns = store.columns(
        f"""
        SELECT c.seq, {hashes} FROM calls c
        WHERE c.task = ? AND {not_in_conflict(store, "c")} ORDER BY c.seq
        """,  # noqa: S608 - expressions of this module
        [*(each for _, values in expressions for each in values), task],
    )
    seq = columns["seq"]
    return seq, [_split(store, rule, seq, columns[f"by_{place}"]) for place, rule in enumerate(rules)]


def _split(
    store: Store, rule: SliceRule, seq: NDArray[np.int64], hashes: NDArray[np.uint64]
) -> tuple[list[str], NDArray[np.int64]]:
    """Return a rule's values and the place of each call's own: each distinct entry is read from one call."""
    import pandas as pd

    # Two entries of one 64-bit hash among a million are as likely as 1 in 30 million.
    codes, distinct = pd.factorize(hashes)
    chosen = seq[firsts(codes)].tolist()
    expression, values = entry_of(rule)
    read = store.rows(
        f"SELECT c.seq, {expression} AS entry FROM calls c WHERE c.seq IN (SELECT unnest(?::BIGINT[]))",  # noqa: S608 - an expression of this module
        [*values, chosen],
    )
    if len(read) != distinct.size:
        raise TornRead
    entry_at = {row["seq"]: row["entry"] for row in read}
    counts = np.bincount(codes, minlength=distinct.size).tolist()
    entries = [(entry_at[number], n) for number, n in zip(chosen, counts, strict=True)]
    number_of: dict[str, int] = {}
    own = [number_of.setdefault(value, len(number_of)) for value in _named(rule, entries)]
    return list(number_of), np.asarray(own, dtype=np.int64)[codes]


def _named(rule: SliceRule, found: Sequence[tuple[Any, int]]) -> list[str]:
    """Return the value of each distinct entry, of which so many calls have each."""
    column = column_of(rule)
    return entry_values(rule, [_call(rule, entry)[column] for entry, _ in found], [n for _, n in found])


def entry_of(rule: SliceRule) -> tuple[str, list[Any]]:
    """Return what a slice reads of a call `c`, as fixed text with its parameters.

    Raises:
        ValueError: A slice can't be made by this key.
    """
    if not known_rule(rule.by):
        raise ValueError(f"no slice can be made by {rule.by!r}")
    if not rule.by.startswith(ATTRIBUTE):
        return FRONTIER_MODEL if rule.by == "model" else f"c.{column_of(rule)}", []
    name = rule.by.removeprefix(ATTRIBUTE)
    if "." not in name:
        return "CAST(json_extract(c.attributes, ?) AS VARCHAR)", [_pointer([name])]
    # The attribute of that name, else the one inside objects; a name that stands there counts, null or not.
    paths = [_pointer([name]), _pointer(name.split("."))]
    return "CAST(coalesce(json_extract(c.attributes, ?), json_extract(c.attributes, ?)) AS VARCHAR)", paths


def condition(part: SlicePart) -> tuple[str, list[Any]]:
    """Return what holds of the calls `c` of a slice's value, as fixed text with its parameters."""
    expression, values = entry_of(part.rule)
    missing = "true" if part.missing else "false"
    if not part.entries:
        # Of no entry all are outside, and none is inside.
        return f"CASE WHEN {expression} IS NULL THEN {missing} ELSE ? END", [*values, part.all_but]
    no = "NOT " if part.all_but else ""
    # Without an entry it is neither inside nor outside.
    # A set of entries is looked up in half the time that a list takes.
    inside = f"{expression} IN (SELECT unnest(?))"
    return f"coalesce({no}({inside}), {missing})", [*values, list(part.entries)]


def _pointer(keys: list[str]) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def _call(rule: SliceRule, entry: Any) -> Mapping[str, Any]:
    if not rule.by.startswith(ATTRIBUTE):
        return {column_of(rule): entry}
    value = None if entry is None else json.loads(entry)
    return {"attributes": {rule.by.removeprefix(ATTRIBUTE): value}}
