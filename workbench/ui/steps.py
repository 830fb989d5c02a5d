"""One step of the browser's history for each thing that a person does."""

from __future__ import annotations

import streamlit as st

SCRIPT = """
<script>
if (!window.workbenchSteps) {
  window.workbenchSteps = true;
  let acted = false;
  const push = history.pushState.bind(history);
  history.pushState = (...entry) => {
    if (acted) push(...entry); else history.replaceState(...entry);
    acted = false;
  };
  for (const kind of ["pointerdown", "click", "keydown"])
    window.addEventListener(kind, (event) => { acted ||= event.isTrusted; }, true);
}
</script>
"""
"""Of our own words alone: nothing is ever put into it.

Streamlit makes an entry of the history for each parameter that a run writes into the address, and one more
for another page, so that it takes several steps back to leave what one click opened; the first of them are
half of an address. Here only the first entry after a click or a key is a new one: what the page writes by
itself belongs to it. Without the script a step back takes several presses.
"""


def join() -> None:
    """Let a step back return to the page as it was before the last click."""
    with st.container(key="steps-script"):
        st.html(SCRIPT, unsafe_allow_javascript=True)
