"""Three people at work in a real browser: who decides, who replays, who labels; nothing odd on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from app_building import demo_pairs, fill, make_workspace
from browsing import (
    ITEM_ON_PAGE,
    Seen,
    app_of,
    choose,
    declare,
    plain,
    settle,
    sit_down,
    wait_for_job,
    watched,
)
from servers import serving

from workbench import rollout
from workbench.config import Workspace
from workbench.records import told_error
from workbench.store import Store

pytestmark = pytest.mark.browser

LABELS = 20
KEYS = "12eb"
TAKEN_BACK = (6, 14)


@pytest.fixture
def own_place(tmp_path: Path) -> Workspace:
    """Give a workspace of the test's own: what is accepted there is in force for no other test."""
    workspace = make_workspace(tmp_path / "w")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, demo_pairs())
    return workspace


def test_a_product_person_finds_why_a_task_is_blocked_and_accepts_what_may_move(
    own_place: Workspace, browser: Any, tmp_path: Path
) -> None:
    """From Overview to what holds one task, then to another: its report, and the share accepted."""
    with app_of(own_place) as served:
        see_what_may_move(served.url, browser, tmp_path)
    with Store.open(own_place.store_path, spool=own_place.spool) as store:
        (entry,) = rollout.decisions(store, "triage", "small")
    assert (entry.decision.decided_by, entry.decision.share, entry.decision.override) == ("Ada", 0.01, None)
    assert entry.intact


