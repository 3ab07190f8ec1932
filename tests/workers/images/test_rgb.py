"""Conversion of images of all modes to RGB."""

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


def test_rgb_is_not_copied() -> None:
    """An RGB image is returned as it is."""
    image = Image.new("RGB", (2, 2))

    assert image is to_rgb(image)


def test_transparency_is_laid_over_white() -> None:
    """Transparent pixels become white, half transparent ones half so."""
    image = Image.new("RGBA", (3, 1))
    image.putdata([(200, 0, 0, 255), (9, 9, 9, 0), (0, 0, 0, 128)])

    assert [(200, 0, 0), (255, 255, 255), (127, 127, 127)] == _rgb(image)


def test_grey_with_transparency() -> None:
    """Grey with an alpha channel is laid over white."""
    image = Image.new("LA", (2, 1))
    image.putdata([(7, 255), (7, 0)])

    assert [(7, 7, 7), (255, 255, 255)] == _rgb(image)


def test_palette_with_transparent_entry() -> None:
    """A palette's transparent entry becomes white, other entries their colours."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.info["transparency"] = 1

    assert [(10, 20, 30), (255, 255, 255)] == _rgb(image)


def test_transparent_colour_of_rgb() -> None:
    """A colour that PNG declares transparent becomes white."""
    image = Image.new("RGB", (2, 1))
    image.putdata([(1, 2, 3), (4, 5, 6)])
    image.info["transparency"] = (4, 5, 6)

    assert [(1, 2, 3), (255, 255, 255)] == _rgb(image)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """Black, middle and white of 16 bits become those of 8 bits."""
    image = _grey([0, 257 * 100, 65535], np.uint16, "I;16")

    assert [(0,) * 3, (100,) * 3, (255,) * 3] == _rgb(image)


def test_dark_sixteen_bits_stay_dark() -> None:
    """A dark 16-bit image stays dark."""
    assert [(1,) * 3, (2,) * 3] == _rgb(_grey([257, 514], np.uint16, "I;16"))


def test_wide_integers_are_scaled_from_their_range() -> None:
    """32-bit integers are scaled by their own range."""
    assert [(0,) * 3, (51,) * 3, (255,) * 3] == _rgb(_grey([-100, 100, 900], np.int32, "I"))


def test_floats_in_the_unit_interval() -> None:
    """Floats from 0 to 1 are scaled by 255, whatever their range."""
    assert [(51,) * 3, (204,) * 3] == _rgb(_grey([0.2, 0.8], np.float32, "F"))


def test_other_floats() -> None:
    """Other floats are scaled by their range; NaN and infinities count as zero."""
    image = _grey([math.nan, math.inf, -math.inf, 1000.0], np.float32, "F")

    assert [(0,) * 3, (0,) * 3, (0,) * 3, (255,) * 3] == _rgb(image)


@pytest.mark.parametrize("values", [[5.0, 5.0], [3.4e38, -3.4e38]])
def test_extreme_ranges(values: list[float]) -> None:
    """A single value, and the largest floats, are converted without an error."""
    assert 2 == len(_rgb(_grey(values, np.float32, "F")))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX", "PA"])
def test_other_modes_become_rgb(mode: str) -> None:
    """Every mode that a decoder can give is converted to RGB."""
    assert 6 == len(_rgb(Image.new(mode, (3, 2))))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_every_mode_shrinks(mode: str) -> None:
    """Shrinking divides each side, rounded up, in any mode."""
    assert (4, 3) == to_rgb(Image.new(mode, (10, 7)), 3).size


def test_shrinking_averages_blocks() -> None:
    """Shrinking replaces each block by its mean."""
    image = Image.new("L", (2, 2))
    image.putdata([0, 100, 100, 200])

    assert [(100, 100, 100)] == _rgb(image, 2)
