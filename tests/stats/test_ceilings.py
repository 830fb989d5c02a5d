"""What draws say of a part of the calls: limits known before each draw, shares of its own time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.records import LabelVerdict, Verdict
from workbench.sampling import WEIGHT_MAX, PoolItem, QueueDraw, next_draw
from workbench.stats import weighted
from workbench.stats.audit import AuditRow, DrawRow, semantic
from workbench.stats.harm import net, regressions
from workbench.stats.wording import cluster_sentence

DELTA = 0.05
PART = ("kind", "x")


def rows_of(items: list[PoolItem], part: frozenset[str], first: int) -> list[AuditRow]:
    return [
        AuditRow(
            item.call_id,
            int(number >= first),
            f"{number:05}",
            agrees=not item.mismatch,
            slices=(PART,) if item.call_id in part else (("kind", "y"),),
        )
        for number, item in enumerate(items)
    ]


def world(first: int = 100, later: int = 300) -> tuple[list[PoolItem], frozenset[str], frozenset[str]]:
    """Return calls of two batches, the part, and what is harmful: later batches differ far more often."""
    items, part, harmful = [], set(), set()
    for number in range(first + later):
        inside = number % 2 == 0
        every = 10 if number < first or inside else 2
        mismatch = (number // 2) % every == 0
        items.append(PoolItem(f"c{number}", Verdict.MISMATCH if mismatch else Verdict.MATCH, 0.5))
        if inside:
            part.add(f"c{number}")
            if mismatch and number % 40:
                harmful.add(f"c{number}")
    return items, frozenset(part), frozenset(harmful)


def drawn(
    items: list[PoolItem], harmful: frozenset[str], seed: int, n: int, focus: frozenset[str] | None = None
) -> list[DrawRow]:
    weights: dict[str, float] = {}
    found = []
    for position in range(n):
        aim = focus if position >= n // 2 else None
        draw = next_draw(
            items, weights, seed=seed, position=position, focus=aim, earlier=[focus] if focus and aim else []
        )
        assert isinstance(draw, QueueDraw)
        weights[draw.call_id] = draw.weight
        verdict = LabelVerdict.CONTROL_BETTER if draw.call_id in harmful else LabelVerdict.EQUAL
        found.append(
            DrawRow(draw.call_id, draw.weight, verdict, focus=PART if draw.focused else None, batches=1)
        )
    return found


def test_what_a_draw_says_of_a_part_rests_on_the_shares_of_its_own_time() -> None:
    """Later batches with many more mismatches elsewhere do not make what was found look rarer."""
    items, part, harmful = world()
    first = items[:100]
    truth = np.mean([item.call_id in harmful for item in first if item.call_id in part])
    rows = rows_of(items, part, 100)
    chosen = [row for row in rows if row.call_id in part]
    sums = []
    for seed in range(80):
        inside = semantic(rows, drawn(first, harmful, seed, 40), weight_max=WEIGHT_MAX, part=chosen, icc=0.0)
        sums.append((sum(each.weight * each.outcome for each in inside.draws), len(inside.draws)))
    values = np.array(sums)
    estimate = values[:, 0].sum() / values[:, 1].sum()
    spread = np.std(values[:, 0] - estimate * values[:, 1]) / (math.sqrt(len(values)) * values[:, 1].mean())
    assert abs(estimate - truth) < 4 * spread
    assert truth > 6 * spread, "a test that could not see half of it go"


def test_later_draws_and_batches_change_nothing_about_earlier_ones() -> None:
    """Neither weight nor stake: what was staked before an outcome can't depend on what came after it."""
    items, part, harmful = world(600, 600)
    first, rows = items[:600], rows_of(items, part, 600)
    chosen = [row for row in rows if row.call_id in part]
    aimed = frozenset(item.call_id for item in first if item.call_id in part)
    draws = drawn(first, harmful, 3, 60, aimed)
    assert any(draw.focus for draw in draws)
    whole = semantic(rows, draws, weight_max=WEIGHT_MAX, part=chosen, icc=0.0)
    assert len({round(each.ceiling, 6) for each in whole.draws}) > 1
    assert all(each.weight <= each.ceiling for each in whole.draws)
    for n in (20, 30, 45):
        before = semantic(rows[:600], draws[:n], weight_max=WEIGHT_MAX, part=chosen[:300], icc=0.0)
        assert before.draws == whole.draws[: len(before.draws)]


