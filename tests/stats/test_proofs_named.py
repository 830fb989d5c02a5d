"""The page that says which test proves which statement names tests and sections that exist."""

from __future__ import annotations

import re
from pathlib import Path

from evals.truth.__main__ import SECTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "statistics-proofs.md").read_text(encoding="utf-8")


def test_every_named_test_and_section_exists() -> None:
    """A file of tests by its path, a test by the words its name begins with, a section by its name."""
    named = 0
    for line in PAGE.splitlines():
        if not line.startswith("|") or line.count("|") != 3:
            continue
        proofs = line.split("|")[2]
        paths = re.findall(r"`((?:\w+/)?test_\w+)`", proofs)
        files = [ROOT / "tests" / f"{each}.py" for each in paths]
        assert all(each.is_file() for each in files), line
        functions = "\n".join(each.read_text(encoding="utf-8") for each in files)
        for name in re.findall(r"(\w+)\.\.\.", proofs):
            assert f"def test_{name}" in functions, name
        for sections in re.findall(r"`truth`: ([^;|(]+)", proofs):
            for each in sections.split(","):
                assert each.strip() in SECTIONS, each
        named += len(paths)
    assert named > 40
