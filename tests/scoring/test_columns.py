"""Evidence from columns: the same as from an object a call."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from workbench.records import Basis, EvalKind, LabelVerdict, Verdict
from workbench.review import DrawState, EffectiveVerdict, Plan, State
from workbench.review.states import Vote
from workbench.scoring.columns import calls_of, judged
from workbench.scoring.evidence import audit_rows
from workbench.scoring.sliced import Sliced
from workbench.slices import entry_values, name_of, slice_values
from workbench.specs import EvalConfig, FieldRule, SliceRule
from workbench.stats.audit import from_calls
from workbench.stats.calls import Calls, Named
from workbench.store.compared import NO_SESSION

LABELS = ("fraud", "other", "fraud, other")
EVALS = (
    EvalConfig("t", EvalKind.LABEL, labels=("fraud", "other")),
    EvalConfig("t", EvalKind.LABEL, labels=("fraud", "other"), critical_labels=("fraud",)),
    EvalConfig("t", EvalKind.LABEL, labels=("fraud", "other"), critical_labels=("fraud",), several=True),
    EvalConfig(
        "t", EvalKind.FIELDS, fields=(FieldRule("city", required=True), FieldRule("sum", critical=True))
    ),
)
maybe = st.sampled_from((NO_SESSION, 7, -3, 12))
field = st.tuples(st.sampled_from(("city", "sum", "more")), st.booleans(), st.booleans(), st.booleans())
call = st.fixed_dictionaries(
    {
        "batch_order": st.integers(0, 2),
        "verdict": st.sampled_from([each.value for each in Verdict if each is not Verdict.UNCOMPARABLE]),
        "identical": st.booleans(),
        "invalid": st.booleans(),
        "control_group": st.none() | st.sampled_from(LABELS),
        "candidate_group": st.none() | st.sampled_from(LABELS),
        "session": maybe,
        "request": st.integers(1, 3),
        "parts": st.none() | st.lists(field, max_size=3),
        "said": st.none() | st.sampled_from(LabelVerdict),
        "counted": st.booleans(),
        "grave": st.booleans(),
        "adjudicated": st.booleans(),
        "plan": st.none() | st.sampled_from((Plan.AUDIT, Plan.SECOND_REVIEW)),
        "state": st.sampled_from(State),
        "kind": st.integers(0, 2),
    }
)
KINDS = ((("language", "en"),), (("language", "de"), ("length", "long")), ())


@given(
    st.sampled_from(EVALS), st.lists(call, max_size=12), st.dictionaries(maybe, st.integers(0, 4), max_size=3)
)
def test_columns_hold_what_rows_hold(config: EvalConfig, made: list[dict[str, Any]], logged: Any) -> None:
    """Whatever was compared, labelled and drawn, columns give the evidence that rows give."""
    made = sorted(made, key=lambda each: each["batch_order"])
    frame = pd.DataFrame([_row(place, each) for place, each in enumerate(made)], columns=_row(0, {}).keys())
    verdicts = {
        ("r", f"{place:02}"): _verdict(place, each) for place, each in enumerate(made) if each["said"]
    }
    states = [_state(place, each) for place, each in enumerate(made) if each["plan"]]
    sessions = {number: n for number, n in logged.items() if number != NO_SESSION}
    kinds = [each["kind"] for each in made]
    sliced = Sliced(np.arange(len(made)), np.asarray(kinds, dtype=np.int64), KINDS)
    by_call = {f"{place:02}": KINDS[kind] for place, kind in enumerate(kinds)}

    rows = Calls.of(
        audit_rows(config, frame, verdicts, states, by_call),
        {str(number): n for number, n in sessions.items()},
    )
    at = {each: int(each) for each in judged(verdicts, states)}
    in_log = pd.Series(sessions.values(), index=pd.Index(list(sessions), dtype=np.int64), dtype=np.int64)
    columns = calls_of(config, frame, verdicts, states, at, sliced, in_log)

    for name in rows.table.__slots__:
        assert getattr(rows.table, name).tolist() == getattr(columns.table, name).tolist(), name
    for name in ("batch", "whole", "logged"):
        assert getattr(rows, name).tolist() == getattr(columns, name).tolist(), name
    for name in ("control", "candidate"):
        assert _said(getattr(rows, name)) == _said(getattr(columns, name))
    assert _plain(rows.parts) == _plain(columns.parts)
    assert rows.ignored == columns.ignored
    assert columns.place_of.items() <= rows.place_of.items()
    assert [rows.kinds[kind] for kind in rows.kind] == [columns.kinds[kind] for kind in columns.kind]
    drawn = {state.call_id for state in states} | {call for _, call in verdicts}
    assert drawn <= columns.place_of.keys()


def test_no_call_at_all_gives_empty_evidence() -> None:
    """Without a compared call there is evidence of nothing, and no error."""
    frame = pd.DataFrame([], columns=_row(0, {}).keys())
    found = from_calls(calls_of(EVALS[3], frame, {}, [], {}), basis=Basis.STRUCTURAL)
    assert found.task.compared == 0
    assert found.sessions is None


entry = st.none() | st.integers(0, 9) | st.sampled_from(("en", "de", "", "x" * 90))
RULES = (
    SliceRule("language"),
    SliceRule("input_length"),
    SliceRule("input_length", edges=(3.0, 6.0)),
    SliceRule("turn_depth"),
    SliceRule("tool_use"),
    SliceRule("attributes.region", edges=(2.0,)),
)


@given(st.sampled_from(RULES), st.lists(entry, max_size=60))
def test_slices_are_the_same_by_distinct_entry_as_call_by_call(rule: SliceRule, entries: list[Any]) -> None:
    """Looking at each distinct entry of the log once gives every call the value it gets by itself."""
    source = {"language": "language", "input_length": "input_chars", "turn_depth": "turn_depth"}
    column = source.get(rule.by, "tool_count" if rule.by == "tool_use" else "attributes")
    if column == "attributes":
        entries = [msgspec.json.encode({"region": each}).decode() for each in entries]
    else:
        entries = [
            each for each in entries if isinstance(each, str) == (column == "language") or each is None
        ]
    distinct = [each for each in dict.fromkeys(entries) if each is not None]
    counts = [*(entries.count(each) for each in distinct), entries.count(None)]
    value_of = dict(zip([*distinct, None], entry_values(rule, [*distinct, None], counts), strict=True))
    expected = slice_values([rule], [{column: each} for each in entries])[name_of(rule)]
    assert [value_of[each] for each in entries] == expected


def _row(place: int, made: dict[str, Any]) -> dict[str, Any]:
    parts = made.get("parts")
    return {
        "replay_id": "r",
        "call_id": f"{place:02}",
        "batch_order": made.get("batch_order"),
        "verdict": made.get("verdict"),
        "identical": made.get("identical"),
        "invalid": made.get("invalid"),
        "control_group": made.get("control_group"),
        "candidate_group": made.get("candidate_group"),
        "session": made.get("session"),
        "request": made.get("request"),
        "parts": None if parts is None else msgspec.json.encode(parts).decode(),
        "call_seq": place,
    }


def _verdict(place: int, made: dict[str, Any]) -> EffectiveVerdict:
    vote = Vote("l", made["said"], "ann", "queue", ("critical",) if made["grave"] else ())
    return EffectiveVerdict(
        replay_id="r",
        call_id=f"{place:02}",
        verdict=made["said"],
        annotator="ann",
        source="queue",
        votes=(vote,),
        counted=made["counted"],
        disputed=False,
        adjudicated=made["adjudicated"],
    )


def _state(place: int, made: dict[str, Any]) -> DrawState:
    return DrawState(
        draw_id=str(place),
        plan=made["plan"],
        position=place,
        replay_id="r",
        call_id=f"{place:02}",
        stratum="all",
        stratum_share=1.0,
        draw_probability=1.0,
        weight=1.0,
        weight_max=1.0,
        state=made["state"],
        verdict=made["said"],
        effective=None,
        leased_to=None,
        lease_expires_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def _said(named: Named) -> list[str | None]:
    return [None if code < 0 else named.names[code] for code in named.codes.tolist()]


def _plain(parts: Any) -> dict[Any, Any]:
    return {key: (places.tolist(), agrees.tolist()) for key, (places, agrees) in parts.items()}
