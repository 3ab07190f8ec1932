"""Arrays of an image that models take: the whole, crops at its own resolution, or faces.

Boxes are (left, top, right, bottom) in pixels of the upright image, as a viewer shows it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from workers.images.orientation import UPRIGHT, apply_orientation, is_sideways
from workers.images.rgb import to_rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from workers.detectors.card import Input
    from workers.images.decode import Decoded
    from workers.images.faces import Face


class Finder(Protocol):
    """A face finder."""

    def find(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """Return the faces in an upright image."""


Box = tuple[float, float, float, float]

# Where crops are, in parts of the width and the height: the middle, then opposite corners.
PLACES = ((0.5, 0.5), (0, 0), (1, 1), (1, 0), (0, 1))
# Pixels of an image at the scale of `reduced`, and the least reduction of its sides: images that
# are hardly larger show no more at that scale than at their own.
MEGAPIXEL, LEAST_REDUCTION = 1_000_000, 1.25

# The two quarter turns undo each other; any other orientation undoes itself.
_INVERSE = {6: 8, 8: 6}
# The distance that keeps probabilities from 0 and 1, so that their logits are finite.
_MARGIN = 1e-9


def whole(pixels: NDArray[np.uint8], wanted: Input) -> NDArray[np.uint8]:
    """Resize pixels to the input's size; return pixels of that size unchanged."""
    if pixels.shape[:2] == (wanted.height, wanted.width):
        return pixels
    resized = Image.fromarray(pixels).resize((wanted.width, wanted.height), Image.Resampling.BOX)
    return np.asarray(resized)


def centre(decoded: Decoded, image: Image.Image, shorter: int, wanted: Input) -> NDArray[np.uint8]:
    """Return the middle of the upright image after scaling its shorter side to `shorter`.

    This is the usual preprocessing of models that were trained on photographs.
    """
    scale = shorter / min(image.size)
    size = [max(shorter, round(side * scale)) for side in image.size]
    small = to_rgb(image).resize((size[0], size[1]), Image.Resampling.BICUBIC)
    pixels = np.ascontiguousarray(apply_orientation(np.asarray(small), decoded.orientation))
    height, width, _ = pixels.shape
    top, left = (height - wanted.height) // 2, (width - wanted.width) // 2
    return pixels[top : top + wanted.height, left : left + wanted.width]


def crops(image: Image.Image, wanted: Input, count: int) -> list[NDArray[np.uint8]]:
    """Return up to `count` crops of the input's size, not resized: the middle, then the corners.

    They are as far apart as possible, because neighbouring crops repeat the same evidence. The
    image is not turned upright: its orientation tells nothing about how it was made.
    """
    return [native_square(image, place, wanted) for place in crop_places(image.size, wanted, count)]


def crop_places(size: tuple[int, int], wanted: Input, count: int) -> list[tuple[int, int]]:
    """Return (left, top) of each of `crops` in an image as stored, which has this `size`."""
    width, height = size
    return sorted(
        {
            (_start(x * width, wanted.width, width), _start(y * height, wanted.height, height))
            for x, y in PLACES[:count]
        }
    )


def native_square(image: Image.Image, place: tuple[int, int], wanted: Input) -> NDArray[np.uint8]:
    """Return the crop of the input's size at (left, top) of an image as stored, not resized."""
    left, top = place
    return np.asarray(to_rgb(image.crop((left, top, left + wanted.width, top + wanted.height))))


def reduced(image: Image.Image, wanted: Input, count: int) -> list[NDArray[np.uint8]]:
    """Return up to `count` crops, placed as those of `crops`, of the image reduced to a megapixel.

    Large images of generators are often enlarged ones, and cameras blur single pixels: what tells
    them apart is coarser there. Empty where the image has not much more than a megapixel.
    """
    width, height = image.size
    scale = reduction(image.size)
    if scale < LEAST_REDUCTION:
        return []
    wide, high = min(wanted.width * scale, width), min(wanted.height * scale, height)
    places = sorted({(x * (width - wide), y * (height - high)) for x, y in PLACES[:count]})
    return [_resized(image, (left, top, left + wide, top + high), wanted) for left, top in places]


def reduction(size: tuple[int, int]) -> float:
    """Return by what the sides of an image are divided so that it has a megapixel."""
    return math.sqrt(size[0] * size[1] / MEGAPIXEL)


def overview(decoded: Decoded, wanted: Input) -> NDArray[np.uint8]:
    """Return all of the upright image, resized to the input's size whatever its shape."""
    upright = np.ascontiguousarray(apply_orientation(decoded.pixels, decoded.orientation))
    size = (wanted.width, wanted.height)
    return np.asarray(Image.fromarray(upright).resize(size, Image.Resampling.BICUBIC))


