"""Visible marks, laid over images here as their generators do, and images that show none."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from marked_images import lay, scene
from PIL import Image

from workers.marks import colour_bar, visible
from workers.marks.catalogue import MARKS, Mark
from workers.marks.template import Place

GEMINI, SMALL, DISTANT, META_AI, GROK, DOUBAO, QWEN = MARKS
COLOURS = [(255, 255, 102), (66, 255, 255), (81, 218, 76), (255, 110, 60), (60, 70, 255)]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Save and load as JPEG."""
    stored = BytesIO()
    image.save(stored, "JPEG", quality=quality)
    return Image.open(stored)


@pytest.mark.parametrize(
    ("mark", "size", "height", "place", "opacity"),
    [
        (GEMINI, (1024, 1024), 48, Place(2 / 3, 2 / 3), 0.5),
        (GEMINI, (864, 1184), 48, Place(2 / 3, 2 / 3), 0.5),
        (GEMINI, (1536, 2048), 96, Place(2 / 3, 2 / 3), 0.5),
        (SMALL, (1024, 1024), 22, Place(24 / 22, 24 / 22), 0.5),
        (DISTANT, (1536, 2048), 96, Place(2, 2), 0.4),
        (META_AI, (675, 1200), 32, Place(1.09, 1.08), 0.6),
        (GROK, (784, 1168), 19, Place(0.66, 0.84), 0.5),
        (DOUBAO, (1672, 2508), 42, Place(1.2, 1.18), 0.45),
        (DOUBAO, (2508, 1672), 53, Place(1.2, 1.18), 0.45),
        (QWEN, (1328, 1328), 46, Place(0.635, 0.65), 0.5),
    ],
)
def test_marks(
    mark: Mark, size: tuple[int, int], height: int, place: Place, opacity: float
) -> None:
    """Each mark is found at its places, and its box is where it was laid."""
    found = visible.find(lay(scene(size), mark, height, place, opacity))

    assert found is not None
    assert mark is found.mark
    right, bottom = size[0] - round(place.right * height), size[1] - round(place.bottom * height)
    expected = (right, bottom, height)
    assert expected == pytest.approx(
        (found.box[2], found.box[3], found.box[3] - found.box[1]), abs=0.15 * height
    )


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: f"{mark.generator}-{mark.place.right:.2f}")
def test_copies(mark: Mark) -> None:
    """A mark is still found after JPEG of quality 70, and in a copy of half the size."""
    height = round(sum(mark.sizes) / 2 * 1500)
    marked = lay(scene((1500, 1600)), mark, height, mark.place, 0.5)

    assert visible.find(jpeg(marked, 70)) is not None
    assert visible.find(marked.resize((750, 800))) is not None
    assert visible.find(jpeg(marked.resize((750, 800)), 70)) is not None


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK"])
def test_modes(mode: str) -> None:
    """The mode of an image does not matter."""
    marked = lay(scene((1024, 1024)), GEMINI, 48, GEMINI.place, 0.5)
    image = marked.convert("RGB" if mode == "LA" else mode).convert(mode)

    assert visible.find(image) is not None


def test_16_bits() -> None:
    """Nor do more bits."""
    grey = lay(scene((1024, 1024)), GEMINI, 48, GEMINI.place, 0.5).convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)

    assert visible.find(wide) is not None


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(scene((1024, 1024)), id="scene"),
        pytest.param(Image.new("RGB", (1024, 1024), "white"), id="white"),
        pytest.param(Image.new("RGB", (1024, 1024), "black"), id="black"),
        pytest.param(Image.new("RGB", (1, 1)), id="1x1"),
        pytest.param(Image.new("RGB", (200, 1)), id="200x1"),
        pytest.param(Image.new("RGB", (200, 200)), id="200x200"),
        pytest.param(Image.new("RGB", (201, 9000)), id="201x9000"),
        pytest.param(
            lay(scene((1024, 1024)), GEMINI, 48, Place(6, 6), 0.5), id="sparkle-elsewhere"
        ),
    ],
)
def test_no_mark(image: Image.Image) -> None:
    """Images without a mark, or with the shape at another place, show none."""
    assert visible.find(image) is None


def test_a_dark_shape() -> None:
    """A shape that is darker than its surroundings is no mark."""
    marked = lay(scene((1024, 1024)), GEMINI, 48, GEMINI.place, 0.5)
    negative = Image.fromarray(255 - np.asarray(marked))

    assert visible.find(negative) is None


def barred(side: int) -> Image.Image:
    """Make a square image with DALL-E 2's bar."""
    image, square = scene((side, side)), side // 64
    for number, colour in enumerate(COLOURS):
        left = side - (5 - number) * square
        image.paste(colour, (left, side - square, left + square, side))
    return image


@pytest.mark.parametrize("side", [512, 1024])
def test_colour_bar(side: int) -> None:
    """The bar is found at its place, after JPEG, too."""
    image = barred(side)

    assert (side - 5 * side // 64, side - side // 64, side, side) == colour_bar.find(image)
    assert colour_bar.find(jpeg(image, 70)) is not None


def test_colour_bar_of_half_the_size() -> None:
    """The bar is found in a smaller copy."""
    half = barred(1024).resize((512, 512), Image.Resampling.BOX)

    assert colour_bar.find(jpeg(half, 70)) is not None


@pytest.mark.parametrize(
    "image",
    [
        scene((1024, 1024)),
        barred(1024).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        barred(1024).crop((0, 0, 1024, 1000)),
        barred(1024).convert("L"),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (5000, 1)),
        Image.new("P", (1024, 1024)),
    ],
    ids=["scene", "mirrored", "cropped", "grey", "1x1", "5000x1", "P"],
)
def test_no_colour_bar(image: Image.Image) -> None:
    """Without the five colours in their order and place there is no bar."""
    assert colour_bar.find(image) is None
