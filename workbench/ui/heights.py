"""Figures and tables that take their height at once, so that nothing below moves when they are drawn.

Streamlit loads what draws a figure or a table with the first one of a page, and knows no height until then.
In pixels of this app's type size, 15; a test in a browser holds them against what is drawn.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from workbench.ui import words

METRIC_PX = 54
ROW_PX = 33
EDGE_PX = 3


def metrics(key: str) -> DeltaGenerator:
    """Return a row for figures, which stand two abreast on a telephone (`style`).

    So it is known how high the row is before they are drawn.

    Args:
        key: Names it on its page.
    """
    return st.container(horizontal=True, gap="large", key=f"metrics-{key}")


def metric(label: str, value: str, *, help: str | None = None) -> None:  # noqa: A002 - Streamlit's own word
    """Show one figure under its name, as wide as it needs.

    Args:
        label: What it is.
        value: The figure, with its unit.
        help: Tooltip.
    """
    st.metric(label, value, width="content", height=METRIC_PX, help=help)


def told_columns(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the tooltips of a table's columns whose names alone don't say what they mean.

    Args:
        frame: The table.
    """
    told = words.COLUMNS
    return {name: st.column_config.Column(help=told[name]) for name in frame if name in told}


def counts(*names: str, **told: str) -> dict[str, Any]:
    """Return the format of a table's columns that count things: 12,500, as everywhere else.

    Args:
        names: Columns without a tooltip.
        told: Columns with the tooltip of each.
    """
    return {
        name: st.column_config.NumberColumn(format="%,d", help=told.get(name)) for name in (*names, *told)
    }


def table_px(rows: int, most: int = 1_000) -> int:
    """Return the height of a table that shows all of its rows, or about as many as it may.

    Args:
        rows: How many it has; an empty table shows one.
        most: With two more than these it scrolls, and a part of a row shows that.
    """
    shown = max(rows, 1) if rows <= most + 1 else most + 0.8
    return round((shown + 1) * ROW_PX) + EDGE_PX
