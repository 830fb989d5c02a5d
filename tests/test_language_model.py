"""The unpacked model of languages: kept once, read by all, and never trusted where it is not whole."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from workbench import language, language_model

TEXTS = pa.array(["Wo ist meine Bestellung?", "Where is my order, please?", "注文はどこですか？", None])
NAMED = ["de", "en", "ja", None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give every test a folder for caches of its own, and a process that has loaded nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    language_model._model.cache_clear()
    yield tmp_path / "workbench"
    language_model._model.cache_clear()


def kept(cache: Path) -> Path:
    """Let the model be kept, and return its folder."""
    language.prepare()
    language_model._model.cache_clear()
    (folder,) = cache.glob("languages-*")
    return folder


def from_packed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows whenever the packed model is read."""
    read: list[int] = []
    unpacked = language_model._unpacked

    def counted(languages: tuple[str, ...]) -> language_model.Model:
        read.append(1)
        return unpacked(languages)

    monkeypatch.setattr(language_model, "_unpacked", counted)
    return read


def test_a_kept_model_is_the_packed_one_and_is_not_unpacked_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second process reads the same numbers from the folder, and names the same languages."""
    kept(cache)
    read = from_packed(monkeypatch)
    found = language_model.model(language.LANGUAGES)
    assert language.languages_of(TEXTS).to_pylist() == NAMED
    assert not read
    packed = language_model._unpacked(tuple(language.LANGUAGES))
    for name in ("moves", "rows", "output", "weights", "prior"):
        assert np.array_equal(getattr(found, name), getattr(packed, name)), name
    assert (found.names, found.doubles) == (packed.names, packed.doubles)


def test_what_is_kept_is_for_its_owner_alone_and_what_nobody_uses_goes(cache: Path) -> None:
    """Nobody else can write what names languages here, and neither versions nor killed processes pile up."""
    old, left = cache / "languages-0000", cache / ".languages-killed"
    other, at_work = cache / "languages-1111", cache / ".languages-now"
    for each in (old, left, other, at_work):
        each.mkdir(parents=True)
    os.utime(left, (0, 0))
    os.utime(old, (0, 0))
    language.prepare()
    assert not old.exists()
    assert not left.exists()
    assert at_work.exists()
    assert other.exists()
    other.rmdir()
    (folder,) = cache.glob("languages-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("harm", ["cut", "missing", "kind", "shape", "empty", "no array", "open to all"])
def test_a_kept_model_that_is_not_as_it_was_written_is_unpacked_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """It is never half read: languages are named as if nothing were kept, and the folder is mended."""
    folder = kept(cache)
    path = folder / "weights.npy"
    if harm == "cut":
        os.truncate(path, 5_000)
    elif harm == "missing":
        path.unlink()
    elif harm == "kind":
        np.save(path, np.zeros((10, 55), np.float64))
    elif harm == "shape":
        np.save(path, np.zeros((10, 3), np.float32))
    elif harm == "empty":
        np.save(folder / "rows.npy", np.zeros_like(np.load(folder / "rows.npy")))
    elif harm == "no array":
        path.write_bytes(b"\x80\x04K\x01.")
    else:
        folder.chmod(0o777)
    read = from_packed(monkeypatch)
    assert language.languages_of(TEXTS).to_pylist() == NAMED
    assert read == [1]
    if harm != "open to all":
        language_model._model.cache_clear()
        assert language.languages_of(TEXTS).to_pylist() == NAMED
        assert read == [1]


@pytest.mark.parametrize("where", ["/dev/null/cache", "relative"])
def test_without_a_folder_for_caches_languages_are_named_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """No home, a file in its place or a relative path: nothing is written, nothing fails."""
    monkeypatch.setenv("XDG_CACHE_HOME", where)
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.chdir(tmp_path)
    assert language.languages_of(TEXTS).to_pylist() == NAMED
    assert not [*tmp_path.iterdir()]


def test_processes_that_begin_together_leave_one_whole_model(cache: Path) -> None:
    """Each of them names languages; what the last one finds done already it throws away."""
    code = (
        "import pyarrow as pa; from workbench import language;"
        "print(language.languages_of(pa.array(['Wo ist meine Bestellung?'])).to_pylist())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [each.communicate()[0] for each in running] == ["['de']\n"] * 3
    (folder,) = cache.iterdir()
    assert language_model._read(folder) is not None
