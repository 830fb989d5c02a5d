"""A wrong import can be taken back, and a conflict resolved; nothing else changes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from import_world import Desk, pair, tallies

from workbench.cli import cli
from workbench.errors import UsageError
from workbench.ingest import (
    call_id,
    conflicts,
    list_imports,
    resolve_conflicts,
    undo_import,
)
from workbench.records import Label, LabelVerdict, Observation, Output
from workbench.store import Store, calls
from workbench.store.labels import add_label
from workbench.store.replays import observation_row
from workbench.store.spool import write_part

CONTENT = ("calls", "controls", "conflicts", "rejects", "gold", "manifests", "observations", "labels")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def content(desk: Desk) -> dict[str, list[Any]]:
    """Return what the store holds, without the numbers that order its rows."""
    found = {}
    for table in CONTENT:
        rows = desk.store.rows(f"SELECT * FROM {table}")  # noqa: S608 -- names in this file
        found[table] = sorted(str({k: v for k, v in row.items() if k != "seq"}) for row in rows)
    return found


def test_an_import_taken_back_leaves_the_store_as_it_was_before_it(desk: Desk) -> None:
    """Its calls, conflicts and rejects go; all else stays, and it can come again."""
    desk.take(desk.write("one.jsonl", pair("a"), pair("b")))
    before = content(desk)
    rows = [pair("c"), pair("a", answer="Other."), {"no": "request"}, pair("b")]
    wrong = desk.write("two.jsonl", *rows)
    with wrong.open("a") as file:
        file.write("not json\n")
    report = desk.take(wrong, format="openai_chat")
    assert tallies(report) == {"accepted": 1, "conflicts": 1, "rejected": 2, "skipped": 1}
    assert report.manifest_id is not None
    undone = undo_import(desk.store, report.manifest_id)
    assert undone.removed == {"calls": 1, "controls": 1, "conflicts": 1, "rejects": 2, "manifests": 1}
    assert content(desk) == before
    assert tallies(desk.take(wrong, format="openai_chat")) == tallies(report)


def test_an_import_larger_than_all_others_goes_and_leaves_their_rows_in_their_order(desk: Desk) -> None:
    """What stays has the same rows and numbers, and tells twins as before."""
    one = desk.write("one.jsonl", pair("a"), pair("b"))
    desk.take(one)
    schema = "SELECT table_name, sql FROM duckdb_tables() ORDER BY ALL"
    before, tables = content(desk), desk.store.rows(schema)
    order = desk.store.rows("SELECT call_id, seq FROM calls")
    large = desk.write("two.jsonl", *(pair(f"n{number}") for number in range(9)), pair("a", answer="Other."))
    report = desk.take(large)
    undone = undo_import(desk.store, report.manifest_id or "")
    assert undone.removed == {"calls": 9, "controls": 9, "conflicts": 1, "manifests": 1}
    desk.store.close()
    desk.store = Store.open(desk.workspace.store_path, spool=desk.workspace.spool)
    assert content(desk) == before
    assert desk.store.rows(schema) == tables
    assert desk.store.rows("SELECT call_id, seq FROM calls") == order
    assert tallies(desk.take(one)) == {"skipped": 2}
    assert tallies(desk.take(large)) == tallies(report)


def test_a_late_output_goes_with_the_import_that_brought_it(desk: Desk) -> None:
    """The request stays, without an output, and takes the right one later."""
    line = {"custom_id": "q", "body": {"model": "m", "messages": [{"role": "user", "content": "x"}]}}
    desk.take(desk.write("in.jsonl", line | {"method": "POST", "url": "/v1/chat/completions"}))
    answer = {
        "custom_id": "q",
        "response": {"status_code": 200, "body": pair("r", answer="Wrong.")["response"]},
    }
    report = desk.take(desk.write("out.jsonl", answer))
    assert tallies(report) == {"joined": 1}
    undo_import(desk.store, report.manifest_id or "")
    assert [each.control for each in calls.load_calls(desk.store)] == [None]
    answer["response"] = {"status_code": 200, "body": pair("r", answer="Right.")["response"]}
    assert tallies(desk.take(desk.write("out2.jsonl", answer))) == {"joined": 1}


def observe(desk: Desk, identity: str) -> str:
    """Store a candidate's answer, and a label, for a call of the source openai_chat."""
    call = call_id("openai_chat", identity)
    desk.store.append("observations", [observation_row(Observation("replay", call, 0, Output(text="Hey.")))])
    label = Label("label", "replay", call, LabelVerdict.EQUAL, "ann", created_at=datetime.now(UTC))
    add_label(desk.store, label)
    return call


