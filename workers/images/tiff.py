"""Directories of TIFF structures (TIFF 6.0, section 2): of TIFF, BigTIFF, RAW files and EXIF.

The only place that reads them: for orientation, EXIF texts, RAW files and truncated files. Pillow
takes ten times as long, and warns of damaged tags.
"""

from __future__ import annotations

from collections import deque
from struct import Struct, unpack_from
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterator

# Bounds against files made to be slow; cameras write four directories of about forty entries.
MAX_ENTRIES = 512
MAX_DIRECTORIES = 16
MAX_VALUE_BYTES = 1 << 20
# Bytes of a value that show whether it is blank.
_VALUE_START_BYTES = 64

SUBFILE_TYPE = 254
WIDTH, HEIGHT = 256, 257
COMPRESSION = 259
_PHOTOMETRIC = 262
STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279
ORIENTATION = 274
TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325
_THUMBNAIL, _THUMBNAIL_BYTES = 513, 514
SUB_DIRECTORIES = 330
# Panasonic's whole preview, as the value of a tag.
_JPEG_FROM_RAW = 0x2E
XMP = 700
EXIF_DIRECTORY = 0x8769
USER_COMMENT = 0x9286
# What cameras state of a photograph (Exif 3.0, 4.6.4 and 4.6.5).
MAKE, MODEL = 271, 272
EXPOSURE_TIME, F_NUMBER, SENSITIVITY = 0x829A, 0x829D, 0x8827
FOCAL_LENGTH, LENS_MODEL, MAKER_NOTE = 0x920A, 0xA434, 0x927C
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
TAKEN, DIGITIZED, TAKEN_ZONE = 0x9003, 0x9004, 0x9011
GPS_DIRECTORY = 0x8825
CAMERA = frozenset({MAKE, MODEL, EXPOSURE_TIME, F_NUMBER, SENSITIVITY, FOCAL_LENGTH, LENS_MODEL})
DNG_VERSION = 0xC612
C2PA = 0xCD41
RATING, COPYRIGHT, ARTIST, DESCRIPTION = 0x4746, 0x8298, 315, 270
IPTC, PHOTOSHOP_RESOURCES = 33723, 34377
# Tags of plain text, by the names that EXIF gives them.
TEXTS = {
    DESCRIPTION: "ImageDescription",
    MAKE: "Make",
    MODEL: "Model",
    305: "Software",
    ARTIST: "Artist",
}
# The same of Windows, in UTF-16, little endian.
WINDOWS_TEXTS = {0x9C9C: "XPComment"}
WINDOWS_KEYWORDS = 0x9C9E

# By field type: bytes a value, and for integers the code of `struct`. 16 to 18 are BigTIFF's.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4} | (
    dict.fromkeys((16, 17, 18), 8)
)
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_PHOTOGRAPH = CAMERA | {MAKER_NOTE, PIXEL_WIDTH, PIXEL_HEIGHT, EXIF_DIRECTORY}
_ASCII, _TEXT_BYTES = 2, 100
# Of the GPS directory: the side of latitude, latitude, the side of longitude, longitude.
_GPS = {1, 2, 3, 4}
_RATIONAL, _ANGLE_PARTS = 5, 3
# Pixels of a sensor, before colours are made of them (TIFF/EP; DNG 1.7).
_SENSOR = frozenset({32803, 34892})
# How cameras say that a strip is a JPEG (TIFF 6.0, sections 22; TIFF Technical Note 2).
_JPEG_COMPRESSIONS = (6, 7)
_JPEG_PLACES = frozenset({COMPRESSION, STRIP_OFFSETS, STRIP_BYTE_COUNTS, SUB_DIRECTORIES}) | {
    _THUMBNAIL,
    _THUMBNAIL_BYTES,
    _JPEG_FROM_RAW,
}
_METADATA = {*TEXTS, *WINDOWS_TEXTS, XMP, C2PA, USER_COMMENT}


class Entry(NamedTuple):
    """A tag, the type and number of its values, and their place, which may be past the data.

    Values of an unknown type have no bytes.
    """

    tag: int
    type: int
    length: int
    start: int
    end: int


