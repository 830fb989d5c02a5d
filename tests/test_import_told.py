"""What an import says of the calls it took: when they were made, and in which languages."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from import_world import Desk, pair

from workbench.cli import cli
from workbench.commands import imports
from workbench.records import as_builtins

ENGLISH = "When does the parcel arrive at my house? I have been waiting for it for two weeks."
GERMAN = "Wann kommt das Paket bei mir an? Ich warte schon seit zwei Wochen darauf."
FRENCH = "Quand est-ce que le colis arrive chez moi ? Je l'attends depuis deux semaines."


def utc(text: str) -> datetime:
    """Return a moment as the store has it: UTC, and no zone."""
    return datetime.fromisoformat(text)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_span_of_a_log_is_told_in_utc_whatever_its_times_are_written_in(desk: Desk) -> None:
    """Offsets, seconds since 1970 and any order of lines: the earliest and the latest moment are said."""
    log = desk.write(
        "log.jsonl",
        pair("a", timestamp="2026-03-02T00:30:00+14:00"),  # 10:30 of the day before
        pair("b", timestamp=1772700000),  # 2026-03-05 08:40
        pair("c", timestamp="2026-03-01T23:30:00-02:00"),
        pair("d", timestamp="2026-03-01T10:31:00Z"),
    )
    report = desk.take(log)
    assert (report.first_at, report.last_at) == (utc("2026-03-01T10:30"), utc("2026-03-05T08:40"))
    assert "time: 2026-03-01 10:30 to 2026-03-05 08:40 UTC" in report.text
    document = json.loads(json.dumps(as_builtins(report)))
    assert (document["first_at"], document["last_at"]) == ("2026-03-01T10:30:00", "2026-03-05T08:40:00")


def test_times_that_can_not_be_read_are_told_with_what_can(desk: Desk) -> None:
    """Without times there is no figure a day: a mark alone would not say why."""
    rows = [
        pair(f"c{each}", timestamp=time) for each, time in enumerate(("09/10/2026", "soon", "2026-03-01"))
    ]
    report = desk.take(desk.write("log.jsonl", *rows))
    assert report.marks["bad_time"] == 2
    assert "TIME NOT KNOWN: 2 calls are dated by what can't be read for certain" in report.text
    assert "2026-11-30T09:00:00Z" in report.text


@pytest.mark.parametrize("answer", ["billing", {"role": "assistant", "content": "billing"}])
def test_a_log_of_which_nothing_is_read_is_told_what_to_try(desk: Desk, answer: object) -> None:
    """And what is proposed works: a log of one's own often holds the answer as text or message."""
    rows = [{"request": pair("a", f"Where is {each}?")["request"], "response": answer} for each in "abc"]
    log = desk.write("log.jsonl", *rows)
    report = desk.take(log)
    assert (report.accepted, report.rejected) == (0, 3)
    assert "--map input=request --map output=response" in report.text
    again = desk.take(log, mapping={"input": "request", "output": "response"})
    assert again.accepted == 3
    assert not again.unread
    some = desk.take(desk.write("some.jsonl", pair("x"), *rows))
    assert not some.unread


def test_reasons_are_told_in_whole_words(desk: Desk) -> None:
    """What differs from record to record is left out of a reason only where it does differ."""
    one = desk.root / "one.jsonl"
    one.write_text(json.dumps(pair("a")) + '\n{"request": \n[1]\n')
    assert "1 x the JSON breaks off at column 12" in desk.take(one).text
    table = desk.root / "table.csv"
    table.write_text("id,text,out\n1,a\n2,a,b\n3,a,b,c\n")
    report = desk.take(table, mapping={"id": "id", "input": "text", "output": "out"})
    assert report.reject_reasons == {"… cells where the header has …": 2}
    assert "2 x … cells where the header has …, such as: 2 cells where the header has 3" in report.text


def test_the_span_is_that_of_what_the_import_added(desk: Desk) -> None:
    """A longer log tells the span of its new calls, and one with nothing new tells none."""
    old, new = pair("a", timestamp="2026-03-01T00:00:00Z"), pair("b", timestamp="2026-03-09T12:00:00Z")
    desk.take(desk.write("log.jsonl", old))
    report = desk.take(desk.write("log.jsonl", old, new))
    assert report.skipped == 1
    assert report.first_at == report.last_at == utc("2026-03-09T12:00")
    report = desk.take(desk.write("again.jsonl", old, new))
    assert (report.first_at, report.last_at, report.languages) == (None, None, {})
    assert "time:" not in report.text


def test_calls_without_a_time_give_no_span(desk: Desk) -> None:
    """They are counted by a mark, and the day of the import is never taken for theirs."""
    row = pair("a")
    del row["response"]["created"]
    report = desk.take(desk.write("log.jsonl", row))
    assert (report.first_at, report.last_at) == (None, None)
    assert report.marks["no_time"] == 1


def test_languages_are_counted_by_what_the_user_wrote_last(desk: Desk) -> None:
    """Not the system prompt's language, nor the answer's, nor an earlier turn's; digits are in none."""
    turns = pair("d", FRENCH)
    turns["request"]["messages"] = [
        {"role": "system", "content": ENGLISH},
        {"role": "user", "content": ENGLISH},
        {"role": "assistant", "content": ENGLISH},
        {"role": "user", "content": FRENCH},
    ]
    log = desk.write(
        "log.jsonl",
        pair("a", ENGLISH),
        pair("b", ENGLISH),
        pair("c", GERMAN, ENGLISH),
        turns,
        pair("e", "12345"),
    )
    report = desk.take(log)
    assert report.languages == {"en": 2, "de": 1, "fr": 1, "unknown": 1}
    assert "languages: en 2, de 1, fr 1, unknown 1" in report.text


def test_ids_that_begin_anew_within_a_log_are_told_with_what_helps(desk: Desk) -> None:
    """A name for the whole export would not tell them apart; one for each piece does."""
    rows = [pair("1", answer="one"), pair("2"), pair("1", answer="two"), pair("2", answer="other")]
    report = desk.take(desk.write("log.jsonl", *rows))
    assert (report.conflicts, report.conflicts_within) == (2, 2)
    assert "2 ids stand in this very log more than once, with other content" in report.text
    desk.take(desk.write("first.jsonl", *rows[:2]), source="first")
    assert desk.take(desk.write("second.jsonl", *rows[2:]), source="second").accepted == 2
    later = desk.take(desk.write("later.jsonl", pair("1", answer="three")), source="second")
    assert (later.conflicts, later.conflicts_within) == (1, 0)
    assert "in this very log" not in later.text


def test_calls_too_long_for_the_database_are_told_with_the_way_to_store_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thousand calls are packed together; the database takes what long ones need unless somebody says."""
    log, space, run = tmp_path / "log.jsonl", str(tmp_path / "w"), CliRunner()
    document = "Parcel and invoice. " * 10_000
    with log.open("w", encoding="utf-8") as file:
        for index in range(600):
            file.write(json.dumps(pair(f"c{index}", f"{document} {index}")) + "\n")
    assert run.invoke(cli, ["init", space]).exit_code == 0
    command = ["import", str(log), "--workspace", space, "--json"]
    refused = run.invoke(cli, [*command, "--memory-mb", "64"])
    assert refused.exit_code == 3
    assert "needs more memory" in refused.stderr
    assert "--memory-mb 4096" in refused.stderr
    monkeypatch.setattr(imports, "LOADING_MB", 64)
    done = run.invoke(cli, command)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 600, "nothing was stored before"
