"""What is trained on, what chooses the epoch, what calibrates: three parts that share nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.training.data.datasets import DataError, Labelled, read_cached

if TYPE_CHECKING:
    from pathlib import Path

    from workers.training.recipes.recipe import Data, Split


@dataclass(frozen=True, slots=True)
class Parts:
    """The three disjoint parts of the training data."""

    train: Labelled
    validation: Labelled
    calibration: Labelled


def parts_of(data: Data, folder: Path, run: Path) -> Parts:
    """Give the parts of a recipe's training data, arrays cached in the run's folder."""
    return split(read_cached(folder, data.train, data.pixels, run / "pictures.npz"), data.split)


def split(labelled: Labelled, how: Split) -> Parts:
    """Split by seed: the same pictures give the same parts, always.

    Raises DataError where a class would have nothing left to train on.
    """
    draw = np.random.default_rng(how.seed)
    # Of each picture: 0 validation, 1 calibration, 2 training.
    part = np.full(len(labelled), 2)
    for label in (0, 1):
        places = draw.permutation(np.flatnonzero(labelled.labels == label))
        ends = [how.validation, how.validation + how.calibration]
        if len(places) <= ends[1]:
            raise DataError(
                f"{len(places)} pictures of class {label}: too few to hold out {ends[1]}"
            )
        for number, chosen in enumerate(np.split(places, ends)):
            part[chosen] = number
    validation, calibration, train = (labelled.take(np.flatnonzero(part == n)) for n in range(3))
    return Parts(train, validation, calibration)
