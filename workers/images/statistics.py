"""Statistics of an image's pixels by which photographs differ from drawings and other graphics.

They are of small tiles at full resolution, so they cost about the same for an image of any size,
and of a coarse sample of all its colours. Graphics have few colours, edges without anything in
between, and blocks without noise, also after JPEG compression: a block that was flat stays flat.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.images.rgb import to_rgb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    from workers.images.decode import Decoded

# Pixels of a tile's side, and tiles along a side of the image at most. Tiles begin on the grid of
# JPEG's blocks.
TILE, TILES = 64, 4
# Shorter sides in pixels: the smallest that is measured, and one from which all count as equal.
MIN_SIDE, LARGE = 16, 256

_BLOCK = 8
_LEVELS = 256
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
_WITH_ALPHA = {"RGBA", "LA", "PA", "La", "RGBa"}


def statistics(decoded: Decoded) -> dict[str, float]:
    """Return the statistics of one image by name, see `statistics_of_each`."""
    return {name: float(of_each[0]) for name, of_each in statistics_of_each([decoded]).items()}


def statistics_of_each(images: Sequence[Decoded]) -> dict[str, NDArray[np.float64]]:
    """Return the statistics of images of one size by name, (n,) each.

    Of their pixels at full resolution, which are at hand for images of up to 1,023 pixels, and for
    larger ones where `decoded.native` is there. Those of an image are the same to the last bit
    whichever images are with it: together they take a tenth of the time for tiny ones, which is
    mostly that of calling numpy.
    """
    tiles = np.stack([_tiles(image) for image in images])
    return dict(_all(tiles, np.stack([image.pixels for image in images]), images))


def _all(
    tiles: NDArray[np.uint8], pixels: NDArray[np.uint8], images: Sequence[Decoded]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    yield "transparent", np.array([_transparent(image.native) for image in images])
    shorter = np.log2(float(min(LARGE, *pixels.shape[1:3])))
    yield "shorter_side", np.full(len(images), shorter)
    # A plane for each channel: numpy is several times slower over a last axis of three.
    planes = np.ascontiguousarray(tiles.transpose(4, 0, 1, 2, 3)).astype(np.int16)
    yield from _neighbours(planes)
    yield from _scales(planes[1])
    yield from _curvature(planes)
    yield from _blocks(planes[1])
    yield from _colours(tiles, pixels)


def _transparent(image: Image.Image | None) -> float:
    """Return the share of pixels that are not opaque, of a sample."""
    if image is None or (image.mode not in _WITH_ALPHA and "transparency" not in image.info):
        return 0.0
    small = image.resize((min(64, image.width), min(64, image.height)), 0)
    alpha = np.asarray(small.convert("RGBA"))[..., 3]
    return float((alpha < 255 - _NEAR).mean())


def _starts(side: int) -> list[int]:
    """Return where the tiles along a side begin, spread evenly, on the grid of blocks."""
    number = max(1, min(TILES, side // TILE))
    room = max(0, side - TILE)
    return [int(room * (place + 0.5) / number) // _BLOCK * _BLOCK for place in range(number)]


def _tiles(decoded: Decoded) -> NDArray[np.uint8]:
    """Return tiles of an image, NxHxWx3, all of one size."""
    image, pixels = decoded.native, decoded.pixels
    if image is None or pixels.shape[:2] == (image.height, image.width):
        return np.stack(
            [
                pixels[top : top + TILE, left : left + TILE]
                for top in _starts(pixels.shape[0])
                for left in _starts(pixels.shape[1])
            ]
        )
    width, height = min(TILE, image.width), min(TILE, image.height)
    return np.stack(
        [
            np.asarray(to_rgb(image.crop((left, top, left + width, top + height))))
            for top in _starts(image.height)
            for left in _starts(image.width)
        ]
    )


# Below, arrays have the images as an axis of their own, before the tiles; statistics are (n,).


def _mean(values: NDArray[Any]) -> NDArray[Any]:
    """Return the mean over all axes but that of the images, the first."""
    means: NDArray[Any] = values.reshape(len(values), -1).mean(1)
    return means


def _neighbours(planes: NDArray[np.int16]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield how neighbours differ: shares of steps by size, and of equal rows and columns."""
    across = np.abs(np.diff(planes, axis=4)).max(0)
    down = np.abs(np.diff(planes, axis=3)).max(0)
    counts = _histograms(across) + _histograms(down)
    total = counts.sum(1)
    shares = np.cumsum(counts, axis=1) / total[:, None]
    for step in _STEPS:
        yield f"steps_to_{step}", shares[:, step]
    levels = np.arange(_LEVELS)
    mean = (counts * levels).sum(1) / total
    root = np.sqrt((counts * levels**2).sum(1) / total)
    yield "step_mean", np.log1p(mean)
    yield "step_sparsity", mean / (root + 0.1)
    # Of steps that are none in a photograph's flat areas: how many are of the frequent sizes.
    rest = np.sort(counts[:, 1:], axis=1)[:, ::-1]
    yield "step_sizes", rest[:, :3].sum(1) / (rest.sum(1) + 1)
    yield "equal_rows", _mean(down.max(3) == 0)
    yield "equal_columns", _mean(across.max(2) == 0)
    yield "direction", np.abs(np.log((_mean(across) + 0.1) / (_mean(down) + 0.1)))


