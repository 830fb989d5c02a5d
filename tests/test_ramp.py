"""The decision: the cases of the specification, its laws, and real answers."""

from __future__ import annotations

import csv
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.ramp import (
    Evidence,
    OutcomeGroup,
    Population,
    SliceCell,
    SliceEvidence,
    State,
    WeightedOutcome,
    recommend,
)
from workbench.records import Action, Basis, Estimate, LabelVerdict, Policy, Recommendation, to_json
from workbench.stats.audit import AuditRow, DrawRow, from_rows, kappa
from workbench.stats.bounds import anytime_upper
from workbench.stats.cluster import NO_EFFECT, DesignEffect
from workbench.stats.ladder import allowed
from workbench.stats.slice_shares import bounds_at_once
from workbench.stats.wording import a_day, harmed_a_day, holds_for, measured, percent
from workbench.terminal import recommendation_text

POLICY = Policy()
SETTLED = 100
"""Compared live calls in the stage, enough to advance."""


def live(share: float) -> State:
    return State(share, days_in_stage=2, live_compared=SETTLED)


def structural(agree: int, n: int, **more: int) -> Population:
    return Population(compared=n, disagreements=n - agree, **more)  # type: ignore[arg-type]


def labelled(n: int, disagreements: int, harms: int) -> Population:
    """Every disagreement labelled."""
    return Population(
        compared=n,
        disagreements=disagreements,
        audited=n,
        audited_disagreements=disagreements,
        harms=harms,
        cleared=disagreements - harms,
        looked=disagreements,
    )


def semantic(n: int, draws: list[tuple[float, int]], weight_max: float = 1.0) -> Population:
    return Population(
        basis=Basis.SEMANTIC,
        compared=n,
        draws=tuple(WeightedOutcome(*each) for each in draws),
        weight_max=weight_max,
        looked=len(draws),
    )


def check(
    found: Recommendation, u: float | None, action: Action, share: float, cap: float | None = None
) -> None:
    if u is not None:
        assert found.harm.high == pytest.approx(u, abs=0.003)
    assert (found.action, found.share) == (action, share)
    if cap is not None:
        assert found.cap == cap
    assert found.binding_reason == found.reasons[0]
    assert all(found.reasons)
    assert to_json(found)


# --- the cases --------------------------------------------------------------------------------


def test_twelve_clean_pairs_are_too_few() -> None:
    found = recommend(Evidence(structural(12, 12), days=10), POLICY)
    check(found, 0.270, Action.COLLECT, 0.0)
    assert found.missing[0] == "8 more compared calls."


def test_a_revoked_balance_without_audited_calls_is_forecast_from_all_calls() -> None:
    """Nothing audited is no reason to divide by nothing, nor to call the limit too close."""
    task = Population(
        compared=1000,
        disagreements=20,
        normalised=40,
        normalised_labelled=20,
        normalised_harms=1,
        revoked=True,
        looked=20,
    )
    with np.errstate(invalid="raise"):
        found = recommend(Evidence(task, days=10), replace(POLICY, harm="net"))
    assert not found.details["too_close"]


def test_more_of_the_same_session_is_not_asked_for() -> None:
    """One session stays worth less than twenty pairs however long it is: other sessions help."""
    found = from_rows(
        [AuditRow(f"c{i}", 0, f"{i:04d}", agrees=True, identical=True, session="one") for i in range(2000)],
        basis=Basis.STRUCTURAL,
    )
    answer = recommend(found, POLICY)
    assert answer.action is Action.COLLECT
    assert answer.missing[0] == "19 more compared calls, from other sessions and with other requests."


def test_a_few_harmless_disagreements_do_not_start_the_ramp() -> None:
    """Where 12 % differ, three harmless labels are luck: the ramp starts once twenty have been judged."""
    three, twenty = (
        structural(
            880,
            1000,
            audited=8 * judged + 7,
            audited_disagreements=judged,
            cleared=judged,
            looked=judged,
        )
        for judged in (3, 20)
    )
    few = recommend(Evidence(three, days=10), POLICY)
    check(few, None, Action.HOLD, 0.0, 0.05)
    assert "fewer than 20 disagreements have been judged" in few.binding_reason
    assert "the estimate is 11.7 %" in few.binding_reason
    assert few.missing[0] == "17 more disagreements judged in order, before the share may rise."
    check(recommend(Evidence(twenty, days=10), POLICY), None, Action.RAMP, 0.01)
    nobody = recommend(Evidence(structural(880, 1000, audited=7), days=10), POLICY)
    check(nobody, None, Action.HOLD, 0.0, 0.05)
    assert nobody.missing[0] == "20 more disagreements judged in order, before the share may rise."


def test_a_slice_with_a_few_judged_disagreements_is_unproven_not_suspect() -> None:
    """Its few labels are harmless, so nothing speaks against it; its open disagreements are too many."""
    task = labelled(4000, 60, 20)
    part = structural(176, 200, audited=31, audited_disagreements=3, cleared=3, looked=3)
    whole = labelled(200, 24, 2)
    slices = [SliceEvidence("language", name, 0.05, each) for name, each in (("few", part), ("all", whole))]
    found = recommend(Evidence(task, days=10, slices=tuple(slices)), POLICY)
    few, every = found.slices  # The worst first.
    assert (few.status, few.share, every.status) == ("unproven", 0.0, "active")
    assert few.reason.startswith("Fewer than 20 disagreements have been judged in order")


def test_thirty_clean_pairs_start_the_ramp() -> None:
    check(recommend(Evidence(structural(30, 30), days=10), POLICY), 0.118, Action.RAMP, 0.01, 0.05)


def test_every_disagreement_is_harm_until_someone_labels() -> None:
    found = recommend(Evidence(structural(960, 1000), days=10, calls_per_day=10_000), POLICY)
    check(found, 0.062, Action.RAMP, 0.01, 0.10)
    assert found.harm_per_day_at_most == pytest.approx(6.2, abs=0.1)
    assert found.binding_reason == (
        "At most 6.2 % of calls get worse (95 % sure, worst case: every disagreement counted as harm); "
        "tolerance 5.0 %. Evidence supports up to 10 %; one stage at a time."
    )


def test_labels_in_audit_order_beat_the_worst_case() -> None:
    task = Population(
        compared=1000,
        disagreements=120,
        audited=500,
        audited_disagreements=60,
        harms=6,
        cleared=54,
        looked=60,
    )
    found = recommend(Evidence(task, days=10), POLICY)
    check(found, 0.032, Action.RAMP, 0.01, 1.0)
    assert found.harm.point == pytest.approx(6 / 500)


