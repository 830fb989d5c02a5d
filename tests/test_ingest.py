"""Importing: every record counted, nothing twice, nothing half."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_world import Desk, pair, tallies

from workbench.errors import UsageError
from workbench.ingest import call_id, conflicts, preview, undo_import, write_rejects
from workbench.records import UNASSIGNED, to_json
from workbench.store import calls

SAMPLES = Path(__file__).resolve().parents[1] / "sample_logs" / "formats"
DATA = Path(os.environ.get("WORKBENCH_DATA", ""))
needs_data = pytest.mark.skipif(
    "WORKBENCH_DATA" not in os.environ, reason="WORKBENCH_DATA names no folder of real logs"
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def test_the_sample_logs_import_as_their_readme_says(desk: Desk) -> None:
    """The counts in the README of the sample logs are the counts of the importer."""
    assert tallies(desk.take(SAMPLES / "openai_chat.jsonl")) == {"accepted": 8}
    batch = (SAMPLES / "openai_batch_input.jsonl", SAMPLES / "openai_batch_output.jsonl")
    assert tallies(desk.take(*batch)) == {"accepted": 3, "joined": 3, "rejected": 1}
    batch = (SAMPLES / "openai_batch_responses_input.jsonl", SAMPLES / "openai_batch_responses_output.jsonl")
    assert tallies(desk.take(*batch)) == {"accepted": 3, "joined": 3}
    assert tallies(desk.take(SAMPLES / "malformed.jsonl", source="other")) == {
        "accepted": 2,
        "rejected": 7,
        "blank": 1,
    }


def test_every_mark_is_counted(desk: Desk) -> None:
    report = desk.take(SAMPLES / "openai_chat.jsonl")
    assert report.marks == {
        "cache_hit": 1,
        "error": 1,
        "finish_length": 1,
        "image": 1,
        "no_latency": 4,
        "no_output": 1,
        "refusal": 1,
        "truncated": 1,
    }
    assert calls.mark_counts(desk.store) == report.marks


def test_the_same_file_again_renamed_or_overlapping_adds_only_what_is_new(desk: Desk) -> None:
    """Identity is source and id; the name of a file is none."""
    first = desk.write("a.jsonl", *[pair(f"id-{i}") for i in range(10)])
    assert tallies(desk.take(first)) == {"accepted": 10}
    assert tallies(desk.take(first)) == {"skipped": 10}
    assert tallies(desk.take(first.rename(desk.root / "renamed.jsonl"))) == {"skipped": 10}
    overlap = desk.write("b.jsonl", *[pair(f"id-{i}") for i in range(5, 15)])
    assert tallies(desk.take(overlap)) == {"accepted": 5, "skipped": 5}
    assert tallies(desk.take(overlap, overlap, source="elsewhere")) == {"accepted": 10, "skipped": 10}
    assert desk.count("calls") == 25
    assert desk.count("controls") == 25


def test_equal_rows_without_ids_are_kept_and_carry_weight(desk: Desk) -> None:
    """Three equal rows are three calls, and stay three when the file comes again."""
    same = {"q": "Same?", "a": "Yes."}
    path = desk.write("rows.jsonl", same, same, {"q": "Other?", "a": "No."}, same)
    mapping = {"input": "q", "output": "a"}
    assert tallies(desk.take(path, mapping=mapping)) == {"accepted": 4}
    assert tallies(desk.take(path, mapping=mapping)) == {"skipped": 4}
    two = desk.write("two.jsonl", same, same)
    assert tallies(desk.take(two, mapping=mapping)) == {"skipped": 2}
    assert desk.store.value("SELECT count(DISTINCT request_hash) FROM calls") == 2


def test_the_same_id_with_other_content_is_a_conflict_and_both_are_kept_out(desk: Desk) -> None:
    """Neither side of a conflict is used, in the same file or a later one; it is recorded once."""
    first = desk.write("a.jsonl", pair("x", answer="one"), pair("y"), pair("x", answer="two"))
    report = desk.take(first)
    assert tallies(report) == {"accepted": 2, "conflicts": 1}
    assert report.open_conflicts == 1
    assert "CONFLICTS" in report.text
    assert [each.native_id for each in calls.load_calls(desk.store)] == ["y"]
    later = desk.write("b.jsonl", pair("y", question="Another question?"), pair("z"))
    assert tallies(desk.take(later)) == {"accepted": 1, "conflicts": 1}
    assert [each.native_id for each in calls.load_calls(desk.store)] == ["z"]
    assert tallies(desk.take(first)) == {"skipped": 3}
    assert {each.stored.native_id for each in conflicts(desk.store)} == {"x", "y"}


def test_a_richer_export_of_the_same_calls_is_no_conflict(desk: Desk) -> None:
    """A latency or an attribute more does not change what a call says."""
    plain = desk.write("a.jsonl", pair("x"))
    rich = desk.write("b.jsonl", pair("x", latency_ms=12.5, metadata={"tenant": "north"}))
    assert tallies(desk.take(plain)) == {"accepted": 1}
    assert tallies(desk.take(rich)) == {"skipped": 1}


@pytest.mark.parametrize("order", ["together", "outputs first", "inputs, then outputs"])
def test_batch_files_join_in_any_order_to_the_same_calls(desk: Desk, order: str) -> None:
    """One command or two, inputs or outputs first in it: the store ends up the same."""
    inputs, outputs = SAMPLES / "openai_batch_input.jsonl", SAMPLES / "openai_batch_output.jsonl"
    if order == "inputs, then outputs":
        waiting = desk.take(inputs, task="triage")
        assert tallies(waiting) == {"accepted": 3}
        assert waiting.marks["no_output"] == 3
        report = desk.take(outputs, task="triage")
        assert tallies(report) == {"joined": 3, "rejected": 1}
    else:
        files = (inputs, outputs) if order == "together" else (outputs, inputs)
        report = desk.take(*files, task="triage")
        assert tallies(report) == {"accepted": 3, "joined": 3, "rejected": 1}
    assert "no_output" not in report.marks
    found = {each.native_id: each for each in calls.load_calls(desk.store, "triage")}
    assert set(found) == {"ticket-1", "ticket-2", "ticket-3"}
    first = found["ticket-1"]
    assert first.control is not None
    assert (first.control.text, first.control.latency_ms) == ("billing", None)
    assert first.occurred_at is not None
    assert first.occurred_at.isoformat() == "2025-10-09T09:53:21+00:00"
    assert first.marks == ("no_latency", "batch_price")
    assert first.attributes == {"tenant": "north", "batch_request_id": "req_1"}
    assert found["ticket-3"].control is not None
    assert found["ticket-3"].control.error is not None
    assert desk.store.value("SELECT model FROM calls WHERE native_id = 'ticket-1'") == "gpt-4o-2024-11-20"
    assert tallies(desk.take(inputs, outputs, task="triage")) == {"skipped": 6, "rejected": 1}


def test_what_a_batch_calls_a_request_goes_with_its_outputs(desk: Desk) -> None:
    """Taken back, the outputs leave the calls' own attributes as they were."""
    desk.take(SAMPLES / "openai_batch_input.jsonl", task="triage")
    before = {each.native_id: each.attributes for each in calls.load_calls(desk.store, "triage")}
    outputs = desk.take(SAMPLES / "openai_batch_output.jsonl", task="triage")
    undo_import(desk.store, outputs.manifest_id)
    assert {each.native_id: each.attributes for each in calls.load_calls(desk.store, "triage")} == before


