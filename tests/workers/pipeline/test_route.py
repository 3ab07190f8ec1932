"""Routing: an image goes to the detectors for its size, or to none."""

from __future__ import annotations

import pytest

from workers.detectors.card import Card, Input, Thresholds, View
from workers.images.decode import Header
from workers.pipeline.route import Router


def card(name: str, smallest_side: int, largest_side: int, kind: str = "whole") -> Card:
    """Return the card of a detector for images, or faces, of these sides."""
    made_for = Input(32, 32, "RGB", 0, 255, smallest_side, largest_side)
    return Card(name, "1", "", Thresholds(0.5, 0.9), (), input=made_for, view=View(kind))


def cards(*some: Card) -> dict[str, Card]:
    """Return cards by name."""
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
    """Both sides are between a detector's smallest and largest side, bounds included."""
    assert ([expected] if expected else []) == ROUTER.by_size(Header("JPEG", width, height))


def test_several_detectors_may_examine_one_image() -> None:
    """Every detector for its size examines an image."""
    router = Router(cards(TINY, card("mine", 32, 500)), {})

    assert ["tiny", "mine"] == router.by_size(Header("PNG", 40, 40))


def test_the_size_in_the_file_counts() -> None:
    """An image is routed by the size in its header, in either format."""
    assert ROUTER.by_size(Header("PNG", 48, 40)) == ROUTER.by_size(Header("WEBP", 40, 48))


@pytest.mark.parametrize(
    ("side", "expected"),
    [(31.9, None), (32, "small"), (79.9, "small"), (80, "faces"), (4096, "faces"), (4097, None)],
)
def test_a_face_goes_to_the_one_detector_for_its_size(side: float, expected: str | None) -> None:
    """Of two that suit, the one for larger faces is chosen, in any order of the plan."""
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
    """Unplanned detectors, small images and uncovered sizes are told apart."""
    said = Router(cards(SCENES, FACES), cards(TINY, SCENES)).why_none(Header("JPEG", width, height))

    assert ("router", expected, None) == (said.detector, said.kind, said.score)
