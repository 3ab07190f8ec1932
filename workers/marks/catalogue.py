"""The visible marks that are looked for: their shapes, places and sizes.

All were measured on real files; the shapes are drawn by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from workers.marks import shapes, signs
from workers.marks.template import Place, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

# A shape's height in pixels when it is looked for and when it is measured, its border, and how many
# pixels it may be off its place.
_COARSE, _FINE = (12, 3, 1), (28, 6, 2)
# The factor between the sizes that are tried.
_STEP = 1.11


@dataclass(frozen=True)
class Mark:
    """A mark: who uses it, its shape by height in pixels and border, its place and sizes.

    The sizes are heights, as shares of the image's shorter side, the smallest and the largest. A
    place is measured from the correlation `promising` on, and shows the mark if correlation and
    outline are at least `correlation` and `outline`.
    """

    generator: str
    name: str
    draw: Callable[[int, int], NDArray[np.float32]]
    place: Place
    sizes: tuple[float, float]
    promising: float
    correlation: float
    outline: float

    @cached_property
    def coarse(self) -> Template:
        """The shape with which the mark is looked for."""
        return Template(self.draw, *_COARSE)

    @cached_property
    def fine(self) -> Template:
        """The shape by which it is measured."""
        return Template(self.draw, *_FINE)

    def heights(self) -> Iterator[float]:
        """Yield the sizes that are tried."""
        size, largest = self.sizes
        while size <= largest * _STEP**0.5:
            yield size
            size *= _STEP


def _sparkle(distance: float, sizes: tuple[float, float], correlation: float) -> Mark:
    """Return Gemini's mark at a distance from the corner in its own sizes.

    The star is a simple shape: the rarer or smaller it is, the better it has to fit.
    """
    place = Place(distance, distance)
    return Mark("Gemini", "sparkle", shapes.sparkle, place, sizes, 0.42, correlation, 0.92)


def _sign(generator: str, sign: signs.Sign, place: Place, sizes: tuple[float, float]) -> Mark:
    """Return a mark of letters, which look like nothing else by chance."""
    return Mark(generator, "sign", sign.draw, place, sizes, 0.3, 0.45, 0.88)


MARKS = (
    # 48 pixels at a distance of 32, and 96 at 64 where both sides exceed 1,024.
    _sparkle(2 / 3, (0.04, 0.092), 0.45),
    # 22 pixels at a distance of 24.
    _sparkle(12 / 11, (0.0205, 0.0275), 0.7),
    # 48 pixels at a distance of 96, and 96 at 192.
    _sparkle(2, (0.03, 0.09), 0.6),
    _sign("Meta AI", signs.META_AI, Place(1.09, 1.08), (0.034, 0.055)),
    _sign("Grok", signs.GROK, Place(0.66, 0.84), (0.018, 0.033)),
    _sign("Doubao", signs.DOUBAO, Place(1.2, 1.18), (0.022, 0.035)),
    _sign("Qwen", signs.QWEN, Place(0.635, 0.65), (0.028, 0.043)),
)
