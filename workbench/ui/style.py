"""The few rules of style that Streamlit's theme can't say. Our own text alone, never from a log."""

from __future__ import annotations

from dataclasses import asdict

import streamlit as st

from workbench.ui.palette import DARK, LIGHT, Palette, channels
from workbench.ui.session import colours

SCALE = {"LARGE": "1.125rem", "SMALL": ".875rem", "TINY": ".8rem"}
"""Sizes of type beside the body's; .streamlit/config.toml gives the same to headings and code."""

_COLOURS = {
    "CONTROL": "control",
    "CANDIDATE": "candidate",
    "LINE": "line",
    "EMPTY": "empty",
    "GOOD": "good",
    "SOFT": "candidate_soft",
    "MUTED": "muted",
    "GROUND": "ground",
}
"""Names in the rules below, and whose colour of the palette each is."""

_RULES = """
.stMainBlockContainer { max-width: 84rem; }
.stHorizontalBlock { row-gap: 1rem; }
/* Streamlit's own colours of captions, of code and of what is chosen stay below the contrast of WCAG AA. */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] :is(p, li) {
  color: MUTED; opacity: 1;
}
/* Outside the app's own element nobody says which theme is in force: a popover's own colour does. */
[data-st-overlay-root] [data-testid="stCaptionContainer"] { color: inherit; opacity: .8; }
[data-st-overlay-root] [data-testid="stCaptionContainer"] :is(p, li) { color: inherit; }
:is([data-testid="stTab"], [data-variant="segmented_control"])[data-selected="true"] :is(p, span),
[data-variant="pills"]:is([data-selected="true"], [aria-pressed="true"]) :is(p, span),
[data-testid="stSliderThumbValue"] p { color: CONTROL; }
[data-testid="stCode"] .token { color: inherit !important; }
/* What is pressed or open is drawn in a shade so deep that nobody sees it on a dark ground. */
button[kind="tertiary"]:is(:active, [aria-expanded="true"]) { color: CONTROL; }
/* A menu or a field takes its height before the browser has loaded what draws it: nothing below moves. */
:is(.st-key-scope, .st-key-filters, .st-key-costs-filters) .stElementContainer,
:is(.st-key-address-task, .st-key-address-workload, .st-key-address-split, .st-key-address-now),
:is(.st-key-address-first, .st-key-address-second, [class*="st-key-limit-"]),
:is(.st-key-settings-name, .st-key-address-person, .st-key-address-about) { min-height: 4.25rem; }
.st-key-address-show { min-height: 2.5rem; }
/* Before it knows its width the field for files is higher than then; files that come stand below it. */
.st-key-bring-log:not(:has([data-testid="stFileChips"])) { min-height: 6rem; max-height: 6rem; }
/* Which files may come is not cut off. */
[data-testid="stFileUploaderDropzoneInstructions"] span { white-space: normal; }
:is(.st-key-next-step, .st-key-portfolio-reports) { min-height: 2.5rem; }
/* Parts of a page are one level below its title, and as close to what follows as headings below it. */
[data-testid="stHeading"] h2 { padding: .5rem 0 1rem; }
/* Where the keyboard is, on whatever it stops at. */
:is(a, button, summary, [role="tab"], [role="radio"], [role="group"], [data-testid="stCode"]):focus-visible {
  outline: 2px solid CONTROL !important; outline-offset: 1px;
}
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
.wb-blind mark, .wb-fields mark { background: SOFT; }
.wb-fields mark { color: inherit; text-decoration: underline; text-underline-offset: 3px; }
.wb-item { display: flex; flex-direction: column; gap: .75rem; }
.wb-progress { display: flex; align-items: center; gap: .75rem; color: MUTED; font-size: SMALL; }
.wb-progress progress { flex: 0 1 16rem; min-width: 6rem; height: .5rem; accent-color: CONTROL; }
.wb-request {
  border: 1px solid LINE; border-radius: .5rem; padding: .7rem .85rem;
  display: flex; flex-direction: column; gap: .4rem;
}
.wb-head { font-weight: 650; }
.wb-role, .wb-note { color: MUTED; font-size: SMALL; }
.wb-missing { color: MUTED; font-style: italic; }
.wb-text {
  white-space: pre-wrap; overflow-wrap: anywhere; max-height: 22rem; overflow-y: auto; line-height: 1.5;
}
.wb-fold > summary { cursor: pointer; color: MUTED; font-size: SMALL; padding: .1rem 0; }
.wb-fold > .wb-text { margin-top: .35rem; }
.wb-pair {
  display: grid; gap: .9rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr));
}
.wb-side { display: flex; flex-direction: column; gap: .35rem; min-width: 0; }
.wb-short .wb-diff { font-size: LARGE; padding: .9rem 1rem; }
.wb-item kbd {
  border: 1px solid LINE; border-bottom-width: 2px; border-radius: .3rem; padding: 0 .4rem;
  font-size: TINY; font-family: inherit; background: EMPTY;
}
.st-key-review-buttons { padding: .6rem 0; border-top: 1px solid LINE; background: GROUND; }
/* The keys stay in sight however long an answer is. */
div:has(> .st-key-review-buttons) { position: sticky; bottom: 0; z-index: 5; }
div:has(> :is(.st-key-review-script, .st-key-steps-script, .st-key-menu-script, .st-key-downloads-script)) {
  display: none;
}
.wb-fields { width: 100%; border-collapse: collapse; table-layout: fixed; }
.wb-fields th, .wb-fields td {
  text-align: start; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid LINE;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.wb-fields tbody th { width: 26%; font-weight: 500; color: MUTED; }
.wb-fields thead th:first-child { width: 26%; }
/* A link to what is open already looks like the link beside it, not like a place in the menu. */
.st-key-case-head [data-testid="stPageLink-NavLink"]:not(:hover) { background: transparent; }
.st-key-case-head [data-testid="stPageLink-NavLink"] p { font-weight: 400; }
.wb-evidence { width: 100%; border-collapse: collapse; font-size: SMALL; }
.wb-evidence th, .wb-evidence td {
  text-align: start; vertical-align: top; padding: .35rem .5rem; border-bottom: 1px solid LINE;
}
.wb-evidence th { font-weight: 400; color: MUTED; }
.wb-checks td:nth-child(2) { white-space: nowrap; }
/* Streamlit's own export writes cells that a spreadsheet runs as formulas. */
[data-testid="stElementToolbar"] button[aria-label^="Download as CSV"] { display: none; }
[data-testid="stMetricLabel"] { opacity: .85; }
/* A wide table moves its whole text, whose links the keyboard reaches. */
.st-key-help-text { max-width: 52rem; overflow-x: auto; }
.st-key-help-text code { font-size: SMALL; }
.wb-guide { max-width: 46rem; line-height: 1.5; }
.wb-guide p { margin: 0 0 .6rem; }
.wb-guide :is(ol, ul) { margin: 0 0 .6rem; padding-left: 1.4rem; }
.wb-guide .wb-head { margin: .3rem 0 .4rem; }
@media (prefers-reduced-motion: reduce) {
  * { animation-duration: .01ms !important; transition-duration: .01ms !important; }
}
@media (max-width: 640px) {
  .stMainBlockContainer { padding-left: .9rem; padding-right: .9rem; }
  /* What a page is about stays on one line, so that the page itself begins higher. */
  .st-key-scope .stColumn { min-width: calc(50% - 1rem); }
  /* Each on a line of its own, whether its neighbour is drawn yet or not. */
  :is(.st-key-next, .st-key-costs-filters) > * { min-width: 100%; }
  [class*="st-key-facts-"] > :has([data-testid="stCaptionContainer"]) { min-width: 100%; }
  [class*="st-key-metrics-"] { gap: .75rem 1rem; }
  [class*="st-key-metrics-"] > * { min-width: calc(50% - .5rem); }
  .wb-fields tr { display: grid; grid-template-columns: 1fr 1fr; border-bottom: 1px solid LINE; }
  .wb-fields th:first-child { grid-column: 1 / -1; width: auto; padding-bottom: 0; }
  .wb-fields th, .wb-fields td { border-bottom: 0; }
  /* A question with what speaks; below it what was measured, and why that counts. */
  .wb-checks thead { display: none; }
  .wb-checks tr { display: grid; grid-template-columns: 1fr auto; border-bottom: 1px solid LINE; }
  .wb-checks :is(th, td) { border-bottom: 0; padding-block: .15rem; }
  .wb-checks td:nth-child(n + 3) { grid-column: 1 / -1; }
  .wb-checks td:last-child { color: MUTED; padding-bottom: .4rem; }
}
/* Its label takes two lines. */
@media (max-width: 470px) {
  .st-key-bring-log:not(:has([data-testid="stFileChips"])) { min-height: 7.3rem; max-height: 7.3rem; }
}
"""


