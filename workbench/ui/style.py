"""The few rules of style that Streamlit's theme can't say. Our own text alone, never from a log."""

from __future__ import annotations

import streamlit as st

from workbench.ui.palette import Palette
from workbench.ui.session import colours

_RULES = """
<style>
.stMainBlockContainer { padding-top: 4.2rem; padding-bottom: 3rem; max-width: 84rem; }
.wb-diff {
  white-space: pre-wrap; overflow-wrap: anywhere; max-height: 26rem; overflow-y: auto;
  padding: .7rem .85rem; border-radius: .5rem; border: 1px solid LINE;
  border-left: 4px solid LINE; background: EMPTY; line-height: 1.5;
}
.wb-control { border-left-color: CONTROL; }
.wb-candidate { border-left-color: CANDIDATE; }
.wb-diff mark {
  color: inherit; background: transparent; text-decoration: underline; font-weight: 650;
  text-decoration-thickness: 2px; text-underline-offset: 3px;
}
.wb-control mark { text-decoration-color: CONTROL; background: GOOD; }
.wb-candidate mark { text-decoration-color: CANDIDATE; background: SOFT; }
.wb-blind mark { background: SOFT; }
/* Streamlit's own export writes cells that a spreadsheet runs as formulas. */
[data-testid="stElementToolbar"] button[aria-label^="Download as CSV"] { display: none; }
[data-testid="stMetricLabel"] { opacity: .85; }
@media (max-width: 640px) {
  .stMainBlockContainer { padding-left: .9rem; padding-right: .9rem; }
}
</style>
"""


def apply() -> None:
    """Write the rules into the page."""
    st.html(rules(colours()))


def rules(colour: Palette) -> str:
    """Return the rules in the colours of a theme."""
    text = _RULES
    for name, value in (
        ("CONTROL", colour.control),
        ("CANDIDATE", colour.candidate),
        ("LINE", colour.line),
        ("EMPTY", colour.empty),
        ("GOOD", colour.good),
        ("SOFT", colour.candidate_soft),
    ):
        text = text.replace(name, value)
    return text
