"""The preview in RAW files: files as cameras lay them out, made by hand."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from raw_files import LARGE, LOSSLESS, RAWS, SMALL, THUMBNAIL, Raw, raw_with

from storage.records import ErrorKind
from workers.images.decode import decode
from workers.images.errors import DecodeError
from workers.images.orientation import read_orientation
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
