"""The preview in RAW files: files as cameras lay them out, made by hand."""

from __future__ import annotations

import io
from struct import pack
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from storage.records import ErrorKind
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.images.orientation import read_orientation
from workers.images.raw_preview import find_preview

if TYPE_CHECKING:
    from collections.abc import Sequence

Entries = dict[int, "int | bytes | list[int]"]


def jpeg(width: int, height: int = 400) -> bytes:
    """Return a JPEG, red on the left and blue on the right."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


LARGE, SMALL, THUMBNAIL = jpeg(1200, 800), jpeg(700), jpeg(160, 120)
# As the image itself is stored: the same, but for the kind of its frame.
LOSSLESS = jpeg(3000, 2000).replace(b"\xff\xc0", b"\xff\xc3", 1)


class Raw:
    """Writes a file that is TIFF inside: blobs first, then directories that point to them."""

    def __init__(self, header: bytes = b"II*\0") -> None:
        self.data = bytearray(header.ljust(16, b"\0"))

    def blob(self, data: bytes) -> int:
        """Add bytes; return where they are."""
        start = len(self.data)
        self.data += data
        return start

    def directory(self, entries: Entries, following: int = 0, place: int | None = None) -> int:
        """Add a directory, or write it to a place that is kept for it; return where it is."""
        rows = []
        for tag, stated in sorted(entries.items()):
            # One number fits into the entry.
            is_one = isinstance(stated, list) and len(stated) == 1
            value = stated[0] if is_one else stated
            if isinstance(value, int):
                rows.append(pack("<HHII", tag, 4, 1, value))
            elif isinstance(value, bytes):
                rows.append(pack("<HHII", tag, 7, len(value), self.blob(value)))
            else:
                start = self.blob(pack(f"<{len(value)}I", *value))
                rows.append(pack("<HHII", tag, 4, len(value), start))
        body = pack("<H", len(rows)) + b"".join(rows) + pack("<I", following)
        if place is None:
            return self.blob(body)
        self.data[place : place + len(body)] = body
        return place

    def finished(self, first: int) -> bytes:
        """Return the file."""
        self.data[4:8] = pack("<I", first)
        return bytes(self.data)

    def strip(self, data: bytes, **more: int) -> Entries:
        """Return the entries of an image in one strip, JPEG by TIFF's number 6."""
        return {259: 6, 273: self.blob(data), 279: len(data)} | dict(more)

    def place(self, data: bytes) -> Entries:
        """Return the entries of a thumbnail, as EXIF has them."""
        return {513: self.blob(data), 514: len(data)}


def cr2() -> bytes:
    """Return a Canon CR2: preview, thumbnail and the image follow each other."""
    raw = Raw(b"II*\0\x10\0\0\0CR\2\0".ljust(100, b"\0"))
    image = raw.directory(raw.strip(LOSSLESS))
    thumbnail = raw.directory(raw.place(THUMBNAIL), image)
    return raw.finished(raw.directory(raw.strip(LARGE) | {274: 6}, thumbnail, place=16))


def nef() -> bytes:
    """Return a Nikon NEF: previews and the image are below the first directory."""
    raw = Raw()
    below = [
        raw.directory(raw.place(SMALL)),
        raw.directory(raw.strip(LOSSLESS)),
        raw.directory(raw.place(LARGE)),
    ]
    return raw.finished(raw.directory({254: 1, 274: 1, 330: below}))


def dng() -> bytes:
    """Return a DNG: its preview is a JPEG by TIFF's number 7."""
    raw = Raw()
    below = [raw.directory(raw.strip(LOSSLESS) | {259: 7}), raw.directory(raw.strip(LARGE))]
    return raw.finished(raw.directory({254: 1, 330: below, 50706: b"\1\4\0\0\0"}))


def rw2() -> bytes:
    """Return a Panasonic RW2, whose preview is the value of a tag."""
    raw = Raw(b"IIU\0")
    return raw.finished(raw.directory({0x2E: LARGE}))