class Directory(NamedTuple):
    """The entries of a directory that are in the data, and where their table is to end."""

    entries: list[Entry]
    end: int


_NO_DIRECTORY = Directory([], 0)


class _Layout:
    """The sizes of a directory's parts: classic TIFF's or BigTIFF's, in either byte order."""

    def __init__(self, order: str, count: str, pointer: str) -> None:
        self.count = Struct(order + count)
        self.pointer = Struct(order + pointer)
        self.entry = Struct(f"{order}HH{pointer}{pointer}")


_LITTLE, _BIG = _Layout("<", "H", "I"), _Layout(">", "H", "I")
_LAYOUTS = {
    b"II*\0": _LITTLE,
    b"MM\0*": _BIG,
    b"II+\0": _Layout("<", "Q", "Q"),
    b"MM\0+": _Layout(">", "Q", "Q"),
    # Olympus' and Panasonic's RAW files, which are TIFF but for these bytes.
    b"IIRO": _LITTLE,
    b"IIRS": _LITTLE,
    b"MMOR": _BIG,
    b"IIU\0": _LITTLE,
}


def directories(
    tiff: bytes, tags: Container[int] | None = None, follow: Container[int] = ()
) -> Iterator[Directory]:
    """Yield the first directory, then those that the tags in `follow` point to, each once.

    With `tags`, directories have the entries of these alone, which is quicker. Yield nothing where
    the data has not the header of a TIFF structure.
    """
    layout = _LAYOUTS.get(tiff[:4])
    if layout is None or len(tiff) < 2 * layout.pointer.size:
        return
    # The header's own size is a pointer before the one to the first directory.
    offsets = deque(layout.pointer.unpack_from(tiff, layout.pointer.size))
    seen: set[int] = set()
    while offsets and len(seen) < MAX_DIRECTORIES:
        offset = offsets.popleft()
        if offset in seen:
            continue
        seen.add(offset)
        directory = _read_directory(tiff, offset, layout, tags)
        yield directory
        for entry in directory.entries:
            if entry.tag in follow:
                offsets.extend(integers(tiff, entry)[:MAX_DIRECTORIES])


def integers(tiff: bytes, entry: Entry) -> tuple[int, ...]:
    """Return an entry's values; none where they are not integers, or end past the data."""
    code = _INTEGERS.get(entry.type)
    if code is None or entry.end > len(tiff):
        return ()
    order = "<" if tiff.startswith(b"I") else ">"
    return unpack_from(f"{order}{entry.length}{code}", tiff, entry.start)


def first_integer(tiff: bytes, tag: int) -> int | None:
    """Return the first value of a tag in the first directory; None where it has no integer."""
    entries = next(directories(tiff, {tag}), _NO_DIRECTORY).entries
    return next((value for entry in entries for value in integers(tiff, entry)), None)


def is_raw(tiff: bytes) -> bool:
    """Check whether a TIFF is a camera's RAW, as its directories show (DNG 1.7, TIFF/EP).

    DNG has its version in the first; NEF, ARW and others have a preview there, and the image below
    it; yet others say of a directory that its pixels are those of the sensor.
    """
    if first_integer(tiff, DNG_VERSION) is not None:
        return True
    is_preview = first_integer(tiff, SUBFILE_TYPE) == 1
    if is_preview and first_integer(tiff, SUB_DIRECTORIES) is not None:
        return True
    found = all_directories(tiff, {_PHOTOMETRIC, SUB_DIRECTORIES})
    return any(_SENSOR & set(values.get(_PHOTOMETRIC, ())) for values in found)


def largest_size(tiff: bytes) -> tuple[int, int]:
    """Return the largest width and height that a directory or EXIF states; (0, 0) without."""
    sizes = [(0, 0)]
    for values in all_directories(tiff, {WIDTH, HEIGHT, SUB_DIRECTORIES}):
        sizes += zip(values.get(WIDTH, ()), values.get(HEIGHT, ()), strict=False)
    stated = camera_values(tiff)
    sizes.append((stated.get(PIXEL_WIDTH, 0), stated.get(PIXEL_HEIGHT, 0)))
    return max(sizes, key=lambda size: size[0] * size[1])


