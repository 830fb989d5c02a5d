"""What is no file, leads nowhere or may not be read is said to be that, and never passed over in silence."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench.errors import UsageError
from workbench.formats import found_files, open_source

LINE = '{"request": {"messages": [{"role": "user", "content": "Hi"}]}}\n'
NOBODY = 65534


def refusal(path: Path) -> str:
    """Return why a path that was named is refused."""
    ((found, _),) = found_files([path])
    with pytest.raises(UsageError) as refused:
        open_source(found)
    return str(refused.value)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder as an account sees it that has no right to read all."""
    if os.geteuid():
        yield tmp_path
        return
    # The folders above a test's own are the administrator's alone.
    place = Path("/tmp") / f"workbench-{tmp_path.name}-{os.getpid()}"  # noqa: S108
    place.mkdir()
    os.chown(place, NOBODY, -1)
    os.seteuid(NOBODY)
    try:
        yield place
    finally:
        os.seteuid(0)
        shutil.rmtree(place)


def test_a_link_in_a_circle_or_to_nothing_is_told_as_one(tmp_path: Path) -> None:
    loop, broken = tmp_path / "loop.jsonl", tmp_path / "broken.jsonl"
    loop.symlink_to(loop)
    broken.symlink_to("gone.jsonl")
    assert "leads back to itself" in refusal(loop)
    assert "leads back to itself" in refusal(loop / "calls.jsonl")
    assert "is a link to gone.jsonl, which is not there" in refusal(broken)
    assert "no such file" in refusal(tmp_path / "gone.jsonl")
    assert "no such file" in refusal(tmp_path / ("x" * 300))


def test_what_is_no_file_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, other = tmp_path / "pipe.jsonl", tmp_path / "other"
    os.mkfifo(pipe)
    assert "a pipe, a socket or a device" in refusal(pipe)
    assert "a pipe, a socket or a device" in refusal(Path(os.devnull))
    monkeypatch.chdir(tmp_path)  # Addresses of sockets are short.
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(other.name)
        assert "a pipe, a socket or a device" in refusal(other)


def test_what_may_not_be_read_is_told_with_the_folder_that_is_closed(folder: Path) -> None:
    closed, file = folder / "closed", folder / "file.jsonl"
    closed.mkdir()
    for each in (file, closed / "calls.jsonl"):
        each.write_text(LINE)
    file.chmod(0)
    closed.chmod(0)
    try:
        assert f"{file} may not be read." in refusal(file)
        assert f"{closed} is a folder that may not be read." in refusal(closed)
        assert f"the folder {closed} is closed" in refusal(closed / "calls.jsonl")
    finally:
        closed.chmod(0o700)


def test_folders_that_may_be_listed_but_not_entered_are_told(folder: Path) -> None:
    """So are links into them, with the folder that is closed and not the one where the link lies."""
    days, vault = folder / "days", folder / "vault"
    for each in (days / "monday", vault):
        each.mkdir(parents=True)
        (each / "calls.jsonl").write_text(LINE)
    (days / "link.jsonl").symlink_to(vault / "calls.jsonl")
    (days / "inner").symlink_to(vault / "inner")
    (days / "monday").chmod(0o644)
    vault.chmod(0o600)
    try:
        found = [each for each, _ in found_files([days])]
        assert [each.name for each in found] == ["inner", "link.jsonl", "monday"]
        assert f"the folder {vault} is closed" in refusal(days / "link.jsonl")
        assert [each.name for each, _ in found_files([days / "*.jsonl"])] == ["link.jsonl"]
    finally:
        (days / "monday").chmod(0o700)
        vault.chmod(0o700)


def test_a_search_tells_of_links_to_folders_and_of_what_is_no_file(tmp_path: Path) -> None:
    """Links to folders are not followed: of one inside, the files are found anyway."""
    logs, other = tmp_path / "logs", tmp_path / "other"
    for each in (logs / "day", other):
        each.mkdir(parents=True)
        (each / "z.jsonl").write_text(LINE)
    for name, target in (("gone", "/mnt/nope"), ("linked", other), ("same", logs / "day"), ("up", logs)):
        (logs / name).symlink_to(target)
    os.mkfifo(logs / "pipe.jsonl")
    found = [str(each.relative_to(logs)) for each, _ in found_files([logs])]
    assert found == ["day/z.jsonl", "gone", "linked", "pipe.jsonl"]
    assert "is a link to /mnt/nope, which is not there" in refusal(logs / "gone")
    assert "is a pipe" in refusal(logs / "pipe.jsonl")
    with pytest.raises(UsageError, match="is a link to the folder"):
        open_source(logs / "linked")


def test_a_search_tells_of_links_and_folders_that_it_could_not_follow(folder: Path) -> None:
    """Their logs would be missing, and no one would know."""
    closed, hidden = folder / "days" / "monday", folder / "days" / ".cache"
    for each in (closed, hidden):
        each.mkdir(parents=True)
        each.chmod(0)
    (folder / "days" / "tuesday.jsonl").write_text(LINE)
    (folder / "days" / "wednesday.jsonl").symlink_to("gone.jsonl")
    try:
        found = [each.name for each, _ in found_files([folder / "days"])]
        assert found == ["monday", "tuesday.jsonl", "wednesday.jsonl"]
        by_pattern = [each.name for each, _ in found_files([folder / "days" / "*.jsonl"])]
        assert by_pattern == ["tuesday.jsonl", "wednesday.jsonl"]
    finally:
        for each in (closed, hidden):
            each.chmod(0o700)
