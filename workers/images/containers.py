"""Whether a file ends before its own container does.

Asked only of a picture that could not be decoded, to tell a truncated file from a damaged one.
Each function raises `struct.error` or `IndexError` where it has to read beyond the end.
"""

from __future__ import annotations

import struct
from struct import unpack_from

_JPEG_START_OF_SCAN = 0xDA
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a segment
_GIF_IMAGE, _GIF_EXTENSION = 0x2C, 0x21
_TIFF_OFFSETS, _TIFF_COUNTS = (273, 324), (279, 325)
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def runs_out(form: str, data: bytes) -> bool:
    """Whether more bytes were to come, by what the container says of itself."""
    try:
        return _RUNS_OUT[form](data)
    except (struct.error, IndexError):
        return True


def _jpeg(data: bytes) -> bool:
    """No end of image after the start of the first scan, or not even that."""
    position = 2
    while True:
        position = data.find(b"\xff", position)
        if position < 0:
            return True
        marker = data[position + 1]
        if marker == _JPEG_START_OF_SCAN:
            return data.find(b"\xff\xd9", position) < 0
        if marker in _JPEG_BARE or marker in {0x00, 0xFF}:
            position += 1 if marker == 0xFF else 2  # noqa: PLR2004 - 0xFF fills up
        else:
            position += 2 + unpack_from(">H", data, position + 2)[0]


def _png(data: bytes) -> bool:
    """A chunk reaches beyond the end, or the last one is not IEND."""
    position = 8
    while True:
        length, name = unpack_from(">I4s", data, position)
        if name == b"IEND" or not name.isalpha():
            return False
        position += 12 + length


def _gif(data: bytes) -> bool:
    """The blocks of the first frame are not all there."""
    position = 13 + _gif_palette_bytes(data[10])
    while True:
        block = data[position]
        if block == _GIF_IMAGE:
            position += 10 + _gif_palette_bytes(data[position + 9])
            _after_sub_blocks(data, position + 1)
            return False
        if block != _GIF_EXTENSION:
            return False
        position = _after_sub_blocks(data, position + 2)


def _gif_palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += 1 + data[position]
    return position + 1


def _webp(data: bytes) -> bool:
    """The RIFF chunk says that it is longer."""
    size: int = unpack_from("<I", data, 4)[0]
    return 8 + size > len(data)


def _bmp(data: bytes) -> bool:
    """The header says that the file is longer, or that its pixels begin beyond the end."""
    size, _, offset = unpack_from("<III", data, 2)
    return bool(size > len(data) or offset >= len(data))


def _tiff(data: bytes) -> bool:
    """The first directory, one of its values, or a strip or tile lies beyond the end."""
    order = "<" if data.startswith(b"II") else ">"
    if unpack_from(order + "H", data, 2)[0] != 42:  # noqa: PLR2004 - BigTIFF is 43
        return False
    (directory,) = unpack_from(order + "I", data, 4)
    (entries,) = unpack_from(order + "H", data, directory)
    found = {}
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = unpack_from(order + "HHI", data, entry)
        total_bytes = _TIFF_TYPE_BYTES.get(kind, 0) * count
        start = entry + 8 if total_bytes <= 4 else unpack_from(order + "I", data, entry + 8)[0]  # noqa: PLR2004
        if start + total_bytes > len(data):
            return True
        if tag in _TIFF_OFFSETS + _TIFF_COUNTS and kind in {3, 4}:
            found[tag] = unpack_from(f"{order}{count}{'H' if kind == 3 else 'I'}", data, start)  # noqa: PLR2004
    return any(
        offset + length > len(data)
        for offsets, counts in zip(_TIFF_OFFSETS, _TIFF_COUNTS, strict=True)
        for offset, length in zip(found.get(offsets, ()), found.get(counts, ()), strict=False)
    )


def _boxes(data: bytes) -> bool:
    """A top-level box of an ISO base media file reaches beyond the end, or none describes it."""
    position, described = 0, False
    while position < len(data):
        size, name = unpack_from(">I4s", data, position)
        described = described or name in {b"meta", b"moov"}
        if size == 1:
            (size,) = unpack_from(">Q", data, position + 8)
        if not size:
            return False
        position += max(size, 8)
    return position > len(data) or not described


_RUNS_OUT = {
    "JPEG": _jpeg,
    "PNG": _png,
    "GIF": _gif,
    "WEBP": _webp,
    "BMP": _bmp,
    "TIFF": _tiff,
    "AVIF": _boxes,
    "HEIF": _boxes,
}
