"""The pixels of an image, out of bytes that nobody vouches for.

The content tells the format, the header is bounded before anything is allocated, and everything
is decoded: only that shows a file that is cut off. What cannot be decoded is a `DecodeError`.
"""

from __future__ import annotations

import logging
import re
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from storage.records import ErrorKind
from workers.errors import ImageProblem
from workers.images import tiff
from workers.images.containers import is_truncated
from workers.images.formats import UNSUPPORTED, decodable_format, refusal
from workers.images.orientation import UPRIGHT, read_orientation
from workers.images.rgb import to_rgb
from workers.limits import Limits
from workers.native_output import without_stderr

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

# Pixels that a picture without a scaled decode may have. Pillow's own limit (a global of the
# process, 89 megapixels) is not used: nothing here goes through `Image.open`, which asks for it.
MAX_PIXELS = Limits().max_pixels

# The longer side, in pixels, that larger pictures are scaled down to at the least.
LONG_SIDE = 512

# JPEG is decoded at an eighth of its size if need be, so memory does not bound it; this bounds
# the time: 512 megapixels take some seconds.
_JPEG_FACTOR = 8

# A JPEG in several scans is put together in memory at full size; this many of them are no picture
# but a way to burn time.
_MAX_SCANS = 500

# Bytes a pixel takes at the peak, measured, by format, where it is more than the decoded picture
# and what becomes of it; and bytes a pixel of the budget stands for.
_PEAK_BYTES = {"WEBP": 16}
_BUDGET_BYTES = 8

_PLUGINS = {
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pi_heif.as_plugin", "HeifImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
}

# Pool processes are as many as cores: a decoder with threads of its own only gets in their way.
_THREADS = {
    "PIL.AvifImagePlugin": ("PIL.AvifImagePlugin", "DEFAULT_MAX_THREADS"),
    "pi_heif.as_plugin": ("pi_heif.options", "DECODE_THREADS"),
}

# What Pillow and pi-heif raise for bytes that are no good picture, found by fuzzing them.
_TROUBLE = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_UNSUPPORTED = re.compile(
    r"unsupported|not supported|cannot handle|unknown (?:pixel mode|data organi)"
    r"|decoder .* not available|no decod",
    re.IGNORECASE,
)

# What `_quieten` adds to the filters of warnings.
_QUIET = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


class DecodeError(ImageProblem):
    """The bytes are no picture that can be looked at."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says of itself: its format, and its size in pixels before any scaling."""

    format: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture: its header and its pixels, HxWx3, RGB, 0 to 255, not writable.

    The pixels are the file's own where its longer side is under 1,024; larger pictures come scaled
    down to 512 to 1,023. `native` is the picture at its own size, where that was asked for and is
    not too large; it may be of any mode that `to_rgb` takes. Neither is turned as EXIF has it: with
    `native`, `orientation` says how (1 to 8, 1 for upright); without, nobody looks it up.
    """

    header: Header
    pixels: NDArray[np.uint8]
    native: Image.Image | None = None
    orientation: int = UPRIGHT


def decode(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    long_side: int = LONG_SIDE,
    native: bool = False,
) -> Decoded:
    """The picture in a file's bytes: of several the first, transparency laid over white.

    A picture whose longer side is at least twice `long_side` comes scaled down to between one and
    two times that; with `native` the whole one comes beside it, which takes a large JPEG several
    times as long. Raises `DecodeError`: `not_an_image`, `unsupported` (with the name of the
    format), `truncated`, `damaged`, `too_large` (more than `max_pixels`, fewer for WebP, many more
    for JPEG).
    """
    form = decodable_format(data)
    if form is None:
        raise DecodeError(*refusal(data))
    if _QUIET not in warnings.filters:
        _quieten()
    try:
        image = _opened(form, data, max_pixels)
        header = Header(form, *image.size)
        if native and header.width * header.height <= max_pixels:
            decoded = _whole(header, image, long_side)
            turned = read_orientation(data) if "exif" in image.info else UPRIGHT
            return replace(decoded, orientation=turned)
        large = max(image.size) >= 2 * long_side
        pixels = _scaled(image, long_side) if large else _pixels(image)
    except _TROUBLE as error:
        raise _trouble(form, data, error) from error
    return Decoded(header, pixels)


def _whole(header: Header, image: ImageFile, long_side: int) -> Decoded:
    """Decode all of it, and look at it from afar as well."""
    longer = max(image.size)
    pixels = _pixels(image, longer // long_side if longer >= 2 * long_side else 1)
    # Numbers without a range of their own are scaled by the whole picture's, not by a crop's.
    native = to_rgb(image) if image.mode in {"I", "F"} else image
    return Decoded(header, pixels, native)


def _quieten() -> None:
    """Keep Pillow's remarks on odd metadata back; a worker has nobody to show them to.

    Asked for anew with each image, which is cheap: the filters may have been reset since.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def _opened(form: str, data: bytes, max_pixels: int) -> ImageFile:
    """The image with its header read and bounded, and no pixel decoded."""
    if form == "JPEG":
        image: ImageFile = JpegImageFile(BytesIO(data))
        if image.width * image.height > max_pixels // 4:
            _bound_jpeg(cast("JpegImageFile", image), data, max_pixels)
        return image
    limit = max_pixels * _BUDGET_BYTES // _PEAK_BYTES.get(form, _BUDGET_BYTES)
    if form == "WEBP":
        # Its decoder allocates when it is opened.
        _bound(_webp_size(data), limit)
    image = _opener(form)(BytesIO(data))
    _bound(image.size, limit)
    if form == "TIFF" and tiff.is_raw(data):
        raise DecodeError(ErrorKind.UNSUPPORTED, UNSUPPORTED.format("a camera's RAW"))
    return image