def test_an_estimate_near_the_limit_is_said_to_be_too_close() -> None:
    task = Population(
        compared=10_000,
        disagreements=450,
        audited=2222,
        audited_disagreements=100,
        harms=100,
        looked=100,
    )
    found = recommend(Evidence(task, days=10), POLICY, live(0.10))
    check(found, 0.0525, Action.HOLD, 0.10, 0.10)
    assert any("Too close to the limit" in line for line in found.missing)
    assert found.details["too_close"] is True


def test_similarity_alone_moves_nothing() -> None:
    found = recommend(Evidence(semantic(5000, []), days=10), POLICY)
    check(found, 1.0, Action.HOLD, 0.0, 0.0)
    assert "Nobody has looked" in found.binding_reason
    assert any("labels drawn by the queue to reach 1 %" in line for line in found.missing)


def test_a_hundred_clean_random_labels_prove_a_semantic_task() -> None:
    found = recommend(Evidence(semantic(5000, [(1.0, 0)] * 100), days=10), POLICY)
    check(found, 0.037, Action.RAMP, 0.01, 1.0)


def test_harm_in_live_labels_rolls_back() -> None:
    task = semantic(60, [(1.0, 1)] * 9 + [(1.0, 0)] * 51)
    check(recommend(Evidence(task, days=10), POLICY, live(0.05)), 0.315, Action.ROLLBACK, 0.0, 0.0)


def test_labelling_only_disagreements_proves_nothing() -> None:
    w_bad, w_good = 0.07 / 0.95, 0.93 / 0.05
    task = semantic(5000, [(w_bad, 1)] * 20 + [(w_bad, 0)] * 75 + [(w_good, 0)] * 5, weight_max=w_good)
    found = recommend(Evidence(task, days=10), POLICY)
    check(found, 0.704, Action.HOLD, 0.0, 0.0)
    assert found.harm.point == pytest.approx(0.015, abs=0.001)


def test_invalid_outputs_roll_back() -> None:
    found = recommend(Evidence(structural(470, 500), invalid=30, days=10), POLICY, live(0.05))
    check(found, None, Action.ROLLBACK, 0.0, 0.0)
    assert "30 of 500 candidate outputs are invalid" in found.binding_reason


def test_slices_stand_on_their_own_evidence() -> None:
    parts = (
        ("en", 0.70, labelled(1400, 28, 8)),
        ("fr", 0.08, labelled(160, 5, 1)),
        ("de", 0.20, labelled(400, 60, 45)),
        ("ja", 0.02, labelled(15, 0, 0)),
    )
    slices = tuple(SliceEvidence("language", *each) for each in parts)
    found = recommend(Evidence(labelled(1975, 93, 54), days=10, slices=slices), POLICY, live(0.10))
    check(found, 0.041, Action.RAMP, 0.25, 1.0)
    assert {each.value: each.status for each in found.slices} == {
        "en": "active",
        "fr": "active",
        "de": "excluded",
        "ja": "unproven",
    }
    assert found.effective_share == pytest.approx(0.195)


def test_slices_stand_worst_first_with_bounds_for_all_at_once_beside() -> None:
    """Of 30 slices the proven bad one is first whatever its name; at delta / 30 its bounds are wider."""
    parts = [(f"s{i:02}", labelled(200, 10, i % 3)) for i in range(29)] + [("zz", labelled(200, 60, 60))]
    slices = [SliceEvidence("tier", name, 1 / 30, population) for name, population in parts]
    found = recommend(Evidence(labelled(6000, 350, 88), days=10, slices=tuple(slices)), POLICY)
    assert [each.value for each in found.slices[:2]] == ["zz", "s02"]
    assert found.slices[0].status == "excluded"
    points = [each.harm.point for each in found.slices[1:]]
    assert points == sorted(points, reverse=True)
    wide = bounds_at_once(found)
    assert len(wide) == 30
    for each in found.slices:
        own, at_once = each.harm, wide[each.name, each.value]
        assert at_once.level == pytest.approx(1 - 0.05 / 30)
        assert at_once.low <= own.low
        assert at_once.high > own.high


def test_slices_that_nobody_looked_at_stand_by_what_is_possible() -> None:
    """With no estimate and none proven bad, a slice of which nothing differs does not lead."""
    parts = {"aa": (60, 0), "bb": (60, 3), "cc": (60, 9)}
    slices = [
        SliceEvidence(
            "tier",
            value,
            1 / 3,
            Population(compared=n, disagreements=differing, audited=0 if differing else n),
        )
        for value, (n, differing) in parts.items()
    ]
    found = recommend(Evidence(Population(compared=180, disagreements=12), slices=tuple(slices)), POLICY)
    order = [each.value for each in found.slices if each.status == found.slices[-1].status]
    assert found.slices[-1].value == "aa"
    assert order == sorted(order, reverse=True)


# --- single rules -----------------------------------------------------------------------------


def test_no_evidence_collects() -> None:
    for task in (Population(), Population(basis=Basis.SEMANTIC)):
        check(recommend(Evidence(task), POLICY), 1.0, Action.COLLECT, 0.0, 0.0)


def test_a_live_share_without_evidence_falls_to_nothing() -> None:
    check(recommend(Evidence(), POLICY, live(0.25)), 1.0, Action.ROLLBACK, 0.0)


def test_proven_harm_stops_or_rolls_back() -> None:
    task = labelled(400, 60, 45)
    assert recommend(Evidence(task, days=10), POLICY).action is Action.STOP
    assert recommend(Evidence(task, days=10), POLICY, live(0.05)).action is Action.ROLLBACK


def test_unknown_time_in_the_stage_holds() -> None:
    found = recommend(Evidence(labelled(2000, 20, 5), days=10), POLICY, State(0.05))
    check(found, None, Action.HOLD, 0.05, 1.0)
    assert "is not known" in found.binding_reason


@pytest.mark.parametrize(("days", "calls"), [(0.9, 100), (2.0, 49)])
def test_a_stage_takes_a_full_day_and_fifty_calls(days: float, calls: int) -> None:
    found = recommend(Evidence(labelled(2000, 20, 5), days=10), POLICY, State(0.05, days, calls))
    check(found, None, Action.HOLD, 0.05)


@pytest.mark.parametrize("days", [None, 6.9])
def test_ten_percent_is_not_passed_before_a_week(days: float | None) -> None:
    found = recommend(Evidence(labelled(2000, 20, 5), days=days), POLICY, live(0.10))
    check(found, None, Action.HOLD, 0.10, 1.0)
    found = recommend(Evidence(labelled(2000, 20, 5), days=days), POLICY, live(0.05))
    check(found, None, Action.RAMP, 0.10, 1.0)


