"""Evidence about sets of calls, outcomes call by call, and where walks over thresholds start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.records import Basis, LabelVerdict
from workbench.stats.audit import AuditRow, DrawRow, in_audit_order, structural
from workbench.stats.drawn import semantic
from workbench.stats.harm import regressions
from workbench.stats.parts import beside_predictions, outcomes_of, parts_of
from workbench.stats.prediction import ppi_mean
from workbench.stats.thresholds import starting_places

VERDICTS = (None, *LabelVerdict)


@st.composite
def calls(draw: st.DrawFn) -> tuple[list[AuditRow], list[bool]]:
    """Return compared calls with a mark each."""
    dice = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 60))
    rows = [
        AuditRow(
            call_id=f"c{number}",
            batch=int(dice.integers(0, 3)),
            audit_key=f"{dice.integers(0, 1_000):04}",
            agrees=bool(dice.random() < 0.7),
            identical=bool(dice.random() < 0.5),
            invalid=bool(dice.random() < 0.05),
            session=f"s{dice.integers(0, 20)}",
            request_hash=f"r{number}",
            verdict=VERDICTS[dice.integers(0, len(VERDICTS))],
            lapsed=bool(dice.random() < 0.1),
        )
        for number in range(n)
    ]
    return rows, [bool(each) for each in dice.random(n) < 0.5]


@given(calls())
@settings(max_examples=60, deadline=None)
def test_a_part_has_the_evidence_of_its_calls_alone(given: tuple[list[AuditRow], list[bool]]) -> None:
    """A set of a structural task is judged as if its calls were all there are."""
    rows, marks = given
    whole, part = parts_of(rows, [np.ones(len(rows), dtype=bool), np.asarray(marks)], basis=Basis.STRUCTURAL)
    assert whole == structural(rows)
    members = [row for row, mark in zip(rows, marks, strict=True) if mark]
    assert part == structural(members, revoked=whole.revoked)


@given(calls())
@settings(max_examples=60, deadline=None)
def test_calls_outside_the_set_are_harmless_in_the_whole(given: tuple[list[AuditRow], list[bool]]) -> None:
    """What is not routed can't be harmed: the share of harm over all calls is never above that of all."""
    rows, marks = given
    everything = np.ones(len(rows), dtype=bool)
    (spared,) = parts_of(rows, [np.asarray(marks)], basis=Basis.STRUCTURAL, whole=everything)
    assert spared.compared == len(rows)
    differing = sum(mark and (row.invalid or not row.agrees) for row, mark in zip(rows, marks, strict=True))
    assert spared.disagreements == differing
    (nothing,) = parts_of(rows, [~everything], basis=Basis.STRUCTURAL, whole=everything)
    assert nothing.disagreements == nothing.harms == 0


def test_drawn_labels_outside_the_set_count_as_harmless_draws() -> None:
    """In budget mode a draw that is not routed stays a draw, without harm, even where it lapsed."""
    rows = [AuditRow(f"c{number}", 0, f"{number:03}", agrees=True) for number in range(40)]
    draws = [
        DrawRow(row.call_id, 1.0, LabelVerdict.CONTROL_BETTER if place % 2 else None, lapsed=not place % 2)
        for place, row in enumerate(rows[:20])
    ]
    inside = np.arange(40) < 5
    (whole,) = parts_of(
        rows, [inside], basis=Basis.SEMANTIC, draws=draws, whole=np.ones(40, dtype=bool), weight_max=1.25
    )
    assert len(whole.draws) == 20
    assert regressions(whole, 0.05).estimate.point == 5 / 20
    (part,) = parts_of(rows, [inside], basis=Basis.SEMANTIC, draws=draws, weight_max=1.25)
    assert part == semantic(rows, draws, weight_max=1.25, part=rows[:5])


@given(calls())
@settings(max_examples=60, deadline=None)
def test_outcomes_are_those_of_the_audited_calls(given: tuple[list[AuditRow], list[bool]]) -> None:
    """As many known outcomes as the bound has audited, with as many harms."""
    rows, _ = given
    found = outcomes_of(rows, basis=Basis.STRUCTURAL)
    population = structural(rows)
    if population.revoked:
        assert found is None
        return
    assert found is not None
    assert found.places.size == population.audited
    assert found.harmed.sum() == population.harms
    ordered = in_audit_order(rows)[: population.audited]
    assert [rows[place].call_id for place in found.places] == [row.call_id for row in ordered]


