"""The menu on a narrow screen: it lies over the page, and leaves it once a page is chosen."""

from __future__ import annotations

import streamlit as st

SCRIPT = """
<script>
if (!window.workbenchMenu) {
  window.workbenchMenu = true;
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.('[data-testid="stSidebarNavLink"]')) return;
    if (!matchMedia("(max-width: 768px)").matches) return;
    document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
  });
}
</script>
"""
"""Of our own words alone: nothing is ever put into it.

Up to that width Streamlit lays its menu over the page. There it would stay until somebody closes it, so that
whoever chose a page does not see it.
"""


def fold() -> None:
    """Let the menu close when a page is chosen, where it covers the page."""
    with st.container(key="menu-script"):
        st.html(SCRIPT, unsafe_allow_javascript=True)
