"""The preview in RAW files: files as cameras lay them out, made by hand."""

from __future__ import annotations

import io
from struct import pack

import pytest
from PIL import Image
from raw_files import LARGE, LOSSLESS, RAWS, SMALL, THUMBNAIL, Raw, raw_with

from storage.records import ErrorKind
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.images.orientation import read_orientation
from workers.images.raw_name import raw_name
from workers.images.raw_preview import MAX_JPEGS, find_preview


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


@pytest.mark.parametrize("previews", [[THUMBNAIL], [LOSSLESS], [LARGE[2:]], [LARGE[:60]]])
def test_without_a_preview(previews: list[bytes]) -> None:
    """A RAW with a thumbnail at most is told as one."""
    with pytest.raises(DecodeError) as caught:
        decode(raw_with(previews))

    assert ErrorKind.UNSUPPORTED is caught.value.kind
    assert "is a camera's RAW without a large preview" in str(caught.value)


def test_pixels_of_a_sensor() -> None:
    """A TIFF is a RAW if a directory says so, whatever the first is, as in 3FR and ERF."""
    raw = Raw()
    sensor = raw.directory({256: [4000], 257: [3000], 262: 32803})
    named = {271: b"Hasselblad\0", 272: b"Hasselblad H3D\0"}
    small = raw.directory({256: [80], 257: [60], 262: 2} | named, following=sensor)

    with pytest.raises(DecodeError) as caught:
        decode(_as_text(raw.finished(small), {271, 272}))

    assert ErrorKind.UNSUPPORTED is caught.value.kind
    assert "is a camera's RAW (3FR, Hasselblad H3D, 4000x3000) without" in str(caught.value)


@pytest.mark.parametrize("order", ["<", ">"])
def test_iiq_is_no_tiff(order: str) -> None:
    """Phase One's begins as a TIFF, with a tiny image; its own directory has the size."""
    start = b"II*\0" if order == "<" else b"MM\0*"
    mark = b"IIIICwaR" if order == "<" else b"MMMMRawC"
    size = [pack(f"{order}4I", tag, 1, 4, side) for tag, side in ((0x10C, 7320), (0x10D, 5484))]
    own = mark + pack(f"{order}3I", 12, 2, 0) + b"".join(size)
    directory = 8 + len(own)
    entry = pack(f"{order}HHHII", 1, 256, 4, 1, 1) + bytes(4)

    with pytest.raises(DecodeError) as caught:
        decode(start + pack(f"{order}I", directory) + own + entry)

    assert ErrorKind.UNSUPPORTED is caught.value.kind
    assert "is a camera's RAW (IIQ, 7320x5484) without a large preview" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("cr2", "CR2"), ("cr3", "CR3"), ("raf", "RAF"), ("rw2", "RW2")],
)
def test_name(name: str, expected: str) -> None:
    """A RAW has the name of its format, without camera and size where it does not state them."""
    assert f"a camera's RAW ({expected})" == raw_name(RAWS[name])
    assert "a camera's RAW" == raw_name(RAWS["nef"])
    dng = RAWS["dng"].replace(pack("<HH", 50706, 7), pack("<HH", 50706, 1))
    assert "a camera's RAW (DNG)" == raw_name(dng)


@pytest.mark.parametrize("size", range(0, 80, 3))
def test_name_of_a_cut_off_file(size: int) -> None:
    """A file that ends anywhere has a name."""
    iiq = b"II*\0\0\0\0\0IIIICwaR" + pack("<3I", 12, 2**31, 0) + bytes(60)

    assert raw_name(iiq[: 16 + size]).startswith("a camera's RAW (IIQ")


def _as_text(tiff: bytes, tags: set[int]) -> bytes:
    """Return a TIFF whose values of these tags are texts."""
    for tag in tags:
        tiff = tiff.replace(pack("<HH", tag, 7), pack("<HH", tag, 2))
    return tiff


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


def test_many_previews() -> None:
    """Only so many are looked at: a file of a megabyte could name thousands of slow ones."""
    raw = Raw()
    small, large = raw.blob(SMALL), raw.blob(LARGE)
    places = {513: [small] * MAX_JPEGS, 514: [len(SMALL)] * MAX_JPEGS}
    following = raw.directory({513: large, 514: len(LARGE)})
    preview = find_preview(raw.finished(raw.directory(places | {50706: 1}, following)))

    assert preview is not None
    assert 700 == preview.width


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
