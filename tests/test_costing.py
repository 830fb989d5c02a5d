"""Money: dated prices, cached tokens apart, and nothing unpriced counted as free."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.costing import DAYS_PER_MONTH, cost_usd, monthly_savings, tokens_cost_usd
from workbench.records import Usage
from workbench.specs import Price

PRICE = Price("frontier", date(2026, 1, 1), "price list", 2.0, 8.0, 0.5)
shares = st.floats(0, 1)


def test_a_call_costs_its_tokens_with_cached_input_at_its_own_price() -> None:
    """1,000 new, 2,000 cached and 500 output tokens: 0.002 + 0.001 + 0.004 dollars."""
    assert cost_usd(Usage(1_000, 2_000, 500), PRICE) == pytest.approx(0.007)


def test_cached_input_without_a_price_of_its_own_costs_what_input_costs() -> None:
    """A missing discount is no discount."""
    plain = Price("frontier", date(2026, 1, 1), "price list", 2.0, 8.0)
    assert tokens_cost_usd(1_000, 1_000, 0, plain) == pytest.approx(0.004)


@pytest.mark.parametrize("usage", [Usage(), Usage(1, None, None), Usage(None, 0, 1)])
def test_without_tokens_or_price_a_cost_is_unknown_and_not_zero(usage: Usage) -> None:
    """None is not 0."""
    assert cost_usd(usage, PRICE) is None
    assert cost_usd(Usage(1, 0, 1), None) is None


def test_savings_count_what_falls_back_twice() -> None:
    """1,000 calls a day at 1 cent, half of them for 0.1 cent, a tenth of those falling back."""
    found = monthly_savings(
        calls_per_day=1_000,
        control_usd_per_call=0.01,
        candidate_usd_per_call=0.001,
        share=0.5,
        fallback_share=0.1,
    )
    month = 1_000 * DAYS_PER_MONTH
    assert found.now_usd_month == pytest.approx(month * 0.01)
    assert found.at_share_usd_month == pytest.approx(month * (0.5 * 0.01 + 0.5 * (0.001 + 0.1 * 0.01)))
    assert found.saving_usd_month == pytest.approx(month * 0.5 * 0.008)


@pytest.mark.parametrize("missing", ["calls_per_day", "control_usd_per_call", "candidate_usd_per_call"])
def test_what_is_not_known_leaves_savings_unknown(missing: str) -> None:
    """Volume, the frontier's price and the candidate's price are all needed."""
    known: dict[str, float | None] = {
        "calls_per_day": 10.0,
        "control_usd_per_call": 1.0,
        "candidate_usd_per_call": 0.1,
    }
    known[missing] = None
    found = monthly_savings(**known, share=0.5, left_out=["x"])
    assert found.saving_usd_month is None
    assert found.left_out == ("x",)


@given(share=shares, fallback=shares, control=st.floats(1e-6, 10), part=shares)
def test_no_share_saves_nothing_and_no_candidate_saves_more_than_its_share(
    share: float, fallback: float, control: float, part: float
) -> None:
    """The saving is at most the share of the present cost; at 0 % it is 0."""
    found = monthly_savings(
        calls_per_day=100,
        control_usd_per_call=control,
        candidate_usd_per_call=control * part,
        share=share,
        fallback_share=fallback,
    )
    assert found.now_usd_month is not None
    assert found.saving_usd_month is not None
    assert found.saving_usd_month <= found.now_usd_month * share + 1e-9
    if share == 0:
        assert found.saving_usd_month == pytest.approx(0)
