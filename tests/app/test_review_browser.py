"""Reviewers in a real browser: two at once, by key, a reload, a killed app, keys too early or held down."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from app_building import Pair, answer, fill, make_workspace
from browsing import HOSTILE, ITEM_ON_PAGE, Seen, Served, app_of, settle, sit_down, watched

from workbench import review
from workbench.config import Workspace
from workbench.records import LabelVerdict, ToolCall
from workbench.store import Store

pytestmark = pytest.mark.browser

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 400, "height": 900}
KEYS = {"1": "left", "2": "right", "e": "equal", "b": "both_bad", "s": "skipped"}
ITEMS = 12
DRAWN = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 250)))"
RUSHED = 15
"""Presses of a key that is held down for half a second."""


RUSH_MS, RUSH = 50, 120
"""Between two keys of somebody who waits for nothing, and how many they press."""
WATCH = """item => {
    window.pressed = [];
    window.shown = {};
    const look = () => {
        const found = item();
        if (found && !(found in window.shown)) {
            window.shown[found] = null;
            // In the frame after the one that it came in with, it has been painted.
            requestAnimationFrame(() => requestAnimationFrame(() => {
                window.shown[found] = performance.now();
            }));
        }
    };
    new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true});
    window.addEventListener("keydown", event => {
        window.pressed.push([event.key, item(), performance.now()]);
    }, true);
}"""
"""Notes every key before the page hears it, the item on the page then, and when each was on screen."""


def rewrites(number: int) -> list[Pair]:
    """Return pairs of a text task, every one of them different on both sides."""
    return [
        Pair(
            "rewrite",
            n,
            f"Rewrite message {n}",
            answer(f"Hello, your parcel {n} arrives on Monday. Kind regards"),
            answer(f"Hello! Parcel {n} comes on {'Tuesday' if n % 2 else 'Monday'}. Regards"),
        )
        for n in range(number)
    ]


def make_place(root: Path, pairs: list[Pair]) -> Workspace:
    """Give a workspace with replayed and compared pairs."""
    workspace = make_workspace(root)
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, pairs)
    return workspace


@dataclass
class Reviewer:
    """One person at a browser of their own, using keys alone. `said` is what they chose, by item."""

    name: str
    page: Any
    seen: Seen
    said: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def sit_down(self, url: str, task: str = "rewrite") -> None:
        sit_down(self.page, url, self.name, task)

    def come_back(self) -> None:
        """Load the page again: the name is still there, and one key goes on."""
        self.page.reload()
        box = self.page.get_by_role("textbox", name="Your name")
        box.wait_for()
        assert box.input_value() == self.name
        box.press("Enter")
        self.wait()
        settle(self.page)
        self.page.wait_for_timeout(1000)

    def item(self) -> str | None:
        found: str | None = self.page.evaluate(ITEM_ON_PAGE)
        return found

    def wait(self, before: str | None = None) -> None:
        self.page.wait_for_function(
            f"before => ![null, before].includes(({ITEM_ON_PAGE})())", arg=before or "none"
        )
        # Nobody presses a key in the very moment in which the browser draws the buttons: it listens
        # to keys a little later.
        self.page.evaluate(DRAWN)

    def press(self, key: str) -> str:
        """Press a key for the item on the page, without waiting, and return that item."""
        item = self.item()
        assert item is not None
        self.page.keyboard.press(key)
        self.said[item] = KEYS[key]
        self.order.append(item)
        return item

    def step_back(self) -> None:
        """Undo, and find the item that was judged last."""
        last = self.order.pop()
        self.said.pop(last)
        self.page.keyboard.press("z")
        draw = last.rsplit("-", 1)[0]
        self.page.wait_for_function(f"draw => (({ITEM_ON_PAGE})() || '').startsWith(draw)", arg=draw)
        self.page.evaluate(DRAWN)


def reviewer(browser: Any, name: str) -> Reviewer:
    page, seen = watched(browser, viewport=WIDE)
    return Reviewer(name, page, seen)


def labels_in(place: Workspace) -> list[dict[str, Any]]:
    """Return every label row, with `current`."""
    with Store.open(place.store_path, spool=place.spool) as store:
        rows = store.rows("SELECT * FROM labels ORDER BY seq")
    superseded = {row["supersedes"] for row in rows}
    return [row | {"current": row["label_id"] not in superseded} for row in rows]


def standing(rows: list[dict[str, Any]], name: str) -> dict[str, str]:
    """Return what stands of one person, in the terms of the page, by draw."""
    return {
        row["draw_id"]: (
            "skipped"
            if row["skipped"]
            else review.choice_of(LabelVerdict(row["verdict"]), row["shown_order"])
        )
        for row in rows
        if row["annotator"] == name and row["current"] and (row["verdict"] or row["skipped"])
    }


def test_two_reviewers_at_once_with_keys_alone(tmp_path: Path, browser: Any) -> None:
    """A dozen items each, skips, steps back and a reload in the middle: the store holds what each chose."""
    place = make_place(tmp_path / "two", rewrites(96))
    with app_of(place) as served:
        both = [reviewer(browser, name) for name in ("ann", "bob")]
        for each in both:
            each.sit_down(served.url)
        for turn in range(ITEMS):
            pressed = [each.press("12ebs"[(turn + shift) % 5]) for shift, each in enumerate(both)]
            for each, item in zip(both, pressed, strict=True):
                each.wait(item)
            if turn in (3, 8):
                each = both[turn % 2]
                each.step_back()
                each.wait(each.press("b"))
            if turn == 6:
                waiting = [each.item() for each in both]
                for each in both:
                    each.come_back()
                assert [each.item() for each in both] == waiting
        for each in both:
            assert each.seen == Seen()
    rows = labels_in(place)
    for each in both:
        expected = {item.rsplit("-", 1)[0]: choice for item, choice in each.said.items()}
        assert len(expected) == ITEMS
        assert standing(rows, each.name) == expected
        for row in rows:
            if row["annotator"] == each.name:
                assert row["shown_order"] == review.order_shown(each.name, row["call_id"], row["replay_id"])
    # Nobody was given the other's draw, and everybody each pair once.
    given = [
        (row["annotator"], row["call_id"]) for row in rows if row["current"] and row["supersedes"] is None
    ]
    assert len(given) == len(set(given))
    assert not set(standing(rows, "ann")) & set(standing(rows, "bob"))
    assert {row["shown_order"] for row in rows} == {"control_left", "candidate_left"}


def test_a_killed_app_keeps_every_label_it_acknowledged(tmp_path: Path, browser: Any) -> None:
    """What led to a next item is in the store; a key on its way at the kill is there once or not at all."""
    place = make_place(tmp_path / "killed", rewrites(60))
    someone = reviewer(browser, "ann")
    with app_of(place) as served:
        someone.sit_down(served.url)
        for key in "e12be":
            someone.wait(someone.press(key))
        acknowledged = dict(someone.said)
        someone.press("e")
        os.kill(served.process.pid, signal.SIGKILL)
    kept = standing(labels_in(place), "ann")
    expected = {item.rsplit("-", 1)[0]: choice for item, choice in acknowledged.items()}
    assert expected.items() <= kept.items()
    assert len(kept) - len(expected) in (0, 1)
    with app_of(place) as served:
        again = reviewer(browser, "ann")
        again.sit_down(served.url)
        on_desk = again.item()
        assert on_desk is not None
        assert on_desk.rsplit("-", 1)[0] not in kept
        again.wait(again.press("b"))
    assert len(standing(labels_in(place), "ann")) == len(kept) + 1


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve one workspace to those who press keys too early, hold them down, or wait for nothing."""
    with app_of(make_place(tmp_path_factory.mktemp("busy") / "w", rewrites(240))) as served:
        yield served


