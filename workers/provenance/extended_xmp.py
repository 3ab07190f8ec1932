"""XMP that is too long for one segment of a JPEG (XMP specification, part 3, 1.1.3.1).

The file's packet names the extended one by its GUID, which each part repeats before the length of
the whole, its own offset, and its bytes. The GUID is the MD5 of the whole, which is not checked:
it shows damage, which parsing shows too.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workers.images.metadata import Block, Metadata

_HEAD = struct.Struct(">32sII")
_NAMED = re.compile(rb"HasExtendedXMP[\s=>\"']{1,9}([0-9A-Fa-f]{32})")


def packets(data: bytes, metadata: Metadata, limit: int) -> Iterator[bytes]:
    """Yield the extended packets that the file's own name, up to `limit` bytes of each.

    What stands after a missing part is left out.
    """
    parts = [block for block in metadata.blocks if block.kind == "xmp_part"]
    if not parts:
        return
    named = {
        guid.upper()
        for block in metadata.blocks
        if block.kind == "xmp"
        for guid in _NAMED.findall(data, block.start, block.end)
    }
    for guid in sorted(named):
        yield _join(data, parts, guid, limit)


def _join(data: bytes, parts: Sequence[Block], guid: bytes, limit: int) -> bytes:
    by_offset = {}
    for block in parts:
        start = block.start + _HEAD.size
        if start > min(block.end, len(data)):
            continue
        part_guid, _, offset = _HEAD.unpack_from(data, block.start)
        if part_guid.upper() == guid:
            by_offset[offset] = data[start : block.end]
    packet = b""
    for offset in sorted(by_offset):
        if offset != len(packet) or len(packet) >= limit:
            break
        packet += by_offset[offset]
    return packet[:limit]
