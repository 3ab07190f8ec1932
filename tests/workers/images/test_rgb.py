"""Modes of pictures as RGB."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from workers.images.rgb import to_rgb


def _rgb(image: Image.Image, shrink: int = 1) -> list[tuple[int, ...]]:
    rgb = to_rgb(image, shrink)

    assert "RGB" == rgb.mode
    return [tuple(pixel) for row in np.asarray(rgb).tolist() for pixel in row]


def _grey(values: list[float], kind: type, mode: str) -> Image.Image:
    image = Image.fromarray(np.array([values], kind))

    assert mode == image.mode
    return image


def test_rgb_stays_itself() -> None:
    """What is RGB already is not copied."""
    image = Image.new("RGB", (2, 2))

    assert image is to_rgb(image)


def test_transparency_is_laid_over_white() -> None:
    """Clear pixels are white, half clear ones half way there, whatever colour they hide."""
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 0, 0, 255), (9, 9, 9, 0), (0, 0, 0, 128)])

    assert [(200, 0, 0), (255, 255, 255), (127, 127, 127)] == _rgb(image)


def test_grey_with_transparency() -> None:
    """Grey has an alpha channel, too."""
    image = Image.new("LA", (2, 1))
    image.putdata([(7, 255), (7, 0)])

    assert [(7, 7, 7), (255, 255, 255)] == _rgb(image)


def test_a_palette_with_a_clear_colour() -> None:
    """A palette's transparent entry is white, its others are their colours."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.info["transparency"] = 1

    assert [(10, 20, 30), (255, 255, 255)] == _rgb(image)


def test_a_clear_colour_of_rgb() -> None:
    """PNG may name one colour as clear without an alpha channel."""
    image = Image.new("RGB", (2, 1))
    image.putdata([(1, 2, 3), (4, 5, 6)])
    image.info["transparency"] = (4, 5, 6)

    assert [(1, 2, 3), (255, 255, 255)] == _rgb(image)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """Black, half and white of 16 bits are black, half and white of eight."""
    image = _grey([0, 257 * 100, 65535], np.uint16, "I;16")

    assert [(0,) * 3, (100,) * 3, (255,) * 3] == _rgb(image)


def test_dark_sixteen_bits_stay_dark() -> None:
    """The scale is that of 16 bits, not that of the picture."""
    assert [(1,) * 3, (2,) * 3] == _rgb(_grey([257, 514], np.uint16, "I;16"))


def test_wide_integers_are_scaled_from_their_range() -> None:
    """Of 32-bit integers nothing but their range says what is black and white."""
    assert [(0,) * 3, (51,) * 3, (255,) * 3] == _rgb(_grey([-100, 100, 900], np.int32, "I"))


def test_floats_in_the_unit_interval_keep_it() -> None:
    """Zero is black and one is white, even where the picture has neither."""
    assert [(51,) * 3, (204,) * 3] == _rgb(_grey([0.2, 0.8], np.float32, "F"))


def test_other_floats_are_scaled_and_no_numbers_are_none() -> None:
    """A float's range is its scale; NaN and infinities count as zero."""
    image = _grey([math.nan, math.inf, -math.inf, 1000.0], np.float32, "F")

    assert [(0,) * 3, (0,) * 3, (0,) * 3, (255,) * 3] == _rgb(image)


@pytest.mark.parametrize("values", [[5.0, 5.0], [3.4e38, -3.4e38]])
def test_ranges_at_the_edge_raise_nothing(values: list[float]) -> None:
    """One value only, and the largest floats there are, are pictures too."""
    assert 2 == len(_rgb(_grey(values, np.float32, "F")))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "PA"])
def test_other_modes_become_rgb(mode: str) -> None:
    """Every mode that a decoder may give comes out as RGB of its size."""
    assert 6 == len(_rgb(Image.new(mode, (3, 2))))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_every_mode_shrinks(mode: str) -> None:
    """Shrinking divides each side, rounding up, in any mode."""
    assert (4, 3) == to_rgb(Image.new(mode, (10, 7)), 3).size


def test_shrinking_averages_blocks() -> None:
    """A block's pixels come to their mean."""
    image = Image.new("L", (2, 2))
    image.putdata([0, 100, 100, 200])

    assert [(100, 100, 100)] == _rgb(image, 2)
