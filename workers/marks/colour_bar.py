"""The bar of five colours that DALL-E 2 leaves in the lower right corner of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workers.images.rgb import to_rgb

if TYPE_CHECKING:
    from PIL import Image

# Its squares, from left to right. An image of 1,024 pixels has squares of 16; smaller ones, and
# copies of other sizes, in proportion.
COLOURS = np.array(
    [(255, 255, 102), (66, 255, 255), (81, 218, 76), (255, 110, 60), (60, 70, 255)], np.float64
)
_SHARE = 16 / 1024
# Pixels that a square has at least: in smaller ones JPEG mixes the colours.
_MIN_SQUARE = 6
# Grey levels by which a square's middle may differ from its colour, and vary.
_MAX_DIFFERENCE, _MAX_DEVIATION = 40, 16


def find(image: Image.Image) -> tuple[int, int, int, int] | None:
    """Return the box of the bar in pixels: left, top, right, bottom; None where there is none."""
    square = round(image.width * _SHARE)
    count = len(COLOURS)
    if square < _MIN_SQUARE or image.height < square:
        return None
    box = (image.width - count * square, image.height - square, image.width, image.height)
    pixels = np.asarray(to_rgb(image.crop(box)), np.float64)
    # Colours bleed over the edges of squares in JPEG.
    edge = max(1, square // 4)
    squares = pixels.reshape(square, count, square, 3).swapaxes(0, 1)
    middles = squares[:, edge:-edge, edge:-edge].reshape(count, -1, 3)
    if np.abs(middles.mean(1) - COLOURS).max() > _MAX_DIFFERENCE:
        return None
    return None if middles.std(1).max() > _MAX_DEVIATION else box
