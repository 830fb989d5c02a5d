"""Downloads that came to nothing: what happened is said at once and in our own words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.ui import session, who

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

REFUSED = "The last download was refused."
FAILED = "The last download failed. Try it again; where it fails again, the app's log says why."

SCRIPT = """
<script>
if (!window.workbenchDownloads) {
  window.workbenchDownloads = true;
  const failed = '[data-testid="stDownloadButtonError"]';
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) {
      const place = node.matches?.(failed) ? node : node.querySelector?.(failed);
      if (!place) continue;
      place.textContent = "No file came. The top of this page says why.";
      document.querySelector(".st-key-downloads-why button")?.click();
      document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0 });
    }
  }).observe(document.body, { childList: true, subtree: true });
}
</script>
"""
"""Of our own words alone: nothing is ever put into it.

Streamlit makes a file after the press, in a thread that belongs to no visit, and where that fails writes
words of its own beside the button, for five seconds. It runs no page then, which could say why; here a
button that nobody sees is pressed for it.
"""


def say(place: DeltaGenerator, *, blind: bool) -> None:
    """Say why downloads of this visit came to nothing since the page last ran.

    Args:
        place: Where to say it.
        blind: Whether the page names no model.
    """
    with st.container(key="downloads-script"):
        st.html(SCRIPT, unsafe_allow_javascript=True)
        failed = st.button("Why no file came", key="downloads-why")
    errors = who.refused()
    with place:
        for error in errors:
            session.complain(error, blind="" if blind else None, what=REFUSED)
        if failed and not errors:
            st.error(FAILED, icon=":material/error:")
