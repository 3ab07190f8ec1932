"""Visible marks that generators lay over their images, half transparent and white.

A mark is a shape at a known place, in one of the sizes that the image may have been scaled to. It
is found if two things hold. The pixels correlate with the shape (normalised cross-correlation). And
nearly everywhere along its outline the inside is brighter than the outside, by what blending with
white explains: x + a (255 - x), with one opacity a. Photographs show the one or the other, by
chance; `benchmarks/marks.py` measured how many show both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from workers.images.rgb import to_rgb
from workers.marks.catalogue import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from workers.marks.catalogue import Mark
    from workers.marks.template import Place, Template

# Below this shorter side in pixels a mark is too small to be told from others.
MIN_SIDE = 200
# The part of the shorter side, from the lower right corner, in which marks are looked for; it is
# looked at with the shorter side reduced to less than twice so many pixels.
_CORNER, _REDUCED = 0.34, 400
# The sizes around the most promising one that are measured.
_FACTORS = (0.93, 0.965, 1.0, 1.035, 1.07)
# From which opacity on a pair of pixels across the outline shows a mark; the range of the median.
_LEAST_OPACITY, _OPACITY = 0.05, (0.15, 0.9)

Box = tuple[int, int, int, int]


class Candidate(NamedTuple):
    """A place that may show a mark, its measures, and its box: left, top, right, bottom.

    `outline` is the share of the outline that is brighter inside, `opacity` the median opacity.
    """

    mark: Mark
    correlation: float
    outline: float
    opacity: float
    box: Box

    def is_certain(self) -> bool:
        """Check whether it is a mark beyond reasonable doubt."""
        return (
            self.correlation >= self.mark.correlation
            and self.outline >= self.mark.outline
            and _OPACITY[0] <= self.opacity <= _OPACITY[1]
        )


class _Corner(NamedTuple):
    """The lower right corner of an image, grey and reduced.

    `side` is the image's shorter side after that; `factor` divided its sides, of `size` pixels.
    """

    grey: Image.Image
    side: float
    factor: int
    size: tuple[int, int]

    def canvases(self, pixels: int, scales: Sequence[float]) -> NDArray[np.float32]:
        """Return the last `pixels` of the corner, each as large as `scale` of its own, by scale."""
        return np.stack([self._canvas(pixels, scale) for scale in scales])

    def _canvas(self, pixels: int, scale: float) -> NDArray[np.float32]:
        wide, high = self.grey.size
        box = (max(0.0, wide - pixels * scale), max(0.0, high - pixels * scale), wide, high)
        resized = self.grey.resize((pixels, pixels), Image.Resampling.BILINEAR, box)
        return np.asarray(resized, np.float32)

    def in_image(self, right: float, bottom: float, width: float, height: float) -> Box:
        """Return the box of a shape whose distances and size are in pixels of the corner."""
        left, top, right, bottom = (
            round(distance * self.factor)
            for distance in (right + width, bottom + height, right, bottom)
        )
        wide, high = self.size
        return wide - left, high - top, wide - right, high - bottom


def find(image: Image.Image) -> Candidate | None:
    """Return the first mark that an upright image at full resolution shows, None if it has none."""
    return next((each for each in candidates(image) if each.is_certain()), None)


def candidates(image: Image.Image) -> Iterator[Candidate]:
    """Yield the places of an upright image at full resolution that may show a mark."""
    if min(image.size) < MIN_SIDE:
        return
    corner = _corner(image)
    for mark in MARKS:
        height = _promising(mark, corner)
        if height is not None and (candidate := _measured(mark, height, corner)) is not None:
            yield candidate


def _corner(image: Image.Image) -> _Corner:
    side = min(image.size)
    factor = max(1, side // _REDUCED)
    edge = int(side * _CORNER) // factor * factor
    box = (image.width - edge, image.height - edge, image.width, image.height)
    grey = to_rgb(image.crop(box)).convert("L")
    return _Corner(grey.reduce(factor), side / factor, factor, image.size)


def _promising(mark: Mark, corner: _Corner) -> float | None:
    """Return the height, in pixels of the corner, at which a mark fits best, if it may be there."""
    template = mark.coarse
    pixels = template.reach(mark.place)
    scales = [share * corner.side / template.height for share in mark.heights()]
    scales = [scale for scale in scales if pixels * scale <= corner.grey.width]
    if not scales:
        return None
    windows = template.windows(corner.canvases(pixels, scales), mark.place)
    scores = template.correlations(windows).max(-1)
    index = int(scores.argmax())
    return scales[index] * template.height if scores[index] >= mark.promising else None


def _measured(mark: Mark, height: float, corner: _Corner) -> Candidate | None:
    """Measure the best fit of a mark in about this height; None where that leaves the corner."""
    template = mark.fine
    pixels = template.reach(mark.place)
    scales = [factor * height / template.height for factor in _FACTORS]
    scales = [scale for scale in scales if pixels * scale <= corner.grey.width]
    if not scales:
        return None
    windows = template.windows(corner.canvases(pixels, scales), mark.place)
    scores = template.correlations(windows)
    size, move = divmod(int(scores.argmax()), len(template.moves))
    opacities = template.opacities(windows[size, move])
    return Candidate(
        mark,
        float(scores[size, move]),
        float(np.mean(opacities >= _LEAST_OPACITY)),
        float(np.median(opacities)),
        _box(template, mark.place, template.moves[move], scales[size], corner),
    )


def _box(
    template: Template, place: Place, move: tuple[int, int], scale: float, corner: _Corner
) -> Box:
    up, left = move
    right = template.offset(place.right) + template.border + left
    bottom = template.offset(place.bottom) + template.border + up
    sides = (right, bottom, template.width, template.height)
    return corner.in_image(*(side * scale for side in sides))