def test_a_drift_alarm_takes_one_stage_back() -> None:
    evidence = Evidence(labelled(2000, 20, 5), days=10, drift_alarm=True)
    check(recommend(evidence, POLICY, live(0.25)), None, Action.STEP_DOWN, 0.10, 1.0)
    check(recommend(evidence, POLICY, live(0.01)), None, Action.ROLLBACK, 0.0, 1.0)
    check(recommend(evidence, POLICY), None, Action.HOLD, 0.0)


@pytest.mark.parametrize(
    ("served", "without", "calls", "action", "share"),
    [
        # What holds without it, and one stage more after a day and fifty calls; leaving 0 % needs neither.
        (0.25, 0.0, 0, Action.STEP_DOWN, 0.01),
        (0.25, 0.05, 49, Action.STEP_DOWN, 0.05),
        (0.25, 0.05, 50, Action.STEP_DOWN, 0.10),
        (0.07, 0.05, 50, Action.RAMP, 0.10),
        (0.07, 0.05, 49, Action.STEP_DOWN, 0.05),
        (0.10, 0.05, 50, Action.HOLD, 0.10),
        (0.10, 0.10, 49, Action.HOLD, 0.10),
        (0.05, 0.10, 50, Action.RAMP, 0.10),
    ],
)
def test_an_override_is_no_stage_on_the_ladder(
    served: float, without: float, calls: int, action: Action, share: float
) -> None:
    state = State(served, days_in_stage=2, live_compared=calls, without_override=without)
    found = recommend(Evidence(labelled(2000, 20, 5), days=10, calls_per_day=1000.0), POLICY, state)
    check(found, None, action, share, 1.0)
    told = harmed_a_day(found)
    assert (f"at the {percent(served)} served now, at most" in told) == (action is Action.STEP_DOWN)
    assert ("is no stage on the ladder" in found.binding_reason) == (share <= served and served > without)
    assert f"Of what moves at {percent(share)}, at most" in told


def test_an_alarm_under_an_override_takes_one_stage_back_and_not_two() -> None:
    evidence = Evidence(labelled(2000, 20, 5), days=10, drift_alarm=True)
    state = replace(live(0.05), without_override=0.01)
    check(recommend(evidence, POLICY, state), None, Action.STEP_DOWN, 0.01, 1.0)


def test_an_estimate_above_the_tolerance_never_goes_up() -> None:
    found = recommend(Evidence(structural(188, 200), days=10), POLICY)
    assert found.cap > 0
    check(found, None, Action.HOLD, 0.0)
    assert "counted as harm it is 6.0 %, above the tolerance" in found.binding_reason


def test_a_cap_below_the_share_steps_down() -> None:
    check(recommend(Evidence(structural(960, 1000)), POLICY, live(0.25)), None, Action.STEP_DOWN, 0.10)


@pytest.mark.parametrize(("elsewhere", "cap"), [(True, 0.25), (False, 1.0)])
def test_a_verdict_opens_more_than_a_quarter_only_where_a_person_gave_it_here(
    elsewhere: bool, cap: float
) -> None:
    """Of 1,005 calls six differ: one hand-picked verdict is a look, a gold answer or an import is none."""
    rows = [AuditRow(f"c{i}", 0, f"{i:04d}", agrees=i % 167 > 0, identical=i % 167 > 0) for i in range(1005)]
    rows[0] = replace(rows[0], verdict=LabelVerdict.EQUAL, picked=True, elsewhere=elsewhere)
    found = recommend(from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10), POLICY)
    assert found.cap == cap


@pytest.mark.parametrize("basis", Basis)
def test_where_verdicts_are_imported_the_reason_says_so(basis: Basis) -> None:
    """Twenty imported or gold verdicts are no look here, and are not passed over in silence either."""
    task = replace(structural(500, 500), basis=basis, looked=20, unseen=20)
    (guard,) = [each for each in recommend(Evidence(task), POLICY).guards if each.name == "looked"]
    assert (
        "looked at an output here, 20 verdicts come from an import or a known right answer" in guard.message
    )


def test_a_bound_from_imported_labels_names_them_so() -> None:
    """What the bound rests on is not told as the work of reviewers here."""
    task = replace(labelled(400, 20, 4), unseen=20)
    assert (
        "from 20 imported or gold labels on 400 audited calls" in recommend(Evidence(task), POLICY).reasons[0]
    )


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        (0.05, "holds for 100 %"),
        (0.079, "holds for 10 %, not yet for 25 %, which needs at most 5.0 %"),
        (0.15, "holds for 5 %, not yet for 10 %, which needs at most 10.0 %"),
        (0.3, "is not low enough for 1 %, which needs at most 20.0 %"),
    ],
)
def test_a_bound_says_for_which_stage_it_holds(bound: float, said: str) -> None:
    """Early stages allow a multiple of the tolerance; all of the traffic needs the tolerance itself."""
    assert holds_for(bound, POLICY) == said


def test_what_a_share_allows_is_that_of_the_first_stage_where_nothing_moves() -> None:
    """At 0 % the first stage is meant; where the tolerance is all that is allowed there is nothing to add."""
    found = [allowed(share, POLICY) for share in (0.0, 0.01, 0.1, 0.25, 1.0)]
    assert found == [
        (0.01, pytest.approx(0.2)),
        (0.01, pytest.approx(0.2)),
        (0.1, pytest.approx(0.1)),
        None,
        None,
    ]


def test_nobody_has_looked_caps_a_perfect_structural_task() -> None:
    found = recommend(Evidence(structural(5000, 5000), days=10), POLICY, live(0.25))
    check(found, None, Action.HOLD, 0.25, 0.25)
    assert "Nobody has looked" in found.binding_reason
    assert any("One verdict by a person" in line for line in found.missing)


def test_too_many_uncomparable_calls_hold() -> None:
    found = recommend(Evidence(labelled(2000, 20, 5), uncomparable=200, days=10), POLICY)
    check(found, None, Action.HOLD, 0.0, 1.0)
    assert "can't be compared" in found.binding_reason


def test_contradicting_batches_hold() -> None:
    task = Population(
        compared=20_000,
        disagreements=250,
        audited=1000,
        audited_disagreements=49,
        harms=45,
        cleared=4,
        looked=49,
    )
    found = recommend(Evidence(task, days=10), POLICY)
    assert found.harm.low > found.harm.high
    check(found, None, Action.HOLD, 0.0)
    assert "the batches differ" in found.binding_reason


def test_a_collapsed_answer_blocks_and_is_named() -> None:
    group = OutcomeGroup("label", "rare", 55, 2)
    found = recommend(Evidence(labelled(1000, 53, 10), groups=(group,), days=10), POLICY)
    check(found, None, Action.HOLD, 0.0, 0.0)
    assert "'rare'" in found.binding_reason
    assert "in 2 of 55 cases" in found.binding_reason


