"""The page's colours: readable in light and dark mode (WCAG 2.2 AA)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import scanner.report.formats

STYLE = (Path(scanner.report.formats.__file__).parent / "templates" / "style.css").read_text(
    "utf-8"
)
LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
)
TEXT = ("ink", "quiet")
DRAWN = ("ai", "unsure", "nothing", "unseen", "error", *(f"line-{n}" for n in range(1, 7)))


def luminance(colour: str) -> float:
    """Return the relative luminance by WCAG's definition."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(palette: dict[str, str]) -> None:
    """Text has a contrast of 4.5 to 1 on page and panels, graphics 3 to 1."""
    for ground in ("paper", "panel"):
        assert [name for name in TEXT if contrast(palette[name], palette[ground]) < 4.5] == []
    assert [name for name in DRAWN if contrast(palette[name], palette["paper"]) < 3] == []


def test_contrast_by_hand() -> None:
    """Black on white is 21 to 1, the grey of the textbook 4.54 to 1."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_both_palettes_have_the_same_colours() -> None:
    """Every colour differs between light and dark mode."""
    assert LIGHT.keys() == DARK.keys()