def test_an_output_without_its_request_is_rejected_until_the_request_arrives(desk: Desk) -> None:
    outputs = SAMPLES / "openai_batch_output.jsonl"
    report = desk.take(outputs, task="triage")
    assert tallies(report) == {"rejected": 4}
    assert report.reject_reasons == {"no request with custom_id … in source …": 4}
    assert "no request with custom_id 'ticket-2'" in report.rejects[0].reason
    assert desk.count("rejects") == 4
    assert tallies(desk.take(outputs, task="triage")) == {"rejected": 4}
    assert desk.count("rejects") == 4
    desk.take(SAMPLES / "openai_batch_input.jsonl", task="triage")
    assert tallies(desk.take(outputs, task="triage")) == {"joined": 3, "rejected": 1}


def test_two_different_outputs_for_one_request_are_a_conflict(desk: Desk) -> None:
    lines = (SAMPLES / "openai_batch_output.jsonl").read_text().splitlines()
    other = desk.root / "other.jsonl"
    other.write_text(lines[0].replace('"delivery"', '"other"') + "\n")
    desk.take(SAMPLES / "openai_batch_input.jsonl", SAMPLES / "openai_batch_output.jsonl")
    assert tallies(desk.take(other)) == {"conflicts": 1}
    assert {each.native_id for each in calls.load_calls(desk.store)} == {"ticket-1", "ticket-3"}


