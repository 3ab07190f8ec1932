"""The texts in a file's metadata, whatever its container and their encoding.

All reading is bounded: a text to 4 MiB, a file to twice that, whether compressed or not. Graphs of
ComfyUI with images in them have that size.
"""

from __future__ import annotations

import re
import zlib
from binascii import unhexlify
from itertools import islice
from typing import TYPE_CHECKING

from workers.images import tiff
from workers.images.metadata import EXIF_SIGNATURE
from workers.provenance import extended_xmp, text, xmp
from workers.provenance.metadata_field import Field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.images.metadata import Block, Metadata

MAX_TEXT_BYTES = 4 << 20
MAX_FILE_BYTES = 8 << 20  # of text, in one file
MAX_IIM_TEXTS = 16
MAX_KEYWORD_BYTES = 79  # the PNG specification's own limit

_STRUCTURES = frozenset({"xmp", "exif", "iim"})
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_RAW_PROFILE = b"Raw profile type "
# IPTC-IIM: a marker, record 2 and the number of a data set; its length and its text follow.
_IIM_DATA_SET = re.compile(rb"\x1c\x02([\x41\x6e\x78])(..)", re.DOTALL)
_IIM_NAMES = {b"\x41": "OriginatingProgram", b"\x6e": "Credit", b"\x78": "Caption"}

_DECODERS = {
    "exif:UserComment": text.decode_user_comment,
    "exif:ImageDescription": text.decode_description,
}


def read(data: bytes, metadata: Metadata) -> list[Field]:
    """Return the texts in a file's metadata blocks, in the order of the file."""
    fields: list[Field] = []
    remaining_bytes = MAX_FILE_BYTES
    for block in metadata.blocks:
        for where, value in _values(
            data, metadata.mime, block, min(remaining_bytes, MAX_TEXT_BYTES)
        ):
            remaining_bytes -= len(value)
            fields += _fields(where, value)
        if remaining_bytes <= 0:
            return fields
    for packet in extended_xmp.packets(data, metadata, min(remaining_bytes, MAX_TEXT_BYTES)):
        fields += _fields("xmp", packet)
    return fields


def structures(data: bytes, metadata: Metadata) -> Iterator[tuple[str, bytes]]:
    """Yield ("xmp", a packet), ("exif", a TIFF structure) and ("iim", Photoshop's resources)."""
    for block in metadata.blocks:
        for kind, value in _structures(data, metadata.mime, block, MAX_TEXT_BYTES):
            if kind in _STRUCTURES:
                yield kind, value


def _fields(where: str, value: bytes) -> list[Field]:
    if where == "xmp":
        return [Field(f"xmp:{name}", text) for name, text in xmp.properties(value)]
    decode = _DECODERS.get(where, text.decode)
    return [Field(where, decode(value))]


def _values(data: bytes, mime: str, block: Block, limit: int) -> Iterator[tuple[str, bytes]]:
    """Yield (where, value) for each text in a block; "xmp" for a whole packet."""
    for kind, value in _structures(data, mime, block, limit):
        if kind == "exif":
            yield from _exif(value, limit)
        elif kind == "iim":
            yield from _iim(value)
        else:
            yield kind, value


def _structures(data: bytes, mime: str, block: Block, limit: int) -> Iterator[tuple[str, bytes]]:
    """Yield what a block has, out of its wrapping: structures, or (where, text)."""
    if block.kind == "exif":
        yield "exif", data if mime == "image/tiff" else data[block.start : block.end]
    elif block.kind == "iim":
        yield "iim", data[block.start : block.end]
    elif block.kind == "xmp":
        yield "xmp", data[block.start : min(block.end, block.start + limit)]
    elif block.kind == "comment":
        text = data[block.start : min(block.end, block.start + limit)]
        yield f"{mime.removeprefix('image/')}:comment", text
    elif block.kind == "brob":
        yield from _brotli(data[block.start : min(block.end, block.start + 2 * limit)], limit)
    elif block.kind.startswith("sef:"):
        yield block.kind, data[block.start : min(block.end, block.start + limit)]
    elif block.kind in _PNG_READERS:
        # Twice the limit, as a text that deflate could not shrink is a little longer.
        payload = data[block.start : min(block.end, block.start + 2 * limit)]
        yield from _png(block.kind, payload, limit)


