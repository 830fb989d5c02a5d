"""What holds for every page in a real browser: axe-core, one type scale, names for charts, the Tab key."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from playwright.sync_api import TimeoutError as TooLong

from workbench.ui.palette import Palette, channels

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
"""axe-core as its package carries it (Mozilla Public License): run from there, never copied."""

GRAVE = ("serious", "critical")
ALSO = ("heading-order",)
"""Rules that axe calls less grave, and that this app keeps all the same."""


@dataclass(frozen=True)
class Allowed:
    """A finding inside a widget of Streamlit's that this app can't mend."""

    rule: str
    inside: str
    why: str


ALLOWED = (
    Allowed(
        "scrollable-region-focusable",
        "[data-testid='stCode'] pre",
        "Chromium and Firefox let the keyboard scroll it as it is; Streamlit gives it no tabindex.",
    ),
)

TYPE_SCALE_PX = frozenset({12.0, 13.0, 13.1, 15.0, 16.9, 20.2, 27.0})
"""0.8, 0.875, 1, 1.125, 1.35 and 1.8 rem of 15 px, rounded; charts write 12 and 13 px."""

_SIZES = """() => {
    const found = {};
    const walker = document.createTreeWalker(
        document.querySelector('[data-testid="stMain"]'), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const words = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
        if (!words || element.closest('canvas, style, script, [data-testid*="Icon"]')) continue;
        const box = element.getBoundingClientRect();
        if (box.width && box.height) found[getComputedStyle(element).fontSize] ||= words.slice(0, 60);
    }
    return found;
}"""

_NAMELESS = """() => {
    const charts = [...document.querySelectorAll('[data-testid="stPlotlyChart"]')]
        .filter(each => (each.getAttribute('aria-label') || '').length < 20);
    // A table says its words through the buttons of its tool bar: "Search: 3 workloads".
    const tables = [...document.querySelectorAll('[data-testid="stDataFrame"]')]
        .filter(each => !each.querySelector('button[aria-label*=": "]'));
    return [...charts, ...tables].map(each => each.closest('[data-testid="stElementContainer"]').className);
}"""

_CONTROLS = """() => {
    const wanted = 'a[href], button, input:not([type="file"]), textarea, summary, [role="tab"],'
        + ' [tabindex="0"]';
    // What only a mouse brings up, and what a widget's own keys do, is no stop of its own.
    const beside = ['stElementToolbar', 'stNumberInputStepUp', 'stNumberInputStepDown', 'stHeader']
        .map(each => `[data-testid="${each}"]`).join() + ', [aria-hidden="true"], [inert]';
    const group = each => each.closest('[role="radiogroup"], [role="tablist"], [role="toolbar"]');
    const groups = new Set(), found = [];
    for (const each of document.querySelectorAll(wanted)) {
        if (!each.checkVisibility({visibilityProperty: true}) || each.disabled) continue;
        if (each.closest(beside)) continue;
        if (each.matches('[role="combobox"] ~ button, canvas')) continue;
        if (each.tabIndex < 0 && !group(each)) continue;
        if (group(each)) { if (groups.has(group(each))) continue; groups.add(group(each)); }
        const target = group(each) || each;
        target.dataset.wanted = found.length;
        found.push((each.getAttribute('aria-label') || each.textContent || each.tagName).trim().slice(0, 50));
    }
    return found;
}"""

_FOCUSED = """() => {
    const look = element => {
        const parts = [];
        for (let each = element, up = 0; each && up < 5; each = each.parentElement, up++) {
            const style = getComputedStyle(each);
            parts.push(style.outline, style.boxShadow, style.borderColor, style.backgroundColor);
        }
        return parts.join();
    };
    const before = window.wasFocused, focused = document.activeElement;
    // What looks the same with and without the focus does not show where the keyboard is.
    const unseen = before && before.element !== focused && before.element.isConnected
        && before.look === look(before.element) ? before.element.outerHTML.slice(0, 160) : null;
    // A table draws its focus itself, a field its caret; the page as a whole is a stop to scroll it.
    const carets = 'main, textarea, input:is([type="text"], [type="number"], [type="search"])';
    const drawsItself = focused.closest('canvas') || focused.matches(carets);
    window.wasFocused = drawsItself ? null : {element: focused, look: look(focused)};
    const holder = focused.closest('[data-wanted]');
    return [focused === document.body, holder ? +holder.dataset.wanted : -1, unseen];
}"""

_WIDER = """() => Math.max(
    document.documentElement.scrollWidth,
    document.querySelector('[data-testid="stMain"]').scrollWidth) - window.innerWidth"""


_DRAWN_IN = """colours => {
    const found = {};
    for (const each of document.querySelectorAll('.js-plotly-plot svg *')) {
        // Cells that are a picture, and what is written about them, stay as they were drawn.
        if (each.matches('.js-plotly-plot:has(.heatmaplayer image) *')) continue;
        const shown = getComputedStyle(each);
        for (const what of ['fill', 'stroke']) {
            if (colours.includes(shown[what]))
                found[`${what} ${shown[what]}`] ||= each.textContent || each.getAttribute('class');
        }
    }
    return Object.entries(found).map(each => each.join(': '));
}"""


def drawn_in(page: Any, other: Palette, besides: Palette) -> list[str]:
    """Return what charts show in colours of another theme.

    Args:
        page: An open page.
        other: The theme that is not in force.
        besides: The one that is: colours that both have are left out.
    """
    alien = set(asdict(other).values()) - set(asdict(besides).values())
    colours = ["rgb({}, {}, {})".format(*channels(each)) for each in alien]
    found: list[str] = page.evaluate(_DRAWN_IN, colours)
    return found


def grave_findings(page: Any, rules: list[str] | None = None, settled_ms: int = 1_500) -> list[str]:
    """Run axe-core over a page, and tell what is serious or critical, not allowed, and stays.

    Args:
        page: The tab, with its page settled.
        rules: Names of rules to look for; None means all.
        settled_ms: When to look again at a page with findings: what Streamlit draws anew fades in,
            and half-way its words are paler than they will be.
    """
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules is not None:
        options["runOnly"] = rules
    if found := _findings(page, options):
        page.wait_for_timeout(settled_ms)
        found = _findings(page, options)
    return found


def _findings(page: Any, options: dict[str, Any]) -> list[str]:
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE)
    found = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in GRAVE or rule["id"] in ALSO
        for node in rule["nodes"]
        if not _allowed(page, rule["id"], node["target"][-1])
    ]


def _allowed(page: Any, rule: str, selector: str) -> bool:
    inside = "([s, inside]) => Boolean(document.querySelector(s)?.closest(inside))"
    return any(each.rule == rule and page.evaluate(inside, [selector, each.inside]) for each in ALLOWED)


def odd_sizes(page: Any) -> dict[str, str]:
    """Return words of the page whose size is not on the type scale, by size."""
    found: dict[str, str] = page.evaluate(_SIZES)
    return {
        size: words
        for size, words in found.items()
        if min(abs(float(size.removesuffix("px")) - each) for each in TYPE_SCALE_PX) > 0.2
    }


def nameless(page: Any) -> list[str]:
    """Return the charts and tables that say nothing to people who don't see them."""
    found: list[str] = page.evaluate(_NAMELESS)
    return found


