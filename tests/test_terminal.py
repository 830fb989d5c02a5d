"""The command line's grammar: shares, mappings, errors, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from workbench.cli import cli
from workbench.config import Workspace, read_config
from workbench.errors import StoreBusy, UsageError
from workbench.progress import Progress
from workbench.replay.batch_export import BatchExport
from workbench.replay.report import ReplayReport
from workbench.setup import TEMPLATE, add_candidate, init, parse_parameters
from workbench.terminal import (
    emit,
    guarded,
    parse_mapping,
    parse_sampling_rate,
    parse_share,
    progress_listener,
)


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("5 %", 0.05), ("0.05", 0.05), ("0", 0.0), ("100%", 1.0)]
)
def test_a_share_is_a_percentage_or_a_fraction(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["1", "1.0", "5", "100", "101%", "-1%", "nan", "five", "", "%", "inf%"])
def test_a_share_that_could_mean_two_things_or_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_share(text)


@pytest.mark.parametrize("text", ["1", "1.0", "5", "37.5", "100"])
def test_what_is_proposed_for_a_refused_share_is_taken(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_share(text)
    for word in error.value.hint.removeprefix("Write ").removesuffix(".").split(" or "):
        parse_share(word)


@given(st.floats(0, 0.999))
def test_every_fraction_below_one_is_read_back(share: float) -> None:
    assert parse_share(repr(share)) == share


def test_a_complete_log_may_be_called_one() -> None:
    assert parse_sampling_rate("1") == 1.0
    assert parse_sampling_rate("10%") == pytest.approx(0.1)
    assert parse_sampling_rate(None) is None
    with pytest.raises(UsageError):
        parse_sampling_rate("0%")


def test_a_mapping_keeps_what_follows_the_first_equals_sign() -> None:
    assert parse_mapping(("input=a=b", "id = row")) == {"input": "a=b", "id": "row"}
    for wrong in (("input",), ("=x",), ("input=",), ("id=a", "id=b")):
        with pytest.raises(UsageError):
            parse_mapping(wrong)


def test_parameters_are_numbers_truths_lists_or_text() -> None:
    found = parse_parameters(["max_tokens=64", "temperature=0.0", "stop=['x']", "mode=fast", "cache=false"])
    assert found == {"max_tokens": 64, "temperature": 0.0, "stop": ["x"], "mode": "fast", "cache": False}


def test_init_makes_a_workspace_once_and_overwrites_nothing(tmp_path: Path) -> None:
    run = CliRunner()
    first = run.invoke(cli, ["init", str(tmp_path / "w"), "--json"])
    assert first.exit_code == 0
    assert json.loads(first.stdout)["created"] == ["workbench.toml", "evals/"]
    assert Workspace.load(tmp_path / "w").config.candidates == ()
    again = run.invoke(cli, ["init", str(tmp_path / "w")])
    assert again.exit_code == 2
    assert "workspace already" in again.stderr


def test_a_candidate_is_added_without_touching_the_comments(tmp_path: Path) -> None:
    run = CliRunner()
    run.invoke(cli, ["init", str(tmp_path)])
    before = (tmp_path / "workbench.toml").read_text()
    arguments = ["candidate", "add", "gemma2", "--engine", "recorded", "--outputs", "a.csv"]
    arguments += ["--map", "id=row", "--map", "output=gemma2", "--workspace", str(tmp_path), "--json"]
    done = run.invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "workbench.toml").read_text().startswith(before.rstrip())
    added = Workspace.load(tmp_path).candidate("gemma2")
    assert added.map == {"id": "row", "output": "gemma2"}
    listed = json.loads(run.invoke(cli, ["candidate", "list", "--workspace", str(tmp_path), "--json"]).stdout)
    assert [each["name"] for each in listed] == ["gemma2"]


def test_a_wrong_candidate_changes_nothing(tmp_path: Path) -> None:
    run = CliRunner()
    run.invoke(cli, ["init", str(tmp_path)])
    before = (tmp_path / "workbench.toml").read_text()
    done = run.invoke(cli, ["candidate", "add", "x", "--engine", "recorder", "--workspace", str(tmp_path)])
    assert done.exit_code == 2
    assert "'recorded'" in done.stderr
    assert (tmp_path / "workbench.toml").read_text() == before


def test_an_error_for_people_is_its_message_its_hint_and_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def busy(*, as_json: bool) -> None:
        raise StoreBusy("The store is held by process 7.", "Wait, or stop it.")

    with pytest.raises(SystemExit) as caught:
        busy(as_json=True)
    assert caught.value.code == 3
    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": "The store is held by process 7.", "hint": "Wait, or stop it."}
    assert "Traceback" not in err
    assert "held by process 7" in err


def test_an_interrupt_exits_with_130_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def stopped() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        stopped()
    assert caught.value.code == 130
    assert "same command" in capsys.readouterr().err


def test_an_interrupt_is_one_json_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads standard output finds what happened there, with the keys of every error."""

    @guarded
    def stopped(*, as_json: bool) -> None:
        raise KeyboardInterrupt("Interrupted; 3 are missing.")

    with pytest.raises(SystemExit) as caught:
        stopped(as_json=True)
    assert caught.value.code == 130
    assert json.loads(capsys.readouterr().out) == {"error": "Interrupted; 3 are missing.", "hint": ""}


