"""The blocks of a file that contain metadata, found by the structure of its container.

Only the headers of blocks are read, never pixels, so that the cost does not grow with the image.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, starmap
from typing import TYPE_CHECKING

from workers.images import bmff, samsung, tiff
from workers.images.containers import gif_blocks, jpeg_segments, png_chunks, webp_chunks
from workers.images.formats import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_BLOCKS = 256

# Markers of JPEG's segments (ITU-T T.81, table B.1), and the label of GIF's comments.
_APP1, _APP11, _APP13, _COM = 0xE1, 0xEB, 0xED, 0xFE
_GIF_COMMENT = 0xFE
_PNG_KINDS = {b"tEXt": "tEXt", b"zTXt": "zTXt", b"iTXt": "iTXt", b"eXIf": "exif", b"caBX": "c2pa"}
_WEBP_KINDS = {b"EXIF": "exif", b"XMP ": "xmp", b"C2PA": "c2pa"}
_XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_PART_SIGNATURE = b"http://ns.adobe.com/xmp/extension/\0"
_SAMSUNG_TEXT = b"PEg_Info"
# The place of offset and size of the JPEG in a Fujifilm RAW.
_RAF_JPEG = 84
EXIF_SIGNATURE = b"Exif\0"  # and one more byte, which some writers do not leave at zero


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a file that contains metadata: its kind, and where its payload starts and ends.

    Kinds: "exif" (a TIFF structure), "xmp" (a packet), "xmp_part" (a part of JPEG's extended XMP,
    from its GUID on), "c2pa", "iim" (Photoshop resources), "comment", PNG's "tEXt", "zTXt" and
    "iTXt", "brob" (a box of JPEG XL that Brotli compressed), and "sef:NAME" for an entry of
    Samsung's trailer.
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


def find_exif(data: bytes) -> bytes:
    """Return the TIFF structure of a file's EXIF; empty if it has none."""
    metadata = find_metadata(data)
    for block in metadata.blocks:
        if block.kind == "exif":
            return data if metadata.mime == "image/tiff" else data[block.start : block.end]
    return b""


def find_metadata(data: bytes) -> Metadata:
    """List the metadata blocks of a file without reading their content."""
    form = identify(data)
    mime = form.mime if form is not None else ""
    blocks: list[Block] = []
    if mime in _WALKS:
        with suppress(IndexError, struct.error):  # the file ends here; what came before counts
            blocks.extend(islice(_WALKS[mime](data), MAX_BLOCKS))
        if data.endswith(samsung.END):
            with suppress(struct.error):
                blocks.extend(_samsung(data))
    return Metadata(mime, tuple(blocks))


def _jpeg(data: bytes) -> Iterator[Block]:
    """Yield the blocks before the first scan; anything after the pixels is ignored."""
    has_c2pa = False
    for marker, start, end in jpeg_segments(data):
        if marker == _APP1:
            if data.startswith(EXIF_SIGNATURE, start):
                yield Block("exif", start + 6, end)
            elif data.startswith(_XMP_SIGNATURE, start):
                yield Block("xmp", start + len(_XMP_SIGNATURE), end)
            elif data.startswith(_XMP_PART_SIGNATURE, start):
                yield Block("xmp_part", start + len(_XMP_PART_SIGNATURE), end)
        elif marker == _APP11 and not has_c2pa and data.startswith(b"JP", start):
            has_c2pa = True
            yield Block("c2pa", start, end)
        elif marker in (_APP13, _COM):
            yield Block("iim" if marker == _APP13 else "comment", start, end)


def _png(data: bytes) -> Iterator[Block]:
    for name, start, end in png_chunks(data):
        if (kind := _PNG_KINDS.get(name)) is not None:
            yield _without_signature(data, Block(kind, start, end))


def _webp(data: bytes) -> Iterator[Block]:
    for name, start, end in webp_chunks(data):
        if (kind := _WEBP_KINDS.get(name)) is not None:
            yield _without_signature(data, Block(kind, start, end))


def _without_signature(data: bytes, block: Block) -> Block:
    """Leave out JPEG's signature, which some writers put before the TIFF structure of EXIF."""
    if block.kind == "exif" and data.startswith(EXIF_SIGNATURE, block.start):
        return Block(block.kind, block.start + len(EXIF_SIGNATURE) + 1, block.end)
    return block


def _gif(data: bytes) -> Iterator[Block]:
    """Yield the blocks before the first image."""
    for label, start, end in gif_blocks(data):
        if label == _GIF_COMMENT:
            yield Block("comment", start + 1, end - 1)
        elif data.startswith(b"\x0bC2PA_GIF", start):
            yield Block("c2pa", start, end)
        elif data.startswith(b"\x0bXMP DataXMP", start):
            yield Block("xmp", start + 12, end)


def _tiff(data: bytes) -> Iterator[Block]:
    tags = tiff.metadata_values(data)
    if tiff.C2PA in tags:
        yield Block("c2pa", 0, len(data))
    if tags:
        yield Block("exif", 0, len(data))


def _samsung(data: bytes) -> Iterator[Block]:
    for name, start, end in samsung.short_values(data):
        if data[name:start] == _SAMSUNG_TEXT:
            yield Block(f"sef:{data[name:start].decode()}", start, end)


def _bmff(data: bytes) -> Iterator[Block]:
    return starmap(Block, bmff.items(data))


def _jxl(data: bytes) -> Iterator[Block]:
    return starmap(Block, bmff.jpeg_xl_items(data))


def _raf(data: bytes) -> Iterator[Block]:
    """Yield the blocks of the JPEG that a Fujifilm RAW begins with; its manifest is its own."""
    offset, size = struct.unpack_from(">II", data, _RAF_JPEG)
    for block in _jpeg(data[offset : offset + size]):
        if block.kind != "c2pa":
            yield Block(block.kind, block.start + offset, block.end + offset)


_WALKS: dict[str, Callable[[bytes], Iterator[Block]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/tiff": _tiff,
    "image/avif": _bmff,
    "image/heic": _bmff,
    "video/mp4": _bmff,
    "image/x-fuji-raf": _raf,
    "image/jxl": _jxl,
}
