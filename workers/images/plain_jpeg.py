"""Decoding of plain JPEGs by libjpeg-turbo itself, without what Pillow does around it.

Pillow decodes by the same library, and its pixels are the same to the last bit, but it parses each
header in Python and copies the pixels twice. Whatever is not plain is left to Pillow: images of one
or four channels, and any file about which the library so much as warns.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import simplejpeg
from PIL import Image

from workers.images.containers import START_OF_SCAN, jpeg_segments

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COLOUR_SPACES = frozenset({"YCbCr", "RGB"})
# The longest side in pixels that libjpeg takes (`JPEG_MAX_DIMENSION`).
MAX_SIDE = 65_500
# A JPEG in several scans is collected at full size before it is decoded: it may have this share of
# the pixels of another one.
SCANS_FACTOR = 4
# Frames in one scan, if that has all channels (ITU-T T.81, table B.1): baseline and extended.
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_CHANNELS = 3


def decode_plain(
    data: bytes, max_pixels: int, longest: int | None = None
) -> NDArray[np.uint8] | None:
    """Return the pixels of a plain JPEG, HxWx4 with a fourth channel that means nothing, or None.

    None also for an image of more than `max_pixels`, or with a side above `longest`.
    """
    try:
        height, width, colour_space, _ = simplejpeg.decode_jpeg_header(data)
        if colour_space not in _COLOUR_SPACES or max(height, width) > (longest or MAX_SIDE):
            return None
        limit = max_pixels // SCANS_FACTOR
        if height * width > limit and (height * width > max_pixels or not _is_one_scan(data)):
            return None
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGBX")
    except (ValueError, MemoryError):
        return None
    pixels.flags.writeable = False
    return pixels


def as_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return an image that shares the memory of pixels, HxWx4, of mode RGBX."""
    height, width, _ = pixels.shape
    return Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)


def _is_one_scan(data: bytes) -> bool:
    """Check whether a JPEG is decoded row by row, as its first scan has all channels."""
    try:
        for marker, start, _ in jpeg_segments(data):
            if marker == START_OF_SCAN:
                return data[start] == _CHANNELS
            if 0xC0 <= marker <= 0xC2 and marker not in _SEQUENTIAL:  # noqa: PLR2004
                return False
    except (struct.error, IndexError):
        return False
    return False
