"""What moved the bound, and what would change the decision, on evidence made by hand."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench import ramp
from workbench.records import Action, Basis, Estimate, LabelVerdict, Policy, Recommendation
from workbench.sensitivity import Judged, audit_path, draw_path, upper_bound, what_would_change
from workbench.stats.audit import AuditRow, from_rows
from workbench.stats.evidence import Evidence, Population, WeightedOutcome
from workbench.stats.rows import Differing, Table

POLICY = Policy()
WORSE, EQUAL, BETTER = LabelVerdict.CONTROL_BETTER, LabelVerdict.EQUAL, LabelVerdict.CANDIDATE_BETTER


def rows(verdicts: list[LabelVerdict | None], lapsed: set[int], gap: int) -> list[AuditRow]:
    """Return calls of which every `gap`-th disagrees, with what people said of those."""
    found = []
    for place in range(len(verdicts) * gap):
        number, rest = divmod(place, gap)
        differs = rest == gap - 1
        found.append(
            AuditRow(
                call_id=f"c{place}",
                batch=0,
                audit_key=f"{place:06}",
                agrees=not differs,
                identical=not differs,
                verdict=verdicts[number] if differs else None,
                lapsed=differs and number in lapsed and verdicts[number] is None,
            )
        )
    return found


@settings(max_examples=40, deadline=None)
@given(
    said=st.lists(st.sampled_from([WORSE, EQUAL, BETTER, None]), min_size=1, max_size=12),
    lapsed=st.sets(st.integers(0, 11)),
    gap=st.integers(1, 6),
    order=st.randoms(use_true_random=False),
    harm=st.sampled_from(["regressions", "net"]),
)
def test_the_path_after_each_label_is_what_the_evidence_with_those_labels_says(
    said: list[LabelVerdict | None], lapsed: set[int], gap: int, order: object, harm: str
) -> None:
    """Whatever the order in which labels came in, also far ahead of the audit."""
    policy = Policy(harm=harm)
    given_labels = [number for number, verdict in enumerate(said) if verdict]
    order.shuffle(given_labels)  # type: ignore[attr-defined]
    whole = from_rows(rows(said, lapsed, gap), basis=Basis.STRUCTURAL, icc=0.0).task
    places = [number * gap + gap - 1 for number in range(len(said))]
    dropped = [places[number] for number in sorted(lapsed) if number < len(said) and said[number] is None]
    labels = [Judged(places[number], said[number] or EQUAL) for number in given_labels]
    path = audit_path(whole, places, dropped, labels, policy)
    for taken in range(len(given_labels) + 1):
        known = set(given_labels[:taken])
        partly = [verdict if number in known else None for number, verdict in enumerate(said)]
        gone = {number for number in lapsed if number < len(said) and said[number] is None}
        expected = from_rows(rows(partly, gone, gap), basis=Basis.STRUCTURAL, icc=0.0).task
        assert path[taken] == pytest.approx(upper_bound(expected, policy, policy.delta), abs=1e-9)


def test_a_harmful_draw_moves_the_bound_up_and_a_clean_one_down() -> None:
    """One move a draw, and the last value is the bound itself."""
    draws = tuple(WeightedOutcome(1.0, int(number == 30)) for number in range(60))
    population = Population(basis=Basis.SEMANTIC, compared=1_000, draws=draws, weight_max=1.25, looked=60)
    path = draw_path(population, POLICY)
    assert len(path) == 61
    assert path[0] == 1.0
    assert path[31] > path[30]
    assert all(after <= before for place, (before, after) in enumerate(pairwise(path)) if place != 30)
    assert path[-1] == upper_bound(population, POLICY, POLICY.delta)


def structural(compared: int, disagreements: int, **more: object) -> Evidence:
    task = Population(
        compared=compared, disagreements=disagreements, audited=compared if not disagreements else 0
    )
    return Evidence(task=task, **{"days": 30.0, **more})  # type: ignore[arg-type]


def test_one_label_lifts_the_cap_that_holds_because_nobody_looked() -> None:
    """1,000 calls that agree: 25 % until a person has looked at one."""
    found = what_would_change(structural(1_000, 0), POLICY)
    labels = next(each for each in found.changes if each.what == "labels")
    assert (labels.n, labels.cap, labels.up) == (1, 1.0, True)


def test_labels_that_would_raise_the_cap_do_raise_it() -> None:
    """The number named is the smallest that does: one fewer changes nothing."""
    evidence = structural(1_000, 100)
    found = what_would_change(evidence, POLICY)
    labels = next(each for each in found.changes if each.what == "labels")
    now = ramp.recommend(evidence, POLICY)
    assert labels.n is not None
    assert labels.cap > now.cap or labels.share > now.share
    assert "without harm" in labels.sentence
    assert "would let more traffic move" in found.sentence


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.integers(1, 120), min_size=1, max_size=8),
    tail=st.integers(0, 400),
    said=st.dictionaries(st.integers(0, 7), st.sampled_from([WORSE, EQUAL, BETTER]), max_size=3),
    picked=st.booleans(),
)
def test_so_many_labels_as_are_named_reach_what_is_promised_and_one_fewer_does_not(
    gaps: list[int], tail: int, said: dict[int, LabelVerdict], picked: bool
) -> None:
    """Wherever the disagreements stand, and whatever was said of some of them ahead of the audit."""
    places = [sum(gaps[: number + 1]) - 1 for number in range(len(gaps))]

    def with_clean(k: int) -> list[AuditRow]:
        waiting = [n for n in range(len(places)) if n not in said or picked]
        verdicts = said | dict.fromkeys(waiting[:k], EQUAL)
        return [
            AuditRow(
                call_id=f"c{place}",
                batch=0,
                audit_key=f"{place:06}",
                agrees=place not in places,
                identical=place not in places,
                verdict=verdicts.get(places.index(place)) if place in places else None,
                picked=picked and place in places and places.index(place) not in waiting[:k],
            )
            for place in range(places[-1] + 1 + tail)
        ]

    def cap(k: int) -> float:
        found = from_rows(with_clean(k), basis=Basis.STRUCTURAL, icc=0.0, days=30.0)
        return ramp.recommend(found, POLICY).cap

    rows_now = with_clean(0)
    now = from_rows(rows_now, basis=Basis.STRUCTURAL, icc=0.0, days=30.0)
    now = replace(now, differing=Differing.of(Table.of(rows_now)))
    found = what_would_change(now, POLICY)
    for each in found.changes:
        if each.what == "labels" and each.n is not None and each.n <= len(places):
            assert cap(each.n) == each.cap
            assert cap(each.n - 1) < each.cap
            told_elsewhere(ramp.recommend(now, POLICY), each.n)


def told_elsewhere(answer: Recommendation, clean: int) -> None:
    """Expect of what a decision says is missing that it agrees with how few clean labels would do."""
    said = " ".join(answer.missing)
    if number := re.search(r"([\d,]+) more labels? ", said):
        assert int(number[1].replace(",", "")) == clean
    elif "labels on disagreements" in said:
        # Those are all labels, at the harm found so far: never fewer than with none of it.
        assert answer.details["labels_needed"] - answer.details["labels_done"] >= clean
        assert "at the harm found so far" in said
    assert not re.search("more compared calls? to reach", said)


def standing(differing: Collection[int]) -> tuple[Evidence, list[AuditRow]]:
    """Return 360 compared calls of which those at some places differ, and their rows."""
    made = [
        AuditRow(
            call_id=f"c{place}",
            batch=0,
            audit_key=f"{place:06}",
            agrees=place not in differing,
            identical=place not in differing,
        )
        for place in range(360)
    ]
    return from_rows(made, basis=Basis.STRUCTURAL, icc=0.0, days=30.0), made


def test_a_label_reaches_no_further_than_the_next_open_disagreement() -> None:
    """Nine stand side by side: it takes two labels, where an even spread would say one."""
    evidence, made = standing(range(64, 73))
    evidence = replace(evidence, differing=Differing.of(Table.of(made)))
    found = what_would_change(evidence, POLICY)
    labels = next(each for each in found.changes if each.what == "labels")
    assert labels.n == 2
    assert "on disagreements, in order, without harm" in labels.sentence
    assert "About 2 more labels to reach 25 %" in ramp.recommend(evidence, POLICY).missing[0]


def test_what_is_missing_counts_from_where_the_disagreements_stand() -> None:
    """The second of nine stands far off: one label reaches it, where an even spread would ask for two."""
    spread, made = standing({9, *range(200, 208)})
    known = replace(spread, differing=Differing.of(Table.of(made)))
    assert "At least about 2 more labels to reach 25 %" in ramp.recommend(spread, POLICY).missing[0]
    answer = ramp.recommend(known, POLICY)
    assert "About 1 more label to reach 25 %" in answer.missing[0]
    assert answer.details["labels_needed"] == 1


def test_a_missing_latency_is_named_alone_where_it_alone_is_missing() -> None:
    """Everything else is there: filled in, the share moves."""
    policy = Policy(latency_p95_ms=500.0)
    task = Population(compared=2_000, audited=2_000, looked=5)
    found = what_would_change(Evidence(task=task, days=30.0), policy)
    assert [each.what for each in found.changes if each.up] == ["latency"]
    slow = Estimate(900.0, 800.0, 1_000.0, 0.95, "measured", 100, 100.0)
    measured = what_would_change(Evidence(task=task, days=30.0, latency_p95_ms=slow), policy)
    assert all(each.what != "latency" for each in measured.changes)


@pytest.mark.parametrize(("days", "said"), [(1.0, "and 1 day in"), (2.0, "and 2 days in")])
def test_a_stage_that_lasts_one_day_is_said_to_last_one_day(days: float, said: str) -> None:
    """What a stage still needs reads as people say it."""
    policy = Policy(minimum_days_in_stage=days)
    state = ramp.State(share=0.01, days_in_stage=0.0, live_compared=0)
    found = what_would_change(structural(2_000, 0), policy, state)
    assert said in next(each.sentence for each in found.changes if each.what == "stage")


def test_two_things_missing_are_named_together_where_neither_would_do() -> None:
    """No latency and no label on a semantic task: no single piece helps, both do."""
    policy = Policy(latency_p95_ms=500.0)
    task = Population(basis=Basis.SEMANTIC, compared=2_000)
    found = what_would_change(Evidence(task=task, days=30.0), policy)
    assert all(each.share == 0 for each in found.changes)
    assert found.together is not None
    assert found.together.share > 0
    assert "latency" in found.together.sentence
    assert "No single piece" in found.sentence


def test_it_says_how_few_harmful_labels_would_take_traffic_away() -> None:
    """The fragile side of a decision is shown, too."""
    draws = tuple(WeightedOutcome(1.0, 0) for _ in range(100))
    task = Population(basis=Basis.SEMANTIC, compared=2_000, draws=draws, weight_max=1.25, looked=100)
    found = what_would_change(Evidence(task=task, days=30.0), POLICY)
    harmful = next(each for each in found.changes if each.what == "harmful_labels")
    assert not harmful.up
    assert harmful.n is not None
    assert 1 <= harmful.n <= 20


def test_where_only_the_pace_binds_that_is_what_is_said() -> None:
    """The most that may move now is one stage: no yes here to what is missing for the stages after it."""
    found = structural(1000, 40)
    now = ramp.recommend(found, POLICY)
    assert (now.share, now.cap) == (0.01, 0.10)
    assert now.missing
    said = what_would_change(found, POLICY)
    assert said.sentence == (
        "1 % is the most that may move now, whatever else is known: traffic grows one stage at a time. "
        "What is missing is missing for the stages after it."
    )
    assert not [each for each in said.changes if each.share > now.share]


def test_what_is_missing_for_more_is_not_denied_where_the_share_has_reached_its_cap() -> None:
    """Labels and more calls are missing together: neither alone moves more, and both are named."""
    task = Population(
        compared=200, disagreements=20, audited=200, audited_disagreements=20, harms=6, cleared=14, looked=20
    )
    found, at = Evidence(task=task, days=30.0), ramp.State(0.10)
    now = ramp.recommend(found, POLICY, at)
    assert (now.share, now.cap) == (0.10, 0.10)
    said = what_would_change(found, POLICY, at)
    assert not [each for each in said.changes if each.share > now.share]
    assert said.together is None
    assert now.missing
    assert all(each in said.sentence for each in now.missing)


def test_where_nothing_would_help_that_is_said() -> None:
    """Proven harm is no matter of pace: nothing that is missing would let traffic move."""
    task = Population(
        compared=400, disagreements=60, audited=400, audited_disagreements=60, harms=60, looked=60
    )
    found = Evidence(task=task, days=30.0)
    assert ramp.recommend(found, POLICY).action is Action.STOP
    assert what_would_change(found, POLICY).sentence == (
        "No missing evidence would let more traffic move now."
    )