def apply() -> None:
    """Write the rules that depend on the theme of this run into the page."""
    st.html(theme_rules(colours()))


def document_rules() -> str:
    """Return the rules that hold in any theme, for the document's head.

    Their colours follow the theme when the browser changes it under an open page.
    """
    text = _RULES
    for name in _COLOURS:
        text = text.replace(name, f"var(--wb-{name.lower()})")
    for name, size in SCALE.items():
        text = text.replace(name, size)
    following = " ".join(
        f"--wb-{name.lower()}: light-dark({getattr(LIGHT, each)}, {getattr(DARK, each)});"
        for name, each in _COLOURS.items()
    )
    # Streamlit writes its own rules behind these: nested in the root, of two equal ones they still count.
    return f"<style>\n:root {{\n.stApp {{ {following} }}{text}}}\n</style>"


def theme_rules(colour: Palette) -> str:
    """Return the rules that depend on the theme in force when the script runs.

    Args:
        colour: The theme of this run, for what the browser draws outside the app's own element (popovers):
            only that element is told which theme is in force.
    """
    fixed = " ".join(f"--wb-{name.lower()}: {getattr(colour, each)};" for name, each in _COLOURS.items())
    return f"<style>\n:root {{ {fixed} }}\n{_charts(colour)}\n</style>"


def _charts(drawn: Palette) -> str:
    """Return rules that turn the colours that charts were drawn in into those of the theme in force.

    A chart holds its colours as numbers, and is drawn anew only when the script runs. The cells of a heat map
    are a picture that no rule reaches: it stays whole as it was drawn, on its own ground.
    """
    picture = ":has(.heatmaplayer image)"
    rules = [f".js-plotly-plot{picture} {{ background: {drawn.ground}; }}"]
    for name, colour in asdict(drawn).items():
        shown = "rgb({}, {}, {})".format(*channels(colour))
        now = f"light-dark({getattr(LIGHT, name)}, {getattr(DARK, name)})"
        rules += [
            f'.js-plotly-plot:not({picture}) [style*="{what}: {shown}"] {{ {what}: {now} !important; }}'
            for what in ("fill", "stroke")
        ]
    return "\n".join(rules)
