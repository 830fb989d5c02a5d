"""The profile that Traffic and Costs show: made anew by itself where that is quick and allowed."""

from __future__ import annotations

import streamlit as st

from workbench import access, profiling
from workbench.profiling import ProfileReport
from workbench.roles import Right
from workbench.store import pages
from workbench.ui import navigation, words
from workbench.ui.session import ask, here, read

AT_ONCE = 20_000
"""So many calls are profiled without a click."""


def newest_profile(page: str) -> ProfileReport | None:
    """Return the newest profile, or None; the page then says what to do.

    A small log is looked at again by itself, a large one on a click. Where calls have changed and nobody
    looked again, what is returned is the older profile, and the page says so.

    Args:
        page: The page that shows it; its controls are named after it.
    """
    calls = read(pages.freshness).calls
    if not calls:
        st.info("There are no calls yet. Upload a log first.", icon=":material/upload_file:")
        if st.button("Upload a log", icon=":material/upload_file:", type="primary", key=f"{page}-upload"):
            st.switch_page(navigation.page("upload"))
        return None
    known = ask(profiling.current)
    if not ask(profiling.is_stale):
        return known
    old = "These figures are older than the newest calls or settings." if known else "Not looked at yet."
    if not access.may(Right.IMPORT):
        # Looking anew gives calls to tasks: whoever only looks changes nothing.
        st.info(
            f"{old} Whoever imports logs opens this page, or runs workbench profile.",
            icon=":material/update:",
        )
        return known
    if here().workspace.wrong_evals:
        # Its rules take calls that would go to other tasks without it.
        st.info(f"{old} They are made anew once every eval can be read.", icon=":material/update:")
        return known
    if calls > AT_ONCE:
        st.info(f"{old} Looking at {words.counted(calls, 'call')} takes a while.", icon=":material/update:")
        if not st.button("Look at all calls", icon=":material/search:", type="primary", key=f"{page}-look"):
            return known
    with st.spinner("Looking at all calls…"):
        profiling.profile(here().workspace, here().store)
    return ask(profiling.current)
