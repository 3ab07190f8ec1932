"""The gate before the detectors: graphics are told from photographs."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

from storage.records import OUT_OF_DOMAIN, ROUTER
from workers.images.decode import decode
from workers.images.domain import Trees, out_of_domain
from workers.images.statistics import statistics, statistics_of_each

if TYPE_CHECKING:
    from pathlib import Path


def saved(image: Image.Image, form: str = "PNG") -> bytes:
    """Return the image as a file."""
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def drawing(side: int) -> Image.Image:
    """Return a few flat shapes on a plain ground."""
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse([side // 8, side // 8, side // 2, side // 2], "red", "black")
    draw.rectangle([side // 2, side // 3, side * 7 // 8, side * 3 // 4], "#2a64c8")
    draw.line([0, side - 3, side, side // 2], "green", 3)
    return image


def detailed(side: int) -> Image.Image:
    """Return what has a photograph's statistics: details at all scales, all of them coloured."""
    chance = np.random.default_rng(1)
    total = np.zeros((side, side, 3))
    for number in (2, 4, 8, 16, 32, 64, 128):
        coarse = chance.normal(0, 60 / number**0.7, (number, number, 1))
        coarse = coarse + chance.normal(0, 12 / number**0.7, (number, number, 3))
        each = [Image.fromarray(coarse[..., one].astype(np.float32)) for one in range(3)]
        total += np.stack([np.asarray(one.resize((side, side), 3)) for one in each], 2)
    total += chance.normal(0, 2, total.shape)
    return Image.fromarray((120 + total).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF"])
@pytest.mark.parametrize("side", [32, 100, 400, 1500])
def test_a_drawing_is_out_of_the_domain(side: int, form: str) -> None:
    """Of any size, and after compression."""
    (found,) = out_of_domain([decode(saved(drawing(side), form), native=True)])

    assert found is not None
    assert (ROUTER, OUT_OF_DOMAIN, None) == (found.detector, found.kind, found.score)


@pytest.mark.parametrize("side", [100, 400, 1500])
def test_details_at_all_scales_are_within(side: int) -> None:
    """Of any size."""
    assert out_of_domain([decode(saved(detailed(side), "JPEG"), native=True)]) == [None]


def test_tiny_photographs_are_within(test_data: Path) -> None:
    """Of the images that `objects-32` is for, hardly any counts as a graphic."""
    with zipfile.ZipFile(test_data / "cifake-train.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        outside = out_of_domain([decode(archive.read(name)) for name in names[::300]])

    assert sum(one is not None for one in outside) <= 0.03 * len(outside)


def test_photographs_are_within(test_data: Path) -> None:
    """Of crops of photographs and of generated images, among them plain sky, few are outside."""
    with zipfile.ZipFile(test_data / "scenes.zip") as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"train/.*\.jpg", name)]
        outside = out_of_domain([decode(archive.read(name)) for name in names[::40]])

    assert sum(one is not None for one in outside) <= 0.05 * len(outside)


def test_without_pixels_at_full_resolution_nothing_is_said() -> None:
    """A large image that was decoded at a smaller size has lost what tells it apart."""
    images = [decode(saved(drawing(side)), native=False) for side in (1500, 400)]

    assert [True, False] == [found is None for found in out_of_domain(images)]


def test_tiny_images_are_left_to_the_router() -> None:
    """Fewer pixels than sixteen a side have no statistics."""
    assert out_of_domain([decode(saved(drawing(15)), native=True)]) == [None]


def test_trees_add_up_their_leaves() -> None:
    """Above the bound goes right; the leaves of all trees and the intercept are the logit."""
    gate = Trees(
        names=("a", "b"),
        statistic=np.array([[0, 1, 1], [1, 0, 0]]),
        bound=np.array([[0.5, 1.0, 2.0], [3.0, 0.0, 0.0]]),
        leaf=np.array([[1.0, 2.0, 4.0, 8.0], [0.1, 0.2, 0.4, 0.8]]),
        intercept=100.0,
        limit=0.0,
    )

    logits = gate.logits(np.array([[0.6, 2.0], [0.0, 1.0], [0.0, 3.5]]))

    assert [100 + 4 + 0.2, 100 + 1 + 0.1, 100 + 2 + 0.4] == logits.tolist()


def test_statistics_do_not_depend_on_the_images_beside_them() -> None:
    """To the last bit: not on how many there are, nor on their order."""
    chance = np.random.default_rng(5)
    noise = [Image.fromarray(chance.integers(0, 256, (32, 32, 3), np.uint8)) for _ in range(9)]
    images = [decode(saved(image)) for image in (*noise, drawing(32), detailed(32))]

    together, turned = statistics_of_each(images), statistics_of_each(images[::-1])

    for number, image in enumerate(images):
        alone = statistics(image)
        assert alone == {name: float(each[number]) for name, each in together.items()}
        assert alone == {name: float(each[-1 - number]) for name, each in turned.items()}


def test_images_of_many_sizes_are_told_apart_as_one_by_one() -> None:
    """Each finding stands at the place of its image."""
    sizes = (32, 100, 32, 15, 400, 100)
    images = [
        decode(saved((drawing if number % 2 else detailed)(side), "JPEG"), native=True)
        for number, side in enumerate(sizes)
    ]

    assert [found for image in images for found in out_of_domain([image])] == out_of_domain(images)
