"""How fast this machine alone is: the same pictures at two sizes of a net's input."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from workers.decode import decode
from workers.detectors import catalogue
from workers.detectors.runtimes import LiteRT
from workers.errors import ImageTrouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# The net that is run at both sizes: it is convolutional, and takes pictures of any.
NET = "objects-32"
RUNTIME = "LiteRT int8"
SIDES = (32, 224)


@dataclass(frozen=True, slots=True)
class Speed:
    """What one process, on one core, did at one size; milliseconds are an image's."""

    runtime: str
    side: int
    images: int
    images_per_second: float
    decode_ms: float
    infer_ms: float


def measure(pictures: Sequence[bytes], side: int, seconds: float) -> Speed | None:
    """Decode, fit and score pictures over and over for a while; None where none can be decoded."""
    session = LiteRT(catalogue.shipped()[NET].model_path, side=side)
    good = [picture for picture in pictures if _fitted(picture, side) is not None]
    if not good:
        return None
    # The first run of a net takes longer than all others.
    session.run([np.zeros(session.shape, np.uint8)])
    decoding = inferring = 0.0
    images = 0
    began = perf_counter()
    for picture in itertools.cycle(good):
        before = perf_counter()
        pixels = _fitted(picture, side)
        between = perf_counter()
        if pixels is not None:
            session.run([pixels])
        after = perf_counter()
        decoding += between - before
        inferring += after - between
        images += 1
        if after - began >= seconds:
            break
    each_ms = 1000 / images
    rate = images / (decoding + inferring)
    return Speed(RUNTIME, side, images, rate, decoding * each_ms, inferring * each_ms)


def _fitted(picture: bytes, side: int) -> NDArray[np.uint8] | None:
    try:
        pixels = decode(picture, long_side=side).pixels
    except ImageTrouble:
        return None
    if pixels.shape[:2] == (side, side):
        return pixels
    image = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(image)