def _resized(image: Image.Image, box: Box, wanted: Input) -> NDArray[np.uint8]:
    """Return a box of the image as stored, resized to the input's size."""
    left, top = math.floor(box[0]), math.floor(box[1])
    right, bottom = min(math.ceil(box[2]), image.width), min(math.ceil(box[3]), image.height)
    part = to_rgb(image.crop((left, top, right, bottom)))
    inner = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    size = (wanted.width, wanted.height)
    return np.asarray(part.resize(size, Image.Resampling.BICUBIC, box=inner))


def _start(middle: float, size: int, side: int) -> int:
    """Return where a crop around this middle begins, moved into the image."""
    return min(max(round(middle - size / 2), 0), side - size)


def upright_size(decoded: Decoded) -> tuple[int, int]:
    """Return width and height of the image at its own size, upright."""
    if decoded.native is None:
        width, height = decoded.header.width, decoded.header.height
    else:
        width, height = decoded.native.size
    return (height, width) if is_sideways(decoded.orientation) else (width, height)


def enlarged(faces: Sequence[Face], reduced: NDArray[np.uint8], decoded: Decoded) -> list[Face]:
    """Convert faces found in the reduced image to pixels of the image at its own size."""
    size = upright_size(decoded)
    wide, high = size[0] / reduced.shape[1], size[1] / reduced.shape[0]
    return [face.scaled(wide, high) for face in faces]


def faces(decoded: Decoded, finder: Finder) -> list[Face]:
    """Return the faces in an image, the largest first, in pixels of the image at its own size."""
    reduced = np.ascontiguousarray(apply_orientation(decoded.pixels, decoded.orientation))
    unsorted = enlarged(finder.find(reduced), reduced, decoded)
    return sorted(unsorted, key=lambda face: -face.side)


def of_face(
    decoded: Decoded, image: Image.Image, face: Face, margin: float, wanted: Input
) -> NDArray[np.uint8]:
    """Return the square around a face, see `around`, upright and at the input's size."""
    box = around(face, margin * face.side, upright_size(decoded))
    return square(image, decoded.orientation, box, wanted)


def close_up(decoded: Decoded, image: Image.Image, face: Face, wanted: Input) -> NDArray[np.uint8]:
    """Return the square of the input's size around the middle of a face, upright, not resized.

    Of an image that is smaller than the input, the largest square is resized.
    """
    box = around(face, wanted.width, upright_size(decoded))
    return square(image, decoded.orientation, box, wanted)


def square(image: Image.Image, orientation: int, box: Box, wanted: Input) -> NDArray[np.uint8]:
    """Cut a box out of an image, turn it upright and resize it to the input's size."""
    crop = to_rgb(image.crop(_round(stored(box, orientation, image.size))))
    if orientation != UPRIGHT:
        crop = Image.fromarray(
            np.ascontiguousarray(apply_orientation(np.asarray(crop), orientation))
        )
    return np.asarray(crop.resize((wanted.width, wanted.height), Image.Resampling.BICUBIC))


def around(face: Face, side: float, size: tuple[int, int]) -> Box:
    """Return a square around a face, `side` pixels wide where they fit, moved into the image."""
    side = min(side, *size)
    left = _moved((face.left + face.right - side) / 2, side, size[0])
    top = _moved((face.top + face.bottom - side) / 2, side, size[1])
    return left, top, left + side, top + side


def _moved(start: float, length: float, side: int) -> float:
    return min(max(start, 0.0), side - length)


def stored(box: Box, orientation: int, size: tuple[int, int]) -> Box:
    """Convert a box of the upright image to the image as stored, which has this `size`."""
    left, top, right, bottom = box
    width, height = size
    turned = {
        2: (width - right, top, width - left, bottom),
        3: (width - right, height - bottom, width - left, height - top),
        4: (left, height - bottom, right, height - top),
        5: (top, left, bottom, right),
        6: (top, height - right, bottom, height - left),
        7: (width - bottom, height - right, width - top, height - left),
        8: (width - bottom, left, width - top, right),
    }
    return turned.get(orientation, box)


def upright(box: Box, orientation: int, size: tuple[int, int]) -> Box:
    """Convert a box of the image as stored, which has this `size`, to the upright image."""
    turned = (size[1], size[0]) if is_sideways(orientation) else size
    return stored(box, _INVERSE.get(orientation, orientation), turned)


def _round(box: Box) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(side) for side in box)
    return left, top, right, bottom


def mean_probability(probabilities: NDArray[np.float64]) -> float:
    """Return the probability of the mean logit of several crops of one image.

    The crops are not independent, so their evidence is averaged instead of added.
    """
    bounded = np.clip(probabilities, _MARGIN, 1 - _MARGIN)
    mean = float(np.mean(np.log(bounded / (1 - bounded))))
    return float(1 / (1 + np.exp(-mean)))
