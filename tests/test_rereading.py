"""What an older version of the readers stored is known again, told from conflicts, and taken anew at once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from import_world import Desk, pair, tallies
from nursery import nursery
from older_readers import older_readers

from workbench.cli import cli
from workbench.ingest import call_id, conflicts, import_files, rereading, resolve_conflicts, undo_import
from workbench.ingest.job import Job, Look
from workbench.ingest.rereading import Hashed, Rereading, hashed
from workbench.records import Label, LabelVerdict, Observation, Output
from workbench.store import Store, calls
from workbench.store.labels import add_label
from workbench.store.replays import observation_row
from workbench.store.spool import write_part

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CONTENT = ("calls", "controls", "conflicts", "conflict_resolutions", "rejects", "manifests")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def by_older(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return what does something while the readers are of an older version."""

    def run(
        act: Callable[..., Any],
        *given: Any,
        reading: int = 0,
        answers: bool = False,
        invented: bool = False,
        **more: Any,
    ) -> Any:
        with older_readers(monkeypatch, reading=reading, answers=answers, invented=invented):
            return act(*given, **more)

    return run


def asked(identity: str | None, question: str = "Rain?", answer: str = "Yes.", *, tools: bool = True) -> Any:
    row = pair(identity, question, answer)
    if tools:
        row["request"]["tools"] = [TOOL]
    return row


ROWS = [asked("a"), asked("b", "Snow?"), asked("c", "Hello?", tools=False)]


def tools(desk: Desk) -> dict[str, int]:
    """Return how many tools each call in use was offered."""
    return {each.native_id: len(each.request.tools) for each in calls.load_calls(desk.store)}


def content(desk: Desk) -> dict[str, list[str]]:
    return {
        table: sorted(
            str({k: v for k, v in row.items() if k != "seq"})
            for row in desk.store.rows(f"SELECT * FROM {table}")  # noqa: S608 -- names in this file
        )
        for table in CONTENT
    }


def test_a_file_read_otherwise_by_this_version_is_told_from_conflicts(desk: Desk, by_older: Any) -> None:
    """Its changed calls wait apart from other conflicts, the others are known, and the equation holds."""
    log = desk.write("log.jsonl", *ROWS)
    first = by_older(desk.take, log)
    assert tools(desk) == {"a": 0, "b": 0, "c": 0}
    report = desk.take(log)
    assert tallies(report) == {"skipped": 1, "conflicts": 2}
    assert report.read_otherwise == {first.manifest_id: 2}
    assert "READ OTHERWISE: 2 of the conflicts" in report.text
    assert "CONFLICTS:" not in report.text
    assert [each.reread for each in conflicts(desk.store)] == [True, True]
    assert tools(desk) == {"c": 0}
    assert tallies(desk.take(log)) == {"skipped": 3}


@pytest.mark.parametrize("keep", ["stored", "arrived"])
def test_all_new_readings_are_taken_or_left_at_once(desk: Desk, by_older: Any, keep: str) -> None:
    """Other conflicts stay open, and the file adds nothing from then on."""
    log = desk.write("log.jsonl", *ROWS)
    by_older(desk.take, log)
    desk.take(log)
    desk.take(desk.write("other.jsonl", asked("c", "Hello?", "Another answer.", tools=False)))
    assert resolve_conflicts(desk.store, keep, reread=True).resolved == 2
    assert [each.reread for each in conflicts(desk.store)] == [False]
    assert tools(desk) == dict.fromkeys("ab", int(keep == "arrived"))
    assert tallies(desk.take(log)) == {"skipped": 3}
    assert tallies(by_older(desk.take, log)) == {"skipped": 3}


def test_what_rests_on_the_old_reading_never_speaks_for_the_new_one(desk: Desk, by_older: Any) -> None:
    """Answers to the request without its tools go; a labelled call keeps what was labelled, out of use."""
    log = desk.write("log.jsonl", *ROWS)
    by_older(desk.take, log)
    for identity in "abc":
        seen = Observation("replay", call_id("openai_chat", identity), 0, Output(text="Hey."))
        desk.store.append("observations", [observation_row(seen)])
    labelled = call_id("openai_chat", "b")
    add_label(
        desk.store, Label("l", "replay", labelled, LabelVerdict.EQUAL, "ann", created_at=datetime.now(UTC))
    )
    desk.take(log)
    report = resolve_conflicts(desk.store, "arrived", reread=True)
    assert (report.resolved, list(report.refused), report.compared_anew) == (1, [labelled], 1)
    assert tools(desk) == {"a": 1, "c": 0}
    left = desk.store.rows("SELECT call_id FROM observations")
    assert {row["call_id"] for row in left} == {labelled, call_id("openai_chat", "c")}
    assert resolve_conflicts(desk.store, "stored", reread=True).resolved == 1
    assert tools(desk) == {"a": 1, "b": 0, "c": 0}


def test_a_log_that_has_grown_since_is_known_by_its_beginning(desk: Desk, by_older: Any) -> None:
    """What stands behind what was read then is new, or a conflict like any other."""
    by_older(desk.take, desk.write("other.jsonl", asked("y", tools=False)))
    first = by_older(desk.take, desk.write("log.jsonl", *ROWS))
    grown = desk.write("log.jsonl", *ROWS, asked("d"), asked("c", answer="No."), asked("y"))
    report = desk.take(grown)
    assert tallies(report) == {"accepted": 1, "skipped": 1, "conflicts": 4}
    assert report.read_otherwise == {first.manifest_id: 2}
    assert report.others_in_conflict == 2
    assert "CONFLICTS: 2 records" in report.text


def test_calls_that_a_longer_log_brought_again_are_known_by_it(desk: Desk, by_older: Any) -> None:
    """Each file whose records agreed with what is stored proves that they are the same ones."""
    by_older(desk.take, desk.write("monday.jsonl", *ROWS))
    week = desk.write("week.jsonl", asked("d"), *ROWS)
    second = by_older(desk.take, week)
    assert tallies(second) == {"accepted": 1, "skipped": 3}
    assert desk.take(week).read_otherwise == {second.manifest_id: 3}