def test_no_number_of_labels_is_promised_where_another_candidate_is_missing() -> None:
    """Whoever labels would work towards a share that labels can't open."""
    open_ones = Evidence(Population(compared=93, disagreements=70), days=10)
    assert recommend(open_ones, POLICY).details["labels_needed"] > 0
    lost = replace(open_ones, groups=(OutcomeGroup("label", "rare", 55, 2),))
    assert recommend(lost, POLICY).details["labels_needed"] is None


def test_a_collapsed_answer_stays_blocked_until_a_new_window() -> None:
    group = OutcomeGroup("label", "rare", 60, 58, labelled(60, 2, 0), latched=True)
    assert recommend(Evidence(labelled(1000, 10, 0), groups=(group,)), POLICY, live(0.05)).share == 0.0
    again = replace(group, latched=False)
    assert recommend(Evidence(labelled(1000, 10, 0), groups=(again,)), POLICY, live(0.05)).share > 0.0


def test_a_weak_answer_is_held_at_five_percent_until_labels_bound_its_harm() -> None:
    weak = OutcomeGroup("field", "due", 100, 70, structural(70, 100))
    evidence = Evidence(labelled(1000, 30, 0), groups=(weak,), days=10)
    check(recommend(evidence, POLICY, live(0.05)), None, Action.HOLD, 0.05, 0.05)
    cleared = replace(weak, population=labelled(100, 30, 2))
    check(recommend(replace(evidence, groups=(cleared,)), POLICY, live(0.05)), None, Action.RAMP, 0.10)


def test_a_small_group_says_nothing() -> None:
    group = OutcomeGroup("label", "rare", 19, 0)
    assert recommend(Evidence(labelled(1000, 20, 0), groups=(group,)), POLICY).share == 0.01


def test_a_critical_answer_is_guarded_however_few_calls_it_has() -> None:
    """One disagreement holds at 5 % until it is labelled harmless; too few calls hold at 10 %."""
    few = OutcomeGroup("label", "fraud", 8, 7, structural(7, 8), critical=True)
    evidence = Evidence(labelled(3000, 30, 0), groups=(few,), days=10)
    found = recommend(evidence, POLICY, live(0.05))
    check(found, None, Action.HOLD, 0.05, 0.05)
    assert "label 'fraud' in 7 of 8 cases" in " ".join(found.reasons)
    harmful = replace(few, population=labelled(8, 1, 1))
    assert recommend(replace(evidence, groups=(harmful,)), POLICY, live(0.05)).cap == 0.05
    cleared = replace(few, population=labelled(8, 1, 0))
    found = recommend(replace(evidence, groups=(cleared,)), POLICY, live(0.10))
    check(found, None, Action.HOLD, 0.10, 0.10)
    assert "8 compared calls with label 'fraud'" in found.binding_reason
    assert "More compared calls with label 'fraud'." in found.missing
    plain = replace(few, critical=False)
    assert recommend(replace(evidence, groups=(plain,)), POLICY, live(0.10)).share == 0.25


def test_a_critical_answer_with_enough_calls_is_judged_by_its_own_bound() -> None:
    """Seventeen clean calls bound harm below 20 %; disagreements need to be bounded, too, and are shown."""
    evidence = Evidence(labelled(3000, 30, 0), days=10)

    def cap(n: int, agreements: int, population: Population) -> Recommendation:
        group = OutcomeGroup("field", "total", n, agreements, population, critical=True)
        return recommend(replace(evidence, groups=(group,)), POLICY, live(0.10))

    assert cap(16, 16, structural(16, 16)).share == 0.10
    assert cap(17, 17, structural(17, 17)).share == 0.25
    assert cap(30, 27, structural(27, 30)).cap == 0.05
    bounded = cap(100, 97, structural(97, 100))
    assert bounded.share == 0.25
    (guard,) = [each for each in bounded.guards if each.name == "outcome_groups"]
    assert guard.message.endswith("Field 'total': 3 of 100 cases differ.")


def test_a_critical_answer_that_is_lost_stops_everything_from_few_calls_on() -> None:
    """Nought of seven is a proof already; a critical answer never compared is no pass either."""
    rows = [AuditRow(f"c{i}", 0, f"{i:05d}", True, True, control_group="common") for i in range(2000)]
    rows += [AuditRow(f"d{i}", 1, f"{i:05d}", False, control_group="fraud") for i in range(7)]
    marked = from_rows(rows, basis=Basis.STRUCTURAL, days=10, critical_groups=[("label", "fraud")])
    check(recommend(marked, POLICY, live(0.05)), None, Action.ROLLBACK, 0.0, 0.0)
    unmarked = from_rows(rows, basis=Basis.STRUCTURAL, days=10)
    assert recommend(unmarked, POLICY, live(0.05)).share > 0
    never = from_rows(
        [replace(rows[0], verdict=LabelVerdict.EQUAL), *rows[1:2000]],
        basis=Basis.STRUCTURAL,
        days=10,
        critical_groups=[("label", "fraud")],
    )
    found = recommend(never, POLICY, live(0.10))
    check(found, None, Action.HOLD, 0.10, 0.10)
    assert "0 compared calls with label 'fraud'" in found.binding_reason
    assert to_json(found)


def test_low_kappa_beside_high_agreement_is_a_warning() -> None:
    found = recommend(Evidence(labelled(1000, 20, 0), kappa=0.2), POLICY)
    assert any("beyond chance (kappa, at most 1) it is only 0.20" in line for line in found.reasons)
    assert found.share == 0.01


def test_critical_harm_has_its_own_tolerance() -> None:
    policy = replace(POLICY, critical_tolerance=0.005)
    task = labelled(5000, 100, 20)
    evidence = Evidence(task, days=10)
    check(recommend(evidence, policy, live(0.10)), None, Action.HOLD, 0.10, 0.10)
    proven = replace(evidence, critical=labelled(5000, 100, 60))
    check(recommend(proven, policy), None, Action.STOP, 0.0, 0.0)
    within = replace(evidence, critical=labelled(5000, 100, 5))
    check(recommend(within, policy, live(0.50)), None, Action.RAMP, 1.0, 1.0)
    middling = replace(evidence, critical=labelled(5000, 100, 30))
    check(recommend(middling, policy, live(0.50)), None, Action.HOLD, 0.50, 0.50)
    loose = replace(evidence, critical=labelled(300, 10, 2))
    check(recommend(loose, policy, live(0.10)), None, Action.HOLD, 0.10, 0.10)


