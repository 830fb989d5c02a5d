"""What traffic costs now, and what it would cost at a share on the candidate. Pure.

A model without a price has no cost: it comes back as None and is named as left
out, never as 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workbench.records import Usage
from workbench.specs import Price

DAYS_PER_MONTH = 30.4375
"""Mean length of a month, 365.25 / 12."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Savings:
    """Monthly cost now and at a share; None where something it needs is not known.

    `left_out` names the models without a price or without measured tokens.
    """

    now_usd_month: float | None
    at_share_usd_month: float | None
    saving_usd_month: float | None
    share: float
    left_out: tuple[str, ...] = ()


def cost_usd(usage: Usage, price: Price | None) -> float | None:
    """Return what one call cost.

    Args:
        usage: Its tokens; `input_tokens` excludes cached ones.
        price: US dollars per million tokens. Cached input without a price of its own
            costs what other input costs.

    Returns:
        US dollars, or None without a price or without both token counts.
    """
    if price is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return tokens_cost_usd(usage.input_tokens, usage.cached_input_tokens or 0, usage.output_tokens, price)


def tokens_cost_usd(
    input_tokens: float, cached_input_tokens: float, output_tokens: float, price: Price
) -> float:
    """Return the cost of token counts, also of sums and means over calls.

    Args:
        input_tokens: Uncached input.
        cached_input_tokens: Input that the provider had cached.
        output_tokens: Output, reasoning included.
        price: US dollars per million tokens.
    """
    cached = price.cached_input_usd_per_million
    cached = price.input_usd_per_million if cached is None else cached
    total = (
        input_tokens * price.input_usd_per_million
        + cached_input_tokens * cached
        + output_tokens * price.output_usd_per_million
    )
    return total / _MILLION


def monthly_savings(
    *,
    calls_per_day: float | None,
    control_usd_per_call: float | None,
    candidate_usd_per_call: float | None,
    share: float,
    fallback_share: float = 0.0,
    left_out: Iterable[str] = (),
) -> Savings:
    """Return what a month costs now and with a share of the calls on the candidate.

    A call that the candidate fails falls back to the frontier and is paid twice.

    Args:
        calls_per_day: Volume of the task; None where the log does not say.
        control_usd_per_call: Mean cost of a call on the frontier; None if unpriced.
        candidate_usd_per_call: Mean cost of a call on the candidate; None if unpriced.
        share: Share of calls sent to the candidate, 0..1.
        fallback_share: Share of those that fall back to the frontier, 0..1.
        left_out: Names of models without a price, passed on.
    """
    names = tuple(left_out)
    if calls_per_day is None or control_usd_per_call is None:
        return Savings(None, None, None, share, names)
    month = calls_per_day * DAYS_PER_MONTH
    now = month * control_usd_per_call
    if candidate_usd_per_call is None and share > 0:
        return Savings(now, None, None, share, names)
    on_candidate = (candidate_usd_per_call or 0.0) + fallback_share * control_usd_per_call
    then = month * ((1 - share) * control_usd_per_call + share * on_candidate)
    return Savings(now, then, now - then, share, names)
