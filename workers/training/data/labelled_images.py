"""Labelled images one by one, decoded as in a scan."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from workers.images.decode import LONG_SIDE, Decoded, Header, decode
from workers.images.errors import DecodeError
from workers.training.data.datasets import DataError, labelled_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from PIL import Image

    from workers.training.recipes.recipe import ImageSet

# The columns of a list of origins: the image, and the repository that owns it.
MEMBER, OWNER = "member", "repo"


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image with its label, 1 for AI, and the source that it is counted under."""

    name: str
    label: int
    source: str
    decoded: Decoded


def read_images(folder: Path, sets: Sequence[ImageSet]) -> Iterator[LabelledImage]:
    """Yield the labelled images of the sets in a folder, in the order of names.

    Raises DataError where a set is missing, has no labels, or holds a damaged image.
    """
    for name, label, source, body in labelled_files(folder, sets):
        try:
            decoded = decode(body, native=True)
        except DecodeError as error:
            raise DataError(f"{name} {error.text}") from error
        yield LabelledImage(name, label, source, decoded)


def read_owners(listing: Path) -> dict[str, str]:
    """Return each image's owner by the image's name, from a CSV with columns member and repo."""
    try:
        with listing.open(newline="", encoding="utf-8") as file:
            return {row[MEMBER]: row[OWNER] for row in csv.DictReader(file) if row[OWNER]}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{listing} does not tell the owners of images: {error}") from error


def decoded_from(image: Image.Image) -> Decoded:
    """Return an RGB image in memory as if it had been decoded from a file."""
    reduced = image.reduce(max(1, max(image.size) // LONG_SIDE))
    return Decoded(Header("PNG", *image.size), np.asarray(reduced), image)
