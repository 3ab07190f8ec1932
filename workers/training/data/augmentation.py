"""Changes of training images that leave a generator's traces alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Augmentation


def augmented(
    images: NDArray[np.uint8], how: Augmentation, draw: np.random.Generator
) -> NDArray[np.uint8]:
    """Mirror and shift each of (n, h, w, 3) pictures at random; same shape out."""
    count, height, width, _ = images.shape
    shift = how.shift
    padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="reflect")
    tops, lefts = draw.integers(0, 2 * shift + 1, (2, count))
    rows = tops[:, None, None] + np.arange(height)[None, :, None]
    columns = np.arange(width)[None, :].repeat(count, 0)
    if how.flip:
        mirrored = draw.random(count) < 0.5  # noqa: PLR2004 - half of them
        columns[mirrored] = columns[mirrored, ::-1]
    columns += lefts[:, None]
    moved: NDArray[np.uint8] = padded[np.arange(count)[:, None, None], rows, columns[:, None, :]]
    return moved
