"""Harm of a population, and the balance of worse and better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.records import Basis
from workbench.stats import weighted
from workbench.stats.evidence import Population, WeightedOutcome
from workbench.stats.harm import (
    BY_DISAGREEMENT,
    BY_LABEL,
    FEWEST_JUDGED,
    net,
    regressions,
    steady_point,
)

DELTA = 0.05


def drawn(outcomes: list[tuple[float, int]], weight_max: float = 1.25) -> Population:
    return Population(
        basis=Basis.SEMANTIC,
        compared=1000,
        draws=tuple(WeightedOutcome(*each) for each in outcomes),
        weight_max=weight_max,
        looked=len(outcomes),
    )


def test_the_smaller_of_both_structural_bounds_is_taken_and_named() -> None:
    unlabelled = Population(compared=1000, disagreements=40, audited=20)
    assert regressions(unlabelled, DELTA).estimate.method == BY_DISAGREEMENT
    labelled = Population(compared=1000, disagreements=120, audited=500, audited_disagreements=60, harms=6)
    found = regressions(labelled, DELTA)
    assert found.estimate.method == BY_LABEL
    assert found.by_disagreement is not None
    assert found.estimate.high < found.by_disagreement.high


def test_net_of_equal_weights_is_the_bound_on_the_shifted_outcome() -> None:
    outcomes = [(1.0, 1)] * 10 + [(1.0, -1)] * 20 + [(1.0, 0)] * 170
    found = net(drawn(outcomes, 1.0), DELTA).estimate
    upper = weighted.upper([1.0, 0.5, 0.0], DELTA, counts=[10, 170, 20])
    assert found.high == pytest.approx(2 * upper - 1)
    assert found.point == pytest.approx(-0.05)


def test_net_is_the_same_whether_drawn_evenly_or_audited() -> None:
    outcomes = [(1.0, 1)] * 10 + [(1.0, -1)] * 20 + [(1.0, 0)] * 170
    audited = Population(
        compared=200,
        disagreements=30,
        audited=200,
        audited_disagreements=30,
        harms=10,
        audited_better=20,
        cleared=20,
        cleared_better=20,
    )
    first, second = net(drawn(outcomes, 1.0), DELTA).estimate, net(audited, DELTA).estimate
    assert (first.low, first.high) == pytest.approx((second.low, second.high))


def test_weights_of_equal_pairs_add_no_noise_to_net_harm() -> None:
    """Pairs without a difference leave the balance at nothing, whatever they weigh."""
    found = net(drawn([(1.25, 0)] * 60 + [(0.3, 0)] * 40), DELTA).estimate
    assert found.point == pytest.approx(0, abs=1e-9)
    assert found.low <= 0 <= found.high


def audited(judged: int, harms: int, lapses: int = 0, better: int = 0) -> Population:
    """Return 1,000 calls of which every eighth differs, so many of them judged or lapsed in order."""
    return Population(
        compared=1000,
        disagreements=125,
        audited=8 * (judged + lapses) + 7,
        audited_disagreements=judged + lapses,
        audited_lapses=lapses,
        harms=harms + lapses,
        audited_better=better,
        cleared=judged - harms,
        cleared_better=better,
        looked=judged,
    )


def test_a_handful_of_judged_disagreements_is_no_rate_to_rise_on() -> None:
    """Before twenty are judged each open one counts as harm; from then on the audited rate stands."""
    for measure in (regressions, net):
        nothing, few, enough = (
            steady_point(measure(each, DELTA), each)
            for each in (audited(0, 0), audited(FEWEST_JUDGED - 1, 2), audited(FEWEST_JUDGED, 2))
        )
        assert nothing == pytest.approx(0.125)
        assert few == pytest.approx((125 - 17) / 1000)
        assert enough == pytest.approx(2 / 167)
    assert steady_point(regressions(Population(), DELTA), Population()) is None
    semantic = drawn([(1.0, 0)] * 3)
    assert steady_point(regressions(semantic, DELTA), semantic) == pytest.approx(0)


@given(
    st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.sampled_from(["lapses", "worse", "fails"])
)
def test_less_or_worse_evidence_never_lowers_what_a_share_may_rise_on(
    judged: int, harms: int, lapses: int, change: str
) -> None:
    """A label that lapses, one that turns into harm, an agreeing call that fails: the figure never falls."""
    harms = min(harms, judged)
    before = audited(judged, harms, lapses)
    if change == "fails":
        more = {"disagreements": 126, "audited_disagreements": judged + lapses + 1}
        after = replace(before, **more, audited_lapses=lapses + 1, harms=before.harms + 1)
    elif harms < judged and change == "lapses":
        after = replace(audited(judged - 1, harms, lapses + 1), audited=before.audited)
    elif harms < judged:
        after = audited(judged, harms + 1, lapses)
    else:
        return
    for measure in (regressions, net):
        first, second = (steady_point(measure(each, DELTA), each) for each in (before, after))
        assert first is not None
        assert second is not None
        assert first <= second + 1e-12


outcomes = st.lists(
    st.tuples(st.sampled_from([0.3, 1.0, 1.25]), st.sampled_from([-1, 0, 1])), min_size=1, max_size=60
)


@given(outcomes, st.integers(0, 59))
def test_a_worse_draw_never_lowers_a_bound(found: list[tuple[float, int]], place: int) -> None:
    """Harm and net harm rise, bounds and estimate, when a draw gets worse."""
    worse = list(found)
    weight, outcome = found[place % len(found)]
    worse[place % len(found)] = (weight, min(outcome + 1, 1))
    for measure in (regressions, net):
        before, after = measure(drawn(found), DELTA).estimate, measure(drawn(worse), DELTA).estimate
        assert before.high <= after.high + 1e-9
        assert before.low <= after.low + 1e-9
        assert before.point is not None
        assert after.point is not None
        assert before.point <= after.point + 1e-9


def test_revocation_leaves_identical_outputs_alone() -> None:
    """Only the stratum that agrees after normalisation is put in doubt."""
    few, many = (
        Population(
            compared=1000,
            disagreements=0,
            audited=1000,
            normalised=normalised,
            normalised_labelled=20,
            normalised_harms=1,
            revoked=True,
            looked=20,
        )
        for normalised in (20, 400)
    )
    small, large = regressions(few, DELTA).estimate, regressions(many, DELTA).estimate
    assert small.high < 0.01
    assert large.high == pytest.approx(20 * small.high, rel=0.01)
    assert large.point == pytest.approx(0.4 / 20)


@st.composite
def unseen(draw: st.DrawFn) -> Population:
    """Return structural evidence that nobody has looked at: some of it may have lapsed."""
    compared = draw(st.integers(1, 400))
    disagreements = draw(st.integers(1, compared))
    lapses = draw(st.integers(0, disagreements))
    audited = draw(st.integers(lapses, compared - disagreements + lapses))
    return Population(
        compared=compared,
        disagreements=disagreements,
        audited=audited,
        audited_disagreements=lapses,
        audited_lapses=lapses,
        harms=lapses,
    )


@given(unseen())
def test_where_nobody_has_looked_the_estimate_is_not_known(population: Population) -> None:
    """Disagreement is not harm and a run of agreements is no audit: no point, the same bounds as ever."""
    for measure in (regressions, net):
        found = measure(population, DELTA)
        assert found.estimate.point is None
        assert found.by_label is not None
        assert found.by_label.point is None
        looked = measure(replace(population, looked=1), DELTA)
        assert looked.estimate.point == found.cautious == looked.cautious
        assert replace(looked.estimate, point=None) == found.estimate


def test_where_every_call_agrees_nothing_is_left_to_look_at() -> None:
    """Equal outputs can't be a regression: the estimate is nothing, with no label at all."""
    assert regressions(Population(compared=30, audited=30), DELTA).estimate.point == 0
    assert regressions(Population(), DELTA).estimate.point is None


