"""Sessions: how many hold a call that gets worse, and what is not claimed of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.ramp import Evidence, State, recommend
from workbench.records import Action, Basis, LabelVerdict, Policy
from workbench.stats.audit import AuditRow, DrawRow, from_rows
from workbench.stats.bounds import anytime_lower, anytime_upper
from workbench.stats.cluster import NO_EFFECT
from workbench.stats.evidence import Population, SessionEvidence
from workbench.stats.sessions import session_rate

POLICY = Policy(session_tolerance=0.05)
EQUAL, WORSE = LabelVerdict.EQUAL, LabelVerdict.CONTROL_BETTER
DELTA = 0.05


def row(place: int, session: str | None, agrees: bool = True, **more: object) -> AuditRow:
    return AuditRow(
        f"c{place}",
        0,
        f"{place:06d}",
        agrees=agrees,
        identical=agrees,
        session=session,
        **more,  # type: ignore[arg-type]
    )


def found_in(rows: list[AuditRow], **more: object) -> SessionEvidence:
    evidence = from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, **more)  # type: ignore[arg-type]
    assert evidence.sessions is not None
    return evidence.sessions


def test_a_session_is_harmed_by_any_of_its_calls() -> None:
    """Four bad calls of one session are one harmed session; a call without one is one of its own."""
    rows = [row(i, f"s{i // 4}", agrees=i >= 4, verdict=WORSE if i < 4 else None) for i in range(80)]
    rows += [row(80 + i, None) for i in range(20)]
    found = found_in(rows)
    assert (found.n, found.several, found.longest, found.unseen) == (40, 20, 4, 0)
    rate = session_rate(found, DELTA)
    assert rate.point == pytest.approx(1 / 40)
    assert rate.high == pytest.approx(anytime_upper(1, 40, DELTA))
    assert rate.low == pytest.approx(anytime_lower(1, 40, DELTA))


def test_an_open_disagreement_is_harm_unless_the_sessions_before_it_prove_less() -> None:
    """Of the worst case over all sessions and the labelled ones in order the smaller counts."""
    rows = [row(i, f"s{i // 2}") for i in range(400)]
    for place in range(0, 400, 20):
        labelled = place < 300
        rows[place] = row(place, f"s{place // 2}", agrees=False, verdict=EQUAL if labelled else None)
    found = found_in(rows)
    assert (found.seen.audited, found.seen.harms, found.seen.disagreements) == (150, 0, 5)
    assert session_rate(found, DELTA).high == pytest.approx(anytime_upper(0, 150, DELTA))
    untouched = [replace(each, verdict=None) for each in rows]
    worst = session_rate(found_in(untouched), DELTA)
    assert worst.high == pytest.approx(anytime_upper(20, 200, DELTA))
    assert worst.low == 0


def test_nothing_is_claimed_of_calls_that_were_not_compared() -> None:
    """A session compared in part counts as harmed in the upper bound, and not in the lower one."""
    rows = [row(i, f"s{i // 2}") for i in range(200)]
    logged = {f"s{i}": 2 for i in range(100)}
    whole = session_rate(found_in(rows, session_calls=logged), DELTA)
    part = found_in(rows, session_calls=logged | {f"s{i}": 3 for i in range(30)})
    rate = session_rate(part, DELTA)
    assert part.unseen == 30
    assert rate.high == pytest.approx(anytime_upper(30, 100, DELTA))
    assert rate.high > whole.high
    assert (rate.low, rate.point) == (0, 0)


def test_sessions_gate_where_the_policy_says_so_and_are_shown_anyway() -> None:
    """Above 10 % needs four tolerances, everything needs the tolerance, and a proven excess stops."""
    rows = [row(i, f"s{i // 5}", i % 50 > 0, verdict=None if i % 50 else WORSE) for i in range(3000)]
    evidence = from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10)
    assert recommend(evidence, Policy()).cap == 1.0
    shown = recommend(evidence, Policy()).details["sessions"]
    assert (shown["n"], shown["several"]) == (600, 600)
    assert shown["harm"].point == pytest.approx(0.1)
    stopped = recommend(evidence, POLICY)
    assert (stopped.action, stopped.cap) == (Action.STOP, 0.0)
    assert "of sessions hold a call that gets worse" in stopped.binding_reason
    assert recommend(evidence, replace(POLICY, session_tolerance=0.10)).cap == 0.50
    assert recommend(evidence, replace(POLICY, session_tolerance=0.15)).cap == 1.0


def test_sessions_that_were_not_measured_or_not_seen_whole_hold_at_ten_percent() -> None:
    """Missing evidence is its own answer, and says what is missing."""
    rows = [row(i, f"s{i // 2}", i != 7, verdict=None if i != 7 else EQUAL) for i in range(1000)]
    live = State(0.10, days_in_stage=2, live_compared=100)
    whole = from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10)
    assert recommend(whole, POLICY, live).share == 0.25
    unmeasured = recommend(replace(whole, sessions=None), POLICY, live)
    assert unmeasured.share == unmeasured.cap == 0.10
    assert "Harm by session has not been measured" in unmeasured.binding_reason
    logged = {f"s{i}": 5 for i in range(500)}
    part = recommend(
        from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10, session_calls=logged), POLICY, live
    )
    assert part.share == part.cap == 0.10
    assert "500 of 500 sessions have calls that were not compared" in part.binding_reason
    assert "The calls not compared yet of 500 sessions." in part.missing


def test_no_sessions_no_figure() -> None:
    """Single calls have nothing to add to the task's own harm."""
    evidence = from_rows([row(i, None) for i in range(100)], basis=Basis.STRUCTURAL)
    assert recommend(evidence, Policy()).details["sessions"] is None
    assert from_rows([], basis=Basis.STRUCTURAL).sessions is None
    assert recommend(Evidence(), POLICY).share == 0


