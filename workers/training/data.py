"""Labelled pictures out of a zip, as arrays, and their split by seed."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from workers.training.recipes import Recipe, Split

FAKE_FOLDERS = frozenset({"fake", "ai", "generated"})
REAL_FOLDERS = frozenset({"real", "photo"})
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


class DataError(Exception):
    """The labelled pictures are missing or are not what the recipe needs."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures, (n, size, size, 3) uint8 RGB, with their labels, (n,) uint8: 1 is AI."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: NDArray[np.intp]) -> Labelled:
        """Give the pictures at these places, in this order."""
        return Labelled(self.images[places], self.labels[places])


@dataclass(frozen=True, slots=True)
class Parts:
    """The three disjoint parts of the training data."""

    train: Labelled
    validation: Labelled
    calibration: Labelled


def label_of(path: PurePosixPath) -> int | None:
    """Give 1 (AI), 0 (real) or None, by the nearest folder above with a telling name."""
    for folder in reversed(path.parts[:-1]):
        if folder.lower() in FAKE_FOLDERS:
            return 1
        if folder.lower() in REAL_FOLDERS:
            return 0
    return None


def read(source: Path, size: int) -> Labelled:
    """Read every labelled picture of a zip or a folder, in the order of their names.

    Raises DataError when there is nothing there, nothing labelled, something damaged, or a picture
    of another size: resizing would destroy what these nets look at.
    """
    if not source.exists():
        raise DataError(f"there is no {source.name} in {source.parent}")
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    try:
        for name, body in _files(source):
            label = label_of(PurePosixPath(name))
            if label is not None:
                images.append(_pixels(name, body, size))
                labels.append(label)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{source.name} is damaged: {error}") from error
    if not images:
        raise DataError(f"no picture below a folder named FAKE or REAL in {source}")
    return Labelled(np.stack(images), np.array(labels, np.uint8))


def read_cached(source: Path, size: int, cache: Path) -> Labelled:
    """Do as `read` does, keeping the arrays in `cache` (.npz) for the next time."""
    if cache.exists():
        with np.load(cache) as kept:
            return Labelled(kept["images"], kept["labels"])
    labelled = read(source, size)
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, images=labelled.images, labels=labelled.labels)
    partial.replace(cache)
    return labelled


def split(labelled: Labelled, how: Split) -> Parts:
    """Split by class and seed: the same pictures give the same parts, always."""
    draw = np.random.default_rng(how.seed)
    kept: list[list[NDArray[np.intp]]] = [[], [], []]
    for label in (0, 1):
        places = draw.permutation(np.flatnonzero(labelled.labels == label))
        ends = [how.validation, how.validation + how.calibration]
        if len(places) <= ends[1]:
            raise DataError(
                f"{len(places)} pictures of class {label}: too few to hold out {ends[1]}"
            )
        for part, chosen in zip(kept, np.split(places, ends), strict=True):
            part.append(chosen)
    validation, calibration, train = (np.sort(np.concatenate(part)) for part in kept)
    return Parts(labelled.take(train), labelled.take(validation), labelled.take(calibration))


def parts_of(recipe: Recipe, data: Path, run: Path) -> Parts:
    """Give the parts of the recipe's training data, arrays cached in the run's folder."""
    return split(read_cached(data / recipe.train_zip, recipe.size, run / "train.npz"), recipe.split)


def _pixels(name: str, body: bytes, size: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(body)) as picture:
        if picture.size != (size, size):
            raise DataError(f"{name} is {picture.size}, not {size} by {size} pixels")
        return np.asarray(picture.convert("RGB"))


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                yield path.relative_to(source.parent).as_posix(), path.read_bytes()
        return
    with zipfile.ZipFile(source) as archive:
        for name in sorted(archive.namelist()):
            if PurePosixPath(name).suffix.lower() in SUFFIXES:
                yield name, archive.read(name)
