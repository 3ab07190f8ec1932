"""Whether a picture has been through too much to show how it was made.

Two cheap statistics of the middle of the picture at its own size. Limits were set on the training
crops of `scenes` (`benchmarks/degraded.py` has the figures): 5 % of them as they are lie beyond,
three in five of them enlarged to twice the size, two in five saved again at JPEG quality 20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from storage.records import DEGRADED, ROUTER, Finding
from workers.images.rgb import to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.images.decode import Decoded

# Pixels a side that are looked at, and the least that say anything.
MIDDLE, LEAST = 512, 128
# Below: the finest details are missing, as after enlarging or strong smoothing.
FINENESS = 0.44
# Above: the borders of JPEG's blocks stand out.
BLOCKINESS = 2.2

_BLOCK = 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Keeps the ratios of nearly nothing to nearly nothing near one: in grey levels.
_FLOOR = 0.3


def degraded(decoded: Decoded) -> Finding | None:
    """The finding that says so, or None; pictures too small or too large to tell are none."""
    if decoded.native is None or min(decoded.native.size) < LEAST:
        return None
    grey = _middle(decoded)
    fine, blocky = fineness(grey), blockiness(grey)
    if blocky > BLOCKINESS:
        text = "saved at so low a quality that its pixels say little"
    elif fine < FINENESS:
        text = "enlarged or smoothed, so that its pixels say little"
    else:
        return None
    detail = {"fineness": round(fine, 3), "blockiness": round(blocky, 3)}
    return Finding(ROUTER, DEGRADED, None, text, detail)


def fineness(grey: NDArray[np.float32]) -> float:
    """Detail that halving the picture destroys, beside that which halving it again would."""
    half = _halved(grey)
    return _loss(grey, half) / (_loss(half, _halved(half)) + _FLOOR)


def blockiness(grey: NDArray[np.float32]) -> float:
    """Steps between neighbouring pixels on JPEG's block borders, beside those within blocks.

    The grid is that of the whole picture: `grey` begins on it.
    """
    return max(_steps(np.diff(grey, axis=1)), _steps(np.diff(grey, axis=0).T))


def _middle(decoded: Decoded) -> NDArray[np.float32]:
    picture = decoded.native
    if picture is None:
        raise ValueError("not decoded at its own size")
    # Even and on the grid of blocks.
    sides = [min(side, MIDDLE) // _BLOCK * _BLOCK for side in picture.size]
    left, top = (
        (whole - side) // 2 // _BLOCK * _BLOCK
        for whole, side in zip(picture.size, sides, strict=True)
    )
    piece = to_rgb(picture.crop((left, top, left + sides[0], top + sides[1])))
    grey: NDArray[np.float32] = np.asarray(piece, np.float32) @ _LUMA
    return grey


def _halved(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = grey.shape
    halves: NDArray[np.float32] = grey.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return halves


def _loss(grey: NDArray[np.float32], half: NDArray[np.float32]) -> float:
    return float(np.abs(grey - half.repeat(2, 0).repeat(2, 1)).mean())


def _steps(differences: NDArray[np.float32]) -> float:
    sizes = np.abs(differences).mean(0)
    border = np.arange(len(sizes)) % _BLOCK == _BLOCK - 1
    return float(sizes[border].mean() / (sizes[~border].mean() + _FLOOR))