def test_a_stage_that_begins_anew_has_a_pace_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second speed of a probe, or the second candidate, is not timed from the start of the first."""
    clock = iter((0.0, 100.0, 100.0, 110.0))
    monkeypatch.setattr("workbench.terminal.time.monotonic", lambda: next(clock))
    with progress_listener() as listen:
        for done in (0, 40, 0, 20):
            listen(Progress("probe", done, 40))
    assert "probe: 20 of 40 calls (2.0/s about 10 s left)" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--repeats", "2"], ["--new"], ["--concurrency", "4"], ["--no-checks"]])
def test_a_probe_refuses_what_it_would_not_heed(tmp_path: Path, option: list[str]) -> None:
    run = CliRunner()
    run.invoke(cli, ["init", str(tmp_path)])
    command = ["replay", "--task", "t", "--candidate", "c", "--probe", "latency", *option]
    done = run.invoke(cli, [*command, "--workspace", str(tmp_path)])
    assert done.exit_code == 2
    assert f"{option[0]} means nothing to --probe" in done.stderr


def test_a_file_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    run = CliRunner()
    run.invoke(cli, ["init", str(tmp_path)])
    command = ["candidate", "patch", "p", "--parent", "c", "--system", f"@{tmp_path / 'gone.txt'}"]
    done = run.invoke(cli, [*command, "--workspace", str(tmp_path)])
    assert done.exit_code == 2
    assert "gone.txt: the file can't be read: No such file or directory." in done.stderr


def test_the_template_of_a_workspace_is_valid_once_its_examples_are_uncommented(tmp_path: Path) -> None:
    """Each key that it shows exists; a candidate that is added stands apart from the examples."""
    text = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", TEMPLATE)
    config = read_config(tomllib.loads(text), tmp_path / "workbench.toml")
    assert (len(config.candidates), len(config.prices), len(config.models)) == (1, 1, 1)
    assert config.ray.spool is not None
    init(tmp_path)
    add_candidate(tmp_path, {"name": "c", "engine": "transformers", "model": "packaged:smollm2-135m"})
    assert '\n\n[[candidates]]\nname = "c"' in (tmp_path / "workbench.toml").read_text()


def test_a_bug_keeps_its_traceback() -> None:
    @guarded
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()


def test_a_command_outside_a_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["recommend", "--task", "t", "--candidate", "c", "--workspace", str(tmp_path)]
    )
    assert done.exit_code == 2
    assert "workbench init" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["replay", "--json"], "--task"), (["import", "--json"], "FILES"), (["replays", "--json"], "replays")],
)
def test_a_wrong_command_line_is_one_json_document_too(arguments: list[str], words: str) -> None:
    command = [sys.executable, "-m", "workbench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in json.loads(done.stdout)["error"]
    assert "Traceback" not in done.stderr


HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2Jgone \u202efdp.exe\x9b1m [/bold] [link=x]"


def test_what_a_server_wrote_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors, reports and progress show what others wrote with its control characters as escapes."""

    @guarded
    def fail() -> None:
        raise UsageError(f"refused: {HOSTILE}", f"hint {HOSTILE}")

    with pytest.raises(SystemExit):
        fail()
    emit({}, as_json=False, text=f"two\nlines\t{HOSTILE}")
    with progress_listener() as listen:
        listen(Progress("replay", 1, 1, note=HOSTILE))
    said = capsys.readouterr()
    for stream in (said.out, said.err):
        assert "\\x1b]52" in stream
        assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(stream)
    assert "two\nlines\t" in said.out


def test_a_note_at_a_terminal_is_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A note with brackets, as in an address or a server's words, neither vanishes nor ends the run."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress_listener() as listen:
        listen(Progress("replay", 1, 2, note=HOSTILE))
        listen(Progress("replay", 2, 2, note="[/]"))
    assert "[/]" in capsys.readouterr().err


@pytest.mark.parametrize("at_terminal", [True, False])
def test_a_note_that_stays_has_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at_terminal: bool
) -> None:
    """Each of several in a row is printed, as words and not as markup, and whole."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: at_terminal, raising=False)
    long = "why " * 60
    with progress_listener() as listen:
        listen(Progress("checks", 1, 1, note=f"{long}{HOSTILE}", stays=True))
        listen(Progress("checks", 1, 1, note="second", stays=True))
    said = capsys.readouterr().err
    assert said.count("why") == 60
    assert "[/bold]" in said
    assert "second" in said
    assert "\x1b]52" not in said


def test_a_dry_run_says_what_it_can_not_tell() -> None:
    """An estimate that is missing is named, and a file of outputs is no server that is asked."""
    planned = ReplayReport(None, "t", "c", "planned", calls=5, batches=0, planned=5, done=0, answered=0)
    planned = replace(planned, dry_run=True, requests=5)
    asked = replace(planned, estimated_input_tokens=10, estimated_output_tokens=5).text
    assert "5 requests would be sent" in asked
    assert "Time: not known before this candidate has answered" in asked
    assert "5 outputs made elsewhere would be read" in planned.text
    assert "Time" not in planned.text


def test_the_rest_of_a_batch_is_appended_and_makes_no_candidate_of_its_own() -> None:
    """Outputs of the missing calls alone would be a candidate without an answer to all others."""
    whole = BatchExport("t", "c", ("/w/in.jsonl",), 100, 100, 150_000, "m", "/w/in.jsonl")
    assert "(0.1 MB)" in whole.text
    assert "workbench candidate add c-batch" in whole.text
    rest = replace(whole, written=10, bytes=15_000, missing_from="/w/out.jsonl").text
    assert "(15.0 kB)" in rest
    assert "append /w/in-out.jsonl to /w/out.jsonl" in rest
    assert "candidate add" not in rest
    packaged = replace(whole, model="packaged:x").text
    assert "--model FOLDER --served-model-name packaged:x" in packaged
