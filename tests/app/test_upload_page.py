"""The page that imports: what it says of an import, and how far it is."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from app_building import Filled
from app_reading import Visit, fine, said

from workbench.ingest import ImportReport, import_files
from workbench.progress import Progress
from workbench.ui import inbox
from workbench.ui.import_told import Pace
from workbench.ui.upload import FILES, REPORT
from workbench.ui.words import NARROW


def _shown(visit: Visit, empty: Filled, report: ImportReport) -> str:
    at = visit(empty, "upload")
    at.session_state[REPORT] = report
    return said(fine(at.run()))


def test_a_report_says_all_that_the_command_says(visit: Visit, empty: Filled) -> None:
    """What was passed over, whose prompt is missing, labels without a call, gold, other names of tasks."""
    words = _shown(
        visit,
        empty,
        ImportReport(
            accepted=90,
            records=100,
            skipped=10,
            skip_reasons={"a span that is no call of a model": 10},
            marks={"not_rendered": 4, "repaired_text": 30},
            unrendered={"import-0123456789ab": 3},
            labels={"helpful": 7},
            labels_without_call=2,
            gold=5,
            tasks={"support-agent": 90},
            renamed_tasks={"support agent": "support-agent"},
        ),
    )
    for told in (
        "10 × a span that is no call of a model",
        "4 calls hold the arguments of a template, not the prompt that the model saw",
        "workbench import --undo import-0123456789ab",
        "7 helpful",
        "2 of them name a call that is not here (yet)",
        "5 new; the next comparison makes labels of them",
        "'support agent' is support-agent",
        "30 of 90",
    ):
        assert told in words, told


def test_a_plain_report_says_none_of_it(visit: Visit, empty: Filled) -> None:
    words = _shown(visit, empty, ImportReport(accepted=90, records=90, marks={"repaired_text": 2}))
    for told in ("Passed over", "template", "labels", "right answers", "can't stand in a path", "Not UTF-8"):
        assert told not in words


def test_a_file_that_is_no_log_is_named_as_it_was_sent(visit: Visit, empty: Filled) -> None:
    file = io.BytesIO("{}".encode("utf-16"))
    file.name = "calls.jsonl"
    (sent,) = inbox.keep(empty.workspace, [file])
    at = visit(empty, "upload")
    at.session_state[FILES] = [sent]
    words = said(at.run())
    assert "calls.jsonl is UTF-16 text" in words
    assert str(sent.parent) not in words


def test_the_report_of_conflicts_leads_to_where_they_are_resolved(visit: Visit, empty: Filled) -> None:
    at = visit(empty, "upload")
    at.session_state[REPORT] = ImportReport(records=2, accepted=1, conflicts=1)
    at = fine(at.run())
    at = fine(at.button(key="conflicts").click().run())
    assert REPORT not in at.session_state
    at.session_state[REPORT] = ImportReport(records=1, accepted=1)
    assert "conflicts" not in [each.key for each in fine(at.run()).button]


def test_an_upload_can_name_its_source(visit: Visit, empty: Filled, tmp_path: Path) -> None:
    """The same id in two sources is two calls; without a name the source is the format."""
    row = {
        "request": {"messages": [{"role": "user", "content": "Hello?"}]},
        "response": {"id": "a", "created": 1_760_000_000, "choices": [{"message": {"content": "Hi."}}]},
    }
    for name in ("", " prod-eu "):
        log = tmp_path / f"sent{len(name)}" / "log.jsonl"
        log.parent.mkdir()  # It goes with what was sent.
        log.write_text(json.dumps(row) + "\n")
        at = visit(empty, "upload")
        at.session_state[FILES] = [log]
        at = fine(at.run())
        at.text_input(key="upload-source").set_value(name)
        at = fine(at.run())
        at = fine(at.button(key="import").click().run())
        assert at.session_state[REPORT].accepted == 1
    sources = empty.store.rows("SELECT source FROM calls ORDER BY source")
    assert [each["source"] for each in sources] == ["openai_chat", "prod-eu"]


def test_files_and_lines_of_several_formats_are_read_as_the_command_reads_them(
    visit: Visit, empty: Filled, tmp_path: Path
) -> None:
    """The first file says nothing about the others, and a file importing again by command adds nothing."""
    samples = Path(__file__).parents[2] / "sample_logs" / "formats"
    mixed = "\n".join(
        (samples / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[0]
        for name in ("openai_chat", "anthropic_messages", "openai_chat")
    )
    (tmp_path / "sent").mkdir()
    (tmp_path / "kept").mkdir()
    names = ["a-mixed.jsonl", "b-langfuse.jsonl", "c-responses.jsonl"]
    others = [
        (samples / f"{each}.jsonl").read_bytes() for each in ("langfuse_observations", "openai_responses")
    ]
    for folder in ("sent", "kept"):
        for name, content in zip(names, [mixed.encode(), *others], strict=True):
            (tmp_path / folder / name).write_bytes(content)
    at = visit(empty, "upload")
    at.session_state[FILES] = [tmp_path / "sent" / name for name in names]
    at = fine(at.run())
    assert "Read as openai chat" in said(at)
    assert "b-langfuse.jsonl is read as langfuse: " in said(at)
    assert "c-responses.jsonl is read as openai responses: " in said(at)
    report = fine(at.button(key="import").click().run()).session_state[REPORT]
    assert report.rejected == 0
    assert {each["format"] for each in report.files} == {"openai_chat", "langfuse", "openai_responses"}
    assert not any(each["because"] == "the format was given" for each in report.files)
    again = import_files(empty.workspace, empty.store, [tmp_path / "kept" / name for name in names])
    assert again.accepted + again.joined + again.rejected + again.conflicts == 0
    assert report.accepted > 3


def test_of_a_log_of_all_kinds_of_spans_the_calls_are_offered(
    visit: Visit, empty: Filled, tmp_path: Path
) -> None:
    """The condition stands there filled in; whoever empties it takes all rows."""
    rows = [
        {"input": f"Hello {index}?", "output": "Hi.", "span": "x", "metadata": {"type": kind}}
        for index, kind in enumerate(("llm", "tool", "llm"))
    ]
    holds = "map-where-value-metadata.type"
    for kept, accepted in ((True, 2), (False, 1)):
        log = tmp_path / f"sent{accepted}" / "log.jsonl"
        log.parent.mkdir()  # It goes with what was sent.
        log.write_text("\n".join(map(json.dumps, rows)) + "\n")
        at = visit(empty, "upload")
        at.session_state[FILES] = [log]
        at = fine(at.run())
        assert at.selectbox(key="map-where").value == "metadata.type"
        assert at.text_input(key=holds).value == "llm"
        if not kept:
            at.text_input(key=holds).set_value("|")
            at = fine(at.run())
            assert "No value is named that picked rows hold." in said(at)
            assert "--where" not in said(at)
            at.text_input(key=holds).set_value("")
            at = fine(at.run())
            assert "No value is named: all rows are taken." in said(at)
        report = fine(at.button(key="import").click().run()).session_state[REPORT]
        assert report.accepted == accepted, "the first time two calls, the second time the row that was left"


def test_what_was_stored_before_is_told_apart_from_what_was_passed_over(visit: Visit, empty: Filled) -> None:
    """Skipped records are all accounted for: those that are no calls by their kind, the others as known."""
    report = ImportReport(records=12, skipped=12, skip_reasons={"a span that is no call of a model": 5})
    words = _shown(visit, empty, report)
    assert "5 × a span that is no call of a model\n7 × stored already, nothing to add" in words


def test_calls_of_no_eval_lead_to_where_one_is_drafted(visit: Visit, empty: Filled) -> None:
    """No replay is offered of calls that nothing says how to compare; a task with an eval leads to one."""
    for tasks, key in (({"unassigned": 90}, "next-traffic"), ({"triage": 90}, "next-replay")):
        at = visit(empty, "upload")
        at.session_state[REPORT] = ImportReport(accepted=90, records=90, tasks=tasks)
        keys = {each.key for each in fine(at.run()).button}
        assert keys & {"next-traffic", "next-replay"} == {key}


def test_the_progress_says_how_fast_and_how_long() -> None:
    """By what was heard, or by what the work itself knows; the first second says nothing yet."""
    now = 0.0
    told = Pace(lambda: now)

    def pace(progress: Progress) -> str:
        return told(progress).replace(NARROW, " ")

    assert pace(Progress("reading", 0, 10_000, "records")) == "Reading: 0 records"
    now = 0.5
    assert pace(Progress("reading", 500, 10_000, "records")) == "Reading: 500 records"
    now = 2.0
    assert pace(Progress("reading", 2_000, 10_000, "records")) == (
        "Reading: 2,000 records, 1,000 a second, about 8 s left"
    )
    assert pace(Progress("reading", 2_000, None, "records")) == "Reading: 2,000 records, 1,000 a second"
    assert pace(Progress("loading", 10, 40, per_s=2.0, left_s=15.0)) == (
        "Loading: 10 calls, 2 a second, about 15 s left"
    )


@pytest.mark.parametrize(
    ("name", "content"), [("empty.jsonl", b""), ("bad.gz", b"\x1f\x8bno"), ("x.parquet", b"PAR1xxxx")]
)
def test_an_error_on_a_file_names_it_as_the_person_did(
    visit: Visit, empty: Filled, name: str, content: bytes
) -> None:
    """Where the app put it meanwhile is nobody's business, and a sentence ends with one full stop."""
    sent = empty.workspace.root / "uploads" / name
    sent.parent.mkdir()
    sent.write_bytes(content)
    at = visit(empty, "upload")
    at.session_state[FILES] = [sent]
    words = said(fine(at.run()))
    assert re.search(rf"^{re.escape(name)}", words, re.MULTILINE)
    assert str(sent.parent) not in words
    assert ".." not in words
