"""All tasks together: a bound that promises no more than its parts, and money that says what it lacks."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from overview_rows import POLICY, row

from workbench.costing.ways import Amount
from workbench.records import Policy
from workbench.scoring import OverviewRow, portfolio
from workbench.stats.evidence import Population
from workbench.stats.harm import regressions
from workbench.ui.portfolio import answer

PARTS = st.lists(
    st.tuples(
        st.sampled_from((20, 60, 400, 3_000)),
        st.integers(0, 12),
        st.one_of(st.none(), st.floats(1.0, 1e6)),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=6,
)


@lru_cache
def base(n: int, bad: int, unknown: bool = False) -> OverviewRow:
    """Return a row by its counts, worked out once."""
    return row(compared=n, disagreements=bad, volume=None if unknown else 1_000.0)


@given(PARTS)
@settings(max_examples=60, deadline=None)
def test_the_bound_of_all_is_never_below_that_of_a_mean_of_the_parts(
    parts: list[tuple[int, int, float | None, int]],
) -> None:
    """Whatever moves: at least the smallest part's own bound, at least their mean, and never above 1."""
    rows = [
        replace(
            base(n, bad + each, volume is None), task=f"t{task}", candidate=f"c{each}", calls_per_day=volume
        )
        for task, (n, bad, volume, candidates) in enumerate(parts)
        for each in range(candidates)
    ]
    found = portfolio(rows)
    moving = [each for each in found.parts if each.effective_share > 0]
    if not moving:
        assert found.harm_high is None
        assert found.share in (None, 0)
        return
    own = {(each.task, each.candidate): each.recommendation.harm.high for each in rows}
    highs = [own[each.task, each.candidate] for each in moving]
    assert found.harm_high is not None
    assert min(highs) - 1e-12 <= found.harm_high <= 1
    assert all(each.harm_high >= high for each, high in zip(moving, highs, strict=True))
    if found.by_volume:
        calls = [each.effective_share * (each.calls_per_day or 0) for each in moving]
        mean = sum(w * high for w, high in zip(calls, highs, strict=True)) / sum(calls)
        assert found.harm_high >= mean - 1e-12
        assert found.moved_per_day == pytest.approx(sum(calls))
    else:
        assert found.harm_high >= max(highs) - 1e-12
        assert found.harm_per_day is None


def test_one_candidate_of_one_task_keeps_its_own_bound() -> None:
    """With a single claim there is nothing to correct for."""
    only = row()
    found = portfolio([only])
    assert found.harm_high == only.recommendation.harm.high
    assert found.level == only.recommendation.harm.level


def test_more_tasks_and_more_candidates_loosen_the_bound() -> None:
    """A claim about several things at once is paid for, candidates that do not move among them."""
    one = portfolio([row()]).harm_high or 0
    two = portfolio([row(), row(candidate="worse", disagreements=390)]).harm_high or 0
    more = portfolio([row(), *(row(f"t{n}", disagreements=390) for n in range(6))]).harm_high or 0
    tried = portfolio([row(candidates_tried=5)]).harm_high or 0
    assert one < two < more
    assert one < tried


def test_traffic_that_slices_hold_back_does_not_dilute_harm() -> None:
    """Where only half of a task's share moves, its harm may all be in that half."""
    whole = row()
    half = replace(
        whole,
        recommendation=replace(
            whole.recommendation, effective_share=whole.recommendation.effective_share / 2
        ),
    )
    assert portfolio([half]).harm_high == pytest.approx(2 * (portfolio([whole]).harm_high or 0))


def test_no_more_calls_are_harmed_a_day_than_move() -> None:
    """Where slices leave next to nothing of a share, the bound on the task's calls says more than can be."""
    whole = row()
    answer = whole.recommendation
    least = replace(whole, recommendation=replace(answer, effective_share=answer.share / 1000))
    found = portfolio([least, row("other")])
    alone = portfolio([least])
    assert alone.harm_per_day == pytest.approx(alone.moved_per_day)
    assert alone.harm_high == pytest.approx(1.0)
    other = found.parts[1]
    volume = other.calls_per_day or 0
    assert found.harm_per_day == pytest.approx(volume * (answer.share / 1000 + other.share * other.harm_high))


def test_the_level_is_the_lowest_of_the_tasks() -> None:
    """A task that was asked to be 90 % sure makes the whole no surer."""
    found = portfolio([row("a"), row("b", policy=Policy(level=0.9))])
    assert found.level == pytest.approx(0.9)


