"""A quote that is opened by mistake costs its own row, and no line of a long text becomes a call."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.formats import Draft, Item, csv_rows, read
from workbench.formats.csv_rows import Rows
from workbench.records import Rejected

MAPPING = {"input": "in", "output": "out"}
GOOD = [f"question number {n},answer {n}" for n in range(60)]
QUOTED = [f'"question, number {n}","answer {n}"' for n in range(60)]
LETTER = "Dear all,\nthank you for the parcel, it came today, at last\nThe cup is broken\nYours, Ann\n"


def read_lines(tmp_path: Path, lines: list[str], end: str = "\n") -> list[Item]:
    path = tmp_path / "log.csv"
    path.write_text("in,out\n" + "\n".join(lines) + end, encoding="utf-8", newline="")
    return list(read([path], mapping=MAPPING))


@pytest.mark.parametrize("after", [GOOD, QUOTED, [*GOOD, *QUOTED]])
@pytest.mark.parametrize("stray", ['"stray opening,ans', 'well,"stray', '"a "b" c', '"","'])
def test_a_stray_quote_costs_its_row_and_no_other(tmp_path: Path, stray: str, after: list[str]) -> None:
    items = read_lines(tmp_path, [*GOOD[:10], stray, *after])
    rejected = [each for each in items if isinstance(each, Rejected)]
    assert [each.line for each in rejected] == [12]
    drafts = [each for each in items if isinstance(each, Draft)]
    assert [each.line for each in drafts] == [*range(2, 12), *range(13, 13 + len(after))]


def test_the_reason_names_the_quote(tmp_path: Path) -> None:
    (rejected,) = [each for each in read_lines(tmp_path, ['"oh,no', *GOOD]) if isinstance(each, Rejected)]
    assert rejected.reason == "a quote is opened here that no cell ends with"
    assert rejected.snippet.startswith('"oh,no')


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_letter_that_breaks_off_is_one_rejected_row(tmp_path: Path, end: str) -> None:
    """Half of its lines have as many commas as a row has; none of them is taken for a call."""
    items = read_lines(tmp_path, [*GOOD[:3], '"' + LETTER], end)
    assert [type(each) for each in items] == [Draft] * 3 + [Rejected]
    assert isinstance(items[-1], Rejected)
    assert "lines: unexpected end of data" in items[-1].reason


def test_long_cells_and_lax_quotes_are_read_as_before(tmp_path: Path) -> None:
    """Cells of many lines, doubled quotes, and quotes within a cell of one line."""
    letter = LETTER.replace('"', '""')
    items = read_lines(tmp_path, [f'"{letter}",fine', '"say ""hi"", Ann",ok', 'say "hi" Ann,ok', '"a" b,c'])
    drafts = [each for each in items if isinstance(each, Draft)]
    assert [each.request.messages[0].content for each in drafts] == [
        LETTER,
        'say "hi", Ann',
        'say "hi" Ann',
        "a b",
    ]
    assert len(items) == 4


def test_reading_again_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that each take in all that follow are not read over and over."""
    monkeypatch.setattr(csv_rows, "MOST_AGAIN_CHARS", 4_000)
    given, seen = ["a,b\n", *['"x\n' if n % 3 == 0 else "c,d\n" for n in range(3_000)]], 0

    def counted() -> object:
        nonlocal seen
        for each in given:
            seen += 1
            yield each

    rows = list(Rows(counted(), ",", 2, 1_000_000))  # type: ignore[arg-type]
    assert seen == len(given)
    assert sum(each.lines for each in rows) == len(given) - 1


def test_rows_with_quotes_within_their_cells_are_all_read_however_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is read another way at once is no second look at what follows, and uses up none of it."""
    monkeypatch.setattr(csv_rows, "MOST_AGAIN_CHARS", 100)
    given = ["a,b\n", *[f'"x" {n},y\n' for n in range(200)]]
    rows = list(Rows(iter(given), ",", 2, 1_000_000))
    assert [each.cells for each in rows] == [[f"x {n}", "y"] for n in range(200)]


@given(st.text(alphabet='ab",\n', max_size=80), st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_line_is_in_one_row_and_good_tables_read_as_by_csv(text: str, good: bool) -> None:
    """Rows follow each other without a gap; what Python wrote as CSV reads as it was."""
    if good:
        cells = [each.split(",") for each in text.split("\n")]
        file = io.StringIO(newline="")
        csv.writer(file).writerows([["in", "out"], *cells])
        found = list(Rows(iter(file.getvalue().splitlines(keepends=True)), ",", 2, 10_000))
        assert [each.cells for each in found] == list(csv.reader(io.StringIO(file.getvalue())))[1:]
        return
    lines = ["in,out\n", *text.splitlines(keepends=True)]
    line = 2
    for row in Rows(iter(lines), ",", 2, 10_000):
        assert row.line == line
        line += row.lines
    assert line == len(lines) + 1
