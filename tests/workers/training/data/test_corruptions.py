"""Changes of training images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from workers.training.data.corruptions import Corruptions, corrupted

UNCHANGED = Corruptions(cropped=0.0, resized=0.0, softened=0.0, saved=0.0)


def noise(width: int, height: int) -> Image.Image:
    """Return an image of noise."""
    draw = np.random.default_rng(1)
    return Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))


def changed(how: Corruptions, seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """Return an image after changes by a seed."""
    return corrupted(noise(*size), how, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(40))
def test_no_change_makes_an_image_too_small_for_its_detector(seed: int) -> None:
    """The shorter side stays at `shortest` or more, unless it was less before."""
    how = Corruptions(cropped=1.0, resized=1.0, saved=0.0, shortest=232)

    assert 232 <= min(changed(how, seed).size)
    assert (200, 150) == changed(UNCHANGED, seed, (200, 150)).size
    assert 150 <= min(changed(how, seed, (200, 150)).size)


def test_half_of_all_images_are_mirrored_and_the_rest_as_they_were() -> None:
    """Without any other change."""
    as_is = np.asarray(noise(40, 30))
    seen = [np.asarray(changed(UNCHANGED, seed, (40, 30))) for seed in range(200)]
    same = sum((each == as_is).all() for each in seen)
    mirrored = sum((each == as_is[:, ::-1]).all() for each in seen)

    assert 200 == same + mirrored
    assert 70 < mirrored < 130


def test_a_changed_image_is_the_same_each_time() -> None:
    """The seed decides all."""
    first, second = (np.asarray(changed(Corruptions(), 5)) for _ in range(2))

    assert (first == second).all()
