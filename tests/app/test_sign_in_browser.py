"""People sign in at a real provider, in a real browser: roles, a stranger, a forged cookie, the way out."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from accessibility import grave_findings, nameless
from app_building import demo_pairs, fill, make_workspace
from browsing import CHROMIUM, FLAGS, settle
from environments import python_with
from identity import PASSWORD, PEOPLE, SECRETS, free_port, provider, sign_in_table, wait_for

from workbench.config import Workspace
from workbench.store import Store

pytestmark = pytest.mark.browser

SERVE = """
import sys
from workbench.app_server import serve
from workbench.config import Workspace
sys.exit(serve(Workspace.load(sys.argv[1]), port=int(sys.argv[2]), host=sys.argv[3]))
"""
MINUTE_MS = 60_000
COOKIE = "_streamlit_user"
BESIDE = """() => {
    const failed = '[data-testid="stDownloadButtonError"]';
    window.beside = [];
    new MutationObserver(() => window.beside.push(
        ...[...document.querySelectorAll(failed)].map(each => each.textContent)
    )).observe(document.body, { childList: true, subtree: true });
}"""
"""Notes what a page shows beside a button whose download failed, however soon it is gone."""


@dataclass
class Served:
    """The app behind sign-in: where it is, its workspace, its process, its output."""

    url: str
    root: Path
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a workspace to other machines too, behind a provider on this one."""
    if not os.environ.get("WORKBENCH_REQUIRE_NANOIDP"):
        pytest.importorskip("authlib", reason="the extra auth is not installed")
    python = python_with("nanoidp")
    folder = tmp_path_factory.mktemp("sign-in")
    workspace = make_workspace(folder / "w")
    with Store.open(workspace.store_path, spool=workspace.spool) as store:
        fill(workspace, store, demo_pairs(80))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with provider(python, folder / "provider", url) as issuer, (folder / "app.log").open("wb") as log:
        with (workspace.root / "workbench.toml").open("a", encoding="utf-8") as file:
            file.write(sign_in_table(issuer, url))
        found = Served(url, workspace.root, start(workspace.root, port, log), folder / "app.log")
        try:
            wait_for(f"{url}/_stcore/health")
            yield found
        finally:
            stop(found)


