"""Degraded images are recognised, and others are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from workers.images.decode import Decoded, decode
from workers.images.degraded import degraded


def photo(size: int = 320) -> Image.Image:
    """Return an image with detail at all scales, as photographs have."""
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


def read(image: Image.Image, quality: int | None = None) -> Decoded:
    """Return the image as decoded from a file."""
    file = io.BytesIO()
    if quality is None:
        image.save(file, "PNG")
    else:
        image.save(file, "JPEG", quality=quality)
    return decode(file.getvalue(), native=True)


@pytest.mark.parametrize("quality", [None, 95, 80])
def test_normal_images_are_not_degraded(quality: int | None) -> None:
    """An image as cameras and programs save it is not degraded."""
    assert degraded(read(photo(), quality)) is None


@pytest.mark.parametrize(
    ("image", "quality", "word"),
    [
        (photo(240).resize((480, 480), Image.Resampling.BICUBIC), None, "enlarged"),
        (photo().resize((640, 640), Image.Resampling.NEAREST), None, "enlarged"),
        (photo().filter(ImageFilter.GaussianBlur(3)), 90, "enlarged"),
        (photo(), 8, "low a quality"),
    ],
)
def test_degraded_images(image: Image.Image, quality: int | None, word: str) -> None:
    """Enlarged, smoothed and heavily compressed images are degraded, and the text says which."""
    finding = degraded(read(image, quality))

    assert finding is not None
    assert ("router", "degraded", None) == (finding.detector, finding.kind, finding.score)
    assert word in finding.text


def test_images_that_are_not_measured() -> None:
    """Images that are too small, or not decoded at full resolution, are not degraded."""
    assert degraded(read(photo(100).resize((120, 120)))) is None
    assert degraded(decode(_png(photo()))) is None


def test_blank_image() -> None:
    """An image of one colour is degraded, without a division by zero."""
    assert degraded(read(Image.new("RGB", (300, 300), "white"))) is not None


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
