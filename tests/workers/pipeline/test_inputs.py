"""Selection of inputs, and the findings where there are none."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from storage.records import OUT_OF_DOMAIN, ROUTER, Finding
from workers.detectors import installed
from workers.detectors.card import Card, Input, Thresholds, View
from workers.images.decode import decode
from workers.images.faces import Face
from workers.pipeline.inputs import MAX_FACES, ImageInputs, InputSelector

if TYPE_CHECKING:
    from numpy.typing import NDArray


def card(name: str, sides: tuple[int, int], view: View) -> Card:
    """Return the card of a detector for images, or faces, of these sides."""
    made_for = Input(32, 32, "RGB", 0, 255, *sides)
    return Card(name, "1", "", Thresholds(0.5, 0.9), (), input=made_for, view=view)


TINY = card("tiny", (16, 64), View())
SCENES = card("scenes", (100, 4096), View("crops", crops=5))
FACES = card("faces", (20, 4096), View("faces", margin=1.5))
ALL = {one.name: one for one in (TINY, SCENES, FACES)}


class Found:
    """A stand-in for the face finder: it finds given faces, and records the shapes of its input."""

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
    """Select the inputs of an image."""
    selector = InputSelector(ALL if cards is None else cards, ALL, finder)
    return selector.select(decode(data, native=selector.native))


def test_a_tiny_image_is_examined_whole() -> None:
    """It goes to the detector of tiny images alone, and no faces are searched."""
    finder = Found(Face(0, 0, 32, 32, 1.0))
    shown = show(noise(32, 32), finder)

    assert (["tiny"], [], []) == (
        [asked.detector for asked in shown.whole], shown.full_size, shown.findings
    )  # fmt: skip
    assert [] == finder.shown


def test_an_image_is_examined_by_crops_and_faces() -> None:
    """Several detectors examine one image; each face has its box."""
    shown = show(noise(300, 200), Found(Face(50, 60, 90, 100, 0.9)))

    assert [("faces", {"box": [50, 60, 90, 100]}), ("scenes", {"crops": 5})] == [
        (asked.detector, asked.detail) for asked in shown.full_size
    ]
    assert all((32, 32, 3) == view.shape for asked in shown.full_size for view in asked.views[0])


@pytest.mark.parametrize(("size", "crops"), [((300, 200), [5, 5, 1]), ((1600, 1000), [5, 2, 1])])
def test_an_image_is_examined_in_several_views(size: tuple[int, int], crops: list[int]) -> None:
    """Its crops, those at the scale of a megapixel or else the crops again, and all of it."""
    several = card("scenes", (100, 4096), View("crops", crops=5, reduced_crops=2, overview=True))
    (asked,) = show(noise(*size), cards={"scenes": several}).full_size

    assert crops == [len(view) for view in asked.views]
    assert (asked.views[0] is asked.views[1]) is (crops[1] == crops[0])
    assert all((32, 32, 3) == square.shape for view in asked.views for square in view)


@pytest.mark.parametrize(
    ("size", "side", "asked"),
    [
        ((600, 448), 400, ["faces", "scenes"]),
        ((600, 447), 224, ["faces"]),
        ((600, 447), 223, ["faces", "scenes"]),
    ],
)
def test_a_small_portrait_is_for_the_face_detector_alone(
    size: tuple[int, int], side: int, asked: list[str]
) -> None:
    """A face of half the shorter side excludes crops, unless the image is large."""
    shown = show(noise(*size), Found(Face(20, 20, 20 + side, 20 + side, 0.9)))

    assert asked == [one.detector for one in shown.full_size]


def test_a_face_may_be_examined_in_a_close_up_too() -> None:
    """The square around it, and the one in its middle at the image's own resolution."""
    closer = card("faces", (20, 4096), View("faces", margin=1.5, close_up=True))
    shown = show(noise(300, 200), Found(Face(50, 60, 150, 160, 0.9)), {"faces": closer})

    assert [[1, 1]] == [[len(view) for view in asked.views] for asked in shown.full_size]
    assert not (shown.full_size[0].views[0][0] == shown.full_size[0].views[1][0]).all()


