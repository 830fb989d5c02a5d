"""Only the rows of a mapped log that a person picks are calls; all others are counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from workbench.cli import cli
from workbench.errors import UsageError
from workbench.formats import Draft, Passed, open_source
from workbench.formats.mapped import Mapped
from workbench.formats.picking import as_option
from workbench.terminal import parse_mapping

MAPPED = {"input": "q", "output": "a"}


@pytest.mark.parametrize(
    ("wanted", "value", "picked"),
    [
        ("llm", {"kind": "llm"}, True),
        ("llm", {"kind": " llm "}, True),
        ("llm", {"kind": "LLM"}, True),
        ("llm", {"kind": "llms"}, False),
        ("llm|chat", {"kind": "chat"}, True),
        ("llm|chat", {"kind": "llm|chat"}, False),
        ("true", {"kind": True}, True),
        ("true", {"kind": "True"}, True),
        ("1", {"kind": True}, False),
        ("1", {"kind": "1.0"}, True),
        ("1.0", {"kind": 1}, True),
        ("1", {"kind": "1.05"}, False),
        ("1", {"kind": "x1.0"}, False),
        ("200", {"kind": 200.0}, True),
        ("None", {"kind": None}, False),
        ("llm", {}, False),
    ],
)
def test_a_row_is_a_call_where_it_holds_what_is_asked(
    wanted: str, value: dict[str, Any], picked: bool
) -> None:
    (read,) = Mapped(MAPPED | {"where.kind": wanted}).parse({"q": "Hi", "a": "Yes", **value})
    assert isinstance(read, Draft if picked else Passed)


def test_all_conditions_count_at_any_depth_and_their_columns_stay_attributes() -> None:
    mapped = Mapped(MAPPED | {"where.span.kind": "llm", "where.ok": "true"})
    row = {"q": "Hi", "a": "Yes", "span": json.dumps({"kind": "llm"}), "ok": True}
    (draft,) = mapped.parse(row)
    assert isinstance(draft, Draft)
    assert draft.rest == {"span": row["span"], "ok": True}
    (passed,) = mapped.parse(row | {"ok": False})
    assert isinstance(passed, Passed)
    assert passed.reason == "ok is not true"
    (passed,) = mapped.parse({"q": "", "span": {"kind": "tool"}, "ok": True})
    assert isinstance(passed, Passed), "what is no call is not rejected for what it lacks"


def test_a_condition_on_a_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        json.dumps({"q": "Hi", "a": "Yes", "kind": "llm", "span": {"kind": "llm"}}) + "\n", "utf-8"
    )
    with pytest.raises(UsageError, match=r"no column 'knd' \(--where knd=llm\)") as refused:
        open_source(path, "auto", MAPPED | {"where.knd": "llm"})
    assert "kind" in refused.value.hint
    with pytest.raises(UsageError, match=r"nothing lies at 'span.typ' \(--where span.typ=llm\)"):
        open_source(path, "auto", MAPPED | {"where.span.typ": "llm"})
    with pytest.raises(UsageError, match="no field"):
        Mapped({"id": "q", "output": "a", "where.kind": "llm"}, outputs_only=True)
    with pytest.raises(UsageError, match="end_time and no time"):
        Mapped(MAPPED | {"end_time": "t"})


def test_the_command_counts_what_was_not_picked_as_skipped(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    times = {"begin": 1_767_225_600, "end": 1_767_225_600.5}
    rows = [
        {"q": f"Question {index}", "a": "Yes", "kind": "llm" if index % 3 else "tool", **times}
        for index in range(9)
    ]
    log.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    run = CliRunner()
    space = str(tmp_path / "w")
    assert run.invoke(cli, ["init", space]).exit_code == 0
    command = ["import", str(log), "--workspace", space, "--task", "t", "--json"]
    fields = ["--map", "input=q", "--map", "output=a", "--map", "time=begin", "--map", "end_time=end"]
    done = run.invoke(cli, [*command, *fields, "--where", "kind=llm"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["records"], report["accepted"], report["skipped"]) == (9, 6, 3)
    assert report["skip_reasons"] == {"kind is not llm": 3}
    assert "no_latency" not in report["marks"]
    for wrong in (["--where", "kind=llm"], [*fields, "--where", "kind"]):
        refused = run.invoke(cli, [*command, *wrong])
        assert refused.exit_code == 2
        assert "--where" in refused.stderr


@pytest.mark.parametrize("wanted", ["", "|", " | "])
def test_a_condition_without_a_value_is_refused(wanted: str) -> None:
    """It would pass over every row; an empty one beside a value says nothing."""
    with pytest.raises(UsageError, match="names no value"):
        Mapped(MAPPED | {"where.kind": wanted})
    (read,) = Mapped(MAPPED | {"where.kind": "llm|"}).parse({"q": "Hi", "a": "Yes", "kind": "llm"})
    assert isinstance(read, Draft)


def test_where_no_row_is_picked_the_report_says_what_stands_there(tmp_path: Path) -> None:
    """Whoever writes a kind as the log doesn't sees which there are; with --redact they are hidden, too."""
    log = tmp_path / "log.jsonl"
    rows = [
        {"q": f"Question {n}", "a": "Yes", "kind": k, "n": n} for n, k in enumerate(("chain", "tool") * 6)
    ]
    log.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    run, space = CliRunner(), str(tmp_path / "w")
    assert run.invoke(cli, ["init", space]).exit_code == 0
    command = ["import", str(log), "--workspace", space, "--map", "input=q", "--map", "output=a"]
    done = run.invoke(cli, [*command, "--where", "kind=llm"])
    assert (
        "NOTHING READ: none of the first 12 records is picked: kind holds chain or tool. Ask" in done.stdout
    )
    done = run.invoke(cli, [*command, "--where", "n=99"])
    assert "n holds more than 8 other values" in done.stdout
    log.write_text(json.dumps({"q": "Hi", "a": "Yes", "kind": "ada@example.com"}) + "\n", encoding="utf-8")
    done = run.invoke(cli, [*command, "--where", "kind=llm", "--redact"])
    assert "kind holds" in done.stdout
    assert "ada@example.com" not in done.stdout


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (["--list", "--where", "kind=llm"], "--where goes with FILES to import."),
        (["--undo", "import-1", "--map", "input=q"], "--map goes with FILES to import."),
        (["--list", "--memory-mb", "700"], "--memory-mb goes with FILES to import."),
        (["LOG", "--with-evidence"], "--with-evidence goes with --undo alone."),
        (["LOG", "--map", "where.kind=a", "--where", "kind=b"], "--where names 'kind', and so does --map."),
        (["LOG", "--where", "KIND=b"], "Did you mean 'kind'?"),
    ],
)
def test_options_that_would_not_count_are_refused(tmp_path: Path, written: list[str], says: str) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps({"q": "Hi", "a": "Yes", "kind": "llm"}) + "\n", encoding="utf-8")
    run, space = CliRunner(), str(tmp_path / "w")
    assert run.invoke(cli, ["init", space]).exit_code == 0
    mapped = ["--map", "input=q", "--map", "output=a"] if "LOG" in written else []
    asked = [str(log) if each == "LOG" else each for each in written]
    done = run.invoke(cli, ["import", *asked, *mapped, "--workspace", space])
    assert done.exit_code == 2
    assert says in done.stderr


def test_a_column_with_an_equals_sign_stands_in_quotes() -> None:
    """Messages and proposals write it so, and it is read so."""
    assert as_option("where.a=b", "llm") == '--where "a=b"=llm'
    assert parse_mapping(('"a=b"=llm', "c=d=e")) == {"a=b": "llm", "c": "d=e"}
    for wrong in ("=x", "x=", " = "):
        with pytest.raises(UsageError, match="is not FIELD=PATH"):
            parse_mapping((wrong,))


def test_outputs_made_elsewhere_take_no_condition(tmp_path: Path) -> None:
    """A mapping that could not be read is refused where the candidate is added, not where it is asked."""
    run, space = CliRunner(), str(tmp_path / "w")
    assert run.invoke(cli, ["init", space]).exit_code == 0
    before = (tmp_path / "w" / "workbench.toml").read_bytes()
    command = ["candidate", "add", "batch", "--engine", "recorded", "--outputs", "made.jsonl"]
    for wrong in (["--map", "id=i", "--map", "output=o", "--map", "where.kind=llm"], ["--map", "id=i"]):
        done = run.invoke(cli, [*command, *wrong, "--workspace", space])
        assert done.exit_code == 2
    assert (tmp_path / "w" / "workbench.toml").read_bytes() == before
