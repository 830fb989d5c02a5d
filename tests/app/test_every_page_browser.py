"""Every page of the menu, and every state of Review and Upload, held to one standard in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accessibility import (
    drawn_in,
    grave_findings,
    ill_fitting,
    nameless,
    odd_sizes,
    out_of_reach,
    too_wide,
)
from app_building import Filled, call_id_of, demo_pairs, fill, make_workspace
from browsing import ITEM_ON_PAGE, Seen, Served, app_of, settle, sit_down, watched
from test_review_page import give

from workbench.store import Store
from workbench.ui import navigation
from workbench.ui.palette import DARK, LIGHT

pytestmark = pytest.mark.browser

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 400, "height": 900}
GROUND = "() => getComputedStyle(document.querySelector('.stApp')).backgroundColor"
COLOURS = ["color-contrast", "link-in-text-block"]
"""Rules of axe-core that a theme can break alone."""
JUMPS = """
window.jumps = 0;
new PerformanceObserver(list => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.jumps += each.value;
}).observe({type: 'layout-shift', buffered: true});
"""
MOST_JUMPS = 0.1
EXCEPTION = '[data-testid="stException"]'
ABOUT = "task=orders&candidate=small"
"""Orders differ in one answer of six: each page has something to show. Others ignore the parameters."""
PAGES = (*navigation.MENU, navigation.HELP)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a workspace with calls, replays, labels of two people, and conflicts between them."""
    workspace = make_workspace(tmp_path_factory.mktemp("standard") / "w")
    pairs = demo_pairs(120)
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        filled = Filled(workspace, store, fill(workspace, store, pairs))
        fill(workspace, store, [each for each in pairs if each.task == "rewrite"], "planted", new_calls=False)
        for number in (5, 45, 85):
            asked = call_id_of(next(each for each in pairs if each.number == number))
            give(filled, asked, "ann", "control_better", note="the line is down")
            give(filled, asked, "bob", "equal")
    with app_of(workspace) as found:
        yield found


class Standard:
    """One person's walk through pages and states, and what falls short of the standard on the way."""

    def __init__(self, page: Any, *, keys: bool) -> None:
        self.page = page
        self.keys = keys
        self.short: list[str] = []

    def hold(self, name: str) -> None:
        """Look at what is on the page now: in the light, in the dark, and as narrow as a phone.

        Sizes and words are the same in both themes: of the second only the colours are new.
        """
        settle(self.page)
        assert self.page.locator(EXCEPTION).count() == 0, name
        self.short += [f"{name}: {each}" for each in grave_findings(self.page)]
        ground = self.page.evaluate(GROUND)
        self.page.emulate_media(color_scheme="dark")
        self.page.wait_for_function(f"before => ({GROUND})() !== before", arg=ground)
        settle(self.page)
        self.short += [f"{name}, dark: {each}" for each in grave_findings(self.page, COLOURS)]
        self.short += [f"{name}, dark: a chart's {each}" for each in drawn_in(self.page, LIGHT, DARK)]
        self.page.emulate_media(color_scheme="light")
        self.short += [f"{name}: chart or table without words: {each}" for each in nameless(self.page)]
        self.short += [f"{name}: {size} is not on the scale: {w}" for size, w in odd_sizes(self.page).items()]
        self.short += [f"{name}: {each}" for each in ill_fitting(self.page)]
        if self.keys:
            self.short += [f"{name}: {each}" for each in out_of_reach(self.page)]
        self.page.set_viewport_size(PHONE)
        if (more := too_wide(self.page)) > 0:
            self.short.append(f"{name}: {more} pixels wider than a phone")
        self.page.set_viewport_size(WIDE)


