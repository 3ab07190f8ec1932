"""What is trained on, what chooses the epoch, what calibrates: three parts that share nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.training.data import DataError, Labelled, read_cached

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.training.recipe import Data, Split


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
    part = _by_source(labelled, how) if how.by == "source" else _by_class(labelled, how)
    validation, calibration, train = (labelled.take(np.flatnonzero(part == n)) for n in range(3))
    return Parts(train, validation, calibration)


def _by_class(labelled: Labelled, how: Split) -> NDArray[np.intp]:
    """Give the part of each picture, (n,): 0 validation, 1 calibration, 2 training."""
    draw = np.random.default_rng(how.seed)
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
    return part


def _by_source(labelled: Labelled, how: Split) -> NDArray[np.intp]:
    """Do as `_by_class` does with whole sources; one of both classes stays together as well."""
    draw = np.random.default_rng(how.seed)
    part = np.full(len(labelled), 2)
    for source in draw.permutation(np.unique(labelled.sources)):
        of_it = labelled.sources == source
        for number, wanted in enumerate((how.validation, how.calibration)):
            held = labelled.labels[part == number]
            if any(np.sum(held == label) < wanted for label in np.unique(labelled.labels[of_it])):
                part[of_it] = number
                break
    for label in (0, 1):
        counts = np.bincount(part[labelled.labels == label], minlength=3)
        if counts[0] < how.validation or counts[1] < how.calibration or not counts[2]:
            raise DataError(f"too few sources of class {label} to hold some out")
    return part
