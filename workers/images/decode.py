"""Decode the pixels of an image from untrusted bytes.

The format is identified by content, and the size limited before anything is allocated. All of the
image is decoded: nothing else shows whether a file is complete.
"""

from __future__ import annotations

import logging
import re
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from workers.images.errors import DECODER_ERRORS, DecodeError, to_decode_error
from workers.images.formats import ONLY_METADATA, decodable_format, identify, refusal
from workers.images.metadata import EXIF_SIGNATURE
from workers.images.opening import open_image
from workers.images.orientation import UPRIGHT, read_orientation
from workers.images.plain_jpeg import as_image, decode_plain
from workers.images.raw_name import raw_name
from workers.images.raw_preview import find_preview
from workers.images.rgb import to_rgb
from workers.limits import Limits
from workers.native_output import without_stderr

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

# Pixels that an image may have whose format cannot be decoded at a smaller scale.
MAX_PIXELS = Limits().max_pixels

# Larger images are scaled down, to at least this longer side in pixels.
LONG_SIDE = 512

# The warning filter that `_silence_pillow` adds.
_SILENCED = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


@dataclass(frozen=True, slots=True)
class Header:
    """The format of a file, and its size in pixels before any scaling."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded image: its header and its pixels, HxWx3, RGB, 0 to 255, not writable.

    Pixels are at full resolution where the longer side is under 1,024; larger images are scaled
    down to 512 to 1,023. `native` is the image at full resolution, where that was requested and is
    not too large; it may be of any mode that `to_rgb` takes. Neither is turned by its EXIF
    orientation: with `native`, `orientation` has it (1 to 8, 1 for upright). Of a RAW file all is
    of its preview.
    """

    header: Header
    pixels: NDArray[np.uint8]
    native: Image.Image | None = None
    orientation: int = UPRIGHT
    is_preview: bool = False


def decode(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    long_side: int = LONG_SIDE,
    native: bool = False,
) -> Decoded:
    """Decode the first image of a file, or the preview in a RAW, transparency laid over white.

    An image whose longer side is at least twice `long_side` is scaled down to between one and two
    times that; `native` adds the image at full resolution, which takes a large JPEG several times
    as long. Raise `DecodeError`: `not_an_image`, `unsupported` (with the name of the format),
    `truncated`, `damaged`, `too_large` (more than `max_pixels`, fewer for WebP, many more for
    JPEG, and for TIFF in strips or tiles).
    """
    form = decodable_format(data)
    if form in {None, "TIFF"} and (preview := find_preview(data)) is not None:
        decoded = decode(preview.data, max_pixels=max_pixels, long_side=long_side, native=native)
        orientation = preview.orientation or decoded.orientation
        return replace(decoded, orientation=orientation if native else UPRIGHT, is_preview=True)
    if form is None:
        kind, text = refusal(data)
        known = identify(data)
        is_raw = known is not None and known.raw
        raise DecodeError(kind, ONLY_METADATA.format(raw_name(data)) if is_raw else text)
    if _SILENCED not in warnings.filters:
        _silence_pillow()
    try:
        if form == "JPEG":
            array = decode_plain(data, max_pixels, None if native else 2 * long_side - 1)
            if array is not None:
                return _from_array(array, data, long_side, native=native)
        image = open_image(form, data, max_pixels)
        header = Header(form, *image.size)
        if form == "TIFF" and header.width * header.height > max_pixels:
            from workers.images.large_tiff import decode_bands  # noqa: PLC0415 - they are rare

            shrink = max(1, max(image.size) // long_side)
            return Decoded(header, decode_bands(image, data, shrink, max_pixels))
        if native and header.width * header.height <= max_pixels:
            decoded = _decode_native(header, image, long_side)
            has_exif = "exif" in image.info
            return replace(decoded, orientation=read_orientation(data) if has_exif else UPRIGHT)
        is_large = max(image.size) >= 2 * long_side
        pixels = _load_scaled(image, long_side) if is_large else _load(image)
    except DECODER_ERRORS as error:
        raise to_decode_error(form, data, error) from error
    return Decoded(header, pixels)


def _from_array(array: NDArray[np.uint8], data: bytes, long_side: int, *, native: bool) -> Decoded:
    """Return what `decode` does for the pixels of a plain JPEG."""
    height, width, _ = array.shape
    header, image = Header("JPEG", width, height), as_image(array)
    longer = max(image.size)
    if longer >= 2 * long_side:
        pixels = _to_array(to_rgb(image, longer // long_side))
    else:
        pixels = np.ascontiguousarray(array[..., :3])
        pixels.flags.writeable = False
    if not native:
        return Decoded(header, pixels)
    has_exif = EXIF_SIGNATURE in data
    return Decoded(header, pixels, image, read_orientation(data) if has_exif else UPRIGHT)


def _silence_pillow() -> None:
    """Silence Pillow's warnings about metadata, which no user of a worker sees.

    Called for each image where needed, as the filters may have been reset.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def _decode_native(header: Header, image: Image.Image, long_side: int) -> Decoded:
    longer = max(image.size)
    pixels = _load(image, longer // long_side if longer >= 2 * long_side else 1)
    # Integers and floats have no range of their own: scale them by the whole image, not by a crop.
    native = to_rgb(image) if image.mode in {"I", "F"} else image
    return Decoded(header, pixels, native)


def _load_scaled(image: Image.Image, long_side: int) -> NDArray[np.uint8]:
    if isinstance(image, JpegImageFile):
        scale = long_side / max(image.size)
        width, height = (max(1, int(side * scale)) for side in image.size)
        image.draft(None, (width, height))
    return _load(image, max(image.size) // long_side)


def _load(image: Image.Image, shrink: int = 1) -> NDArray[np.uint8]:
    if image.format == "TIFF":
        with without_stderr():
            image.load()
    else:
        image.load()
    return _to_array(to_rgb(image, shrink))


def _to_array(rgb: Image.Image) -> NDArray[np.uint8]:
    return np.frombuffer(rgb.tobytes(), np.uint8).reshape(rgb.height, rgb.width, 3)