def test_every_page_of_the_menu_is_held_to_the_standard(served: Served, browser: Any) -> None:
    """No grave finding of axe-core, one type scale, words for every chart, Tab everywhere, no wide page."""
    page, seen = watched(browser, color_scheme="light", viewport=WIDE, reduced_motion="reduce")
    walk = Standard(page, keys=True)
    for entry in PAGES:
        page.goto(f"{served.url}/{'' if entry is navigation.MENU[0] else entry.name}?{ABOUT}")
        page.locator('[data-testid="stMain"] h1').wait_for()
        drawn(page)
        assert entry.title in page.title()
        walk.hold(entry.name)
    # Wide tables, code and links.
    page.goto(f"{served.url}/help?about=statistics")
    page.locator(".st-key-help-text table").first.wait_for()
    walk.hold("help on statistics")
    page.set_viewport_size(PHONE)
    walk.short += [f"help on statistics, narrow: {each}" for each in grave_findings(page)]
    assert not walk.short, "\n".join(walk.short)
    assert seen == Seen()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])
def test_no_page_jumps_while_it_comes(served: Served, browser: Any, size: dict[str, int]) -> None:
    """What is drawn stays where it is until everything is: Web Vitals calls up to .1 of a page good."""
    page, seen = watched(browser, viewport=size, color_scheme="light")
    page.add_init_script(JUMPS)
    page.goto(served.url)
    page.locator('[data-testid="stMain"] h1').wait_for()
    jumping = {}
    for entry in PAGES:
        # On a busy machine parts come later than they would: a page that jumps does so twice.
        jumping[entry.name] = min(jumps(page, f"{served.url}/{entry.name}?{ABOUT}") for _ in range(2))
    assert {name: much for name, much in jumping.items() if much > MOST_JUMPS} == {}
    assert seen == Seen()


def jumps(page: Any, address: str) -> float:
    """Return by how much a page moves from its first sight until all of it is drawn, as Web Vitals count."""
    page.goto(address)
    page.locator('[data-testid="stMain"] h1').wait_for()
    drawn(page)
    page.wait_for_timeout(200)
    return float(page.evaluate("() => window.jumps"))


def drawn(page: Any) -> None:
    """Wait until the charts that the page has so far are drawn."""
    settle(page)
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-testid=\"stPlotlyChart\"]')]"
        ".every(each => each.querySelector('svg.main-svg'))"
    )


def states(page: Any, url: str, log: Path) -> Iterator[str]:
    """Bring up one state after the other of Review and Upload, and give its name."""
    where = f"{url}/review?task=triage&candidate=small"

    def show(view: str, name: str, ready: Callable[[], Any]) -> None:
        page.goto(f"{where}&view={view}&reviewer={name}")
        box = page.get_by_role("textbox", name="Your name")
        box.wait_for()
        box.press("Enter")
        ready().first.wait_for()

    sit_down(page, url, "dora", "rewrite")
    yield "review: an item"
    item = page.evaluate(ITEM_ON_PAGE)
    page.keyboard.press("1")
    page.wait_for_function(f"before => ![null, before].includes(({ITEM_ON_PAGE})())", arg=item)
    page.get_by_text("Why? This adds to the label").wait_for()
    page.get_by_role("button", name="Write the right answer").click()
    page.get_by_role("textbox", name="The right answer").wait_for()
    yield "review: reasons"
    page.get_by_role("button", name="Guidelines").click()
    page.locator(".wb-guide").wait_for()
    yield "review: guidelines"
    show("mine", "ann", lambda: page.locator('[data-testid="stDataFrame"] canvas'))
    yield "review: my labels"
    opens = page.locator('[class*="st-key-open-"] button')
    show("conflicts", "cleo", lambda: opens)
    yield "review: conflicts"
    opens.first.click()
    page.get_by_role("button", name="Back to the list").wait_for()
    yield "review: an opened conflict"
    page.goto(f"{url}/upload")
    page.locator('input[type="file"]').set_input_files(log)
    page.get_by_text("Lines that can't be read:").wait_for()
    yield "upload: a preview"
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("3 records =").wait_for()
    yield "upload: a report"


