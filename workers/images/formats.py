"""What a file is by its first bytes, whatever it is called."""

from __future__ import annotations

import re

from storage.records import ErrorKind

# Bytes at the beginning and at the end of a file by which its format is told.
HEAD_BYTES = 4096
TAIL_BYTES = 32

NOT_LOOKED_AT = "is {}, which is not looked at"

# The formats that are decoded, by the names that Pillow gives them.
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
)

# Brands of ISO base media files (ISO 14496-12) and their HEIF kin (ISO 23008-12).
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})

# Formats that are known by name but not decoded: (offset, bytes, name).
_FOREIGN = (
    (0, b"II*\0\x10\0\0\0CR", "a camera's RAW (CR2)"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF-", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\0\0\1\0", "Windows icon"),
    (0, b"\0\0\2\0", "Windows cursor"),
    (0, b"icns", "Apple icon"),
    (0, b"\n\5\1", "PCX"),
    (0, b"DDS ", "DirectDraw"),
    (0, b"BLP1", "Blizzard texture"),
    (0, b"BLP2", "Blizzard texture"),
    (0, b"v/1\1", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"qoif", "QOI"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"\x8aMNG\r\n\x1a\n", "MNG"),
    (0, b"BPG\xfb", "BPG"),
    (0, b"FLIF", "FLIF"),
    (0, b"\xd7\xcd\xc6\x9a", "Windows metafile"),
    (40, b" EMF", "Windows metafile"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"\1\xda", "SGI"),
    (0, b"\x59\xa6\x6a\x95", "Sun raster"),
    (0, b"/* XPM */", "XPM"),
    (128, b"DICM", "DICOM"),
    (0, b"AT&TFORM", "DjVu"),
    (4, b"\x11\xaf", "FLI animation"),
    (4, b"\x12\xaf", "FLI animation"),
    (0, b"IIRO", "a camera's RAW (ORF)"),
    (0, b"IIRS", "a camera's RAW (ORF)"),
    (0, b"MMOR", "a camera's RAW (ORF)"),
    (0, b"IIU\0", "a camera's RAW (RW2)"),
    (0, b"FUJIFILMCCD-RAW", "a camera's RAW (RAF)"),
    (0, b"FOVb", "a camera's RAW (X3F)"),
    (0, b"\0MRM", "a camera's RAW (MRW)"),
    (6, b"HEAPCCDR", "a camera's RAW (CRW)"),
    (8, b"AVI ", "video (AVI)"),
    (8, b"WAVE", "sound"),
    (0, b"\x1aE\xdf\xa3", "video (Matroska)"),
    (0, b"\0\0\1\xba", "video (MPEG)"),
    (0, b"\0\0\1\xb3", "video (MPEG)"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video (WMV)"),
    (0, b"FLV\1", "video (FLV)"),
    (0, b"OggS", "sound or video (Ogg)"),
    (0, b"ID3", "sound (MP3)"),
)

_NETPBM = re.compile(rb"P[1-7Ff]\s")


def image_format(data: bytes) -> str | None:
    """The format of an image that can be decoded: JPEG, PNG, WEBP, AVIF, HEIF, GIF, BMP, TIFF.

    None for everything else, and for a camera's RAW, even where it has a TIFF's first bytes.
    """
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return None if data[8:10] == b"CR" and name == "TIFF" else name
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    if not _AVIF_BRANDS.isdisjoint(brands):
        return "AVIF"
    return None if _HEIC_BRANDS.isdisjoint(brands) else "HEIF"


def foreign_format(data: bytes) -> str | None:
    """A name for people of what this is, where it is known but not decoded; else None."""
    for offset, signature, name in _FOREIGN:
        if data.startswith(signature, offset):
            return name
    if _NETPBM.match(data):
        return "Netpbm"
    brands = _brands(data)
    if brands:
        return "a camera's RAW (CR3)" if b"crx " in brands else "video (MP4)"
    if data.endswith(b"TRUEVISION-XFILE.\0"):
        return "Targa"
    return "SVG" if b"<svg" in data[:HEAD_BYTES] else None


def refusal(data: bytes) -> tuple[ErrorKind, str]:
    """What is wrong with a file that `image_format` does not know: a kind, and a phrase for people.

    The bytes may be the file's first `HEAD_BYTES` and last `TAIL_BYTES` alone.
    """
    name = foreign_format(data)
    if name is None:
        return ErrorKind.NOT_AN_IMAGE, "its content is of no known image format"
    return ErrorKind.UNSUPPORTED, NOT_LOOKED_AT.format(name)


def _brands(data: bytes) -> list[bytes]:
    """The brands in the file type box that ISO base media files begin with."""
    if data[4:8] != b"ftyp":
        return []
    box = data[8 : min(int.from_bytes(data[:4], "big"), 512)]
    return [box[i : i + 4] for i in range(0, len(box), 4) if i != 4]  # noqa: PLR2004 - the version
