"""The public statistics: all names are there, none needs the store, and importing the package is light."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import workbench.stats as stats


@pytest.mark.parametrize("name", stats.__all__)
def test_each_public_name_is_there_and_says_what_it_does(name: str) -> None:
    """Every name of `__all__` can be imported, is documented, and comes from this package."""
    found = getattr(stats, name)
    assert inspect.getdoc(found)
    assert found.__module__.startswith("workbench.stats.")


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A typing mistake is told as of any module."""
    with pytest.raises(AttributeError, match="anytime_uper"):
        stats.anytime_uper  # noqa: B018


def test_the_package_alone_loads_nothing_heavy_and_no_store() -> None:
    """Importing it loads no scipy; using it loads neither DuckDB nor Streamlit."""
    code = (
        "import sys, workbench.stats as s; print('scipy' in sys.modules); "
        "print(round(s.anytime_upper(0, 74, .05), 3)); "
        "print([n for n in ('duckdb', 'streamlit', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["False", "0.05", "[]"]
