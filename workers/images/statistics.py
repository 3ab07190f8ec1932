"""Statistics of an image's pixels by which photographs differ from drawings and other graphics.

They are of small tiles at full resolution, so they cost about the same for an image of any size,
and of a coarse sample of all its colours. Graphics have few colours, edges without anything in
between, and blocks without noise, also after JPEG compression: a block that was flat stays flat.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from workers.images.rgb import to_rgb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from PIL import Image

    from workers.images.decode import Decoded

# Pixels of a tile's side, and tiles along a side of the image at most. Tiles begin on the grid of
# JPEG's blocks.
TILE, TILES = 64, 4
# Shorter sides in pixels: the smallest that is measured, and one from which all count as equal.
MIN_SIDE, LARGE = 16, 256

_BLOCK = 8
# Shares of steps between neighbours are counted up to each of these, and above the last.
_STEPS = (0, 1, 2, 4, 8, 16, 32, 64)
# Distances in pixels between which steps are compared.
_DISTANCES = (1, 2, 4, 8)
_PERCENTILES = (5, 25, 50, 75, 95)
# The most frequent colours, of which the share is taken.
_MOST_FREQUENT = (1, 2, 5, 20)
# Pixels of the sample in which exact colours are counted, and of that of coarse colours.
_EXACT, _COARSE = 8_000, 16_000
# Channels nearer to white, black or grey than this, in levels, count as it.
_NEAR = 4
_STRONG = 128


def statistics(decoded: Decoded) -> dict[str, float]:
    """Return the statistics of an image by name.

    Of its pixels at full resolution, which are at hand for images of up to 1,023 pixels, and for
    larger ones where `decoded.native` is there.
    """
    image = decoded.native
    tiles = _tiles_of_array(decoded.pixels) if image is None else _tiles(image)
    return dict(_all(tiles, decoded.pixels, 0.0 if image is None else _transparent(image)))


def _all(
    tiles: NDArray[np.uint8], pixels: NDArray[np.uint8], transparent: float
) -> Iterator[tuple[str, float]]:
    yield "transparent", transparent
    yield "shorter_side", float(np.log2(min(LARGE, *pixels.shape[:2])))
    # A plane for each channel: numpy is several times slower over a last axis of three.
    planes = np.ascontiguousarray(tiles.transpose(3, 0, 1, 2)).astype(np.int16)
    yield from _neighbours(planes)
    yield from _scales(planes[1])
    yield from _curvature(planes)
    yield from _blocks(planes[1])
    yield from _colours(tiles, pixels)


def _transparent(image: Image.Image) -> float:
    """Return the share of pixels that are not opaque, of a sample."""
    if image.mode not in {"RGBA", "LA", "PA", "La", "RGBa"} and "transparency" not in image.info:
        return 0.0
    small = image.resize((min(64, image.width), min(64, image.height)), 0)
    alpha = np.asarray(small.convert("RGBA"))[..., 3]
    return float((alpha < 255 - _NEAR).mean())


def _starts(side: int) -> list[int]:
    """Return where the tiles along a side begin, spread evenly, on the grid of blocks."""
    number = max(1, min(TILES, side // TILE))
    room = max(0, side - TILE)
    return [int(room * (place + 0.5) / number) // _BLOCK * _BLOCK for place in range(number)]


def _tiles(image: Image.Image) -> NDArray[np.uint8]:
    """Return tiles of an image, NxHxWx3, all of one size."""
    width, height = min(TILE, image.width), min(TILE, image.height)
    return np.stack(
        [
            np.asarray(to_rgb(image.crop((left, top, left + width, top + height))))
            for top in _starts(image.height)
            for left in _starts(image.width)
        ]
    )


def _tiles_of_array(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack(
        [
            pixels[top : top + TILE, left : left + TILE]
            for top in _starts(pixels.shape[0])
            for left in _starts(pixels.shape[1])
        ]
    )


def _neighbours(planes: NDArray[np.int16]) -> Iterator[tuple[str, float]]:
    """Yield how neighbours differ: shares of steps by size, and of equal rows and columns."""
    across = np.abs(np.diff(planes, axis=3)).max(0)
    down = np.abs(np.diff(planes, axis=2)).max(0)
    counts = np.bincount(across.ravel(), minlength=256) + np.bincount(down.ravel(), minlength=256)
    shares = np.cumsum(counts) / counts.sum()
    for step in _STEPS:
        yield f"steps_to_{step}", float(shares[step])
    levels = np.arange(256)
    mean = float((counts * levels).sum() / counts.sum())
    root = float(np.sqrt((counts * levels**2).sum() / counts.sum()))
    yield "step_mean", float(np.log1p(mean))
    yield "step_sparsity", mean / (root + 0.1)
    # Of steps that are none in a photograph's flat areas: how many are of the frequent sizes.
    rest = np.sort(counts[1:])[::-1]
    yield "step_sizes", float(rest[:3].sum() / (rest.sum() + 1))
    yield "equal_rows", float((down.max(2) == 0).mean())
    yield "equal_columns", float((across.max(1) == 0).mean())
    yield "direction", abs(float(np.log((across.mean() + 0.1) / (down.mean() + 0.1))))


def _scales(grey: NDArray[np.int16]) -> Iterator[tuple[str, float]]:
    """Yield how steps grow with distance."""
    means = []
    for distance in _DISTANCES:
        step = np.abs(grey[:, :, distance:] - grey[:, :, :-distance]).mean()
        means.append(step + np.abs(grey[:, distance:] - grey[:, :-distance]).mean())
    for distance, (near, far) in zip(_DISTANCES[:-1], pairwise(means), strict=True):
        yield f"growth_from_{distance}", float(np.log((far + 0.1) / (near + 0.1)))


def _curvature(planes: NDArray[np.int16]) -> Iterator[tuple[str, float]]:
    """Yield second differences along rows: how many are none, and whether channels share them."""
    curved = 2 * planes[..., 1:-1] - planes[..., :-2] - planes[..., 2:]
    green = np.abs(curved[1])
    yield "straight", float((green == 0).mean())
    yield "nearly_straight", float((green <= 2).mean())  # noqa: PLR2004 - the levels of noise
    mean = float(green.mean())
    root = float(np.sqrt((green.astype(np.float32) ** 2).mean()))
    yield "curvature_sparsity", mean / (root + 0.1)
    yield "curvature", float(np.log1p(mean))
    few = curved.reshape(3, -1)[:, :: max(1, green.size // _COARSE)].astype(np.float32)
    few -= few.mean(1, keepdims=True)
    red, middle, blue = few / (np.sqrt((few**2).mean(1, keepdims=True)) + 0.1)
    yield "red_green", float((red * middle).mean())
    yield "green_blue", float((middle * blue).mean())


def _blocks(grey: NDArray[np.int16]) -> Iterator[tuple[str, float]]:
    """Yield how blocks of 8x8 pixels vary: photographs have noise in their smoothest ones."""
    number, height, width = grey.shape
    rows, columns = height // _BLOCK, width // _BLOCK
    cut = grey[:, : rows * _BLOCK, : columns * _BLOCK]
    blocks = cut.reshape(number, rows, _BLOCK, columns, _BLOCK).transpose(0, 1, 3, 2, 4)
    flat = blocks.reshape(-1, _BLOCK * _BLOCK)
    spans = flat.max(1) - flat.min(1)
    for span in (0, 2, 5):
        yield f"blocks_to_{span}", float((spans <= span).mean())
    deviations = flat.astype(np.float32).std(1)
    each = np.log1p(np.percentile(deviations, _PERCENTILES))
    for percentile, deviation in zip(_PERCENTILES, each, strict=True):
        yield f"deviation_{percentile}", float(deviation)
    # Steps within a block by their median: noise, as edges are few in most blocks.
    steps = np.abs(np.diff(blocks, axis=-1)).reshape(len(flat), -1)
    half = steps.shape[1] // 2
    middle = np.partition(steps, half, axis=1)[:, half]
    for percentile, noise in zip(_PERCENTILES, np.percentile(middle, _PERCENTILES), strict=True):
        yield f"noise_{percentile}", float(noise)
    is_varied = spans > 5  # noqa: PLR2004 - as above
    yield "noise_of_varied", float(middle[is_varied].mean()) if is_varied.any() else -1.0
    yield "empty_of_varied", float((middle[is_varied] == 0).mean()) if is_varied.any() else -1.0


def _colours(tiles: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> Iterator[tuple[str, float]]:
    """Yield how many colours there are, how frequent the most frequent are, and how strong."""
    flat = tiles.reshape(-1, 3)
    few = flat[:: max(1, len(flat) // _EXACT)].astype(np.int32)
    exact = np.unique((few[:, 0] << 16) | (few[:, 1] << 8) | few[:, 2], return_counts=True)[1]
    yield "exact_colours", len(exact) / len(few)
    counts = np.sort(exact)[::-1] / len(few)
    for number in _MOST_FREQUENT:
        yield f"exact_top_{number}", float(counts[:number].sum())
    stride = max(1, int(np.sqrt(pixels.shape[0] * pixels.shape[1] / _COARSE)))
    whole = pixels[::stride, ::stride].reshape(-1, 3).astype(np.int16)
    coarse = np.bincount((whole[:, 0] >> 4 << 8) | (whole[:, 1] >> 4 << 4) | (whole[:, 2] >> 4))
    shares = np.sort(coarse[coarse > 0])[::-1] / len(whole)
    yield "coarse_colours", float(np.log2(len(shares)))
    yield "entropy", float(-(shares * np.log2(shares)).sum())
    for number in _MOST_FREQUENT:
        yield f"coarse_top_{number}", float(shares[:number].sum())
    red, green, blue = whole.T
    most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    strength = most - least
    yield "strength", float(strength.mean())
    yield "strength_spread", float(strength.std())
    yield "grey", float((strength <= _NEAR).mean())
    yield "strong", float((strength >= _STRONG).mean())
    yield "white", float((least >= 255 - _NEAR).mean())
    yield "black", float((most <= _NEAR).mean())
    yield "brightness", float(most.mean())
    yield "brightness_spread", float(most.std())
