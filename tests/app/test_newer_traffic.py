"""Ramp: whether newly imported traffic is like what was evaluated, and looking again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import pytest
from app_building import Filled
from app_reading import Visit, fine, said

from workbench.errors import ModelMissing
from workbench.scoring import traffic_inputs
from workbench.scoring.traffic_check import last_check


def later(place: Filled, count: int, language: str | None = "fr") -> None:
    """Store calls in a manifest that came after the evaluation: of a language, or like those before."""
    now = datetime.now(UTC).replace(tzinfo=None)
    known = place.store.rows("SELECT * EXCLUDE (seq) FROM calls WHERE task = 'triage' ORDER BY seq")
    answer = place.store.rows("SELECT * FROM controls WHERE call_id = ?", (known[0]["call_id"],))[0]
    manifest = {"manifest_id": "later", "created_at": now, "source": "log", "format": "test"}
    ids = [f"later-{number}" for number in range(count)]
    own = {"manifest_id": "later", "occurred_at": now} | ({"language": language} if language else {})
    calls = zip(ids, cycle(known), strict=False)
    with place.store.writing() as writer:
        writer.append("manifests", [manifest | {"files": "[]", "report": "{}"}])
        writer.append("calls", [like | own | {"call_id": each, "native_id": each} for each, like in calls])
        writer.append("controls", [answer | {"call_id": each} for each in ids])


def test_a_look_at_newer_traffic_is_kept_and_shown(visit: Visit, filled: Filled) -> None:
    """Before anybody looked the page says so; another language is named, and counts from then on."""
    later(filled, 60)
    at = fine(visit(filled, "ramp", task="triage", candidate="small"))
    assert "Not checked yet" in said(at)
    (button,) = [each for each in at.button if each.key == "look-at-traffic"]
    button.click()
    fine(at.run())
    assert "Another mix by language" in said(at)
    assert "60 calls imported after" in said(at)
    kept = last_check(filled.workspace, filled.store, "triage", "small")
    assert kept is not None
    assert "mix by language" in kept.moved
    again = fine(visit(filled, "ramp", task="triage", candidate="small"))
    assert "Another mix by language" in said(again)
    assert [each.label for each in again.button if each.key == "look-at-traffic"] == ["Look again"]


def test_a_look_that_saw_no_inputs_says_so_and_why(
    visit: Visit, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a model for embeddings the mix alone was compared: nobody reads that nothing moved."""

    class Missing:
        model = "missing"

        def embed(self, texts: Sequence[str]) -> Any:
            raise ModelMissing(f"No model for {len(texts)} texts.", "Install it.")

    monkeypatch.setattr(traffic_inputs, "open_embedder", lambda _: Missing())
    at = fine(visit(filled, "ramp", task="triage", candidate="small"))
    (button,) = [each for each in at.button if each.key == "look-at-traffic"]
    assert "No call was imported after" in said(button.click().run())
    later(filled, 60, language=None)
    (button,) = [each for each in at.button if each.key == "look-at-traffic"]
    button.click()
    fine(at.run())
    assert "No shift seen in the mix." in said(at)
    assert "Inputs are not compared" in said(at)
    assert "Install it." in said(at)
    anybody = fine(visit(filled, "ramp", task="triage", candidate="small"))
    assert "Inputs are not compared" in said(anybody)
    assert "Install it." not in said(anybody)
