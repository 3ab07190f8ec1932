"""Labelled pictures out of zips and folders, as arrays."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from storage.errors import ScannerError
from storage.records import AI_NAMES, REAL_NAMES
from workers.training.recipes.recipe import Pictures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Pixels

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


class DataError(ScannerError):
    """The labelled pictures are missing or are not what the recipe needs."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pictures, (n, side, side, 3) uint8 RGB; labels, (n,) uint8, 1 is AI; sources, (n,) names."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    sources: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: NDArray[np.intp]) -> Labelled:
        """Give the pictures at these places, in this order."""
        return Labelled(self.images[places], self.labels[places], self.sources[places])


def known(path: PurePosixPath) -> tuple[int, str] | None:
    """Give a picture's label, 1 for AI and 0 for real, and its source; None without a label.

    The nearest folder above with a telling name is the label, the folders below that one are the
    source: `train/FAKE/stylegan/1.jpg` is AI and of `stylegan`.
    """
    folders = path.parts[:-1]
    for place in range(len(folders) - 1, -1, -1):
        for label, names in ((1, AI_NAMES), (0, REAL_NAMES)):
            if folders[place].lower() in names:
                return label, "/".join(folders[place + 1 :])
    return None


def located(path: Path) -> tuple[Path, Pictures]:
    """Give the folder and the pictures that a path means; it may lead into a zip: `a.zip/test`."""
    for file in (path, *path.parents):
        if file.is_file():
            inside = path.relative_to(file).as_posix()
            return file.parent, Pictures(file.name, "" if inside == "." else f"{inside}/")
    return path.parent, Pictures(path.name)


def read(folder: Path, sets: Sequence[Pictures], how: Pixels) -> Labelled:
    """Read every labelled picture of the sets that lie in a folder, in the order of their names.

    Raises DataError when there is nothing there, nothing labelled, something damaged, or a picture
    of a size that does not do: to resize it unasked would destroy what some nets look at.
    """
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    sources: list[str] = []
    for each in sets:
        for name, body in files(folder / each.file, each.below):
            found = known(PurePosixPath(name))
            if found is not None:
                images.append(_pixels(name, body, how))
                labels.append(found[0])
                sources.append(found[1])
    if not images:
        where = ", ".join(str(folder / each.file / each.below) for each in sets)
        raise DataError(f"no picture below a folder named FAKE or REAL in {where}")
    return Labelled(np.stack(images), np.array(labels, np.uint8), np.array(sources))


def read_cached(folder: Path, sets: Sequence[Pictures], how: Pixels, cache: Path) -> Labelled:
    """Do as `read` does, keeping the arrays in `cache` (.npz) for the next time."""
    if cache.exists():
        with np.load(cache) as kept:
            return Labelled(kept["images"], kept["labels"], kept["sources"])
    labelled = read(folder, sets, how)
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, images=labelled.images, labels=labelled.labels, sources=labelled.sources)
    partial.replace(cache)
    return labelled


def _pixels(name: str, body: bytes, how: Pixels) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(body)) as picture:
            return np.asarray(_fitted(name, picture, how).convert("RGB"))
    except OSError as error:
        raise DataError(f"{name} is damaged: {error}") from error


def _fitted(name: str, picture: Image.Image, how: Pixels) -> Image.Image:
    side = how.size
    if how.way == "resized":
        return picture.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)
    if picture.size != (side, side):
        raise DataError(f"{name} is {picture.size}, not {side} by {side} pixels")
    return picture


def files(source: Path, below: str) -> Iterator[tuple[str, bytes]]:
    """Give names and bytes of the pictures in a zip or a folder, those `below` only."""
    if not source.exists():
        raise DataError(f"there is no {source.name} in {source.parent}")
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in SUFFIXES and _inside(path, source, below):
                yield path.relative_to(source.parent).as_posix(), path.read_bytes()
        return
    try:
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                if PurePosixPath(name).suffix.lower() in SUFFIXES and name.startswith(below):
                    yield name, archive.read(name)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{source.name} is damaged: {error}") from error


def _inside(path: Path, source: Path, below: str) -> bool:
    return path.relative_to(source).as_posix().startswith(below)
