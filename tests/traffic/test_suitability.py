"""The checklist: every line has its measured value and its reason, and says so where nothing is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench.compare.features import facts_beyond
from workbench.records import Message, Request
from workbench.traffic.shapes import Shape, ShapeKind
from workbench.traffic.suitability import Measured, Speaks, checklist, weekly_shift

GOOD = Measured(
    shape=Shape(ShapeKind.LABELS, 1.0, 900, labels={"a": 500, "b": 400}),
    calls=900,
    calls_per_day=5_000,
    duplicate_share=0.3,
    input_tokens=200,
    input_chars=800,
    multi_turn_share=0,
    tool_share=0,
    tools=0,
    languages={"en": 890, "": 10},
    new_facts=0.0,
    facts=100,
    shift=0.02,
    weeks=4,
)


def line(found: Measured, name: str) -> Speaks:
    return next(each.speaks for each in checklist(found) if each.name == name)


def test_a_narrow_steady_workload_speaks_for_itself_on_every_line() -> None:
    """Nine lines, each with a value and a reason."""
    found = checklist(GOOD)
    assert [each.speaks for each in found] == [Speaks.FOR] * 9
    assert all(each.value and each.reason for each in found)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"shape": Shape(ShapeKind.LONG, 1.0, 900, median_tokens=900.0)}, "narrow output"),
        ({"calls_per_day": 20}, "volume"),
        ({"input_tokens": 20_000}, "short context"),
        ({"multi_turn_share": 0.6}, "few turns"),
        ({"tool_share": 0.9, "tools": 12}, "no tools or few"),
        ({"languages": dict.fromkeys(("en", "de", "fr", "es", "ja", "it"), 100)}, "one language"),
        ({"shape": Shape(ShapeKind.SHORT, 1.0, 900), "new_facts": 0.5}, "no knowledge of its own"),
        ({"shift": 0.6}, "stability"),
    ],
)
def test_each_line_can_speak_against(change: dict[str, object], name: str) -> None:
    """And no other line changes with it."""
    changed = replace(GOOD, **change)  # type: ignore[arg-type]
    assert line(changed, name) is Speaks.AGAINST
    others = [each for each in checklist(changed) if each.name != name and each.speaks is Speaks.AGAINST]
    assert not others


def test_what_is_not_known_speaks_neither_way() -> None:
    """No volume, no languages, no weeks and no facts are no evidence."""
    nothing = replace(
        GOOD,
        shape=Shape(ShapeKind.NONE, 0, 0),
        calls_per_day=None,
        languages={"": 9},
        new_facts=None,
        facts=0,
        shift=None,
    )
    for name in ("narrow output", "volume", "one language", "no knowledge of its own", "stability"):
        assert line(nothing, name) is Speaks.UNCLEAR


def test_a_language_that_few_calls_show_speaks_neither_way() -> None:
    """One call in ten is too little to say that all are of one language, and the line says so."""
    few = next(
        each for each in checklist(replace(GOOD, languages={"en": 10, "": 90})) if "language" in each.name
    )
    assert few.speaks is Speaks.UNCLEAR
    assert "in the main one of the 10" in few.value
    assert line(GOOD, "one language") is Speaks.FOR


def test_thin_weeks_are_no_shift() -> None:
    """A week with ten calls says nothing; two full ones do."""
    assert weekly_shift([{"en/5": 10}, {"de/5": 10}]) == (None, 0)
    shift, weeks = weekly_shift([{"en/5": 500}, {"de/5": 3}, {"en/5": 250, "de/5": 250}])
    assert weeks == 2
    assert shift is not None
    assert shift > 0.25
    assert weekly_shift([{"en/5": 500}, {"en/5": 800}])[0] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("answer", "asked", "expected"),
    [
        ("Order 4711 ships on 3 March 2026.", "Does order 4711 ship on 3 March 2026?", 0),
        ("It was Marie Curie, born in 1867.", "Who found radium?", 2),
        ("billing", "my invoice is wrong", 0),
    ],
)
def test_facts_that_a_request_lacks_are_counted(answer: str, asked: str, expected: int) -> None:
    """What the model had to know is told from what it was given."""
    found = facts_beyond(answer, Request((Message("user", asked),)))
    assert found is not None
    lacking, facts = found
    assert facts >= lacking >= expected
    assert (lacking == 0) == (expected == 0)


def test_facts_are_not_counted_where_the_request_is_not_text() -> None:
    """A picture may hold anything."""
    picture = Message("user", [{"type": "image_url", "image_url": {"url": "data:"}}])
    assert facts_beyond("It is 1867.", Request((picture,))) is None