def test_a_call_without_output_gets_it_from_a_later_export(desk: Desk) -> None:
    """The mark no_output goes when the output comes."""
    open_call = pair("x")
    del open_call["response"]
    assert desk.take(desk.write("a.jsonl", open_call | {"id": "x"})).marks == {"no_output": 1, "no_time": 1}
    more = [pair("x"), pair("y"), pair("v"), open_call | {"id": "z"}, open_call | {"id": "w"}]
    report = desk.take(desk.write("b.jsonl", *more))
    assert tallies(report) == {"joined": 1, "accepted": 4}
    assert report.marks["no_output"] == 2
    call = next(each for each in calls.load_calls(desk.store) if each.native_id == "x")
    assert call.marks == ("no_latency",)
    assert call.control is not None


def test_tasks_come_from_the_command_the_rules_or_the_log(tmp_path: Path) -> None:
    """--task wins, then the evals' rules, then the log's metadata; what nobody takes is unassigned."""
    for name, match in {
        "billing": 'system_prompt = "(?i)invoice"',
        "vips": 'attributes = { tier = "gold" }\nmodel = "gpt"',
    }.items():
        (tmp_path / "evals" / name).mkdir(parents=True)
        (tmp_path / "evals" / name / "eval.toml").write_text(
            f'task = "{name}"\nkind = "text"\n[match]\n{match}\n'
        )
    desk = Desk(tmp_path)
    by_prompt = pair("1")
    by_prompt["request"]["messages"].insert(0, {"role": "system", "content": "Handle INVOICE questions."})
    both = json.loads(json.dumps(by_prompt)) | {"tier": "gold"}
    both["response"]["id"] = "4"
    rows = [
        by_prompt,
        pair("2", tier="gold"),
        pair("3", metadata={"task": "from_log"}),
        both,
        pair("5", metadata={"task": "../no name"}),
        pair("6"),
    ]
    path = desk.write("a.jsonl", *rows)
    report = desk.take(path, source="s")
    assert report.tasks == {"billing": 2, "from_log": 1, "no-name": 1, UNASSIGNED: 1, "vips": 1}
    assert report.marks == {"ambiguous_task": 1, "no_latency": 6}
    assert "[match]" in report.text
    assert desk.take(path, task="all").tasks == {"all": 6}
    desk.store.close()


def test_gold_answers_are_kept_once_and_may_come_later(desk: Desk) -> None:
    path = SAMPLES / "mapped.csv"
    mapping = {"id": "row", "input": "text", "output": "answer"}
    assert desk.take(path, mapping=mapping).gold == 0
    with_gold = desk.take(path, mapping=mapping | {"gold": "label"})
    assert (with_gold.skipped, with_gold.gold) == (4, 4)
    assert "gold answers: 4 new; the next `workbench compare`" in with_gold.text
    assert desk.take(path, mapping=mapping | {"gold": "label"}).gold == 0
    assert {each.native_id: each.gold for each in calls.load_calls(desk.store)} == {
        "1": "billing",
        "2": "delivery",
        "3": "other",
        "4": "billing",
    }


