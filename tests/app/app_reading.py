"""What a test of the app reads of a page that ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamlit.testing.v1 import AppTest

Visit = Callable[..., AppTest]


def said(at: AppTest) -> str:
    """Return every word a page shows outside tables and code."""
    parts: list[Any] = []
    for kind in ("title", "header", "markdown", "caption", "text", "info", "success", "warning", "error"):
        parts += [each.value for each in at.get(kind)]
    parts += [f"{each.label} {each.value}" for each in at.metric]
    parts += [each.label for each in at.button]
    return plain("\n".join(str(each) for each in parts))


def plain(text: str) -> str:
    """Return shown text with ordinary spaces."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def fine(at: AppTest) -> AppTest:
    """Return a page that ran without an exception."""
    assert not at.exception, at.exception
    return at
