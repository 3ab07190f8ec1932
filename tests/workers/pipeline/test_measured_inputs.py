"""A single detector gets the same inputs, and gives the same scores, as in a scan."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from storage.records import BatchImage
from workers.detectors import installed
from workers.detectors.loading import load
from workers.images.decode import Decoded, Header, decode
from workers.images.faces import Face
from workers.pipeline import inputs
from workers.pipeline.inputs import MAX_FACES, selector_for
from workers.pipeline.pipeline import make_pipeline
from workers.pipeline.plan import make_plan
from workers.sources.source import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MAX_PIXELS = 10**8
# Sampled: every so many images of a zip.
SAMPLES = {"cifake-test.zip": 2500, "faces.zip": 500, "scenes.zip": 200}


class Finder:
    """A face finder that finds the same faces in every image."""

    def __init__(self, faces: Iterable[Face]) -> None:
        self._faces = list(faces)

    def find(self, pixels: NDArray[np.uint8]) -> list[Face]:
        """Return the faces."""
        del pixels
        return self._faces


class Bytes:
    """A source that holds one image."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def fetch(self, relative: bytes, expected_size: int | None = None) -> Fetched:
        """Return the image."""
        del relative, expected_size
        return Fetched(self._data, b"")


def image_with(
    monkeypatch: pytest.MonkeyPatch, *sides: int, size: tuple[int, int] = (640, 480)
) -> Decoded:
    """Return an image in which faces of these sides, in pixels, are found."""
    faces = [Face(0, 0, side, side, 0.9) for side in sides]
    monkeypatch.setattr(inputs, "face_finder", lambda _cards: Finder(faces))
    image = Image.new("RGB", size, (90, 120, 60))
    return Decoded(Header("PNG", *size), np.asarray(image), image)


def test_scores_are_those_of_a_scan(test_data: Path) -> None:
    """The highest score of a detector in a default scan, to the last bit."""
    cards = installed.built_in()
    pipeline = make_pipeline(make_plan(cards), MAX_PIXELS)
    names = [name for name, card in cards.items() if card.input]
    measured = {name: (load(cards[name]), selector_for(cards[name])) for name in names}
    compared = 0
    for file, step in SAMPLES.items():
        with zipfile.ZipFile(test_data / file) as archive:
            members = [one for one in sorted(archive.namelist()) if one.endswith((".png", ".jpg"))]
            for member in members[::step]:
                data = archive.read(member)
                (verdict,) = pipeline.chunk(Bytes(data), [BatchImage(1, b"", len(data))])
                for name, (detector, selector) in measured.items():
                    selected = selector.select(decode(data, native=True))
                    scores = [
                        one.score
                        for one in verdict.findings
                        if one.detector == name and one.score is not None
                    ]

                    assert max(scores, default=None) == selected.highest_score(name, detector)
                    compared += bool(scores)

    assert compared > len(names)


def test_a_large_portrait_is_examined_by_scenes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its background and its light tell as much as the face; a small one has little of them."""
    image = image_with(monkeypatch, 400)

    assert 1 == len(selector_for(installed.built_in()["scenes"]).select(image).of("scenes"))


def test_faces_gets_no_small_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces of 80 pixels and more."""
    image = image_with(monkeypatch, 200, 80, 79, 31)

    assert 2 == len(selector_for(installed.built_in()["faces"]).select(image).of("faces"))


def test_only_the_largest_faces_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many faces as a scan examines."""
    image = image_with(monkeypatch, *range(100, 110))

    assert MAX_FACES == len(selector_for(installed.built_in()["faces"]).select(image).of("faces"))


@pytest.mark.parametrize(("side", "selected"), [(31, 0), (32, 1), (33, 0), (64, 0)])
def test_sizes_outside_the_card_are_not_examined(side: int, selected: int) -> None:
    """`objects-32` is for sides of 32 pixels and no others."""
    image = Image.new("RGB", (side, side))
    decoded = Decoded(Header("PNG", side, side), np.asarray(image), image)
    card = installed.built_in()["objects-32"]

    assert selected == len(selector_for(card).select(decoded).of(card.name))
    assert len(selector_for(card, any_size=True).select(decoded).of(card.name)) == 1