@cache
def _opener(form: str) -> Callable[[BytesIO], ImageFile]:
    """The class that reads a format; imported when the first such picture comes."""
    module, name = _PLUGINS[form]
    opener: Callable[[BytesIO], ImageFile] = getattr(import_module(module), name)
    if module in _THREADS:
        place, setting = _THREADS[module]
        setattr(import_module(place), setting, 1)
    return opener


def _bound(size: tuple[int, int], limit: int) -> None:
    if size[0] * size[1] > limit:
        text = f"has {size[0]}x{size[1]} pixels, more than {limit // 1_000_000} megapixels"
        raise DecodeError(ErrorKind.TOO_LARGE, text)


def _bound_jpeg(image: JpegImageFile, data: bytes, max_pixels: int) -> None:
    """One scan is decoded row by row, at an eighth if need be; several are collected at full size.

    Then each sample takes two bytes (libjpeg's coefficients), and each scan goes over all of them.
    """
    if image.fp is None:
        raise ValueError("not opened")
    scan = data.rfind(b"\xff\xda", 0, image.fp.tell())
    if "progressive" not in image.info and data[scan + 4] == image.layers:
        _bound(image.size, _JPEG_FACTOR * max_pixels)
        return
    full = max(h * v for _, h, v, _ in image.layer)
    samples = sum(h * v for _, h, v, _ in image.layer)
    _bound(image.size, max_pixels * _BUDGET_BYTES * full // (4 * samples))
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise DecodeError(ErrorKind.TOO_LARGE, f"is built up in more than {_MAX_SCANS} scans")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Canvas width and height by the header alone (RFC 9649, section 2)."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _scaled(image: ImageFile, long_side: int) -> NDArray[np.uint8]:
    longer = max(image.size)
    if image.format == "JPEG":
        image.draft(None, _fitted(image.size, long_side / longer))
    return _pixels(image, max(image.size) // long_side)


def _fitted(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _pixels(image: ImageFile, shrink: int = 1) -> NDArray[np.uint8]:
    if image.format == "TIFF":
        with without_stderr():
            image.load()
    else:
        image.load()
    rgb = to_rgb(image, shrink)
    return np.frombuffer(rgb.tobytes(), np.uint8).reshape(rgb.height, rgb.width, 3)


def _trouble(form: str, data: bytes, error: BaseException) -> DecodeError:
    """What an error of Pillow's comes to, by its words and by whether the file is all there."""
    if isinstance(error, (MemoryError, Image.DecompressionBombError)):
        return DecodeError(ErrorKind.TOO_LARGE, f"this {form} needs too much memory")
    words = " ".join(str(error).split())[:200]
    if "truncated" in words.lower() or is_truncated(form, data):
        return DecodeError(ErrorKind.TRUNCATED, f"this {form} ends before its picture does")
    detail = words if words.isprintable() and " " in words else type(error).__name__
    if _UNSUPPORTED.search(words):
        return DecodeError(ErrorKind.UNSUPPORTED, f"this kind of {form} is not read ({detail})")
    return DecodeError(ErrorKind.DAMAGED, f"this {form} is damaged ({detail})")
