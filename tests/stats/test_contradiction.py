"""Calls judged in order that contradict the rest hold the share, and more harm never ends that."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.ramp import State, recommend
from workbench.records import Basis, LabelVerdict, Policy, Recommendation
from workbench.stats.audit import AuditRow, from_rows
from workbench.stats.bounds import anytime_lower, anytime_upper
from workbench.stats.rows import SEVERITY

WORSE, EQUAL = LabelVerdict.CONTROL_BETTER, LabelVerdict.EQUAL
Rows = list[AuditRow]


def calls(n: int) -> Rows:
    return [AuditRow(f"c{i}", 0, f"{i:05d}", agrees=True, identical=True) for i in range(n)]


def differing(rows: Rows, *places: int, verdict: LabelVerdict | None = None, lapsed: bool = False) -> None:
    for place in places:
        rows[place] = replace(
            rows[place], agrees=False, identical=False, verdict=verdict, lapsed=lapsed, invalid=False
        )


def failing(rows: Rows, *places: int, lapsed: bool) -> None:
    for place in places:
        rows[place] = replace(
            rows[place], agrees=False, identical=False, verdict=None, lapsed=lapsed, invalid=True
        )


def early_harm() -> Rows:
    """Four of the first 39 calls get worse, and of 9,960 after them none differs: 1.2 % against 0.14 %."""
    rows = calls(10_000)
    differing(rows, 3, 11, 19, 27, verdict=WORSE)
    differing(rows, 40)
    return rows


def decide(rows: Rows, policy: Policy | None = None, share: float = 0.0) -> Recommendation:
    evidence = from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10)
    return recommend(evidence, policy or Policy(), State(share, days_in_stage=2, live_compared=100))


def is_held(found: Recommendation) -> bool:
    return any(each.name == "batches" and not each.ok for each in found.guards)


def test_harm_that_the_later_calls_can_not_show_holds_the_share() -> None:
    """Where the lower bound of the labelled calls is above the upper one of all calls, nothing grows."""
    found = decide(early_harm())
    assert found.harm.low > found.harm.high
    assert (found.share, is_held(found)) == (0.0, True)
    assert "the batches differ" in found.binding_reason


@pytest.mark.parametrize("lapsed", [False, True])
def test_later_failures_do_not_end_it(lapsed: bool) -> None:
    """With 200 failures further on the bounds no longer cross, and the share still does not grow."""
    rows = early_harm()
    failing(rows, *range(5000, 5200), lapsed=lapsed)
    found = decide(rows)
    assert found.harm.low <= found.harm.high
    assert found.share == 0.0
    assert "judge on in order" in found.binding_reason


@pytest.mark.parametrize("lapsed", [False, True])
def test_a_later_label_that_turns_worse_or_lapses_does_not_end_it(lapsed: bool) -> None:
    """Of 200 later disagreements found equal, any number may lapse or turn out worse."""
    rows = early_harm()
    differing(rows, *range(5000, 5200), verdict=EQUAL)
    assert decide(rows).share == 0.0
    for turned in (1, 86, 200):
        differing(rows, *range(5000, 5000 + turned), verdict=None if lapsed else WORSE, lapsed=lapsed)
        assert decide(rows).share == 0.0


def test_an_audit_that_has_just_begun_is_no_contradiction() -> None:
    """Disagreements that wait further on may be as harmful as the first ones: nothing holds the share."""
    rows = early_harm()
    differing(rows, *range(41, 10_000, 50))
    found = decide(rows)
    assert not is_held(found)
    assert found.share == 0.01


def test_judging_on_in_order_ends_it() -> None:
    """Once what failed further on has been judged, the labelled calls are all calls."""
    rows = early_harm()
    failing(rows, *range(5000, 5200), lapsed=False)
    judged = [row if row.agrees else replace(row, verdict=row.verdict or WORSE) for row in rows]
    assert is_held(decide(rows))
    found = decide(judged)
    assert not is_held(found)
    assert found.share == 0.01


def test_a_contradiction_only_grows_with_harm_among_the_labelled_calls() -> None:
    """Of every count of calls, once L(h, a) > U(h + w, n) it stays so with each further harm."""
    crossed = 0
    for n in (12, 60, 400, 5_000):
        for audited in {max(n // part, 1) for part in (2, 5, 20, 100)}:
            for waiting in {0, 1, n // 50, n // 10}:
                found = [
                    anytime_lower(harms, audited, 0.05) > anytime_upper(harms + waiting, n, 0.05)
                    for harms in range(min(audited, n - waiting, 80) + 1)
                ]
                crossed += any(found)
                assert found == sorted(found)
    assert crossed > 20


@st.composite
def contradicting(draw: st.DrawFn) -> Rows:
    """Harm among the first calls, an open disagreement, and a long rest with a little of everything."""
    n = draw(st.integers(500, 2_000))
    first = draw(st.integers(10, 60))
    rows = calls(n)
    for place in range(0, n, 7):
        rows[place] = replace(rows[place], identical=False)  # Agrees only after normalisation.
    harms = draw(st.integers(2, 10))
    differing(rows, *range(1, harms + 1), verdict=WORSE)
    differing(rows, harms + 1, verdict=draw(st.sampled_from(SEVERITY)))
    differing(rows, first + 10)
    rest = st.integers(first + 11, n - 1)
    differing(rows, *draw(st.lists(rest, max_size=3)))
    for place in draw(st.lists(rest, max_size=40, unique=True)):
        differing(rows, place, verdict=draw(st.sampled_from(SEVERITY[:3])))
    failing(rows, *draw(st.lists(rest, max_size=5)), lapsed=False)
    if draw(st.booleans()):
        rows[0] = replace(rows[0], verdict=WORSE, confirmed=True)  # Revokes what equality proves.
    return rows


POLICIES = [Policy(), Policy(tolerance=0.1), Policy(tolerance=0.2), Policy(tolerance=0.2, harm="net")]


@settings(max_examples=120, deadline=None)
@given(
    rows=contradicting(),
    policy=st.sampled_from(POLICIES),
    share=st.sampled_from([0.0, 0.01, 0.05]),
    part=st.sampled_from([0.003, 0.01, 0.03, 0.1]),
    seed=st.integers(0, 10_000),
)
def test_no_law_breaks_where_bounds_cross(
    rows: Rows, policy: Policy, share: float, part: float, seed: int
) -> None:
    """From a contradiction, lapses, failures and worse labels, many at once, never raise the share."""
    before = decide(rows, policy, share)
    rng = np.random.default_rng(seed)
    worse = list(rows)
    for place in np.flatnonzero(rng.random(len(rows)) < part).tolist():
        row = rows[place]
        if row.verdict is not None and not row.agrees:
            turned = SEVERITY[int(rng.integers(SEVERITY.index(row.verdict), len(SEVERITY)))]
            differing(worse, place, verdict=None if place % 2 else turned, lapsed=bool(place % 2))
        elif row.agrees and row.identical:
            # Past the first open disagreement a failure may also wait for its label.
            failing(worse, place, lapsed=bool(place < 70 or place % 2))
    assert decide(worse, policy, share).share <= before.share + 1e-12
    if before.harm.low > before.harm.high and policy.harm == "regressions":
        assert before.share <= share
