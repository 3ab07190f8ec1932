"""By what an image is found among others: its EXIF, and its hash."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from scanner.listing.sample_images import DAWN, NOON, landscape
from workers.images import tiff
from workers.images.photograph import difference_hash, read_photograph, read_place

NO_PIXELS = np.zeros((2, 2, 3), dtype=np.uint8)


def jpeg(make: str, model: str, taken: str) -> bytes:
    """Return a JPEG with EXIF that Pillow wrote."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = make, model
    exif.get_ifd(0x8769)[0x9003] = taken
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    return file.getvalue()


def distance(one: int | None, other: int | None) -> int:
    """Return in how many bits two hashes differ."""
    assert one is not None
    assert other is not None
    return ((one ^ other) & (2**64 - 1)).bit_count()


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        ("Canon", "Canon EOS 80D", "Canon EOS 80D"),
        ("NIKON CORPORATION", "NIKON D750", "NIKON D750"),
        ("Apple", "iPhone 13", "Apple iPhone 13"),
        ("", "", None),
        ("a\x1b[2J\nb", "", "a [2J b"),
    ],
)
def test_camera_and_date(make: str, model: str, camera: str | None) -> None:
    """The camera has its make once, on a line; the date is that of the camera's clock."""
    read = read_photograph(jpeg(make, model, "2019:05:02 13:14:15"), NO_PIXELS)

    assert camera == read.camera
    assert datetime(2019, 5, 2, 13, 14, 15, tzinfo=UTC).timestamp() == read.taken_at


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "2019-05-02", "", "\x00" * 19])
def test_a_date_that_is_none(text: str) -> None:
    """What is not a date is no date."""
    assert read_photograph(jpeg("", "", text), NO_PIXELS).taken_at is None


@pytest.mark.parametrize(
    ("sides", "degrees", "place"),
    [
        ("NW", ((38, 43, 20.28), (9, 8, 21.48)), (38.7223, -9.1393)),
        ("SE", ((33.0, 51, 31.2), (151, 12, 33.5)), (-33.8587, 151.2093)),
        ("NE", ((0, 0, 0), (0, 0, 0)), None),
        ("NE", ((91, 0, 0), (0, 0, 0)), None),
    ],
)
def test_place(
    sides: str, degrees: tuple[tuple[float, ...], ...], place: tuple[float, float] | None
) -> None:
    """A place is in degrees, negative in the south and the west; none is at zero, or nowhere."""
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    gps[1], gps[3] = sides
    gps[2], gps[4] = degrees
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    read = read_place(file.getvalue())

    assert (place is None) is (read is None)
    if place is not None:
        assert place == pytest.approx(read, abs=1e-4)


def test_damaged_places() -> None:
    """A part of a place is none, wherever the file ends."""
    exif = Image.Exif()
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (1, 2, 3), "E", (4, 5, 6)
    whole = exif.tobytes().removeprefix(b"Exif\0\0")
    places = {tiff.position(whole[:end]) for end in range(len(whole))}

    assert tiff.position(whole) is not None
    assert places <= {None, tiff.position(whole)}


def test_similar_images_share_most_bits() -> None:
    """A resized and recompressed copy is near, another scene is far, flat and tiny have none."""
    image = landscape(DAWN, 1)
    file = io.BytesIO()
    image.resize((image.width // 2, image.height // 2)).save(file, "JPEG", quality=60)
    copy = np.asarray(Image.open(file))
    hashes = [difference_hash(np.asarray(each)) for each in (image, landscape(NOON, 2))]

    assert distance(hashes[0], difference_hash(copy)) <= 4
    assert distance(*hashes) > 12
    assert difference_hash(np.full((200, 200, 3), 7, dtype=np.uint8)) is None
    assert difference_hash(np.asarray(image)[:63]) is None


def test_bits_are_those_of_the_definition() -> None:
    """Nine columns that grow brighter set all bits; the reverse sets none."""
    ramp = np.repeat(np.arange(9, dtype=np.uint8) * 20, 16)
    pixels = np.broadcast_to(ramp[None, :, None], (128, 144, 3))

    assert -1 == difference_hash(pixels)
    assert 0 == difference_hash(pixels[:, ::-1])
