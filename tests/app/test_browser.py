"""What a real browser shows and does: hostile text, downloads, uploads, replays, a store that is busy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browsing import (
    HOSTILE,
    ITEM_ON_PAGE,
    Seen,
    choose,
    declare,
    plain,
    settle,
    sit_down,
    wait_for_job,
    watched,
)
from servers import serving

from workbench.config import Workspace
from workbench.store import Store

pytestmark = pytest.mark.browser

HOLD = """
import sys
from workbench.config import Workspace
from workbench.store import Store
workspace = Workspace.load(sys.argv[1])
with Store.open(workspace.store_path, spool=workspace.spool) as store, store.writing():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_hostile_text_is_shown_as_text(address: str, browser: Any) -> None:
    """An answer full of tags is read letter by letter: no dialog, no image, no link."""
    page, seen = watched(browser)
    page.goto(f"{address}/compare?task=rewrite&search=onerror")
    diff = page.locator(".wb-diff").first
    diff.wait_for()
    assert diff.inner_text().strip() == HOSTILE
    settle(page)
    assert page.locator('.wb-diff img, .wb-diff a, .wb-diff script, img[src*="example.org"]').count() == 0
    assert seen == Seen()


def test_no_table_offers_an_export_that_runs_formulas(address: str, browser: Any) -> None:
    """Streamlit's own CSV button, which writes cells as they are, is gone; the others of a table stay."""
    page, _ = watched(browser)
    page.goto(f"{address}/compare?task=triage")
    table = page.locator('[data-testid="stDataFrame"]').first
    table.wait_for()
    settle(page)
    table.hover()
    toolbar = page.locator('[data-testid="stElementToolbar"] button')
    labels = [toolbar.nth(index).get_attribute("aria-label") for index in range(toolbar.count())]
    shown = [label for index, label in enumerate(labels) if toolbar.nth(index).is_visible()]
    assert any("Download" in str(label) for label in labels)
    assert any("Search" in str(label) for label in shown)
    assert not any("Download" in str(label) for label in shown)


def test_steps_back_and_forward_follow_what_was_chosen(address: str, browser: Any) -> None:
    """The browser's own buttons undo and redo a choice, with the page that belongs to it."""
    page, seen = watched(browser)
    page.goto(f"{address}/compare?task=triage")
    settle(page)
    choose(page, "Task", "rewrite")
    page.wait_for_url("**task=rewrite**")
    chosen = page.get_by_role("combobox", name="Task").first
    for step, task in ((page.go_back, "triage"), (page.go_forward, "rewrite")):
        page.wait_for_timeout(1_500)
        step()
        page.wait_for_url(f"**task={task}**")
        settle(page)
        page.wait_for_timeout(500)
        assert (chosen.input_value() or chosen.inner_text()) == task
        assert f"task={task}" in page.url
    assert seen == Seen()


def test_few_pages_are_all_to_be_chosen(address: str, browser: Any) -> None:
    """Two pages of cases have a button each, and not the first alone."""
    page, seen = watched(browser, viewport={"width": 400, "height": 900})
    page.goto(f"{address}/compare?task=triage&candidate=small&search=outage")
    pages = page.get_by_test_id("stPagination")
    pages.get_by_text("2", exact=True).wait_for()
    assert seen == Seen()


def test_overview_leads_on_and_gives_its_report(address: str, browser: Any, tmp_path: Path) -> None:
    """It opens by its name, its report of all tasks is one silent file, and the next step opens its page."""
    page, seen = watched(browser, accept_downloads=True, viewport={"width": 400, "height": 900})
    page.goto(f"{address}/overview?card=triage")
    page.locator('[class*="st-key-next-step"] button').wait_for()
    page.locator(".js-plotly-plot").last.wait_for()
    settle(page)
    assert "/?card=triage" in page.url
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report on all tasks (HTML)").click()
    saved = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(saved)
    assert saved.name == "portfolio.html"
    assert "compared tasks can move" in saved.read_text()
    page.locator('[class*="st-key-next-step"] button').click()
    page.get_by_role("heading", name="Ramp", exact=True).wait_for()
    assert "task=triage" in page.url
    assert "candidate=small" in page.url
    assert seen == Seen()


