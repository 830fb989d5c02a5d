"""A report on paper: no word or number of a table is broken, and nothing is cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from app_building import Filled

from workbench.report import as_html, gather_portfolio, gather_report, portfolio_html
from workbench.report.facts import LogFile

A4_PX = 794
BROKEN = r"""() => {
    const found = [];
    for (const cell of document.querySelectorAll('th, td:not(.long)')) {
        const text = cell.firstChild;
        for (const word of text ? text.data.matchAll(/[^\s-]+/g) : []) {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            if (range.getClientRects().length > 1) found.push(word[0]);
        }
    }
    return found;
}"""
CUT = """() => [...document.querySelectorAll('svg text')]
    .filter(each => {
        const [mine, whole] = [each.getBBox(), each.ownerSVGElement.viewBox.baseVal];
        return mine.x < whole.x || mine.x + mine.width > whole.x + whole.width;
    }).map(each => each.textContent)"""


@pytest.mark.parametrize("kind", ["report", "portfolio"])
def test_no_word_is_broken_on_paper(chromium: Any, filled: Filled, tmp_path: Path, kind: str) -> None:
    """At the width of A4, with many columns beside a name that is too long for its own."""
    if kind == "report":
        found = gather_report(filled.workspace, filled.store, "triage", "small")
        long = LogFile(f"{'very' * 12}-long.jsonl", "a7" * 32, "shop", 1_500)
        text = as_html(replace(found, log_files=(long,)))
    else:
        text = portfolio_html(gather_portfolio(filled.workspace, filled.store))
    path = tmp_path / "report.html"
    path.write_text(text)
    page = chromium.new_page(viewport={"width": A4_PX, "height": 1123})
    page.emulate_media(media="print")
    page.goto(path.as_uri())
    assert page.evaluate(BROKEN) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= A4_PX
    page.close()
