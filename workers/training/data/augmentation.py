"""Random changes of training images that preserve the traces of generators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from workers.training.data.corruptions import recompressed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Augmentation


def augment(
    images: NDArray[np.uint8], augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Mirror, shift and recompress (n, h, w, 3) images at random; return the same shape."""
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
    return _saved(shifted, augmentation, random) if augmentation.saved else shifted


def _saved(
    images: NDArray[np.uint8], augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Recompress some of the images, half of them without subsampling of colours."""
    least, most = augmentation.qualities
    for index in np.flatnonzero(random.random(len(images)) < augmentation.saved):
        quality = int(random.integers(least, most, endpoint=True))
        image = Image.fromarray(images[index])
        images[index] = np.asarray(recompressed(image, quality, int(random.choice((0, 2)))))
    return images