def _histograms(steps: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return how often each step is in each image, (n, 256)."""
    number = len(steps)
    of_image = np.arange(0, number * _LEVELS, _LEVELS)[:, None] + steps.reshape(number, -1)
    counts = np.bincount(of_image.ravel(), minlength=number * _LEVELS)
    return counts.reshape(number, _LEVELS)


def _scales(grey: NDArray[np.int16]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield how steps grow with distance."""
    means = []
    for distance in _DISTANCES:
        step = _mean(np.abs(grey[..., distance:] - grey[..., :-distance]))
        means.append(step + _mean(np.abs(grey[..., distance:, :] - grey[..., :-distance, :])))
    for distance, (near, far) in zip(_DISTANCES[:-1], pairwise(means), strict=True):
        yield f"growth_from_{distance}", np.log((far + 0.1) / (near + 0.1))


def _curvature(planes: NDArray[np.int16]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield second differences along rows: how many are none, and whether channels share them."""
    curved = 2 * planes[..., 1:-1] - planes[..., :-2] - planes[..., 2:]
    curved = curved.reshape(3, planes.shape[1], -1)
    green = np.abs(curved[1])
    yield "straight", _mean(green == 0)
    yield "nearly_straight", _mean(green <= 2)  # noqa: PLR2004 - the levels of noise
    mean = _mean(green)
    root = np.sqrt(_mean(green.astype(np.float32) ** 2)).astype(np.float64)
    yield "curvature_sparsity", mean / (root + 0.1)
    yield "curvature", np.log1p(mean)
    few = curved[..., :: max(1, green.shape[1] // _COARSE)].astype(np.float32)
    few -= few.mean(2, keepdims=True)
    red, middle, blue = few / (np.sqrt((few**2).mean(2, keepdims=True)) + 0.1)
    yield "red_green", _mean(red * middle)
    yield "green_blue", _mean(middle * blue)


def _blocks(grey: NDArray[np.int16]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield how blocks of 8x8 pixels vary: photographs have noise in their smoothest ones."""
    number, tiles, height, width = grey.shape
    rows, columns = height // _BLOCK, width // _BLOCK
    cut = grey[..., : rows * _BLOCK, : columns * _BLOCK]
    blocks = cut.reshape(number, tiles, rows, _BLOCK, columns, _BLOCK).swapaxes(3, 4)
    flat = blocks.reshape(number, -1, _BLOCK * _BLOCK)
    spans = flat.max(2) - flat.min(2)
    for span in (0, 2, 5):
        yield f"blocks_to_{span}", _mean(spans <= span)
    deviations = flat.astype(np.float32).std(2)
    each = np.log1p(np.percentile(deviations, _PERCENTILES, axis=1))
    for percentile, deviation in zip(_PERCENTILES, each, strict=True):
        yield f"deviation_{percentile}", deviation
    # Steps within a block by their median: noise, as edges are few in most blocks.
    steps = np.abs(np.diff(blocks, axis=-1)).reshape(*flat.shape[:2], -1)
    half = steps.shape[2] // 2
    middle = np.partition(steps, half, axis=2)[..., half]
    noises = np.percentile(middle, _PERCENTILES, axis=1)
    for percentile, noise in zip(_PERCENTILES, noises, strict=True):
        yield f"noise_{percentile}", noise
    is_varied = spans > 5  # noqa: PLR2004 - as above
    varied = is_varied.sum(1)
    for name, values in (("noise_of_varied", middle), ("empty_of_varied", middle == 0)):
        sums = (values * is_varied).sum(1)
        yield name, np.where(varied > 0, sums / np.maximum(varied, 1), -1.0)


def _colours(
    tiles: NDArray[np.uint8], pixels: NDArray[np.uint8]
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield how many colours there are, how frequent the most frequent are, and how strong."""
    number = len(tiles)
    flat = tiles.reshape(number, -1, 3)
    few = flat[:, :: max(1, flat.shape[1] // _EXACT)].astype(np.int32)
    exact = _frequencies((few[..., 0] << 16) | (few[..., 1] << 8) | few[..., 2])
    yield "exact_colours", _mean(exact > 0)
    for most in _MOST_FREQUENT:
        yield f"exact_top_{most}", exact[:, :most].sum(1) / exact.shape[1]
    stride = max(1, int(np.sqrt(pixels.shape[1] * pixels.shape[2] / _COARSE)))
    whole = pixels[:, ::stride, ::stride].reshape(number, -1, 3).astype(np.int16)
    red, green, blue = np.ascontiguousarray(whole.transpose(2, 0, 1))
    coarse = _frequencies((red >> 4 << 8) | (green >> 4 << 4) | (blue >> 4))
    yield "coarse_colours", np.log2((coarse > 0).sum(1))
    shares = coarse / coarse.shape[1]
    yield "entropy", -(shares * np.log2(np.where(coarse > 0, shares, 1.0))).sum(1)
    for most in _MOST_FREQUENT:
        yield f"coarse_top_{most}", coarse[:, :most].sum(1) / coarse.shape[1]
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    strength = highest - lowest
    yield "strength", _mean(strength)
    yield "strength_spread", strength.std(1)
    yield "grey", _mean(strength <= _NEAR)
    yield "strong", _mean(strength >= _STRONG)
    yield "white", _mean(lowest >= 255 - _NEAR)
    yield "black", _mean(highest <= _NEAR)
    yield "brightness", _mean(highest)
    yield "brightness_spread", highest.std(1)


def _frequencies(colours: NDArray[Any]) -> NDArray[np.int32]:
    """Return how often each colour of an image is there, the most frequent first, then zeros.

    Both are (n, pixels).
    """
    in_order = np.sort(colours, axis=1)
    is_first = np.ones(in_order.shape, bool)
    np.not_equal(in_order[:, 1:], in_order[:, :-1], out=is_first[:, 1:])
    firsts = np.flatnonzero(is_first)
    counts = np.zeros(in_order.size, np.int32)
    counts[firsts] = np.diff(firsts, append=in_order.size)
    return np.sort(counts.reshape(in_order.shape), axis=1)[:, ::-1]
