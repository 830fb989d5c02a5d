"""Help: the documents of the workbench, which come with it. Nothing is fetched from anywhere."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import streamlit as st

from workbench.bundle import bundled
from workbench.errors import EnvironmentalError
from workbench.ui import address

FIRST = (
    *("app", "overview", "importing", "formats", "replay", "comparison", "review", "ramp", "live", "costs"),
    *("statistics", "exports", "sign-in"),
)
"""What somebody at the pages looks for; the others follow in the order of their titles."""

_SPECIAL = re.compile(
    r"(?P<code>^```.*?^```|`[^`\n]+`)"
    r"|\[(?P<words>(?:`[^`]*`|[^\]`])+)\]\((?!https?:)(?P<to>[^)\s]*)\)"
    # Whoever reads this here sees the pages themselves.
    r"|(?P<left_out><!--.*?-->|!\[[^\]]*\]\([^)]*\))"
    r"|\$",
    re.MULTILINE | re.DOTALL,
)


def show() -> None:
    """Let a reader choose a document, and show it."""
    found = documents()
    if not found:
        st.info("The documents are missing. They are the folder docs of the repository.")
        return
    chosen = address.select("About", list(found), name="about", labels=found, width=460)
    title, _, body = _text(chosen).partition("\n")
    st.header(title.removeprefix("# "), anchor=False)
    with st.container(key="help-text"):
        st.markdown(shown(body))


@cache
def documents() -> dict[str, str]:
    """Return the title of each document by its name, in the order to offer them."""
    try:
        folder = bundled("docs")
    except EnvironmentalError:
        return {}
    titles = {path.stem: _title(path) for path in folder.glob("*.md")}
    order = {name: place for place, name in enumerate(FIRST)}
    ordered = sorted(titles, key=lambda name: (order.get(name, len(order)), titles[name]))
    return {name: titles[name] for name in ordered}


def shown(text: str) -> str:
    """Return a document in Streamlit's Markdown, without its pictures.

    Args:
        text: As it is written for the repository.
    """
    return _SPECIAL.sub(_shown, text).strip()


def _shown(part: re.Match[str]) -> str:
    """Return code as it is, a link to where this app has something, no picture or comment, a plain dollar."""
    if part["code"]:
        return part["code"]
    if part["words"]:
        where, mark, place = part["to"].partition("#")
        name = Path(where).name
        stem = name.removesuffix(".md")
        if mark and not where:
            return part[0]
        known = stem != name and stem in documents()
        return f"[{part['words']}](/help?about={stem}{mark}{place})" if known else part["words"]
    return "" if part["left_out"] else "\\$"


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().removeprefix("# ").strip()


def _text(name: str) -> str:
    return (bundled("docs") / f"{name}.md").read_text(encoding="utf-8")
