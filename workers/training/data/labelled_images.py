"""Labelled images one by one, decoded as in a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.images.decode import LONG_SIDE, Decoded, Header
from workers.images.decoding_process import shared_decoder
from workers.images.errors import DecodeError
from workers.training.data.datasets import DataError, labelled_files
from workers.training.data.origins import Origins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from PIL import Image

    from workers.training.data.datasets import LabelledFile
    from workers.training.recipes.recipe import ImageSet


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image with its label, 1 for AI, and the source that it is counted under."""

    name: str
    label: int
    source: str
    decoded: Decoded


class LabelledImages:
    """The labelled images of sets in a folder, decoded each time that they are iterated over.

    Many images of cameras do not fit into memory at once. `listings` are files of their origins.
    """

    def __init__(
        self, folder: Path, sets: Sequence[ImageSet], listings: Sequence[str] = ()
    ) -> None:
        """List the images; DataError where a set or a listing is missing, or has no labels."""
        self.origins = Origins.read(folder / listing for listing in listings)
        self.files = self.origins.without_repeats(labelled_files(folder, sets))

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[LabelledImage]:
        """Decode each image; DataError where one is damaged."""
        for file in self.files:
            source = self.origins.source(file)
            yield LabelledImage(file.name, file.label, source, decoded_file(file))


def decoded_file(file: LabelledFile) -> Decoded:
    """Return a decoded image; DataError where it is damaged."""
    try:
        return shared_decoder().decode(file.read())
    except DecodeError as error:
        raise DataError(f"{file.name} {error.text}") from error


def read_images(folder: Path, sets: Sequence[ImageSet]) -> Iterator[LabelledImage]:
    """Yield the labelled images of the sets in a folder, in the order of names.

    Raises DataError where a set is missing, has no labels, or holds a damaged image.
    """
    yield from LabelledImages(folder, sets)


def decoded_from(image: Image.Image, orientation: int = 1) -> Decoded:
    """Return an RGB image in memory as if it had been decoded from a file."""
    reduced = image.reduce(max(1, max(image.size) // LONG_SIDE))
    return Decoded(Header("PNG", *image.size), np.asarray(reduced), image, orientation)