def test_from_a_file_over_five_labels_to_a_changed_recommendation(
    place: Workspace, address: str, browser: Any, tmp_path: Path
) -> None:
    """Upload a table, map its columns, replay, label five cases by key, and see the answer change."""
    log = tmp_path / "orders of march.csv"
    rows = [f'{n},"order {n}","{{""customer"": ""A"", ""total"": {n}}}"' for n in range(24)]
    log.write_text("\n".join(["row,text,answer_then", *rows, "broken"]) + "\n", encoding="utf-8")
    # Five of the answers differ: too many for any traffic while nobody has looked at them.
    totals = [n + 1 if n % 5 == 3 else n for n in range(24)]
    outputs = [
        json.dumps({"id": str(n), "output": json.dumps({"customer": "A", "total": total})})
        for n, total in enumerate(totals)
    ]
    (place.root / "uploaded.jsonl").write_text("\n".join(outputs) + "\n", encoding="utf-8")
    declare(
        place,
        "later",
        'engine = "recorded"\noutputs = "uploaded.jsonl"\nmap = { id = "id", output = "output" }',
    )
    (place.root / "evals" / "march").mkdir()
    (place.root / "evals" / "march" / "eval.toml").write_text(
        'task = "march"\nkind = "fields"\n[[fields]]\npath = "customer"\n[[fields]]\npath = "total"\n'
    )

    page, seen = watched(browser)
    page.goto(f"{address}/upload")
    page.locator('input[type="file"]').set_input_files(log)
    page.get_by_text("Which column holds what").wait_for()
    choose(page, "Task", "march")
    choose(page, "Frontier's answer", "answer_then")
    page.get_by_text("Read by the columns above").wait_for()
    settle(page)
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("24 calls imported.").wait_for()
    page.get_by_text("25 records = 24 accepted").wait_for()
    page.get_by_role("button", name="Download the rejected lines").wait_for()
    page.get_by_role("button", name="Start a replay").click()
    page.get_by_role("heading", name="Replays", exact=True).wait_for()
    settle(page)
    page.get_by_role("button", name="Start and compare").click()
    page.get_by_text("24 of 24 answered").first.wait_for()
    page.reload()
    page.get_by_text("24 of 24 answered").first.wait_for()
    wait_for_job(place, "march")

    before = answer_on_ramp(page, address)
    assert before.headline == "Hold at 0 %"
    assert before.metrics["Cap"] == "0 %"

    sit_down(page, address, "ann", "march", "later")
    for number in range(5):
        page.wait_for_function(f"() => ({ITEM_ON_PAGE})() !== null")
        item = page.evaluate(ITEM_ON_PAGE)
        assert "later" not in page.url
        # Nobody presses a key in the moment in which the buttons are drawn: they listen a little later.
        page.wait_for_timeout(300)
        page.keyboard.press("e")
        if number < 4:
            page.wait_for_function(f"before => ![null, before].includes(({ITEM_ON_PAGE})())", arg=item)
    page.get_by_text("Nothing waits for your label here").wait_for()

    after = answer_on_ramp(page, address)
    assert after.headline == "Move 1 % of the traffic"
    assert after.metrics["Next"] == "1 %"
    assert after.metrics["Cap"] != before.metrics["Cap"]
    assert after.worse_at_most < before.worse_at_most / 2
    assert "from 5 labels" in after.reason
    assert seen == Seen()


def test_an_upload_is_redacted_before_it_is_stored(
    place: Workspace, address: str, browser: Any, tmp_path: Path
) -> None:
    """With the box ticked, what is personal in an upload is counted and is nowhere on the disk."""
    log = tmp_path / "personal.jsonl"
    choice = {"message": {"content": "Dear zoe@example.com"}, "finish_reason": "stop"}
    request = {"messages": [{"role": "user", "content": "I am zoe@example.com, 4111 1111 1111 1111"}]}
    log.write_text(json.dumps({"request": request, "response": {"id": "p1", "choices": [choice]}}) + "\n")
    page, seen = watched(browser)
    page.goto(f"{address}/upload")
    page.locator('input[type="file"]').set_input_files(log)
    page.get_by_text("What it holds").wait_for()
    page.get_by_text("Replace personal data before it is stored").click()
    settle(page)
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("1 call imported.").wait_for()
    page.get_by_text("2 email, 1 card").wait_for()
    kept = b"".join(each.read_bytes() for each in place.root.rglob("*") if each.is_file())
    assert b"zoe@example.com" not in kept
    assert b"4111 1111" not in kept
    assert seen == Seen()


