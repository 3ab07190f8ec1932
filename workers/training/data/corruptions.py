"""Changes that images undergo in circulation: cropped, resized, softened, recompressed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FILTERS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
)
# 4:4:4 once and 4:2:0 twice, as Pillow counts them; most files are 4:2:0.
_SUBSAMPLINGS = (0, 2, 2)


@dataclass(frozen=True, slots=True)
class Corruptions:
    """How often each change happens to a training image, and how strong it is.

    `resized`: a window is brought to the model's size, enlarged by up to `enlarged`. `softened`:
    reduced, down to `smallest` of its side, and enlarged again. `saved`: recompressed as JPEG, the
    quality between the bounds `qualities`. Half of all images are mirrored.
    """

    resized: float = 0.5
    enlarged: float = 1.5
    softened: float = 0.0
    smallest: float = 0.35
    saved: float = 0.5
    qualities: tuple[int, int] = (55, 97)


def corrupted(
    square: NDArray[np.uint8], size: int, how: Corruptions, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Return `size` by `size` pixels of a square that is at least as large, changed at random."""
    image = _window(Image.fromarray(square), size, how, random)
    if random.random() < how.softened:
        small = round(size * np.exp(random.uniform(np.log(how.smallest), 0)))
        down, up = (_FILTERS[index] for index in random.integers(len(_FILTERS), size=2))
        image = image.resize((small, small), down).resize((size, size), up)
    if random.random() < how.saved:
        quality = int(random.integers(how.qualities[0], how.qualities[1], endpoint=True))
        image = recompressed(image, quality, int(random.choice(_SUBSAMPLINGS)))
    pixels = np.asarray(image)
    return pixels[:, ::-1] if random.random() < 0.5 else pixels  # noqa: PLR2004 - half of them


def recompressed(image: Image.Image, quality: int, subsampling: int = 2) -> Image.Image:
    """Return the image after saving it as JPEG."""
    body = io.BytesIO()
    image.save(body, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(body).convert("RGB")


def _window(
    image: Image.Image, size: int, how: Corruptions, random: np.random.Generator
) -> Image.Image:
    side = size
    if random.random() < how.resized:
        least, most = np.log(size / image.width), np.log(how.enlarged)
        side = min(image.width, round(size / np.exp(random.uniform(least, most))))
    left, top = random.integers(0, image.width - side, size=2, endpoint=True).tolist()
    window = image.crop((left, top, left + side, top + side))
    if side == size:
        return window
    return window.resize((size, size), _FILTERS[random.integers(len(_FILTERS))])
