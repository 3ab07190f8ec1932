"""Labelled images from zips and folders, as arrays."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from storage.errors import ScannerError
from storage.records import AI_NAMES, REAL_NAMES
from workers.images.decoding_process import shared_decoder
from workers.images.errors import DecodeError
from workers.training.recipes.recipe import ImageSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from workers.training.recipes.recipe import Pixels

# Images that go through the decoder together: as many, or with so many bytes.
_AT_ONCE, _BYTES_AT_ONCE = 64, 2**20
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


class DataError(ScannerError):
    """The labelled images are missing or do not suit the recipe."""


@dataclass(frozen=True, slots=True)
class LabelledArrays:
    """Images, (n, side, side, 3) uint8 RGB; labels, (n,) uint8, 1 is AI; sources, (n,) names."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    sources: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.intp]) -> LabelledArrays:
        """Return the images at these indices, in this order."""
        return LabelledArrays(self.images[indices], self.labels[indices], self.sources[indices])


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A labelled image that is not read yet: `name` in its set, label, 1 for AI, and source."""

    name: str
    label: int
    source: str
    read: Callable[[], bytes]


def joined(first: LabelledArrays, second: LabelledArrays) -> LabelledArrays:
    """Return the images of both."""
    return LabelledArrays(
        np.concatenate([first.images, second.images]),
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.sources, second.sources]),
    )


def label_of(path: PurePosixPath) -> tuple[int, str] | None:
    """Return an image's label, 1 for AI and 0 for real, and its source; None without a label.

    The nearest parent folder with a label's name is the label, the folders between it and the
    image are the source: `train/FAKE/stylegan/1.jpg` is AI, its source `stylegan`.
    """
    folders = path.parts[:-1]
    for index in range(len(folders) - 1, -1, -1):
        for label, names in ((1, AI_NAMES), (0, REAL_NAMES)):
            if folders[index].lower() in names:
                return label, "/".join(folders[index + 1 :])
    return None


def locate(path: Path) -> tuple[Path, ImageSet]:
    """Return the folder and the image set of a path, which may lead into a zip: `a.zip/test`."""
    for file in (path, *path.parents):
        if file.is_file():
            inside = path.relative_to(file).as_posix()
            return file.parent, ImageSet(file.name, "" if inside == "." else f"{inside}/")
    return path.parent, ImageSet(path.name)


def labelled_files(folder: Path, sets: Sequence[ImageSet]) -> list[LabelledFile]:
    """Return the labelled images of the sets in a folder, in the order of sets and names.

    Raises DataError when a set is missing or damaged, or when no image has a label.
    """
    files = []
    for image_set in sets:
        for name, read in _files(folder / image_set.file, image_set.below):
            label = label_of(PurePosixPath(name))
            if label is not None:
                files.append(LabelledFile(name, *label, read))
    if not files:
        where = ", ".join(str(folder / each.file / each.below) for each in sets)
        raise DataError(f"no image below a folder named FAKE or REAL in {where}")
    return files


def read_arrays(folder: Path, sets: Sequence[ImageSet], pixels: Pixels) -> LabelledArrays:
    """Read every labelled image of the sets in a folder, in the order of names.

    Raises DataError for missing, unlabelled or damaged images, and for an image of another size
    unless the recipe resizes: resizing would destroy what some networks examine.
    """
    images: list[NDArray[np.uint8]] = []
    files = labelled_files(folder, sets)
    for together in _together(files):
        images.extend(_arrays(together, pixels))
    labels = np.array([file.label for file in files], np.uint8)
    return LabelledArrays(np.stack(images), labels, np.array([file.source for file in files]))


def read_cached(
    folder: Path, sets: Sequence[ImageSet], pixels: Pixels, cache: Path
) -> LabelledArrays:
    """Return what `read_arrays` does, cached in the file `cache` (.npz)."""
    if cache.exists():
        with np.load(cache) as arrays:
            return LabelledArrays(arrays["images"], arrays["labels"], arrays["sources"])
    labelled = read_arrays(folder, sets, pixels)
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, images=labelled.images, labels=labelled.labels, sources=labelled.sources)
    partial.replace(cache)
    return labelled


def _together(files: Sequence[LabelledFile]) -> Iterator[list[tuple[str, bytes]]]:
    """Yield names and bytes of the files, a few at a time."""
    together: list[tuple[str, bytes]] = []
    for file in files:
        together.append((file.name, file.read()))
        if len(together) == _AT_ONCE or sum(len(body) for _, body in together) > _BYTES_AT_ONCE:
            yield together
            together = []
    if together:
        yield together


def _arrays(files: list[tuple[str, bytes]], pixels: Pixels) -> list[NDArray[np.uint8]]:
    """Return the pixels of a few files; DataError with the name of one that is damaged."""
    try:
        decoded = shared_decoder().rgb([body for _, body in files])
    except DecodeError as error:
        if len(files) == 1:
            raise DataError(f"{files[0][0]} is damaged: {error.text}") from error
        # Which of them it is, one by one shows.
        return [array for file in files for array in _arrays([file], pixels)]
    return [_fitted(name, whole, pixels) for (name, _), whole in zip(files, decoded, strict=True)]


def _fitted(name: str, whole: NDArray[np.uint8], pixels: Pixels) -> NDArray[np.uint8]:
    side = pixels.size
    if pixels.way == "resized":
        resized = Image.fromarray(whole).resize((side, side), Image.Resampling.BILINEAR)
        return np.asarray(resized)
    if whole.shape[:2] != (side, side):
        height, width = whole.shape[:2]
        raise DataError(f"{name} is {(width, height)}, not {side} by {side} pixels")
    return whole


def _files(source: Path, below: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the images in a zip or a folder whose names begin with `below`: names, and to read."""
    if not source.exists():
        raise DataError(f"{source.name} not found in {source.parent}")
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            inside = path.relative_to(source).as_posix()
            if path.suffix.lower() in EXTENSIONS and inside.startswith(below):
                yield path.relative_to(source.parent).as_posix(), path.read_bytes
        return
    try:
        # Closed with the last of its files, which are read later.
        archive = zipfile.ZipFile(source)
        names = sorted(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{source.name} is damaged: {error}") from error
    for name in names:
        if PurePosixPath(name).suffix.lower() in EXTENSIONS and name.startswith(below):
            yield name, partial(_member, archive, name)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{archive.filename} is damaged: {error}") from error
