"""Check whether a file ends before its own container does.

Asked only of an image that could not be decoded, to tell a truncated file from a damaged one.
A check raises `struct.error` or `IndexError` where it has to read past the end.
"""

from __future__ import annotations

import struct
from itertools import chain
from struct import unpack_from
from typing import TYPE_CHECKING

from workers.images import tiff
from workers.images.containers import START_OF_SCAN, gif_blocks, jpeg_segments, png_chunks

if TYPE_CHECKING:
    from collections.abc import Container

_TIFF_PIXELS = (
    (tiff.STRIP_OFFSETS, tiff.STRIP_BYTE_COUNTS),
    (tiff.TILE_OFFSETS, tiff.TILE_BYTE_COUNTS),
)


def is_truncated(form: str, data: bytes) -> bool:
    """Check whether bytes are missing at the end, by what the container states about itself."""
    try:
        return _IS_TRUNCATED[form](data)
    except (struct.error, IndexError):
        return True


def _jpeg(data: bytes) -> bool:
    """Look for an end of image after the start of the first scan."""
    for marker, start, _ in jpeg_segments(data):
        if marker == START_OF_SCAN:
            return data.find(b"\xff\xd9", start) < 0
    return True


def _png(data: bytes) -> bool:
    """Follow the chunks to IEND."""
    return not any(name == b"IEND" or not name.isalpha() for name, _, _ in png_chunks(data))


def _gif(data: bytes) -> bool:
    """Follow the blocks to the end of the first image."""
    return any(end > len(data) for _, _, end in gif_blocks(data))


def _webp(data: bytes) -> bool:
    """Compare the size in the RIFF header."""
    size: int = unpack_from("<I", data, 4)[0]
    return 8 + size > len(data)


def _bmp(data: bytes) -> bool:
    """Compare the size, and the offset of the pixels, in the header."""
    size, _, offset = unpack_from("<III", data, 2)
    return bool(size > len(data) or offset >= len(data))


def _tiff(data: bytes) -> bool:
    """Compare the ends of the first directory, its values, and its strips or tiles."""
    directory = next(tiff.directories(data), None)
    if directory is None or directory.end > len(data):
        return True
    if any(entry.end > len(data) for entry in directory.entries):
        return True
    values = {entry.tag: tiff.integers(data, entry) for entry in directory.entries}
    pieces = chain.from_iterable(
        zip(values.get(offsets, ()), values.get(sizes, ()), strict=False)
        for offsets, sizes in _TIFF_PIXELS
    )
    return any(offset + size > len(data) for offset, size in pieces)


def _bmff(data: bytes, described_by: Container[bytes] = (b"meta", b"moov")) -> bool:
    """Follow the top-level boxes to the end of the file; one of them has to describe the image."""
    position, is_described = 0, False
    while position < len(data):
        size, name = unpack_from(">I4s", data, position)
        is_described = is_described or name in described_by
        if size == 1:
            (size,) = unpack_from(">Q", data, position + 8)
        if not size:
            return False
        position += max(size, 8)
    return position > len(data) or not is_described


def _jxl(data: bytes) -> bool:
    """Follow the boxes; a bare codestream does not state its size."""
    return not data.startswith(b"\xff\x0a") and _bmff(data, (b"jxlc", b"jxlp"))


_IS_TRUNCATED = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "TIFF": _tiff,
    "AVIF": _bmff,
    "HEIF": _bmff,
    "JXL": _jxl,
}