def test_unmapped_columns_become_attributes_and_never_columns(desk: Desk) -> None:
    """Names of columns are data, whatever they are."""
    nasty = "'); DROP TABLE calls; --"
    path = desk.root / "rows.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "in", nasty, "long"], ["1", "Hi", "x", "y" * 5000]])
    report = desk.take(path, mapping={"id": "id", "input": "in"})
    (call,) = calls.load_calls(desk.store)
    assert call.attributes == {nasty: "x"}
    assert report.marks["attributes_cut"] == 1


def test_a_dry_run_counts_and_stores_nothing(desk: Desk) -> None:
    path = desk.write("a.jsonl", pair("1"), pair("2"))
    report = desk.take(path, dry_run=True)
    assert tallies(report) == {"accepted": 2}
    assert report.manifest_id is None
    assert [desk.count(table) for table in ("calls", "controls", "manifests", "rejects")] == [0, 0, 0, 0]
    assert tallies(desk.take(path)) == {"accepted": 2}


def test_a_report_reads_well_and_encodes_as_json(desk: Desk) -> None:
    report = desk.take(SAMPLES / "malformed.jsonl")
    document = json.loads(to_json(report))
    assert document["records"] == 10
    assert document["rejects"][0]["line"] == 2
    assert document["files"][0]["name"] == "malformed.jsonl"
    assert len(document["files"][0]["sha256"]) == 64
    assert document["tokens"] == {"input": 60, "cached_input": 0, "output": 2}
    assert "malformed.jsonl:2: the JSON breaks off" in report.text
    (manifest,) = calls.manifest_rows(desk.store)
    assert manifest["report"]["rejected"] == 7


def test_a_table_that_is_not_utf8_imports_nothing(desk: Desk) -> None:
    """Not even the rows before its first umlaut come in, however far down that stands."""
    rows = "".join(f"{each},plain,billing\n" for each in range(20_000))
    path = desk.root / "latin.csv"
    path.write_bytes(f"id,text,out\n{rows}x,Gr\u00fc\u00dfe,billing\n".encode("cp1252"))
    with pytest.raises(UsageError, match="line 20,002 holds the byte 0xFC"):
        desk.take(path, task="t", mapping={"id": "id", "input": "text", "output": "out"})
    assert desk.count("calls") == 0


@pytest.mark.parametrize(("broken", "warned"), [(2, False), (3, True)])
def test_many_repaired_records_are_told_in_words(desk: Desk, broken: int, warned: bool) -> None:
    """A few broken bytes in JSON lines are marked; from three records on the report warns in words."""
    lines = [json.dumps(pair(f"c-{each}", "Gr\u00fc\u00dfe"), ensure_ascii=False) for each in range(broken)]
    path = desk.root / "latin.jsonl"
    path.write_bytes("\n".join(lines).encode("cp1252"))
    report = desk.take(path, task="t")
    assert (report.accepted, report.marks["repaired_text"]) == (broken, broken)
    assert bool(report.repaired) is warned
    told = f"REPAIRED: {broken} of {broken} new records"
    assert (told in report.text) is warned
    assert (f"--undo {report.manifest_id}" in report.text) is warned


def test_rejected_records_go_to_a_file_without_live_formulas(desk: Desk) -> None:
    path = desk.root / "a.jsonl"
    path.write_text(f"{json.dumps(pair('1'))}\n=cmd|' /C calc'!A0\n")
    report = desk.take(path)
    out = desk.root / "rejects.csv"
    assert write_rejects(desk.store, report, out) == 1
    (row,) = csv.DictReader(out.open(newline=""))
    assert row["line"] == "2"
    assert row["snippet"] == "'=cmd|' /C calc'!A0"


