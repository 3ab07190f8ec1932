"""RAW files as cameras lay them out, made by hand."""

from __future__ import annotations

import io
from struct import pack
from typing import TYPE_CHECKING

from PIL import Image

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


def raw_with(previews: Sequence[bytes]) -> bytes:
    """Return a NEF with such previews."""
    raw = Raw()
    below = [raw.directory(raw.place(preview)) for preview in previews]
    return raw.finished(raw.directory({254: 1, 330: below}))


RAWS = {"cr2": cr2(), "nef": nef(), "dng": dng(), "rw2": rw2(), "raf": raf(), "cr3": cr3()}
