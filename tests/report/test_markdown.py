"""What a report says is text for every reader of Markdown, and readable without one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from workbench.report.markdown import plain

# Signs that mean something to some reader of Markdown, and what stands around them.
PIECES = [
    *"\\`*_{}[]()<>#+-.!|~$:^=&@,% \"'/",
    *"19aZé日",
    "www.",
    "http://",
    "1.",
    "2)",
    "&lt;",
    "<b>",
    "---",
    "~~",
]
KEPT = {f"{each}_{side}" for each in ("bullet_list", "list_item", "paragraph") for side in ("open", "close")}


def in_markdown(text: str, around: str) -> list[str]:
    """Return what a reader of Markdown shows of a text in some place, with the name of what is no text."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found = []
    for token in reader.parse(around.format(text)):
        if token.type == "inline":
            children = token.children or ()
            found += [each.content if each.type.startswith("text") else f"[{each.type}]" for each in children]
        elif token.type not in KEPT:
            found.append(f"[{token.type}]")
    return found


@pytest.mark.parametrize("around", ["- {}", "{}", "- Name: {}"])
@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
def test_any_text_stays_text_in_markdown(pieces: list[str], around: str) -> None:
    """Whatever signs somebody writes, a reader shows them as they were written, and nothing else."""
    text = " ".join("".join(pieces).split())
    shown = "".join(in_markdown(plain(text), around)).removeprefix("Name:").strip()
    assert shown == text


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=12))
def test_any_text_stays_in_its_cell_of_markdown(pieces: list[str]) -> None:
    """No sign ends a cell of a table, or the table."""
    text = " ".join("".join(pieces).split())
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = reader.parse(f"| a | b |\n| --- | --- |\n| {plain(text)} | x |")
    cells = [
        "".join(child.content for child in each.children or ()) for each in tokens if each.type == "inline"
    ]
    assert cells == ["a", "b", text, "x"]


def test_figures_and_sentences_are_written_plainly_in_markdown() -> None:
    """Who reads the file itself finds no sign in the way of a number, a name or a sentence."""
    text = "HOLD. 7.9 % (95 % sure, n = 26) of gpt-4o-mini's order_fields at 12:30; why: nothing moved!"
    assert plain(text) == text