def see_what_may_move(address: str, browser: Any, tmp_path: Path) -> None:
    """Find what holds `rewrite`, take away what is known of `triage`, and accept its first share."""
    page, seen = watched(browser, accept_downloads=True)
    page.goto(address)
    blocked = page.locator('[class*="st-key-"]', has_text="Nothing may move yet").filter(has_text="rewrite")
    blocked.last.get_by_role("button", name=re.compile("why|missing", re.I)).click()
    page.get_by_role("heading", name="Ramp", exact=True).wait_for()
    assert "task=rewrite" in page.url
    answer = page.locator(".st-key-answer")
    answer.get_by_text("Nobody has looked at an output").wait_for()
    assert "Hold at 0 %" in plain(answer.inner_text())
    page.get_by_text("What is missing for more").wait_for()
    settle(page)
    choose(page, "Task", "triage")
    answer.get_by_text("Move 1", exact=False).wait_for()
    settle(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report (HTML)").click()
    saved = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    assert saved.name == "triage-small.html"
    reason = plain(answer.locator('[data-testid="stText"]').first.inner_text())
    page.get_by_text("Accept a share", exact=True).click()
    who = page.get_by_role("textbox", name="Who accepts")
    # The press itself leaves the field: what was typed is what the log keeps.
    who.fill("Ada")
    page.get_by_role("button", name=re.compile(r"Accept 1\s%")).click()
    page.get_by_text(re.compile(r"1\s% is accepted and stands in the log")).wait_for()
    settle(page)
    page.get_by_role("link", name="Overview").first.click()
    page.get_by_role("heading", name="What can move to a small model?").wait_for()
    settle(page)
    page.get_by_text(re.compile(r"Hold at 1\s%, evidence reaches 10\s%")).wait_for()
    page.goto(saved.as_uri())
    assert page.locator("h1").inner_text() == "triage: small"
    assert page.locator("svg").count() >= 2
    assert reason in plain(page.locator("body").inner_text())
    assert seen == Seen(foreign=[saved.as_uri()])


def test_what_was_typed_last_is_what_the_log_keeps(own_place: Workspace, browser: Any) -> None:
    """Name, reason and end of an override, each changed again and left by the press alone."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    with app_of(own_place) as served:
        page, seen = watched(browser)
        page.goto(f"{served.url}/ramp?task=triage&candidate=small")
        page.get_by_text("Accept a share", exact=True).click()
        page.get_by_role("slider", name="Share to accept").press("ArrowRight")
        reason = page.get_by_label("Why another share than the recommended one")
        reason.wait_for()
        for name, text in (("Ben", "not this"), ("Ada", "agreed with support")):
            page.get_by_role("textbox", name="Who accepts").fill(name)
            page.get_by_role("spinbutton", name="year, Ends at the end of (UTC)").click()
            page.keyboard.type(f"{tomorrow:%Y%m%d}")
            settle(page)
            reason.fill(text)
            if name == "Ben":
                reason.press("Tab")
                settle(page)
        page.get_by_role("button", name=re.compile(r"Accept 5\s%")).click()
        page.get_by_text(re.compile(r"5\s% is accepted and stands in the log")).wait_for()
        assert seen == Seen()
    with Store.open(own_place.store_path, spool=own_place.spool) as store:
        (entry,) = rollout.decisions(store, "triage", "small")
    made = entry.decision
    assert (made.decided_by, made.reason, made.share) == ("Ada", "agreed with support", 0.05)
    assert made.expires_at is not None
    assert made.expires_at.date() == tomorrow


def test_an_engineer_uploads_replays_and_reads_what_went_wrong(
    place: Workspace, address: str, browser: Any, tmp_path: Path
) -> None:
    """A log with broken lines, a server that refuses some calls: both are counted, named and shown."""
    log = tmp_path / "april.jsonl"
    asked = [f"{'long ' if n % 4 == 0 else ''}message {n}: is it spam?" for n in range(24)]
    lines = [logged(f"april-{n}", text, "ham") for n, text in enumerate(asked)]
    log.write_text("\n".join([*lines, '{"request": ', "[]"]) + "\n", encoding="utf-8")
    folder = place.root / "evals" / "april"
    folder.mkdir()
    (folder / "eval.toml").write_text('task = "april"\nkind = "label"\nlabels = ["spam", "ham"]\n')
    page, seen = watched(browser, accept_downloads=True)
    with serving() as server:
        declare(place, "picky", f'engine = "openai"\nbase_url = "{server.url("picky")}"\nmodel = "m"')
        page.goto(f"{address}/upload")
        page.locator('input[type="file"]').set_input_files(log)
        page.get_by_text("Lines that can't be read:").wait_for()
        choose(page, "Task", "april")
        page.get_by_role("button", name="Import", exact=True).click()
        page.get_by_text("26 records = 24 accepted").wait_for()
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Download the rejected lines").click()
        waiting.value.save_as(tmp_path / "rejects.csv")
        assert [line.split(",")[1] for line in lines_of(tmp_path / "rejects.csv")[1:]] == ["25", "26"]
        page.get_by_role("button", name="Start a replay").click()
        page.get_by_role("heading", name="Replays", exact=True).wait_for()
        settle(page)
        choose(page, "Candidate", "picky")
        page.get_by_role("button", name="Start and compare").click()
        done = page.locator('[class*="st-key-replay-"]', has_text="april / picky")
        done.get_by_text("24 of 24 answered").wait_for()
        wait_for_job(place, "april")
        settle(page)
        done.get_by_text(re.compile(r"\b6\serrors")).wait_for()
        # A table is drawn on a canvas: what it holds stands beside it, for those who don't see it.
        assert told_error("context_length") in done.evaluate("each => each.outerHTML")
    assert seen == Seen()


def logged(native_id: str, text: str, answered: str) -> str:
    """Return a line of a log."""
    choice = {"message": {"role": "assistant", "content": answered}, "finish_reason": "stop"}
    request = {"messages": [{"role": "user", "content": text}]}
    return json.dumps({"request": request, "response": {"id": native_id, "choices": [choice]}})


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file."""
    return path.read_text(encoding="utf-8-sig").splitlines()


def test_a_reviewer_labels_twenty_cases_by_key_and_takes_two_back(
    place: Workspace, address: str, browser: Any
) -> None:
    """Keys alone, from the name to the last label; what is taken back is judged again, and both are kept."""
    page, seen = watched(browser, viewport={"width": 1280, "height": 900})
    sit_down(page, address, "rita", "rewrite")
    judged: list[str] = []

    def press(key: str, until: Callable[[], Any]) -> None:
        judged.append(page.evaluate(ITEM_ON_PAGE))
        page.keyboard.press(key)
        until()

    def another() -> None:
        # Nobody presses a key in the moment in which the buttons are drawn: they listen a little later.
        page.wait_for_function(f"b => ![null, b].includes(({ITEM_ON_PAGE})())", arg=judged[-1])
        page.evaluate("() => new Promise(d => requestAnimationFrame(() => setTimeout(d, 250)))")

    def step_back() -> None:
        draw = judged.pop().rsplit("-", 1)[0]
        page.keyboard.press("z")
        page.wait_for_function(f"draw => (({ITEM_ON_PAGE})() || '').startsWith(draw)", arg=draw)
        page.evaluate("() => new Promise(d => requestAnimationFrame(() => setTimeout(d, 250)))")

    for turn in range(LABELS):
        press(KEYS[turn % 4], another)
        if turn in TAKEN_BACK:
            step_back()
            press("2", another)
    with Store.open(place.store_path, spool=place.spool) as store:
        rows = store.rows("SELECT * FROM labels WHERE annotator = 'rita' ORDER BY seq")
    superseded = {row["supersedes"] for row in rows}
    stand = [row for row in rows if row["label_id"] not in superseded and row["verdict"]]
    assert len(stand) == len({row["draw_id"] for row in stand}) == LABELS
    # Two were taken back: each leaves its first verdict and an empty label beside the one that stands.
    assert sum(row["verdict"] is None for row in rows) == 2
    assert judged == list(dict.fromkeys(judged))
    assert seen == Seen()
