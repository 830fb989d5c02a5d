"""What a key of Review does: it labels the item on screen, at once, or nothing."""

from __future__ import annotations

import streamlit as st

SCRIPT = """
<script>
if (!window.workbenchKeys) {
  window.workbenchKeys = true;
  const CHOICES = {"1": "left", "2": "right", e: "equal", b: "both_bad", s: "skip"};
  const PATIENCE_MS = 3000;
  let awaited = null, onScreen = null, answered = null, answeredAt = 0;
  const mark = () => {
    const found = document.querySelector('.st-key-review-buttons [class*="st-key-equal-"]');
    const parts = found && found.className.match(/(?:^|\\s)st-key-equal-(\\S+)/);
    return parts ? parts[1] : null;
  };
  const look = () => {
    const found = mark();
    if (found === awaited) return;
    awaited = found;
    onScreen = null;
    if (found) requestAnimationFrame(() => requestAnimationFrame(() => {
      if (mark() === found) onScreen = found;
    }));
  };
  new MutationObserver(look).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["class"]
  });
  look();
  window.addEventListener("keydown", (event) => {
    if (!document.querySelector(".st-key-review-buttons")) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable) return;
    if (event.repeat) { event.stopImmediatePropagation(); return; }
    const item = mark();
    const name = CHOICES[event.key.toLowerCase()];
    if (!item || !name || event.ctrlKey || event.metaKey || event.altKey) return;
    const button = document.querySelector(`.st-key-${name}-${CSS.escape(item)} button`);
    if (!button) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    const waits = item === answered && event.timeStamp - answeredAt < PATIENCE_MS;
    if (item !== onScreen || waits) return;
    answered = item;
    answeredAt = event.timeStamp;
    button.click();
  }, true);
}
</script>
"""
"""Of our own words alone: nothing is ever put into it.

Streamlit hears a key some moments after it has drawn a button, and takes each repeat of a key that is
held down for a press of its own. Here a key counts from the frame on in which its item is on screen,
presses that item's button, and is heard by nothing else. The first key of an item is the one that counts:
of two that reach a busy server together, it could not tell which came first. After some seconds in which
the same item stays, another key may try again. Without the script the buttons' own keys work.
"""


def ignore() -> None:
    """Let a key press the button of the item on screen, once, however long it is held down."""
    with st.container(key="review-script"):
        st.html(SCRIPT, unsafe_allow_javascript=True)
