"""The layers, proved from the syntax trees: imports only go down."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "workbench"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("records", "errors", "lazy", "priority", "progress", "specs", "roles", "access", "written_dates"),
    ("language_model", "hashing"),
    ("normal", "stats", "language"),
    (
        "prompts",
        "redaction",
        "compare",
        "agreement",
        "slices",
        "slices_found",
        "routing",
        "sampling",
        "costing",
        "traffic",
        "confidence",
        "drift",
    ),
    ("ramp_details", "ramp_checks"),
    ("ramp",),
    ("sensitivity",),
    (
        "config",
        "contents",
        "checks",
        "eval_checks",
        "field_checks",
        "parameter_checks",
        "access_checks",
        "local_name",
        "inheritance",
        "bundle",
        "writing",
        "formats",
        "engines",
        "embed",
        "parts",
        "store",
        "capture",
    ),
    (
        *("ingest", "profiling", "replay", "scoring", "review", "rollout", "report", "journey"),
        *("demo", "setup", "doctor"),
    ),
    ("settings", "exporting"),
    ("ui",),
    (
        "app",
        "app_process",
        "app_server",
        "app_served",
        "cli",
        "commands",
        "terminal",
        "facade",
        "facade_deciding",
        "facade_rollout",
        "__main__",
        "__init__",
    ),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# Where a package may be imported at all; "lazy" ones only inside functions.
ONLY_IN = {
    "duckdb": {"store"},
    "streamlit": {"ui", "app", "app_process", "app_served"},
    "plotly": {"ui"},
    "torch": {"engines", "embed"},
    "transformers": {"engines", "embed"},
    "sentence_transformers": {"embed"},
    "vllm": {"engines"},
    "aiohttp": {"engines"},
    "ray": {"replay"},
    "fsspec": {"replay"},
    "json_repair": {"compare"},
    "litellm": {"capture"},
    "presidio_analyzer": {"redaction"},
    "spacy": {"redaction"},
    "rapidfuzz": {"compare"},
}
LAZY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "vllm",
    "ray",
    "fsspec",
    "json_repair",
    "rapidfuzz",
    "litellm",
    "presidio_analyzer",
    "spacy",
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_bundled" not in path.parts)


def unit_of(path: Path) -> str:
    """Return the top-level name of a module below `workbench`."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(tree: ast.AST, inside_function: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield (dotted name, is it inside a function) of each import that runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside_function) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            base = node.module or ""
            if base == "workbench":
                yield from ((f"workbench.{alias.name}", inside_function) for alias in node.names)
            else:
                yield base, inside_function
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(node, inside_function or is_function)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_its_own_layer_or_a_lower_one(path: Path) -> None:
    """A module imports only its own layer or a lower one, and packages only where they belong."""
    unit = unit_of(path)
    assert unit in RANK, f"{unit} stands in no layer: add it to LAYERS"
    for name, inside in imports(ast.parse(path.read_text(encoding="utf-8"))):
        top, _, rest = name.partition(".")
        if top == "workbench":
            target = rest.split(".")[0] or "__init__"
            assert RANK[target] <= RANK[unit], f"{unit} (layer {RANK[unit]}) imports {name}"
        elif top in ONLY_IN:
            assert unit in ONLY_IN[top], f"{unit} imports {top}"
            assert inside or top not in LAZY, f"{unit} imports {top} outside a function"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_private_name_stays_in_its_module(path: Path) -> None:
    """What another module needs has a public name; nobody imports one with an underscore."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workbench"):
            private = [each.name for each in node.names if re.match(r"_[^_]", each.name)]
            assert not private, f"line {node.lineno} takes {private} of {node.module}"


def test_pages_are_thin() -> None:
    """A page reads, calls ui and writes, in at most 120 lines."""
    pages = sorted((ROOT / "pages").glob("*.py"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 120, page.name
        names = {name.split(".")[0] for name, _ in imports(ast.parse(text))}
        assert not names & {"duckdb", "plotly", "torch", "transformers"}, page.name


def test_modules_stay_readable() -> None:
    """No module grows beyond 500 lines: that would be two ideas."""
    long = {
        str(path.relative_to(ROOT)): n
        for path in modules()
        if (n := len(path.read_text().splitlines())) > 500
    }
    assert long == {}


@pytest.mark.parametrize("start", ["import workbench", "runpy.run_module('workbench', run_name='__main__')"])
def test_starting_is_light(start: str) -> None:
    """`import workbench` and `workbench --help` load none of the heavy packages."""
    heavy = ["aiohttp", "duckdb", "numpy", "pandas", "plotly", "pyarrow", "scipy", "streamlit", "torch"]
    code = f"""
import runpy, sys
sys.argv = ["workbench", "--help"]
try:
    {start}
except SystemExit:
    pass
print("HEAVY", [name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"
