"""Random changes of training images that preserve the traces of generators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Augmentation


def augment(
    images: NDArray[np.uint8], augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Mirror and shift each of (n, h, w, 3) images at random; return the same shape."""
    count, height, width, _ = images.shape
    shift = augmentation.shift
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="reflect")
    tops, lefts = random.integers(0, 2 * shift + 1, (2, count))
    rows = tops[:, None, None] + np.arange(height)[None, :, None]
    columns = np.arange(width)[None, :].repeat(count, 0)
    if augmentation.flip:
        mirrored = random.random(count) < 0.5  # noqa: PLR2004 - half of them
        columns[mirrored] = columns[mirrored, ::-1]
    columns += lefts[:, None]
    shifted: NDArray[np.uint8] = padded[np.arange(count)[:, None, None], rows, columns[:, None, :]]
    return shifted
