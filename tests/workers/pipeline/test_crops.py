"""Arrays cut out of images, and their positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from workers.detectors.card import Input
from workers.images.decode import Decoded, Header
from workers.images.faces import Face
from workers.pipeline import crops

WANTED = Input(32, 32, "RGB", 0, 255, 16, 4096)
SIDES = st.integers(32, 255)


def noise(width: int, height: int) -> Image.Image:
    """Return an image whose crops all differ."""
    draw = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))


def decoded(picture: Image.Image, orientation: int = 1, scale: int = 1) -> Decoded:
    """Return an image as `decode` does, reduced by a factor."""
    pixels = np.asarray(picture.reduce(scale))
    return Decoded(Header("PNG", *picture.size), pixels, picture, orientation)


@pytest.mark.parametrize("size", [(16, 16), (64, 40), (33, 64)])
def test_whole(size: tuple[int, int]) -> None:
    """An image of another size is resized to the input's, and keeps its colours."""
    pixels = np.full((size[1], size[0], 3), (10, 120, 250), np.uint8)
    fitted = crops.whole(pixels, WANTED)

    assert (32, 32, 3) == fitted.shape
    assert (np.full((32, 32, 3), (10, 120, 250)) == fitted).all()


def test_whole_leaves_alone() -> None:
    """An image of the input's size is not changed."""
    pixels = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)

    assert pixels is crops.whole(pixels, WANTED)


@given(SIDES, SIDES)
def test_crops_are_not_resized(width: int, height: int) -> None:
    """All five are inside the image and not resized, and no two are the same."""
    # Each pixel says where it is.
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, rows], -1).astype(np.uint8)
    pieces = crops.crops(Image.fromarray(pixels), WANTED, 5)

    assert len({piece.tobytes() for piece in pieces}) == len(pieces) <= 5
    for piece in pieces:
        left, top = piece[0, 0, :2].tolist()
        assert (pixels[top : top + 32, left : left + 32] == piece).all()


def test_crops_of_the_smallest_image() -> None:
    """An image as large as the input is one crop, and so is the middle alone."""
    assert 1 == len(crops.crops(noise(32, 32), WANTED, 5))
    (middle,) = crops.crops(noise(100, 64), WANTED, 1)
    assert (np.asarray(noise(100, 64))[16:48, 34:66] == middle).all()


