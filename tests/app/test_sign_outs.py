"""Sign-ins that were ended stay ended: over restarts, copies of the app, a spoiled file; it stays small."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.ui import sign_outs
from workbench.ui.sign_outs import Ended, SignOuts

NOW = int(time.time())
NAMES = st.sampled_from(["ada@example.com", "emil@example.com", "vera@example.com", "rita@example.com"])
ISSUED = st.integers(NOW - 3_000_000, NOW)


def test_what_was_ended_is_known_to_another_process_and_nothing_else_is(tmp_path: Path) -> None:
    """Another copy of the app, or the same one after a restart, refuses the same sign-ins and no others."""
    path = tmp_path / "folder" / "w.duckdb.signed-out"
    one, other = SignOuts(path), SignOuts(path)
    assert not other.has("ada@example.com", NOW)
    one.add("ada@example.com", NOW)
    other.add("emil@example.com", NOW - 7)
    for each in (one, other, SignOuts(path)):
        assert each.has("ada@example.com", NOW)
        assert each.has("emil@example.com", NOW - 7)
        assert not each.has("ada@example.com", NOW - 7)
        assert not each.has("ada@example.com", NOW + 1)


@given(st.lists(st.tuples(NAMES, ISSUED), max_size=60))
def test_no_sign_in_that_was_ended_counts_again_however_many_there_are(ended: list[tuple[str, int]]) -> None:
    """Whatever is left out to stay small ends more than was asked, never less; what is too old goes."""
    patch = pytest.MonkeyPatch()
    patch.setattr(sign_outs, "MOST_EACH", 3)
    patch.setattr(sign_outs, "MOST_PEOPLE", 2)
    with patch.context():
        found = Ended()
        for name, issued in ended:
            found = found.with_one(name, issued, NOW)
        told = sign_outs._parsed(sign_outs._written(found))
    patch.undo()
    for each in (found, told):
        assert all(each.holds(name, issued) for name, issued in ended if issued > NOW - sign_outs.KEPT_S)
        assert not each.holds("ada@example.com", NOW + 1)
        assert len({*each.people, *each.until}) <= 2
        assert all(len(times) <= 3 for times in each.people.values())
        assert all(at > NOW - sign_outs.KEPT_S for times in each.people.values() for at in times)


def test_one_person_cannot_crowd_out_others(tmp_path: Path) -> None:
    """Somebody who signs in and out again and again ends their own older sign-ins, and nobody else's."""
    kept = SignOuts(tmp_path / "file")
    kept.add("ada@example.com", NOW - 500)
    for second in range(3 * sign_outs.MOST_EACH):
        kept.add("emil@example.com", NOW - second)
    assert kept.has("ada@example.com", NOW - 500)
    assert not kept.has("ada@example.com", NOW - 499)
    assert not kept.has("vera@example.com", NOW - 1_000)
    assert (tmp_path / "file").stat().st_size < 2_000


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"all_until": "x", "until": {}, "ended": {}}', '{"ended": {"a": 5}}']
)
def test_a_spoiled_file_lets_nobody_in_who_signed_in_before(tmp_path: Path, text: str) -> None:
    """What it said is lost, so every earlier sign-in is ended; later ones count, and it mends itself."""
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    os.utime(path, (NOW, NOW))
    kept = SignOuts(path)
    assert kept.has("ada@example.com", NOW - 100)
    assert not kept.has("ada@example.com", NOW + 60)
    kept.add("emil@example.com", NOW + 50)
    assert json.loads(path.read_text(encoding="utf-8"))["ended"] == {"emil@example.com": [NOW + 50]}
    again = SignOuts(path)
    assert again.has("ada@example.com", NOW - 100)
    assert again.has("emil@example.com", NOW + 50)


def test_where_the_file_cannot_be_written_a_sign_out_counts_while_the_app_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk keeps nobody signed in; it is written with the next one that can be."""
    (tmp_path / "folder").write_text("in the way")
    kept = SignOuts(tmp_path / "folder" / "file")
    kept.add("ada@example.com", NOW)
    assert kept.has("ada@example.com", NOW)
    assert not kept.has("emil@example.com", NOW)
    assert "until the app stops" in caplog.text
    (tmp_path / "folder").unlink()
    kept.add("emil@example.com", NOW)
    assert SignOuts(tmp_path / "folder" / "file").has("ada@example.com", NOW)
