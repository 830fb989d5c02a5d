"""A key that is held down labels one item, not a dozen unseen ones."""

from __future__ import annotations

import streamlit as st

SCRIPT = """
<script>
if (!window.workbenchIgnoresRepeats) {
  window.workbenchIgnoresRepeats = true;
  window.addEventListener("keydown", (event) => {
    if (event.repeat && document.querySelector(".st-key-review-buttons")
        && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
      event.stopImmediatePropagation();
    }
  }, true);
}
</script>
"""
"""Of our own words alone: nothing is ever put into it."""


def ignore() -> None:
    """Let the page ignore the repeats that a keyboard sends while a key is held down.

    Streamlit takes each of them for a press of its own.
    """
    with st.container(key="review-script"):
        st.html(SCRIPT, unsafe_allow_javascript=True)