@pytest.mark.parametrize("why", ["another file", "same reading", "another mapping", "format asked for"])
def test_what_is_not_proven_stays_a_conflict(
    desk: Desk, by_older: Any, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Another file may hold another record; the same readers, or what was asked for, explain nothing."""
    log = desk.write("log.jsonl", *ROWS)
    options = {"format": "openai_chat"} if why == "format asked for" else {}
    if why == "another mapping":
        options = {"mapping": {"id": "key", "input": "in", "output": "out"}}
        log = desk.write("log.jsonl", {"key": "a", "in": "Rain?", "out": "Yes.", "really": "No."})
    by_older(desk.take, log, reading=rereading.READING if why == "same reading" else 0, **options, source="s")
    if why == "another file":
        log = desk.write("log.jsonl", *ROWS[1:])
    if why == "another mapping":
        options = {"mapping": {"id": "key", "input": "in", "output": "really"}}
    report = desk.take(log, source="s", **({} if why == "format asked for" else options))
    assert report.conflicts > 0
    assert report.read_otherwise == {}
    assert "READ OTHERWISE" not in report.text
    assert resolve_conflicts(desk.store, "arrived", reread=True).resolved == 0


@pytest.mark.parametrize("resolved", [None, "stored", "arrived"])
def test_a_call_that_was_in_conflict_with_another_record_stays_with_a_person(
    desk: Desk, by_older: Any, resolved: str | None
) -> None:
    """Which of the records is right, a person has to say, or has said; no reading of either overrides it."""
    log, other = desk.write("log.jsonl", *ROWS), desk.write("other.jsonl", asked("a", "Hail?"))
    by_older(desk.take, log)
    by_older(desk.take, other)
    if resolved:
        resolve_conflicts(desk.store, resolved)
    assert desk.take(other).read_otherwise == {}
    report = desk.take(log)
    assert sum(report.read_otherwise.values()) == 1
    assert resolve_conflicts(desk.store, "arrived", reread=True).resolved == 1
    assert tools(desk) == {"b": 1, "c": 0}


def sent(identity: str, question: str = "Rain?") -> Any:
    """Return a line of a batch's input: a call without an answer."""
    body = {"model": "m", "messages": [{"role": "user", "content": question}], "tools": [TOOL]}
    return {"custom_id": identity, "method": "POST", "url": "/v1/chat/completions", "body": body}


@pytest.mark.parametrize("make", [asked, sent])
def test_a_call_that_newer_readers_stored_is_no_older_reading(desk: Desk, by_older: Any, make: Any) -> None:
    """What an older version once read in a file does not tell of a call that came by another one since."""
    first = by_older(desk.take, desk.write("first.jsonl", make("a")))
    log = desk.write("log.jsonl", make("a"), make("b"))
    by_older(desk.take, log)
    undo_import(desk.store, first.manifest_id)
    desk.take(desk.write("new.jsonl", make("a", "Hail?")))
    report = desk.take(log)
    assert (report.conflicts, sum(report.read_otherwise.values())) == (2, 1)


def test_an_answer_that_came_by_a_third_file_is_not_known_by_this_one(desk: Desk, by_older: Any) -> None:
    """Whether this file's record said the same then, or nothing at all, is on no record."""
    answer = {"status_code": 200, "body": pair("r", answer="Yes.")["response"]}
    came = {"id": "batch_req_1", "custom_id": "q", "response": answer}
    copy = desk.write("copy.jsonl", came | {"note": "copied"})
    for path in (desk.write("in.jsonl", sent("q")), desk.write("out.jsonl", came), copy):
        by_older(desk.take, path, answers=True)
    report = desk.take(copy)
    assert (report.conflicts, report.read_otherwise) == (1, {})


@pytest.mark.parametrize("keep", ["stored", "arrived"])
def test_of_a_call_with_another_record_beside_its_new_reading_a_person_decides(
    desk: Desk, by_older: Any, keep: str
) -> None:
    """Taking all readings leaves it; keeping all old ones leaves the conflict of the two records."""
    log = desk.write("log.jsonl", *ROWS)
    by_older(desk.take, log)
    desk.take(log)
    other = desk.take(desk.write("other.jsonl", asked("a", "Hail?")))
    report = resolve_conflicts(desk.store, keep, reread=True)
    left = conflicts(desk.store)
    if keep == "arrived":
        assert (report.resolved, len(left)) == (1, 2)
        assert "another record has its id" in report.refused[call_id("openai_chat", "a")]
    else:
        assert [each.manifest_id for each in left] == [other.manifest_id]


def test_what_an_older_version_found_no_call_in_is_new(desk: Desk, by_older: Any) -> None:
    """Records with ids that it rejected are accepted, and those without where it read none at all."""
    log = desk.write("log.jsonl", *ROWS, asked(None, "Hail?", tools=False))
    by_older(desk.take, log)
    with desk.store.writing() as writer:
        writer.execute("DELETE FROM controls WHERE call_id = ?", [call_id("openai_chat", "a")])
        writer.execute("DELETE FROM calls WHERE native_id = 'a'")
    report = desk.take(log)
    assert tallies(report) == {"accepted": 1, "conflicts": 1, "skipped": 2}
    with desk.store.writing() as writer:
        for table in ("calls", "controls", "conflicts"):
            writer.execute(f"DELETE FROM {table}")  # noqa: S608 -- names in this file
        writer.execute("""UPDATE manifests SET report = '{"accepted": 0, "joined": 0, "skipped": 0}'""")
    assert desk.take(log).accepted == 4


def test_two_records_of_an_id_that_an_older_version_read_alike_are_a_conflict(
    desk: Desk, by_older: Any
) -> None:
    """The file itself does not say which of them the stored call was."""
    other = asked("a")
    other["request"]["tools"] = [TOOL, TOOL]
    log = desk.write("log.jsonl", *ROWS, other)
    assert tallies(by_older(desk.take, log)) == {"accepted": 3, "skipped": 1}
    report = desk.take(log)
    assert (report.conflicts, sum(report.read_otherwise.values())) == (3, 1)


def test_a_third_reading_is_told_apart_from_the_second(
    desk: Desk, by_older: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the second was taken, left, or waits: of several that wait, the last is taken."""
    log = desk.write("log.jsonl", *(asked(each) for each in "abc"))
    by_older(desk.take, log, answers=True)
    by_older(desk.take, log, reading=1)
    for keep, identity in (("arrived", "a"), ("stored", "b")):
        one = [call_id("openai_chat", identity)]
        assert resolve_conflicts(desk.store, keep, call_ids=one).resolved == 1
    monkeypatch.setattr(rereading, "READING", 2)
    report = desk.take(log)
    assert tallies(report) == {"conflicts": 3}
    assert sum(report.read_otherwise.values()) == 3
    assert resolve_conflicts(desk.store, "arrived", reread=True).resolved == 3
    assert tools(desk) == {"a": 1, "b": 1, "c": 1}
    assert {each.control.text for each in calls.load_calls(desk.store) if each.control} == {"Yes."}


def test_an_import_whose_readings_were_taken_is_taken_back(desk: Desk, by_older: Any) -> None:
    """The old readings stand again as they were, and the same file is told apart again."""
    log = desk.write("log.jsonl", *ROWS)
    by_older(desk.take, log)
    before = content(desk)
    for _ in range(2):
        report = desk.take(log)
        assert sum(report.read_otherwise.values()) == 2
        assert resolve_conflicts(desk.store, "arrived", reread=True).resolved == 2
        assert undo_import(desk.store, report.manifest_id or "").restored == 2
        assert content(desk) == before
    desk.take(log)


@pytest.mark.parametrize("taken", [False, True])
def test_the_older_import_is_taken_back_and_its_file_read_anew(
    desk: Desk, by_older: Any, taken: bool
) -> None:
    """Nothing of the old reading is left, whether the new one was taken before or still waited."""
    log = desk.write("log.jsonl", *ROWS)
    first = by_older(desk.take, log)
    desk.take(log)
    if taken:
        resolve_conflicts(desk.store, "arrived", reread=True)
    undo_import(desk.store, first.manifest_id)
    assert conflicts(desk.store) == []
    assert tallies(desk.take(log)) == ({"accepted": 1, "skipped": 2} if taken else {"accepted": 3})
    assert tools(desk) == {"a": 1, "b": 1, "c": 0}


def test_records_without_ids_never_stand_twice(desk: Desk, by_older: Any) -> None:
    """Their ids are made of what was read: they are skipped, and the report says how to have them anew."""
    rows = [asked(None), asked(None, "Snow?"), asked(None, "Hello?", tools=False)]
    log = desk.write("log.jsonl", *rows)
    first = by_older(desk.take, log)
    report = desk.take(log)
    assert tallies(report) == {"skipped": 3}
    assert report.held == {first.manifest_id: 2}
    assert f"workbench import --undo {first.manifest_id}, then import the file again" in report.text
    # What comes behind is new.
    assert tallies(desk.take(desk.write("log.jsonl", *rows, asked(None, "Hail?")))) == {
        "accepted": 1,
        "skipped": 3,
    }
    undo_import(desk.store, first.manifest_id)
    assert desk.take(desk.write("log.jsonl", *rows)).accepted == 3
    assert sum(tools(desk).values()) == 3


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("made_up", [False, True])
def test_records_whose_ids_are_other_ones_never_stand_twice(
    desk: Desk, by_older: Any, early: bool, made_up: bool
) -> None:
    """Where an older version found none, or another, the file's new records are skipped, and told so."""
    log = desk.write("log.jsonl", *(asked(each, tools=False) for each in "abc"))
    first = by_older(desk.take, log)
    with desk.store.writing() as writer:
        for table in ("controls", "calls"):
            writer.execute(f"UPDATE {table} SET call_id = md5(call_id)")  # noqa: S608 -- names in this file
        writer.execute("UPDATE calls SET native_id = md5(native_id) || ?", ["#1" if made_up else ""])
    store = (lambda: desk.store) if early else desk.store
    report = import_files(desk.workspace, store, [log])
    assert tallies(report) == {"skipped": 3}
    assert report.held == {first.manifest_id: 3}
    assert "3 records are skipped" in report.text
    assert desk.count("calls") == desk.count("controls") == 3


def test_records_without_ids_of_another_source_are_others(desk: Desk, by_older: Any) -> None:
    """They are taken in, as the same version would."""
    log = desk.write("log.jsonl", asked(None), asked(None, "Snow?"))
    by_older(desk.take, log, source="eu")
    assert tallies(desk.take(log, source="us")) == {"accepted": 2}


def silent(identity: str, *, tools: bool = False) -> Any:
    """Return a record of a call without an answer."""
    return asked(identity, tools=tools) | {"id": identity, "response": None}


@pytest.mark.parametrize("tools_too", [False, True])
def test_an_answer_that_the_new_reading_does_not_find_goes_with_the_old_one(
    desk: Desk, by_older: Any, tools_too: bool
) -> None:
    """It waits as a new reading, answers nothing once that is taken, and stands again if it is taken back."""
    log = desk.write("log.jsonl", silent("a", tools=tools_too), *ROWS[2:])
    first = by_older(desk.take, log, invented=True)
    before = content(desk)
    report = desk.take(log)
    assert report.read_otherwise == {first.manifest_id: 1}
    assert resolve_conflicts(desk.store, "arrived", reread=True).resolved == 1
    answers = {each.native_id: each.control is not None for each in calls.load_calls(desk.store)}
    assert answers == {"a": False, "c": True}
    assert tallies(desk.take(log)) == {"skipped": 2}
    undo_import(desk.store, report.manifest_id or "")
    undone = {table: rows for table, rows in content(desk).items() if table != "manifests"}
    assert undone == {table: rows for table, rows in before.items() if table != "manifests"}


def test_an_answer_that_may_be_of_another_record_stays(desk: Desk, by_older: Any) -> None:
    """One of the same file says it, or another file of the earlier import did."""
    log = desk.write("log.jsonl", silent("a"), asked("a", tools=False))
    by_older(desk.take, log)
    assert tallies(desk.take(log)) == {"skipped": 2}
    one = desk.write("one.jsonl", silent("b"))
    by_older(desk.take, one, desk.write("two.jsonl", asked("b", tools=False)))
    assert tallies(desk.take(one)) == {"skipped": 1}


def test_a_record_that_the_older_version_could_not_read_is_no_older_reading(
    desk: Desk, by_older: Any
) -> None:
    """The stored call of its id came by another file, and is another record until a person says otherwise."""
    by_older(desk.take, desk.write("other.jsonl", asked("a", "Hail?")))
    log = desk.write("log.jsonl", *ROWS)
    by_older(desk.take, log)
    with desk.store.writing() as writer:
        writer.execute("DELETE FROM conflicts")
        writer.execute(
            """UPDATE manifests SET report = json_merge_patch(report::JSON, '{"conflicts": 0, "rejected": 1}')
            WHERE files LIKE '%log.jsonl%'"""
        )
    report = desk.take(log)
    assert (report.conflicts, sum(report.read_otherwise.values())) == (2, 1)
    assert resolve_conflicts(desk.store, "arrived", reread=True).resolved == 1
    assert tools(desk) == {"b": 1, "c": 0}


def test_readings_that_someone_else_takes_meanwhile_are_passed_over(
    desk: Desk, by_older: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two people at once takes what is left, and gets no error."""
    log = desk.write("log.jsonl", *ROWS)
    by_older(desk.take, log)
    desk.take(log)
    absorb = Store.absorb

    def other(store: Store) -> int:
        monkeypatch.setattr(Store, "absorb", absorb)
        resolve_conflicts(store, "arrived", call_ids=[call_id("openai_chat", "a")])
        return absorb(store)

    monkeypatch.setattr(Store, "absorb", other)
    assert resolve_conflicts(desk.store, "arrived", reread=True).resolved == 1
    assert tools(desk) == {"a": 1, "b": 1, "c": 0}


@pytest.mark.parametrize("began", [-1, 1])
def test_a_running_replay_does_not_answer_the_new_request_with_the_old_one(
    desk: Desk, by_older: Any, began: int
) -> None:
    """What it hands in after the resolution is dropped, and kept of a run that began since."""
    log = desk.write("log.jsonl", *ROWS)
    by_older(desk.take, log)
    desk.take(log)
    now = datetime.now(UTC).replace(tzinfo=None)
    started = {"replay_id": "r", "event": "started", "detail": '{"epoch": 1}'}
    desk.store.append("replay_events", [started | {"created_at": now + timedelta(hours=began)}])
    resolve_conflicts(desk.store, "arrived", reread=True)
    ids = {call_id("openai_chat", each) for each in "abc"}
    rows = [observation_row(Observation("r", each, 0, Output(text="Hey."))) for each in ids]
    write_part(desk.store.spool, "observations", rows)
    kept = ids if began > 0 else {call_id("openai_chat", "c")}
    assert desk.store.absorb() == len(kept)
    assert {row["call_id"] for row in desk.store.rows("SELECT call_id FROM observations")} == kept


def test_input_and_output_of_a_batch_are_taken_together(desk: Desk, by_older: Any) -> None:
    """A call whose request and answer came by two records gets both anew, and keeps its time and model."""
    asking = desk.write("in.jsonl", sent("q"))
    answer = {"status_code": 200, "body": pair("r", answer="Yes.")["response"], "request_id": "req-1"}
    came = desk.write("out.jsonl", {"id": "batch_req_1", "custom_id": "q", "response": answer})
    first = by_older(desk.take, asking, came, answers=True)
    stored = desk.store.rows("SELECT occurred_at, model, attributes FROM calls")
    report = desk.take(asking, came)
    assert tallies(report) == {"conflicts": 2}
    assert report.read_otherwise == {first.manifest_id: 2}
    assert resolve_conflicts(desk.store, "arrived", reread=True).resolved == 1
    (call,) = calls.load_calls(desk.store)
    assert (len(call.request.tools), call.control and call.control.text) == (1, "Yes.")
    assert desk.store.rows("SELECT occurred_at, model, attributes FROM calls") == stored
    assert tallies(desk.take(asking, came)) == {"skipped": 2}
    undo_import(desk.store, report.manifest_id or "")
    (call,) = calls.load_calls(desk.store)
    assert (len(call.request.tools), call.control and call.control.text) == (0, "As it was read.")


def manifest(desk: Desk, name: str, *files: tuple[str, str, int], **more: Any) -> None:
    row = {"manifest_id": name, "created_at": datetime.now(UTC), "source": "s", "format": "f"}
    told = [{"name": "x", "sha256": sha256, "format": form, "bytes": size} for sha256, form, size in files]
    row |= {"files": json.dumps(told), "report": json.dumps({"accepted": 1})}
    desk.store.append("manifests", [row | more])


def look(path: str, form: str = "f", *, alone: bool = True, name: str = "") -> Look:
    return Look(path, name or path, form, "", "s", alone, alone, 10)


def read_before(desk: Desk, *looks: Look, **more: Any) -> list[tuple[str, str, int]]:
    """Return file, earlier import and lines of what was read before."""
    job = Job([each.path for each in looks], more.get("format", "auto"), None, None, {})
    hashes = {each.path: Hashed(each.path[-1], {3: ("a", 2), 5: ("b", 4)}) for each in looks}
    found = Rereading(desk.store, job, more.get("redaction")).before(looks, hashes).files
    return [(each.file, each.manifest_id, min(each.lines, 99)) for each in found]


def test_a_file_counts_as_read_before_only_under_an_older_reading_of_the_same_kind(desk: Desk) -> None:
    """By hash and format, of a grown log by that of its beginning; a redacted import is another kind."""
    manifest(desk, "unknown", ("z", "f", 9))
    manifest(desk, "begun", ("b", "f", 5))
    manifest(desk, "other size", ("a", "f", 4))
    manifest(desk, "other format", ("z", "g", 9))
    manifest(desk, "newest", ("z", "f", 9), reading=rereading.READING, read_with="x")
    manifest(desk, "redacted", ("z", "f", 9), redaction='{"key": "k", "version": 1}')
    assert read_before(desk, look("/z")) == [("/z", "unknown", 99), ("/z", "begun", 4)]
    assert read_before(desk, look("/y", "g")) == []
    # It is not known what was asked for then; and not which of two files a record is from.
    assert read_before(desk, look("/z"), format="f") == []
    assert read_before(desk, look("1/z", name="z"), look("2/z", name="z")) == []


def test_of_formats_that_join_records_all_files_of_the_import_come_again(desk: Desk) -> None:
    """Another file may have brought the rest of a call, so that it is no other reading of the same."""
    manifest(desk, "both", ("x", "f", 9), ("y", "f", 9))
    one, two = look("/x", alone=False), look("/y", alone=False)
    assert read_before(desk, one) == []
    assert read_before(desk, one, two, look("/z", alone=False)) == []
    assert read_before(desk, two, one) == [("/y", "both", 99), ("/x", "both", 99)]


class Redacted:
    """Stands for a redaction with a key."""

    def __init__(self, key: str) -> None:
        self.described = json.dumps({"key": key, "version": rereading.VERSION})

    def text(self, name: str) -> str:
        return name.upper()


def test_newer_detectors_of_personal_data_are_another_reading(desk: Desk) -> None:
    """With the same secret; the name of the file is redacted as in its records."""
    job = Job([], "auto", None, None, {})
    same = rereading.reading_of(job)
    for version in (1, rereading.VERSION):
        described = json.dumps({"key": "k", "version": version})
        manifest(desk, f"by {version}", ("z", "f", 9), redaction=described, **same)
    assert read_before(desk, look("/z"), redaction=Redacted("k")) == [("/Z", "by 1", 99)]
    assert read_before(desk, look("/z"), redaction=Redacted("other")) == []


@given(st.lists(st.binary(max_size=9), max_size=30), st.sets(st.integers(0, 200), max_size=9))
def test_beginnings_of_a_file_are_hashed_where_they_end_with_a_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], sizes: set[int]
) -> None:
    """One pass gives the hash of the whole, and of each beginning what it would be as a file."""
    data = b"{" + b"\n".join(lines)
    path = tmp_path_factory.mktemp("hashed") / "log.jsonl"
    path.write_bytes(data)
    found = hashed(path, sizes)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    begun = {size: data[:size] for size in sizes if 0 < size <= len(data) and data[size - 1 : size] == b"\n"}
    assert found.beginnings == {
        size: (hashlib.sha256(each).hexdigest(), each.count(b"\n")) for size, each in begun.items()
    }


def test_the_command_resolves_all_readings(desk: Desk, by_older: Any) -> None:
    """`conflicts list` says which they are, and `conflicts resolve --reread` takes them."""
    log = desk.write("log.jsonl", *ROWS)
    by_older(desk.take, log)
    desk.take(log)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, [*arguments, "--workspace", str(desk.root)])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert run("conflicts", "list").count("the same record as an older version had read otherwise") == 2
    assert "Resolved 2 calls" in run("conflicts", "resolve", "--keep", "arrived", "--reread")
    assert "No call is in conflict" in run("conflicts", "list")


FORKED = """
from workbench.ingest import resolve_conflicts
from workbench.config import Workspace
from pathlib import Path
from workbench.store import Store
import workbench.store.engine, workbench.ingest.corrections

def run(root):
    workspace = Workspace.load(Path(root))
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        resolve_conflicts(store, "arrived", reread=True)
"""


@pytest.mark.slow
def test_taking_readings_killed_at_any_moment_takes_all_or_none(desk: Desk, by_older: Any) -> None:
    """The same command takes them then, and every call has its request and answer of one reading."""
    count = 1_500
    log = desk.write("log.jsonl", *(asked(str(number), answer=f"{number}.") for number in range(count)))
    by_older(desk.take, log, answers=True)
    desk.take(log)
    killed = 0
    for share in (0.1, 0.3, 0.5, 0.7, 0.9):
        desk.store.close()
        with nursery(FORKED) as mother:
            child = mother.start(str(desk.root))
            time.sleep(share)
            killed += child.kill()
        desk = Desk(desk.root)
        found = desk.store.rows(
            "SELECT c.tool_count, k.text = 'As it was read.' AS old, count(*) AS n"
            " FROM calls c JOIN controls k USING (call_id) GROUP BY ALL"
        )
        assert len(found) == 1
        assert found[0]["old"] is (found[0]["tool_count"] == 0)
        assert desk.count("conflicts") in (0, count)
        assert (desk.count("conflicts") == 0) is (found[0]["tool_count"] == 1)
    assert killed
    resolve_conflicts(desk.store, "arrived", reread=True)
    assert desk.count("conflicts") == 0
    assert set(tools(desk).values()) == {1}
    desk.store.close()
