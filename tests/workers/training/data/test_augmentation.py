"""Augmentation: whole pixels only, nothing resampled."""

from __future__ import annotations

import numpy as np

from workers.training.data.augmentation import augment
from workers.training.recipes.recipe import Augmentation


def counting(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Images of 5 by 4 pixels, each pixel with a value of its own."""
    one = np.arange(20, dtype=np.uint8).reshape(1, 5, 4, 1)
    return np.repeat(np.repeat(one, 3, axis=3), count, axis=0)


def test_images_are_only_mirrored_and_shifted() -> None:
    """Each result is one of the 2 x 9 images that mirroring and shifting by a pixel can give."""
    images = counting(400)
    given = augment(images, Augmentation(flip=True, shift=1), np.random.default_rng(1))
    possible = set()
    for turned in (images[0], images[0][:, ::-1]):
        wide = np.pad(turned, ((1, 1), (1, 1), (0, 0)), mode="reflect")
        possible |= {wide[y : y + 5, x : x + 4].tobytes() for y in range(3) for x in range(3)}

    assert images.shape == given.shape
    assert np.uint8 == given.dtype
    assert possible == {image.tobytes() for image in given}


def test_no_augmentation_changes_nothing() -> None:
    """With neither flip nor shift, images are unchanged."""
    images = counting(3)
    given = augment(images, Augmentation(flip=False, shift=0), np.random.default_rng(1))

    assert images.tolist() == given.tolist()


def test_a_share_of_the_images_is_recompressed() -> None:
    """Half of the images lose details to JPEG; none changes much."""
    images = np.random.default_rng(5).integers(100, 120, (400, 32, 32, 3), np.uint8)
    how = Augmentation(flip=False, shift=0, saved=0.5, qualities=(90, 100))
    given = augment(images, how, np.random.default_rng(1))
    changed = [not np.array_equal(*pair) for pair in zip(images, given, strict=True)]

    assert 0.4 < np.mean(changed) < 0.6
    assert np.abs(images.astype(int) - given).max() < 40