def metadata_values(tiff: bytes, limit: int = MAX_VALUE_BYTES) -> dict[int, bytes]:
    """Return the raw values of texts, XMP, C2PA and USER_COMMENT, see `raw_values`."""
    return raw_values(tiff, _METADATA, limit)


def raw_values(
    tiff: bytes, tags: Collection[int], limit: int = MAX_VALUE_BYTES
) -> dict[int, bytes]:
    """Return the raw values of tags, `limit` bytes of each.

    They stand in the first directory and in its EXIF directory; values past the data are empty.
    Of a tag that occurs twice the first value counts.
    """
    values: dict[int, bytes] = {}
    for directory in directories(tiff, {*tags, EXIF_DIRECTORY}, follow={EXIF_DIRECTORY}):
        for entry in directory.entries:
            if entry.tag != EXIF_DIRECTORY and entry.tag not in values:
                values[entry.tag] = tiff[entry.start : min(entry.end, entry.start + limit)]
    return values


def camera_values(tiff: bytes) -> dict[int, int]:
    """Return what a camera states of a photograph, by tag: an integer, or 1 for other values.

    Values of zero, blanks, or past the data are left out.
    """
    values = {}
    for directory in directories(tiff, _PHOTOGRAPH, follow={EXIF_DIRECTORY}):
        for entry in directory.entries:
            if entry.tag == EXIF_DIRECTORY:
                continue
            if entry.type in _INTEGERS and entry.tag != MAKER_NOTE:
                value = next(iter(integers(tiff, entry)), 0)
            else:
                value = int(
                    bool(tiff[entry.start : min(entry.end, entry.start + 64)].strip(b"\0 "))
                )
            if value:
                values[entry.tag] = value
    return values


def texts(tiff: bytes, tags: Collection[int]) -> dict[int, str]:
    """Return the texts of tags in the first and the EXIF directory, on a line, without blanks.

    Of a tag that occurs twice the first value counts; values past the data are left out.
    """
    values: dict[int, str] = {}
    for directory in directories(tiff, {*tags, EXIF_DIRECTORY}, follow={EXIF_DIRECTORY}):
        for entry in directory.entries:
            if entry.type == _ASCII and entry.tag in tags and entry.end <= len(tiff):
                value = tiff[entry.start : min(entry.end, entry.start + _TEXT_BYTES)]
                text = value.partition(b"\0")[0].decode("utf-8", "replace")
                printable = "".join(each if each.isprintable() else " " for each in text)
                if line := " ".join(printable.split()):
                    values.setdefault(entry.tag, line)
    return values


def position(tiff: bytes) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees of an EXIF's GPS directory; None without them."""
    tags = {GPS_DIRECTORY, *_GPS}
    # The first directory has tags of the same numbers in some files.
    _, *others = [*directories(tiff, tags, follow={GPS_DIRECTORY}), _NO_DIRECTORY]
    entries = {entry.tag: entry for directory in others for entry in directory.entries}
    if not entries.keys() >= _GPS:
        return None
    latitude, longitude = (_degrees(tiff, entries[tag - 1], entries[tag]) for tag in (2, 4))
    if latitude is None or longitude is None or not (latitude or longitude):
        return None
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None  # noqa: PLR2004


def _degrees(tiff: bytes, side: Entry, angle: Entry) -> float | None:
    """Return an angle of degrees, minutes and seconds, negative in the south and the west."""
    if angle.type != _RATIONAL or angle.length != _ANGLE_PARTS or angle.end > len(tiff):
        return None
    order = "<" if tiff.startswith(b"I") else ">"
    parts: tuple[int, ...] = unpack_from(f"{order}6I", tiff, angle.start)
    if not all(parts[1::2]):
        return None
    degrees, minutes, seconds = (parts[n] / parts[n + 1] for n in (0, 2, 4))
    is_negative = tiff[side.start : side.start + 1] in (b"S", b"W")
    return (degrees + minutes / 60 + seconds / 3600) * (-1 if is_negative else 1)


