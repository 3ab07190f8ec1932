"""TIFFs of more pixels than an image may have: decoded band by band, at a smaller scale.

Pillow decodes a TIFF as a whole. So each band is given to it as a TIFF of its own: some of the
strips, or of the rows of tiles, under the tags that say how they are stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from struct import pack
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from storage.records import ErrorKind
from workers.images.errors import DecodeError
from workers.images.orientation import UPRIGHT, apply_orientation
from workers.images.rgb import to_rgb
from workers.images.tiff import (
    COMPRESSION,
    ORIENTATION,
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    TILE_BYTE_COUNTS,
    TILE_OFFSETS,
    directories,
)
from workers.native_output import without_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

# Of the limit, the share that a band has where strips allow it.
_BAND_SHARE = 16

_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS = 256, 257, 258, 277, 278
_PLANES, _TILE_WIDTH, _TILE_HEIGHT = 284, 322, 323
# How pixels are stored (TIFF 6.0): photometric interpretation, order of bits, fax options,
# predictor, colours, inks, extra samples, their format, tables of JPEG, and four of YCbCr.
_STORAGE = frozenset(
    {_BITS, COMPRESSION, 262, 266, _SAMPLES, 292, 293, 317, 320, 332, 338, 339, 347}
    | {529, 530, 531, 532, _TILE_WIDTH, _TILE_HEIGHT}
)
_UNCOMPRESSED, _OLD_JPEG, _APART = 1, 6, 2
_HEADER_BYTES, _ENTRY_BYTES, _LONG = 8, 12, 4


class _Value(NamedTuple):
    """A value of a tag: its type, how many there are, and their bytes."""

    kind: int
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class _Part:
    """Strips or rows of tiles one below the other: their rows in all, and where each is."""

    rows: int
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Size of the image, rows of a strip or tile, how many stand side by side, and all places."""

    width: int
    height: int
    rows: int
    across: int
    places: tuple[tuple[int, int], ...]
    # Pixels of a strip, or of tiles side by side.
    pixels: int

    def parts(self, budget: int) -> Iterator[_Part]:
        """Yield bands of at most so many pixels, but of one strip at least."""
        strips = max(1, budget // self.pixels)
        places = iter(self.places)
        for top in range(0, self.height, strips * self.rows):
            rows = min(self.height - top, strips * self.rows)
            chosen = tuple(islice(places, -(-rows // self.rows) * self.across))
            yield _Part(rows, chosen)


def require_bands(image: Image.Image, max_pixels: int) -> None:
    """Raise DecodeError where a TIFF of more pixels than that has no bands to decode it by."""
    _read_layout(image, max_pixels)


def decode_bands(
    image: Image.Image, data: bytes, shrink: int, max_pixels: int
) -> NDArray[np.uint8]:
    """Return a TIFF that is not loaded as HxWx3, RGB, each side divided by `shrink`, turned.

    Raise DecodeError as `require_bands`, and what Pillow raises for a damaged band.
    """
    layout = _read_layout(image, max_pixels)
    if sum(size for _, size in layout.places) > 2 * len(data):
        raise ValueError("its strips overlap")
    width = layout.width
    small = Image.new("RGB", (-(-width // shrink), -(-layout.height // shrink)))
    # Rows that are left of a band, as too few for a row of the smaller image.
    left = Image.new("RGB", (width, 0))
    top = 0
    for part in layout.parts(max_pixels // _BAND_SHARE):
        band = Image.new("RGB", (width, left.height + part.rows))
        band.paste(left)
        band.paste(_decode(data, layout, part), (0, left.height))
        is_last = top * shrink + band.height == layout.height
        rows = band.height if is_last else band.height // shrink * shrink
        if rows:
            small.paste(band.reduce(shrink, (0, 0, width, rows)), (0, top))
        left = band.crop((0, rows, width, band.height))
        top += rows // shrink
    pixels = np.frombuffer(small.tobytes(), np.uint8).reshape(small.height, small.width, 3)
    turned = apply_orientation(pixels, _tags(image).get(ORIENTATION, UPRIGHT))
    turned = np.ascontiguousarray(turned)
    turned.flags.writeable = False
    return turned


def _read_layout(image: Image.Image, max_pixels: int) -> _Layout:
    tags = _tags(image)
    width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
    if image.mode in {"I", "F"}:
        raise _too_large(width, height, max_pixels, " of 32 bits a channel")
    if tags.get(_PLANES) == _APART and tags.get(_SAMPLES, 1) > 1:
        raise _too_large(width, height, max_pixels, " with each channel by itself")
    if tags.get(COMPRESSION) == _OLD_JPEG:
        raise _too_large(width, height, max_pixels, " as JPEG of the old kind")
    is_tiled = _TILE_WIDTH in tags
    if is_tiled:
        side, rows = int(tags[_TILE_WIDTH]), int(tags[_TILE_HEIGHT])
        across = -(-width // side)
        places = _places(tags, TILE_OFFSETS, TILE_BYTE_COUNTS)
    else:
        side, rows, across = width, min(int(tags.get(_ROWS, height)), height), 1
        places = _places(tags, STRIP_OFFSETS, STRIP_BYTE_COUNTS)
        if tags.get(COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED:
            rows, places = _split(tags, places, rows, max_pixels // _BAND_SHARE)
    layout = _Layout(width, height, rows, across, places, side * across * rows)
    if layout.pixels > max_pixels:
        where = "rows of tiles" if is_tiled else "strips"
        raise _too_large(width, height, max_pixels, f" in {where} of more than that")
    if len(places) < -(-height // rows) * across:
        raise ValueError("it has too few strips")
    return layout


def _tags(image: Image.Image) -> ImageFileDirectory_v2:
    return cast("TiffImageFile", image).tag_v2


def _too_large(width: int, height: int, limit: int, why: str) -> DecodeError:
    text = f"has {width}x{height} pixels, more than {limit // 1_000_000} megapixels{why}"
    return DecodeError(ErrorKind.TOO_LARGE, text)


def _places(
    tags: ImageFileDirectory_v2, offsets: int, byte_counts: int
) -> tuple[tuple[int, int], ...]:
    starts, counts = (
        value if isinstance(value, tuple) else (value,)
        for value in (tags[offsets], tags[byte_counts])
    )
    return tuple(zip(starts, counts, strict=True))


def _split(
    tags: ImageFileDirectory_v2, places: tuple[tuple[int, int], ...], rows: int, budget: int
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Split strips without compression into strips of fewer rows, where they are too large."""
    width, height = tags[_WIDTH], tags[_HEIGHT]
    most = max(1, budget // width)
    if rows <= most:
        return rows, places
    # All have the same number of rows, but for the last one of the image.
    fewer = most if len(places) == 1 else next(n for n in range(most, 0, -1) if rows % n == 0)
    bits = tags.get(_BITS, (1,))
    row_bytes = -(-width * sum(bits if isinstance(bits, tuple) else (bits,)) // 8)
    split = []
    for number, (start, _) in enumerate(places):
        in_strip = min(rows, height - number * rows)
        for first in range(0, in_strip, fewer):
            count = min(fewer, in_strip - first)
            split.append((start + first * row_bytes, count * row_bytes))
    return fewer, tuple(split)


def _decode(data: bytes, layout: _Layout, part: _Part) -> Image.Image:
    """Return a band as RGB."""
    order = "<" if data.startswith(b"I") else ">"
    file = BytesIO()
    file.write(bytes(_HEADER_BYTES))
    starts = []
    for start, size in part.places:
        starts.append(file.tell())
        file.write(data[start : start + size])
    (first,) = islice(directories(data, _STORAGE), 1)
    values = {
        entry.tag: _Value(entry.type, entry.length, data[entry.start : entry.end])
        for entry in first.entries
    }
    longs = {_WIDTH: [layout.width], _HEIGHT: [part.rows]}
    sizes = [size for _, size in part.places]
    if _TILE_WIDTH in values:
        longs |= {TILE_OFFSETS: starts, TILE_BYTE_COUNTS: sizes}
    else:
        longs |= {STRIP_OFFSETS: starts, STRIP_BYTE_COUNTS: sizes, _ROWS: [layout.rows]}
    for tag, numbers in longs.items():
        values[tag] = _Value(_LONG, len(numbers), pack(f"{order}{len(numbers)}I", *numbers))
    place = file.tell()
    file.write(_directory(values, order, place))
    file.seek(0)
    file.write(pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, place))
    file.seek(0)
    band = TiffImageFile(file)
    with without_stderr():
        band.load()
    return to_rgb(band)


def _directory(values: dict[int, _Value], order: str, place: int) -> bytes:
    """Return a directory of classic TIFF that is to stand at a place."""
    table, beyond = pack(f"{order}H", len(values)), b""
    start = place + len(table) + len(values) * _ENTRY_BYTES + 4
    for tag, (kind, number, value) in sorted(values.items()):
        table += pack(f"{order}HHI", tag, kind, number)
        if len(value) > 4:  # noqa: PLR2004 -- the bytes of an entry's own
            table += pack(f"{order}I", start + len(beyond))
            beyond += value.ljust(len(value) + len(value) % 2, b"\0")
        else:
            table += value.ljust(4, b"\0")
    return table + bytes(4) + beyond