def test_made_up_candidates_count_for_nothing() -> None:
    """They neither move traffic nor are a claim."""
    found = portfolio([row(), row("demo", "planted", synthetic=True)])
    assert (found.compared_tasks, found.moving) == (1, 1)
    assert found.synthetic_left_out
    assert portfolio([row(synthetic=True)]).parts == ()


def test_money_sums_what_is_known_and_names_what_is_not() -> None:
    """Limits of a sum are no wider than the sum of the limits, and an unpriced task is named."""
    found = portfolio([row("a"), row("b"), row("c", saving=None)])
    assert found.saving_usd_month is not None
    assert found.saving_usd_month.point == 20
    assert 16 < found.saving_usd_month.low < 20 < found.saving_usd_month.high < 24
    assert found.unpriced == ("c",)
    lost = portfolio([row(saving=Amount(-5.0, -6.0, -4.0))])
    assert lost.saving_usd_month is not None
    assert lost.saving_usd_month.point == -5


def test_the_method_is_said() -> None:
    """The sentence names the union bound, how sure it is, and why the largest counts without volumes."""
    known = portfolio([row("a"), row("b")]).harm_sentence
    assert "2 compared tasks bounded at once (a union bound)" in known
    assert "95 % sure" in known
    assert "calls a day" in known
    unknown = portfolio([row("a"), row("b", volume=None)]).harm_sentence
    assert "the largest of the moving tasks" in unknown
    assert "a day" not in unknown
    assert "Nothing moves yet" in portfolio([row(disagreements=390)]).harm_sentence


def test_the_bound_holds_where_the_best_of_many_is_picked_by_looking() -> None:
    """Of 400 teams with 4 tasks and 3 candidates each, at most 5 % see less than the true harm."""
    generator = np.random.default_rng(20)
    wrong, teams, n = 0, 400, 300
    for _ in range(teams):
        rates = generator.uniform(0.0, 0.12, size=(4, 3))
        bad = generator.binomial(n, rates)
        rows = [
            replace(base(n, int(bad[task, each])), task=f"t{task}", candidate=f"c{each}")
            for task in range(4)
            for each in range(3)
        ]
        found = portfolio(rows)
        if found.harm_high is None:
            continue
        moving = [each for each in found.parts if each.effective_share > 0]
        truth = sum(
            each.effective_share * rates[int(each.task[1:]), int(each.candidate[1:])] for each in moving
        ) / sum(each.effective_share for each in moving)
        wrong += truth > found.harm_high
    assert wrong <= 0.05 * teams


def test_halved_bounds_are_those_of_the_statistics() -> None:
    """The row's bounds at a halved error probability are what `regressions` says."""
    population = Population(compared=400, disagreements=4)
    assert row().harm_highs[3] == regressions(population, POLICY.delta / 8).estimate.high


def test_what_is_served_already_is_told_beside_what_could_move() -> None:
    """A share in force is no news: the sentence on top says how much of the traffic moves now."""
    held = replace(base(3_000, 0), task="t", candidate="c", calls_per_day=1_000.0)
    now = replace(held, recommendation=replace(held.recommendation, share=0.01, current_share=0.01))
    found = portfolio([now])
    assert found.present == 0.01
    assert "traffic next (1.0\u202f% now)" in answer(found)
    before = portfolio([replace(now, recommendation=replace(now.recommendation, current_share=0.0))])
    assert "now" not in answer(before)


def test_what_moves_now_is_that_of_every_candidate() -> None:
    """The furthest candidate of a task may be new, while another one serves."""

    def serving(candidate: str, share: float, disagreements: int) -> OverviewRow:
        made = row(candidate=candidate, disagreements=disagreements)
        return replace(made, recommendation=replace(made.recommendation, current_share=share))

    new, old = serving("new", 0.0, 4), serving("old", 0.25, 30)
    found = portfolio([new, old])
    assert found.parts[0].candidate == "new"
    assert found.present == 0.25
    assert "next (25.0\u202f% now)" in answer(found)
    assert portfolio([serving("a", 0.5, 4), serving("b", 1.0, 4)]).present == 1.0
    nothing = portfolio([serving("old", 0.25, 390)])
    assert answer(nothing).endswith(" can move, and 25.0\u202f% of its traffic does: take it back.")
    assert nothing.harm_sentence.startswith("Nothing may move. The bound on what moves")
    assert portfolio([serving("new", 0.0, 390)]).harm_sentence == "Nothing moves yet, so nothing gets worse."
