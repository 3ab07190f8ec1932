"""Sample images of each kind, the same each time."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from PIL import Image, UnidentifiedImageError

from scanner.listing.sample_images import draw
from workers.provenance import read

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the samples."""
    folder = tmp_path_factory.mktemp("samples")
    draw(folder)
    return folder


def test_number_of_files(tmp_path: Path) -> None:
    """The number returned is that of the files written, in folders that are created."""
    count = draw(tmp_path / "new" / "folder")

    assert 14 == count
    assert count == sum(path.is_file() for path in tmp_path.rglob("*"))


def test_drawing_again_changes_nothing(folder: Path, tmp_path: Path) -> None:
    """The files are the same each time, byte for byte."""
    draw(tmp_path)
    digests = [
        {path.relative_to(root): sha256(path.read_bytes()).digest() for path in root.rglob("*.*")}
        for root in (folder, tmp_path)
    ]

    assert digests[0] == digests[1]


def test_tagged_images_give_findings(folder: Path) -> None:
    """The provenance detector reads the tags of all tagged images, and finds no others."""
    findings = {
        path.relative_to(folder).as_posix(): [finding.kind for finding in read(path.read_bytes())]
        for path in folder.rglob("*.*")
    }

    expected = {
        "tagged/webui.png": ["generator_tag"],
        "tagged/comfyui.png": ["generator_tag"],
        "tagged/webui.webp": ["generator_tag"],
        "tagged/source-type-made.jpg": ["iptc_generated"],
        "tagged/source-type-edited.jpg": ["iptc_edited"],
    }
    assert expected == {name: kinds for name, kinds in findings.items() if kinds}


def test_tiny_images_are_tiny(folder: Path) -> None:
    """Tiny images are within the sizes of the detector of small images, but not its input size."""
    sizes = []
    for path in sorted((folder / "tiny").iterdir()):
        with Image.open(path) as image:
            sizes.append(image.size)

    assert [(40, 40)] * 4 == sizes


def test_broken_files_are_broken(folder: Path) -> None:
    """One file ends in the middle of its image, and one is not an image."""
    with (
        Image.open(folder / "broken" / "cut-off.jpg") as image,
        pytest.raises(OSError, match="truncated"),
    ):
        image.load()
    with pytest.raises(UnidentifiedImageError):
        Image.open(folder / "broken" / "no-picture.jpg")
