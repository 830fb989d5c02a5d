"""Numbers read alike on every page."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from app_reading import plain

from workbench.compare.custom import EVALUATOR_ERROR
from workbench.compare.fields import JSON_REPAIRED
from workbench.compare.flags import NOTES
from workbench.engines.replies import CACHED, CAPPED
from workbench.engines.sampled import LOST
from workbench.formats import Mark
from workbench.records import ERROR_KINDS, ErrorKind, Estimate, told_error, told_errors
from workbench.specs import CONTRADICTIONS
from workbench.ui import words
from workbench.ui.answers import quoted

CODES = (ERROR_KINDS, words.MARKS, words.FLAGS, words.OUTPUT_FLAGS)
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_a_percentage_has_one_decimal_and_a_stage_none_it_does_not_need() -> None:
    """Rates read 6.2 %, stages 1 %, 2.5 % and 100 %; a narrow space before the sign breaks no line."""
    assert (words.percent(0.0617), words.stage(0.05)) == ("6.2\u202f%", "5\u202f%")
    assert words.kept("of 5 %") == "of 5\u202f%"
    assert plain(words.percent(0.0617)) == "6.2 %"
    assert plain(words.percent(None)) == "–"
    assert [plain(words.stage(each)) for each in (0.0, 0.01, 0.025, 1.0)] == ["0 %", "1 %", "2.5 %", "100 %"]


@pytest.mark.parametrize(
    ("level", "text"),
    [(0.95, "95 %"), (0.975, "97.5 %"), (1 - 0.05 / 20, "99.75 %"), (1 - 1e-5, "99.999 %"), (1.0, "100 %")],
)
def test_a_level_reads_as_it_is_set_and_never_as_certainty(level: float, text: str) -> None:
    """95 % has no decimals that say nothing, and what is not certain is not rounded up to it."""
    assert plain(words.stage(level)) == text


def test_an_estimate_is_never_shown_without_its_limits_and_n() -> None:
    """A rate comes with its interval and the number of calls."""
    assert (
        plain(words.interval(Estimate(0.04, 0.029, 0.062, 0.95, "m", 1000, 900)))
        == "4.0 % (2.9–6.2 %, n = 1,000)"
    )
    assert plain(words.interval(Estimate(None, 0, 1, 0.95, "m", 0, 0))) == "not known (0.0–100.0 %, n = 0)"


def test_a_coefficient_has_the_sign_of_the_other_figures() -> None:
    """A hyphen is no minus, what rounds to nothing has no sign, and limits are set apart in words."""
    found = Estimate(-0.014, -0.1, 0.08, 0.95, "m", 90, 90)
    assert words.coefficient(found) == "−0.01 (−0.10 to 0.08)"
    assert words.coefficient(Estimate(None, 0, 1, 0.95, "m", 0, 0)) == "–"
    assert words.decimal(-0.001) == "0.00"
    assert plain(words.mean(found)) == "−0.01 (−0.10 to 0.08, n = 90)"


def test_labels_say_where_they_come_from() -> None:
    """One kind alone is said in its name, of several those that nobody gave here are counted."""
    assert plain(words.labels(0)) == "0 labels"
    assert plain(words.labels(1, imported=1)) == "1 imported label"
    assert plain(words.labels(20, gold=20)) == "20 labels from known right answers"
    assert plain(words.labels(1_200, imported=1_000)) == "1,200 labels (1,000 imported)"


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "not priced"),
        (0, "$0.00"),
        (0.00042, "$0.00042"),
        (0.00114, "$0.00114"),
        (3.456, "$3.46"),
        (12345.6, "$12,345.60"),
        (-250, "−$250.00"),
        (0.0000002, "<$0.000001"),
    ],
)
def test_money_is_rounded_to_what_matters(usd: float | None, text: str) -> None:
    """Sums have cents, small ones three digits that count, and what has no price says so."""
    assert words.money(usd) == text


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=40), "40 days ago"),
        (timedelta(days=-3), "just now"),
    ],
)
def test_ages_use_the_largest_whole_unit(age: timedelta, text: str) -> None:
    """A clock that runs ahead does not show a negative age."""
    assert plain(words.ago(NOW - age, NOW)) == text
    assert plain(words.ago((NOW - age).replace(tzinfo=None), NOW)) == text


def test_never_is_a_word() -> None:
    """What has not happened yet reads never."""
    assert words.ago(None) == "never"


def test_durations_and_sizes_read_like_people_say_them() -> None:
    """Seconds, minutes, hours; bytes, kilobytes, megabytes."""
    assert [plain(words.duration(each)) for each in (8, 200, 6000)] == ["8 s", "3 min", "1 h 40 min"]
    assert [plain(words.size(each)) for each in (12, 4_200, 250_000_000)] == ["12 B", "4.2 kB", "250 MB"]


def test_text_for_a_markdown_place_carries_no_markdown() -> None:
    """Every sign that Markdown reads is escaped, line ends are spaces; what no line breaks stays whole."""
    assert quoted(f"{words.stage(0.25)} of {words.counted(2, 'call')}") == "25\u202f% of 2\u00a0calls"
    assert quoted("![x](http://a.b/c.png)\n*b*") == r"\!\[x\]\(http\://a\.b/c\.png\) \*b\*"


def test_every_code_that_a_page_may_show_has_words() -> None:
    """Errors, marks of calls and flags of pairs are told in words; other flags lose their underscores."""
    assert set(ERROR_KINDS) == set(ErrorKind)
    assert set(words.MARKS) == set(Mark)
    documented = (ROOT / "docs" / "importing.md").read_text()
    assert not [each for each, told in words.MARKS.items() if f"| `{each}` | {told} |" not in documented]
    assert set(words.FLAGS) >= {*CONTRADICTIONS, *NOTES, EVALUATOR_ERROR, JSON_REPAIRED}
    assert {CAPPED, CACHED, LOST} < set(words.OUTPUT_FLAGS)
    assert not [each for table in CODES for each in table.values() if "_" in each]
    assert told_error("rate_limited") == "too many requests"
    assert words.told("off_topic", words.FLAGS) == "off topic"


def test_errors_are_counted_the_most_frequent_first() -> None:
    """Counts by kind are one phrase in words."""
    assert told_errors({"http": 1, "timeout": 3}) == "3 × no answer in time, 1 × error from the server"
