"""The format of a file by its first bytes, whatever its name: one answer for every reader."""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.records import ErrorKind

# Bytes at the beginning and at the end of a file that are enough to identify its format.
HEAD_BYTES = 4096
TAIL_BYTES = 32

UNSUPPORTED = "is {}, which is not supported"
ONLY_METADATA = "is {} without a large preview, of which only the metadata is read"


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    `name` is Pillow's where the format is `decodable`, else a name for people. `mime` is the MIME
    type of the container, "" where no metadata is read from it: a Canon CR2 is a TIFF inside. Of a
    camera's `raw` image the metadata and the preview are read (`workers.images.raw_preview`).
    """

    name: str
    mime: str = ""
    decodable: bool = False
    raw: bool = False


_JPEG = Format("JPEG", "image/jpeg", decodable=True)
_PNG = Format("PNG", "image/png", decodable=True)
_GIF = Format("GIF", "image/gif", decodable=True)
_WEBP = Format("WEBP", "image/webp", decodable=True)
_TIFF = Format("TIFF", "image/tiff", decodable=True)
_BMP = Format("BMP", decodable=True)
_AVIF = Format("AVIF", "image/avif", decodable=True)
_HEIF = Format("HEIF", "image/heic", decodable=True)
_JXL = Format("JXL", "image/jxl", decodable=True)
_CR3 = Format("a camera's RAW (CR3)", "video/mp4", raw=True)
_ORF = Format("a camera's RAW (ORF)", "image/tiff", raw=True)
_IIQ = Format("a camera's RAW (IIQ)", "image/tiff", raw=True)
_MP4 = Format("video (MP4)", "video/mp4")

# (offset, bytes, format); the first match counts.
_SIGNATURES = (
    (0, b"\xff\xd8\xff", _JPEG),
    (0, b"\x89PNG\r\n\x1a\n", _PNG),
    (0, b"GIF87a", _GIF),
    (0, b"GIF89a", _GIF),
    (0, b"BM", _BMP),
    (0, b"II*\0\x10\0\0\0CR", Format("a camera's RAW (CR2)", "image/tiff", raw=True)),
    (0, b"II*\0", _TIFF),
    (0, b"MM\0*", _TIFF),
    (0, b"II+\0", _TIFF),  # BigTIFF
    (0, b"MM\0+", _TIFF),
    (0, b"8BPS", Format("Photoshop")),
    (0, b"%PDF-", Format("PDF")),
    (0, b"%!PS", Format("PostScript")),
    (0, b"\xc5\xd0\xd3\xc6", Format("PostScript")),
    (0, b"\xff\x0a", _JXL),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", _JXL),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Format("JPEG 2000")),
    (0, b"\xff\x4f\xff\x51", Format("JPEG 2000")),
    (0, b"\0\0\1\0", Format("Windows icon")),
    (0, b"\0\0\2\0", Format("Windows cursor")),
    (0, b"icns", Format("Apple icon")),
    (0, b"\n\5\1", Format("PCX")),
    (0, b"DDS ", Format("DirectDraw")),
    (0, b"BLP1", Format("Blizzard texture")),
    (0, b"BLP2", Format("Blizzard texture")),
    (0, b"v/1\1", Format("OpenEXR")),
    (0, b"#?RADIANCE", Format("Radiance HDR")),
    (0, b"#?RGBE", Format("Radiance HDR")),
    (0, b"qoif", Format("QOI")),
    (0, b"gimp xcf", Format("GIMP")),
    (0, b"\x8aMNG\r\n\x1a\n", Format("MNG")),
    (0, b"BPG\xfb", Format("BPG")),
    (0, b"FLIF", Format("FLIF")),
    (0, b"\xd7\xcd\xc6\x9a", Format("Windows metafile")),
    (40, b" EMF", Format("Windows metafile")),
    (0, b"SIMPLE  =", Format("FITS")),
    (0, b"\1\xda", Format("SGI")),
    (0, b"\x59\xa6\x6a\x95", Format("Sun raster")),
    (0, b"/* XPM */", Format("XPM")),
    (128, b"DICM", Format("DICOM")),
    (0, b"AT&TFORM", Format("DjVu")),
    (4, b"\x11\xaf", Format("FLI animation")),
    (4, b"\x12\xaf", Format("FLI animation")),
    (0, b"IIRO", _ORF),
    (0, b"IIRS", _ORF),
    (0, b"MMOR", _ORF),
    (0, b"IIU\0", Format("a camera's RAW (RW2)", "image/tiff", raw=True)),
    (0, b"FUJIFILMCCD-RAW", Format("a camera's RAW (RAF)", "image/x-fuji-raf", raw=True)),
    (0, b"FOVb", Format("a camera's RAW (X3F)")),
    (0, b"\0MRM", Format("a camera's RAW (MRW)")),
    (6, b"HEAPCCDR", Format("a camera's RAW (CRW)")),
    (8, b"AVI ", Format("video (AVI)")),
    (8, b"WAVE", Format("sound")),
    (0, b"\x1aE\xdf\xa3", Format("video (Matroska)")),
    (0, b"\0\0\1\xba", Format("video (MPEG)")),
    (0, b"\0\0\1\xb3", Format("video (MPEG)")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Format("video (WMV)")),
    (0, b"FLV\1", Format("video (FLV)")),
    (0, b"OggS", Format("sound or video (Ogg)")),
    (0, b"ID3", Format("sound (MP3)")),
)

# Brands of ISO base media files (ISO 14496-12) and of HEIF files (ISO 23008-12).
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_MAX_BRANDS_BYTES = 512

# Phase One's begins as a TIFF.
_IIQ_START = re.compile(rb"(?:II\*\0|MM\0\*).{4}(?:IIII.waR|MMMMRaw)", re.DOTALL)
_NETPBM = re.compile(rb"P[1-7Ff]\s")


def identify(data: bytes) -> Format | None:
    """Return the format of a file by its content, None for one that is not known.

    The first `HEAD_BYTES` are enough, but for Targa, which is known by its last `TAIL_BYTES`.
    """
    if data.startswith(b"ftyp", 4):
        return _identify_bmff(data)
    if data.startswith(b"RIFF") and data.startswith(b"WEBP", 8):
        return _WEBP
    for offset, signature, form in _SIGNATURES:
        if data.startswith(signature, offset):
            return _IIQ if form is _TIFF and _IIQ_START.match(data) else form
    if _NETPBM.match(data):
        return Format("Netpbm")
    if data.endswith(b"TRUEVISION-XFILE.\0"):
        return Format("Targa")
    return Format("SVG") if b"<svg" in data[:HEAD_BYTES] else None


def decodable_format(data: bytes) -> str | None:
    """Return Pillow's name for the format of an image that can be decoded, None for other files."""
    form = identify(data)
    return form.name if form is not None and form.decodable else None


