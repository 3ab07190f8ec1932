"""Faces are found in photographs of people, and nowhere else."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from workers.images.faces import Face, FaceFinder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    """Return the face finder, loaded once."""
    return FaceFinder()


def images(data: Path, below: str, most: int) -> list[NDArray[np.uint8]]:
    """Return the first images in a folder of a data set."""
    archive, folder = below.split("/", 1)
    with zipfile.ZipFile(data / archive) as kept:
        names = sorted(name for name in kept.namelist() if name.startswith(folder))
        return [
            np.asarray(Image.open(io.BytesIO(kept.read(name))).convert("RGB"))
            for name in names[:most]
        ]


def overlap(a: Face, b: Face) -> float:
    """Return the intersection over union of two faces."""
    width = max(0.0, min(a.right, b.right) - max(a.left, b.left))
    height = max(0.0, min(a.bottom, b.bottom) - max(a.top, b.top))
    area = sum((face.right - face.left) * (face.bottom - face.top) for face in (a, b))
    return width * height / (area - width * height)


@pytest.mark.parametrize("source", ["ffhq", "lfw", "web"])
def test_finds_the_face(finder: FaceFinder, test_data: Path, source: str) -> None:
    """Faces are found in at least 16 of 20 portraits, also where they fill the frame."""
    results = [
        finder.find(image) for image in images(test_data, f"faces.zip/test/REAL/{source}", 20)
    ]

    assert sum(bool(faces) for faces in results) >= 16


def test_no_faces_in_rooms(finder: FaceFinder, test_data: Path) -> None:
    """No faces are found in rooms or in blank images."""
    rooms = images(test_data, "scenes.zip/test/REAL/interiors", 20)

    assert not any(finder.find(room) for room in rooms)
    assert [] == finder.find(np.zeros((300, 200, 3), np.uint8))
    assert [] == finder.find(np.zeros((1, 1000, 3), np.uint8))


def test_boxes_are_in_image_pixels(finder: FaceFinder, test_data: Path) -> None:
    """A face that is moved and enlarged is found in its new place."""
    (portrait,) = images(test_data, "faces.zip/test/REAL/lfw", 1)
    (original,) = finder.find(portrait)
    moved = np.zeros((600, 900, 3), np.uint8)
    moved[200:700, 300:800][:400, :500] = np.asarray(Image.fromarray(portrait).resize((500, 500)))[
        :400
    ]
    (found,) = finder.find(moved)
    scale = 500 / portrait.shape[1]
    expected = original.scaled(scale, scale)

    assert overlap(
        expected._replace(
            left=expected.left + 300,
            right=expected.right + 300,
            top=expected.top + 200,
            bottom=expected.bottom + 200,
        ),
        found,
    ) > 0.6  # fmt: skip
    assert max(found.right - found.left, found.bottom - found.top) == found.side