def labels_of(place: Workspace, name: str) -> list[dict[str, Any]]:
    """Return one person's label rows, with `current`."""
    return [row for row in labels_in(place) if row["annotator"] == name]


def test_a_key_pressed_before_the_next_item_is_on_screen_labels_nothing(busy: Served, browser: Any) -> None:
    """While the app hangs, more keys than one are pressed at the old item: the first alone counts."""
    someone = reviewer(browser, "ann")
    someone.sit_down(busy.url)
    first = someone.item()
    assert first is not None
    os.kill(busy.process.pid, signal.SIGSTOP)
    try:
        for key in "1e2bse":
            someone.page.keyboard.press(key)
            someone.page.wait_for_timeout(60)
        assert someone.item() == first
    finally:
        os.kill(busy.process.pid, signal.SIGCONT)
    someone.wait(first)
    settle(someone.page)
    second = someone.item()
    someone.page.wait_for_timeout(1500)
    assert someone.item() == second
    rows = labels_of(busy.place, "ann")
    assert [(row["draw_id"], bool(row["verdict"])) for row in rows] == [(first.rsplit("-", 1)[0], True)]
    assert list(standing(rows, "ann").values()) == ["left"]


def test_a_key_held_down_labels_one_item(busy: Served, browser: Any) -> None:
    """A keyboard repeats a key that stays down; none of the repeats counts."""
    someone = reviewer(browser, "bob")
    someone.sit_down(busy.url)
    before = someone.item()
    for _ in range(RUSHED):
        someone.page.keyboard.down("e")
        someone.page.wait_for_timeout(60)
    someone.page.keyboard.up("e")
    someone.wait(before)
    someone.page.wait_for_timeout(1500)
    assert len(labels_of(busy.place, "bob")) == 1
    # The next press is a new one.
    someone.wait(someone.press("e"))
    assert len(labels_of(busy.place, "bob")) == 2


