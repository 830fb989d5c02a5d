"""Two figures as SVG: the ladder of shares, and harm with its limits against the tolerance."""

from __future__ import annotations

import math
from collections.abc import Sequence

from workbench.records import Estimate, Policy
from workbench.report.wording import estimated, percent
from workbench.stats.ladder import CEILING, allowed
from workbench.stats.wording import percent as stage

WIDTH = 640
WORDS, WORDS_ALLOWED = 64, 100
"""Words below or above a place keep this far from the edge, so that none of them is cut."""
HALF_LETTER = 4
"""Half of a letter's width at most, so that words above the ends of the ladder stay within the figure."""
ABOVE = 18
"""How far above the words on the tolerance those on what a share allows stand."""


def ladder(steps: Sequence[float], current: float, share: float, cap: float) -> str:
    """Draw the ladder: what is served now, what is recommended, and what the evidence supports.

    Args:
        steps: The stages, 0..1, rising.
        current: Share now.
        share: Recommended share.
        cap: The largest share that the evidence supports.
    """
    gap = WIDTH / max(len(steps), 1)
    marks = ((current, "now"), (share, "next"), (cap, "cap"))
    alt = f"Ladder: now {stage(current)}, recommended {stage(share)}, supported up to {stage(cap)}."
    parts = [f'<svg viewBox="0 0 {WIDTH} 74" role="img" aria-label="{alt}"><title>{alt}</title>']
    for index, each in enumerate(steps):
        kind = "open"
        if each > 0:
            kind = "reached" if each <= share + 1e-9 else "supported" if each <= cap + 1e-9 else "open"
        left = index * gap + 3
        parts.append(f'<rect class="{kind}" x="{left:.1f}" y="24" width="{gap - 6:.1f}" height="18" rx="3"/>')
        middle = left + (gap - 6) / 2
        parts.append(f'<text x="{middle:.1f}" y="60" text-anchor="middle">{stage(each)}</text>')
        here = [word for value, word in marks if math.isclose(each, value, abs_tol=1e-9)]
        if here:
            strong = ' class="strong"' if "next" in here else ""
            words = " · ".join(here)
            place = _inside(middle, len(words) * HALF_LETTER)
            parts.append(f'<text{strong} x="{place:.1f}" y="16" text-anchor="middle">{words}</text>')
    return "".join([*parts, "</svg>"])


def harm(estimate: Estimate, policy: Policy, share: float) -> str:
    """Draw the estimate of harm with its limits, the tolerance, and what a share of traffic allows beyond it.

    Args:
        estimate: Of the share of calls that get worse.
        policy: Tolerance, exploration budget and ladder.
        share: Recommended share, 0..1; what the first stage allows is marked where it is 0.
    """
    tolerance = policy.tolerance
    beyond = allowed(share, policy)
    most = min(1.0, max(estimate.high, CEILING * tolerance) * 1.1) or 1.0

    def place(rate: float) -> float:
        return 8 + (WIDTH - 16) * min(max(rate, 0.0), most) / most

    alt = (
        f"Harm {estimated(estimate.point)}, between {percent(estimate.low)} and {percent(estimate.high)}; "
        f"tolerance {percent(tolerance)}"
    )
    alt += f"; moving {stage(beyond[0])} allows {percent(beyond[1])}." if beyond else "."
    low, high = place(estimate.low), place(estimate.high)
    parts = [
        f'<svg viewBox="0 {-ABOVE if beyond else 0} {WIDTH} {74 + (ABOVE if beyond else 0)}" role="img" '
        f'aria-label="{alt}"><title>{alt}</title>',
        f'<line class="axis" x1="8" y1="40" x2="{WIDTH - 8}" y2="40"/>',
        f'<line class="limit" x1="{place(tolerance):.1f}" y1="22" x2="{place(tolerance):.1f}" y2="58"/>',
        f'<text x="{_inside(place(tolerance)):.1f}" y="16" text-anchor="middle">'
        f"tolerance {percent(tolerance)}</text>",
        f'<line class="band" x1="{low:.1f}" y1="40" x2="{max(high, low + 1):.1f}" y2="40"/>',
    ]
    if estimate.point is not None:
        parts.append(f'<circle class="point" cx="{place(estimate.point):.1f}" cy="40" r="6"/>')
    if beyond:
        line, words = place(beyond[1]), f"moving {stage(beyond[0])} allows {percent(beyond[1])}"
        parts.append(f'<line class="allowed" x1="{line:.1f}" y1="22" x2="{line:.1f}" y2="58"/>')
        parts.append(
            f'<text class="quiet" x="{_inside(line, WORDS_ALLOWED):.1f}" y="{16 - ABOVE}" '
            f'text-anchor="middle">{words}</text>'
        )
    left = _inside(high)
    parts.append(f'<text x="{left:.1f}" y="68" text-anchor="middle">at most {percent(estimate.high)}</text>')
    return "".join([*parts, "</svg>"])


def _inside(place: float, words: float = WORDS) -> float:
    return min(max(place, words), WIDTH - words)