def test_a_replay_is_stopped_and_gone_on_with_from_the_page(
    place: Workspace, address: str, browser: Any
) -> None:
    """Pause keeps what was answered; Go on answers the rest, and asks nothing twice."""
    with serving() as server:
        url = server.url("sluggish")
        declare(place, "far", f'engine = "openai"\nbase_url = "{url}"\nmodel = "m"\nconcurrency = 4')
        page, seen = watched(browser)
        page.goto(f"{address}/replays?task=orders&candidate=far")
        settle(page)
        page.get_by_role("button", name="Start and compare").click()
        job = page.locator('[class*="st-key-job-"]')
        job.get_by_text(re.compile(r"[1-9]\d* of 30 answered")).wait_for()
        page.get_by_role("button", name="Pause").click()
        page.get_by_text("Stopped. What was answered is kept").wait_for()
        page.get_by_role("button", name="Go on").wait_for()
        assert len(server.stats("sluggish")["prompts"]) < 30
        page.get_by_role("button", name="Go on").click()
        far = page.locator('[class*="st-key-replay-"]', has_text="orders / far")
        far.get_by_text("30 of 30 answered").wait_for()
        wait_for_job(place, "orders")
        # The checks before the first call ask something of their own.
        asked = [each for each in server.stats("sluggish")["prompts"] if each.startswith("Order")]
    with Store.open(place.store_path, spool=place.spool) as store:
        kept = store.rows(
            "SELECT o.call_id FROM observations o JOIN replays r USING (replay_id) WHERE r.candidate = 'far'"
        )
    assert len(kept) == len({row["call_id"] for row in kept}) == len(asked) == 30
    assert seen == Seen()


def test_the_frontier_is_asked_again_and_a_budget_pauses_from_the_page(
    place: Workspace, address: str, browser: Any
) -> None:
    """The floor is measured by a click and shown; a replay stops at its money, says so and is kept."""
    with serving() as server:
        declare(place, "control", f'engine = "openai"\nbase_url = "{server.url("good")}"')
        far = f'engine = "openai"\nbase_url = "{server.url("slow")}"\nmodel = "m2"\nprice = "dear"'
        prices = "input_usd_per_million = 10.0\noutput_usd_per_million = 0.0"
        declare(
            place, "priced", f'{far}\n[[prices]]\nmodel = "dear"\nas_of = 2026-01-01\nsource = "x"\n{prices}'
        )
        page, seen = watched(browser)
        page.goto(f"{address}/replays?task=triage&candidate=priced")
        settle(page)
        page.get_by_text("What it may take").click()
        page.get_by_role("spinbutton", name="US dollars at most").fill("0.01")
        page.keyboard.press("Tab")
        settle(page)
        page.get_by_role("button", name="Start and compare").click()
        paused = page.locator('[class*="st-key-replay-"]', has_text="triage / priced")
        paused.get_by_text("The budget of 0.01 USD has no room").wait_for()
        assert 0 < server.stats("slow")["hits"] < 240
        page.get_by_role("tab", name="Noise floor").click()
        page.get_by_role("spinbutton", name="Calls to ask the frontier again").fill("40")
        page.keyboard.press("Tab")
        settle(page)
        page.get_by_role("button", name="Ask the frontier again", exact=True).click()
        page.locator(".st-key-metrics-floor").get_by_text("40", exact=True).wait_for()
        page.get_by_text("frontier, asked again").first.wait_for()
        wait_for_job(place, "triage")
    assert seen == Seen()


def test_a_page_waits_for_a_process_that_holds_the_store_and_goes_on_by_itself(
    place: Workspace, address: str, browser: Any
) -> None:
    """While another process keeps the file the page says so, and shows the data once it lets go."""
    page, seen = watched(browser)
    page.goto(f"{address}/compare?task=triage&candidate=small")
    page.get_by_text("Select a row to open it").wait_for()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        page.goto(f"{address}/compare?task=triage&candidate=small&search=Ticket+7")
        page.get_by_text("Another command is writing to the store").wait_for()
        page.get_by_text(str(holder.pid)).first.wait_for()
        assert page.locator('[data-testid="stException"]').count() == 0
    finally:
        holder.communicate()
    page.get_by_text("Select a row to open it").wait_for()
    assert page.get_by_text("Another command is writing to the store").count() == 0
    assert seen == Seen()


@dataclass(frozen=True)
class Answer:
    """What Ramp says at the top."""

    headline: str
    reason: str
    metrics: dict[str, str]

    @property
    def worse_at_most(self) -> float:
        """Return the bound that the reason gives, in per cent."""
        found = re.search(r"At most ([\d.]+) % of calls get worse", self.reason)
        assert found, self.reason
        return float(found[1])


def answer_on_ramp(page: Any, address: str) -> Answer:
    """Open Ramp and read its answer."""
    page.goto(f"{address}/ramp?task=march&candidate=later")
    card = page.locator(".st-key-answer")
    card.get_by_text("Share now").wait_for()
    settle(page)
    metrics = {}
    for each in card.locator('[data-testid="stMetric"]').all():
        label = each.locator('[data-testid="stMetricLabel"]').inner_text().strip()
        metrics[label] = plain(each.locator('[data-testid="stMetricValue"]').inner_text())
    # The icon before the headline is a ligature: its name is text too.
    headline = plain(card.get_by_role("heading").first.inner_text()).partition(" ")[2]
    reason = plain(card.locator('[data-testid="stText"]').first.inner_text())
    return Answer(headline, reason, metrics)
