"""Slices: what is known before a call, as values that a router can use."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.slices import OTHER, UNKNOWN, edges_of, name_of, rare_as_other, slice_values, value_of
from workbench.specs import SliceRule


@pytest.mark.parametrize(
    ("rule", "call", "value"),
    [
        (SliceRule("language"), {"language": "de"}, "de"),
        (SliceRule("language"), {"language": None}, UNKNOWN),
        (SliceRule("turn_depth"), {"turn_depth": 1}, "1"),
        (SliceRule("turn_depth"), {"turn_depth": 9}, "4 or more"),
        (SliceRule("tool_use"), {"tool_count": 0}, "without tools"),
        (SliceRule("tool_use"), {"tool_count": 2}, "with tools"),
        (SliceRule("model"), {"model": "frontier"}, "frontier"),
        (SliceRule("attributes.tenant"), {"attributes": '{"tenant": "acme"}'}, "acme"),
        (SliceRule("attributes.a.b"), {"attributes": {"a": {"b": 3.0}}}, "3"),
        (SliceRule("attributes.a.b"), {"attributes": {"a.b": True}}, "true"),
        (SliceRule("attributes.tenant"), {"attributes": "not json"}, UNKNOWN),
        (SliceRule("attributes.tenant"), {"attributes": {"tenant": ["x"]}}, UNKNOWN),
        (SliceRule("attributes.risk", edges=(0.5,)), {"attributes": {"risk": 0.5}}, "0.5 and more"),
        (SliceRule("attributes.risk", edges=(0.5,)), {"attributes": {"risk": 0.4}}, "under 0.5"),
    ],
)
def test_a_slice_has_one_value_for_every_call(rule: SliceRule, call: dict[str, Any], value: str) -> None:
    """What is missing or unreadable is a value of its own."""
    assert value_of(rule, call, rule.edges) == value


def test_lengths_fall_into_five_bins_of_about_equal_size() -> None:
    """Quintile limits come from all calls of the task."""
    calls = [{"input_chars": length} for length in range(1, 101)]
    found = slice_values([SliceRule("input_length", name="length")], calls)
    assert sorted(Counter(found["length"]).values()) == [20] * 5
    assert found["length"][0] == "under 21"
    assert found["length"][-1] == "81 and more"


def test_declared_edges_are_kept_and_equal_lengths_make_one_bin() -> None:
    """Edges of the eval count; without any spread there is nothing to split."""
    assert edges_of(SliceRule("input_length", edges=(50.0, 10.0)), [1, 2]) == (10.0, 50.0)
    assert edges_of(SliceRule("input_length"), [7] * 100) == ()


def test_rare_values_are_put_together() -> None:
    """Tenants with a handful of calls can't carry a decision each."""
    values = ["big"] * 50 + ["mid"] * 5 + ["x", "y", "z"]
    assert Counter(rare_as_other(values)) == {"big": 50, "mid": 5, OTHER: 3}


@given(st.lists(st.sampled_from("abcdefgh"), max_size=200))
def test_no_call_is_lost_by_putting_rare_values_together(values: list[str]) -> None:
    """Every call keeps a value, its own or `other`."""
    found = rare_as_other(values)
    assert len(found) == len(values)
    assert all(after in (before, OTHER) for before, after in zip(values, found, strict=True))


def test_a_slice_is_named_by_its_rule() -> None:
    """An attribute's slice is called like the attribute unless the rule names it."""
    assert name_of(SliceRule("attributes.tenant")) == "tenant"
    assert name_of(SliceRule("attributes.tenant", name="customer")) == "customer"