@pytest.mark.parametrize(("in_aimed", "elsewhere"), [(0.5, 0.0), (0.05, 0.05), (0.0, 0.06)])
def test_a_part_under_a_changing_plan_errs_no_more_than_promised(in_aimed: float, elsewhere: float) -> None:
    """Of 400 parts, aimed at whenever no harm came up lately, at most 5 % ever exclude their true harm."""
    runs, n, share = 400, 250, 0.2
    truth = share * in_aimed + (1 - share) * elsewhere
    rng = np.random.default_rng([17, int(100 * in_aimed)])
    aimed_odds = 0.8 + 0.2 / np.array([0.1, 0.02 * share])
    factors = share * aimed_odds + (1 - share) * 0.8
    stakes = 1 - ((np.arange(weighted.BETS) + 0.5) / weighted.BETS) ** 2
    growth, wrong, clean = np.zeros((runs, weighted.BETS)), np.zeros(runs, bool), np.zeros(runs, int)
    losses, limits = np.zeros((runs, n)), np.zeros((runs, n))
    for turn in range(n):
        plan = (clean > 8).astype(int)
        hit = rng.random(runs) < share * aimed_odds[plan] / factors[plan]
        weight = factors[plan] / np.where(hit, aimed_odds[plan], 0.8)
        bad = rng.random(runs) < np.where(hit, in_aimed, elsewhere)
        clean = np.where(bad, 0, clean + 1)
        losses[:, turn], limits[:, turn] = weight * bad, WEIGHT_MAX * factors[plan]
        gain = (truth - losses[:, turn]) / (limits[:, turn] - truth)
        growth += np.log1p(stakes[None, :] * gain[:, None])
        wrong |= np.logaddexp.reduce(growth, axis=1) - math.log(weighted.BETS) >= -math.log(DELTA)
    assert wrong.mean() <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / runs)
    ends = np.logaddexp.reduce(growth, axis=1) - math.log(weighted.BETS) >= -math.log(DELTA)
    for run in (*np.flatnonzero(ends)[:2].tolist(), 0, 1):
        high = weighted.upper(losses[run], DELTA, weight_max=limits[run])
        assert (high < truth) == ends[run]


def test_one_ceiling_for_all_is_the_bound_as_it_was() -> None:
    """And the lower one depends on none, unless the outcome may be negative."""
    rng = np.random.default_rng(5)
    losses = 1.25 * (rng.random(100) < 0.1)
    many = np.full(100, 1.25)
    assert weighted.upper(losses, DELTA, weight_max=many) == weighted.upper(losses, DELTA, weight_max=1.25)
    assert weighted.lower(losses, DELTA, weight_max=9.0) == pytest.approx(
        weighted.lower(losses, DELTA, weight_max=1.25), abs=1e-9
    )
    signed = rng.choice([-1.0, 0.0, 1.0], 200)
    high = weighted.upper(signed, DELTA, signed=True)
    assert high == pytest.approx(2 * weighted.upper((signed + 1) / 2, DELTA) - 1, abs=1e-9)
    low = weighted.lower(signed, DELTA, signed=True)
    assert low == pytest.approx(2 * weighted.lower((signed + 1) / 2, DELTA) - 1, abs=1e-9)
    assert weighted.upper([], DELTA, weight_max=2.0) == 2.0


def test_the_balance_of_a_part_uses_the_same_ceilings() -> None:
    """Its upper bound is never below that of its estimate, and never above 1."""
    items, part, harmful = world(600, 0)
    rows = rows_of(items, part, 600)
    draws = drawn(items, harmful, 5, 60, part)
    found = semantic(rows, draws, weight_max=WEIGHT_MAX, part=[r for r in rows if r.call_id in part], icc=0.0)
    worse, balance = regressions(found, DELTA).estimate, net(found, DELTA).estimate
    for each in (worse, balance):
        assert each.point is not None
        assert -1 <= each.low <= each.point <= each.high <= 1


def test_a_call_that_is_drawn_again_makes_nothing_surer() -> None:
    """A part that is used up is drawn from again: the bound is no lower than its calls can make it."""
    rows = [AuditRow(f"c{n}", 0, f"{n:03}", agrees=True) for n in range(60)]
    once = [DrawRow(f"c{n}", 1.0, LabelVerdict.EQUAL) for n in range(60)]
    first = semantic(rows, once, weight_max=1.0, icc=0.05)
    again = semantic(rows, once * 5, weight_max=1.0, icc=0.05)
    assert first.harm_effect.value == 1.0
    assert (again.harm_effect.value, again.harm_effect.used) == (5.0, "repeated")
    assert regressions(again, 0.05).estimate.high == pytest.approx(regressions(first, 0.05).estimate.high)
    some = semantic(rows, [*once, *once[:6]], weight_max=1.0, icc=0.05)
    assert some.harm_effect.value == pytest.approx((54 + 6 * 4) / 66)
    assert "drawn again" in str(cluster_sentence(again.harm_effect, 300, "draws"))
