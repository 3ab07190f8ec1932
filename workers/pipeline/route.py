"""The choice of detectors for an image, by its size and never by their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import PREVIEW, ROUTER, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workers.detectors.card import Card, Input
    from workers.images.decode import Header

NO_DETECTOR = Finding(
    ROUTER,
    "no_detector",
    None,
    "too small for a detector of photographs, too large for one of tiny images, and no face in it "
    "was examined",
)
TOO_SMALL = Finding(ROUTER, "too_small", None, "smaller than any detector examines")
TOO_LARGE = Finding(ROUTER, "too_large", None, "too large to examine at its own resolution")
NOT_PLANNED = Finding(
    ROUTER, "not_planned", None, "the detector for this size is not part of this scan's plan"
)


def preview_finding(header: Header, name: str) -> Finding:
    """Return the finding on a RAW file of this name, of which only the preview is judged."""
    size = [header.width, header.height]
    text = f"{name}: its preview of {size[0]}x{size[1]} pixels is what is judged"
    return Finding(ROUTER, PREVIEW, None, text, {"preview": size})


class Router:
    """Chooses among the detectors of one plan by the image sizes on their cards.

    All `present` detectors, planned or not, only help to explain why none suits an image.
    """

    def __init__(self, planned: Mapping[str, Card], present: Mapping[str, Card]) -> None:
        cards = [*planned.values(), *present.values()]
        self._planned = dict(_inputs(planned.values(), faces=False))
        self._known = [model_input for _, model_input in _inputs(cards, faces=False)]
        # Detectors of large faces before those of small faces.
        self._faces = sorted(
            _inputs(planned.values(), faces=True), key=lambda named: -named[1].smallest_side
        )

    def by_size(self, header: Header) -> list[str]:
        """Return the names of all detectors for images of this size.

        A model never scores an image of a size that it was not made for.
        """
        shorter, longer = sorted((header.width, header.height))
        return [
            name
            for name, model_input in self._planned.items()
            if _suits(model_input, shorter, longer)
        ]

    def for_face(self, side: float) -> str | None:
        """Return the name of the one detector for a face of this side, in pixels."""
        for name, model_input in self._faces:
            if model_input.smallest_side <= side <= model_input.largest_side:
                return name
        return None

    def why_none(self, header: Header) -> Finding:
        """Return the finding that says why no detector suits an image of this size."""
        shorter, longer = sorted((header.width, header.height))
        if any(_suits(model_input, shorter, longer) for model_input in self._known):
            return NOT_PLANNED
        is_small = all(shorter < model_input.smallest_side for model_input in self._known)
        if is_small and any(longer <= model_input.largest_side for model_input in self._known):
            return TOO_SMALL
        return NO_DETECTOR


def _inputs(cards: Iterable[Card], *, faces: bool) -> list[tuple[str, Input]]:
    """Return name and input of the detectors of faces, or of those of images."""
    return [
        (card.name, card.input)
        for card in cards
        if card.input is not None and (card.view.kind == "faces") is faces
    ]


def _suits(model_input: Input, shorter: int, longer: int) -> bool:
    return model_input.smallest_side <= shorter and longer <= model_input.largest_side
