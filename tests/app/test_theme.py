"""The theme: contrast in light and dark, colours that colour-blind people tell apart, one type scale."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from test_figures import contrast

import workbench
from workbench.ui import figures, style
from workbench.ui.palette import DARK, LIGHT, Palette

CONFIG = Path(workbench.__file__).parent / ".streamlit" / "config.toml"
THEME: dict[str, Any] = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
SCALE_REM = {0.8, 0.875, 1.0, 1.125, 1.35, 1.8}
FIGURE_PX = {12, 13}
APART = 25.0
"""CIE76 distance at which two lines of a chart are told apart at a glance; 2.3 is just noticeable."""

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
WHITE = (0.95047, 1.0, 1.08883)
TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)

Triple = tuple[float, float, float]


def linear(colour: str) -> Triple:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return red, green, blue


def times(matrix: tuple[Triple, ...], vector: Triple) -> Triple:
    first, second, third = (sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix)
    return first, second, third


def lab(light: Triple) -> Triple:
    xyz = times(TO_XYZ, tuple(min(1.0, max(0.0, each)) for each in light))  # type: ignore[arg-type]
    x, y, z = (
        each ** (1 / 3) if each > 0.008856 else 7.787 * each + 16 / 116
        for each in (value / white for value, white in zip(xyz, WHITE, strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: str, other: str, blindness: str | None = None) -> float:
    seen = [
        lab(times(BLINDNESS[blindness], linear(each)) if blindness else linear(each)) for each in (one, other)
    ]
    return math.dist(*seen)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("blindness", [None, *BLINDNESS])
def test_control_and_candidate_stay_apart_for_everybody(colours: Palette, blindness: str | None) -> None:
    """Blue and orange are two colours under each common colour blindness, on bars, lines and underlines."""
    assert distance(colours.control, colours.candidate, blindness) >= APART
    # What may move next and what the evidence would support: a full and a pale bar of one colour.
    assert distance(colours.candidate, colours.candidate_soft, blindness) >= APART


def test_a_red_and_a_green_would_not_pass() -> None:
    """The measure finds the pair that charts are warned of."""
    assert distance("#c0392b", "#7a7a1f", "deuteranopia") < APART <= distance("#c0392b", "#27ae60")


@pytest.mark.parametrize(("name", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_the_theme_and_the_palette_say_the_same_and_are_read_with_ease(name: str, colours: Palette) -> None:
    """WCAG AA for text on each ground of the theme, for white on its buttons, and for what is chosen."""
    theme = THEME[name]
    assert (theme["textColor"], theme["backgroundColor"]) == (colours.text, colours.ground)
    for ground in (theme["backgroundColor"], theme["secondaryBackgroundColor"], theme["codeBackgroundColor"]):
        assert contrast(theme["textColor"], ground) >= 7
        assert contrast(theme["linkColor"], ground) >= 4.5
        assert contrast(colours.muted, ground) >= 4.5
        assert contrast(colours.control, ground) >= 4.5
    assert contrast("#ffffff", theme["primaryColor"]) >= 4.5


def test_there_is_one_type_scale() -> None:
    """The configuration, the style sheet and the figures write no size that is not on it."""
    given = [*THEME["headingFontSizes"], THEME["metricValueFontSize"], THEME["codeFontSize"]]
    written = re.findall(r"font-size:\s*([\d.]+)rem", style.document_rules())
    assert {float(each.removesuffix("rem")) for each in given} <= SCALE_REM
    assert {float(each) for each in written} <= SCALE_REM
    assert not re.search(r"font-size:\s*[\d.]+(px|em|pt|%)", style.document_rules())
    folder = Path(figures.__file__).parent
    sizes = {
        int(found)
        for path in folder.glob("*.py")
        for found in re.findall(r"font\"?(?:=|: )\{[^}]*\"size\": (\d+)", path.read_text(encoding="utf-8"))
    }
    assert sizes <= FIGURE_PX
