"""Where AVIF and HEIC keep their metadata: boxes of ISO/IEC 14496-12, items of 23008-12."""

from __future__ import annotations

from struct import Struct, calcsize, unpack_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BOXES = 4_096  # an iPhone's picture is a grid of about fifty items
MAX_ITEMS = 4_096
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_FORMATS = {0: "", 4: "I", 8: "Q"}  # of the item location box's fields, by their bytes


def items(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Give ("exif" | "xmp" | "c2pa", start, end) for what the file carries of it."""
    for name, start, end in _boxes(data, 0, len(data)):
        if name == b"uuid" and data.startswith(_C2PA_UUID, start):
            yield "c2pa", start, end
        elif name == b"meta":
            yield from _meta(data, start + 4, end)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Give (type, start, end) of the payloads of the boxes that lie between two offsets."""
    for _ in range(MAX_BOXES):
        if at + 8 > end:
            return
        size, name = unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1 and at + 16 <= end:  # the size stands in the next eight bytes
            size, start = unpack_from(">Q", data, start)[0], at + 16
        elif size == 0:  # to the end of the file
            size = end - at
        if size < start - at:
            return
        yield name, start, min(at + size, end)
        at += size


def _meta(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    # Writers differ in which of the two boxes comes first.
    boxes = {name: (first, last) for name, first, last in _boxes(data, start, end)}
    if b"iinf" not in boxes or b"iloc" not in boxes:
        return
    kinds = _kinds(data, *boxes[b"iinf"])
    if not kinds:
        return
    for item, first, last in _locations(data, *boxes[b"iloc"]):
        kind = kinds.get(item)
        if kind == "exif" and first + 4 <= len(data):
            # Four bytes say how far the TIFF structure lies from here.
            first += 4 + unpack_from(">I", data, first)[0]  # noqa: PLW2901
        if kind is not None and first < last:
            yield kind, first, last


def _kinds(data: bytes, start: int, end: int) -> dict[int, str]:
    """Which items are EXIF or XMP, by item number."""
    start += 6 if data[start : start + 1] == b"\0" else 8  # version, flags, count
    kinds = {}
    for name, inner, inner_end in _boxes(data, start, end):
        version = data[inner : inner + 1]
        if name != b"infe" or version not in (b"\2", b"\3") or inner + 12 > inner_end:
            continue
        wide = version == b"\3"
        (item,) = unpack_from(">I" if wide else ">H", data, inner + 4)
        at = inner + (10 if wide else 8)
        kind = data[at : at + 4]
        if kind == b"Exif":
            kinds[item] = "exif"
        elif kind == b"mime" and b"application/rdf+xml" in data[at:inner_end]:
            kinds[item] = "xmp"
    return kinds


def _locations(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give (item, start, end) of each item that lies in the file itself, in one piece."""
    if start + 12 > end or (version := data[start]) not in (0, 1, 2):
        return
    number = "I" if version == 2 else "H"  # noqa: PLR2004
    sizes, count = unpack_from(f">H{number}", data, start + 4)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    if not {offset, length, base, index} <= _FORMATS.keys():
        return
    # The box states the widths of its own fields; a width of nothing means a value of zero.
    one = Struct(
        f">{number}{'H' if version else ''}H{_FORMATS[base]}H"
        f"{_FORMATS[index] if version else ''}{_FORMATS[offset]}{_FORMATS[length]}"
    )
    extent_bytes = (index if version else 0) + offset + length
    at = start + 6 + calcsize(number)
    for _ in range(min(count, MAX_ITEMS)):
        if at + one.size > end:
            return
        values = list(one.unpack_from(data, at))
        item = values.pop(0)
        method = values.pop(0) & 15 if version else 0
        values.pop(0)  # the file that the data lies in: this one
        first = values.pop(0) if base else 0
        extents = values.pop(0)
        if extents == 1 and method == 0 and offset and length:
            first += values[-2]
            yield item, first, first + values[-1]
        at += one.size + (extents - 1) * extent_bytes