def raf() -> bytes:
    """Return a Fujifilm RAF."""
    return b"FUJIFILMCCD-RAW ".ljust(84, b"\0") + pack(">II", 92, len(LARGE)) + LARGE


def cr3() -> bytes:
    """Return a Canon CR3: an ISO media file with a box for the preview."""
    inner = pack(">IHHHHI", 0, 1, 1200, 800, 1, len(LARGE)) + LARGE
    box = pack(">I", len(inner) + 8) + b"PRVW" + inner
    identifier = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16") + pack(">II", 0, 1)
    body = pack(">I", len(box) + len(identifier) + 8) + b"uuid" + identifier + box
    return pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + body


RAWS = {"cr2": cr2(), "nef": nef(), "dng": dng(), "rw2": rw2(), "raf": raf(), "cr3": cr3()}


@pytest.mark.parametrize("name", RAWS)
def test_largest_preview(name: str) -> None:
    """The largest JPEG that is not the image itself is the preview, byte for byte."""
    preview = find_preview(RAWS[name])

    assert preview is not None
    assert LARGE == preview.data[: len(LARGE)]
    assert (1200, 800) == (preview.width, preview.height)


@pytest.mark.parametrize("name", RAWS)
def test_decoded(name: str) -> None:
    """A RAW is decoded by its preview, which is told, and turned as the RAW states."""
    decoded = decode(RAWS[name], native=True)
    header = decoded.header

    assert ("JPEG", 1200, 800) == (header.format, header.width, header.height)
    assert decoded.is_preview
    assert decoded.native is not None
    assert (1200, 800) == decoded.native.size
    assert (6 if name == "cr2" else 1) == decoded.orientation == read_orientation(RAWS[name])
    left, right = decoded.pixels[200, 100], decoded.pixels[200, -100]
    assert left[0] > 200 > left[2]
    assert right[2] > 200 > right[0]


def raw_with(previews: Sequence[bytes]) -> bytes:
    """Return a NEF with such previews."""
    raw = Raw()
    below = [raw.directory(raw.place(preview)) for preview in previews]
    return raw.finished(raw.directory({254: 1, 330: below}))


@pytest.mark.parametrize("previews", [[THUMBNAIL], [LOSSLESS], [LARGE[2:]], [LARGE[:60]]])
def test_without_a_preview(previews: list[bytes]) -> None:
    """A RAW with a thumbnail at most is told as one."""
    with pytest.raises(DecodeError) as caught:
        decode(raw_with(previews))

    assert ErrorKind.UNSUPPORTED is caught.value.kind
    assert "is a camera's RAW without a large preview" in str(caught.value)


def test_cut_off_preview() -> None:
    """A preview that ends early is truncated, whatever smaller ones there are."""
    with pytest.raises(DecodeError) as caught:
        decode(raw_with([LARGE[: len(LARGE) // 2], SMALL]))

    assert ErrorKind.TRUNCATED is caught.value.kind


def test_preview_is_limited() -> None:
    """A preview of more pixels than an image may have is too large."""
    with pytest.raises(DecodeError) as caught:
        decode(raw_with([LARGE.replace(b"\xff\xc0", b"\xff\xc2", 1)]), max_pixels=100_000)

    assert ErrorKind.TOO_LARGE is caught.value.kind


def test_ordinary_tiff() -> None:
    """A TIFF that is no RAW is decoded itself."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "green").save(file, "TIFF")

    assert find_preview(file.getvalue()) is None
    assert not decode(file.getvalue()).is_preview


def test_loop_of_directories() -> None:
    """Directories that follow themselves end."""
    raw = Raw()
    first = len(raw.data)
    raw.directory({254: 1, 330: first}, first)

    assert find_preview(raw.finished(first)) is None


@pytest.mark.parametrize("name", RAWS)
def test_every_cut(name: str) -> None:
    """A RAW that is cut off anywhere raises nothing but what is wrong with it."""
    data = RAWS[name]
    for end in range(0, len(data), 997):
        find_preview(data[:end])