def test_the_file_of_rejected_records_says_where_there_are_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is passed on without the report, and would look complete."""
    report = desk.take(desk.write("a.jsonl", pair("x"), *({"request": number} for number in range(5))))
    monkeypatch.setattr("workbench.ingest.report.REJECTS_KEPT", 3)
    out = desk.root / "rejects.csv"
    assert write_rejects(desk.store, report, out) == 3
    rows = list(csv.DictReader(out.open(newline="")))
    assert [row["reason"] for row in rows[3:]] == ["2 more rejected records are not kept"]
    monkeypatch.setattr("workbench.ingest.report.REJECTS_KEPT", 5)
    assert write_rejects(desk.store, report, out) == len(list(csv.DictReader(out.open(newline="")))) == 5


@pytest.mark.parametrize("known", [False, True])
def test_all_rejected_records_of_a_dry_run_and_of_a_repeated_import_are_in_the_file(
    desk: Desk, known: bool
) -> None:
    """Neither stores any, and the report shows only the first ones."""
    path = desk.write("a.jsonl", pair("x"), *({"request": number} for number in range(120)))
    if known:
        desk.take(path)
    report = desk.take(path, dry_run=not known)
    out = desk.root / "rejects.csv"
    assert write_rejects(desk.store, report, out) == report.rejected == 120
    assert [row["line"] for row in csv.DictReader(out.open(newline=""))] == [str(n) for n in range(2, 122)]
    assert len(report.rejects) == 50
    assert "rejects_kept" not in to_json(report).decode()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"task": "no/name"}, "no name for a task"),
        ({"source": " "}, "no name for a source"),
        ({"sampling_rate": 0.0}, "not a share"),
        ({"sampling_rate": 10.0}, "not a share"),
        ({"format": "opnai_chat"}, "Did you mean 'openai_chat'"),
    ],
)
def test_wrong_arguments_import_nothing(desk: Desk, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as error:
        desk.take(SAMPLES / "openai_chat.jsonl", **options)
    assert says in str(error.value)
    assert desk.count("manifests") == 0


def test_one_wrong_file_among_several_imports_nothing(desk: Desk) -> None:
    empty = desk.root / "empty.jsonl"
    empty.touch()
    with pytest.raises(UsageError, match="empty"):
        desk.take(SAMPLES / "openai_chat.jsonl", empty)
    assert desk.count("calls") == 0


def test_a_path_that_leads_nowhere_is_refused_with_the_closest_that_does(desk: Desk) -> None:
    """A misspelt step would import every call without its output."""
    rows = [{"id": n, "q": "Hi", "out": {"choices": [{"text": "yes"}]}, "raw": '{"a": 1}'} for n in range(3)]
    path = desk.write("rows.jsonl", *rows)
    mapping = {"id": "id", "input": "q"}
    with pytest.raises(UsageError, match="nothing lies at") as refused:
        desk.take(path, mapping=mapping | {"output": "out.choises[0].text"})
    assert "'out.choices[0].text'" in refused.value.hint
    for output in ("out.choices[0].text", "$.raw.a"):
        assert desk.take(path, mapping=mapping | {"output": output}, dry_run=True).accepted == 3


def test_a_repeated_column_can_not_be_mapped_by_its_bare_name(desk: Desk) -> None:
    """Which of the two is meant has to be said, by the number of the column."""
    path = desk.root / "rows.csv"
    path.write_text("id,text,text,out\n1,first,second,x\n")
    with pytest.raises(UsageError, match="no column 'text' of its own") as error:
        desk.take(path, mapping={"id": "id", "input": "text", "output": "out"})
    assert error.value.hint == "Several have that name: write 'text (2)' or 'text (3)'."
    desk.take(path, mapping={"id": "id", "input": "text (3)", "output": "out"})
    (call,) = calls.load_calls(desk.store)
    assert call.request.messages[0].content == "second"


def test_rejects_that_can_not_be_written_are_an_error_in_words(desk: Desk) -> None:
    """The import holds, and a folder that is missing is named."""
    report = desk.take(desk.write("a.jsonl", pair("1"), [1]))
    with pytest.raises(UsageError, match="can't be written there") as refused:
        write_rejects(desk.store, report, desk.root / "missing" / "rejects.csv")
    assert "nothing doubles" in refused.value.hint


def test_volumes_need_times_and_a_sampling_rate(desk: Desk) -> None:
    """Calls a day are shown only where every call has a time and a known sampling rate."""
    day = 86_400
    rows = []
    for index in range(21):
        row = pair(f"id-{index}")
        row["response"]["created"] = 1_760_000_000 + index * day // 2
        rows.append(row)
    path = desk.write("a.jsonl", *rows)
    desk.take(path, task="known", sampling_rate=0.1)
    desk.take(path, task="unknown")
    desk.take(SAMPLES / "mapped.csv", task="undated", mapping={"input": "text"}, sampling_rate=1.0)
    found = calls.volumes(desk.store)
    assert found["known"].calls_per_day == pytest.approx(20)
    assert found["known"].days == pytest.approx(10)
    assert found["unknown"].calls_per_day is None
    assert found["undated"].calls_per_day is None


def test_tasks_models_days_and_pages_are_counted(desk: Desk) -> None:
    desk.take(SAMPLES / "openai_chat.jsonl", task="triage")
    (row,) = calls.task_rows(desk.store)
    assert (row["task"], row["calls"], row["with_output"]) == ("triage", 8, 7)
    assert row["input_tokens"] == 6 * 30 - 10
    assert row["cached_input_tokens"] == 10
    models = {each["model"]: each["calls"] for each in calls.model_tokens(desk.store, "triage")}
    assert models == {"gpt-4o-2024-11-20": 6, "gpt-4o": 2}
    assert sum(each["calls"] for each in calls.daily_counts(desk.store)) == 8
    assert len(calls.preview_rows(desk.store, "triage", limit=3, offset=6)) == 2
    assert calls.count_calls(desk.store, "triage") == 8
    assert len(calls.load_calls(desk.store, call_ids=[call_id("triage/openai_chat", "chatcmpl-1")])) == 1
    assert calls.load_calls(desk.store, call_ids=[]) == []


def test_the_store_knows_language_turns_tools_and_size(desk: Desk) -> None:
    desk.take(SAMPLES / "openai_chat.jsonl")
    rows = {row["native_id"]: row for row in desk.store.rows("SELECT * FROM calls")}
    assert rows["chatcmpl-1"]["language"] == "en"
    assert rows["chatcmpl-2"]["language"] == "de"
    assert rows["chatcmpl-3"]["tool_count"] == 1
    assert rows["chatcmpl-2"]["turn_depth"] == 1
    assert rows["chatcmpl-3"]["input_chars"] == len("Find order 4411")


def test_a_preview_shows_calls_columns_and_a_mapping_to_start_from(desk: Desk) -> None:
    table = preview(desk.workspace, [SAMPLES / "mapped.csv"], limit=3)
    assert table.needs_mapping
    assert table.mapping == {
        "id": "row",
        "input": "text",
        "output": "answer",
        "gold": "label",
        "model": "model",
    }
    assert [each.name for each in table.columns][:3] == ["row", "text", "answer"]
    assert table.columns[6].samples == ["north", "harbour", "north"]
    assert len(table.calls) == 3
    batch = preview(
        desk.workspace, [SAMPLES / "openai_batch_input.jsonl", SAMPLES / "openai_batch_output.jsonl"]
    )
    assert (batch.format, batch.needs_mapping) == ("openai_batch", False)
    assert [each.control.text if each.control else None for each in batch.calls] == [
        "billing",
        "delivery",
        None,
    ]
    broken = preview(desk.workspace, [SAMPLES / "malformed.jsonl"])
    assert [each.line for each in broken.rejects] == [2, 4, 5, 6, 7, 8, 9]
    unknown = desk.write("unknown.jsonl", {"foo": 1, "bar": "x"})
    guess = preview(desk.workspace, [unknown])
    assert guess.needs_mapping
    assert guess.calls == []
    assert desk.count("manifests") == 0


LINES = st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ").replace(b"\r", b" ")),
    st.builds(
        lambda identity, answer: json.dumps(pair(identity, answer=answer)).encode(),
        st.sampled_from(["a", "b", "c", None]),
        st.sampled_from(["one", "two", "", "\x00", "\ud800"]),
    ),
    st.builds(
        lambda identity: json.dumps(
            {"id": identity, "request": {"messages": [{"role": "user", "content": "Hello?"}]}}
        ).encode(),
        st.sampled_from(["a", "b", "c"]),
    ),
    st.just(b""),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, min_size=1, max_size=12), again=st.lists(LINES, max_size=6))
def test_the_equation_holds_for_any_lines_and_repeats_add_nothing(
    desk: Desk, lines: list[bytes], again: list[bytes]
) -> None:
    """Whatever the lines, the counts add up; the same file again stores no row."""
    source = f"s{time.time_ns()}"
    first, second = desk.root / "first.jsonl", desk.root / "second.jsonl"
    first.write_bytes(json.dumps(pair("seed")).encode() + b"\n" + b"\n".join(lines) + b"\n")
    second.write_bytes(json.dumps(pair("seed")).encode() + b"\n" + b"\n".join(again) + b"\n")
    report = desk.take(first, format="openai_chat", source=source)
    assert report.records == len(lines) + 1
    desk.take(second, format="openai_chat", source=source)
    tables = ("calls", "controls", "conflicts", "rejects")
    before = [desk.count(table) for table in tables]
    for path in (first, second):
        repeated = desk.take(path, format="openai_chat", source=source)
        assert (repeated.accepted, repeated.joined, repeated.conflicts) == (0, 0, 0)
    assert [desk.count(table) for table in tables] == before
    orphans = desk.store.value("SELECT count(*) FROM controls ANTI JOIN calls USING (call_id)")
    assert orphans == 0


@pytest.mark.parametrize("stage", ["reading", "storing"])
def test_an_import_killed_in_the_middle_leaves_nothing_and_runs_again(tmp_path: Path, stage: str) -> None:
    """After kill -9 nothing is visible, what it staged is swept up, and the next import has every call."""
    root = tmp_path / "workspace"
    root.mkdir()
    desk = Desk(root)
    desk.store.close()
    log = desk.write("big.jsonl", *[pair(f"id-{i}", question=f"Question {i}?") for i in range(12_000)])
    script = f"""
