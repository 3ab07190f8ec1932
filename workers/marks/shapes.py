"""Shapes of visible marks, drawn by their geometry: how opaque each pixel is, 0 to 1.

Nothing is copied from a mark. A sparkle is bounded by four arcs; letters are strokes of one width.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Point = tuple[float, float]
    # The width of a polyline, and its points.
    Stroke = tuple[float, Sequence[Point]]

# Each pixel is the mean of so many by so many points.
_FINE = 6
# A sparkle's arcs, in its sizes: the distance of their centres, and how far its points reach. Both
# were fitted to real files.
_ARC_CENTRE, _REACH = 0.69, 0.53


def sparkle(size: int, border: int) -> NDArray[np.float32]:
    """Draw Gemini's four-pointed star of `size` pixels, with an empty border around it."""
    side = size + 2 * border
    centred = np.abs((np.arange(side * _FINE) + 0.5) / _FINE - border - size / 2) / size
    x, y = centred[None, :], centred[:, None]
    radius = np.hypot(_ARC_CENTRE, _ARC_CENTRE - _REACH)
    inside = (np.hypot(x - _ARC_CENTRE, y - _ARC_CENTRE) > radius) & (x + y <= _REACH)
    return _averaged(inside)


def strokes(lines: Sequence[Stroke], height: int, width: float, border: int) -> NDArray[np.float32]:
    """Draw polylines with round ends, `height` pixels high, with an empty border around them.

    Points (x, y) and all widths are in heights of the drawing.
    """
    wide = round(width * height)
    y = ((np.arange((height + 2 * border) * _FINE) + 0.5) / _FINE - border) / height
    x = ((np.arange((wide + 2 * border) * _FINE) + 0.5) / _FINE - border) / height
    inside = np.zeros((y.size, x.size), bool)
    for thickness, points in lines:
        for start, end in pairwise(points):
            columns = _near(x, start[0], end[0], thickness)
            rows = _near(y, start[1], end[1], thickness)
            distance = _distance(x[None, columns], y[rows, None], start, end)
            inside[rows, columns] |= distance <= thickness / 2
    return _averaged(inside)


def _near(values: NDArray[np.float64], start: float, end: float, thickness: float) -> slice:
    """Return which of the ordered values a line between two of them covers."""
    low, high = min(start, end) - thickness, max(start, end) + thickness
    first, last = np.searchsorted(values, (low, high))
    return slice(int(first), int(last))


def arc(centre: Point, radius: Point, start: float, end: float) -> list[Point]:
    """Return a polyline along an ellipse, between two angles in turns, clockwise from the right."""
    turns = np.linspace(start, end, 2 + round(24 * abs(end - start)))
    return [
        (
            centre[0] + radius[0] * float(np.cos(2 * np.pi * turn)),
            centre[1] + radius[1] * float(np.sin(2 * np.pi * turn)),
        )
        for turn in turns
    ]


def _distance(
    x: NDArray[np.float64], y: NDArray[np.float64], start: Point, end: Point
) -> NDArray[np.float64]:
    """Return the distance of points from a segment."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    length = along_x**2 + along_y**2 or 1.0
    share = np.clip(((x - start[0]) * along_x + (y - start[1]) * along_y) / length, 0, 1)
    distance: NDArray[np.float64] = np.hypot(
        x - start[0] - share * along_x, y - start[1] - share * along_y
    )
    return distance


def _averaged(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    high, wide = inside.shape[0] // _FINE, inside.shape[1] // _FINE
    means: NDArray[np.float64] = inside.reshape(high, _FINE, wide, _FINE).mean((1, 3))
    return means.astype(np.float32)
