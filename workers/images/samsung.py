"""The trailer that Samsung's cameras and editors append to files: named texts and images (SEF).

Its directory stands at the end: "SEFH", a version, the number of entries, then for each its type,
how far before the directory it begins, and its size; the size of the directory, "SEFT". An entry
has two zeros, its type, and the length of its name before the name and the value. Samsung does not
document it; exiftool reads it like this.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_START, END = b"SEFH", b"SEFT"
_DIRECTORY = Struct("<4sII")
_ENTRY = Struct("<HHII")
_VALUE = Struct("<HHI")
# Phones write about ten; texts are shorter, and longer values are images and videos.
_MAX_ENTRIES, _MAX_BYTES = 64, 1 << 16


def short_values(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield start of the name, start of the value, and end of each short entry of a trailer.

    The data ends with END. Raise struct.error where the trailer is damaged.
    """
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    if start < 0 or not data.startswith(_START, start):
        return
    _, _, count = _DIRECTORY.unpack_from(data, start)
    for number in range(min(count, _MAX_ENTRIES)):
        entry = start + _DIRECTORY.size + number * _ENTRY.size
        _, _, offset, size = _ENTRY.unpack_from(data, entry)
        if not _VALUE.size <= size <= min(offset, start, _MAX_BYTES) or offset > start:
            continue
        _, _, name_length = _VALUE.unpack_from(data, start - offset)
        name = start - offset + _VALUE.size
        end = start - offset + size
        if name + name_length <= end:
            yield name, name + name_length, end
