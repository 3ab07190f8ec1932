"""What happens to pictures on their way: cut, resized, softened and saved again."""

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
# 4:4:4 and 4:2:0, as Pillow counts them; most files are the latter.
_SUBSAMPLINGS = (0, 2, 2)


@dataclass(frozen=True, slots=True)
class Changes:
    """How often each happens to a training picture, and how strongly.

    `resized`: a window is brought to the net's size, enlarged by up to `enlarged`. `softened`:
    made smaller, down to `smallest` of its side, and as large as before. `saved`: as JPEG of a
    quality between the ends of `qualities`. Half of all are mirrored.
    """

    resized: float = 0.5
    enlarged: float = 1.5
    softened: float = 0.0
    smallest: float = 0.35
    saved: float = 0.5
    qualities: tuple[int, int] = (55, 97)


def changed(
    square: NDArray[np.uint8], size: int, how: Changes, draw: np.random.Generator
) -> NDArray[np.uint8]:
    """Give `size` by `size` pixels out of a square that is at least so large."""
    picture = _window(Image.fromarray(square), size, how, draw)
    if draw.random() < how.softened:
        small = round(size * np.exp(draw.uniform(np.log(how.smallest), 0)))
        there, back = (_FILTERS[place] for place in draw.integers(len(_FILTERS), size=2))
        picture = picture.resize((small, small), there).resize((size, size), back)
    if draw.random() < how.saved:
        quality = int(draw.integers(how.qualities[0], how.qualities[1], endpoint=True))
        picture = saved(picture, quality, int(draw.choice(_SUBSAMPLINGS)))
    pixels = np.asarray(picture)
    return pixels[:, ::-1] if draw.random() < 0.5 else pixels  # noqa: PLR2004 - half of them


def saved(picture: Image.Image, quality: int, subsampling: int = 2) -> Image.Image:
    """The picture as it comes back from a JPEG."""
    body = io.BytesIO()
    picture.save(body, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(body).convert("RGB")


def _window(
    picture: Image.Image, size: int, how: Changes, draw: np.random.Generator
) -> Image.Image:
    side = size
    if draw.random() < how.resized:
        least, most = np.log(size / picture.width), np.log(how.enlarged)
        side = min(picture.width, round(size / np.exp(draw.uniform(least, most))))
    left, top = draw.integers(0, picture.width - side, size=2, endpoint=True).tolist()
    piece = picture.crop((left, top, left + side, top + side))
    if side == size:
        return piece
    return piece.resize((size, size), _FILTERS[draw.integers(len(_FILTERS))])