def test_lapsed_draws_alone_make_no_estimate() -> None:
    """A lapse counts as harm in the bound, but nobody saw it."""
    found = regressions(replace(drawn([(1.0, 1)] * 12), looked=0), DELTA)
    assert found.estimate.point is None
    assert found.cautious == 1
    assert found.estimate.low > 0.5


rates = st.integers(0, 400)


@given(rates, rates, rates, rates, rates, st.booleans(), st.sampled_from([0.05, 0.2]))
def test_an_interval_holds_its_estimate(
    n: int, differing: int, audited: int, harms: int, cleared: int, revoked: bool, delta: float
) -> None:
    """Of calls in order, whatever people said: low <= point <= high, unless batches contradict each other."""
    differing = min(differing, n)
    seen = min(audited, differing)
    harms = min(harms, seen)
    task = Population(
        compared=n,
        disagreements=differing,
        audited=max(min(audited, n), seen),
        audited_disagreements=seen,
        harms=harms,
        cleared=min(cleared, differing - harms),
        looked=seen,
        normalised=min(n - differing, 3),
        normalised_labelled=min(n - differing, 2),
        normalised_harms=min(n - differing, 1),
        revoked=revoked and n > differing,
    )
    for found in (regressions(task, delta), net(task, delta)):
        each = found.estimate
        if each.point is not None and found.contradiction is None and each.low <= each.high:
            assert each.low - 1e-9 <= each.point <= each.high + 1e-9, each


@given(st.lists(st.tuples(st.sampled_from([0.36, 1.0, 1.25]), st.sampled_from([-1, 0, 1])), max_size=60))
def test_an_interval_of_drawn_labels_is_a_share_and_holds_its_estimate(
    draws: list[tuple[float, int]],
) -> None:
    """A few weighted draws have a mean above 1, which no share of calls can be."""
    task = Population(
        basis=Basis.SEMANTIC,
        compared=400,
        draws=tuple(WeightedOutcome(*each) for each in draws),
        weight_max=1.25,
        looked=len(draws),
    )
    for found, least in ((regressions(task, 0.05), 0.0), (net(task, 0.05), -1.0)):
        each = found.estimate
        assert least <= each.low <= each.high <= 1.0
        if each.point is not None:
            assert each.low - 1e-9 <= each.point <= each.high + 1e-9