def is_worth_reading(data: bytes) -> bool:
    """Check whether an image, or the metadata of a RAW, can be read from a file; see `identify`."""
    form = identify(data)
    return form is not None and (form.decodable or form.raw)


def refusal(data: bytes) -> tuple[ErrorKind, str]:
    """Return why a file is not decoded: the kind of error, and a phrase for people.

    The bytes may be the file's first `HEAD_BYTES` and last `TAIL_BYTES` alone.
    """
    form = identify(data)
    if form is None:
        return ErrorKind.NOT_AN_IMAGE, "is not in a known image format"
    return ErrorKind.UNSUPPORTED, (ONLY_METADATA if form.raw else UNSUPPORTED).format(form.name)


def _identify_bmff(data: bytes) -> Format | None:
    """Return the format of an ISO base media file by the brands in its file type box."""
    box = data[8 : min(int.from_bytes(data[:4], "big"), _MAX_BRANDS_BYTES)]
    # The second four bytes are a version.
    brands = {box[i : i + 4] for i in range(0, len(box), 4) if i != 4}  # noqa: PLR2004
    if brands & _AVIF_BRANDS:
        return _AVIF
    if brands & _HEIC_BRANDS:
        return _HEIF
    if b"crx " in brands:
        return _CR3
    return _MP4 if brands else None