def test_what_rests_on_an_import_is_only_removed_when_asked_for(desk: Desk) -> None:
    """Answers and labels of people are counted, and nothing goes until --with-evidence."""
    report = desk.take(desk.write("one.jsonl", pair("a"), pair("b")))
    observe(desk, "a")
    before = content(desk)
    with pytest.raises(UsageError, match="1 answers of candidates and 1 labels rest"):
        undo_import(desk.store, report.manifest_id or "")
    assert content(desk) == before
    removed = undo_import(desk.store, report.manifest_id or "", with_evidence=True).removed
    assert (removed["observations"], removed["labels"], removed["calls"]) == (1, 1, 2)
    assert not any(content(desk).values())


def test_taking_back_twice_or_what_never_was_says_so(desk: Desk) -> None:
    report = desk.take(desk.write("one.jsonl", pair("a")))
    assert [each.manifest_id for each in list_imports(desk.store)] == [report.manifest_id]
    undo_import(desk.store, report.manifest_id or "")
    with pytest.raises(UsageError, match="was taken back on"):
        undo_import(desk.store, report.manifest_id or "")
    with pytest.raises(UsageError, match="no import 'import-x'"):
        undo_import(desk.store, "import-x")


@pytest.mark.parametrize("undone", [False, True])
def test_answers_that_wait_in_the_spool_rest_on_the_old_version_too(desk: Desk, undone: bool) -> None:
    """A killed replay left them: loaded later, they would stand for another request."""
    report = desk.take(desk.write("one.jsonl", pair("a")))
    desk.take(desk.write("two.jsonl", pair("a", "Another question?")))
    observed = Observation("replay", call_id("openai_chat", "a"), 0, Output(text="Hey."))
    write_part(desk.store.spool, "observations", [observation_row(observed)])
    if undone:
        with pytest.raises(UsageError, match="1 answers of candidates"):
            undo_import(desk.store, report.manifest_id or "")
        undo_import(desk.store, report.manifest_id or "", with_evidence=True)
    else:
        assert resolve_conflicts(desk.store, "arrived").compared_anew == 1
    desk.store.absorb()
    assert desk.count("observations") == 0


def texts(desk: Desk) -> dict[str, str | None]:
    return {
        each.native_id: each.control.text if each.control else None for each in calls.load_calls(desk.store)
    }


@pytest.mark.parametrize("keep", ["stored", "arrived"])
def test_a_resolved_conflict_is_used_again_and_both_files_add_nothing(desk: Desk, keep: str) -> None:
    """The version that is right is used; either file again is known, and no conflict comes back."""
    one = desk.write("one.jsonl", pair("a", answer="One."), pair("b"))
    two = desk.write("two.jsonl", pair("a", answer="Two."))
    desk.take(one)
    desk.take(two)
    (open_one,) = conflicts(desk.store)
    assert (open_one.differs, open_one.stored.control.text, open_one.arrived.control.text) == (
        ["text"], "One.", "Two.",
    )  # fmt: skip
    assert texts(desk) == {"b": "Hi."}
    assert resolve_conflicts(desk.store, keep, call_ids=[open_one.call_id]).resolved == 1
    assert texts(desk)["a"] == ("One." if keep == "stored" else "Two.")
    assert conflicts(desk.store) == []
    assert tallies(desk.take(one)) == {"skipped": 2}
    assert tallies(desk.take(two)) == {"skipped": 1}
    kept = desk.store.rows("SELECT DISTINCT kept, given_up FROM conflict_resolutions")
    given_up = {json.loads(row["given_up"])["control"]["text"] for row in kept}
    assert given_up == {"Two." if keep == "stored" else "One."}


def test_another_request_that_arrived_takes_the_place_of_the_stored_one(desk: Desk) -> None:
    """Its messages, sizes and hashes are those of a fresh import of it."""
    desk.take(desk.write("one.jsonl", pair("a", question="Old?")))
    new = desk.write("two.jsonl", pair("a", question="Quelle est la question du jour ?"))
    desk.take(new)
    resolve_conflicts(desk.store, "arrived")
    fresh = Desk(desk.root / "fresh") if (desk.root / "fresh").mkdir() is None else desk
    fresh.take(new)
    columns = "call_id, request_hash, content_hash, language, input_chars, turn_depth, request, model, marks"
    sql = f"SELECT {columns} FROM calls"  # noqa: S608 -- names in this file
    assert desk.store.rows(sql) == fresh.store.rows(sql)
    fresh.store.close()


