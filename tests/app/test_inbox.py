"""Uploaded files on disk: their own folder, a harmless name, and no trace afterwards."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from app_building import Filled, make_workspace
from app_reading import Visit, fine, said
from small_disk import small_disk

from workbench.errors import EnvironmentalError, UsageError
from workbench.formats import detect, files, open_source
from workbench.formats.containers import look
from workbench.ui import inbox, jobs, upload


class Sent(io.BytesIO):
    """A file as a browser sends it."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name = name


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("calls.jsonl", "calls.jsonl"),
        ("../../etc/passwd", "passwd"),
        ("C:\\logs\\a b.csv", "a_b.csv"),
        (".hidden.json", "hidden.json"),
        ("日本語.jsonl", "jsonl"),
        ("...", "upload"),
        ("x" * 500 + ".parquet", "x" * 72 + ".parquet"),
        ("a\x00b.csv", "a_b.csv"),
    ],
)
def test_a_name_loses_what_could_do_harm(name: str, kept: str) -> None:
    """No folders, no hidden files, no odd characters, a bounded length."""
    assert inbox.safe_name(name) == kept


def test_files_are_kept_under_the_workspace_and_dropped_again(tmp_path: Path) -> None:
    """Two files of one name do not overwrite each other."""
    workspace = make_workspace(tmp_path / "w")
    paths = inbox.keep(workspace, [Sent("a.csv", b"one"), Sent("../a.csv", b"two")])
    assert [path.read_bytes() for path in paths] == [b"one", b"two"]
    assert all(inbox.folder(workspace) in path.parents for path in paths)
    inbox.drop(paths)
    assert not any(path.exists() for path in paths)


def test_every_log_that_an_import_takes_can_be_sent() -> None:
    """What a folder's import reads is not refused by the browser for its ending."""
    assert {f".{each}" for each in inbox.TYPES} >= files._LOG_SUFFIXES


def test_an_error_names_a_file_as_it_was_sent(tmp_path: Path) -> None:
    """Where uploads lie on the server is nobody's business, and not what a person has to mend."""
    workspace = make_workspace(tmp_path / "w")
    paths = inbox.keep(workspace, [Sent("a.jsonl", "{}".encode("utf-16"))])
    with pytest.raises(UsageError) as error:
        look(paths[0])
    told = inbox.as_sent(error.value, paths)
    assert type(told) is UsageError
    assert (told.message, told.hint) == ("a.jsonl is UTF-16 text, not a log.", "Save it as UTF-8.")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hello\n", "a format chosen above reads it anyway"),
        (b'{"who": "a", "what": "b"}\n', "Choose the format mapped above, and say which columns hold what."),
    ],
)
def test_a_hint_names_fields_of_the_page_not_options(tmp_path: Path, content: bytes, told: str) -> None:
    """Whoever uploads has no command line before them."""
    paths = inbox.keep(make_workspace(tmp_path / "w"), [Sent("a.jsonl", content)])
    with pytest.raises(UsageError) as error:
        detect(paths[0])
    hint = inbox.as_sent(error.value, paths).hint
    assert told in hint
    assert "--" not in hint


@pytest.mark.parametrize(
    "mapping",
    [
        {"input": "knd", "output": "a"},
        {"input": "kind", "output": "a", "where.knd": "llm"},
        {"input": "kind", "output": "a", "where.a.b(c)": "llm"},
        {"output": "a"},
        {"input": "kind", "messages": "a"},
        {"input": "kind", "output": "a", "end_time": "a"},
    ],
)
def test_what_is_wrong_with_a_mapping_is_told_without_options(
    tmp_path: Path, mapping: dict[str, str]
) -> None:
    paths = inbox.keep(make_workspace(tmp_path / "w"), [Sent("a.jsonl", b'{"kind": "x", "a": {"d": 1}}\n')])
    with pytest.raises(UsageError) as error:
        open_source(paths[0], "auto", mapping)
    told = inbox.as_sent(error.value, paths)
    assert "--" in error.value.message
    assert "--" not in told.message + told.hint
    assert told.message.endswith(".")


def test_forgotten_uploads_go_after_a_day(tmp_path: Path) -> None:
    """What nobody imported is removed at the next upload."""
    workspace = make_workspace(tmp_path / "w")
    (old,) = inbox.keep(workspace, [Sent("a.csv", b"one")])
    past = time.time() - inbox.KEPT_S - 60
    os.utime(old.parent, (past, past))
    (new,) = inbox.keep(workspace, [Sent("b.csv", b"two")])
    assert not old.exists()
    assert new.exists()


def test_a_file_that_is_announced_twice_leaves_one_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow browser says twice that a file has come: the first copy goes."""
    workspace = make_workspace(tmp_path / "w")
    state = {"upload-0": [Sent("calls.jsonl", b"{}")]}
    monkeypatch.setattr(upload.st, "session_state", state)
    monkeypatch.setattr(upload, "here", lambda: SimpleNamespace(workspace=workspace))
    upload._take("upload-0")
    upload._take("upload-0")
    left = [each for each in inbox.folder(workspace).rglob("*") if each.is_file()]
    assert left == state[upload.FILES]


def test_a_full_disk_keeps_no_part_of_an_upload(tmp_path: Path) -> None:
    """What is copied halfway would take the room that is missing; the message says what to do."""
    with small_disk(tmp_path / "disk") as disk:
        place = make_workspace(disk.path / "space")
        disk.fill(leave=8_192)
        with pytest.raises(EnvironmentalError, match="No space left") as caught:
            inbox.keep(place, [Sent("calls.jsonl", b"x" * 500_000)])
        assert "Make room" in caught.value.hint
        assert not list(inbox.folder(place).glob("*"))
        disk.make_room()
        (kept,) = inbox.keep(place, [Sent("calls.jsonl", b"x" * 5_000)])
        assert kept.stat().st_size == 5_000


def test_a_full_disk_starts_no_run(tmp_path: Path) -> None:
    """A run that nothing can be noted of would be seen by nobody."""
    with small_disk(tmp_path / "disk") as disk:
        place = make_workspace(disk.path / "space")
        disk.fill()
        with pytest.raises(EnvironmentalError, match="No space left"):
            jobs.start(place, "triage", "small", [["status"]])
        assert not jobs.recent(place)


def test_an_upload_that_could_not_be_kept_is_told_on_the_page(visit: Visit, empty: Filled) -> None:
    """It comes while the browser waits, before the page is drawn: the page says it, once."""
    at = visit(empty, "upload")
    at.session_state[upload.NOT_KEPT] = EnvironmentalError("No space left.", "Make room.")
    shown = said(fine(at.run()))
    assert "No space left." in shown
    assert "Make room." in shown
    assert "No space left." not in said(fine(at.run()))


def test_an_upload_that_another_person_removes_meanwhile_breaks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old uploads are looked at while others may remove theirs."""
    place = make_workspace(tmp_path / "space")
    gone = inbox.folder(place) / "gone"
    monkeypatch.setattr(Path, "iterdir", lambda self: iter([gone]))
    inbox.folder(place).mkdir(parents=True)
    (kept,) = inbox.keep(place, [Sent("calls.jsonl", b"{}")])
    assert kept.is_file()
