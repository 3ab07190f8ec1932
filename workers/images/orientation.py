"""Turning a picture as its EXIF orientation has it (EXIF 2.32, tag 0x0112)."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

from workers.images.formats import image_format
from workers.images.metadata import look

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ORIENTATION = 0x0112
UPRIGHT = 1
_LAST = 8
# From this one on width and height are exchanged.
_SIDEWAYS = 5
# What comes of EXIF that is none, and of a container that Pillow does not open.
_TROUBLE = (KeyError, OSError, RuntimeError, SyntaxError, ValueError, struct.error)


def orientation(data: bytes) -> int:
    """The EXIF orientation in a file's bytes, 1 to 8; 1 where it says none, or nonsense."""
    form = image_format(data)
    if form == "HEIF":
        return UPRIGHT  # its decoder turns pictures itself
    try:
        value = _of_avif(data) if form == "AVIF" else _of_exif(data)
    except _TROUBLE:
        return UPRIGHT
    return value if isinstance(value, int) and UPRIGHT <= value <= _LAST else UPRIGHT


def is_sideways(turned: int) -> bool:
    """Whether an orientation exchanges width and height."""
    return turned >= _SIDEWAYS


def upright(pixels: NDArray[np.uint8], turned: int) -> NDArray[np.uint8]:
    """The pixels, HxWx3, as they are to be seen."""
    if is_sideways(turned):
        pixels = pixels.swapaxes(0, 1)
    if turned in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if turned in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return pixels


def _of_exif(data: bytes) -> int:
    carrier = next((one for one in look(data).carriers if one.kind == "exif"), None)
    if carrier is None:
        return UPRIGHT
    return _tag(data[carrier.start : carrier.end])


def _tag(tiff: bytes) -> int:
    """The tag in the first directory of a TIFF structure (TIFF 6.0, section 2)."""
    order = {b"II": "<", b"MM": ">"}[tiff[:2]]
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
        if tag == _ORIENTATION:
            return int(value)
    return UPRIGHT


def _of_avif(data: bytes) -> object:
    from PIL.AvifImagePlugin import AvifImageFile  # noqa: PLC0415 - few pictures are AVIF

    # Its container has a rotation of its own, which Pillow tells as EXIF.
    return AvifImageFile(BytesIO(data)).getexif().get(_ORIENTATION, UPRIGHT)
