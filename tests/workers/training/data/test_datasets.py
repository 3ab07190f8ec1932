"""Training data: labels from folders, images of the right size, disjoint splits."""

from __future__ import annotations

import io
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from workers.training.data.datasets import (
    DataError,
    LabelledArrays,
    label_of,
    locate,
    read_arrays,
    read_cached,
)
from workers.training.data.split import read_split, split
from workers.training.recipes.recipe import Data, ImageSet, Pixels, Split

if TYPE_CHECKING:
    from pathlib import Path


def picture(shade: int, size: int = 4) -> bytes:
    """Return a PNG of one grey."""
    body = io.BytesIO()
    Image.new("L", (size, size), shade).save(body, "PNG")
    return body.getvalue()


def numbered(real: int, ai: int) -> LabelledArrays:
    """Images of one pixel whose value is their number."""
    images = np.arange(real + ai, dtype=np.uint8).reshape(-1, 1, 1, 1)
    labels = np.array([0] * real + [1] * ai, np.uint8)
    return LabelledArrays(images, labels, np.array([""] * len(labels)))


SET = (ImageSet("set.zip"),)
FOUR = Pixels(4)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("FAKE/a.png", (1, "")),
        ("train/Real/x/a.png", (0, "x")),
        ("real/generated/sd/1.5/a.png", (1, "sd/1.5")),
        ("AI/photo/a.png", (0, "")),
        ("other/fake.png", None),
        ("fakes/a.png", None),
    ],
)
def test_the_nearest_label_folder_counts(path: str, expected: tuple[int, str] | None) -> None:
    """Upper and lower case count the same; the folders below the label are the source."""
    assert expected == label_of(PurePosixPath(path))


def test_a_zip_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    """Images are RGB with labels; unlabelled images and other files are skipped."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("REAL/b.png", picture(20))
        archive.writestr("FAKE/a.png", picture(10))
        archive.writestr("loose.png", picture(30))
        archive.writestr("REAL/notes.txt", "no picture")
    labelled = read_arrays(tmp_path, SET, FOUR)

    assert (2, 4, 4, 3) == labelled.images.shape
    assert [10, 20] == labelled.images[:, 0, 0, 1].tolist()
    assert [1, 0] == labelled.labels.tolist()


def test_a_folder_is_read_like_a_zip(tmp_path: Path) -> None:
    """A folder of label folders works, and so does a folder named FAKE."""
    for name, shade in (("set/FAKE/a.png", 10), ("set/REAL/b.png", 20)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture(shade))

    assert [1, 0] == read_arrays(tmp_path, (ImageSet("set"),), FOUR).labels.tolist()
    assert [1] == read_arrays(tmp_path / "set", (ImageSet("FAKE"),), FOUR).labels.tolist()


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    """Nothing is resized silently: the error names the image."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("REAL/large.png", picture(1, size=5))

    with pytest.raises(DataError, match=r"REAL/large\.png is \(5, 5\)"):
        read_arrays(tmp_path, SET, FOUR)


def test_only_what_is_below_is_read(tmp_path: Path) -> None:
    """An archive or a folder may have training and test images: each is read by itself."""
    for name, shade in (("train/FAKE/gan/a.png", 10), ("test/REAL/web/b.png", 20)):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(picture(shade))
        with zipfile.ZipFile(tmp_path / "set.zip", "a") as archive:
            archive.writestr(name, picture(shade))

    for file in ("set", "set.zip"):
        labelled = read_arrays(tmp_path, (ImageSet(file, "test/"),), FOUR)
        assert [20] == labelled.images[:, 0, 0, 0].tolist()
        assert ["web"] == labelled.sources.tolist()


def test_several_sets_are_read_one_after_the_other(tmp_path: Path) -> None:
    """Training data may be in several archives."""
    for name, shade in (("FAKE/a.png", 10), ("REAL/b.png", 20)):
        with zipfile.ZipFile(tmp_path / f"{shade}.zip", "w") as archive:
            archive.writestr(name, picture(shade))
    labelled = read_arrays(tmp_path, (ImageSet("20.zip"), ImageSet("10.zip")), FOUR)

    assert [20, 10] == labelled.images[:, 0, 0, 0].tolist()
    assert [0, 1] == labelled.labels.tolist()


