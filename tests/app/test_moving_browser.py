"""Going from page to page in a real browser: what a page is about goes along, and a step back undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from app_building import demo_pairs, fill, make_workspace
from browsing import Seen, Served, app_of, choose, settle, watched

from workbench.store import Store

pytestmark = pytest.mark.browser

ABOUT = {"task": "triage", "candidate": "planted"}
"""Neither is the first that a page offers, which it shows where it knows no better."""
HEADINGS = {"Overview": "What can move to a small model?"}
VIEWS: tuple[tuple[str, dict[str, str]], ...] = (
    ("", {"task": "triage"}),
    ("traffic", {"workload": "rewrite", "part": "answers"}),
    ("replays", ABOUT | {"measure": "latency"}),
    ("compare", ABOUT | {"verdict": "mismatch", "language": "de", "by": "language", "value": "de"}),
    ("compare", {"task": "rewrite", "candidate": "small", "similarity": "0.1..0.95", "search": "parcel"}),
    ("slices", ABOUT | {"split": "input_length"}),
    ("ramp", ABOUT | {"now": "0.05", "try-tolerance": "8", "try-harm": "net", "try-stages": "10,50"}),
    ("costs", {"workload": "triage", "share": "0.25", "engineering": "500"}),
    ("settings", {"person": "nobody"}),
    ("help", {"about": "statistics"}),
)
"""Pages with what somebody chose on them, none of it what the page shows by itself."""
VIEW = """() => ({
    words: document.querySelector('[data-testid="stMain"]').innerText
        .replace(/\\d+.(day|hour|minute)s? ago|just now/g, "ago"),
    fields: [...document.querySelectorAll('[data-testid="stMain"] input')]
        .map(each => each.type === "checkbox" ? each.checked : each.value),
    sliders: [...document.querySelectorAll('[role="slider"]')].map(each => each.ariaValueNow),
})"""
"""All that a page says, and how its fields and sliders stand."""
SCOPED = ("Compare", "Slices", "Ramp", "Review")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve three tasks of one candidate, the last of them with a second candidate."""
    workspace = make_workspace(tmp_path_factory.mktemp("moving") / "w")
    pairs = demo_pairs()
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, pairs)
        fill(workspace, store, [each for each in pairs if each.task == "triage"], "planted", new_calls=False)
    with app_of(workspace) as found:
        yield found


def there(page: Any, title: str) -> None:
    """Wait until a page has come, and all of it."""
    said = HEADINGS.get(title, title)
    page.get_by_role("heading", name=said, exact=True, level=1).wait_for()
    settle(page)
    page.wait_for_timeout(300)
    settle(page)


def menu(page: Any, title: str) -> None:
    """Open a page by the menu."""
    page.locator('[data-testid="stTopNavLink"]', has_text=title).click()
    there(page, title)


def asked(page: Any) -> dict[str, str]:
    """Return what the address says."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def shown(page: Any, label: str) -> str:
    """Return what a select box of the page shows."""
    box = page.get_by_role("combobox", name=label).first
    return str(box.input_value() or box.inner_text())


def view_of(page: Any) -> dict[str, Any]:
    """Return what a page shows once nothing of it changes any more: some weigh evidence after they came."""
    before: dict[str, Any] = {}
    while (found := page.evaluate(VIEW)) != before:
        before = dict(found)
        page.wait_for_timeout(500)
        settle(page)
    return before


def is_about(page: Any) -> None:
    """Hold that page and address agree on what was chosen; in Review the candidate has another name."""
    assert shown(page, "Task") == "triage"
    assert asked(page)["task"] == "triage"
    if "/review" not in page.url:
        assert shown(page, "Candidate").startswith("planted")
        assert asked(page)["candidate"] == "planted"


def walk(page: Any, titles: list[str]) -> None:
    """Go through pages by the menu, each about the same."""
    for title in titles:
        menu(page, title)
        is_about(page)


def every_pair(names: tuple[str, ...]) -> list[str]:
    """Return a walk that passes between each two of the names at least once."""
    first, second, third, fourth = names
    return [second, third, first, fourth, second, first, third, fourth]


def test_the_menu_keeps_task_and_candidate_between_any_two_pages(served: Served, browser: Any) -> None:
    """What one page was about, the next one is: by the menu, past pages about all, and after a reload."""
    page, seen = watched(browser)
    page.goto(f"{served.url}/compare?task=triage&candidate=planted")
    there(page, "Compare")
    is_about(page)
    walk(page, every_pair(SCOPED))
    menu(page, "Overview")
    walk(page, ["Ramp"])
    page.reload()
    there(page, "Ramp")
    walk(page, ["Compare", "Slices"])
    assert seen == Seen()


def test_a_button_of_overview_sets_what_later_pages_are_about(served: Served, browser: Any) -> None:
    """The page that it opens and those of the menu after it are about the card's task; back is Overview."""
    page, seen = watched(browser)
    page.goto(f"{served.url}/?task=triage")
    page.locator('[class*="st-key-ramp-"] button').last.wait_for()
    settle(page)
    before = asked(page)
    page.locator('[class*="st-key-ramp-"] button').last.click()
    there(page, "Ramp")
    about = asked(page)
    assert about["task"] == "triage"
    assert shown(page, "Task") == "triage"
    menu(page, "Compare")
    assert (shown(page, "Task"), asked(page)["task"]) == ("triage", "triage")
    assert asked(page)["candidate"] == about["candidate"]
    page.go_back()
    there(page, "Ramp")
    assert asked(page) == about
    page.go_back()
    page.locator('[class*="st-key-ramp-"] button').last.wait_for()
    settle(page)
    assert asked(page) == before
    assert seen == Seen()