def test_every_state_of_review_and_upload_is_held_to_the_standard(
    served: Served, browser: Any, tmp_path: Path
) -> None:
    """What only appears after a click is held to the same: the desk, conflicts, a preview, a report."""
    log = tmp_path / "new.jsonl"
    log.write_text("\n".join([call("new-1"), call("new-2"), '{"broken": ']) + "\n", encoding="utf-8")
    page, seen = watched(browser, color_scheme="light", viewport=WIDE, reduced_motion="reduce")
    walk = Standard(page, keys=False)
    for name in states(page, served.url, log):
        walk.hold(name)
    assert not walk.short, "\n".join(walk.short)
    assert seen == Seen()


def opened(page: Any, url: str) -> Iterator[str]:
    """Bring up what pages show only when asked, and give its name."""
    main = page.locator('[data-testid="stMain"]')

    def go(where: str, ready: str) -> None:
        page.goto(f"{url}/{where}")
        main.get_by_text(ready).first.wait_for()
        drawn(page)

    go("compare?task=rewrite&candidate=small&show=agreement", "How alike the answers are")
    yield "compare: similarity of texts"
    policy = "try-tolerance=10&try-level=0.9&try-stages=2,10&try-critical-set=on"
    go(f"ramp?task=triage&candidate=small&{policy}", "What if: nothing of this is saved")
    yield "ramp: another policy"
    go("?task=rewrite", "Candidates by size")
    yield "overview: the candidates of a task"
    go("ramp?task=triage&candidate=small", "Accept a share")
    main.get_by_text("Accept a share").click()
    main.get_by_role("textbox", name="Who accepts").wait_for()
    page.get_by_role("slider", name="Share to accept").press("ArrowRight")
    main.get_by_role("textbox", name="Why").first.wait_for()
    yield "ramp: an override being written"
    go("settings", "Who read what")
    main.get_by_test_id("stPopoverButton").last.click()
    page.get_by_text("At this machine: nobody signs in").wait_for()
    yield "who is at this machine"
    go("replays?task=triage&candidate=small&measure=noise", "Look for duplicates in the log")
    yield "replays: the noise floor"
    page.get_by_role("tab", name="Latency").click()
    page.wait_for_url("**measure=latency**")
    main.get_by_text("no model runs").first.wait_for()
    yield "replays: latency"
    go("traffic?workload=triage&part=answers", "Could save, if all of it moved")
    page.get_by_role("tab", name="Prompt").click()
    page.wait_for_url("**part=prompt**")
    yield "traffic: the prompt of a workload"


def test_what_is_opened_on_a_page_is_held_to_the_standard(served: Served, browser: Any) -> None:
    """A what-if from a link, an override, tabs that the address follows, texts that differ."""
    page, seen = watched(browser, color_scheme="light", viewport=WIDE, reduced_motion="reduce")
    walk = Standard(page, keys=False)
    for name in opened(page, served.url):
        walk.hold(name)
    assert not walk.short, "\n".join(walk.short)
    assert seen == Seen()


def test_an_empty_workspace_is_held_to_the_standard(
    browser: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The first look at the pages that differ in it, with nothing there yet."""
    workspace = make_workspace(tmp_path_factory.mktemp("nothing") / "w")
    Store.open(workspace.store_path, spool=workspace.spool).close()
    with app_of(workspace) as app:
        page, seen = watched(browser, color_scheme="light", viewport=WIDE, reduced_motion="reduce")
        walk = Standard(page, keys=False)
        for name in ("", "compare", "replays", "traffic", "settings"):
            page.goto(f"{app.url}/{name}")
            page.locator('[data-testid="stMain"] h1').wait_for()
            walk.hold(f"{name or 'overview'}, empty")
    assert not walk.short, "\n".join(walk.short)
    assert seen == Seen()


def call(native_id: str) -> str:
    """Return a line of a log."""
    choice = {"message": {"role": "assistant", "content": "billing"}, "finish_reason": "stop"}
    request = {"messages": [{"role": "user", "content": f"Ticket {native_id}: what does it cost?"}]}
    return json.dumps({"request": request, "response": {"id": native_id, "choices": [choice]}})