def test_a_path_may_lead_into_a_zip(tmp_path: Path) -> None:
    """`set.zip/test` means the files below `test/` in the archive, `set.zip` all of it."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w"):
        pass

    assert (tmp_path, ImageSet("set.zip", "test/")) == locate(tmp_path / "set.zip" / "test")
    assert (tmp_path, ImageSet("set.zip")) == locate(tmp_path / "set.zip")
    assert (tmp_path, ImageSet("set")) == locate(tmp_path / "set")


def test_images_are_resized_only_if_the_recipe_says_so(tmp_path: Path) -> None:
    """An image of 8 by 2 pixels, half black and half white, becomes a square."""
    body = io.BytesIO()
    wide = Image.new("RGB", (8, 2))
    wide.paste("white", (4, 0, 8, 2))
    wide.save(body, "PNG")
    (tmp_path / "REAL").mkdir()
    (tmp_path / "REAL" / "a.png").write_bytes(body.getvalue())
    (image,) = read_arrays(tmp_path, (ImageSet("REAL"),), Pixels(4, "resized")).images

    assert (4, 4, 3) == image.shape
    assert [0, 255] == image[0, [0, 3], 0].tolist()


def test_a_missing_set_is_one_message(tmp_path: Path) -> None:
    """The error names the missing set and its folder."""
    with pytest.raises(DataError, match=r"set\.zip not found in "):
        read_arrays(tmp_path, SET, FOUR)


def test_a_damaged_zip_is_one_message(tmp_path: Path) -> None:
    """A damaged archive is a DataError, not a traceback."""
    (tmp_path / "set.zip").write_bytes(b"PK no zip")

    with pytest.raises(DataError, match=r"set\.zip is damaged"):
        read_arrays(tmp_path, SET, FOUR)


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    """The error asks for folders named FAKE or REAL."""
    (tmp_path / "a.png").write_bytes(picture(1))

    with pytest.raises(DataError, match="no image below a folder named FAKE or REAL"):
        read_arrays(tmp_path.parent, (ImageSet(tmp_path.name),), FOUR)


def test_the_cache_has_the_same_arrays(tmp_path: Path) -> None:
    """The second reading uses the cache, even without the source."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("REAL/b.png", picture(20))
    first = read_cached(tmp_path, SET, FOUR, tmp_path / "run" / "set.npz")
    (tmp_path / "set.zip").unlink()
    second = read_cached(tmp_path, SET, FOUR, tmp_path / "run" / "set.npz")

    assert first.images.tolist() == second.images.tolist()
    assert [0] == second.labels.tolist()


def test_parts_are_disjoint_balanced_and_complete() -> None:
    """Each image is in exactly one part; held-out parts have as many of each class."""
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
    """The same seed holds out the same images, another seed others."""
    first, again, other = (
        split(numbered(60, 60), Split(5, 5, seed)).validation.images.ravel().tolist()
        for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_too_few_images_cannot_be_split() -> None:
    """An error says so if nothing would be left to train on."""
    with pytest.raises(DataError, match="8 images of class 1: too few to hold out 8"):
        split(numbered(real=30, ai=8), Split(validation=5, calibration=3, seed=1))


def test_images_beside_and_unlike_are_in_no_other_part(tmp_path: Path) -> None:
    """What is trained on beside the data neither chooses the epoch nor calibrates."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for number in range(4):
            archive.writestr(f"REAL/{number}.png", picture(1))
            archive.writestr(f"FAKE/{number}.png", picture(2))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a/REAL/me/1.png", picture(3))
        archive.writestr("b/REAL/you/1.png", picture(4))
    data = Data(
        SET,
        (),
        FOUR,
        Split(validation=1, calibration=1),
        beside=(ImageSet("other.zip", "a/"),),
        unlike=(ImageSet("other.zip", "b/"),),
    )
    parts = read_split(data, tmp_path, tmp_path / "run")

    assert parts.unlike is not None
    assert [1, 1, 2, 2, 3] == sorted(parts.all_training().images[:, 0, 0, 0].tolist())
    assert [1, 1, 2, 2] == sorted(parts.train.images[:, 0, 0, 0].tolist())
    assert [4] == parts.unlike.images[:, 0, 0, 0].tolist()
    assert [2, 2] == [len(parts.validation), len(parts.calibration)]