def test_crops_of_any_mode() -> None:
    """Palettes, alpha channels and grey are converted to RGB."""
    for mode in ("P", "LA", "L", "CMYK"):
        assert all((32, 32, 3) == one.shape for one in crops.crops(
            noise(64, 64).convert(mode), WANTED, 5))  # fmt: skip


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_turned_images(orientation: int) -> None:
    """A box of the upright image is cut out of the stored one and turned as Pillow does."""
    stored = noise(110, 70)
    stored.getexif()[Base.Orientation] = orientation
    upright = ImageOps.exif_transpose(stored)
    box = (5.0, 11.0, 37.0, 43.0)
    seen = crops.square(stored, orientation, box, WANTED)

    assert (np.asarray(upright.crop((5, 11, 37, 43))) == seen).all()
    assert upright.size == crops.upright_size(decoded(stored, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_stored_images(orientation: int) -> None:
    """A box of the image as stored becomes upright as `stored` took it there."""
    box = (5.0, 11.0, 37.0, 43.0)

    assert box == crops.upright(crops.stored(box, orientation, (110, 70)), orientation, (110, 70))


@given(SIDES, SIDES, st.integers(1, 5))
def test_places_are_those_of_the_crops(width: int, height: int, count: int) -> None:
    """One function decides where crops are, for scans and for those who ask afterwards."""
    image = noise(width, height)
    places = crops.crop_places(image.size, WANTED, count)
    cut = [np.asarray(image)[top : top + 32, left : left + 32] for left, top in places]

    assert all(map(np.array_equal, cut, crops.crops(image, WANTED, count)))
    assert len(places) == len(cut) <= count


def test_faces_found_in_a_reduced_image() -> None:
    """A face found in the reduced image is converted to pixels of the large one."""
    picture = decoded(noise(400, 200), orientation=6, scale=2)
    (large,) = crops.enlarged([Face(10, 20, 30, 60, 0.9)], picture.pixels.swapaxes(0, 1), picture)

    assert Face(20, 40, 60, 120, 0.9) == large


@given(st.floats(0, 90), st.floats(0, 40), st.floats(1, 60), st.floats(1, 60), st.floats(1, 180))
def test_square_around_a_face(
    left: float, top: float, width: float, height: float, side: float
) -> None:
    """It is a square inside the image for any face."""
    box = crops.around(Face(left, top, left + width, top + height, 1.0), side, (100, 50))

    assert pytest.approx(box[2] - box[0]) == box[3] - box[1]
    assert box[0] >= 0
    assert box[1] >= 0
    assert box[2] <= 100 + 1e-9
    assert box[3] <= 50 + 1e-9


def test_the_close_up_of_a_face_is_not_resized() -> None:
    """The pixels around its middle as they are, upright."""
    picture = noise(100, 80)
    shown = crops.close_up(decoded(picture), picture, Face(40, 30, 60, 50, 0.9), WANTED)
    stored = picture.transpose(Image.Transpose.ROTATE_90)
    turned = crops.close_up(decoded(stored, orientation=6), stored, Face(40, 30, 60, 50, 1), WANTED)

    assert (np.asarray(picture)[24:56, 34:66] == shown).all()
    assert (turned == shown).all()


def test_the_close_up_of_a_small_image_is_enlarged() -> None:
    """Its largest square, at the input's size."""
    picture = Image.new("RGB", (24, 20), (10, 120, 250))
    shown = crops.close_up(decoded(picture), picture, Face(2, 2, 20, 18, 0.9), WANTED)

    assert (np.full((32, 32, 3), (10, 120, 250)) == shown).all()


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [([0.3], 0.3), ([0.5, 0.5], 0.5), ([0.9, 0.1], 0.5), ([1.0, 0.0], 0.5)],
)
def test_mean_probability(probabilities: list[float], expected: float) -> None:
    """Scores of several crops are averaged as logits, and stay below certainty."""
    assert pytest.approx(expected) == crops.mean_probability(np.array(probabilities))


@pytest.mark.parametrize(("size", "corner"), [((128, 64), (32, 0)), ((64, 96), (0, 16))])
def test_centre(size: tuple[int, int], corner: tuple[int, int]) -> None:
    """The shorter side becomes 32, and the middle is cut out."""
    # Each pixel of the half says where it is in the whole, twice as large.
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    picture = Image.fromarray(np.stack([columns, rows, rows], -1).astype(np.uint8))
    seen = crops.centre(decoded(picture), picture, 32, WANTED)

    assert (32, 32, 3) == seen.shape
    # Bicubic of a ramp is the ramp: between two columns, in the middle of the picture.
    assert pytest.approx(corner[0] + 2 * 16 + 0.5, abs=1) == seen[16, 16, 0]
    assert pytest.approx(corner[1] + 2 * 16 + 0.5, abs=1) == seen[16, 16, 1]


def test_centre_is_upright() -> None:
    """A photo that is stored sideways is turned upright."""
    stored = Image.fromarray(np.zeros((32, 32, 3), np.uint8))
    stored.paste((255, 0, 0), (0, 0, 32, 8))  # its upper edge, which a viewer shows on the right
    seen = crops.centre(decoded(stored, orientation=6), stored, 32, WANTED)

    assert [0, 255] == [int(seen[16, column, 0]) for column in (4, 28)]


def test_reduced_crops_show_more_of_the_image() -> None:
    """Of four megapixels each crop of 32 pixels shows 64, reduced to half, up to the corners."""
    # Each pixel says where it is, in sixteenths.
    columns = (np.arange(2000) // 16).astype(np.uint8)[None, :, None].repeat(2000, 0).repeat(3, 2)
    pieces = crops.reduced(Image.fromarray(columns), WANTED, 5)

    assert [(0, 3), (0, 3), (60, 64), (121, 124), (121, 124)] == sorted(
        (int(piece[0, 0, 0]), int(piece[0, -1, 0])) for piece in pieces
    )


@pytest.mark.parametrize(
    ("size", "count"), [((1000, 1000), 0), ((1200, 1200), 0), ((2000, 800), 5)]
)
def test_an_image_of_about_a_megapixel_has_no_reduced_crops(
    size: tuple[int, int], count: int
) -> None:
    """They would show what the others show; one of more megapixels has as many as asked for."""
    assert count == len(crops.reduced(Image.new("RGB", size), WANTED, 5))


def test_the_overview_is_upright() -> None:
    """All of an image that is stored on its side is resized, then turned."""
    picture = Image.new("RGB", (64, 32), (255, 0, 0))
    picture.paste((0, 0, 255), (0, 0, 32, 32))
    shown = crops.overview(decoded(picture, orientation=6), WANTED)

    assert (32, 32, 3) == shown.shape
    assert [[0, 0, 255], [255, 0, 0]] == [shown[2, 16].tolist(), shown[-3, 16].tolist()]
