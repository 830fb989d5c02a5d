"""Replays, live calls: where the stage stands, and the command that asks the frontier for some of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from app_building import Filled
from app_reading import Visit, fine, said
from streamlit.testing.v1 import AppTest

from workbench.config import Workspace
from workbench.replay.live import LiveStatus
from workbench.rollout import accept
from workbench.scoring.considered import consider
from workbench.ui import live

HOUR = timedelta(hours=1)
CONTROL = (
    '\n[[candidates]]\nname = "control"\nengine = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    'model = "frontier"\n'
)


def begun(place: Filled, hours: int = 30) -> datetime:
    """Accept 1 % of triage, some hours ago."""
    at = datetime.now(UTC) - hours * HOUR
    made = consider(place.workspace, place.store, "triage", "small", now=at)
    accept(
        place.workspace,
        place.store,
        "triage",
        "small",
        share=0.01,
        shown=made.evidence_hash,
        who="ada",
        now=at,
        reason="To see it live",
        until=at + timedelta(days=20) if made.recommendation.share != 0.01 else None,
    )
    return at


def serve(place: Filled, since: datetime, count: int) -> None:
    """Store calls that the candidate served, one a minute."""
    known = place.store.rows("SELECT * EXCLUDE (seq) FROM calls WHERE task = 'triage' ORDER BY seq LIMIT 1")[
        0
    ]
    answer = place.store.rows("SELECT * FROM controls WHERE call_id = ?", (known["call_id"],))[0]
    own: dict[str, Any] = {"served_by": "small"}
    ids = [f"served-{number}" for number in range(count)]
    times = [(since + timedelta(minutes=each + 1)).replace(tzinfo=None) for each in range(count)]
    calls = [
        known | own | {"call_id": each, "native_id": each, "occurred_at": at}
        for each, at in zip(ids, times, strict=True)
    ]
    place.store.append("calls", calls)
    place.store.append("controls", [answer | own | {"call_id": each} for each in ids])


def test_a_candidate_without_a_share_has_nothing_live(visit: Visit, filled: Filled) -> None:
    """The tab says so, and offers nothing."""
    at = fine(visit(filled, "replays", task="triage", candidate="small", measure="live"))
    assert "No share is in force" in said(at)
    assert "See what may move" in links(at)
    assert not [each for each in at.button if each.key == "start-live"]


def test_what_is_missing_is_said_one_thing_after_the_other(visit: Visit, filled: Filled) -> None:
    """First calls that it served, then where the frontier can be asked, then the command that asks."""
    since = begun(filled)
    at = fine(visit(filled, "replays", task="triage", candidate="small", measure="live"))
    assert "The log holds no call that it served in this stage" in said(at)
    assert "Upload a log" in links(at)
    serve(filled, since, 60)
    at = fine(visit(filled, "replays", task="triage", candidate="small", measure="live"))
    assert "Nothing says where the frontier can be asked" in said(at)
    path = filled.workspace.root / "workbench.toml"
    path.write_text(path.read_text() + CONTROL)
    told = Filled(Workspace.load(filled.workspace.root), filled.store, filled.replays)
    at = fine(visit(told, "replays", task="triage", candidate="small", measure="live"))
    found = {each.label: each.value for each in at.metric}
    assert (found["Served"], found["Asked for"], found["Compared"]) == ("60", "0", "0 of 50")
    assert found["Share in force"] == "1 %"
    commands = "\n".join(each.value for each in at.code)
    assert "--task triage --candidate small --limit 50 --live" in commands


def test_with_enough_compared_calls_the_tab_leads_to_the_next_stage(
    visit: Visit, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that no more of them are needed, and where the rest stands."""
    since = begun(filled)
    for compared in (49, 50):
        until = since + (24 if compared == 50 else 48) * HOUR
        found = LiveStatus(0.01, since, until, 60, compared, compared, 40, 50, {"timeout": 2})
        monkeypatch.setattr(live, "ask", lambda *_, found=found: found)
        at = fine(visit(filled, "replays", task="triage", candidate="small", measure="live"))
        assert ("The next stage needs no more of them" in said(at)) == (compared == 50)
        assert ("See the next stage" in links(at)) == (compared == 50)
        shown = {each.label: each.value for each in at.metric}
        assert shown["Compared"] == ("49 of 50" if compared == 49 else "50")
        assert shown["Agree"] == (
            "40 (81.6\N{NARROW NO-BREAK SPACE}%)" if compared == 49 else "40 (80.0\N{NARROW NO-BREAK SPACE}%)"
        )
        lasting = "Enough time since" if compared == 50 else "Lasts until, at least"
        assert shown[lasting] == f"{found.until:%Y-%m-%d %H:%M} UTC"
        assert "The frontier failed on 2 of them" in said(at)


def links(at: AppTest) -> list[str]:
    """Return the labels of the links to other pages."""
    return [each.proto.label for each in at.get("page_link")]
