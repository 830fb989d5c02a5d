"""Four ways to pay, the break-even of a GPU, pay-back and limits; the worked example of docs/costs.md."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import Workspace
from workbench.costing import DAYS_PER_MONTH, CostPlan, Gpu, SelfHosted
from workbench.costing.ways import (
    Amount,
    ModelTokens,
    Workload,
    break_even,
    capacity_per_day,
    cheaper_usd,
    curve,
    difference,
    exactly,
    fallen_share,
    four_ways,
    mean_tokens,
    pay_back,
    product,
    replica_usd_month,
    replicas,
    total,
    ways_together,
)
from workbench.errors import ConfigError
from workbench.specs import Price

DAY = date(2026, 11, 1)
FRONTIER = Price("frontier", DAY, "example", 3.0, 15.0, 0.3, batch_discount=0.5, cache_min_tokens=512)
GPU = Gpu("small-gpu", 0.80, DAY, "example")
SETUP = SelfHosted("small-gpu", 2_000, DAY, "example", utilisation=0.5, peak_to_mean=3.0)
PLAN = CostPlan(
    engineering_usd_month=500,
    labelling_usd_month=200,
    retraining_usd_month=100,
    one_off_usd=6_000,
    batchable_share=0.2,
    self_hosted=SETUP,
)
# 20,000 calls a day of 800 new, 200 cached and 50 output tokens; the small model: 900 in, 40 out.
LOAD = Workload(
    calls_per_day=exactly(20_000),
    control_usd=exactly((800 * 3 + 200 * 0.3 + 50 * 15) / 1e6),
    models=(ModelTokens("frontier", 1_000, 800, 200, 50, FRONTIER, cacheable_share=0.6),),
    candidate_usd=exactly((900 * 0.1 + 40 * 0.4) / 1e6),
    candidate_tokens=940,
    fallback=exactly(0.02),
)


def test_the_worked_example_comes_out_as_by_hand() -> None:
    """The figures of docs/costs.md, each worked out there step by step."""
    stay, cheaper, hosted, own = four_ways(LOAD, PLAN, GPU)
    assert stay.usd_month is not None
    assert cheaper.usd_month is not None
    assert hosted.usd_month is not None
    assert own.usd_month is not None
    assert stay.usd_month.point == pytest.approx(608_750 * 0.00321)
    assert cheaper.usd_month.point == pytest.approx(608_750 * (400 * 3 + 600 * 0.3 + 50 * 15) / 1e6 * 0.9)
    assert hosted.usd_month.point == pytest.approx(608_750 * (0.000106 + 0.02 * 0.00321) + 800)
    assert own.usd_month.point == pytest.approx(584.40 + 608_750 * 0.02 * 0.00321 + 800)
    assert own.replicas == 1
    assert hosted.pay_back_months is not None
    saved = stay.usd_month.point - hosted.usd_month.point
    assert hosted.pay_back_months.point == pytest.approx(6_000 / saved)
    even = break_even(0.00321, 0.02, 940, SETUP, GPU, 800)
    assert even.calls_per_day == pytest.approx((584.40 + 800) / (0.00321 * 0.98 * 30.4375))
    assert even.tokens_per_day == pytest.approx((even.calls_per_day or 0) * 940)
    shown = Path(__file__).parents[1].joinpath("docs/costs.md").read_text(encoding="utf-8")
    batched = replace(LOAD.models[0], batched_share=0.3)
    paid = replace(LOAD, models=(batched,), control_usd=exactly(0.00321 * (1 - 0.3 * 0.5)))
    stay_batched, cheaper_batched = four_ways(paid, PLAN, GPU)[:2]
    assert cheaper_batched.usd_month is not None
    assert cheaper_batched.usd_month.point == pytest.approx(608_750 * 0.00213 * (1 - 0.3 * 0.5))
    for way in (stay, cheaper, hosted, own, stay_batched, cheaper_batched):
        assert way.usd_month is not None
        assert f"{way.usd_month.point:,.2f}" in shown, way.name
    assert f"{even.calls_per_day:,.0f}" in shown
    assert f"{hosted.pay_back_months.point:.1f} months" in shown


@settings(deadline=None)
@given(st.floats(0, 1))
def test_a_share_lies_between_staying_and_moving_everything(share: float) -> None:
    """Hosted costs are linear in the share, fixed costs aside; nothing moved costs what it costs now."""
    plan = CostPlan()
    now, whole = four_ways(LOAD, plan, None)[0].usd_month, four_ways(LOAD, plan, None)[2].usd_month
    part = four_ways(LOAD, plan, None, share)[2].usd_month
    assert now is not None
    assert whole is not None
    assert part is not None
    assert part.point == pytest.approx((1 - share) * now.point + share * whole.point)


@settings(deadline=None)
@given(
    st.floats(1e-5, 0.1), st.floats(0, 0.9), st.floats(10, 20_000), st.floats(0, 50_000),
    st.floats(10, 50_000), st.integers(0, 4),
)  # fmt: skip
def test_the_break_even_is_where_the_curves_meet(
    control: float, fallback: float, tokens: float, fixed: float, speed: float, warm: int
) -> None:
    """At it self-hosting costs no more than staying; with a little less it costs more."""
    setup = replace(SETUP, tokens_per_s=speed, warm_replicas=warm)
    even = break_even(control, fallback, tokens, setup, GPU, fixed)

    def gain(calls: float) -> float:
        machines = replicas(calls, tokens, setup) * replica_usd_month(setup, GPU)
        return calls * DAYS_PER_MONTH * control * (1 - fallback) - machines - fixed

    if even.calls_per_day is None:
        top = 100 * capacity_per_day(setup, tokens)
        assert all(gain(top * step / 200) < 1e-6 * (fixed + 1e5) for step in range(201))
    else:
        scale = 1e-6 * (fixed + 1_000 * (even.replicas or 1))
        # A hair above the capacity of one replica fewer, the next one runs.
        assert gain(even.calls_per_day * (1 + 1e-12)) >= -scale or gain(even.calls_per_day) >= -scale
        assert all(gain(even.calls_per_day * step / 100) < scale for step in range(99))


def test_what_is_not_known_is_named_and_never_nothing() -> None:
    """No volume: no figure a month in any way. No small model, no GPU: those ways say what is missing."""
    unknown = four_ways(replace(LOAD, calls_per_day=None), PLAN, GPU)
    assert all(way.usd_month is None and way.missing for way in unknown)
    assert all(way.usd_month is None for way in four_ways(replace(LOAD, control_usd=None), PLAN, GPU))
    stay, _, hosted, own = four_ways(replace(LOAD, candidate_usd=None), CostPlan(), None)
    assert stay.usd_month is not None
    assert (hosted.usd_month, own.usd_month) == (None, None)
    assert hosted.missing
    assert own.missing


def test_costs_that_nobody_gave_are_named_as_not_counted() -> None:
    """An unknown cost is no cost of nothing."""
    hosted = four_ways(LOAD, CostPlan(engineering_usd_month=1), GPU)[2]
    assert hosted.notes == ("not given and not counted: labelling, retraining",)


def test_caching_and_batches_count_only_where_the_price_table_has_them() -> None:
    """Without such prices the second way costs what staying costs, and says why."""
    plain = replace(FRONTIER, cached_input_usd_per_million=None, batch_discount=None)
    load = replace(LOAD, models=(replace(LOAD.models[0], price=plain),))
    stay, cheaper, *_ = four_ways(load, PLAN, GPU)
    assert stay.usd_month is not None
    assert cheaper.usd_month is not None
    assert cheaper.usd_month.point == pytest.approx(stay.usd_month.point)
    assert len(cheaper.notes) == 2


def test_a_move_that_saves_nothing_is_never_paid_back() -> None:
    """And one that may save nothing has no upper limit."""
    assert pay_back(100, Amount(-1, -2, 1)) is None
    found = pay_back(100, Amount(10, -1, 20))
    assert found == Amount(10, 5, math.inf)


def test_limits_of_sums_and_products_hold_in_simulation() -> None:
    """The 95 % limits of two means combined hold about 95 of 100 times, one-sided."""
    dice = np.random.default_rng(5)
    true_left, true_right = 4.0, 1.5
    held = {"sum": 0, "difference": 0, "product": 0}
    runs = 2_000
    for _ in range(runs):
        left, right = dice.normal(true_left, 0.3), dice.normal(true_right, 0.2)
        parts = [Amount(x, x - 1.645 * s, x + 1.645 * s) for x, s in ((left, 0.3), (right, 0.2))]
        held["sum"] += total(parts).low <= true_left + true_right
        held["difference"] += difference(*parts).high >= true_left - true_right
        held["product"] += product(*parts).low <= true_left * true_right
    assert all(0.93 <= count / runs <= 0.97 for count in held.values()), held


WORKLOADS = st.builds(
    lambda calls, control, candidate, tokens, fallback: replace(
        LOAD,
        calls_per_day=exactly(calls),
        control_usd=exactly(control),
        candidate_usd=exactly(candidate),
        candidate_tokens=tokens,
        fallback=exactly(fallback),
    ),
    st.floats(1, 50_000),
    st.floats(1e-5, 0.1),
    st.floats(1e-6, 0.01),
    st.floats(10, 5_000),
    st.floats(0, 1),
)


@settings(deadline=None)
@given(st.lists(WORKLOADS, min_size=1, max_size=5), st.floats(0.01, 1))
def test_all_workloads_cost_together_what_they_cost_apart(loads: list[Workload], share: float) -> None:
    """Whatever dear and cheap calls fall back how often; and the curve says the same as the table."""
    plan = CostPlan()
    whole = ways_together(loads, plan, None, share)
    for index in range(3):
        apart = [four_ways(each, plan, None, share)[index] for each in loads]
        for part in ("usd_month", "saving_usd_month"):
            amount = getattr(whole[index], part)
            assert amount.point == pytest.approx(sum(getattr(each, part).point for each in apart))
        stayed, now = whole[0].usd_month, whole[index].usd_month
        saved = whole[index].saving_usd_month
        assert stayed is not None
        assert now is not None
        assert saved is not None
        assert saved.point == pytest.approx(stayed.point - now.point, abs=1e-6 * stayed.point)
    calls = [each.calls_per_day.point for each in loads if each.calls_per_day]
    means = [
        sum(n * amount.point for n, amount in zip(calls, amounts, strict=True) if amount) / sum(calls)
        for amounts in ([each.control_usd for each in loads], [each.candidate_usd for each in loads])
    ]
    drawn = curve([sum(calls)], *means, fallen_share(loads), mean_tokens(loads), PLAN, GPU)
    for way in ways_together(loads, PLAN, GPU):
        if way.name in drawn:
            assert way.usd_month is not None
            assert drawn[way.name] == [pytest.approx(way.usd_month.point)], way.name


def test_one_workload_without_a_figure_leaves_no_sum_of_all() -> None:
    """A sum that silently holds less than all would look like a saving."""
    unpriced = replace(LOAD, candidate_usd=None, candidate_tokens=None)
    ways = ways_together([LOAD, unpriced], PLAN, GPU)
    assert [way.usd_month is None for way in ways] == [False, False, True, True]
    unknown = ways_together([LOAD, replace(LOAD, calls_per_day=None)], PLAN, GPU)
    assert all(way.usd_month is None and way.missing for way in unknown)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_limits_of_costs_hold_in_simulation_at_any_share(share: float) -> None:
    """The calls a day and the cost of a call stand in both parts of a shared month: 95 % all the same."""
    dice = np.random.default_rng(8)
    # Each known to within some 5 to 10 %: with less, the skew of a product shows in its upper limit.
    truth = {
        "volume": (1_000.0, 100.0),
        "control": (0.01, 0.0005),
        "small": (0.005, 0.0004),
        "back": (0.3, 0.02),
    }
    exact_load = Workload(*(exactly(truth[key][0]) for key in ("volume", "control")))
    exact_load = replace(
        exact_load, candidate_usd=exactly(0.005), candidate_tokens=900, fallback=exactly(0.3)
    )
    true = four_ways(exact_load, CostPlan(self_hosted=SETUP), GPU, share)
    runs = 1_500
    low: dict[str, int] = {}
    high: dict[str, int] = {}
    for _ in range(runs):
        volume, control, small, back = (
            Amount(x, x - 1.645 * sd, x + 1.645 * sd)
            for x, sd in ((dice.normal(mean, sd), sd) for mean, sd in truth.values())
        )
        load = Workload(volume, control, (), small, 900, back)
        for way, right in zip(four_ways(load, CostPlan(self_hosted=SETUP), GPU, share), true, strict=True):
            for part in ("usd_month", "saving_usd_month"):
                amount, value = getattr(way, part), getattr(right, part)
                if amount is None or value.point == 0:
                    continue
                low[f"{way.name}, {part}"] = low.get(f"{way.name}, {part}", 0) + (amount.low <= value.point)
                high[f"{way.name}, {part}"] = high.get(f"{way.name}, {part}", 0) + (
                    amount.high >= value.point
                )
    assert len(low) == 5
    for held in (low, high):
        # Products are skewed: a limit may be somewhat too wide, never much too narrow.
        assert all(0.925 <= count / runs <= 0.985 for count in held.values()), held


@settings(deadline=None)
@given(st.floats(0.01, 1))
def test_break_even_and_curve_go_by_the_share_that_the_table_goes_by(share: float) -> None:
    """The curve shows the table's figures; at the break-even self-hosting costs what staying does."""
    drawn = curve([20_000], 0.00321, 0.000106, 0.02, 940, PLAN, GPU, share)
    found = {way.name: way.usd_month for way in four_ways(LOAD, PLAN, GPU, share)}
    for name, values in drawn.items():
        amount = found[name]
        assert amount is not None
        assert values == [pytest.approx(amount.point)]
    even = break_even(0.00321, 0.02, 940, SETUP, GPU, 800, share)
    assert even.calls_per_day is not None
    assert even.moved_per_day == pytest.approx(share * even.calls_per_day)
    load = replace(LOAD, calls_per_day=exactly(even.calls_per_day * (1 + 1e-9)))
    own = four_ways(load, PLAN, GPU, share)[3]
    assert own.saving_usd_month is not None
    assert own.saving_usd_month.point == pytest.approx(0, abs=0.01)


