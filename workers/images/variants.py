"""Variants of formats that their decoders do not know, and say nothing useful about.

Asked only of an image that could not be decoded, to tell an unsupported file from a damaged one.
"""

from __future__ import annotations

import struct
from contextlib import suppress

from workers.images import tiff
from workers.images.containers import jpeg_segments

_COMPRESSION = 259
# None, CCITT, LZW, JPEG (old and new), Deflate, PackBits, LZMA and Zstandard: what Pillow's libtiff
# is built with. It also fails on WebP (50001), JPEG XL, JPEG 2000 and what only scanners write.
_DECODED_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000})
# Frames of JPEG (ITU-T T.81, table B.1) other than baseline, extended and progressive ones, and
# that of JPEG-LS (T.87).
_FRAMES = {
    **dict.fromkeys((0xC3, 0xCB), "lossless"),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    0xF7: "JPEG-LS",
}


def unknown_variant(form: str, data: bytes) -> str | None:
    """Return what a file uses that its decoder does not know; None where nothing is found."""
    with suppress(struct.error, IndexError):
        if form == "TIFF":
            compression = tiff.first_integer(data, _COMPRESSION)
            if compression is not None and compression not in _DECODED_COMPRESSIONS:
                return f"compression {compression}"
        if form == "JPEG":
            markers = (marker for marker, _, _ in jpeg_segments(data))
            return next((_FRAMES[marker] for marker in markers if marker in _FRAMES), None)
    return None
