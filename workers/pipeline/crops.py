"""What of a picture a net is shown: the whole of it, pieces at its own size, or its faces.

Coordinates of boxes are left, top, right, bottom, in pixels of the picture as a viewer shows it.
"""

from __future__ import annotations

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
    """What finds faces."""

    def find(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """The faces in an upright picture."""


Box = tuple[float, float, float, float]

# Probabilities are kept so far from 0 and 1 that their logits are finite.
_SURE = 1e-9


def whole(pixels: NDArray[np.uint8], wanted: Input) -> NDArray[np.uint8]:
    """The pixels at a net's input size; as they are where they have it already."""
    if pixels.shape[:2] == (wanted.height, wanted.width):
        return pixels
    resized = Image.fromarray(pixels).resize((wanted.width, wanted.height), Image.Resampling.BOX)
    return np.asarray(resized)


def centre(
    decoded: Decoded, picture: Image.Image, shorter: int, wanted: Input
) -> NDArray[np.uint8]:
    """The middle of an upright picture whose shorter side was scaled to `shorter`.

    As most nets that were trained on photographs are shown one: it is theirs that it is resized.
    """
    scale = shorter / min(picture.size)
    size = [max(shorter, round(side * scale)) for side in picture.size]
    small = to_rgb(picture).resize((size[0], size[1]), Image.Resampling.BICUBIC)
    pixels = np.ascontiguousarray(apply_orientation(np.asarray(small), decoded.orientation))
    height, width, _ = pixels.shape
    top, left = (height - wanted.height) // 2, (width - wanted.width) // 2
    return pixels[top : top + wanted.height, left : left + wanted.width]


def crops(picture: Image.Image, wanted: Input, most: int) -> list[NDArray[np.uint8]]:
    """Pieces of the input's size, nothing resized: the middle, then the four corners.

    So they lie as far from each other as they can: near ones would say the same once more.
    The net never sees the picture turned: which way is up says nothing of how it was made.
    """
    width, height = picture.size
    places = {
        (_within(x * width, wanted.width, width), _within(y * height, wanted.height, height))
        for x, y in ((0.5, 0.5), (0, 0), (1, 0), (0, 1), (1, 1))[:most]
    }
    return [
        np.asarray(to_rgb(picture.crop((left, top, left + wanted.width, top + wanted.height))))
        for left, top in sorted(places)
    ]


def _within(middle: float, size: int, side: int) -> int:
    """Where a piece begins whose middle is wanted there, all of it in the picture."""
    return min(max(round(middle - size / 2), 0), side - size)


def upright_size(decoded: Decoded) -> tuple[int, int]:
    """Width and height of the picture itself, as a viewer shows it."""
    if decoded.native is None:
        width, height = decoded.header.width, decoded.header.height
    else:
        width, height = decoded.native.size
    return (height, width) if is_sideways(decoded.orientation) else (width, height)


def enlarged(faces: Sequence[Face], seen: NDArray[np.uint8], decoded: Decoded) -> list[Face]:
    """Faces that were found in the picture from afar, in pixels of the picture itself."""
    size = upright_size(decoded)
    wide, high = size[0] / seen.shape[1], size[1] / seen.shape[0]
    return [face.scaled(wide, high) for face in faces]


def faces(decoded: Decoded, finder: Finder) -> list[Face]:
    """The faces in a picture, the largest first, in pixels of the picture itself."""
    seen = np.ascontiguousarray(apply_orientation(decoded.pixels, decoded.orientation))
    found = enlarged(finder.find(seen), seen, decoded)
    return sorted(found, key=lambda one: -one.side)


def of_face(
    decoded: Decoded, picture: Image.Image, found: Face, margin: float, wanted: Input
) -> NDArray[np.uint8]:
    """What a net is shown of a face: the square around it, see `around`."""
    box = around(found, margin, upright_size(decoded))
    return face(picture, decoded.orientation, box, wanted)


def face(picture: Image.Image, orientation: int, box: Box, wanted: Input) -> NDArray[np.uint8]:
    """The square around an upright box, turned upright, at the input's size."""
    piece = to_rgb(picture.crop(_round(stored(box, orientation, picture.size))))
    if orientation != UPRIGHT:
        piece = Image.fromarray(
            np.ascontiguousarray(apply_orientation(np.asarray(piece), orientation))
        )
    return np.asarray(piece.resize((wanted.width, wanted.height), Image.Resampling.BICUBIC))


def around(found: Face, margin: float, size: tuple[int, int]) -> Box:
    """The square around a face, `margin` times its longer side wide, moved into the picture."""
    side = min(found.side * margin, *size)
    left = _moved((found.left + found.right - side) / 2, side, size[0])
    top = _moved((found.top + found.bottom - side) / 2, side, size[1])
    return left, top, left + side, top + side


def _moved(start: float, length: float, side: int) -> float:
    return min(max(start, 0.0), side - length)


def stored(box: Box, orientation: int, size: tuple[int, int]) -> Box:
    """Where a box of the upright picture lies in the one that is stored, of that size."""
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


def _round(box: Box) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(side) for side in box)
    return left, top, right, bottom


def mean_probability(probabilities: NDArray[np.float64]) -> float:
    """One probability for several views of one thing: that of their mean logit.

    The views of one picture are no independent witnesses: their evidence is averaged, not added.
    """
    bounded = np.clip(probabilities, _SURE, 1 - _SURE)
    mean = float(np.mean(np.log(bounded / (1 - bounded))))
    return float(1 / (1 + np.exp(-mean)))
