"""Which entry of a price table stands for a model. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from datetime import date

ModelPrice = tuple[str, float, float, float, float]
"""A model, US dollars per million tokens of input, cached input and output, and a batch's discount (0..1)."""

_DATED = re.compile(r"(.+)[-@](20\d\d)-?(\d\d)-?(\d\d)")


def undated(model: str) -> str | None:
    """Return the name of a model without the date of its snapshot; None where it has none.

    Args:
        model: Such as `gpt-4o-2024-11-20`, `claude-sonnet-4-20250514` or `claude-3-opus@20240229`.
            Only a whole date at the end is one: `gpt-4-0613` and `gemini-1.5-pro-002` may as well
            be versions with prices of their own.
    """
    found = _DATED.fullmatch(model)
    if found is None:
        return None
    try:
        date(*(int(each) for each in found.groups()[1:]))
    except ValueError:
        return None
    return found[1]


def entry_for(model: str, known: Container[str]) -> str | None:
    """Return under which name a price table holds a model: its own, else without the snapshot's date.

    A snapshot is the same model, and its provider bills it so unless the table says otherwise.
    Nothing is taken from any other model, however alike the names.

    Args:
        model: As the log names it.
        known: The names in the table.
    """
    if model in known:
        return model
    name = undated(model)
    return name if name is not None and name in known else None


def price_named(model: str, table: Mapping[str, ModelPrice]) -> ModelPrice | None:
    """Return the price of a model by name, or None where the table has none."""
    name = entry_for(model, table)
    return None if name is None else table[name]
