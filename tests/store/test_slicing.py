"""A slice in DuckDB holds the very calls that the evidence counts in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.slices import name_of, slice_values
from workbench.specs import SliceRule
from workbench.store import Store
from workbench.store.slicing import condition, slicing

RULES = (
    SliceRule("language"),
    SliceRule("input_length"),
    SliceRule("turn_depth"),
    SliceRule("tool_use"),
    SliceRule("model"),
    SliceRule("attributes.tenant"),
    SliceRule("attributes.a.b", name="nested"),
    SliceRule("attributes.x/y~z", name="odd"),
    SliceRule("attributes.risk", name="risk", edges=(0.5, 2.0)),
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.5, "acme", "", "'); --"])
)
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "language": st.none() | st.sampled_from(["de", "en", "other", ""]),
            "input_chars": st.none() | st.integers(1, 9),
            "turn_depth": st.none() | st.integers(1, 6),
            "tool_count": st.none() | st.integers(0, 2),
            "model": st.none() | st.sampled_from([f"m{n}" for n in range(24)]),
            "attributes": st.fixed_dictionaries(
                {},
                optional={
                    "tenant": SCALARS | st.lists(st.integers(), max_size=1),
                    "a": SCALARS | st.fixed_dictionaries({}, optional={"b": SCALARS}),
                    "a.b": SCALARS,
                    "x/y~z": SCALARS,
                    "risk": SCALARS,
                },
            ),
        }
    ),
    min_size=1,
    max_size=60,
)


def row(number: int, call: dict[str, Any]) -> dict[str, Any]:
    """Return a call as its table has it."""
    plain = dict.fromkeys(("source", "request_hash", "content_hash", "request"), "x")
    return {
        **plain, **call, "call_id": f"c{number:03}", "manifest_id": "m", "native_id": str(number),
        "task": "t", "attributes": json.dumps(call["attributes"]), "marks": [],
        "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Any:
    """Give an empty store."""
    with Store.open(tmp_path / "s.duckdb") as opened:
        yield opened


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CALLS)
def test_every_value_finds_the_calls_that_the_evidence_gives_it(store: Store, calls: list[Any]) -> None:
    """For any log and every kind of rule, DuckDB finds for each value the calls that Python gave it."""
    with store.writing() as writer:
        writer.execute("DELETE FROM calls")
        writer.append("calls", [row(number, call) for number, call in enumerate(calls)])
    for rule in RULES:
        expected: dict[str, list[str]] = {}
        for number, value in enumerate(slice_values([rule], calls)[name_of(rule)]):
            expected.setdefault(value, []).append(f"c{number:03}")
        found = slicing(store, "t", rule)
        assert found is not None
        assert found.counts == {value: len(members) for value, members in expected.items()}, rule
        for value, members in expected.items():
            part = found.part(value)
            assert part is not None
            text, values = condition(part)
            sql = f"SELECT call_id FROM calls c WHERE {text} ORDER BY call_id"  # noqa: S608 - what is tested
            assert [each["call_id"] for each in store.rows(sql, values)] == members, (rule, value)
        assert found.part("no such value") is None
