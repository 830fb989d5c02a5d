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

_IMAGE = re.compile(r"!\[([^\]]*)\]\(([\w-]+\.png)\)")
_SPECIAL = re.compile(
    r"(?P<code>^```.*?^```|`[^`\n]+`)"
    r"|\[(?P<words>(?:`[^`]*`|[^\]`])+)\]\((?!https?:)(?P<to>[^)\s]*)\)"
    r"|(?P<comment><!--.*?-->)"
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
        for part in parts(body):
            if isinstance(part, tuple):
                words, path = part
                st.image(path, caption=words)
            else:
                st.markdown(part)


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


def parts(text: str) -> list[str | tuple[str, str]]:
    """Return a document in Streamlit's Markdown, cut where it has pictures.

    Args:
        text: As it is written for the repository.

    Returns:
        Texts, and pictures as (what they show, path).
    """
    found: list[str | tuple[str, str]] = []
    last = 0
    for image in _IMAGE.finditer(text):
        _add(found, text[last : image.start()])
        path = bundled("docs") / image[2]
        if path.is_file():
            found.append((image[1], str(path)))
        last = image.end()
    _add(found, text[last:])
    return found


def _add(found: list[str | tuple[str, str]], text: str) -> None:
    if shown := _SPECIAL.sub(_shown, text).strip():
        found.append(shown)


def _shown(part: re.Match[str]) -> str:
    """Return code as it is, a link to where this app has something, no comment, and a dollar that is one."""
    if part["code"]:
        return part["code"]
    if part["words"]:
        name = Path(part["to"].partition("#")[0]).name
        stem = name.removesuffix(".md")
        known = stem != name and stem in documents()
        return f"[{part['words']}](/help?about={stem})" if known else part["words"]
    return "" if part["comment"] else "\\$"


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().removeprefix("# ").strip()


def _text(name: str) -> str:
    return (bundled("docs") / f"{name}.md").read_text(encoding="utf-8")