def test_latency_must_be_measured_and_fast_enough() -> None:
    policy = replace(POLICY, latency_p95_ms=500.0)
    evidence = Evidence(labelled(5000, 100, 20), days=10)
    found = recommend(evidence, policy, live(0.05))
    check(found, None, Action.HOLD, 0.05)
    assert "has not been measured" in found.binding_reason
    slow = Estimate(480.0, 450.0, 520.0, 0.95, "measured", 100, 100)
    check(recommend(replace(evidence, latency_p95_ms=slow), policy, live(0.05)), None, Action.ROLLBACK, 0.0)
    fast = replace(slow, high=500.0)
    check(recommend(replace(evidence, latency_p95_ms=fast), policy, live(0.05)), None, Action.RAMP, 0.10)


def test_a_latency_without_an_upper_end_never_promotes() -> None:
    """Too few calls hold the share, answers that never came and surely slow ones take it back."""
    policy = replace(POLICY, latency_p95_ms=500.0)
    evidence = Evidence(labelled(5000, 100, 20), days=10)
    few = Estimate(200.0, 100.0, math.inf, 0.95, "measured", 40, 40)
    found = recommend(replace(evidence, latency_p95_ms=few), policy, live(0.05))
    check(found, None, Action.HOLD, 0.05)
    assert "too few" in found.binding_reason
    assert any("more calls" in line for line in found.missing)
    for gone in (replace(few, point=math.inf), replace(few, low=600.0, point=700.0)):
        found = recommend(replace(evidence, latency_p95_ms=gone), policy, live(0.05))
        check(found, None, Action.ROLLBACK, 0.0)


def test_the_top_keeps_a_reserve_on_the_frontier() -> None:
    found = recommend(Evidence(labelled(5000, 100, 20), days=10), POLICY, live(0.50))
    check(found, None, Action.RAMP, 1.0, 1.0)
    assert any("Keep 2 % of traffic on the frontier" in line for line in found.reasons)


def test_picking_the_best_of_many_costs_confidence() -> None:
    evidence = Evidence(structural(1000, 1000), days=10)
    alone, picked = (recommend(replace(evidence, candidates=k), POLICY).harm for k in (1, 20))
    assert picked.high > alone.high
    assert picked.level == pytest.approx(1 - 0.05 / 20)


def test_net_harm_lets_a_candidate_pay_with_gains() -> None:
    task = Population(
        compared=3000,
        disagreements=390,
        audited=3000,
        audited_disagreements=390,
        harms=150,
        audited_better=240,
        cleared=240,
        cleared_better=240,
        looked=390,
    )
    evidence = Evidence(task, days=10)
    by_harm = recommend(evidence, POLICY)
    by_net = recommend(evidence, replace(POLICY, harm="net"))
    assert by_harm.cap < 1.0
    check(by_net, None, Action.RAMP, 0.01, 1.0)
    assert by_net.net.high < 0.05 < by_net.harm.high
    assert "5.0 % worse, 8.0 % better" in " ".join(by_harm.reasons)


def test_without_labels_net_harm_is_no_better_than_harm() -> None:
    found = recommend(Evidence(structural(990, 1000), days=10), replace(POLICY, harm="net"))
    assert found.net.high >= found.harm.high - 1e-3
    assert found.share == 0.01


@pytest.mark.parametrize(
    ("harmed", "read"),
    [(0.0, "0"), (0.00312, "0.0031"), (0.031, "0.031"), (0.98, "0.98"), (7.72, "7.7"), (1234.5, "1,234.5")],
)
def test_harmed_calls_a_day_never_read_as_none_where_there_are_few(harmed: float, read: str) -> None:
    assert a_day(harmed) == read


def test_the_command_says_of_a_small_task_what_the_pages_say() -> None:
    """A hundred calls a day, of which one moves: harm of hundredths of a call is not 0.0."""
    found = recommend(Evidence(labelled(120, 0, 0), days=10, calls_per_day=100), POLICY)
    assert found.harm_per_day_at_most is not None
    said = recommendation_text("task", "small", found)
    assert f"Of what moves at 1 %, at most {a_day(found.harm_per_day_at_most)} harmed calls a day." in said
    assert "At most 0.0 " not in said


def test_harmed_calls_a_day_are_of_what_moves_after_slices() -> None:
    """Held back in part, all the harm may be in what moves; held back whole, none can be."""

    def answered(*bad: int) -> Recommendation:
        slices = [
            SliceEvidence("language", name, 0.5, labelled(1000, worse, worse))
            for name, worse in zip(("en", "de"), bad, strict=True)
        ]
        whole = labelled(2000, sum(bad), min(sum(bad), 22))
        return recommend(Evidence(whole, days=10, calls_per_day=10_000, slices=tuple(slices)), POLICY)

    part, none = answered(2, 200), answered(200, 200)
    assert 0 < part.effective_share < part.share
    assert part.harm_per_day_at_most == pytest.approx(
        10_000 * min(part.effective_share, part.share * part.harm.high)
    )
    assert part.harm_per_day_at_most > 10_000 * part.effective_share * part.harm.high
    assert none.share > none.effective_share == 0
    assert none.harm_per_day_at_most == 0
    assert "harmed calls a day" not in recommendation_text("task", "small", none)


def test_unknown_volume_shows_no_daily_harm() -> None:
    assert recommend(Evidence(structural(960, 1000)), POLICY).harm_per_day_at_most is None


def test_overlapping_slices_move_a_call_at_its_smallest_share() -> None:
    slices = (
        SliceEvidence("language", "en", 0.8, labelled(1600, 20, 2)),
        SliceEvidence("language", "de", 0.2, labelled(400, 60, 45)),
        SliceEvidence("length", "short", 0.5, labelled(1000, 20, 2)),
        SliceEvidence("length", "long", 0.5, labelled(1000, 60, 35)),
    )
    cells = (
        SliceCell((("language", "en"), ("length", "short")), 0.5),
        SliceCell((("language", "en"), ("length", "long")), 0.3),
        SliceCell((("language", "de"), ("length", "long")), 0.2),
    )
    evidence = Evidence(labelled(2000, 80, 22), days=10, slices=slices, cells=cells)
    assert recommend(evidence, POLICY, live(0.10)).effective_share == pytest.approx(0.25 * 0.5 + 0.10 * 0.3)


def test_clusters_are_named_and_widen_the_bound() -> None:
    effect = DesignEffect(2.0, "planned", None, 2.0, 12)
    plain = recommend(Evidence(structural(990, 1000)), POLICY)
    clustered = recommend(Evidence(replace(structural(990, 1000), disagreement_effect=effect)), POLICY)
    assert clustered.harm.high > plain.harm.high
    assert any("planned design effect 2.00" in line and "12 clusters" in line for line in clustered.reasons)