def test_only_the_largest_faces_are_examined() -> None:
    """The largest faces are examined, except those too small for any detector."""
    crowd = [Face(0, 0, side, side, 0.9) for side in (10, 60, 30, 50, 40, 25, 19)]
    shown = show(noise(300, 200), Found(*crowd), {"faces": FACES})

    assert [60, 50, 40, 30] == [asked.detail["box"][2] for asked in shown.full_size]
    assert MAX_FACES == len(shown.full_size)


def test_faces_of_an_image_stored_sideways() -> None:
    """The finder gets it upright; boxes are those of the upright image."""
    finder = Found(Face(10, 100, 60, 150, 0.9))
    shown = show(noise(300, 200, orientation=6), finder)

    assert [(300, 200, 3)] == finder.shown
    assert {"box": [10, 100, 60, 150]} == shown.full_size[0].detail


@pytest.mark.parametrize(
    ("size", "kind"),
    [((80, 80), "no_detector"), ((5000, 100), "no_detector"), ((8, 8), "too_small")],
)
def test_no_detector_suits(size: tuple[int, int], kind: str) -> None:
    """The finding says why, unless a face can be examined."""
    assert [kind] == [said.kind for said in show(noise(*size), Found()).findings]
    assert not show(noise(80, 80), Found(Face(0, 0, 70, 70, 1.0))).findings


def test_too_large_for_its_own_resolution() -> None:
    """A finding says so where only a reduced version was decoded."""
    selector = InputSelector({"scenes": SCENES}, ALL, None)
    shown = selector.select(decode(noise(300, 200), native=False))

    assert ["too_large"] == [said.kind for said in shown.findings]


def test_a_degraded_image_is_reported() -> None:
    """An enlarged image that is examined by crops has the finding `degraded`."""
    small = Image.open(io.BytesIO(noise(150, 100))).convert("RGB")
    file = io.BytesIO()
    small.resize((600, 400), Image.Resampling.NEAREST).save(file, "PNG")
    shown = show(file.getvalue(), Found())

    assert ["degraded"] == [said.kind for said in shown.findings]


@pytest.mark.parametrize(
    ("cards", "finder", "native"),
    [({"tiny": TINY}, None, False), ({"scenes": SCENES}, None, True), (ALL, Found(), True)],
)
def test_native_size_is_decoded_only_where_needed(
    cards: dict[str, Card],
    finder: Found | None,
    native: bool,  # noqa: FBT001
) -> None:
    """A plan of detectors of tiny images does not decode large ones at full size."""
    assert native is InputSelector(cards, ALL, finder).native


def test_the_centre_of_an_image() -> None:
    """A model for a scaled centre gets only that."""
    centre = card("clip", (16, 4096), View("centre", shorter=48))
    shown = show(noise(300, 200), cards={"clip": centre})

    assert [("clip", {})] == [(asked.detector, asked.detail) for asked in shown.full_size]
    assert [[(32, 32, 3)]] == [[view.shape for view in asked.views[0]] for asked in shown.full_size]


@pytest.mark.parametrize(("name", "examined"), [("scenes", []), ("mine", ["mine"])])
def test_graphics_are_for_custom_detectors_alone(
    monkeypatch: pytest.MonkeyPatch, name: str, examined: list[str]
) -> None:
    """The built-in detectors get none, nor is a face searched; the finding says why."""
    graphic = Finding(ROUTER, OUT_OF_DOMAIN, None, "a drawing")
    monkeypatch.setattr(
        "workers.pipeline.inputs.out_of_domain", lambda images: [graphic for _ in images]
    )
    finder = Found(Face(50, 60, 90, 100, 0.9))
    crops = card(name, (100, 4096), View("crops", crops=5))
    inputs = show(noise(300, 200), finder, {name: crops, "faces": FACES})

    assert examined == [asked.detector for asked in inputs.full_size]
    assert [] == finder.shown
    assert ([] if examined else [graphic]) == inputs.findings


def test_graphics_are_not_for_a_built_in_model_fitted_to_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is a custom detector with the model of a built-in one, which knows photographs alone."""
    graphic = Finding(ROUTER, OUT_OF_DOMAIN, None, "a drawing")
    monkeypatch.setattr(
        "workers.pipeline.inputs.out_of_domain", lambda images: [graphic for _ in images]
    )
    learned = replace(installed.built_in()["scenes"], name="scenes-learned")
    inputs = show(noise(300, 240), cards={learned.name: learned})

    assert [] == inputs.full_size
    assert [graphic] == inputs.findings
