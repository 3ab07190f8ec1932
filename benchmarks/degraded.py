"""Measure how often images count as degraded, unchanged and after changes.

    python benchmarks/degraded.py FOLDER

FOLDER holds scenes.zip, of which the training crops are used. A row is a change, with the share of
images that count as degraded.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from workers.images.degraded import degraded
from workers.images.rgb import to_rgb
from workers.training.data.corruptions import recompressed
from workers.training.data.labelled_images import decoded_from, read_images
from workers.training.recipes.recipe import ImageSet

if TYPE_CHECKING:
    from collections.abc import Callable

PICTURES = 700


def enlarged(image: Image.Image, factor: float) -> Image.Image:
    """Return the image with its sides multiplied."""
    size = round(image.width * factor), round(image.height * factor)
    return image.resize(size, Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "enlarged 1.5 times": lambda image: enlarged(image, 1.5),
    "enlarged 2 times": lambda image: enlarged(image, 2),
    "enlarged 4 times": lambda image: enlarged(image, 4),
    "JPEG of quality 50": lambda image: recompressed(image, 50),
    "JPEG of quality 20": lambda image: recompressed(image, 20),
    "JPEG of quality 10": lambda image: recompressed(image, 10),
}


def main() -> None:
    """Print the table."""
    each = list(read_images(Path(sys.argv[1]), [ImageSet("scenes.zip", "train/")]))
    chosen = np.random.default_rng(0).permutation(len(each))[:PICTURES]
    images = [each[place].decoded.native for place in chosen.tolist()]
    print(f"{'change':22}{'worn':>7}")
    for name, change in CHANGES.items():
        said = [
            degraded(decoded_from(change(to_rgb(image)))) for image in images if image is not None
        ]
        print(f"{name:22}{np.mean([one is not None for one in said]):>7.1%}", flush=True)


if __name__ == "__main__":
    main()
