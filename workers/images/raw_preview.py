"""The preview in a camera's RAW file: the JPEG that the camera made of the photograph.

Cameras put up to four JPEGs into a RAW file, besides the image itself, which some compress as
lossless JPEG (ITU-T T.81, annex H): those are not taken. The largest of the others is the preview.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from workers.images import tiff
from workers.images.containers import jpeg_segments
from workers.images.formats import identify

if TYPE_CHECKING:
    from collections.abc import Iterator

# JPEGs that are looked at; a file made to be slow can name thousands.
MAX_JPEGS = 16
# Smaller ones are thumbnails, which say too little.
MIN_SIDE = 512
# Frames that Pillow decodes: baseline, extended and progressive (T.81, table B.1).
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
_JPEG_START = b"\xff\xd8\xff"
_RAF = b"FUJIFILMCCD-RAW"
_RAF_PLACE = 84
# Canon's box of a preview in a CR3: after its name 6 bytes, width and height, 2 bytes, the size.
_CR3_BOX, _CR3_FIELDS = b"PRVW", struct.Struct(">6xHH2xI")
_CR3_HEAD_BYTES = 1 << 20
_ORIENTATIONS = range(1, 9)


@dataclass(frozen=True, slots=True)
class Preview:
    """A JPEG in a RAW file, its size in pixels, and the orientation that the RAW states, if any."""

    data: bytes
    width: int
    height: int
    orientation: int | None


def find_preview(data: bytes) -> Preview | None:
    """Return the largest preview of a RAW file; None for other files, and without a large one."""
    form = identify(data)
    if form is None or not (form.raw or (form.name == "TIFF" and tiff.is_raw(data))):
        return None
    best: Preview | None = None
    orientation = tiff.first_integer(data, tiff.ORIENTATION)
    if orientation not in _ORIENTATIONS:
        orientation = None
    for start, size in islice(_places(data), MAX_JPEGS):
        jpeg = data[start : start + size]
        width, height = _size(jpeg)
        if max(width, height) >= MIN_SIDE and (
            best is None or width * height > best.width * best.height
        ):
            best = Preview(jpeg, width, height, orientation)
    return best


def _places(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where JPEGs begin, and how many bytes each has."""
    if data.startswith(_RAF):
        if len(data) >= _RAF_PLACE + 8:
            yield struct.unpack_from(">II", data, _RAF_PLACE)
        return
    if data.startswith(b"ftyp", 4):
        box = data.find(_CR3_BOX, 0, _CR3_HEAD_BYTES)
        start = box + len(_CR3_BOX) + _CR3_FIELDS.size
        if box > 0 and start <= len(data):
            yield start, _CR3_FIELDS.unpack_from(data, box + len(_CR3_BOX))[2]
        return
    yield from tiff.jpegs(data)


def _size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG by its frame; (0, 0) for one that is not decoded."""
    if not jpeg.startswith(_JPEG_START):
        return 0, 0
    try:
        for marker, start, _ in jpeg_segments(jpeg):
            if marker in _FRAMES:
                height, width = struct.unpack_from(">xHH", jpeg, start)
                return width, height
    except (struct.error, IndexError):
        pass
    return 0, 0