def test_a_lapse_is_not_called_a_label() -> None:
    """Items that nobody judged in time count as harm, and the sentence doesn't take them for opinions."""
    read = replace(labelled(1000, 20, 20), audited_lapses=17, looked=3)
    assert "from 3 labels and 17 lapsed items, counted as harm, on 1,000 audited calls" in " ".join(
        recommend(Evidence(read), POLICY).reasons
    )


def test_what_clusters_cost_is_said_of_the_calls_that_the_bound_rests_on() -> None:
    """Worst case: of all compared calls; once labels carry the bound, of the audited ones."""
    pair, session = DesignEffect(2.0, "planned", None, 2.0, 12), DesignEffect(3.0, "planned", None, 3.0, 12)
    effects = {"disagreement_effect": pair, "harm_effect": session}
    unlabelled = recommend(Evidence(replace(structural(990, 1000, audited=20), **effects)), POLICY)
    (said,) = [line for line in unlabelled.reasons if line.startswith("Calls of one session or request")]
    assert "1,000 compared calls are worth 500" in said
    read = Population(
        compared=1000, disagreements=200, audited=900, audited_disagreements=180, cleared=180, looked=180
    )
    reasons = recommend(Evidence(replace(read, **effects)), POLICY).reasons
    (said,) = [line for line in reasons if line.startswith("Calls of one session or request")]
    assert "900 audited calls are worth 300" in said


def test_a_few_sessions_are_not_the_traffic_however_long_they_are() -> None:
    """Four of a thousand agreeing calls each: by the planned correlation alone they would prove 5 %."""
    few, enough = (DesignEffect(50.95, "planned", None, 50.95, n) for n in (4, 30))
    task = structural(4000, 4000, looked=1)
    found = recommend(Evidence(replace(task, disagreement_effect=few, harm_effect=few), days=10), POLICY)
    assert found.harm.high < 0.05
    assert (found.cap, found.action) == (0.10, Action.RAMP)
    assert "from 4 clusters of calls" in " ".join(found.reasons)
    assert any("from 30 clusters at least" in each for each in found.missing)
    whole = recommend(Evidence(replace(task, disagreement_effect=enough, harm_effect=few), days=10), POLICY)
    assert whole.cap == 1.0


def test_calls_of_few_audited_sessions_carry_no_more_than_all_calls_do() -> None:
    """Every disagreement counted as harm, all calls support 10 %: judged ones of four sessions no more."""
    few = DesignEffect(1.5, "planned", None, 1.5, 4)
    task = replace(labelled(1000, 60, 0), harm_effect=few, cleared=0, audited=500, audited_disagreements=30)
    found = recommend(Evidence(task, days=10), POLICY)
    assert (found.harm.high < 0.05, found.cap) == (True, 0.10)
    assert recommend(Evidence(replace(task, harm_effect=NO_EFFECT), days=10), POLICY).cap == 1.0


def test_a_slice_of_a_few_sessions_gets_no_more_than_a_task_of_them() -> None:
    few = DesignEffect(50.95, "planned", None, 50.95, 4)
    task = structural(4000, 4000, looked=1)
    part = SliceEvidence("language", "en", 1.0, replace(task, disagreement_effect=few, harm_effect=few))
    (found,) = recommend(Evidence(task, days=10, slices=(part,)), POLICY, live(0.5)).slices
    assert (found.cap, found.share) == (0.10, 0.10)
    assert "from 4 clusters of calls" in found.reason


@pytest.mark.parametrize(
    "wrong",
    [
        (Evidence(), Policy(tolerance=5), None),
        (Evidence(), Policy(level=95), None),
        (Evidence(), Policy(maximum_invalid=math.nan), None),
        (Evidence(), Policy(minimum_pairs=-1), None),
        (Evidence(), Policy(ladder=(0.0, 0.5, 0.1, 1.0)), None),
        (Evidence(), Policy(harm="both"), None),
        (Evidence(), POLICY, State(share=math.nan)),
        (Evidence(), POLICY, State(share=10)),
        (Evidence(), POLICY, State(share=0.1, days_in_stage=math.nan)),
        (Evidence(days=math.nan), POLICY, None),
        (Evidence(structural(10, 20), invalid=-1), POLICY, None),
        (Evidence(structural(10, 20), invalid=21), POLICY, None),
        (Evidence(structural(30, 20)), POLICY, None),
    ],
)
def test_numbers_that_can_not_be_are_refused_and_no_evidence(
    wrong: tuple[Evidence, Policy, State | None],
) -> None:
    """A rate in percent, a count below nothing, a value that is missing: each would look like any other."""
    with pytest.raises(ValueError, match=r"must be|can't be|rise from|is 'regressions' or 'net'"):
        recommend(*wrong)


def test_latency_of_no_call_is_not_measured() -> None:
    nothing = Estimate(None, 0.0, 0.0, 0.95, "none", 0, 0)
    found = recommend(Evidence(structural(400, 400), latency_p95_ms=nothing), Policy(latency_p95_ms=500))
    assert (found.share, found.action) == (0.0, Action.HOLD)


def test_a_confirmed_harm_behind_normalisation_revokes_free_agreement() -> None:
    task = replace(labelled(1000, 20, 2), normalised=400, normalised_labelled=20, normalised_harms=1)
    before = recommend(Evidence(task, days=10), POLICY)
    after = recommend(Evidence(replace(task, revoked=True), days=10), POLICY)
    assert before.cap == 1.0
    assert after.harm.high > 0.4 * 0.05
    assert after.harm.high > before.harm.high
    assert after.cap < before.cap


def test_labels_are_not_asked_for_where_they_would_not_help() -> None:
    over = semantic(60, [(1.0, 1)] * 9 + [(1.0, 0)] * 51)
    missing = recommend(Evidence(over, days=10), POLICY, live(0.05)).missing
    assert missing == (
        "More labels will hardly help: the estimate, 15.0 %, is above the tolerance of 5.0 %.",
    )
    group = OutcomeGroup("label", "rare", 55, 2)
    missing = recommend(Evidence(structural(947, 1000), groups=(group,)), POLICY).missing
    assert missing == ("A candidate that gets label 'rare' right, compared in a new evidence window.",)


def test_a_rate_always_has_one_decimal_and_a_stage_none_more_than_it_needs() -> None:
    """A sentence says 3.0 % where the table beside it does; a stage and a level stay as they were set."""
    found = [(measured(rate), percent(rate)) for rate in (0.03, 0.25, 0.0625, 1.0, 0.0, -0.00001)]
    assert [one for one, _ in found] == ["3.0 %", "25.0 %", "6.2 %", "100.0 %", "0.0 %", "0.0 %"]
    assert [other for _, other in found] == ["3 %", "25 %", "6.25 %", "100 %", "0 %", "0 %"]


