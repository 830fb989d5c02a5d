"""No column without its meaning."""

from __future__ import annotations

import pandas as pd

from workbench.ui import words
from workbench.ui.heights import told_columns


def test_columns_whose_names_do_not_say_it_have_a_tooltip_and_others_none() -> None:
    """By name, wherever they stand."""
    found = told_columns(pd.DataFrame({"Status": ["active"], "Calls": [1]}))
    assert list(found) == ["Status"]
    assert found["Status"]["help"] == words.COLUMNS["Status"]