def test_agreement_after_normalisation_is_no_longer_free_for_sessions_once_revoked() -> None:
    """Every session with such a pair may be harmed; the lower bound does not claim it is."""
    rows = [replace(row(i, f"s{i // 2}"), identical=i % 2 == 0) for i in range(200)]
    before = session_rate(found_in(rows), DELTA)
    rows[1] = replace(rows[1], verdict=WORSE, confirmed=True)
    after = session_rate(found_in(rows), DELTA)
    assert before.high < 0.1
    assert after.high == 1.0
    assert after.low < 0.05


def test_a_harmed_call_of_a_drawn_sample_bounds_sessions_from_both_sides() -> None:
    """Not more sessions than harmed calls are harmed, nor fewer than these fill."""
    rows = [row(i, f"s{i // 4}") for i in range(400)]
    draws = [DrawRow(f"c{i * 3}", 1.0, WORSE if i < 30 else EQUAL) for i in range(100)]
    evidence = from_rows(rows, basis=Basis.SEMANTIC, draws=draws, icc=0.0)
    assert evidence.sessions is not None
    rate = session_rate(evidence.sessions, DELTA)
    harm = recommend(evidence, Policy()).harm
    assert rate.point is None
    assert rate.high == pytest.approx(min(1.0, 4 * harm.high))
    assert rate.low == pytest.approx(harm.low, abs=1e-9)
    alone = from_rows([replace(each, session=None) for each in rows], basis=Basis.SEMANTIC, draws=draws)
    assert alone.sessions is not None
    assert session_rate(alone.sessions, DELTA).high == pytest.approx(recommend(alone, Policy()).harm.high)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_bound_on_sessions_fails_at_most_as_often_as_it_says(labelled: bool) -> None:
    """Looked at after every tenth session: the true share is above the bound in at most 5 % of worlds."""
    rng = np.random.default_rng(20 + labelled)
    truth, failures, worlds = 0.10, 0, 200
    for _ in range(worlds):
        rows: list[AuditRow] = []
        missed = False
        for session in range(80):
            size, harmed = int(rng.integers(1, 5)), rng.random() < truth
            bad = int(rng.integers(size)) if harmed else -1
            for place in range(size):
                verdict = WORSE if labelled and place == bad else None
                rows.append(row(len(rows), f"s{session}", place != bad, verdict=verdict))
            if session % 10 == 9:
                missed |= session_rate(found_in(rows), DELTA).high < truth
        failures += missed
    assert failures <= 0.05 * worlds + 3 * (0.05 * 0.95 * worlds) ** 0.5


