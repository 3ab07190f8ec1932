"""The parts of image files: JPEG segments, PNG and WebP chunks, GIF blocks.

Each walk yields the name of a part, and where its payload starts and ends, which may be past the
data. Where the data ends before the walk does, reading on raises `struct.error` or `IndexError`.
Only headers of parts are read, and of a file made to be slow only so many.
"""

from __future__ import annotations

import re
from struct import unpack_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SEGMENTS = 4_096  # a C2PA manifest of 64 MB needs 1,024 JPEG segments
MAX_CHUNKS = 65_536  # a PNG of 500 MB in chunks of 8 KB

# Markers of JPEG (ITU-T T.81, table B.1); those without a segment have no length.
START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_STANDALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
# The bytes before a marker; any number of 0xFF fills up (T.81, B.1.1.2).
_TO_MARKER = re.compile(rb"[^\xff]*\xff+")

GIF_IMAGE = 0x2C
_GIF_EXTENSION = 0x21


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the segments up to the start of the first scan, or the end of the image."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        fill = _TO_MARKER.match(data, position)
        if fill is None:
            raise IndexError
        start = fill.end() + 3
        marker = data[start - 3]
        if marker == _END_OF_IMAGE:
            return
        if marker in _STANDALONE:
            position = start - 2
            continue
        (length,) = unpack_from(">H", data, start - 2)
        position = start - 2 + length
        yield marker, start, position
        if marker == START_OF_SCAN:
            return


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the chunks up to the end of the image."""
    start = 16
    for _ in range(MAX_CHUNKS):
        length, name = unpack_from(">I4s", data, start - 8)
        yield name, start, start + length
        if name == b"IEND":
            return
        start += length + 12


def webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield all chunks."""
    start = 20
    for _ in range(MAX_CHUNKS):
        name, length = unpack_from("<4sI", data, start - 8)
        yield name, start, start + length
        start += 8 + length + (length & 1)


def gif_blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the extensions, by their label, up to the data of the first image."""
    position = 13 + _palette_bytes(data[10])
    for _ in range(MAX_SEGMENTS):
        introducer = data[position]
        if introducer == GIF_IMAGE:
            label, start = GIF_IMAGE, position + 11 + _palette_bytes(data[position + 9])
        elif introducer == _GIF_EXTENSION:
            label, start = data[position + 1], position + 2
        else:
            return
        position = start
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
        yield label, start, position
        if introducer == GIF_IMAGE:
            return


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
