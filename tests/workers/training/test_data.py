"""Training data: labels from folders, pictures of the right size, splits that do not overlap."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from workers.training.data import DataError, Labelled, label_of, read, read_cached, split
from workers.training.recipes import Split

if TYPE_CHECKING:
    from pathlib import Path


def picture(shade: int, size: int = 4) -> bytes:
    """A PNG of one grey."""
    body = io.BytesIO()
    Image.new("L", (size, size), shade).save(body, "PNG")
    return body.getvalue()


def numbered(real: int, ai: int) -> Labelled:
    """Pictures of one pixel whose value is their number."""
    images = np.arange(real + ai, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Labelled(images, np.array([0] * real + [1] * ai, np.uint8))


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("FAKE/a.png", 1),
        ("train/Real/x/a.png", 0),
        ("real/generated/a.png", 1),
        ("AI/photo/a.png", 0),
        ("other/fake.png", None),
        ("fakes/a.png", None),
    ],
)
def test_the_nearest_telling_folder_is_the_label(path: str, label: int | None) -> None:
    """Names of folders tell in any case, the nearest first; names of files tell nothing."""
    assert label == label_of(PurePosixPath(path))


def test_a_zip_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """Pictures come as RGB with their labels; what is unlabelled or no picture is passed over."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("REAL/b.png", picture(20))
        archive.writestr("FAKE/a.png", picture(10))
        archive.writestr("loose.png", picture(30))
        archive.writestr("REAL/notes.txt", "no picture")
    labelled = read(tmp_path / "set.zip", 4)

    assert (2, 4, 4, 3) == labelled.images.shape
    assert [10, 20] == labelled.images[:, 0, 0, 1].tolist()
    assert [1, 0] == labelled.labels.tolist()


def test_a_folder_is_read_as_its_zip_would_be(tmp_path: Path) -> None:
    """A folder of labelled folders will do, and so will one that is itself called FAKE."""
    for name, shade in (("set/FAKE/a.png", 10), ("set/REAL/b.png", 20)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture(shade))

    assert [1, 0] == read(tmp_path / "set", 4).labels.tolist()
    assert [1] == read(tmp_path / "set" / "FAKE", 4).labels.tolist()


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    """Nothing is resized in silence: the picture is named."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("REAL/large.png", picture(1, size=5))

    with pytest.raises(DataError, match=r"REAL/large\.png is \(5, 5\)"):
        read(tmp_path / "set.zip", 4)


def test_a_missing_set_is_one_sentence(tmp_path: Path) -> None:
    """A data set that is not there is named, with the folder where it should be."""
    with pytest.raises(DataError, match=r"there is no set\.zip in "):
        read(tmp_path / "set.zip", 4)


def test_a_zip_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    """A damaged archive is a DataError, not a traceback."""
    (tmp_path / "set.zip").write_bytes(b"PK no zip")

    with pytest.raises(DataError, match=r"set\.zip is damaged"):
        read(tmp_path / "set.zip", 4)


def test_nothing_labelled_is_refused(tmp_path: Path) -> None:
    """Pictures without labels are no data."""
    (tmp_path / "a.png").write_bytes(picture(1))

    with pytest.raises(DataError, match="no picture below a folder named FAKE or REAL"):
        read(tmp_path, 4)


def test_the_cache_gives_the_same_arrays(tmp_path: Path) -> None:
    """The second reading comes from the cache, even when the source has gone."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("REAL/b.png", picture(20))
    first = read_cached(tmp_path / "set.zip", 4, tmp_path / "run" / "set.npz")
    (tmp_path / "set.zip").unlink()
    second = read_cached(tmp_path / "set.zip", 4, tmp_path / "run" / "set.npz")

    assert first.images.tolist() == second.images.tolist()
    assert [0] == second.labels.tolist()


def test_parts_are_disjoint_balanced_and_complete() -> None:
    """Each picture is in exactly one part, and what is held out has as many of each class."""
    parts = split(numbered(real=30, ai=20), Split(validation=5, calibration=3, seed=1))
    held = [parts.validation, parts.calibration]
    everything = np.concatenate([part.images.ravel() for part in (parts.train, *held)])

    assert list(range(50)) == sorted(everything.tolist())
    assert [(5, 5), (3, 3)] == [
        (int(np.sum(part.labels == 0)), int(np.sum(part.labels == 1))) for part in held
    ]
    for part in (parts.train, *held):
        assert (part.images.ravel() >= 30).tolist() == part.labels.astype(bool).tolist()


def test_a_split_is_its_seed() -> None:
    """The same seed holds out the same pictures, another one others."""
    first, again, other = (
        split(numbered(60, 60), Split(5, 5, seed)).validation.images.ravel().tolist()
        for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_too_few_pictures_cannot_be_split() -> None:
    """Where nothing would be left to train on, that is said."""
    with pytest.raises(DataError, match="8 pictures of class 1: too few to hold out 8"):
        split(numbered(real=30, ai=8), Split(validation=5, calibration=3, seed=1))
