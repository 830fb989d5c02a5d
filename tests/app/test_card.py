"""The card of a pair: hostile text stays text, nothing is left out, unequal fields come first."""

from __future__ import annotations

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench
from workbench.records import Message, Output, OutputError, Request, ToolCall
from workbench.ui import markup
from workbench.ui.card import pair_card, request_card
from workbench.ui.markup import TAGS, Safe, element, joined, visible

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![leak](https://example.org/leak.png)",
    '"><iframe src="https://example.org">',
    "</div></mark></details><style>*{display:none}</style>",
    "&lt;script&gt; :material/home: $x^2$",
    "مرحبا بالعالم",
    "👩🏽‍🚀 e\u0301 \u202egnp",
    "\x00\x1b[31m",
]


class Reader(HTMLParser):
    """Collects tags, attributes and text as a browser would read them, and what is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    @property
    def plain(self) -> str:
        return self.text.replace("\u00a0", " ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    found = Reader(page)
    assert not found.open
    assert set(found.tags) <= TAGS
    assert found.attributes <= {"class", "dir", "aria-label", "open", "value", "max", "role", "tabindex"}
    return found


def said(text: str) -> Output:
    return Output(text=text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(text: str) -> None:
    """As an answer, a key, a value, a tool, an argument, a turn, a role or a tool's description."""
    call = Output(text=text, tool_calls=(ToolCall(text, {text: text}), ToolCall(text, text)))
    cards = [
        pair_card(said(text), said(text + " more")),
        pair_card(said(json.dumps({text: text})), said(json.dumps({text: 1}))),
        pair_card(call, said(text)),
        pair_card(Output(text=None, error=OutputError(text)), said(text)),
        pair_card(said(text), said("x"), titles=(text, text), keys=(text, text)),
        request_card(
            Request(
                (
                    Message("system", text),
                    Message(text, text),
                    Message("user", text, tool_calls=call.tool_calls),
                ),
                tools=({"name": text},),
            )
        ),
    ]
    for each in cards:
        assert isinstance(each, Safe)
        page = read(each)
        assert visible(text).split()[0] in page.text


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_plain_answers_are_shown_whole(left: str, right: str) -> None:
    """Whatever is marked, both texts can be read letter by letter."""
    page = read(pair_card(said(left), said(right)))
    shown = re.sub(r"\r\n?", "\n", page.text)
    for text in (left, right):
        assert re.sub(r"\r\n?", "\n", visible(text)) in shown or not text or text.strip()[:1] in "{["


def test_unequal_fields_come_first_and_equal_ones_are_folded() -> None:
    """The table opens with what differs; a field that one side lacks says so; the rest is behind a fold."""
    left = {"same": 1, "total": 10.5, "who": "Ann Lee", "gone": True}
    right = {"same": 1, "total": 11.5, "who": "Ann May"}
    page = read(pair_card(said(json.dumps(left)), said(json.dumps(right))))
    wanted = ("3 of 4 fields differ", "total", "who", "gone", "1 equal", "same")
    order = [page.plain.index(each) for each in wanted]
    assert order == sorted(order)
    assert "not there" in page.text
    assert "<mark>Lee</mark>" in pair_card(said(json.dumps(left)), said(json.dumps(right)))


def test_a_tool_call_too_many_shifts_nothing() -> None:
    """Calls are paired by name in order, so that only what differs is unequal."""
    refund = ToolCall("refund", {"order": "A1", "amount": 5})
    left = Output(tool_calls=(refund, ToolCall("mail", {"to": "ann"})))
    look_up = ToolCall("look_up", {"order": "A1"})
    right = Output(tool_calls=(look_up, refund, ToolCall("mail", {"to": "bob"})))
    page = read(pair_card(left, right))
    assert "3 of 7 fields differ" in page.plain
    unequal = page.text[: page.text.index("4 equal")]
    assert "look_up" in unequal
    assert "refund" not in unequal


def test_the_same_values_written_otherwise_show_how() -> None:
    """Equal in every field and yet not the same text: both are shown as they are written."""
    page = read(pair_card(said('{"a": 1}'), said('```json\n{"a":1}\n```')))
    assert "0 of 1 field" in page.plain
    assert "As they are written" in page.text
    assert "```json" in page.text


def test_a_card_never_tells_who_wrote_what() -> None:
    """Neither side's role is named, whichever side lacks a field."""
    for one, two in (("{}", '{"a": 1}'), ('{"a": 1}', "{}"), ("yes", "no")):
        text = read(pair_card(said(one), said(two))).text.lower()
        assert not re.search("frontier|candidate|control", text)


def test_a_megabyte_is_cut_and_says_so() -> None:
    """A card of two answers and a request of a megabyte each stays small enough for a browser."""
    long = "word " * 200_000
    page = joined(request_card(Request((Message("user", long),))), pair_card(said(long), said(long[::-1])))
    assert len(page) < 400_000
    assert read(page).text.count("cut here") == 3


def test_early_turns_and_the_system_prompt_are_folded_not_lost() -> None:
    """The last turns are open; what came before waits behind a fold."""
    turns = [Message(("user", "assistant")[n % 2], f"turn {n}") for n in range(7)]
    card = request_card(Request((Message("system", "the rules"), *turns)))
    folded = " ".join(re.findall(r"<details.*?</details>", card, re.DOTALL))
    assert "the rules" in folded
    assert "4 earlier turns" in folded.replace("\u00a0", " ")
    assert "turn 3" in folded
    assert "turn 4" not in folded
    assert "turn 6" in card


def test_only_known_elements_are_made() -> None:
    """A tag or a class that is not ours is refused, and only made HTML is shown as HTML."""
    for tag, classes in (("script", ""), ("a", ""), ("img", ""), ("div", 'x" onclick="y'), ("div", "<b>")):
        with pytest.raises(ValueError, match="No element"):
            element(tag, "x", classes=classes)
    with pytest.raises(TypeError):
        markup.show("<b>not made here</b>")  # type: ignore[arg-type]
    assert not isinstance(element("b", "x") + "<i>", Safe)


def test_html_is_written_in_six_places_only() -> None:
    """Nobody calls Streamlit's html but the helper, the style sheet and four scripts of our own."""
    folder = Path(workbench.__file__).with_name("ui")
    calls = {
        path.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "html"
    }
    assert calls == {"markup.py", "style.py", "repeats.py", "steps.py", "menu.py", "downloads.py"}
