"""JPEGs that libjpeg-turbo decodes itself: the pixels are those that Pillow gives."""

from __future__ import annotations

from io import BytesIO
from random import Random

import numpy as np
import pytest
from PIL import Image

from workers.images.decode import decode
from workers.images.plain_jpeg import as_image, decode_plain

LIMIT = 2**26
SIZES = ((1, 1), (8, 8), (33, 17), (31, 64), (97, 80))
OPTIONS = (
    {"subsampling": "4:4:4"},
    {"subsampling": "4:2:2", "quality": 30},
    {"subsampling": "4:2:0", "quality": 95},
    {"subsampling": "4:1:1", "optimize": True},
    {"subsampling": "4:2:0", "progressive": True},
    {"subsampling": "4:4:4", "progressive": True, "quality": 5},
    {"keep_rgb": True},
    {"restart_marker_blocks": 2},
    {"exif": b"Exif\0\0II*\0\x08\0\0\0" + bytes(6), "comment": b"a comment"},
)


def _noise(width: int, height: int) -> Image.Image:
    small = np.random.default_rng(width * height).integers(0, 255, (8, 8, 3), np.uint8)
    return Image.fromarray(small).resize((width, height))


def _jpeg(image: Image.Image, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def _by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_pixels_are_those_of_pillow(options: dict[str, object]) -> None:
    """To the last bit, at any size, subsampling and order of coefficients."""
    for size in SIZES:
        data = _jpeg(_noise(*size), **options)
        pixels = decode_plain(data, LIMIT)

        assert pixels is not None
        assert np.array_equal(_by_pillow(data), pixels[..., :3])


def test_a_damaged_file_is_left_to_pillow_or_decoded_alike() -> None:
    """Of files with a few wrong bytes, those that are decoded at all have Pillow's pixels."""
    random, whole = Random(17), _jpeg(_noise(64, 48))
    decoded = 0
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[random.randrange(2, len(damaged))] = random.randrange(256)
        pixels = decode_plain(bytes(damaged), LIMIT)
        if pixels is not None:
            decoded += 1
            assert np.array_equal(_by_pillow(bytes(damaged)), pixels[..., :3])

    assert 0 < decoded < 500


@pytest.mark.parametrize(
    "data",
    [
        _jpeg(_noise(64, 48))[:-100],
        _jpeg(_noise(64, 48))[:-2],
        _jpeg(_noise(64, 48)).replace(b"\xff\xdb", b"\0\xff\xdb", 1),
        _jpeg(_noise(64, 48).convert("L")),
        _jpeg(_noise(64, 48).convert("CMYK")),
    ],
    ids=["cut", "without its end", "a byte between segments", "grey", "CMYK"],
)
def test_what_is_not_plain_is_left_to_pillow(data: bytes) -> None:
    """A warning is enough."""
    assert decode_plain(data, LIMIT) is None


def test_a_progressive_jpeg_may_have_a_fourth_of_the_pixels() -> None:
    """It is collected at full size; one in a single scan is not."""
    image = _noise(100, 80)
    plain, progressive = _jpeg(image), _jpeg(image, progressive=True)

    assert decode_plain(plain, 8_000) is not None
    assert decode_plain(plain, 7_999) is None
    assert decode_plain(progressive, 32_000) is not None
    assert decode_plain(progressive, 31_999) is None


def test_an_image_shares_the_pixels() -> None:
    """A photograph's 48 MB are not copied; parts of it convert to the same RGB."""
    data = _jpeg(_noise(97, 80))
    pixels = decode_plain(data, LIMIT)
    assert pixels is not None
    image = as_image(pixels)

    part = image.crop((3, 5, 60, 70))
    assert (97, 80) == image.size
    assert np.array_equal(_by_pillow(data)[5:70, 3:60], np.asarray(part.convert("RGB")))


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_orientation_and_reduced_pixels(orientation: int) -> None:
    """A large photograph is reduced for its faces as Pillow does it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = _noise(1600, 1200)
    data = _jpeg(image, exif=exif)
    decoded = decode(data, native=True)

    reduced = Image.open(BytesIO(data)).convert("RGB").reduce(1600 // 512)
    assert orientation == decoded.orientation
    assert np.array_equal(np.asarray(reduced), decoded.pixels)
    assert not decoded.pixels.flags.writeable
