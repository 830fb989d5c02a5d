"""What types can't say about prices and costs in `workbench.toml`: ranges, sources, names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.costing.plan import CostPlan, Gpu
from workbench.errors import ConfigError, did_you_mean
from workbench.specs import Price

MOST_USD_PER_MILLION = 1e6
"""A dollar a token. What is dearer is a slip, and products of such prices would be no numbers any more."""

MOST_USD_PER_HOUR = 1e6
MOST_USD = 1e12
MOST_TOKENS = 1e9

_MONEY = (
    "budget_usd_month",
    "engineering_usd_month",
    "labelling_usd_month",
    "retraining_usd_month",
    "one_off_usd",
)
_SERVING_RANGES = {
    "tokens_per_s": (0.001, 1e9),
    "gpus_per_replica": (1, 1_024),
    "utilisation": (0.01, 1.0),
    "peak_to_mean": (1.0, 1_000.0),
    "warm_replicas": (0, 10_000),
}


def check_prices(prices: Iterable[Price], path: Path) -> None:
    """Refuse prices that can't be: negative, no number, without a source.

    Raises:
        ConfigError: A row is wrong; the message names the model and the key.
    """
    for each in prices:
        where = f"{path}: prices, {each.model!r}"
        for key in ("input_usd_per_million", "output_usd_per_million", "cached_input_usd_per_million"):
            _amount(getattr(each, key), f"{where}: {key}", MOST_USD_PER_MILLION)
        if not 0 <= each.cache_min_tokens <= MOST_TOKENS:
            raise ConfigError(
                f"{where}: cache_min_tokens = {each.cache_min_tokens:g} is no number of tokens.",
                "Use 0 where any beginning is cached; without the key it is 1024.",
            )
        if each.batch_discount is not None and not 0 <= each.batch_discount <= 1:
            raise ConfigError(
                f"{where}: batch_discount = {each.batch_discount:g} is no share of 0 to 1.",
                "For example batch_discount = 0.5 for half the price.",
            )


def check_costs(plan: CostPlan, gpus: Sequence[Gpu], prices: Sequence[Price], path: Path) -> None:
    """Check `[[gpus]]` and `[costs]`: amounts, shares, and that what they name is there.

    Raises:
        ConfigError: A value is wrong; the message names the key.
    """
    for gpu in gpus:
        where = f"{path}: gpus, {gpu.name!r}"
        _amount(gpu.usd_per_hour, f"{where}: usd_per_hour", MOST_USD_PER_HOUR)
        if not gpu.name.strip() or not gpu.source.strip():
            raise ConfigError(f"{where}: `name` and `source` can't be empty.", "Say where the price is from.")
    for key in _MONEY:
        _amount(getattr(plan, key), f"{path}: costs.{key}", MOST_USD)
    share = plan.batchable_share
    if share is not None and not 0 <= share <= 1:
        raise ConfigError(f"{path}: costs.batchable_share = {share:g} is no share of 0 to 1.", "Mend it.")
    known = [each.model for each in prices]
    if plan.hosted_model is not None and plan.hosted_model not in known:
        raise ConfigError(
            f"{path}: costs.hosted_model {plan.hosted_model!r} has no row in [[prices]].",
            did_you_mean(plan.hosted_model, known),
        )
    setup = plan.self_hosted
    if setup is None:
        return
    names = [each.name for each in gpus]
    if setup.gpu not in names:
        raise ConfigError(
            f"{path}: costs.self_hosted.gpu {setup.gpu!r} has no row in [[gpus]].",
            did_you_mean(setup.gpu, names),
        )
    for key, (low, high) in _SERVING_RANGES.items():
        value = getattr(setup, key)
        if not low <= value <= high:
            raise ConfigError(
                f"{path}: costs.self_hosted.{key} = {value:g} is outside {low:g} to {high:,g}.", "Mend it."
            )


def _amount(value: float | None, where: str, most: float) -> None:
    if value is not None and not 0 <= value <= most:
        raise ConfigError(f"{where} = {value:g} is no price.", f"Use 0 to {most:,.0f}.")
