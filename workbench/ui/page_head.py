"""The head of every page: rules of style, and what draws its parts, before the first of them is there.

Streamlit sends one document for all pages and loads what draws a part when the first one comes: a page is
drawn without its rules and parts then, and moves when they come. The document's answer also forbids the
browser to ask any other host for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from workbench.ui import style

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PARTS = (
    *("Html", "Metric", "Selectbox", "Button", "PageLink", "TextInput", "Checkbox", "ButtonGroup"),
    *("NumberInput", "Slider", "Progress", "DownloadButton"),
)
"""What most pages have, and is small. Figures and tables, which are not, keep their place until they come."""

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Streamlit writes rules and a script into its document.
        "script-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content Security Policy: whatever a log makes a page show, nothing of it can be sent to another host."""
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_STATIC = Path(st.__file__).with_name("static")
_IMPORTED = re.compile(r"""(?:\bfrom|\bimport)\s*["']\./([\w.-]+\.js)["']""")


class PageHead:
    """Middleware that writes the app's own head into the document of its pages.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, a page with the app's own head."""
        if scope["type"] != "http" or not _asks_for_page(scope):
            await self._app(scope, receive, send)
            return
        page: Message | None = None
        document = b""

        async def changed(message: Message) -> None:
            nonlocal page, document
            if message["type"] == "http.response.start" and _is_page(message):
                page = message
            elif page is None:
                await send(message)
            else:
                document += message.get("body", b"")
                if not message.get("more_body", False):
                    await _send_page(document, page, send)

        # A whole document, and not a packed, kept or partial one, is what can be written into.
        kept = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in kept]
        await self._app({**scope, "headers": headers}, receive, changed)


def _asks_for_page(scope: Scope) -> bool:
    accepted = b",".join(value for name, value in scope["headers"] if name.lower() == b"accept")
    return scope["method"] in ("GET", "HEAD") and b"text/html" in accepted


def _is_page(start: Message) -> bool:
    kinds = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return start["status"] == 200 and any(each.startswith(b"text/html") for each in kinds)


async def _send_page(document: bytes, start: Message, send: Send) -> None:
    changed = document.replace(b"</head>", f"{head()}</head>".encode(), 1)
    own = (b"content-length", b"etag", b"last-modified", *(name for name, _ in HEADERS))
    kept = [(name, value) for name, value in start["headers"] if name.lower() not in own]
    # Whoever asks for the headers alone gets no document to measure.
    length = [(b"content-length", str(len(changed)).encode())] if document else []
    await send({**start, "headers": [*kept, *length, *HEADERS]})
    await send({"type": "http.response.body", "body": changed})


@cache
def head(static: Path = _STATIC) -> str:
    """Return what is written into the head of the document.

    Args:
        static: Where Streamlit's own files are. Where it names them otherwise, parts come when they come.
    """
    links = [f'<link rel="modulepreload" crossorigin href="./static/js/{name}">' for name in modules(static)]
    return "\n".join([*links, style.document_rules()])


def modules(static: Path) -> list[str]:
    """Return the files that draw the parts, and those that these import, as far as the document has none.

    Args:
        static: Where Streamlit's own files are.
    """
    folder, index = static / "static" / "js", static / "index.html"
    if not index.is_file():
        return []
    known = set(re.findall(r"static/js/([\w.-]+\.js)", index.read_text()))
    wanted = [path.name for part in PARTS for path in sorted(folder.glob(f"{part}.*.js"))]
    found: dict[str, None] = {}
    while wanted:
        name = wanted.pop(0)
        if name not in known and name not in found and (folder / name).is_file():
            found[name] = None
            wanted += imports(folder / name)
    return list(found)


def imports(module: Path) -> Iterator[str]:
    """Yield the names of the files that a module of Streamlit's imports before it does anything."""
    for each in _IMPORTED.finditer(module.read_text()):
        yield each[1]
