"""Metadata of AVIF, HEIC, CR3 and JPEG XL: boxes of ISO/IEC 14496-12, items of 23008-12."""

from __future__ import annotations

from struct import Struct, unpack_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BOXES = 4_096  # an iPhone's image is a grid of about fifty items
MAX_ITEMS = 4_096
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
# XMP Specification part 3, 1.1.8 (MPEG-4).
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_CANON_UUID = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
# Codes of `struct` for the fields of the item location box, by their bytes.
_CODES = {0: "", 4: "I", 8: "Q"}


def items(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield ("exif" | "xmp" | "c2pa", start, end) for the metadata in a file."""
    for name, start, end in boxes(data, 0, len(data)):
        if name == b"uuid":
            if data.startswith(_C2PA_UUID, start):
                yield "c2pa", start, end
            elif data.startswith(_XMP_UUID, start):
                yield "xmp", start + len(_XMP_UUID), end
        elif name == b"moov":
            yield from _canon(data, start, end)
        elif name == b"meta":
            yield from _meta(data, start + 4, end)


def jpeg_xl_items(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield ("exif" | "xmp" | "c2pa" | "brob", start, end) for a JPEG XL's boxes.

    A box "brob" has the type of another box, and its content compressed by Brotli.
    """
    for name, start, end in boxes(data, 0, len(data)):
        if name == b"Exif" and start + 4 <= end:
            # The first four bytes have the distance to the TIFF structure.
            yield "exif", start + 4 + int.from_bytes(data[start : start + 4], "big"), end
        elif name == b"xml ":
            yield "xmp", start, end
        elif name == b"jumb":
            yield "c2pa", start, end
        elif name == b"brob":
            yield "brob", start, end


def _canon(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield the TIFF structures with EXIF that a CR3 has in its movie box."""
    for name, first, last in boxes(data, start, end):
        if name == b"uuid" and data.startswith(_CANON_UUID, first):
            for inner, inner_start, inner_end in boxes(data, first + len(_CANON_UUID), last):
                if inner in (b"CMT1", b"CMT2"):
                    yield "exif", inner_start, inner_end


def boxes(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of the payload of each box between two offsets."""
    for _ in range(MAX_BOXES):
        if position + 8 > end:
            return
        size, name = unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1 and position + 16 <= end:  # the size is in the next eight bytes
            size, start = unpack_from(">Q", data, start)[0], position + 16
        elif size == 0:  # to the end of the file
            size = end - position
        if size < start - position:
            return
        yield name, start, min(position + size, end)
        position += size


def _meta(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    # Either of the two boxes may come first.
    spans = {name: (first, last) for name, first, last in boxes(data, start, end)}
    if b"iinf" not in spans or b"iloc" not in spans:
        return
    kinds = _kinds(data, *spans[b"iinf"])
    if not kinds:
        return
    for item, first, last in _locations(data, *spans[b"iloc"]):
        kind = kinds.get(item)
        if kind == "exif" and first + 4 <= len(data):
            # The first four bytes have the distance to the TIFF structure.
            first += 4 + unpack_from(">I", data, first)[0]  # noqa: PLW2901
        if kind is not None and first < last:
            yield kind, first, last


def _kinds(data: bytes, start: int, end: int) -> dict[int, str]:
    """Return the items that are EXIF or XMP, by item number."""
    start += 6 if data[start : start + 1] == b"\0" else 8  # version, flags, count
    kinds = {}
    for name, inner, inner_end in boxes(data, start, end):
        version = data[inner : inner + 1]
        if name != b"infe" or version not in (b"\2", b"\3") or inner + 12 > inner_end:
            continue
        is_wide = version == b"\3"
        (item,) = unpack_from(">I" if is_wide else ">H", data, inner + 4)
        position = inner + (10 if is_wide else 8)
        item_type = data[position : position + 4]
        if item_type == b"Exif":
            kinds[item] = "exif"
        elif item_type == b"mime" and b"application/rdf+xml" in data[position:inner_end]:
            kinds[item] = "xmp"
    return kinds


def _locations(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (item, start, end) of each item that is in the file itself, in one piece."""
    if start + 12 > end or (version := data[start]) not in (0, 1, 2):
        return
    number = "I" if version == 2 else "H"  # noqa: PLR2004
    sizes, count = unpack_from(f">H{number}", data, start + 4)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    if not {offset, length, base, index} <= _CODES.keys():
        return
    # The box states the widths of its own fields; a field without a width has the value zero. An
    # item has a number, a method (from version 1), a file number (0 for this one), a base offset
    # and a number of extents; an extent an index (from version 1), an offset and a length.
    entry = Struct(
        f">{number}{'H' if version else ''}H{_CODES[base]}H"
        f"{_CODES[index] if version else ''}{_CODES[offset]}{_CODES[length]}"
    )
    extent_bytes = (index if version else 0) + offset + length
    position = start + (10 if number == "I" else 8)
    for _ in range(min(count, MAX_ITEMS)):
        if position + entry.size > end:
            return
        fields = list(entry.unpack_from(data, position))
        item = fields.pop(0)
        method = fields.pop(0) & 15 if version else 0
        fields.pop(0)
        first = fields.pop(0) if base else 0
        extents = fields.pop(0)
        if extents == 1 and method == 0 and offset and length:
            first += fields[-2]
            yield item, first, first + fields[-1]
        position += entry.size + (extents - 1) * extent_bytes
