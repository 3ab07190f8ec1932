"""Metadata of a HEIC that its decoder does not need, and that pi-heif 1.4 may crash on.

pi-heif reads EXIF and XMP of every image that it opens, and on some damaged files ends the process
there by a segmentation fault. Here they are read by `workers.images.bmff`.
"""

from __future__ import annotations

from workers.images.bmff import boxes

# Of a reference from an item to the image that it describes (ISO/IEC 23008-12, 6.6.2), and a type
# of boxes to skip (ISO/IEC 14496-12, 8.1.2).
_DESCRIBES, _SKIPPED = b"cdsc", b"free"
# Version and flags, before the boxes in some boxes.
_VERSION_BYTES = 4


def without_metadata(data: bytes) -> bytes:
    """Return a HEIC of the same size in which no metadata belongs to an image."""
    body = bytearray(data)
    for name, start, end in boxes(data, 0, len(data)):
        if name == b"meta":
            _unlink(data, body, start + _VERSION_BYTES, end)
    return bytes(body)


def _unlink(data: bytes, body: bytearray, start: int, end: int) -> None:
    """Have decoders skip the references in a box `meta` from metadata to images."""
    for name, first, last in boxes(data, start, end):
        if name != b"iref":
            continue
        for kind, inner, _ in boxes(data, first + _VERSION_BYTES, last):
            if kind == _DESCRIBES:
                # The type precedes the payload, unless the size is of eight bytes.
                position = data.rindex(kind, 0, inner)
                body[position : position + len(kind)] = _SKIPPED
