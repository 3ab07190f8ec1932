"""Detection of images too degraded to show how they were made.

Two cheap statistics of the middle of the image at full resolution. The limits were set on the
training crops of `scenes` (`benchmarks/degraded.py` has the figures): they exclude 5 % of the
original crops, three in five of those enlarged to twice the size, and two in five of those saved
again at JPEG quality 20.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from storage.records import DEGRADED, ROUTER, Finding
from workers.images.rgb import to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from workers.images.decode import Decoded

# Sides in pixels: of the middle that is measured, and of the smallest image that is.
MIDDLE, MIN_SIDE = 512, 128
# Below this the finest details are missing, as after enlarging or strong smoothing.
MIN_FINENESS = 0.44
# Above this the borders of JPEG's blocks are visible.
MAX_BLOCKINESS = 2.2

_BLOCK = 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# In grey levels; keeps the ratio of two values near zero close to one.
_FLOOR = 0.3


def degraded(decoded: Decoded) -> Finding | None:
    """Return a finding for a degraded image; None for others, and for images of unsuitable size."""
    if decoded.native is None or min(decoded.native.size) < MIN_SIDE:
        return None
    grey = _middle(decoded.native)
    fine, blocky = fineness(grey), blockiness(grey)
    if blocky > MAX_BLOCKINESS:
        text = "saved at too low a quality for its pixels to be judged"
    elif fine < MIN_FINENESS:
        text = "enlarged or smoothed too much for its pixels to be judged"
    else:
        return None
    detail = {"fineness": round(fine, 3), "blockiness": round(blocky, 3)}
    return Finding(ROUTER, DEGRADED, None, text, detail)


def fineness(grey: NDArray[np.float32]) -> float:
    """Return the ratio of the detail lost by halving the size to that lost by halving it again."""
    half = _halve(grey)
    return _loss(grey, half) / (_loss(half, _halve(half)) + _FLOOR)


def blockiness(grey: NDArray[np.float32]) -> float:
    """Return the ratio of the steps between pixels on JPEG's block borders to those within blocks.

    `grey` has to begin on the grid of blocks.
    """
    return max(_step_ratio(np.diff(grey, axis=1)), _step_ratio(np.diff(grey, axis=0).T))


def _middle(image: Image.Image) -> NDArray[np.float32]:
    """Return the grey middle of an image, with even sides and on the grid of blocks."""
    width, height = (min(side, MIDDLE) // _BLOCK * _BLOCK for side in image.size)
    left = (image.width - width) // 2 // _BLOCK * _BLOCK
    top = (image.height - height) // 2 // _BLOCK * _BLOCK
    crop = to_rgb(image.crop((left, top, left + width, top + height)))
    grey: NDArray[np.float32] = np.asarray(crop, np.float32) @ _LUMA
    return grey


def _halve(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = grey.shape
    half: NDArray[np.float32] = grey.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return half


def _loss(grey: NDArray[np.float32], half: NDArray[np.float32]) -> float:
    return float(np.abs(grey - half.repeat(2, 0).repeat(2, 1)).mean())


def _step_ratio(differences: NDArray[np.float32]) -> float:
    means = np.abs(differences).mean(0)
    is_border = np.arange(len(means)) % _BLOCK == _BLOCK - 1
    return float(means[is_border].mean() / (means[~is_border].mean() + _FLOOR))
