"""EXIF orientation (EXIF 2.32, tag 0x0112): how a stored image is to be turned for viewing."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

from workers.images import tiff
from workers.images.formats import decodable_format
from workers.images.metadata import find_metadata
from workers.images.raw_preview import find_preview

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UPRIGHT = 1
_LAST = 8
# From this one on width and height are exchanged.
_SIDEWAYS = 5
# Their decoders turn images themselves.
_TURNED_BY_DECODER = {"HEIF", "JXL", "TIFF"}
# What Pillow raises for an AVIF that it does not open, or whose EXIF is damaged.
_AVIF_ERRORS = (KeyError, OSError, RuntimeError, SyntaxError, ValueError, struct.error)


def read_orientation(data: bytes) -> int:
    """Return how a file's decoded pixels are to be turned: 1 to 8, 1 where EXIF says nothing.

    For a RAW that is how its preview is to be turned.
    """
    form = decodable_format(data)
    if form in {None, "TIFF"} and (preview := find_preview(data)) is not None:
        return preview.orientation or read_orientation(preview.data)
    if form in _TURNED_BY_DECODER:
        return UPRIGHT
    value = _avif_orientation(data) if form == "AVIF" else _exif_orientation(data)
    return value if isinstance(value, int) and UPRIGHT <= value <= _LAST else UPRIGHT


def is_sideways(orientation: int) -> bool:
    """Check whether an orientation exchanges width and height."""
    return orientation >= _SIDEWAYS


def apply_orientation(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return stored pixels, HxWx3, as they are to be viewed."""
    if is_sideways(orientation):
        pixels = pixels.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels


def _exif_orientation(data: bytes) -> int | None:
    for block in find_metadata(data).blocks:
        if block.kind == "exif":
            return tiff.first_integer(data[block.start : block.end], tiff.ORIENTATION)
    return None


def _avif_orientation(data: bytes) -> object:
    from PIL.AvifImagePlugin import AvifImageFile  # noqa: PLC0415 - few images are AVIF

    try:
        # AVIF has a rotation of its own, which Pillow reports as EXIF.
        return AvifImageFile(BytesIO(data)).getexif().get(tiff.ORIENTATION, UPRIGHT)
    except _AVIF_ERRORS:
        return UPRIGHT