import os, sys
from pathlib import Path
from workbench.config import Workspace
from workbench.ingest import import_files
from workbench.store import Store
workspace = Workspace.load({str(root)!r})
def listen(progress):
    if progress.stage == {stage!r} and progress.done >= 8000:
        print("here", flush=True)
        import time; time.sleep(60)
with Store.open(workspace.store_path, spool=workspace.spool) as store:
    import_files(workspace, store, [{str(log)!r}], task="t", listener=listen)
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "here"
    staged = list((desk.workspace.spool / "imports").iterdir())
    assert len(staged) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    desk = Desk(root)
    assert [desk.count(table) for table in ("calls", "controls", "manifests")] == [0, 0, 0]
    assert tallies(desk.take(log, task="t")) == {"accepted": 12_000}
    assert list((desk.workspace.spool / "imports").iterdir()) == []
    assert tallies(desk.take(log, task="t")) == {"skipped": 12_000}
    desk.store.close()


def test_an_import_leaves_the_staging_of_another_that_runs_alone(tmp_path: Path) -> None:
    """Sweeping up spares folders whose import is alive."""
    from workbench.store.staging import Staging

    with Staging(tmp_path, "first", list), Staging(tmp_path, "second", list):
        assert len(list((tmp_path / "imports").iterdir())) == 2
    assert list((tmp_path / "imports").iterdir()) == []