def test_a_case_opens_in_review_under_its_own_task(served: Served, browser: Any) -> None:
    """Compare's link to Review opens the pair of the task that the page was about."""
    page, seen = watched(browser)
    page.goto(f"{served.url}/compare?task=triage&candidate=planted&verdict=mismatch")
    there(page, "Compare")
    page.get_by_role("link", name="Open in Review").click()
    page.get_by_role("heading", name="Review", exact=True, level=1).wait_for()
    page.get_by_role("textbox", name="Your name").wait_for()
    there(page, "Review")
    is_about(page)
    assert "pair" in asked(page)
    assert "candidate" not in asked(page)
    page.go_back()
    there(page, "Compare")
    is_about(page)
    assert asked(page)["verdict"] == "mismatch"
    assert seen == Seen()


def test_one_step_back_returns_to_a_page_with_its_filters(served: Served, browser: Any) -> None:
    """Each step back undoes one click, each step forward redoes one, with all filters of that moment."""
    page, seen = watched(browser)
    page.goto(f"{served.url}/compare?task=triage&candidate=planted")
    there(page, "Compare")
    choose(page, "Verdict", "mismatch")
    page.wait_for_url("**verdict=mismatch**")
    choose(page, "Language", "de")
    page.wait_for_url("**language=de**")
    there(page, "Compare")
    filtered = asked(page)
    assert filtered == {**ABOUT, "verdict": "mismatch", "language": "de"}
    menu(page, "Slices")
    choose(page, "Slice by", "input length")
    page.wait_for_url("**split=input_length**")
    menu(page, "Ramp")
    is_about(page)
    assert asked(page) == ABOUT

    page.go_back()
    there(page, "Slices")
    is_about(page)
    assert (asked(page)["split"], shown(page, "Slice by")) == ("input_length", "input length")
    page.go_back()
    there(page, "Slices")
    assert asked(page) == ABOUT
    page.go_back()
    there(page, "Compare")
    is_about(page)
    assert asked(page) == filtered
    assert (shown(page, "Verdict")[:8], shown(page, "Language")) == ("mismatch", "de")
    assert shown(page, "Slice by") == "nothing"
    page.go_forward()
    there(page, "Slices")
    is_about(page)
    assert asked(page) == ABOUT
    assert seen == Seen()


def test_steps_back_and_forth_in_a_hurry_end_on_a_whole_page(served: Served, browser: Any) -> None:
    """However many pages begin meanwhile, the browser still holds what the server says it has."""
    page, seen = watched(browser)
    page.goto(f"{served.url}/compare?task=triage&candidate=planted")
    there(page, "Compare")
    for title in ("Ramp", "Slices", "Costs", "Compare") * 3:
        menu(page, title)
    for wait_ms in (30, 120, 60):
        for step in [page.go_back] * 8 + [page.go_forward] * 8:
            step(wait_until="commit")
            page.wait_for_timeout(wait_ms)
        there(page, "Compare")
        assert page.locator('[role="dialog"]').count() == 0
    is_about(page)
    assert seen == Seen()


def test_a_copied_address_opens_the_same_view_in_another_browser(served: Served, browser: Any) -> None:
    """What was chosen on any page is in its address: who gets it sends nothing else, and sees the same."""
    mine, seen = watched(browser)
    for name, given in VIEWS:
        mine.goto(f"{served.url}/{name}?{urlencode(given)}")
        there(mine, name.capitalize() or "Overview")
        if name == "compare":
            choose(mine, "Label", "not labelled")
            mine.wait_for_url("**label=none**")
            there(mine, "Compare")
        view = view_of(mine)
        copied = mine.url
        assert asked(mine).items() >= given.items(), name
        assert "that was left out" not in view["words"], name
        theirs, seen_there = watched(browser)
        theirs.goto(copied)
        there(theirs, name.capitalize() or "Overview")
        assert theirs.url == copied, name
        assert view_of(theirs) == view, name
        theirs.context.close()
        assert seen == seen_there == Seen()


def test_the_menu_leaves_a_telephone_s_page_once_one_is_chosen(served: Served, browser: Any) -> None:
    """It lies over the page there, by finger and by key; on a desk nothing is closed."""
    page, seen = watched(browser, viewport={"width": 400, "height": 800}, color_scheme="light")
    page.goto(f"{served.url}/compare?task=triage&candidate=planted")
    there(page, "Compare")
    menu_of = page.locator('[data-testid="stSidebar"]')
    for title, chosen in (("Ramp", "click"), ("Help", "Enter")):
        page.locator('[data-testid="stExpandSidebarButton"]').click()
        link = menu_of.locator('[data-testid="stSidebarNavLink"]', has_text=title)
        link.wait_for()
        if chosen == "click":
            link.click()
        else:
            link.press(chosen)
        there(page, title)
        page.wait_for_function(
            "() => document.querySelector('[data-testid=\"stSidebar\"]').getBoundingClientRect().right <= 0"
        )
    assert seen == Seen()
