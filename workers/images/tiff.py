"""The few EXIF tags that may name a generator, read straight from the TIFF structure.

Pillow reads them too, but all of them, at ten times the cost, and with warnings about damaged
ones; here two directories are read and nothing is followed that could lead in a circle.
"""

from __future__ import annotations

from struct import iter_unpack, unpack_from

MAX_ENTRIES = 512  # of one directory; cameras write about forty
MAX_VALUE_BYTES = 1 << 20

XMP = 700
C2PA = 0xCD41
USER_COMMENT = 0x9286
_EXIF_DIRECTORY = 0x8769
# Tags of plain text, by the names that EXIF gives them.
TEXTS = {270: "ImageDescription", 271: "Make", 272: "Model", 305: "Software", 315: "Artist"}
_WANTED = {*TEXTS, XMP, C2PA, USER_COMMENT}
_BYTES_PER_VALUE = {1: 1, 2: 1, 6: 1, 7: 1}  # BYTE, ASCII, SBYTE, UNDEFINED; no others hold text


def read(tiff: bytes) -> dict[int, bytes]:
    """The wanted tags of the first directory and its EXIF directory, as raw values.

    Offsets that lead out of the data give empty values; a structure that is none gives no tags.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:  # noqa: PLR2004 - the header
        return {}
    tags: dict[int, bytes] = {}
    directory = _directory(tiff, order, unpack_from(f"{order}I", tiff, 4)[0], tags)
    if directory is not None:
        _directory(tiff, order, directory, tags)
    return tags


def _directory(tiff: bytes, order: str, offset: int, tags: dict[int, bytes]) -> int | None:
    """Add one directory's wanted tags to `tags`; return where the EXIF directory lies, if said."""
    if offset + 2 > len(tiff):
        return None
    count = min(unpack_from(f"{order}H", tiff, offset)[0], MAX_ENTRIES)
    start = offset + 2
    table = tiff[start : start + 12 * count]
    further = None
    entries = iter_unpack(f"{order}HHII", table[: len(table) // 12 * 12])
    for index, (tag, kind, length, value) in enumerate(entries):
        if tag == _EXIF_DIRECTORY:
            further = value
        elif tag in _WANTED:
            size = min(length * _BYTES_PER_VALUE.get(kind, 0), MAX_VALUE_BYTES)
            # Four bytes and less stand in the entry itself.
            at = value if size > 4 else start + 12 * index + 8  # noqa: PLR2004
            tags[tag] = tiff[at : at + size]
    return further
