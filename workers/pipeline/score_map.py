"""A map of a detector's score over an image, from squares at the image's own resolution.

Places are those of the image as stored: as crops, squares are not turned upright.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from workers.detectors.detector import EmbeddingDetector
from workers.detectors.loading import load
from workers.images.decode import decode
from workers.pipeline import crops
from workers.pipeline.inputs import crop_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from workers.detectors.card import Card, Input
    from workers.detectors.detector import Detector, Views
    from workers.images.decode import Decoded
    from workers.pipeline.crops import Box

# Squares of a map at most: a model takes milliseconds for each.
MAX_SQUARES = 64


@dataclass(frozen=True, slots=True)
class Square:
    """A square of a map: the box to colour, a part of what was looked at, and its score."""

    box: Box
    score: float


def score_map(data: bytes, card: Card) -> list[Square]:
    """Return the map of a detector that gets crops, row by row; empty for too large an image.

    Raises CardError where the model cannot be loaded, DecodeError as `decode`.
    """
    decoded = decode(data, native=True)
    if decoded.native is None or card.input is None:
        return []
    return squares_of(decoded, card.input, load(card))


def squares_of(decoded: Decoded, wanted: Input, detector: Detector) -> list[Square]:
    """Return the map of a decoded image by a loaded detector.

    The score of a square is that of the image if its crops at its own resolution were this square
    alone. Further views of the detector, of the image reduced and of all of it, stay: without them
    a head would be asked for images that it never learnt from.
    """
    image = decoded.native
    if image is None:
        return []
    places = grid(image.size, wanted)
    squares = [crops.native_square(image, place, wanted) for place, _ in places]
    if isinstance(detector, EmbeddingDetector):
        views = crop_views(decoded, image, detector.card.view, wanted)
        scores = _by_embedding(detector, views, squares)
    else:
        scores = [float(detector.score([square])[0]) for square in squares]
    return [Square(box, score) for (_, box), score in zip(places, scores, strict=True)]


def grid(size: tuple[int, int], wanted: Input) -> list[tuple[tuple[int, int], Box]]:
    """Return (left, top) of each square of a map and the box that it colours, row by row.

    Squares cover the image where MAX_SQUARES are enough, and lie evenly over it where they are not.
    Of overlapping ones each colours the part of the image that is nearest to it.
    """
    columns, rows = _counts(size, wanted)
    across, down = _spread(size[0], wanted.width, columns), _spread(size[1], wanted.height, rows)
    return [
        ((left, top), (box_left, box_top, box_right, box_bottom))
        for top, box_top, box_bottom in down
        for left, box_left, box_right in across
    ]


def _counts(size: tuple[int, int], wanted: Input) -> tuple[int, int]:
    """Return how many columns and rows of squares cover an image, within the limit."""
    columns, rows = -(-size[0] // wanted.width), -(-size[1] // wanted.height)
    while columns * rows > MAX_SQUARES:
        # The direction in which squares are closer together has one less.
        if rows == 1 or (columns > 1 and size[0] / columns < size[1] / rows):
            columns -= 1
        else:
            rows -= 1
    return columns, rows


def _spread(side: int, length: int, count: int) -> list[tuple[int, float, float]]:
    """Return (start, start of its colour, end of its colour) of squares along a side."""
    starts = [
        round(number * (side - length) / (count - 1)) if count > 1 else (side - length) // 2
        for number in range(count)
    ]
    # Halfway between the end of a square and the start of the next one.
    middles = [(start + length + following) / 2 for start, following in pairwise(starts)]
    return [
        (start, max(start, first), min(start + length, last))
        for start, first, last in zip(starts, [0, *middles], [*middles, side], strict=True)
    ]


def _by_embedding(
    detector: EmbeddingDetector, views: Views, squares: Sequence[NDArray[np.uint8]]
) -> list[float]:
    """Return the score of an image with each square in place of its crops.

    A view that shows those crops again, because the image is small, has the square too.
    """
    embedding = detector.embedding(views)
    native = [view is views[0] for view in views]
    logits = []
    for square in squares:
        embedding[native] = detector.embedding([[square]])
        logits.append(detector.head.logit(embedding))
    return [float(score) for score in detector.probabilities(logits)]
