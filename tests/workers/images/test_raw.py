"""RAW files of cameras: their metadata is read, their pixels are not.

The files are made from what is documented of the formats; only their structure is real.
"""

from __future__ import annotations

import io
from struct import pack
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from storage.records import ErrorKind
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.images.metadata import find_metadata
from workers.provenance import read
from workers.sources.source import LARGE_BYTES, FetchError, require_image

if TYPE_CHECKING:
    from collections.abc import Callable

GENERATED = (
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/'
    'trainedAlgorithmicMedia"'
)
ACTIONS = [{"action": "c2pa.created", "digitalSourceType": "digsrctype:trainedAlgorithmicMedia"}]
DNG_VERSION, SUBFILE_TYPE, SUB_DIRECTORIES, XMP = 0xC612, 254, 330, 700


def tiff(*, byte_order: str = "II", dng: bool = False, xmp: bytes = b"") -> bytes:
    """Return a TIFF in a byte order, as a DNG, or as NEF and ARW are: a preview above the image."""
    tags = ImageFileDirectory_v2(prefix=byte_order.encode())
    if dng:
        tags[DNG_VERSION] = b"\1\4\0\0"
        tags.tagtype[DNG_VERSION] = 1
    else:
        tags[SUBFILE_TYPE] = 1
        tags[SUB_DIRECTORIES] = 8
    if xmp:
        tags[XMP] = xmp
        tags.tagtype[XMP] = 1
    target = io.BytesIO()
    Image.new("RGB" if byte_order == "II" else "I;16B", (8, 8)).save(target, "TIFF", tiffinfo=tags)
    return target.getvalue()


def box(name: bytes, payload: bytes) -> bytes:
    """Return a box of ISO/IEC 14496-12."""
    return pack(">I4s", 8 + len(payload), name) + payload


def cr3(xmp: bytes = b"", exif: bytes = b"") -> bytes:
    """Return the boxes of a Canon CR3 with XMP, and EXIF in its movie box."""
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    own = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
    metadata = box(b"CNCV", b"CanonCR3") + box(b"CMT1", exif) + box(b"CMT2", exif)
    movie = box(b"moov", box(b"uuid", canon + metadata) + box(b"mvhd", bytes(100)))
    return (
        box(b"ftyp", b"crx \0\0\0\1crx isom")
        + movie
        + (box(b"uuid", own + xmp) if xmp else b"")
        + box(b"mdat", bytes(64))
    )


def raf(jpeg: bytes) -> bytes:
    """Return the header of a Fujifilm RAW and the JPEG in it."""
    head = b"FUJIFILMCCD-RAW 0201FF393101".ljust(84, b"\0") + pack(">II", 148, len(jpeg))
    return head.ljust(148, b"\0") + jpeg + bytes(64)


def with_magic(magic: bytes, data: bytes) -> bytes:
    """Return a TIFF with the first bytes of another format."""
    return magic + data[4:]


def named(form: str, xmp: bytes, draw: Callable[..., bytes]) -> bytes:
    """Return a RAW file of a format, with an XMP packet."""
    if form == "CR3":
        return cr3(xmp)
    if form == "RAF":
        return raf(draw("JPEG", xmp=xmp))
    if form == "DNG":
        return tiff(dng=True, xmp=xmp)
    little = tiff(xmp=xmp)
    magics = {"ORF": b"IIRO", "ORF of 2003": b"IIRS", "RW2": b"IIU\0"}
    if form == "ORF of 2005":
        return with_magic(b"MMOR", tiff(byte_order="MM", xmp=xmp))
    return with_magic(magics[form], little) if form in magics else little


FORMS = ["CR3", "RAF", "DNG", "NEF, ARW, PEF", "ORF", "ORF of 2003", "ORF of 2005", "RW2"]


@pytest.mark.parametrize("form", FORMS)
def test_xmp_of_a_raw_counts(
    draw: Callable[..., bytes], packet: Callable[..., bytes], form: str
) -> None:
    """What XMP declares is read from a RAW, and one without XMP has no evidence."""
    data = named(form, packet(GENERATED), draw)

    assert ["iptc_generated"] == [finding.kind for finding in read(data)]
    plain = named(form, b"", draw) if form != "RAF" else raf(draw("JPEG"))
    assert () == read(plain)


@pytest.mark.parametrize("form", FORMS)
def test_pixels_of_a_raw_are_not_decoded(
    draw: Callable[..., bytes], packet: Callable[..., bytes], form: str
) -> None:
    """A RAW is unsupported, and the message says that its metadata is read."""
    with pytest.raises(DecodeError, match="of which only the metadata is read") as caught:
        decode(named(form, packet(GENERATED), draw))

    assert ErrorKind.UNSUPPORTED == caught.value.kind


def test_exif_of_a_cr3_counts() -> None:
    """EXIF in a CR3's movie box is read."""
    exif = Image.Exif()
    exif[305] = "Midjourney"
    tags = exif.tobytes().removeprefix(b"Exif\0\0")

    assert ["generator_tag"] == [finding.kind for finding in read(cr3(exif=tags))]


def test_manifest_of_a_dng(sign: Callable[..., bytes]) -> None:
    """A DNG's C2PA manifest is read and checked against its bytes."""
    signed = bytearray(sign(tiff(dng=True), ACTIONS, mime="image/dng"))
    (finding,) = read(bytes(signed))

    assert ("c2pa_generated", "no_trust_list") == (finding.kind, finding.detail["signature"])
    # The pixels stand before the directory.
    signed[12] ^= 1
    (finding,) = read(bytes(signed))
    assert ("c2pa_generated", "invalid") == (finding.kind, finding.detail["signature"])


def test_manifest_of_the_preview_in_a_raf_is_not_its_own(
    draw: Callable[..., bytes], sign: Callable[..., bytes]
) -> None:
    """The JPEG in a Fujifilm RAW has a manifest of its own, which says nothing of the RAW."""
    assert () == find_metadata(raf(sign(draw("JPEG"), ACTIONS))).blocks


@pytest.mark.parametrize("cut", [90, 100, 150, 200])
def test_raf_that_ends_early(
    draw: Callable[..., bytes], packet: Callable[..., bytes], cut: int
) -> None:
    """A Fujifilm RAW that ends early, or points past its end, has what came before."""
    whole = raf(draw("JPEG", xmp=packet(GENERATED)))
    read(whole[:cut])
    read(whole[:84] + b"\xff" * 8 + whole[92:])


def test_large_raw_is_read_and_a_large_video_is_not() -> None:
    """Of files over 32 MiB, a RAW is read for its metadata; a video is refused by its start."""
    require_image(LARGE_BYTES + 1, lambda *_: cr3())
    require_image(LARGE_BYTES + 1, lambda *_: with_magic(b"IIU\0", tiff()))
    with pytest.raises(FetchError, match="video"):
        require_image(LARGE_BYTES + 1, lambda *_: box(b"ftyp", b"isom\0\0\0\1isom"))