def test_missing_labels_are_the_smallest_number_that_reaches_the_next_stage() -> None:
    task = Population(
        compared=5000, disagreements=500, audited=170, audited_disagreements=20, harms=2, looked=20
    )
    found = recommend(Evidence(replace(task, cleared=18), days=10), POLICY)
    needed = found.details["calls_needed"]
    rate, bound = 2 / 170, found.details["next_bound"]
    assert anytime_upper(math.ceil(rate * needed), needed, 0.05) <= bound
    assert anytime_upper(math.ceil(rate * (needed - 1)), needed - 1, 0.05) > bound
    assert found.details["labels_needed"] == math.ceil(needed * 0.1)
    assert f"About {found.details['labels_needed']} labels" in found.missing[0]


# --- laws -------------------------------------------------------------------------------------

VERDICTS = st.sampled_from([*LabelVerdict, None])
ORDER = [
    LabelVerdict.CANDIDATE_BETTER,
    LabelVerdict.EQUAL,
    LabelVerdict.BOTH_BAD,
    LabelVerdict.CONTROL_BETTER,
]


@st.composite
def tasks(draw: st.DrawFn) -> list[AuditRow]:
    """A compared sample: mostly agreement, disagreements labelled in any pattern."""
    n = draw(st.integers(20, 400))
    bad = draw(st.integers(0, min(n, 40)))
    places = draw(st.permutations(range(n)))[:bad] if n <= 60 else [i * n // max(bad, 1) for i in range(bad)]
    rows = [
        AuditRow(
            f"c{i}",
            batch=i * 2 // n,
            audit_key=f"{i * 7919 % n:05d}",
            agrees=True,
            identical=i % 3 > 0,
            control_group="abc"[(i % 5 == 0) + (i % 15 == 0)],
            candidate_group="abc"[(i % 5 == 0) + (i % 15 == 0)],
        )
        for i in range(n)
    ]
    for place in places:
        verdict = draw(VERDICTS)
        rows[place] = replace(
            rows[place],
            agrees=False,
            identical=False,
            candidate_group=draw(st.sampled_from(["a", "b", "c", "d", None])),
            verdict=verdict,
            lapsed=verdict is None and draw(st.booleans()),
        )
    return rows


def share_of(rows: list[AuditRow], policy: Policy, share: float) -> float:
    evidence = from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10)
    return recommend(evidence, policy, live(share)).share


shares = st.sampled_from([0.0, 0.01, 0.05, 0.10, 0.25, 0.50, 1.0])
policies = st.sampled_from(
    [POLICY, Policy(tolerance=0.1), Policy(harm="net"), Policy(tolerance=0.15, critical_tolerance=0.03)]
)


@settings(max_examples=80, deadline=None)
@given(rows=tasks(), share=shares, policy=policies, data=st.data())
def test_letting_an_item_lapse_never_raises_the_share(
    rows: list[AuditRow], share: float, policy: Policy, data: st.DataObject
) -> None:
    """A labelled disagreement that had lapsed instead gives no larger share."""
    done = [i for i, row in enumerate(rows) if row.verdict is not None]
    if not done:
        return
    place = data.draw(st.sampled_from(done))
    worse = list(rows)
    worse[place] = replace(rows[place], verdict=None, lapsed=True)
    assert share_of(worse, policy, share) <= share_of(rows, policy, share) + 1e-12


@settings(max_examples=80, deadline=None)
@given(rows=tasks(), share=shares, policy=policies, data=st.data())
def test_a_worse_label_never_raises_the_share(
    rows: list[AuditRow], share: float, policy: Policy, data: st.DataObject
) -> None:
    """A label turned into a worse one gives no larger share."""
    done = [i for i, row in enumerate(rows) if row.verdict is not None]
    if not done:
        return
    place = data.draw(st.sampled_from(done))
    verdict = rows[place].verdict
    assert verdict is not None
    worse = list(rows)
    turned = data.draw(st.sampled_from(ORDER[ORDER.index(verdict) :]))
    worse[place] = replace(rows[place], verdict=turned)
    assert share_of(worse, policy, share) <= share_of(rows, policy, share) + 1e-12


@settings(max_examples=80, deadline=None)
@given(rows=tasks(), share=shares, policy=policies, data=st.data())
def test_an_outcome_turned_into_a_failure_never_raises_the_share(
    rows: list[AuditRow], share: float, policy: Policy, data: st.DataObject
) -> None:
    """An agreement inside `audited` that fails instead, harmful until labelled, gives no larger share."""
    agreeing = [i for i, row in enumerate(rows) if row.agrees]
    if not agreeing:
        return
    worse = list(rows)
    for place in data.draw(st.lists(st.sampled_from(agreeing), min_size=1, max_size=8, unique=True)):
        worse[place] = replace(rows[place], agrees=False, identical=False, invalid=True, lapsed=True)
    before = from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10)
    after = from_rows(worse, basis=Basis.STRUCTURAL, icc=0.0, days=10)
    first, second = (recommend(each, policy, live(share)) for each in (before, after))
    assert second.share <= first.share + 1e-12


@settings(max_examples=60, deadline=None)
@given(rows=tasks(), data=st.data())
def test_the_order_of_rows_and_the_names_of_labels_do_not_matter(
    rows: list[AuditRow], data: st.DataObject
) -> None:
    """Rows may arrive in any order, and labels may have any names, also each other's."""
    shuffled = data.draw(st.permutations(rows))
    names = dict(zip("abcd", data.draw(st.permutations(["a", "b", "c", "d", "other"])), strict=False))
    renamed = [
        replace(
            row,
            control_group=names[row.control_group or ""],
            candidate_group=names.get(row.candidate_group or ""),
        )
        for row in shuffled
    ]
    first = from_rows(rows, basis=Basis.STRUCTURAL)
    second = from_rows(shuffled, basis=Basis.STRUCTURAL)
    third = from_rows(renamed, basis=Basis.STRUCTURAL)
    assert first == second
    plain = kappa([(row.control_group, row.candidate_group) for row in rows])
    for each in (first, third):
        assert each.kappa == (None if plain is None else pytest.approx(plain, abs=1e-12))
    groups, others = (
        {names.get(each.name, each.name) if here is first else each.name: each for each in here.groups}
        for here in (first, third)
    )
    assert groups == {name: replace(each, name=groups[name].name) for name, each in others.items()}
    found, other = recommend(first, POLICY), recommend(third, POLICY)
    assert (found.share, found.cap, found.harm) == (other.share, other.cap, other.harm)


