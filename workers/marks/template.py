"""A shape that is looked for in images, and the two measures of how well it fits."""

from __future__ import annotations

from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# Variance per pixel, in grey levels, below which nothing is visible.
_LEAST_VARIANCE = 1.0
# Distance in pixels of the points inside and outside the outline that are compared.
_ACROSS = 2


class Place(NamedTuple):
    """Distances of a shape from the right and the lower border, in heights of the shape."""

    right: float
    bottom: float


class Template:
    """A drawn shape of a height in pixels, inside a border, which may be shifted a little."""

    def __init__(
        self, draw: Callable[[int, int], NDArray[np.float32]], height: int, border: int, shift: int
    ) -> None:
        self.height, self.border, self.shift = height, border, shift
        self._opacity = draw(height, border)
        self.high = int(self._opacity.shape[0])
        self.wide = int(self._opacity.shape[1])
        centred = (self._opacity - self._opacity.mean()).ravel()
        self._direction: NDArray[np.float32] = centred / np.linalg.norm(centred)

    @property
    def width(self) -> int:
        """The width of the shape without its border."""
        return self.wide - 2 * self.border

    def offset(self, distance: float) -> int:
        """Return the distance of a place's first window from the image's border, in pixels."""
        return round(distance * self.height) - self.border - self.shift

    def reach(self, place: Place) -> int:
        """Return the pixels from the corner within which all windows of a place are."""
        wide, high = self.offset(place.right) + self.wide, self.offset(place.bottom) + self.high
        return max(wide, high) + 2 * self.shift

    @cached_property
    def moves(self) -> list[tuple[int, int]]:
        """The shifts up and to the left that are tried, in pixels."""
        steps = range(2 * self.shift + 1)
        return list(product(steps, steps))

    def windows(self, canvases: NDArray[np.float32], place: Place) -> NDArray[np.float32]:
        """Return the windows at a place of canvases, (n, side, side), as (n, moves, pixels)."""
        bottom = canvases.shape[1] - self.offset(place.bottom)
        right = canvases.shape[2] - self.offset(place.right)
        windows = [
            canvases[
                :, bottom - up - self.high : bottom - up, right - left - self.wide : right - left
            ]
            for up, left in self.moves
        ]
        return np.stack(windows, axis=1).reshape(len(canvases), len(self.moves), -1)

    def correlations(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the normalised correlation of the shape with windows, (..., pixels)."""
        pixels = windows.shape[-1]
        squares = np.einsum("...i,...i->...", windows, windows)
        variance = squares - windows.sum(-1) ** 2 / pixels
        floor = np.maximum(variance, pixels * _LEAST_VARIANCE)
        return np.asarray(windows @ self._direction / np.sqrt(floor), np.float32)

    @cached_property
    def _outline(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Indices of pixels inside the shape, and of those across its outline."""
        inside, outside = self._opacity > 0.95, self._opacity < 0.05  # noqa: PLR2004
        index = np.arange(inside.size).reshape(inside.shape)
        inner, outer = [], []
        for down, right in ((0, _ACROSS), (0, -_ACROSS), (_ACROSS, 0), (-_ACROSS, 0)):
            across = np.roll(index, (-down, -right), (0, 1))
            # The border is wide enough: no pair reaches around the edge.
            pairs = inside & outside.ravel()[across]
            inner.append(index[pairs])
            outer.append(across[pairs])
        return np.concatenate(inner), np.concatenate(outer)

    def opacities(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the opacity that each pair of pixels across the outline shows."""
        inner, outer = self._outline
        inside, outside = window[inner], window[outer]
        return ((inside - outside) / np.maximum(255 - outside, 8)).astype(np.float32)