def thumbnail(tiff: bytes) -> bytes:
    """Return the JPEG in the second directory, which cameras put there; empty if there is none."""
    layout, first = _LAYOUTS.get(tiff[:4]), next(directories(tiff, ()), None)
    if layout is None or first is None or first.end + layout.pointer.size > len(tiff):
        return b""
    (offset,) = layout.pointer.unpack_from(tiff, first.end)
    second = _read_directory(tiff, offset, layout, (_THUMBNAIL, _THUMBNAIL_BYTES))
    place = {entry.tag: next(iter(integers(tiff, entry)), 0) for entry in second.entries}
    start, size = place.get(_THUMBNAIL, 0), place.get(_THUMBNAIL_BYTES, 0)
    return tiff[start : start + min(size, MAX_VALUE_BYTES)] if offset and start else b""


def all_directories(
    tiff: bytes, tags: Container[int], whole: Container[int] = ()
) -> Iterator[dict[int, tuple[int, ...]]]:
    """Yield the integers of tags in the directories that follow each other, and those below them.

    `tags` has SUB_DIRECTORIES. Of tags in `whole`, the integers are where a value begins and ends.
    """
    layout = _LAYOUTS.get(tiff[:4])
    if layout is None or len(tiff) < 2 * layout.pointer.size:
        return
    offsets = deque(layout.pointer.unpack_from(tiff, layout.pointer.size))
    seen = {0}
    while offsets and len(seen) <= MAX_DIRECTORIES:
        offset = offsets.popleft()
        if offset in seen:
            continue
        seen.add(offset)
        directory = _read_directory(tiff, offset, layout, tags)
        if directory.end + layout.pointer.size <= len(tiff):
            offsets.extend(layout.pointer.unpack_from(tiff, directory.end))
        values: dict[int, tuple[int, ...]] = {}
        for entry in directory.entries:
            if entry.tag in whole:
                values[entry.tag] = entry.start, entry.end
            elif entry.length <= MAX_DIRECTORIES:
                values[entry.tag] = integers(tiff, entry)
        offsets.extend(values.get(SUB_DIRECTORIES, ()))
        yield values


def jpegs(tiff: bytes) -> Iterator[tuple[int, int]]:
    """Yield where JPEGs begin in a RAW file that is TIFF, and how many bytes each has."""
    for values in all_directories(tiff, _JPEG_PLACES, whole={_JPEG_FROM_RAW}):
        if _JPEG_FROM_RAW in values:
            start, end = values[_JPEG_FROM_RAW]
            yield start, end - start
        yield from zip(values.get(_THUMBNAIL, ()), values.get(_THUMBNAIL_BYTES, ()), strict=False)
        # One strip: an image in several is no JPEG file.
        strip = values.get(STRIP_OFFSETS, ()), values.get(STRIP_BYTE_COUNTS, ())
        is_jpeg = values.get(COMPRESSION, (0,))[:1] in {(c,) for c in _JPEG_COMPRESSIONS}
        if is_jpeg and len(strip[0]) == len(strip[1]) == 1:
            yield strip[0][0], strip[1][0]


def _read_directory(
    tiff: bytes, offset: int, layout: _Layout, tags: Container[int] | None
) -> Directory:
    start = offset + layout.count.size
    if start > len(tiff):
        return Directory([], start)
    (count,) = layout.count.unpack_from(tiff, offset)
    size, inline_bytes = layout.entry.size, layout.pointer.size
    table = tiff[start : start + size * min(count, MAX_ENTRIES)]
    entries = []
    whole = table[: len(table) // size * size]
    for end, (tag, kind, values, pointer) in enumerate(layout.entry.iter_unpack(whole), 1):
        if tags is None or tag in tags:
            value_bytes = values * _SIZES.get(kind, 0)
            # A value that fits stands in the entry itself, in place of its offset.
            first = pointer if value_bytes > inline_bytes else start + size * end - inline_bytes
            entries.append(Entry(tag, kind, values, first, first + value_bytes))
    return Directory(entries, start + size * count)
