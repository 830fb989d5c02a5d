"""Upload mends imports: conflicts one by one, and imports taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from app_building import Filled
from app_reading import Visit, fine, said
from older_readers import older_readers

from workbench.ingest import import_files
from workbench.store import calls

HOSTILE = "<img src=x onerror=alert(1)> ![x](http://example.org/x.png) [y](javascript:alert(1))"


def log(folder: Path, name: str, **answers: str) -> Path:
    path = folder / name
    rows: list[dict[str, Any]] = [
        {
            "request": {"messages": [{"role": "user", "content": f"Question {identity}?"}]},
            "response": {"id": identity, "choices": [{"message": {"role": "assistant", "content": answer}}]},
        }
        for identity, answer in answers.items()
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_conflict_is_shown_with_both_versions_and_resolved_by_a_button(
    visit: Visit, empty: Filled, tmp_path: Path
) -> None:
    """Hostile text is shown as text; the version chosen is used, and the conflict is gone."""
    for path in (
        log(tmp_path, "one.jsonl", a="One.", b="Same."),
        log(tmp_path, "two.jsonl", a=HOSTILE, b="Other."),
    ):
        import_files(empty.workspace, empty.store, [path], task="t")
    at = fine(visit(empty, "upload"))
    assert "2 conflicts" in said(at)
    assert HOSTILE not in said(at)
    shown = "".join(each.proto.body for each in at.get("html"))
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown.replace("<mark>", "").replace("</mark>", "")
    assert "<img" not in shown
    arrived = next(each for each in at.button if each.label == "The new one is right")
    at = fine(arrived.click().run())
    assert "1 conflict" in said(at)
    stored = next(each for each in at.button if each.label == "The stored one is right")
    at = fine(stored.click().run())
    assert "conflict" not in said(at)
    found = {each.native_id: each.control.text for each in calls.load_calls(empty.store) if each.control}
    assert found == {"a": HOSTILE, "b": "Same."}


@pytest.mark.parametrize("key", ["reread-arrived", "reread-stored"])
def test_what_this_version_reads_otherwise_is_taken_or_left_by_one_button(
    visit: Visit, empty: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """The page tells the readings from the conflict of two records, which stays."""
    path = log(tmp_path, "one.jsonl", a="One.", b="Same.")
    with older_readers(monkeypatch, answers=True):
        import_files(empty.workspace, empty.store, [path], task="t")
    import_files(empty.workspace, empty.store, [path], task="t")
    other = log(tmp_path, "two.jsonl", c="Three.")
    import_files(empty.workspace, empty.store, [other], task="t")
    import_files(empty.workspace, empty.store, [log(tmp_path, "two.jsonl", c="Four.")], task="t")
    at = fine(visit(empty, "upload"))
    assert "3 conflicts" in said(at)
    assert "2 conflicts are not between two records" in said(at)
    assert "The same record: an older version of the workbench had read it otherwise." in said(at)
    at = fine(at.button(key=key).click().run())
    assert "Resolved 2 calls." in said(at)
    assert "1 conflict" in said(at)
    assert "not between two records" not in said(at)
    found = {each.native_id: each.control.text for each in calls.load_calls(empty.store) if each.control}
    old = "As it was read."
    assert found == ({"a": old, "b": old} if key == "reread-stored" else {"a": "One.", "b": "Same."})


def test_an_import_is_taken_back_from_the_page(visit: Visit, empty: Filled, tmp_path: Path) -> None:
    """Choosing it and pressing the button removes its calls, and the page says what went."""
    import_files(empty.workspace, empty.store, [log(tmp_path, "one.jsonl", a="One.")], task="t")
    at = fine(visit(empty, "upload"))
    at = fine(at.button(key="undo").click().run())
    assert "removed 1 call, 1 control, 1 manifest" in said(at)
    assert calls.load_calls(empty.store) == []


def test_an_import_with_evidence_stays_until_that_is_asked_for(visit: Visit, filled: Filled) -> None:
    """The error names what rests on it; with the box checked it goes."""
    at = fine(visit(filled, "upload"))
    at = fine(at.button(key="undo").click().run())
    assert "rest on" in said(at)
    assert calls.load_calls(filled.store)
    at.checkbox(key="undo-evidence").check().run()
    at = fine(at.button(key="undo").click().run())
    assert "observations" in said(at)