def test_a_labelled_call_keeps_the_version_people_judged(desk: Desk) -> None:
    desk.take(desk.write("one.jsonl", pair("a")))
    call = observe(desk, "a")
    desk.take(desk.write("two.jsonl", pair("a", answer="Two.")))
    report = resolve_conflicts(desk.store, "arrived")
    assert report.resolved == 0
    assert "labelled" in report.refused[call]
    assert resolve_conflicts(desk.store, "stored").resolved == 1


@pytest.mark.parametrize("undone", [False, True])
def test_what_judges_and_gold_answers_said_of_a_version_goes_with_it(desk: Desk, undone: bool) -> None:
    """No vote of a judge and no label from a gold answer speaks for another answer than its own."""
    desk.take(desk.write("one.jsonl", pair("a"), pair("b")))
    second = desk.take(desk.write("two.jsonl", pair("a", answer="Two.")))
    if undone:
        resolve_conflicts(desk.store, "arrived")
    for identity in "ab":
        call = call_id("openai_chat", identity)
        vote = {"replay_id": "replay", "call_id": call, "judge": "j", "prompt_version": "1"}
        vote |= {"control_first": True, "vote": "equal", "said": "", "attempts": 1, "unmetered": False}
        desk.store.append("judge_votes", [vote | {"request_chars": 1, "text_chars": 1}])
        gold = Label(identity, "replay", call, LabelVerdict.EQUAL, "gold", created_at=datetime.now(UTC))
        add_label(desk.store, replace(gold, source="gold"))
    if undone:
        undo_import(desk.store, second.manifest_id or "")
    else:
        assert resolve_conflicts(desk.store, "arrived").resolved == 1
    for table in ("judge_votes", "labels"):
        left = desk.store.rows(f"SELECT call_id FROM {table}")  # noqa: S608 -- names in this file
        assert [row["call_id"] for row in left] == [call_id("openai_chat", "b")]


def test_of_several_versions_that_arrived_one_import_is_named(desk: Desk) -> None:
    desk.take(desk.write("one.jsonl", pair("a", answer="One.")))
    desk.take(desk.write("two.jsonl", pair("a", answer="Two.")))
    third = desk.take(desk.write("three.jsonl", pair("a", answer="Three.")))
    assert "2 different versions" in next(iter(resolve_conflicts(desk.store, "arrived").refused.values()))
    assert resolve_conflicts(desk.store, "arrived", manifest_id=third.manifest_id).resolved == 1
    assert texts(desk) == {"a": "Three."}
    assert tallies(desk.take(desk.root / "two.jsonl")) == {"skipped": 1}


@pytest.mark.parametrize("question", ["Hello?", "Another question?"])
def test_taking_back_the_import_that_won_a_conflict_gives_the_calls_back(desk: Desk, question: str) -> None:
    """All calls of the earlier import stand as they were, and the other file comes in as a conflict again."""
    desk.take(desk.write("one.jsonl", *(pair(str(n), answer=f"Answer {n}.") for n in range(8))))
    before = content(desk)
    two = desk.write("two.jsonl", *(pair(str(n), question, answer="Other.") for n in range(2)))
    second = desk.take(two)
    assert tallies(second) == {"conflicts": 2}
    assert resolve_conflicts(desk.store, "arrived").resolved == 2
    call = call_id("openai_chat", "0")
    desk.store.append("observations", [observation_row(Observation("replay", call, 0, Output(text="Hey.")))])
    with pytest.raises(UsageError, match="1 answers of candidates"):
        undo_import(desk.store, second.manifest_id or "")
    undone = undo_import(desk.store, second.manifest_id or "", with_evidence=True)
    assert undone.restored == 2
    assert "2 calls are again as earlier imports brought them" in undone.text
    assert "calls" not in undone.removed
    after = content(desk)
    assert len(after.pop("observations")) == (1 if question == "Hello?" else 0)
    assert after == {table: rows for table, rows in before.items() if table != "observations"}
    assert tallies(desk.take(two)) == {"conflicts": 2}


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2])))
def test_imports_that_each_won_a_conflict_are_taken_back_in_any_order(
    desk: Desk, order: tuple[int, ...]
) -> None:
    """What stands is always the newest version of the imports that stand; then all is as before."""
    first = desk.take(desk.write("0.jsonl", pair("a", answer="0"), pair("b")))
    before = content(desk)
    reports = {0: first}
    for number in (1, 2):
        reports[number] = desk.take(desk.write(f"{number}.jsonl", pair("a", f"{number}?", str(number))))
        assert resolve_conflicts(desk.store, "arrived").resolved == 1
    standing = {0, 1, 2}
    for number in order:
        undo_import(desk.store, reports[number].manifest_id or "")
        standing.remove(number)
        assert texts(desk) == {"a": str(max(standing)), "b": "Hi."}
    assert content(desk) == before
    assert desk.count("conflict_resolutions") == 0


