"""Routing: an image goes to the detector that was made for its size, or to none."""

from __future__ import annotations

import pytest

from storage.records import Finding
from workers.decode import Header
from workers.detectors.card import Input
from workers.route import Router


def made_for(smallest_side: int, largest_side: int) -> Input:
    """The input of a net that was made for images of these sides."""
    return Input(32, 32, "RGB", 0, 255, smallest_side, largest_side)


ROUTER = Router({"tiny": made_for(16, 64), "scenes": made_for(256, 4096)})


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
    chosen = ROUTER.route(Header("JPEG", width, height))

    assert expected == (chosen if isinstance(chosen, str) else None)


def test_the_size_in_the_file_counts() -> None:
    """A thumbnail of a large photo is routed by what its header says, in either format."""
    assert ROUTER.route(Header("PNG", 48, 40)) == ROUTER.route(Header("WEBP", 40, 48))


def test_no_detector_is_said() -> None:
    """What nobody was made for gets a finding without a score that says so."""
    said = Router({}).route(Header("JPEG", 32, 32))

    assert Finding("router", "no_detector", None, "no detector for this size yet") == said


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
    tiny, scenes = made_for(16, 64), made_for(256, 4096)
    said = Router({"scenes": scenes}, {"tiny": tiny, "scenes": scenes}).route(
        Header("JPEG", width, height)
    )

    assert isinstance(said, Finding)
    assert ("router", expected, None) == (said.detector, said.kind, said.score)
