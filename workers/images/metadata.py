"""The quick look: which parts of a file carry metadata, found by the container's own structure.

Only chunk headers are read, never pixels, so that the cost does not grow with the picture. What
each walker stops at is a bound against files made to be slow, far above what real files have.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from
from typing import TYPE_CHECKING

from workers.images import bmff, tiff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Walk = Callable[[bytes], "Iterator[Carrier]"]

MAX_SEGMENTS = 4_096  # a C2PA manifest of 64 MB needs 1,024 JPEG segments
MAX_CHUNKS = 65_536  # a PNG of 500 MB in chunks of 8 KB
MAX_CARRIERS = 256

# JPEG's markers (ITU-T T.81, table B.1).
_MARKER, _SOS, _EOI, _APP1, _APP11, _APP13, _COM = 0xFF, 0xDA, 0xD9, 0xE1, 0xEB, 0xED, 0xFE
_PNG_KINDS = {b"tEXt": "tEXt", b"zTXt": "zTXt", b"iTXt": "iTXt", b"eXIf": "exif", b"caBX": "c2pa"}
_WEBP_KINDS = {b"EXIF": "exif", b"XMP ": "xmp", b"C2PA": "c2pa"}
_XMP_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_SIGNATURE = b"Exif\0"  # and one more byte, which some writers do not leave at zero


@dataclass(frozen=True, slots=True)
class Carrier:
    """A part of the file that carries metadata: `kind`, and where its payload lies.

    Kinds: "exif" (a TIFF structure), "xmp" (a packet), "c2pa", "iim" (Photoshop resources),
    "comment", and PNG's "tEXt", "zTXt" and "iTXt".
    """

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Head:
    """What a file is, as a MIME type ("" if no image format we know), and what it carries."""

    mime: str
    carriers: tuple[Carrier, ...] = ()

    def has(self, kind: str) -> bool:
        """Whether any part is of this kind."""
        return any(carrier.kind == kind for carrier in self.carriers)


def look(data: bytes) -> Head:
    """Tell the container from its first bytes and list its metadata, without reading any."""
    mime, walk = _sniff(data)
    if walk is None:
        return Head(mime)
    carriers = []
    for carrier in walk(data):
        carriers.append(carrier)
        if len(carriers) == MAX_CARRIERS:
            break
    return Head(mime, tuple(carriers))


def _sniff(data: bytes) -> tuple[str, _Walk | None]:
    for prefix, mime, walk in _PREFIXES:
        if data.startswith(prefix):
            return mime, walk
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp", _webp
    if data[4:8] == b"ftyp":
        avif = data[8:12] in (b"avif", b"avis") or b"avif" in data[16:64]
        return "image/avif" if avif else "image/heic", _bmff
    return "", None


def _jpeg(data: bytes) -> Iterator[Carrier]:
    """Walk the segments before the first scan; what a file hides behind its pixels is not read."""
    at, last = 2, len(data) - 4
    c2pa_seen = False
    for _ in range(MAX_SEGMENTS):
        if at > last or data[at] != _MARKER:
            return
        marker, length = data[at + 1], data[at + 2] << 8 | data[at + 3]
        if marker in (_SOS, _EOI) or length < 2:  # noqa: PLR2004 - the length counts itself
            return
        start, end = at + 4, at + 2 + length
        if marker == _APP1:
            if data.startswith(_EXIF_SIGNATURE, start):
                yield Carrier("exif", start + 6, end)
            elif data.startswith(_XMP_SIGNATURE, start):
                yield Carrier("xmp", start + len(_XMP_SIGNATURE), end)
        elif marker == _APP11 and not c2pa_seen and data.startswith(b"JP", start):
            c2pa_seen = True
            yield Carrier("c2pa", start, end)
        elif marker in (_APP13, _COM):
            yield Carrier("iim" if marker == _APP13 else "comment", start, end)
        at = end


def _png(data: bytes) -> Iterator[Carrier]:
    at, last = 8, len(data) - 12
    for _ in range(MAX_CHUNKS):
        if at > last:
            return
        length, name = unpack_from(">I4s", data, at)
        if (kind := _PNG_KINDS.get(name)) is not None:
            yield Carrier(kind, at + 8, at + 8 + length)
        at += length + 12


def _webp(data: bytes) -> Iterator[Carrier]:
    at, last = 12, len(data) - 8
    for _ in range(MAX_CHUNKS):
        if at > last:
            return
        name, length = unpack_from("<4sI", data, at)
        if (kind := _WEBP_KINDS.get(name)) is not None:
            start = at + 8
            # Some writers put JPEG's signature before the TIFF structure.
            if kind == "exif" and data.startswith(_EXIF_SIGNATURE, start):
                start += 6
            yield Carrier(kind, start, at + 8 + length)
        at += 8 + length + (length & 1)


def _gif(data: bytes) -> Iterator[Carrier]:
    """Walk the extensions before the first picture, which is where C2PA and comments stand."""
    if len(data) < 13:  # noqa: PLR2004 - header and screen descriptor
        return
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    for _ in range(MAX_SEGMENTS):
        if data[at : at + 1] != b"!":
            return
        label, start = data[at + 1 : at + 2], at + 2
        at = start
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
        if label == b"\xfe":
            yield Carrier("comment", start + 1, at - 1)
        elif data.startswith(b"\x0bC2PA_GIF", start):
            yield Carrier("c2pa", start, at)
        elif data.startswith(b"\x0bXMP DataXMP", start):
            yield Carrier("xmp", start + 12, at)


def _tiff(data: bytes) -> Iterator[Carrier]:
    tags = tiff.read(data)
    if tiff.C2PA in tags:
        yield Carrier("c2pa", 0, len(data))
    if tags:
        yield Carrier("exif", 0, len(data))


def _bmff(data: bytes) -> Iterator[Carrier]:
    for kind, start, end in bmff.items(data):
        yield Carrier(kind, start, end)


_PREFIXES: tuple[tuple[bytes, str, _Walk], ...] = (
    (b"\xff\xd8\xff", "image/jpeg", _jpeg),
    (b"\x89PNG\r\n\x1a\n", "image/png", _png),
    (b"GIF87a", "image/gif", _gif),
    (b"GIF89a", "image/gif", _gif),
    (b"II*\0", "image/tiff", _tiff),
    (b"MM\0*", "image/tiff", _tiff),
)
