"""Help shows the documents that come with the workbench, from this machine alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from app_building import Filled
from app_reading import Visit, fine, said

from workbench.errors import EnvironmentalError
from workbench.ui import help as documents

DOCS = Path(__file__).parents[2] / "docs"


def test_every_document_is_offered_by_its_title_the_app_first() -> None:
    """A document that is added to the folder is in Help, too."""
    found = documents.documents()
    assert set(found) == {path.stem for path in DOCS.glob("*.md")}
    assert next(iter(found)) == "app"
    assert found["exports"] == "Tables as files"
    assert set(documents.FIRST) <= set(found)


def test_prose_is_shown_as_it_is_meant() -> None:
    """Sums stay sums, code stays code, links lead to documents, pictures and comments are left out."""
    text = "Costs $3 to $5, see [prices](costs.md#prices) and `[x](y.md) $1`.\n![A page](ramp.png)\n"
    assert (
        documents.shown(text)
        == "Costs \\$3 to \\$5, see [prices](/help?about=costs#prices) and `[x](y.md) $1`."
    )
    assert documents.shown("[`a $b`](live.md) <!-- end -->") == "[`a $b`](/help?about=live)"
    assert documents.shown("[below](#what-follows)") == "[below](#what-follows)"
    far = "[far](https://example.org/a.md)"
    assert documents.shown(f"[code](../workbench/cli.py) {far}") == f"code {far}"
    assert documents.shown("```\n$1 ![x](y.png)\n```") == "```\n$1 ![x](y.png)\n```"


@pytest.mark.parametrize("name", sorted(path.stem for path in DOCS.glob("*.md")))
def test_a_document_opens_by_its_address(visit: Visit, empty: Filled, name: str) -> None:
    """Also in a workspace without a call; nothing in it is asked for elsewhere."""
    at = fine(visit(empty, "help", about=name))
    assert at.header[0].value == documents.documents()[name]
    shown = "\n".join(each.value for each in at.markdown)
    assert "![" not in shown
    assert "<img" not in shown
    assert "](" not in re.sub(r"\]\((/help\?about=[\w-]+(#[\w-]+)?|#[\w-]+|https://[^)]+)\)", "", shown)


def test_a_document_that_is_not_there_opens_the_first(visit: Visit, empty: Filled) -> None:
    """An old link is no error."""
    at = fine(visit(empty, "help", about="../../etc/passwd"))
    assert at.header[0].value == "The app"
    assert "about" not in at.query_params
    assert "asks for something that is not here" in said(at)


def test_a_package_without_documents_says_so(
    visit: Visit, empty: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of its own that is empty would look broken."""

    def missing(name: str) -> Path:
        raise EnvironmentalError(f"{name} is missing.", "Install it again.")

    monkeypatch.setattr(documents, "bundled", missing)
    documents.documents.cache_clear()
    try:
        assert "The documents are missing." in said(fine(visit(empty, "help")))
    finally:
        documents.documents.cache_clear()
