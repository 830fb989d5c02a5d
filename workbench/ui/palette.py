"""The colours of control and candidate, in light and in dark, the same in charts and in text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one theme. Blue and orange stay apart under every common colour blindness."""

    control: str
    candidate: str
    candidate_soft: str
    on_candidate: str
    text: str
    muted: str
    line: str
    empty: str
    good: str
    ground: str


LIGHT = Palette(
    control="#0b5cad",
    candidate="#b8520a",
    candidate_soft="#f3d3b8",
    on_candidate="#ffffff",
    text="#17212e",
    muted="#55637a",
    line="#c3ccd8",
    empty="#e9eef4",
    good="#dcebf9",
    ground="#ffffff",
)

DARK = Palette(
    control="#7dbdff",
    candidate="#f0a04b",
    candidate_soft="#5d3d18",
    on_candidate="#10161e",
    text="#e6edf5",
    muted="#a3b1c2",
    line="#455468",
    empty="#222d3a",
    good="#1b3550",
    ground="#10161e",
)


def palette(theme: str | None) -> Palette:
    """Return the colours of a theme.

    Args:
        theme: `dark`, or anything else for light.
    """
    return DARK if theme == "dark" else LIGHT


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2.2 defines it."""
    dark, light = sorted((_luminance(first), _luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def between(first: str, second: str, part: float) -> tuple[int, int, int]:
    """Return the colour that lies a part of the way, 0..1, from one colour to another, as a heat map does."""
    found = [round(a + part * (b - a)) for a, b in zip(channels(first), channels(second), strict=True)]
    return found[0], found[1], found[2]


def _luminance(colour: tuple[int, int, int]) -> float:
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4
        for each in (channel / 255 for channel in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def channels(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue of a colour, each of 0 to 255.

    Args:
        colour: As a palette writes it, `#rrggbb`.
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