def test_imports_that_begin_at_once_leave_each_other_their_folders(tmp_path: Path) -> None:
    """None sweeps up what another has just made and not locked yet."""
    from workbench.store.staging import Staging

    def begun(number: int) -> bool:
        with Staging(tmp_path, f"import-{number}", list) as staging:
            return (staging.folder / "lock").is_file()

    with ThreadPoolExecutor(8) as many:
        assert all(many.map(begun, range(400)))
    assert list((tmp_path / "imports").iterdir()) == []


@needs_data
def test_the_real_batch_pair_and_table(desk: Desk) -> None:
    """The published logs import with the counts their README states."""
    folder = DATA / "openai_batch_pair"
    files = (folder / "batch_requests.jsonl", folder / "batch_output_gpt4.jsonl")
    expected = {"accepted": 1000, "joined": 1000, "rejected": 500}
    assert tallies(desk.take(*files, task="rewriting")) == expected
    mapping = {"id": "row", "input": "text", "output": "gpt-4o-2024-11-20", "gold": "gold"}
    table = desk.take(DATA / "textclass" / "technology_EN.csv", task="technology", mapping=mapping)
    assert (tallies(table), table.gold, table.languages) == ({"accepted": 1000}, 1000, {"en": 1000})
    other = folder / "batch_output.jsonl"
    assert tallies(desk.take(other, task="rewriting")) == {"conflicts": 1000, "rejected": 500}