@settings(max_examples=60, deadline=None)
@given(
    outcomes=st.lists(
        st.tuples(st.sampled_from([1.25, 0.8, 0.3]), st.sampled_from(ORDER)), min_size=1, max_size=150
    ),
    share=shares,
    policy=policies,
    data=st.data(),
)
def test_a_worse_or_lapsed_draw_never_raises_the_share_of_a_semantic_task(
    outcomes: list[tuple[float, LabelVerdict]], share: float, policy: Policy, data: st.DataObject
) -> None:
    """In the queue's order, a worse label or a lapse gives no larger share."""
    rows = [AuditRow(f"c{i}", 0, f"{i:04d}", agrees=True) for i in range(400)]
    draws = [DrawRow(f"c{i}", weight, verdict) for i, (weight, verdict) in enumerate(outcomes)]
    place = data.draw(st.integers(0, len(draws) - 1))
    verdict = draws[place].verdict
    assert verdict is not None
    turned = data.draw(st.sampled_from([None, *ORDER[ORDER.index(verdict) :]]))
    worse = list(draws)
    worse[place] = replace(draws[place], verdict=turned, lapsed=turned is None)
    first, second = (
        recommend(
            from_rows(rows, basis=Basis.SEMANTIC, draws=each, weight_max=1.25, days=10), policy, live(share)
        )
        for each in (draws, worse)
    )
    assert second.share <= first.share + 1e-12


@settings(max_examples=60, deadline=None)
@given(rows=tasks(), share=shares, tolerance=st.sampled_from([0.05, 0.1, 0.2]))
def test_missing_evidence_never_promotes(rows: list[AuditRow], share: float, tolerance: float) -> None:
    """Without its days, its stage or a measurement that the policy asks for, no share is larger."""
    policy = Policy(tolerance=tolerance)
    full = from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10)
    best = recommend(full, policy, live(share)).share
    assert recommend(replace(full, days=None), policy, live(share)).share <= best
    unknown = recommend(full, policy, State(share)).share
    assert unknown <= best
    assert unknown <= share or share == 0
    unmeasured = recommend(full, replace(policy, latency_p95_ms=100.0), live(share)).share
    assert unmeasured <= min(best, share)
    for limit in (replace(policy, critical_tolerance=0.01), replace(policy, session_tolerance=0.01)):
        without = replace(full, critical=None, sessions=None)
        assert recommend(without, limit, live(share)).share <= min(best, 0.10)


@settings(max_examples=60, deadline=None)
@given(rows=tasks(), share=shares, without=shares)
def test_an_override_never_takes_further_than_its_absence(
    rows: list[AuditRow], share: float, without: float
) -> None:
    """No more is recommended than without it, nor than if its share had been accepted."""
    evidence = from_rows(rows, basis=Basis.STRUCTURAL, icc=0.0, days=10)
    raised = recommend(evidence, POLICY, replace(live(share), without_override=without))
    assert raised.share <= recommend(evidence, POLICY, live(share)).share
    if without < share:
        lower = recommend(evidence, POLICY, live(without)).share
        assert raised.share <= lower
    assert raised.cap == recommend(evidence, POLICY, live(share)).cap


# --- real answers -----------------------------------------------------------------------------

DATA = os.environ.get("WORKBENCH_DATA")


@pytest.fixture(scope="module")
def technology() -> list[dict[str, str]]:
    if not DATA:
        pytest.skip("WORKBENCH_DATA does not name the folder of real data")
    with (Path(DATA) / "textclass" / "technology_EN.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def real_rows(table: list[dict[str, str]], candidate: str, *, gold: bool = False) -> list[AuditRow]:
    rows = []
    for row in table:
        control, observed = row["gpt-4o-2024-11-20"], row[candidate]
        agrees = control == observed
        verdict = None
        if gold and not agrees:
            right = {control: LabelVerdict.CONTROL_BETTER, observed: LabelVerdict.CANDIDATE_BETTER}
            verdict = right.get(row["gold"], LabelVerdict.BOTH_BAD)
        rows.append(
            AuditRow(
                row["row"],
                0,
                f"{int(row['row']):06d}",
                agrees,
                identical=agrees,
                verdict=verdict,
                picked=gold,
                control_group=control,
                candidate_group=observed,
            )
        )
    return rows


def test_gemma2_may_start_but_nobody_has_looked(technology: list[dict[str, str]]) -> None:
    found = recommend(from_rows(real_rows(technology, "gemma2"), basis=Basis.STRUCTURAL, days=10), POLICY)
    check(found, 0.0457, Action.RAMP, 0.01, 0.25)
    assert found.harm.high == pytest.approx(0.0457, abs=0.0001)


def test_llama_has_stopped_answering_1(technology: list[dict[str, str]]) -> None:
    found = recommend(from_rows(real_rows(technology, "llama3.2"), basis=Basis.STRUCTURAL, days=10), POLICY)
    check(found, 0.0783, Action.HOLD, 0.0)
    assert "label '1'" in found.binding_reason
    assert "in 2 of 55 cases" in found.binding_reason


def test_gold_answers_enter_the_bound_where_they_cover_every_disagreement(
    technology: list[dict[str, str]],
) -> None:
    rows = real_rows(technology, "gemma2", gold=True)
    evidence = from_rows(rows, basis=Basis.STRUCTURAL, days=10)
    task = evidence.task
    assert (task.disagreements, task.harms, task.audited_better) == (27, 12, 15)
    assert task.audited == task.compared
    found = recommend(evidence, POLICY)
    assert found.harm.high < 0.03
    first = next(i for i, row in enumerate(rows) if not row.agrees)
    rows[first] = replace(rows[first], verdict=None)
    assert from_rows(rows, basis=Basis.STRUCTURAL).task.cleared == 0


@pytest.mark.parametrize("harm", ["regressions", "net"])
@pytest.mark.parametrize("audited", [0, 12])
def test_nobody_looked_is_told_as_such_and_moves_what_it_did(harm: str, audited: int) -> None:
    """Without a verdict no estimate is shown, of task or slice, and disagreement still holds the share."""
    part = Population(compared=200, disagreements=40, audited=audited)
    whole = Population(compared=1000, disagreements=70, audited=audited)
    evidence = Evidence(task=whole, slices=(SliceEvidence("language", "de", 0.2, part),), days=20.0)
    found = recommend(evidence, replace(POLICY, harm=harm))
    assert (found.harm.point, found.net.point, found.slices[0].harm.point) == (None, None, None)
    assert found.cap == 0.10
    assert found.slices[0].share == 0
    said = " ".join((*found.reasons, found.slices[0].reason))
    assert "estimate" not in said
    # The agreements that happen to stand first say nothing: taken as harm, what differs is too much.
    assert found.share == 0
    assert "nobody has looked at what differs: counted as harm it is 7.0 %" in said
    assert "Nobody has looked at an output here" in found.slices[0].reason
