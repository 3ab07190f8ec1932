"""Labelled pictures one by one, as detectors will see them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from workers.images.decode import LONG_SIDE, Decoded, Header, decode
from workers.images.errors import DecodeError
from workers.training.data.datasets import DataError, files, known

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from PIL import Image

    from workers.training.recipes.recipe import Pictures

# The columns of a list of where pictures come from: the picture, and whose it is.
MEMBER, OWNER = "member", "repo"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with its label, 1 for AI, and the source that it is counted under."""

    name: str
    label: int
    source: str
    decoded: Decoded


def read_each(folder: Path, sets: Sequence[Pictures]) -> Iterator[Picture]:
    """Give the labelled pictures of the sets that lie in a folder, in the order of their names.

    Raises DataError where a set is missing, has nothing labelled, or holds something damaged.
    """
    some = False
    for each in sets:
        for name, body in files(folder / each.file, each.below):
            found = known(PurePosixPath(name))
            if found is not None:
                some = True
                yield Picture(name, *found, _decoded(name, body))
    if not some:
        where = ", ".join(str(folder / each.file / each.below) for each in sets)
        raise DataError(f"no picture below a folder named FAKE or REAL in {where}")


def owners(listing: Path) -> dict[str, str]:
    """Give whose each picture is, by its name, out of a CSV with the columns member and repo."""
    try:
        with listing.open(newline="", encoding="utf-8") as file:
            return {row[MEMBER]: row[OWNER] for row in csv.DictReader(file) if row[OWNER]}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{listing} does not say whose the pictures are: {error}") from error


def of(picture: Image.Image) -> Decoded:
    """An RGB picture in memory as if it had been read from a file."""
    afar = picture.reduce(max(1, max(picture.size) // LONG_SIDE))
    return Decoded(Header("PNG", *picture.size), np.asarray(afar), picture)


def _decoded(name: str, body: bytes) -> Decoded:
    try:
        return decode(body, native=True)
    except DecodeError as error:
        raise DataError(f"{name} {error.text}") from error
