"""Split of labelled images into parts for training, for choosing the epoch, and for calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from workers.training.data.datasets import DataError, LabelledArrays, joined, read_cached

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from workers.training.recipes.recipe import Data, ImageSet, Split


@dataclass(frozen=True, slots=True)
class SplitImages:
    """The disjoint parts of the training data, and what the recipe has beside and unlike them."""

    train: LabelledArrays
    validation: LabelledArrays
    calibration: LabelledArrays
    beside: LabelledArrays | None = None
    unlike: LabelledArrays | None = None

    def all_training(self) -> LabelledArrays:
        """Return all images that are trained on."""
        return self.train if self.beside is None else joined(self.train, self.beside)


def read_split(data: Data, folder: Path, run: Path) -> SplitImages:
    """Return the parts of a recipe's training data, arrays cached in the run's folder."""

    def read(sets: Sequence[ImageSet], name: str) -> LabelledArrays:
        return read_cached(folder, sets, data.pixels, run / f"{name}.npz")

    parts = split(read(data.train, "pictures"), data.split)
    return replace(
        parts,
        beside=read(data.beside, "beside") if data.beside else None,
        unlike=read(data.unlike, "unlike") if data.unlike else None,
    )


def split(images: LabelledArrays, sizes: Split) -> SplitImages:
    """Split by seed: the same images always give the same parts.

    Raises DataError where a class would have no images left to train on.
    """
    random = np.random.default_rng(sizes.seed)
    # Of each image: 0 validation, 1 calibration, 2 training.
    part = np.full(len(images), 2)
    for label in (0, 1):
        indices = random.permutation(np.flatnonzero(images.labels == label))
        bounds = [sizes.validation, sizes.validation + sizes.calibration]
        if len(indices) <= bounds[1]:
            raise DataError(
                f"{len(indices)} images of class {label}: too few to hold out {bounds[1]}"
            )
        for number, chosen in enumerate(np.split(indices, bounds)):
            part[chosen] = number
    validation, calibration, train = (images.take(np.flatnonzero(part == n)) for n in range(3))
    return SplitImages(train, validation, calibration)
