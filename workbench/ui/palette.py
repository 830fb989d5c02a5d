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


def channels(colour: str) -> tuple[int, int, int]:
    """Return red, green and blue of a colour, each of 0 to 255.

    Args:
        colour: As a palette writes it, `#rrggbb`.
    """
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue
