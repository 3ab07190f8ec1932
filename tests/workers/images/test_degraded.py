"""Pixels that have been through too much are recognised; others are left alone."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from workers.images.decode import Decoded, decode
from workers.images.degraded import degraded


def photo(size: int = 320) -> Image.Image:
    """Something with detail at all scales, as photographs have it."""
    draw = np.random.default_rng(7)
    layers = [
        Image.fromarray(draw.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for n in (5, 20, 80, size)
    ]
    pixels = sum(
        weight * np.asarray(layer, np.float32)
        for weight, layer in zip((0.5, 0.25, 0.15, 0.1), layers, strict=True)
    )
    return Image.fromarray(np.asarray(pixels, np.uint8))


def read(picture: Image.Image, quality: int | None = None) -> Decoded:
    """The picture as it comes back from a file."""
    file = io.BytesIO()
    if quality is None:
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=quality)
    return decode(file.getvalue(), native=True)


@pytest.mark.parametrize("quality", [None, 95, 80])
def test_good_pictures(quality: int | None) -> None:
    """A picture as cameras and programs save it is not called worn."""
    assert degraded(read(photo(), quality)) is None


@pytest.mark.parametrize(
    ("picture", "quality", "word"),
    [
        (photo(240).resize((480, 480), Image.Resampling.BICUBIC), None, "enlarged"),
        (photo().resize((640, 640), Image.Resampling.NEAREST), None, "enlarged"),
        (photo().filter(ImageFilter.GaussianBlur(3)), 90, "enlarged"),
        (photo(), 8, "low a quality"),
    ],
)
def test_worn_pictures(picture: Image.Image, quality: int | None, word: str) -> None:
    """Enlarged, smoothed, or saved to mush: it is said which."""
    said = degraded(read(picture, quality))

    assert said is not None
    assert ("router", "degraded", None) == (said.detector, said.kind, said.score)
    assert word in said.text


def test_too_small_or_not_there() -> None:
    """Where there is too little to tell by, nothing is said."""
    assert degraded(read(photo(100).resize((120, 120)))) is None
    assert degraded(decode(_png(photo()))) is None


def test_blank_picture() -> None:
    """A picture of one colour has lost nothing; it divides by nothing either."""
    assert degraded(read(Image.new("RGB", (300, 300), "white"))) is not None


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
