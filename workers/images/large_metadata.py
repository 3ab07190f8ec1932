"""Chunks of a PNG that its pixels do not need and that Pillow refuses for their size.

Pillow inflates text and ICC profiles when it opens a file, and raises an error where one is larger
than a mebibyte. Complete files of editors have such profiles.
"""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

from workers.images.containers import png_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

_METADATA = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP"})
# Length and name before a chunk's body, and its checksum after it.
_HEAD_BYTES = 8
_CHECKSUM_BYTES = 4
# Pillow's limit for a compressed text or profile (`MAX_TEXT_CHUNK`), kept for what is left in.
MAX_INFLATED = 2**20
# Bytes to inflate of one file, which takes half a second: a few megabytes could be thousands.
MAX_TOTAL = 256 * MAX_INFLATED
# Null bytes between the start of an international text and its value, after the keyword.
_INTERNATIONAL_FIELDS = 2


def without_large_metadata(data: bytes) -> bytes:
    """Return a PNG without the text and ICC profiles of at least `MAX_INFLATED` bytes.

    Each is inflated up to that size at most, and all together up to `MAX_TOTAL`: Pillow refuses
    what is large behind that. Chunks with a wrong checksum stay, so that a damaged
    file remains one; and so does all of a file without a large chunk, which is not copied.
    """
    parts = []
    kept = 0
    for start, end in _large_chunks(data):
        parts.append(data[kept:start])
        kept = end
    return b"".join([*parts, data[kept:]]) if parts else data


def _large_chunks(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of each chunk to leave out."""
    total = 0
    # The walk raises struct.error where the file ends early.
    with suppress(struct.error):
        for name, start, end in png_chunks(data):
            if end + _CHECKSUM_BYTES > len(data) or total >= MAX_TOTAL:
                return
            if name not in _METADATA:
                continue
            body = data[start:end]
            (checksum,) = struct.unpack_from(">I", data, end)
            size = _size(name, body)
            total += size
            if size >= MAX_INFLATED and checksum == zlib.crc32(name + body):
                yield start - _HEAD_BYTES, end + _CHECKSUM_BYTES


def _size(name: bytes, body: bytes) -> int:
    """Return the size of a chunk's content in bytes, `MAX_INFLATED` for any larger one."""
    compressed = _compressed(name, body)
    if compressed is None:
        return min(len(body), MAX_INFLATED)
    try:
        return len(zlib.decompressobj().decompress(compressed, MAX_INFLATED))
    except zlib.error:
        # Pillow ignores it.
        return 0


def _compressed(name: bytes, body: bytes) -> bytes | None:
    """Return the compressed part of a chunk, None where it is not compressed by zlib.

    See sections 11.3.2.3 and 11.3.3 of the PNG specification.
    """
    _, _, rest = body.partition(b"\0")
    if name in {b"zTXt", b"iCCP"}:
        return rest[1:] if rest[:1] == b"\0" else None
    if name == b"iTXt" and rest[:1] != b"\0" and rest[1:2] == b"\0":
        fields = rest[2:].split(b"\0", _INTERNATIONAL_FIELDS)
        return fields[-1] if len(fields) > _INTERNATIONAL_FIELDS else None
    return None