def test_walks_start_where_the_frozen_grid_routes_enough() -> None:
    """The first thresholds that route a quarter, a half and four fifths; each place once, none beyond."""
    routed = [0.05 * step for step in range(1, 21)]
    assert starting_places(routed) == (4, 9, 15)
    assert starting_places([0.3, 0.6, 0.7]) == (0, 1)
    assert starting_places([0.9]) == (0,)
    assert starting_places([]) == ()


def drifting(rng: np.random.Generator, audited: int) -> tuple[list[AuditRow], np.ndarray, float]:
    """Return two batches and predictions: in the later one predictions alone are higher."""
    rows, guesses = [], []
    harmed = rng.random(2_000) < 0.1
    for number in range(2_000):
        later = number >= 800
        verdict = LabelVerdict.CONTROL_BETTER if harmed[number] else LabelVerdict.EQUAL
        differs = bool(harmed[number] or rng.random() < 0.2)
        seen = number < audited and differs
        rows.append(
            AuditRow(
                f"c{number}",
                int(later),
                f"{number:05}",
                agrees=not differs,
                verdict=verdict if seen else None,
            )
        )
        guesses.append(0.6 * harmed[number] + 0.3 * rng.random() + 0.5 * later)
    return rows, np.asarray(guesses), 0.1


def test_predictions_of_later_traffic_do_not_move_the_estimate_of_what_was_audited() -> None:
    """Of 200 logs whose traffic drifts, the interval covers about as often as it says."""
    missed, sharper = 0, []
    for seed in range(200):
        rows, guesses, truth = drifting(np.random.default_rng([3, seed]), 500)
        found = outcomes_of(rows, basis=Basis.STRUCTURAL)
        assert found is not None
        own, others = beside_predictions(found, guesses)
        assert others.size == 800 - found.places.size
        estimate, power = ppi_mean(found.harmed, own, others, 0.05)
        missed += not estimate.low <= truth <= estimate.high
        sharper.append(estimate.n_effective > found.places.size)
        assert power > 0.3
    assert missed <= 200 * 0.1 + 3 * np.sqrt(200 * 0.1 * 0.9)
    assert np.mean(sharper) > 0.9


def test_a_batch_that_is_audited_to_its_end_is_estimated_by_its_labels_alone() -> None:
    """No call of it waits, and those of the next batch are of another time."""
    rows, guesses, _ = drifting(np.random.default_rng(8), 1_000)
    rows = [
        replace(row, verdict=LabelVerdict.EQUAL)
        if not row.agrees and row.batch == 0 and not row.verdict
        else row
        for row in rows
    ]
    rows = [replace(row, verdict=None) if row.batch else row for row in rows]
    rows[800] = replace(rows[800], agrees=False)
    found = outcomes_of(rows, basis=Basis.STRUCTURAL)
    assert found is not None
    own, others = beside_predictions(found, guesses)
    estimate, power = ppi_mean(found.harmed, own, others, 0.05)
    assert (found.places.size, others.size, power) == (800, 0, 0.0)
    assert estimate.point == found.harmed.mean()


def test_a_draw_is_set_beside_the_batches_it_was_drawn_from() -> None:
    """For the queue alike: half of the draws saw one batch, half saw both."""
    means = []
    for seed in range(100):
        rng = np.random.default_rng([4, seed])
        rows, guesses, truth = drifting(rng, 2_000)
        harmed = [row.verdict is LabelVerdict.CONTROL_BETTER for row in rows]
        chosen = [*rng.permutation(800)[:300].tolist(), *rng.permutation(2_000)[:300].tolist()]
        draws = [
            DrawRow(
                f"c{place}",
                1.0,
                LabelVerdict.CONTROL_BETTER if harmed[place] else LabelVerdict.EQUAL,
                batches=1 if number < 300 else 2,
            )
            for number, place in enumerate(chosen)
        ]
        found = outcomes_of(rows, basis=Basis.SEMANTIC, draws=draws)
        assert found is not None
        own, others = beside_predictions(found, guesses)
        assert others.size == 2_000
        means.append(ppi_mean(found.harmed, own, others, 0.05)[0].point or 0.0)
    assert abs(np.mean(means) - truth) < 4 * np.std(means) / 10
