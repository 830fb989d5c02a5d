"""What types can't say about the fields of an `eval.toml`: paths, comparators, numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.compare.money import CODES
from workbench.errors import ConfigError, did_you_mean
from workbench.specs import FieldRule

COMPARATORS = ("exact", "text", "fuzzy", "number", "money", "date", "list", "set", "ignore")
LEAST_RATIO = 0.5
"""Fuzzy texts may be declared equal from this ratio on."""
_PLAIN_RULE = FieldRule("")
_STEP = r"[^.\[\]]+(\[\])*"
_PATH = re.compile(rf"({_STEP}|(\[\])+)(\.{_STEP})*")


def check_fields(rules: Sequence[FieldRule], path: Path) -> None:
    """Check the fields of an eval.

    Args:
        rules: As they were read.
        path: The eval's file, for the message.

    Raises:
        ConfigError: One is wrong, or stands there twice; the message names the file and the field.
    """
    seen: set[str] = set()
    for rule in rules:
        where = f"{path}: field {rule.path!r}"
        if not _PATH.fullmatch(rule.path):
            raise ConfigError(
                f"{where}: not a path.",
                "Write keys with dots between them, and [] after a list: customer.name or items[].price.",
            )
        if rule.path in seen:
            raise ConfigError(f"{where} is declared twice.", "Only one rule can hold: take the other out.")
        seen.add(rule.path)
        _check_field(rule, where)


def _check_field(rule: FieldRule, where: str) -> None:
    """Refuse a comparator that is not known, and numbers that it would pass over or that can't be."""
    if rule.compare not in COMPARATORS:
        raise ConfigError(
            f"{where}: unknown compare {rule.compare!r}.", did_you_mean(rule.compare, COMPARATORS)
        )
    if not 0 <= rule.tolerance < float("inf"):
        raise ConfigError(f"{where}: tolerance can't be negative.", "Use 0 or more.")
    if not 0 <= rule.relative < 1:
        raise ConfigError(
            f"{where}: relative = {rule.relative:g} is no share below 1.",
            "For example relative = 0.01 for 1 %.",
        )
    if not LEAST_RATIO <= rule.minimum <= 1:
        raise ConfigError(
            f"{where}: minimum = {rule.minimum:g} is outside {LEAST_RATIO:g} to 1.",
            "Below that nearly any two texts are alike; 0.9 is usual.",
        )
    if rule.currency is not None and rule.currency not in CODES:
        raise ConfigError(
            f"{where}: currency {rule.currency!r} is no ISO 4217 code.", did_you_mean(rule.currency, CODES)
        )
    for key, comparators in (
        ("tolerance", ("number", "money", "date")),
        ("relative", ("number", "money")),
        ("minimum", ("fuzzy",)),
        ("currency", ("money",)),
    ):
        if getattr(rule, key) != getattr(_PLAIN_RULE, key) and rule.compare not in comparators:
            known = " or ".join(f'compare = "{each}"' for each in comparators)
            raise ConfigError(
                f"{where}: `{key}` means nothing to compare = {rule.compare!r}.", f"Use {known}."
            )
