"""Changes that images undergo in circulation: cropped, resized, softened, recompressed."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

_FILTERS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
)
# 4:4:4 once and 4:2:0 twice, as Pillow counts them; most files are 4:2:0.
_SUBSAMPLINGS = (0, 2, 2)
# Half of all images are mirrored.
_MIRRORED = 0.5


@dataclass(frozen=True, slots=True)
class Corruptions:
    """How often each change happens to a training image, and how strong it is.

    `cropped`: a window of it, each side at least `least` of the image's. `resized`: its sides times
    a factor between `smallest` and `largest`, the shorter one to no less than `shortest` pixels.
    `softened`: reduced, down to `smallest` of its sides, and enlarged again. `saved`: recompressed
    as JPEG, and `as_webp` as WebP in its place, of a quality between the bounds `qualities`.
    """

    cropped: float = 0.5
    least: float = 0.6
    resized: float = 0.65
    smallest: float = 0.25
    largest: float = 1.3
    shortest: int = 232
    softened: float = 0.0
    saved: float = 0.8
    as_webp: float = 0.1
    qualities: tuple[int, int] = (55, 97)


def corrupted(image: Image.Image, how: Corruptions, random: np.random.Generator) -> Image.Image:
    """Return an RGB image changed at random."""
    if random.random() < how.cropped:
        image = _window(image, how, random)
    if random.random() < how.resized:
        image = image.resize(_scaled(image, _factor(image, how, random)), _any_filter(random))
    if random.random() < how.softened:
        small = image.resize(_scaled(image, _factor(image, how, random)), _any_filter(random))
        image = small.resize(image.size, _any_filter(random))
    if random.random() < _MIRRORED:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if random.random() < how.saved:
        quality = int(random.integers(how.qualities[0], how.qualities[1], endpoint=True))
        as_webp = random.random() * how.saved < how.as_webp
        image = (
            _saved_as_webp(image, quality)
            if as_webp
            else recompressed(image, quality, int(random.choice(_SUBSAMPLINGS)))
        )
    return image


def recompressed(image: Image.Image, quality: int, subsampling: int = 2) -> Image.Image:
    """Return the image after saving it as JPEG."""
    body = io.BytesIO()
    image.save(body, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(body).convert("RGB")


def _saved_as_webp(image: Image.Image, quality: int) -> Image.Image:
    body = io.BytesIO()
    image.save(body, "WEBP", quality=quality, method=0)
    return Image.open(body).convert("RGB")


def _window(image: Image.Image, how: Corruptions, random: np.random.Generator) -> Image.Image:
    shares = random.uniform(how.least, 1, 2)
    sides = [
        min(side, max(how.shortest, round(side * share)))
        for side, share in zip(image.size, shares.tolist(), strict=True)
    ]
    left, top = (
        int(random.integers(0, whole - side, endpoint=True))
        for whole, side in zip(image.size, sides, strict=True)
    )
    return image.crop((left, top, left + sides[0], top + sides[1]))


def _factor(image: Image.Image, how: Corruptions, random: np.random.Generator) -> float:
    """Return a factor of an image's sides, as often halved as a quarter is doubled."""
    factor = float(np.exp(random.uniform(np.log(how.smallest), np.log(how.largest))))
    return max(factor, min(1.0, how.shortest / min(image.size)))


def _scaled(image: Image.Image, factor: float) -> tuple[int, int]:
    return max(1, round(image.width * factor)), max(1, round(image.height * factor))


def _any_filter(random: np.random.Generator) -> Image.Resampling:
    return _FILTERS[int(random.integers(len(_FILTERS)))]
