"""Guidelines are read as a page: Markdown that structures is drawn, the rest of Markdown stays text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_card import HOSTILE, read

from workbench.ui.guidelines import card
from workbench.ui.markup import may_scroll, visible

TEXT = """# How to judge

Facts first,
tone second.

1. **Facts**: every `number` stays,
   and nothing is added.
2. *Tone*: polite.

## Verdicts
- Equal
- Both bad
"""


def test_headings_lists_and_emphasis_are_drawn() -> None:
    """Lines of one paragraph or item belong together, and each kind of list is one list."""
    found = read(card(TEXT))
    assert found.tags == ["div", "div", "p", "ol", "li", "b", "code", "li", "em", "div", "ul", "li", "li"]
    assert "Facts first, tone second." in found.text
    assert "Facts: every number stays, and nothing is added." in found.text
    assert not re.search(r"[*#`]|\d\.", found.text)


@pytest.mark.parametrize("text", [*HOSTILE, "[a](javascript:alert(1)) ![b](http://example.org/b.png)"])
def test_what_loads_links_or_hides_stays_as_typed(text: str) -> None:
    """A guideline is a file somebody may have been given: it is read letter by letter."""
    for written in (text, f"- {text}", f"**{text}**"):
        assert visible(text) in read(card(written)).text


@given(st.text("ab *#`-1.\n<&", max_size=200))
def test_no_word_is_lost(text: str) -> None:
    """Whatever is typed, its letters are shown in their order, in elements that are all closed."""
    assert re.sub(r"[^ab<&]", "", read(card(text)).text) == re.sub(r"[^ab<&]", "", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("short", False), ("a\n" * 12, False), ("a\n" * 13, True), ("word " * 80, True), ("長" * 250, False)],
)
def test_only_what_may_scroll_is_a_stop_for_the_keyboard(text: str, expected: bool) -> None:
    """Each stop is one more press of Tab, so frames that hold everything are none."""
    assert may_scroll(text) is expected
