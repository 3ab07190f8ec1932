"""The blocks of a file that contain metadata, found by the structure of its container.

Only the headers of blocks are read, never pixels, so that the cost does not grow with the image.
The limits are far above what real files have; they are for files made to be slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from struct import unpack_from
from typing import TYPE_CHECKING

from workers.images import bmff, tiff
from workers.images.formats import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_SEGMENTS = 4_096  # a C2PA manifest of 64 MB needs 1,024 JPEG segments
MAX_CHUNKS = 65_536  # a PNG of 500 MB in chunks of 8 KB
MAX_BLOCKS = 256

# JPEG's markers (ITU-T T.81, table B.1).
_MARKER, _SOS, _EOI, _APP1, _APP11, _APP13, _COM = 0xFF, 0xDA, 0xD9, 0xE1, 0xEB, 0xED, 0xFE
_PNG_KINDS = {b"tEXt": "tEXt", b"zTXt": "zTXt", b"iTXt": "iTXt", b"eXIf": "exif", b"caBX": "c2pa"}
_WEBP_KINDS = {b"EXIF": "exif", b"XMP ": "xmp", b"C2PA": "c2pa"}
_XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_SIGNATURE = b"Exif\0"  # and one more byte, which some writers do not leave at zero


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a file that contains metadata: its kind, and where its payload starts and ends.

    Kinds: "exif" (a TIFF structure), "xmp" (a packet), "c2pa", "iim" (Photoshop resources),
    "comment", and PNG's "tEXt", "zTXt" and "iTXt".
    """

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Metadata:
    """The MIME type of a file's container ("" if not known), and its metadata blocks."""

    mime: str
    blocks: tuple[Block, ...] = ()

    def has(self, kind: str) -> bool:
        """Check whether any block is of this kind."""
        return any(block.kind == kind for block in self.blocks)


def find_metadata(data: bytes) -> Metadata:
    """List the metadata blocks of a file without reading their content."""
    form = identify(data)
    mime = form.mime if form is not None else ""
    walk = _WALKS.get(mime)
    return Metadata(mime, tuple(islice(walk(data), MAX_BLOCKS)) if walk is not None else ())


def _jpeg(data: bytes) -> Iterator[Block]:
    """Walk the segments before the first scan; anything after the pixels is ignored."""
    position, last = 2, len(data) - 4
    has_c2pa = False
    for _ in range(MAX_SEGMENTS):
        if position > last or data[position] != _MARKER:
            return
        marker, length = data[position + 1], data[position + 2] << 8 | data[position + 3]
        if marker in (_SOS, _EOI) or length < 2:  # noqa: PLR2004 - the length counts itself
            return
        start, end = position + 4, position + 2 + length
        if marker == _APP1:
            if data.startswith(_EXIF_SIGNATURE, start):
                yield Block("exif", start + 6, end)
            elif data.startswith(_XMP_SIGNATURE, start):
                yield Block("xmp", start + len(_XMP_SIGNATURE), end)
        elif marker == _APP11 and not has_c2pa and data.startswith(b"JP", start):
            has_c2pa = True
            yield Block("c2pa", start, end)
        elif marker in (_APP13, _COM):
            yield Block("iim" if marker == _APP13 else "comment", start, end)
        position = end


def _png(data: bytes) -> Iterator[Block]:
    position, last = 8, len(data) - 12
    for _ in range(MAX_CHUNKS):
        if position > last:
            return
        length, name = unpack_from(">I4s", data, position)
        if (kind := _PNG_KINDS.get(name)) is not None:
            yield Block(kind, position + 8, position + 8 + length)
        position += length + 12


def _webp(data: bytes) -> Iterator[Block]:
    position, last = 12, len(data) - 8
    for _ in range(MAX_CHUNKS):
        if position > last:
            return
        name, length = unpack_from("<4sI", data, position)
        if (kind := _WEBP_KINDS.get(name)) is not None:
            start = position + 8
            # Some writers put JPEG's signature before the TIFF structure.
            if kind == "exif" and data.startswith(_EXIF_SIGNATURE, start):
                start += 6
            yield Block(kind, start, position + 8 + length)
        position += 8 + length + (length & 1)


def _gif(data: bytes) -> Iterator[Block]:
    """Walk the extensions before the first frame, where C2PA, XMP and comments are."""
    if len(data) < 13:  # noqa: PLR2004 - header and screen descriptor
        return
    position = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    for _ in range(MAX_SEGMENTS):
        if data[position : position + 1] != b"!":
            return
        label, start = data[position + 1 : position + 2], position + 2
        position = start
        while position < len(data) and data[position]:
            position += 1 + data[position]
        position += 1
        if label == b"\xfe":
            yield Block("comment", start + 1, position - 1)
        elif data.startswith(b"\x0bC2PA_GIF", start):
            yield Block("c2pa", start, position)
        elif data.startswith(b"\x0bXMP DataXMP", start):
            yield Block("xmp", start + 12, position)


def _tiff(data: bytes) -> Iterator[Block]:
    tags = tiff.metadata_values(data)
    if tiff.C2PA in tags:
        yield Block("c2pa", 0, len(data))
    if tags:
        yield Block("exif", 0, len(data))


def _bmff(data: bytes) -> Iterator[Block]:
    for kind, start, end in bmff.items(data):
        yield Block(kind, start, end)


_WALKS: dict[str, Callable[[bytes], Iterator[Block]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/tiff": _tiff,
    "image/avif": _bmff,
    "image/heic": _bmff,
    "video/mp4": _bmff,
}
