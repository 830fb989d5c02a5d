"""The one helper that builds HTML: hostile text stays text, and differences are found."""

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.ui.diff import (
    MAX_CHARS,
    TOO_DIFFERENT,
    TOO_LONG,
    capped,
    field_diff,
    is_unequal,
    parsed,
    visible,
    word_diff,
)

ALLOWED = {"div", "mark"}


class Reader(HTMLParser):
    """Collects tags, attributes and text as a browser would read them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![leak](https://example.org/leak.png)",
    "[click](javascript:alert(1))",
    '"><iframe src="https://example.org">',
    "</div></mark><style>*{display:none}</style>",
    "&lt;script&gt;",
    ":material/home: $x^2$ :red[loud]",
    "\x00\x1b[31mred\x07",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """Whatever an answer holds, the page gets two kinds of tags and no address."""
    sides = word_diff(text, f"fine {text[:5]}")
    for side in (sides.left, sides.right):
        page = Reader(side)
        assert set(page.tags) <= ALLOWED
        assert page.attributes <= {"class", "dir", "role", "tabindex"}
    assert Reader(sides.left).text == visible(text)


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_diff_shows_both_texts_whole(left: str, right: str) -> None:
    """Taking the tags away gives both texts back, whatever is marked."""
    sides = word_diff(left, right)
    for side, text in ((sides.left, left), (sides.right, right)):
        page = Reader(side)
        assert set(page.tags) <= ALLOWED
        # A parser reads every end of line as one sign; everything else stays.
        assert page.text.replace("\r\n", "\n").replace("\r", "\n") == visible(text).replace(
            "\r\n", "\n"
        ).replace("\r", "\n")


def test_only_unequal_words_are_marked() -> None:
    """Equal words carry no mark; the changed word carries one on each side."""
    sides = word_diff("It ships on Monday.", "It ships on Friday.")
    assert "<mark>Monday</mark>" in sides.left
    assert "<mark>Friday</mark>" in sides.right
    assert sides.left.count("<mark>") == sides.right.count("<mark>") == 1


def test_ideographs_are_compared_one_by_one() -> None:
    """Japanese has no spaces, so each sign is a word."""
    assert "<mark>東</mark>" in word_diff("東京です", "京です").left


def test_text_that_turns_around_is_written_out() -> None:
    """A right-to-left override can't make an answer look like another one."""
    assert "[U+202E]" in word_diff("pay \u202e001 now", "pay 100 now").left
    assert "\u202e" not in visible("a\u202eb\u2066c\u200bd")


def test_arabic_text_keeps_its_letters() -> None:
    """Ordinary right-to-left text is shown as it is, with its own direction."""
    side = word_diff("مرحبا", "مرحبا بك").right
    assert "مرحبا" in side
    assert 'dir="auto"' in side


def test_a_megabyte_line_is_cut_and_fast() -> None:
    """A line of a million characters is cut, says so, and costs well under a second."""
    started = time.perf_counter()
    sides = word_diff("a b " * 250_000, "b a " * 250_000)
    assert time.perf_counter() - started < 1.0
    assert len(sides.left) < 3 * MAX_CHARS
    assert "of 1,000,000 characters" in sides.left


def test_long_answers_are_shown_without_marks_and_say_so() -> None:
    """Beyond a few thousand words the diff is left out rather than slow."""
    sides = word_diff("ab " * 4_000, "ba " * 4_000)
    assert sides.unmarked == TOO_LONG
    assert "<mark>" not in sides.left


def test_texts_that_share_few_words_are_shown_without_marks_and_say_so() -> None:
    """Marks on nearly every word make both harder to read; a few words more in common and they help."""
    left = "We are sorry that the parcel came late and we send you the money back at once. "
    right = "Unfortunately this order cannot be refunded since its period of thirty days has ended. "
    sides = word_diff(left, right)
    assert sides.unmarked == TOO_DIFFERENT
    assert "<mark>" not in sides.left + sides.right
    alike = word_diff(
        left + "Please write to us again if anything is unclear.", right + "Please write to us again."
    )
    assert not alike.unmarked
    assert "<mark>" in alike.left
    assert not word_diff("billing", "technical").unmarked


def test_blind_sides_do_not_tell_which_is_which() -> None:
    """In a review both sides are drawn alike."""
    sides = word_diff("a", "b", ("blind", "blind"))
    assert "control" not in sides.left
    assert "candidate" not in sides.right


def test_fields_differ_first_and_by_path() -> None:
    """Unequal fields lead; nested ones carry their path; absent ones say on which side."""
    rows = field_diff(
        {"id": 1, "items": [{"sku": "A"}], "gone": None}, {"id": 1, "items": [{"sku": "B"}], "new": [1]}
    )
    states = {row.path: row.state for row in rows}
    assert states == {
        "items[0].sku": "differs",
        "gone": "only frontier",
        "new[0]": "only candidate",
        "id": "equal",
    }
    assert rows[-1].path == "id"


def test_true_is_not_one() -> None:
    """JSON tells true from 1, so the diff does."""
    assert field_diff({"a": True}, {"a": 1})[0].state == "differs"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("[1]", [1]),
        ("billing", None),
        ("{broken", None),
        ("[" * 30_000, None),
        (None, None),
    ],
)
def test_only_whole_json_is_compared_by_field(text: str | None, value: object) -> None:
    """Text that is not one JSON object or list is left to the word diff, and never raises."""
    assert parsed(text) == value


def test_short_text_is_not_cut() -> None:
    """Cutting starts above the limit."""
    assert capped("abc", 3) == "abc"
    assert capped("abcd", 3).startswith("abc\n")


def test_the_rules_of_the_eval_decide_what_counts_as_different() -> None:
    """A number that is equal after rounding, and a field no rule names, are shown but not counted."""
    rows = field_diff(
        {"total": "10.0", "who": "A", "note": "x", "items": [{"sku": "1"}, {"sku": "2"}]},
        {"total": 10, "who": "B", "note": "y", "items": [{"sku": "2"}, {"sku": "1"}]},
        {"total": True, "who": False, "items": True},
    )
    assert {row.path: row.state for row in rows} == {
        "who": "differs",
        "total": "equal by rule",
        "items[0].sku": "equal by rule",
        "items[1].sku": "equal by rule",
        "note": "not compared",
    }
    assert [row.path for row in rows if is_unequal(row)] == ["who"]
