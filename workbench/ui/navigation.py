"""Where the pages lie, and links between them that carry their filters in the address."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import streamlit as st

from workbench.roles import Actor
from workbench.ui import gate


@dataclass(frozen=True, slots=True)
class Entry:
    """One page of the menu."""

    name: str
    title: str
    icon: str


MENU = (
    Entry("overview", "Overview", ":material/space_dashboard:"),
    Entry("upload", "Upload", ":material/upload_file:"),
    Entry("traffic", "Traffic", ":material/analytics:"),
    Entry("replays", "Replays", ":material/play_circle:"),
    Entry("compare", "Compare", ":material/compare_arrows:"),
    Entry("slices", "Slices", ":material/data_table:"),
    Entry("review", "Review", ":material/rate_review:"),
    Entry("ramp", "Ramp", ":material/stacked_line_chart:"),
    Entry("costs", "Costs", ":material/payments:"),
    Entry("settings", "Settings", ":material/settings:"),
)

HELP = Entry("help", "Help", ":material/help:")
"""Stands after the menu, for everybody; it asks nothing of the workspace."""


@cache
def folder() -> Path:
    """Return the folder of page scripts: in the repository, or in an installed package.

    Raises:
        FileNotFoundError: The package was built without its pages.
    """
    package = Path(__file__).resolve().parents[1]
    for each in (package / "_bundled" / "pages", package.parent / "pages"):
        if (each / "overview.py").is_file():
            return each
    raise FileNotFoundError(f"The pages of the app are missing beside {package}.")


def page(name: str, *, hidden: bool = False) -> st.Page:
    """Return a page of the menu by its name; a hidden one can be linked to, and is in no menu."""
    entry = next(each for each in (*MENU, HELP) if each.name == name)
    return st.Page(
        folder() / f"{name}.py",
        title=entry.title,
        icon=entry.icon,
        # The first page has no address of its own: its name is that of a page which leads there.
        url_path="first" if entry is MENU[0] else name,
        default=entry is MENU[0],
        visibility="hidden" if hidden else "visible",
    )


def pages(actor: Actor) -> list[st.Page]:
    """Return every page in the order of the menu, which shows those that somebody's roles open."""
    menu = [page(each.name, hidden=not gate.opens(each.name, actor)) for each in MENU]
    first = st.Page(_to_first, title=MENU[0].title, url_path=MENU[0].name, visibility="hidden")
    return [*menu, page(HELP.name), first]


def _to_first() -> None:
    """Go where the first page lies: Streamlit gives it no address by its name."""
    st.switch_page(page(MENU[0].name), query_params=st.query_params.to_dict())


def link(name: str, label: str, *, icon: str | None = None, **query: str | None) -> None:
    """Write a link to a page that opens with the same task, candidate or filter.

    Args:
        name: The page.
        label: Our own words, never text from a log.
        icon: A `:material/...:` icon.
        query: Parameters of the address; None leaves one out.
    """
    given = {key: value for key, value in query.items() if value is not None}
    st.page_link(page(name), label=label, icon=icon, query_params=given)
