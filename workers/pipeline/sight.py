"""What one detector sees of a picture when it is asked about it alone, without a router."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from workers.pipeline import crops

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workers.detectors.card import Input, View
    from workers.images.decode import Decoded
    from workers.images.faces import FaceFinder


def seen(decoded: Decoded, view: View, wanted: Input) -> list[NDArray[np.uint8]]:
    """The pieces, the largest face or the whole; nothing where there is nothing for it.

    `decoded` is at its own size, too, where the view is not of the whole.
    """
    if view.kind == "whole":
        return [crops.whole(decoded.pixels, wanted)]
    picture = decoded.native
    if picture is None:
        return []
    if view.kind == "centre":
        return [crops.centre(decoded, picture, view.shorter, wanted)]
    if view.kind == "crops":
        is_large = min(picture.size) >= wanted.smallest_side
        return crops.crops(picture, wanted, view.crops) if is_large else []
    largest = next(iter(crops.faces(decoded, _finder())), None)
    if largest is None or largest.side < wanted.smallest_side:
        return []
    return [crops.of_face(decoded, picture, largest, view.margin, wanted)]


@cache
def _finder() -> FaceFinder:
    from workers.images.faces import FaceFinder  # noqa: PLC0415 - 0.2 s that only faces should cost

    return FaceFinder()