def test_the_bound_on_sessions_holds_for_drawn_labels() -> None:
    """Draws are of calls, the claim is of sessions: both limits hold in 95 % of worlds and more."""
    rng = np.random.default_rng(3)
    rows = [row(i, f"s{i // 4 if i < 400 else i}") for i in range(600)]
    sessions = np.asarray([i // 4 if i < 400 else i for i in range(600)])
    above = below = 0
    for _ in range(150):
        harmful = rng.random(600) < 0.05
        truth = len(set(sessions[harmful])) / len(set(sessions))
        drawn = rng.choice(600, 150, replace=False)
        draws = [DrawRow(f"c{i}", 1.0, WORSE if harmful[i] else EQUAL) for i in drawn]
        evidence = from_rows(rows, basis=Basis.SEMANTIC, draws=draws, icc=0.0)
        assert evidence.sessions is not None
        rate = session_rate(evidence.sessions, DELTA)
        above += rate.high < truth
        below += rate.low > truth
    assert above <= 15
    assert below <= 15


# --- laws -------------------------------------------------------------------------------------

ORDER = [LabelVerdict.CANDIDATE_BETTER, EQUAL, LabelVerdict.BOTH_BAD, WORSE]


@st.composite
def logs(draw: st.DrawFn) -> list[AuditRow]:
    """Sessions of one to five calls with a rare critical label, disagreements labelled in any pattern."""
    n = draw(st.integers(20, 200))
    size = draw(st.integers(1, 5))
    rows = [
        replace(
            row(i * 7919 % n, f"s{i // size}" if i % 11 else None),
            call_id=f"c{i}",
            control_group="rare" if i % 17 == 0 else "ab"[i % 5 == 0],
            identical=i % 3 > 0,
        )
        for i in range(n)
    ]
    for place in draw(st.lists(st.integers(0, n - 1), max_size=20, unique=True)):
        verdict = draw(st.sampled_from([*ORDER, None]))
        lapsed = verdict is None and draw(st.booleans())
        rows[place] = replace(
            rows[place],
            agrees=False,
            identical=False,
            verdict=verdict,
            lapsed=lapsed,
            critical=rows[place].control_group == "rare",
        )
    return rows


shares = st.sampled_from([0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 1.0])
policies = st.sampled_from(
    [
        Policy(tolerance=0.2, session_tolerance=0.1),
        Policy(tolerance=0.3, session_tolerance=0.3, critical_tolerance=0.05),
        Policy(tolerance=0.3, session_tolerance=0.2, harm="net"),
    ]
)


def held(population: Population) -> Population:
    return replace(population, disagreement_effect=NO_EFFECT, harm_effect=NO_EFFECT)


def with_effects_held(evidence: Evidence) -> Evidence:
    """The laws are stated for fixed design effects: spread-out harm may lower an estimated one."""
    assert evidence.critical is not None
    assert evidence.sessions is not None
    seen, doubted = held(evidence.sessions.seen), held(evidence.sessions.doubted)
    return replace(
        evidence,
        task=held(evidence.task),
        critical=held(evidence.critical),
        sessions=replace(evidence.sessions, seen=seen, doubted=doubted),
        groups=tuple(replace(each, population=held(each.population)) for each in evidence.groups),
    )


def decided(rows: list[AuditRow], policy: Policy, share: float) -> float:
    evidence = from_rows(
        rows,
        basis=Basis.STRUCTURAL,
        icc=0.0,
        days=10,
        critical_marked=True,
        critical_groups=[("label", "rare"), ("label", "never seen")],
        session_calls={f"s{i}": 3 for i in range(0, 200, 5)},
    )
    state = State(share, days_in_stage=2, live_compared=100)
    return recommend(with_effects_held(evidence), policy, state).share


@settings(max_examples=80, deadline=None)
@given(rows=logs(), share=shares, policy=policies, data=st.data())
def test_a_lapse_or_a_worse_label_never_raises_the_share(
    rows: list[AuditRow], share: float, policy: Policy, data: st.DataObject
) -> None:
    """With sessions and critical answers in the policy, too."""
    done = [i for i, each in enumerate(rows) if each.verdict is not None]
    if not done:
        return
    place = data.draw(st.sampled_from(done))
    verdict = rows[place].verdict
    assert verdict is not None
    turned = data.draw(st.sampled_from([None, *ORDER[ORDER.index(verdict) :]]))
    worse = list(rows)
    worse[place] = replace(rows[place], verdict=turned, lapsed=turned is None)
    assert decided(worse, policy, share) <= decided(rows, policy, share) + 1e-12


@settings(max_examples=80, deadline=None)
@given(rows=logs(), share=shares, policy=policies, data=st.data())
def test_a_failure_never_raises_the_share(
    rows: list[AuditRow], share: float, policy: Policy, data: st.DataObject
) -> None:
    """An agreement that fails instead, harmful until labelled, gives no larger share."""
    agreeing = [i for i, each in enumerate(rows) if each.agrees]
    if not agreeing:
        return
    worse = list(rows)
    for place in data.draw(st.lists(st.sampled_from(agreeing), min_size=1, max_size=6, unique=True)):
        worse[place] = replace(
            rows[place],
            agrees=False,
            identical=False,
            invalid=True,
            lapsed=True,
            critical=rows[place].control_group == "rare",
        )
    assert decided(worse, policy, share) <= decided(rows, policy, share) + 1e-12


@settings(max_examples=40, deadline=None)
@given(rows=logs(), policy=policies, data=st.data())
def test_a_session_seen_in_part_never_raises_the_share(
    rows: list[AuditRow], policy: Policy, data: st.DataObject
) -> None:
    """More unseen calls in the log give no larger upper bound than fewer."""
    logged = {f"s{i}": data.draw(st.integers(0, 8)) for i in range(10)}
    more = {key: n + data.draw(st.integers(0, 3)) for key, n in logged.items()}
    few, many = (session_rate(found_in(rows, session_calls=each), policy.delta) for each in (logged, more))
    assert many.high >= few.high - 1e-12


@settings(max_examples=60, deadline=None)
@given(
    verdicts=st.lists(st.sampled_from(ORDER), min_size=1, max_size=120),
    share=shares,
    policy=policies,
    data=st.data(),
)
def test_a_worse_or_lapsed_draw_never_raises_the_share(
    verdicts: list[LabelVerdict], share: float, policy: Policy, data: st.DataObject
) -> None:
    """Of a semantic task with sessions in the policy."""
    rows = [row(i, f"s{i // 3}") for i in range(300)]
    draws = [DrawRow(f"c{i * 2}", 1.0, verdict) for i, verdict in enumerate(verdicts)]
    place = data.draw(st.integers(0, len(draws) - 1))
    turned = data.draw(st.sampled_from([None, *ORDER[ORDER.index(verdicts[place]) :]]))
    worse = list(draws)
    worse[place] = replace(draws[place], verdict=turned, lapsed=turned is None)
    first, second = (
        recommend(
            with_effects_held(from_rows(rows, basis=Basis.SEMANTIC, draws=each, days=10, icc=0.0)),
            policy,
            State(share, days_in_stage=2, live_compared=100),
        ).share
        for each in (draws, worse)
    )
    assert second <= first + 1e-12
