"""The README shows what is true: its evals are valid, its commands and formats exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from workbench.cli import cli
from workbench.config import convert
from workbench.eval_checks import check_eval
from workbench.field_checks import COMPARATORS
from workbench.formats import REGISTRY
from workbench.records import EvalKind
from workbench.specs import ENGINES, EvalConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EVALS = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
COMPARISON = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", EVALS, ids=lambda text: text.split('"')[1])
def test_every_eval_in_the_readme_is_valid(text: str) -> None:
    config = convert(tomllib.loads(text), EvalConfig, "README.md")
    check_eval(config, Path("README.md"))


@pytest.mark.parametrize(
    "text", re.findall(r"```toml\n(.*?)```", COMPARISON, re.DOTALL), ids=lambda text: text.split('"')[1]
)
def test_every_eval_of_the_comparison_s_page_is_valid(text: str) -> None:
    check_eval(convert(tomllib.loads(text), EvalConfig, "comparison.md"), Path("comparison.md"))


def test_the_comparison_s_page_names_every_kind_and_comparator() -> None:
    for name in [*EvalKind, *COMPARATORS]:
        assert f"`{name}`" in COMPARISON


def test_the_readme_shows_an_eval_of_every_kind() -> None:
    kinds = {tomllib.loads(text)["kind"] for text in EVALS}
    assert kinds == {"label", "fields", "text", "tool_call", "ranking"}


def test_every_command_in_the_readme_exists_and_every_command_is_in_it() -> None:
    shown = set(re.findall(r"workbench ([a-z]+)", README))
    known = set(cli.commands)
    assert shown - known - {"finds"} == set()
    listed = README[README.index("## Commands") :]
    assert {name for name in known if f"`{name}" not in listed and f" {name}" not in listed} == set()


FORMATS_PAGE = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")


def test_every_format_and_engine_has_its_row() -> None:
    for name in [*(each.name for each in REGISTRY), *ENGINES]:
        assert f"| `{name}` |" in README + FORMATS_PAGE


def test_every_picture_the_readme_shows_is_there() -> None:
    for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README):
        assert (ROOT / path).is_file(), path
