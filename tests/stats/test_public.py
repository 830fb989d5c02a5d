"""The public statistics: all names are there, none needs the store, and importing the package is light."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import subprocess
import sys

import pytest

import workbench.stats as stats
from workbench.stats import bounds, weighted


@pytest.mark.parametrize("name", stats.__all__)
def test_each_public_name_is_there_and_says_what_it_does(name: str) -> None:
    """Every name of `__all__` can be imported, is documented, and comes from this package."""
    found = getattr(stats, name)
    assert inspect.getdoc(found)
    assert found.__module__.startswith("workbench.stats.")


def without_source(text: str) -> str:
    """Return what a docstring lacks: a formula before its arguments, or who the method is from and when."""
    said = text.partition("\nArgs:")[0]
    source = re.search(r"(?:^|[\s.])Source: (.+)", said, re.DOTALL)
    formula = re.search(r"\S (?:=|<=|>=) \S", said[: source.start()] if source else said)
    named = source and re.search(r"[A-Z]\w+(?:[^.]|\.\d)*\b(?:18|19|20)\d\d\b", source[1])
    return " and ".join(word for word, found in (("formula", formula), ("source", named)) if not found)


@pytest.mark.parametrize("name", stats.__all__)
def test_each_public_name_says_its_formula_and_its_source(name: str) -> None:
    """Whoever must sign a number finds in `help(...)` what is computed and what to check it against."""
    lacking = without_source(str(inspect.getdoc(getattr(stats, name))))
    assert not lacking, f"workbench.stats.{name} lacks its {lacking}"


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("Return a rate.\n\nArgs:\n    n: x = y. Source: Kish, 1965.", "formula and source"),
        ("Return a rate.\n\nU = s / n.", "source"),
        ("Return a rate.\n\nU = s / n.\nSource: the folder of 2024.", "source"),
        ("Return a rate.\n\nSource: Kish, Survey Sampling, 1965, has D = 2.", "formula"),
        ("Return a rate.\n\nU = s / n.\nSource: Kish, Survey Sampling, 1965.", ""),
    ],
)
def test_a_missing_formula_or_source_is_seen(text: str, lacking: str) -> None:
    """Neither an argument's description nor a bare year passes for either."""
    assert without_source(text) == lacking


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


def test_what_type_checkers_see_is_what_is_there() -> None:
    """The imports under TYPE_CHECKING name each public name once, from the module that it comes from."""
    tree = ast.parse(inspect.getsource(stats))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        each.asname or each.name: (node.module, each.name)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for each in node.names
    }
    assert sorted(seen) == sorted(stats.__all__) == stats.__all__ == dir(stats)
    for name, (module, inner) in seen.items():
        assert getattr(stats, name) is getattr(sys.modules[str(module)], inner)


def test_the_short_names_of_the_weighted_bounds_are_told_apart() -> None:
    """`upper` and `lower` of weighted draws carry their module's name in public."""
    assert stats.weighted_upper is weighted.upper
    assert stats.weighted_lower is weighted.lower
    assert stats.anytime_upper is bounds.anytime_upper


def test_the_example_in_the_package_works() -> None:
    """What its docstring shows is what comes out."""
    done = doctest.testmod(stats)
    assert done.attempted == 2
    assert not done.failed