def test_with_no_call_on_the_small_model_nothing_changes_and_no_gpu_pays() -> None:
    drawn = curve([0, 20_000], 0.00321, 0.000106, 0.02, 940, PLAN, GPU, 0.0)
    assert drawn["small model self-hosted"] == drawn["small model hosted by a provider"] == drawn["stay"]
    assert break_even(0.00321, 0.02, 940, SETUP, GPU, 800, 0.0).calls_per_day is None


def test_a_beginning_too_short_for_a_cache_is_not_counted_as_cached() -> None:
    """Providers cache from some thousand tokens on; what the log says was cached stays so."""
    short = replace(FRONTIER, cache_min_tokens=601)
    tokens = replace(LOAD.models[0], price=short)
    assert cheaper_usd(tokens, 0.0) == pytest.approx((800 * 3 + 200 * 0.3 + 50 * 15) / 1e6)
    assert cheaper_usd(LOAD.models[0], 0.0) == pytest.approx((400 * 3 + 600 * 0.3 + 50 * 15) / 1e6)
    cheaper = four_ways(replace(LOAD, models=(tokens,)), PLAN, GPU)[1]
    assert (
        "what calls share is too short for a cache (workbench.toml: cache_min_tokens): frontier"
        in cheaper.notes
    )
    assert Price("m", DAY, "s", 1.0, 1.0).cache_min_tokens == 1_024


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[costs]\nbudget_usd_month = -1.0", "costs.budget_usd_month"),
        ("[costs]\nbatchable_share = 2.0", "batchable_share"),
        ("[costs]\nhosted_model = 'nobody'", "hosted_model"),
        ("[costs]\nbudget = 1.0", "costs.budget"),
        ("[costs.self_hosted]\ngpu='x'\ntokens_per_s=1.0\nas_of=2026-11-01\nsource='s'", "[[gpus]]"),
        ("[[gpus]]\nname='x'\nusd_per_hour=-2.0\nas_of=2026-11-01\nsource='s'", "usd_per_hour"),
        ("[[gpus]]\nname='x'\nusd_per_hour=nan\nas_of=2026-11-01\nsource='s'", "usd_per_hour"),
        (
            "[[prices]]\nmodel='x'\nas_of=2026-11-01\nsource='s'\ninput_usd_per_million=1.0\n"
            "output_usd_per_million=-1.0",
            "output_usd_per_million",
        ),
    ],
)
def test_prices_and_costs_that_can_not_be_are_refused(tmp_path: Path, text: str, said: str) -> None:
    """The message names the key."""
    (tmp_path / "workbench.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        Workspace.load(tmp_path)
    assert said in str(error.value)
