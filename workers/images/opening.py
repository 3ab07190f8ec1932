"""Opening an image: its header is read and its size limited before any pixel is decoded.

`Image.open` is not used: its limit (89 megapixels) is a global of the process, and it tries every
format that Pillow knows.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING

from PIL.JpegImagePlugin import JpegImageFile

from storage.records import ErrorKind
from workers.images import jpeg_xl, tiff
from workers.images.errors import DecodeError
from workers.images.formats import ONLY_METADATA
from workers.images.large_metadata import without_large_metadata
from workers.images.raw_name import raw_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL import Image

# A JPEG in one scan is decoded at an eighth of its size if need be, and a TIFF in bands, so memory
# does not limit them; this limits the time: 512 megapixels take a few seconds as JPEG.
_FACTOR = 8

# Each scan of a JPEG goes over the whole image; files with more scans are made to waste time.
_MAX_SCANS = 500

# Bytes of memory for which one pixel of the limit stands; and the measured peak of formats that
# take more than that for a pixel.
_BYTES_PER_PIXEL = 8
_PEAK_BYTES = {"WEBP": 16}

# The longest side in pixels that libjpeg takes (`JPEG_MAX_DIMENSION`), and libavif
# (`imageDimensionLimit`); of a longer one they say that the file is damaged.
_JPEG_SIDE, _AVIF_SIDE = 65_500, 32_768
# Pixels that libavif decodes at most.
_AVIF_PIXELS = 16_384**2

# The box of an image's size, and the beginning of an AVIF file in which it is searched.
_ISPE = re.compile(rb"\0\0\0\x14ispe\0{4}(.{8})", re.DOTALL)
_MAX_META_BYTES = 2**16

_PLUGINS = {
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("workers.images.heif", "HeifImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
}

# There are as many pool processes as cores, so decoders must not start threads themselves; nor do
# they decode what is not the image.
_SETTINGS: dict[str, tuple[str, dict[str, object]]] = {
    "PIL.AvifImagePlugin": ("PIL.AvifImagePlugin", {"DEFAULT_MAX_THREADS": 1}),
}


def open_image(form: str, data: bytes, max_pixels: int) -> Image.Image:
    """Read the header of an image in a decodable format; raise DecodeError where it is too large.

    Raise what Pillow raises for a damaged header.
    """
    if form == "JPEG":
        image = JpegImageFile(BytesIO(data))
        _limit_side(image.size, _JPEG_SIDE)
        if image.width * image.height > max_pixels // 4:
            _limit_jpeg(image, data, max_pixels)
        return image
    limit = max_pixels * _BYTES_PER_PIXEL // _PEAK_BYTES.get(form, _BYTES_PER_PIXEL)
    if form == "JXL":
        return _open_jxl(data, max_pixels)
    if form == "WEBP":
        # Its decoder allocates memory when it is opened.
        _limit(_webp_size(data), limit)
    if form == "TIFF" and tiff.is_raw(data):
        raise DecodeError(ErrorKind.UNSUPPORTED, ONLY_METADATA.format(raw_name(data)))
    if form == "PNG":
        data = without_large_metadata(data)
    try:
        opened = _plugin(form)(BytesIO(data))
    except SyntaxError:
        if form == "AVIF":
            # Its decoder calls a header that declares more than it takes invalid.
            _limit(_avif_size(data), min(limit, _AVIF_PIXELS))
            _limit_side(_avif_size(data), _AVIF_SIDE)
        raise
    if form == "TIFF" and opened.width * opened.height > limit:
        from workers.images.large_tiff import require_bands  # noqa: PLC0415 - they are rare

        _limit(opened.size, _FACTOR * limit)
        require_bands(opened, limit)
    else:
        _limit(opened.size, limit)
    return opened


def _open_jxl(data: bytes, max_pixels: int) -> Image.Image:
    """Decode a JPEG XL whose size allows it: its decoder has no step before that."""
    header = jpeg_xl.read_header(data)
    limit = max_pixels * _BYTES_PER_PIXEL // max(header.peak_bytes, _BYTES_PER_PIXEL)
    _limit((header.width, header.height), limit)
    image = jpeg_xl.decode(data)
    image.format = "JXL"
    return image


@cache
def _plugin(form: str) -> Callable[[BytesIO], Image.Image]:
    """Return the class that reads a format, imported for the first such image."""
    module, name = _PLUGINS[form]
    plugin: Callable[[BytesIO], Image.Image] = getattr(import_module(module), name)
    settings_module, settings = _SETTINGS.get(module, (module, {}))
    for setting, value in settings.items():
        setattr(import_module(settings_module), setting, value)
    return plugin


def _limit(size: tuple[int, int], limit: int) -> None:
    if size[0] * size[1] > limit:
        text = f"has {size[0]}x{size[1]} pixels, more than {limit // 1_000_000} megapixels"
        raise DecodeError(ErrorKind.TOO_LARGE, text)


def _limit_side(size: tuple[int, int], longest: int) -> None:
    if max(size) > longest:
        text = f"has {size[0]}x{size[1]} pixels, more than {longest} a side"
        raise DecodeError(ErrorKind.TOO_LARGE, text)


def _limit_jpeg(image: JpegImageFile, data: bytes, max_pixels: int) -> None:
    """Limit a JPEG by how it is decoded.

    One scan is decoded row by row, at an eighth if need be. Several scans are collected at full
    size, where each sample takes two bytes (libjpeg's coefficients).
    """
    if image.fp is None:
        raise ValueError("not opened")
    scan = data.rfind(b"\xff\xda", 0, image.fp.tell())
    if "progressive" not in image.info and data[scan + 4] == image.layers:
        _limit(image.size, _FACTOR * max_pixels)
        return
    largest = max(h * v for _, h, v, _ in image.layer)
    samples = sum(h * v for _, h, v, _ in image.layer)
    _limit(image.size, max_pixels * _BYTES_PER_PIXEL * largest // (4 * samples))
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise DecodeError(ErrorKind.TOO_LARGE, f"has more than {_MAX_SCANS} scans")


def _avif_size(data: bytes) -> tuple[int, int]:
    """Return the largest width and height that a box `ispe` declares (ISO 23008-12, 6.5.3)."""
    sizes = [struct.unpack(">II", size) for size in _ISPE.findall(data, 0, _MAX_META_BYTES)]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def _webp_size(data: bytes) -> tuple[int, int]:
    """Read canvas width and height from the header (RFC 9649, section 2)."""
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF
