"""Formats of files by their first bytes."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from storage.records import ErrorKind
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.images.formats import HEAD_BYTES, TAIL_BYTES, decodable_format, identify, refusal
from workers.images.metadata import find_metadata


def _saved(form: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_files_by_pillow(form: str) -> None:
    """Each decodable format is identified in a file that Pillow wrote."""
    assert form == decodable_format(_saved(form))


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0mif1heic", None),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", None),
        (b"II*\0\x10\0\0\0CR\2\0", None),
        (b"\xff\x0a\xfa\x1f", "JXL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JXL"),
        (b"RIFF\x24\0\0\0WAVEfmt ", None),
        (b"\xff\xd8", None),
        (b"", None),
    ],
)
def test_headers_by_specification(head: bytes, form: str | None) -> None:
    """Brands count only inside their box, and a Canon RAW is not a TIFF."""
    assert form == decodable_format(head)


def _ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = major + b"\0\0\0\0" + b"".join(compatible)
    return (8 + len(body)).to_bytes(4, "big") + b"ftyp" + body


@pytest.mark.parametrize(
    ("head", "form", "mime"),
    [
        (_ftyp(b"avif", b"mif1", b"miaf"), "AVIF", "image/avif"),
        (_ftyp(b"mif1", b"heic", b"miaf"), "HEIF", "image/heic"),
        # A brand past the box does not count, nor does one of which only the letters are there.
        (_ftyp(b"mif1", b"heic") + b"\0\0\0\x10metaavif", "HEIF", "image/heic"),
        (_ftyp(b"heic", b"miav", b"if\0\0"), "HEIF", "image/heic"),
        # Neither does it matter how many others stand before it.
        (_ftyp(b"mif1", *[b"miaf"] * 20, b"avif"), "AVIF", "image/avif"),
        (_ftyp(b"isom", b"mp42"), None, "video/mp4"),
        (b"II*\0\x10\0\0\0CR\2\0", None, "image/tiff"),
        # An uncompressed TIFF whose pixels happen to begin with "CR".
        (b"II*\0\xff\0\0\0CR\2\0", "TIFF", "image/tiff"),
        (b"II+\0\x08\0\0\0", "TIFF", "image/tiff"),
        (b"BM", "BMP", ""),
        (b"RIFF\0\0\0\0WEBP", "WEBP", "image/webp"),
        (b"plain text", None, ""),
    ],
)
def test_all_readers_agree_on_the_format(head: bytes, form: str | None, mime: str) -> None:
    """Decoding, fetching, metadata and C2PA get the same answer for the same first bytes."""
    kind = None if form else refusal(head)[0]
    try:
        decode(head)
    except DecodeError as error:
        decoded = error

    assert form == decodable_format(head)
    assert mime == find_metadata(head).mime
    assert kind in {None, decoded.kind}
    assert (form is None) == (decoded.kind in {ErrorKind.UNSUPPORTED, ErrorKind.NOT_AN_IMAGE})


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"%PDF-1.7\n", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns=', "SVG"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera's RAW (CR2)"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's RAW (CR3)"),
        (b"FUJIFILMCCD-RAW 0201", "a camera's RAW (RAF)"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp42", "video (MP4)"),
        (b"\x1aE\xdf\xa3\x93B", "video (Matroska)"),
        (b"P6\n8 8\n255\n", "Netpbm"),
        (bytes(20) + b"TRUEVISION-XFILE.\0", "Targa"),
        (b"P6x", None),
        (b"Plain text", None),
        (b"PK\3\4", None),
        (b"P", None),
        (b"", None),
    ],
)
def test_other_formats(head: bytes, name: str | None) -> None:
    """Known formats that are not decoded have a name; unknown ones have none."""
    form = identify(head)

    assert (name, False) == ((form.name, form.decodable) if form else (None, False))


@pytest.mark.parametrize(
    ("head", "tail", "refused"),
    [
        (b"%PDF-1.7\n", b"%%EOF", (ErrorKind.UNSUPPORTED, "is PDF, which is not supported")),
        (
            b"",
            b"TRUEVISION-XFILE.\0",
            (ErrorKind.UNSUPPORTED, "is Targa, which is not supported"),
        ),
        (
            b"PK\3\4",
            b"",
            (ErrorKind.NOT_AN_IMAGE, "is not in a known image format"),
        ),
    ],
)
def test_ends_of_a_file_are_enough(
    head: bytes, tail: bytes, refused: tuple[ErrorKind, str]
) -> None:
    """A file is refused for the same reason by all of its bytes and by its two ends."""
    data = head + bytes(10_000) + tail

    assert refused == refusal(data)
    assert refused == refusal(data[:HEAD_BYTES] + data[-TAIL_BYTES:])