def test_the_report_says_what_the_answers_cost_and_whose_cost_is_not_known(tmp_path: Path) -> None:
    """Cost by the price table, cached input priced apart; models without a price are named, not guessed."""
    (tmp_path / "workbench.toml").write_text(
        '[[prices]]\nmodel = "gpt-4o"\nas_of = 2026-10-01\nsource = "test"\n'
        "input_usd_per_million = 2.0\ncached_input_usd_per_million = 1.0\noutput_usd_per_million = 10.0\n"
    )
    desk = Desk(tmp_path)
    priced, other = pair("a"), pair("b", "Who?")
    priced["response"]["usage"] = {
        "prompt_tokens": 1_500_000,
        "prompt_tokens_details": {"cached_tokens": 500_000},
        "completion_tokens": 100_000,
    }
    other["response"]["model"] = "brand-new"
    unmeasured = pair("c", "Why?")
    del unmeasured["response"]["usage"]
    file = desk.write("log.jsonl", priced, other, unmeasured)
    tried = desk.take(file, dry_run=True)
    report = desk.take(file)
    # 1,000,000 x 2 + 500,000 x 1 + 100,000 x 10, per million
    assert report.cost_usd == pytest.approx(3.5)
    assert tried.cost_usd == report.cost_usd
    assert report.unpriced == {"brand-new": 1, "gpt-4o": 1}
    assert "cost: 3.5000 USD; left out, no price or no tokens: brand-new 1, gpt-4o 1" in report.text
    assert "tokens: 1,000,010 input, 500,000 cached input, 100,002 output" in report.text
    again = desk.take(file)
    assert (again.cost_usd, again.unpriced) == (None, {})


def test_without_prices_no_cost_is_shown(tmp_path: Path) -> None:
    """An empty price table gives no figure at all, and names the models."""
    report = (desk := Desk(tmp_path)).take(desk.write("log.jsonl", pair("a")))
    assert report.cost_usd is None
    assert report.unpriced == {"gpt-4o": 1}
    assert "cost: not known; left out, no price or no tokens: gpt-4o 1" in report.text
