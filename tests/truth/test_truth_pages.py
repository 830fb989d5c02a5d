"""What the README and docs/truth.md say of the measured worlds is one thing, and that of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evals.truth import page
from evals.truth.__main__ import SECTIONS
from evals.truth.table import Row, compared, plain, promised, target

PAGE = page.PAGE.read_text(encoding="utf-8")
README = page.README.read_text(encoding="utf-8")


def test_the_readme_s_figures_and_bars_are_those_of_the_page() -> None:
    """Nothing of the table in the README is written by hand: `python -m evals.truth.page` makes it."""
    assert page.replaced(README, page.readme(PAGE)) == README


def test_the_page_says_how_many_rows_it_has_and_misses_none() -> None:
    """The count, and the number of bars, are those of the table below it."""
    rows = page.parsed(PAGE)
    with_bar = [each for each in rows if each["bar"]]
    assert f"{len(rows)} rows, {len(with_bar)} of them with a bar, 0 missed." in PAGE
    assert {each["verdict"] for each in with_bar} == {"ok"}
    assert {each["section"] for each in rows} == set(SECTIONS)
    assert re.search(rf"From its {len(rows)} rows", README)
    assert all(page.bar_of(each["bar"])[0] is not None for each in with_bar)


def test_a_row_survives_the_way_through_a_file_and_the_page() -> None:
    """Rows as JSON, joined and printed, are read back with figure, bar and promise; later sections win."""
    first = [promised("a", "w", "p", 3, 400), target("b", "w", "t", 12_345, 10_000.0, error=None)]
    later = [compared("b", "w", "never reached", float("inf"))]
    rows = page.joined([plain(first), plain(later)])
    assert [each.section for each in rows] == ["a", "b"]
    made = page.table(rows)
    assert made.startswith("2 rows, 1 of them with a bar, 0 missed.")
    found = page.parsed(made)
    assert found[0]["measured"] == "0.0075"
    assert page.bar_of(found[0]["bar"]) == (pytest.approx(0.0827, abs=1e-4), "<=", 0.05)
    assert (found[1]["measured"], found[1]["bar"]) == ("never", "")


def test_a_line_whose_row_is_gone_is_an_error_not_a_gap() -> None:
    """A row that was renamed must be renamed in the README's lines, too."""
    rows = [Row("false ramp", "another world", "p", 0.1)]
    with pytest.raises(LookupError, match="0 rows of docs/truth"):
        page.readme(page.table(rows))
    with pytest.raises(LookupError, match="no <!--"):
        page.replaced("a page without marks", "block")


def test_every_command_the_pages_name_exists() -> None:
    """Who wants to make the pages anew finds the module that does it."""
    for text in (PAGE, (page.ROOT / "docs" / "truth-real.md").read_text(encoding="utf-8")):
        for module in re.findall(r"python -m (evals\.truth(?:\.\w+)?)", text):
            path = Path(page.ROOT, *module.split("."))
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