def start(root: Path, port: int, log: Any) -> subprocess.Popen[bytes]:
    """Start the app behind sign-in, as `workbench app` does."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, str(root), str(port), "127.0.0.1"],
        env=os.environ | SECRETS,
        stdout=log,
        stderr=subprocess.STDOUT,
    )


def stop(served: Served) -> None:
    """Stop the app, as whoever looks after it does."""
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(30)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start one browser for the file, or skip and say so."""
    if not CHROMIUM.is_file():
        pytest.skip(f"{CHROMIUM} is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=FLAGS)
        yield started
        started.close()


def someone(chromium: Any) -> Any:
    """Return a tab of a browser that nobody has used."""
    page = chromium.new_context().new_page()
    page.set_default_timeout(MINUTE_MS)
    return page


def sign_in(page: Any, served: Served, name: str) -> None:
    """Come to the app and sign in at the provider, as a person does."""
    page.goto(served.url)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#username").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(re.compile(re.escape(served.url)))


@pytest.fixture(scope="module")
def ada(served: Served, chromium: Any) -> Any:
    """Give the tab of the admin, signed in, for several tests; the last of them signs her out."""
    page = someone(chromium)
    sign_in(page, served, "ada")
    words(page, "triage")
    return page


def words(page: Any, expected: str) -> str:
    """Wait for some words and return all that is on the page."""
    # What is folded away may say so, too, and come first.
    page.get_by_text(expected).filter(visible=True).first.wait_for()
    page.wait_for_function("() => !document.querySelector('[data-testid=stStatusWidget]')")
    return str(page.inner_text("body"))


def menu(page: Any) -> set[str]:
    """Return the pages that the menu offers."""
    links = page.locator('[data-testid="stTopNavLink"], [data-testid="stTopNavLinkContainer"] a')
    return {text.strip().split("\n")[-1] for text in links.all_inner_texts() if text.strip()}


def log_of(served: Served) -> list[dict[str, Any]]:
    """Return the access log as the command prints it."""
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "access", "--json", "--workspace", str(served.root)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_each_role_finds_its_pages_and_no_others(served: Served, chromium: Any, ada: Any) -> None:
    """Admin, engineer, viewer of one task, reviewer of one task; the log says who read what."""
    assert {"Overview", "Upload", "Settings"} <= menu(ada)

    page = someone(chromium)
    sign_in(page, served, "emil")
    page.goto(f"{served.url}/compare?task=triage&candidate=small")
    words(page, "Compared")
    # The provider spells the address otherwise than workbench.toml does.
    words(page, "emil@example.com")
    page.get_by_test_id("stPopover").get_by_role("button", name="Export").first.click()
    button = page.get_by_role("button", name="CSV")
    with page.expect_download() as waiting:
        button.click()
    assert "call_id" in Path(waiting.value.path()).read_text(encoding="utf-8-sig")
    declared = served.root / "workbench.toml"
    before = declared.read_text(encoding="utf-8")
    files: list[Any] = []
    page.on("download", lambda download: files.append(download))
    try:
        # Beside the button stand our words alone, and nobody has to click again to read why.
        page.evaluate(BESIDE)
        page.set_viewport_size({"width": 1280, "height": 400})
        button.scroll_into_view_if_needed()
        declared.write_text(
            before.replace(
                'email = "emil@example.com"\nroles = ["engineer"]',
                'email = "emil@example.com"\nroles = ["viewer"]',
            ),
            encoding="utf-8",
        )
        button.click()
        page.get_by_text("The last download was refused.").wait_for()
        assert page.evaluate("() => window.beside") == ["No file came. The top of this page says why."]
        assert page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollTop") == 0
        words(page, "it needs the role engineer or admin")
        declared.write_text(before, encoding="utf-8")
        page.reload()
        words(page, "Compared")
        page.get_by_test_id("stPopover").get_by_role("button", name="Export").first.click()
        button.wait_for()
        declared.write_text(before.replace("emil@example.com", "gone@example.com"), encoding="utf-8")
        button.click()
        wait_for_words(served.log, "nobody has given you a role")
    finally:
        declared.write_text(before, encoding="utf-8")
    assert not files, "a role taken away since the page was drawn"

    page = someone(chromium)
    sign_in(page, served, "vera")
    assert "triage" not in words(page, "orders")
    page.goto(f"{served.url}/upload")
    assert "triage" not in words(page, "Your role does not open this")

    page = someone(chromium)
    sign_in(page, served, "rita")
    words(page, "Guidelines")
    assert page.url.startswith(f"{served.url}/review")
    assert menu(page) <= {"Help", "Review", "Settings"}
    assert page.get_by_role("textbox", name="Your name").count() == 0
    page.locator('[class*="st-key-left-"] button').click()
    words(page, "label")
    page.goto(f"{served.url}/compare?task=rewrite&candidate=small")
    assert "small" not in words(page, "Your role does not open this").replace("smaller", "")

    read = {(each["actor"], each["kind"], each["task"]) for each in wait_for_log(served, "rita@example.com")}
    assert ("emil@example.com", "cases", "triage") in read
    assert ("rita@example.com", "review", "rewrite") in read
    assert all("@" in actor for actor, _, _ in read)
    assert [each["kind"] for each in log_of(served)].count("export of a table") == 1


def wait_for_words(log: Path, expected: str) -> None:
    """Wait until the app has written some words."""
    from time import monotonic, sleep

    deadline = monotonic() + 60
    while expected not in log.read_text(encoding="utf-8", errors="replace"):
        assert monotonic() < deadline, f"{expected!r} is not in {log}"
        sleep(0.2)


def wait_for_log(served: Served, actor: str) -> list[dict[str, Any]]:
    """Return the log once somebody's views have reached the spool: some seconds after the page."""
    from time import monotonic, sleep

    deadline = monotonic() + 60
    while True:
        found = log_of(served)
        if any(each["actor"] == actor for each in found) or monotonic() > deadline:
            return found
        sleep(1)


def test_the_signed_in_app_is_held_to_the_standard(served: Served, chromium: Any, ada: Any) -> None:
    """The door, an admin's Overview and Settings, a page that a role does not open: no grave finding."""
    short = []
    page = someone(chromium)
    page.goto(served.url)
    page.get_by_role("button", name="Sign in").wait_for()
    short += [f"the door: {each}" for each in grave_findings(page)]
    for name, ready in (("", "triage"), ("settings", "Who read what")):
        ada.goto(f"{served.url}/{name}")
        words(ada, ready)
        settle(ada)
        found = [*grave_findings(ada), *nameless(ada)]
        short += [f"{name or 'overview'}, as an admin: {each}" for each in found]
    sign_in(page, served, "vera")
    page.goto(f"{served.url}/upload")
    words(page, "Your role does not open this")
    short += [f"a closed page: {each}" for each in grave_findings(page)]
    assert not short, "\n".join(short)


def test_a_stranger_is_let_in_by_the_provider_and_not_by_the_workbench(served: Served, chromium: Any) -> None:
    """A polite page, a way out, and not a word of what is here."""
    page = someone(chromium)
    sign_in(page, served, "nora")
    assert PEOPLE["nora"] in words(page, "nobody has given you a role")
    page.goto(f"{served.url}/compare?task=triage&candidate=small")
    said = words(page, "nobody has given you a role")
    assert not [each for each in ("triage", "small", "Compared", "Overview") if each in said]


def test_a_cookie_that_was_changed_or_kept_opens_nothing(served: Served, chromium: Any, ada: Any) -> None:
    """Altered by one letter it is nobody's; a copy kept from before signing out is no use either."""
    page, cookies = ada, ada.context.cookies()
    (mine,) = [each for each in cookies if each["name"] == COOKIE]
    assert mine["httpOnly"]
    assert mine["sameSite"] == "Lax"

    forger = someone(chromium)
    middle = len(mine["value"]) // 2
    other = "A" if mine["value"][middle] != "A" else "B"
    forged = mine | {"value": mine["value"][:middle] + other + mine["value"][middle + 1 :]}
    forger.context.add_cookies([each for each in cookies if each["name"] != COOKIE] + [forged])
    forger.goto(served.url)
    assert "triage" not in words(forger, "Sign in to see")

    thief = someone(chromium)
    thief.context.add_cookies(cookies)
    thief.goto(served.url)
    words(thief, "triage")
    page.goto(f"{served.url}/settings")
    words(page, "Signed in as ada@example.com")
    words(page, "Who read what")
    page.locator('[class*="st-key-settings-sign-out"] button').click()
    page.wait_for_url(lambda url: "logout" in url or url.rstrip("/") == served.url)
    thief.goto(served.url)
    assert "triage" not in words(thief, "You have signed out")

    stop(served)
    with served.log.open("ab") as log:
        served.process = start(served.root, int(served.url.rpartition(":")[2]), log)
    wait_for(f"{served.url}/_stcore/health")
    thief.goto(served.url)
    assert "triage" not in words(thief, "You have signed out")


def test_nothing_secret_is_written_and_no_foreign_page_gets_in(served: Served) -> None:
    """No file of the workspace and no line of the log holds a secret; another site's socket is refused."""
    kept_by_the_provider = served.root.parent / "provider"
    for secret in SECRETS.values():
        for path in served.root.parent.rglob("*"):
            if path.is_file() and kept_by_the_provider not in path.parents:
                assert secret.encode() not in path.read_bytes(), path
    strange = "http://evil.example.org"
    assert _socket_answer(served, {"Origin": served.url}) == 101
    assert _socket_answer(served, {"Origin": strange}) == 403
    assert _socket_answer(served, {"Origin": strange, "Host": "evil.example.org"}) == 403


def _socket_answer(served: Served, headers: dict[str, str]) -> int:
    """Return the status with which the app answers somebody who wants to open its socket."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
    }
    connection = http.client.HTTPConnection(served.url.removeprefix("http://"), timeout=30)
    try:
        connection.request("GET", "/_stcore/stream", headers=upgrade | headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_workspace_of_this_file_is_guarded(served: Served) -> None:
    """`workbench.toml` as the tests wrote it, so that none of them passes on an open app."""
    config = Workspace.load(served.root).config
    assert config.sign_in is not None
    assert {each.email for each in config.access.people} >= {"ada@example.com", "rita@example.com"}
