"""docs/app.md shows every page of the menu, on pictures small enough for a repository."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.ui import navigation

DOCS = Path(__file__).parents[2] / "docs"
LARGEST_BYTES = 150_000
PNG = b"\x89PNG\r\n\x1a\n"


def test_every_page_has_its_section_and_its_picture() -> None:
    """A page that joins the menu joins the documentation: a section of its own, and `make screenshots`."""
    text = (DOCS / "app.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
    for entry in (*navigation.MENU, navigation.HELP):
        assert entry.title in sections, f"write a section about {entry.title} into docs/app.md"
        assert f"]({entry.name}.png)" in sections[entry.title]
        assert (DOCS / f"{entry.name}.png").is_file(), f"run `make screenshots` for {entry.title}"


def test_every_picture_has_words_and_is_small() -> None:
    """Each picture says what it shows, is there, is a PNG, and stays below 150 kB."""
    text = (DOCS / "app.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[([^]]*)\]\(([^)]+)\)", text)
    assert len(pictures) >= len(navigation.MENU)
    for words, name in pictures:
        content = (DOCS / name).read_bytes()
        assert len(words) > 10, name
        assert content.startswith(PNG), name
        assert len(content) <= LARGEST_BYTES, name