def out_of_reach(page: Any, presses: int = 250) -> list[str]:
    """Press Tab through a page, and return the controls that it never reaches or reaches unseen.

    Args:
        page: The tab.
        presses: When to give up.
    """
    wanted: list[str] = page.evaluate(_CONTROLS)
    page.evaluate("() => { document.activeElement?.blur(); window.wasFocused = null; }")
    reached: set[int] = set()
    unseen: list[str] = []
    for press in range(presses):
        page.keyboard.press("Tab")
        left, number, hidden = page.evaluate(_FOCUSED)
        reached.add(number)
        if hidden:
            unseen.append(f"focus not seen: {hidden}")
        if (left and press) or len(reached - {-1}) == len(wanted):
            break
    return [f"not reached: {wanted[each]}" for each in range(len(wanted)) if each not in reached] + unseen


def too_wide(page: Any, wait_ms: int = 3_000) -> int:
    """Return by how many pixels a page stays wider than its window.

    Args:
        page: The tab.
        wait_ms: How long its tables may take to follow a window that has just become narrower.
    """
    with contextlib.suppress(TooLong):
        page.wait_for_function(f"() => ({_WIDER})() <= 0", timeout=wait_ms)
    found: int = page.evaluate(_WIDER)
    return found


_FITS = r"""() => {
    const short = [], high = each => each.getBoundingClientRect().height;
    for (const table of document.querySelectorAll('[data-testid="stDataFrame"]')) {
        const scroller = table.querySelector('.dvn-scroller');
        const inner = table.querySelector('.dvn-scroll-inner');
        if (!scroller || !inner || !high(table)) continue;
        const more = high(inner) - scroller.clientHeight;
        if (more < -4 || (more > 1 && more < 16))
            short.push(`a table of ${high(table)} px is ${-more} px too high`);
    }
    for (const metric of document.querySelectorAll('[data-testid="stMetric"]')) {
        const needs = [...metric.children].reduce((sum, each) => sum + high(each), 0);
        if (needs > high(metric) + .5 || needs < high(metric) - 3)
            short.push(`a figure of ${high(metric)} px needs ${needs}: ${metric.textContent.slice(0, 40)}`);
    }
    return short;
}"""


def ill_fitting(page: Any) -> list[str]:
    """Return figures and tables whose height is not what is drawn in them: they scroll, or leave a gap."""
    found: list[str] = page.evaluate(_FITS)
    return found