def _brotli(payload: bytes, limit: int) -> Iterator[tuple[str, bytes]]:
    """Yield what is in a compressed box of JPEG XL (ISO/IEC 18181-2, 9.8)."""
    import brotli  # noqa: PLC0415 - few files need it

    name = payload[:4]
    if name not in (b"Exif", b"xml "):
        return
    try:
        content = brotli.Decompressor().process(payload[4:], output_buffer_limit=limit)[:limit]
    except brotli.error:
        return
    if name == b"xml ":
        yield "xmp", content
    else:
        yield "exif", content[4 + int.from_bytes(content[:4], "big") :]


def _exif(data: bytes, limit: int) -> Iterator[tuple[str, bytes]]:
    for tag, whole in tiff.metadata_values(data, limit).items():
        value = whole[:limit]
        limit -= len(value)
        if tag == tiff.XMP:
            yield "xmp", value
        elif tag == tiff.USER_COMMENT:
            yield "exif:UserComment", value
        elif tag in tiff.TEXTS:
            yield f"exif:{tiff.TEXTS[tag]}", value.rstrip(b"\0 ")
        elif tag in tiff.WINDOWS_TEXTS:
            text = value.decode("utf-16-le", "replace").rstrip("\0")
            yield f"exif:{tiff.WINDOWS_TEXTS[tag]}", text.encode()


def _iim(resources: bytes) -> Iterator[tuple[str, bytes]]:
    for match in islice(_IIM_DATA_SET.finditer(resources), MAX_IIM_TEXTS):
        length = int.from_bytes(match[2], "big")
        yield f"iptc:{_IIM_NAMES[match[1]]}", resources[match.end() : match.end() + length]


def _png(kind: str, payload: bytes, limit: int) -> Iterator[tuple[str, bytes]]:
    keyword, separator, rest = payload.partition(b"\0")
    if not separator or len(keyword) > MAX_KEYWORD_BYTES:
        return
    value = _PNG_READERS[kind](rest, limit)
    if keyword.startswith(_RAW_PROFILE):
        yield from _raw_profile(value)
    else:
        yield _png_place(keyword), value


def _png_place(keyword: bytes) -> str:
    """Return the place of a text; ImageMagick writes EXIF of other formats as "exif:Software"."""
    if keyword == _XMP_KEYWORD:
        return "xmp"
    name = keyword.decode("latin-1")
    return name if name.startswith("exif:") else f"png:{name}"


def _raw_profile(value: bytes) -> Iterator[tuple[str, bytes]]:
    """Read a profile as ImageMagick writes it: lines of its name, its length, then hex digits."""
    digits = b"".join(value.split(b"\n")[3:])
    try:
        profile = unhexlify(digits[: len(digits) // 2 * 2])
    except ValueError:
        return
    if profile.startswith(EXIF_SIGNATURE):
        profile = profile[len(EXIF_SIGNATURE) + 1 :]
    yield "exif", profile
    yield "iim", profile
    if b"<x:xmpmeta" in profile:
        yield "xmp", profile


def _read_text(rest: bytes, limit: int) -> bytes:
    return rest[:limit]


def _read_compressed_text(rest: bytes, limit: int) -> bytes:
    return _inflate(rest[1:], limit)


def _read_international_text(rest: bytes, limit: int) -> bytes:
    """Skip the language and the translated keyword (PNG specification, 11.3.3.4)."""
    parts = rest[2:].split(b"\0", 2)
    text = parts[2] if len(parts) == 3 else b""  # noqa: PLR2004
    return _inflate(text, limit) if rest[:1] == b"\1" else text[:limit]


_PNG_READERS = {
    "tEXt": _read_text,
    "zTXt": _read_compressed_text,
    "iTXt": _read_international_text,
}


def _inflate(deflated: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(deflated, limit)
    except zlib.error:
        return b""