def test_no_key_is_lost_and_none_goes_astray_at_fifty_milliseconds(busy: Served, browser: Any) -> None:
    """Each item is labelled by the first key pressed at it, and by no key that was pressed at another.

    Somebody presses keys without ever looking. Of an item that was on screen when a key went down there
    is one label: that key's, or that of an earlier one which came while it was being drawn.
    """
    someone = reviewer(browser, "cat")
    someone.page.add_init_script(f"({WATCH})({ITEM_ON_PAGE})")
    someone.sit_down(busy.url)
    someone.page.evaluate("() => { window.pressed = []; }")
    for number in range(RUSH):
        someone.page.keyboard.press("12ebs"[number * 7 % 5])
        someone.page.wait_for_timeout(RUSH_MS)
    settle(someone.page)
    someone.page.wait_for_timeout(1500)
    pressed, shown = someone.page.evaluate("() => [window.pressed, window.shown]")
    left = someone.item()
    assert someone.seen == Seen()
    assert len(pressed) == RUSH
    at: dict[str, list[tuple[str, bool]]] = {}
    for key, item, moment in pressed:
        if item is not None:
            on_screen = shown[item] is not None and shown[item] <= moment
            at.setdefault(item, []).append((KEYS[key], on_screen))
    rows = labels_of(busy.place, "cat")
    # Nothing was superseded: no key reached an item that had its label.
    assert all(row["current"] for row in rows)
    said = standing(rows, "cat")
    assert len(said) == len(rows) > RUSH // 12
    seen = {item.rsplit("-", 1)[0]: keys for item, keys in at.items()}
    assert said.keys() <= seen.keys(), "a label on what was not on the page when any key was pressed"
    for draw, keys in seen.items():
        heard = next((place for place, (_, on_screen) in enumerate(keys) if on_screen), None)
        if heard is not None:
            assert draw in said, "a key pressed at an item on screen is lost"
        if draw in said:
            possible = keys if heard is None else keys[: heard + 1]
            assert said[draw] in [choice for choice, _ in possible]
    # What is left on the page is what no key was pressed at, or only while it was being drawn.
    assert left is not None
    assert left.rsplit("-", 1)[0] not in said


def test_typing_a_note_is_not_pressing_keys(busy: Served, browser: Any) -> None:
    """Letters that are keys elsewhere are letters in a note, and the note belongs to the label before."""
    someone = reviewer(browser, "dan")
    someone.sit_down(busy.url)
    first = someone.press("1")
    someone.wait(first)
    someone.page.get_by_text("wrong answer").click()
    box = someone.page.get_by_role("textbox", name="Note")
    box.press_sequentially("be12sz, see 2e", delay=30)
    box.press("Enter")
    someone.page.wait_for_timeout(2500)
    rows = labels_of(busy.place, "dan")
    stands = [row for row in rows if row["current"] and row["verdict"]]
    assert len(stands) == 1
    assert stands[0]["draw_id"] == first.rsplit("-", 1)[0]
    assert (stands[0]["note"], stands[0]["reasons"]) == ("be12sz, see 2e", ["wrong"])


def test_hostile_pairs_are_read_letter_by_letter_in_every_view(tmp_path: Path, browser: Any) -> None:
    """Tags, images, a megabyte, right-to-left text and emoji: no dialog, no foreign request, no overflow."""
    tools = (ToolCall("<img src=x onerror=alert(3)>", {"a": HOSTILE}),)
    nasty = [
        HOSTILE,
        "x" * 1_000_000,
        "مرحبا بالعالم، ادفع \u202e001 الآن",
        "👩🏽‍🚀 👋🏽 e\u0301",
        "[click](javascript:alert(4)) <https://example.org>",
    ]
    pairs = [Pair("rewrite", n, text, answer(text), answer(f"{text} more")) for n, text in enumerate(nasty)]
    order = f'{{"{HOSTILE[:25]}": 1, "customer": "{HOSTILE[:25]}"}}'
    pairs += [
        Pair("orders", 0, HOSTILE, answer(order), answer("{}", tools=tools)),
        Pair("orders", 1, HOSTILE, answer(order), answer(order.replace("1", "2", 1))),
    ]
    place = make_place(tmp_path / "nasty", pairs)
    page, seen = watched(browser, color_scheme="dark", viewport=WIDE)

    def fits() -> None:
        """Look at what is on the page now: wide, and as narrow as a phone."""
        settle(page)
        assert page.locator('[data-testid="stException"]').count() == 0
        for size in (PHONE, WIDE):
            page.set_viewport_size(size)
            page.evaluate(DRAWN)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]

    with app_of(place) as served:
        for task, more in (("rewrite", ""), ("orders", "&way=apart")):
            someone = Reviewer("ann <b>*x*", page, seen)
            someone.sit_down(served.url, f"{task}{more}")
            for _ in range(5):
                fits()
                item = someone.item()
                if item is None:
                    break
                page.keyboard.press("b")
                page.wait_for_function(f"before => ({ITEM_ON_PAGE})() !== before", arg=item)
            for view in ("mine", "conflicts", "by-hand"):
                page.goto(f"{served.url}/review?task={task}&candidate=small&view={view}&reviewer=ann")
                page.get_by_role("textbox", name="Your name").press("Enter")
                page.get_by_role("radio", name="My labels").wait_for()
                fits()
        spoiled = '.wb-item img, .wb-item a, .wb-item script, img[src*="example.org"], a[href*="javascript"]'
        assert page.locator(spoiled).count() == 0
    assert seen == Seen()
