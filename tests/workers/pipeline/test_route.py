"""Routing: an image goes to the detectors that were made for what it is, or to none."""

from __future__ import annotations

import pytest

from workers.detectors.card import Card, Input, Thresholds, View
from workers.images.decode import Header
from workers.pipeline.route import Router


def card(name: str, smallest_side: int, largest_side: int, kind: str = "whole") -> Card:
    """Return the card of a model for images, or faces, of these sides."""
    made_for = Input(32, 32, "RGB", 0, 255, smallest_side, largest_side)
    return Card(name, "1", "", Thresholds(0.5, 0.9), (), input=made_for, view=View(kind))


def cards(*some: Card) -> dict[str, Card]:
    """Cards by their names."""
    return {one.name: one for one in some}


TINY, SCENES = card("tiny", 16, 64), card("scenes", 256, 4096, "crops")
FACES, SMALL_FACES = card("faces", 80, 4096, "faces"), card("small", 32, 200, "faces")
READER = Card("provenance", "1", "", Thresholds(0.5, 0.9), ())
ROUTER = Router(cards(TINY, SCENES, SMALL_FACES, FACES, READER), {})


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (32, 32, "tiny"),
        (16, 64, "tiny"),
        (64, 16, "tiny"),
        (64, 64, "tiny"),
        (256, 4096, "scenes"),
        (1000, 700, "scenes"),
        (15, 32, None),
        (32, 65, None),
        (65, 65, None),
        (255, 300, None),
        (256, 4097, None),
        (1, 1, None),
    ],
)
def test_by_size(width: int, height: int, expected: str | None) -> None:
    """Both sides lie between the smallest and the largest that a detector is for, ends included."""
    assert ([expected] if expected else []) == ROUTER.by_size(Header("JPEG", width, height))


def test_several_may_speak_for_one_picture() -> None:
    """Every detector that is for its size sees a picture, not only the first."""
    router = Router(cards(TINY, card("mine", 32, 500)), {})

    assert ["tiny", "mine"] == router.by_size(Header("PNG", 40, 40))


def test_the_size_in_the_file_counts() -> None:
    """A thumbnail of a large photo is routed by what its header says, in either format."""
    assert ROUTER.by_size(Header("PNG", 48, 40)) == ROUTER.by_size(Header("WEBP", 40, 48))


@pytest.mark.parametrize(
    ("side", "expected"),
    [(31.9, None), (32, "small"), (79.9, "small"), (80, "faces"), (4096, "faces"), (4097, None)],
)
def test_a_face_goes_to_the_one_detector_for_its_size(side: float, expected: str | None) -> None:
    """Where two would do, it is the one for larger faces, in whatever order they are planned."""
    assert expected == ROUTER.for_face(side)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (32, 32, "not_planned"),
        (64, 16, "not_planned"),
        (15, 32, "too_small"),
        (64, 1, "too_small"),
        (15, 65, "too_small"),
        (15, 4097, "no_detector"),
        (100, 100, "no_detector"),
        (5000, 5000, "no_detector"),
    ],
)
def test_why_none(width: int, height: int, expected: str) -> None:
    """A detector that is here but not in the plan is no missing one; nor is every size a gap."""
    said = Router(cards(SCENES, FACES), cards(TINY, SCENES)).why_none(Header("JPEG", width, height))

    assert ("router", expected, None) == (said.detector, said.kind, said.score)
