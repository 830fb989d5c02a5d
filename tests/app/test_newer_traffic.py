"""Ramp: whether newly imported traffic is like what was evaluated, and looking again."""

from __future__ import annotations

from datetime import UTC, datetime

from app_building import Filled
from app_reading import Visit, fine, said

from workbench.scoring.traffic_check import last_check


def later(place: Filled, count: int) -> None:
    """Store calls of another language in a manifest that came after the evaluation."""
    now = datetime.now(UTC).replace(tzinfo=None)
    known = place.store.rows("SELECT * EXCLUDE (seq) FROM calls WHERE task = 'triage' ORDER BY seq LIMIT 1")[
        0
    ]
    answer = place.store.rows("SELECT * FROM controls WHERE call_id = ?", (known["call_id"],))[0]
    manifest = {"manifest_id": "later", "created_at": now, "source": "log", "format": "test"}
    ids = [f"later-{number}" for number in range(count)]
    own = {"manifest_id": "later", "language": "fr", "occurred_at": now}
    with place.store.writing() as writer:
        writer.append("manifests", [manifest | {"files": "[]", "report": "{}"}])
        writer.append("calls", [known | own | {"call_id": each, "native_id": each} for each in ids])
        writer.append("controls", [answer | {"call_id": each} for each in ids])


def test_a_look_at_newer_traffic_is_kept_and_shown(visit: Visit, filled: Filled) -> None:
    """Before anybody looked the page says so; another language is named, and counts from then on."""
    later(filled, 60)
    at = fine(visit(filled, "ramp", task="triage", candidate="small"))
    assert "Nobody has looked yet" in said(at)
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
