"""What of a picture is shown to whom, and what is said where there is nobody."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from workers.detectors.card import Card, Input, Thresholds, View
from workers.images.decode import decode
from workers.images.faces import Face
from workers.pipeline.inputs import MAX_FACES, ImageInputs, InputSelector

if TYPE_CHECKING:
    from numpy.typing import NDArray


def card(name: str, sides: tuple[int, int], view: View) -> Card:
    """Return the card of a model for images, or faces, of these sides."""
    made_for = Input(32, 32, "RGB", 0, 255, *sides)
    return Card(name, "1", "", Thresholds(0.5, 0.9), (), input=made_for, view=view)


TINY = card("tiny", (16, 64), View())
SCENES = card("scenes", (100, 4096), View("crops", crops=5))
FACES = card("faces", (20, 4096), View("faces", margin=1.5))
ALL = {one.name: one for one in (TINY, SCENES, FACES)}


class Found:
    """Stands in for the finder: the faces that are there, and what it was shown."""

    def __init__(self, *faces: Face) -> None:
        self.faces = list(faces)
        self.shown: list[tuple[int, ...]] = []

    def find(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """Return the faces."""
        self.shown.append(pixels.shape)
        return self.faces


def noise(width: int, height: int, orientation: int = 1) -> bytes:
    """Return a PNG of noise with an EXIF orientation."""
    draw = np.random.default_rng(1)
    picture = Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))
    exif = picture.getexif()
    exif[Base.Orientation] = orientation
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    return file.getvalue()


def show(
    data: bytes, finder: Found | None = None, cards: dict[str, Card] | None = None
) -> ImageInputs:
    """Return the inputs of an image."""
    selector = InputSelector(ALL if cards is None else cards, ALL, finder)
    return selector.select(decode(data, native=selector.native))


def test_a_tiny_picture_is_shown_whole() -> None:
    """It goes to the net for tiny ones alone, and nobody looks for faces in it."""
    finder = Found(Face(0, 0, 32, 32, 1.0))
    shown = show(noise(32, 32), finder)

    assert (["tiny"], [], []) == (
        [asked.detector for asked in shown.whole], shown.full_size, shown.findings
    )  # fmt: skip
    assert [] == finder.shown


def test_a_picture_is_shown_in_pieces_and_its_faces_too() -> None:
    """Several detectors may speak for one picture; each face has its box."""
    shown = show(noise(300, 200), Found(Face(50, 60, 90, 100, 0.9)))

    assert [("faces", {"box": [50, 60, 90, 100]}), ("scenes", {"crops": 5})] == [
        (asked.detector, asked.detail) for asked in shown.full_size
    ]
    assert all((32, 32, 3) == view.shape for asked in shown.full_size for view in asked.arrays)


@pytest.mark.parametrize(("side", "asked"), [(99, ["faces", "scenes"]), (100, ["faces"])])
def test_a_portrait_is_for_the_net_of_faces_alone(side: int, asked: list[str]) -> None:
    """A face of half the shorter side, 200 pixels, leaves pieces of nothing but the face."""
    shown = show(noise(300, 200), Found(Face(50, 60, 50 + side, 90, 0.9)))

    assert asked == [one.detector for one in shown.full_size]


def test_only_the_largest_of_a_crowd() -> None:
    """The largest few faces are looked at, and none that is too small for any detector."""
    crowd = [Face(0, 0, side, side, 0.9) for side in (10, 60, 30, 50, 40, 25, 19)]
    shown = show(noise(300, 200), Found(*crowd), {"faces": FACES})

    assert [60, 50, 40, 30] == [asked.detail["box"][2] for asked in shown.full_size]
    assert MAX_FACES == len(shown.full_size)


def test_faces_of_a_picture_that_lies_on_its_side() -> None:
    """The finder sees it upright; boxes are those of the upright picture."""
    finder = Found(Face(10, 100, 60, 150, 0.9))
    shown = show(noise(300, 200, orientation=6), finder)

    assert [(300, 200, 3)] == finder.shown
    assert {"box": [10, 100, 60, 150]} == shown.full_size[0].detail


@pytest.mark.parametrize(
    ("size", "kind"),
    [((80, 80), "no_detector"), ((5000, 100), "no_detector"), ((8, 8), "too_small")],
)
def test_nobody_is_for_it(size: tuple[int, int], kind: str) -> None:
    """A picture for nobody says why; a face in it would have been enough."""
    assert [kind] == [said.kind for said in show(noise(*size), Found()).findings]
    assert not show(noise(80, 80), Found(Face(0, 0, 70, 70, 1.0))).findings


def test_too_large_to_be_had_at_its_own_size() -> None:
    """It is said where only a smaller version could be decoded."""
    selector = InputSelector({"scenes": SCENES}, ALL, None)
    shown = selector.select(decode(noise(300, 200), native=False))

    assert ["too_large"] == [said.kind for said in shown.findings]


def test_a_worn_picture_is_said_to_be() -> None:
    """Where pieces are looked at, what they have been through is, too."""
    small = Image.open(io.BytesIO(noise(150, 100))).convert("RGB")
    file = io.BytesIO()
    small.resize((600, 400), Image.Resampling.NEAREST).save(file, "PNG")
    shown = show(file.getvalue(), Found())

    assert ["degraded"] == [said.kind for said in shown.findings]


@pytest.mark.parametrize(
    ("cards", "finder", "native"),
    [({"tiny": TINY}, None, False), ({"scenes": SCENES}, None, True), (ALL, Found(), True)],
)
def test_native_only_where_it_is_needed(
    cards: dict[str, Card],
    finder: Found | None,
    native: bool,  # noqa: FBT001
) -> None:
    """A plan of nets for tiny pictures does not pay for decoding large ones."""
    assert native is InputSelector(cards, ALL, finder).native


def test_the_middle_of_a_picture() -> None:
    """A net that is made for a scaled middle is shown just that, and may say what it likes."""
    centre = card("clip", (16, 4096), View("centre", shorter=48))
    shown = show(noise(300, 200), cards={"clip": centre})

    assert [("clip", {})] == [(asked.detector, asked.detail) for asked in shown.full_size]
    assert [[(32, 32, 3)]] == [[view.shape for view in asked.arrays] for asked in shown.full_size]