def test_a_version_that_won_stays_when_the_first_import_goes_and_goes_with_its_own(desk: Desk) -> None:
    """Nothing of an import that was taken back comes again."""
    first = desk.take(desk.write("one.jsonl", pair("a", answer="One."), pair("b")))
    second = desk.take(desk.write("two.jsonl", pair("a", answer="Two.")))
    resolve_conflicts(desk.store, "arrived")
    undo_import(desk.store, first.manifest_id or "")
    assert texts(desk) == {"a": "Two."}
    undo_import(desk.store, second.manifest_id or "")
    assert not any(content(desk).values())


def test_an_output_that_won_gives_way_to_the_one_before_and_the_request_stays(desk: Desk) -> None:
    """A log of outputs alone in conflict with the answer of a whole call."""
    asked = {"custom_id": "q", "method": "POST", "url": "/v1/chat/completions"}
    asked["body"] = {"model": "m", "messages": [{"role": "user", "content": "x"}]}  # type: ignore[assignment]
    answer = {
        "custom_id": "q",
        "response": {"status_code": 200, "body": pair("r", answer="One.")["response"]},
    }
    desk.take(desk.write("in.jsonl", asked), desk.write("out.jsonl", answer))
    before = content(desk)
    answer["response"] = {"status_code": 200, "body": pair("r", answer="Two.")["response"]}
    second = desk.take(desk.write("two.jsonl", answer))
    assert tallies(second) == {"conflicts": 1}
    resolve_conflicts(desk.store, "arrived")
    assert texts(desk) == {"q": "Two."}
    undo_import(desk.store, second.manifest_id or "")
    assert content(desk) == before


def test_an_undo_that_could_not_restore_what_was_removes_nothing(desk: Desk) -> None:
    """A conflict resolved by a version of the program that kept no rows: said, and left alone."""
    desk.take(desk.write("one.jsonl", pair("a", answer="One.")))
    second = desk.take(desk.write("two.jsonl", pair("a", answer="Two.")))
    resolve_conflicts(desk.store, "arrived")
    with desk.store.writing() as writer:
        writer.execute(
            "UPDATE conflict_resolutions SET given_up = json_merge_patch(given_up, '{\"replaced\": null}')"
        )
    before = content(desk)
    with pytest.raises(UsageError, match="not on record"):
        undo_import(desk.store, second.manifest_id or "")
    assert content(desk) == before


def test_the_list_of_conflicts_shows_what_each_side_says(desk: Desk) -> None:
    """Nobody can say which version is right without reading both, each around the place where they part."""
    long = "The same words. " * 20
    desk.take(desk.write("one.jsonl", pair("a"), pair("b", long + "Monday"), pair("c")))
    error = {"request": pair("c")["request"], "id": "c", "error": {"message": "down"}, "status_code": 500}
    other = [pair("a", answer="Two.\nLines"), pair("b", long + "Friday"), error]
    desk.take(desk.write("two.jsonl", *other))
    done = CliRunner().invoke(cli, ["conflicts", "list", "--workspace", str(desk.root)])
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    said = [" ".join(line[1:]) for line in lines if line[0] in ("stored", "arrived")]
    assert said[1] == "Two. Lines"
    assert [each[-6:] for each in said[2:4]] == ["Monday", "Friday"]
    assert all(each.startswith("…") and len(each) < 125 for each in said[2:4])
    assert "different messages" in done.stdout


def test_the_commands_list_undo_and_resolve(desk: Desk) -> None:
    """`import --list`, `import --undo`, `conflicts list` and `conflicts resolve` print JSON."""
    desk.take(desk.write("one.jsonl", pair("a")))
    desk.take(desk.write("two.jsonl", pair("a", answer="Two.")))

    def run(*arguments: str, code: int = 0) -> Any:
        done = CliRunner().invoke(cli, [*arguments, "--workspace", str(desk.root), "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if code == 0 else done.output

    listed = run("import", "--list")
    assert [each["files"] for each in listed] == [["two.jsonl"], ["one.jsonl"]]
    (conflict,) = run("conflicts", "list")
    assert conflict["differs"] == ["text"]
    assert "Say which conflicts" in run("conflicts", "resolve", "--keep", "stored", code=2)
    assert run("conflicts", "resolve", "--keep", "stored", "--all")["resolved"] == 1
    assert run("import", "--undo", listed[0]["manifest_id"])["removed"] == {
        "conflict_resolutions": 1,
        "manifests": 1,
    }
    assert "Say what to do" in run("import", code=2)
