"""Which detectors suit an image: by what it is, never by what scores best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.records import ROUTER, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workers.detectors.card import Card, Input
    from workers.images.decode import Header

NO_DETECTOR = Finding(ROUTER, "no_detector", None, "no detector for this size yet")
TOO_SMALL = Finding(ROUTER, "too_small", None, "smaller than any detector is made for")
TOO_LARGE = Finding(ROUTER, "too_large", None, "too large to be looked at at its own size")
NOT_PLANNED = Finding(
    ROUTER, "not_planned", None, "the detector for this size is not part of this scan's plan"
)


class Router:
    """Picks among the detectors of one plan by the sizes that their cards say they are made for.

    `shipped` are those that this installation has, of the plan or not: they decide on nothing but
    what is said of an image that no planned one is for.
    """

    def __init__(self, planned: Mapping[str, Card], shipped: Mapping[str, Card]) -> None:
        cards = [*planned.values(), *shipped.values()]
        self._pictures = dict(_inputs(planned.values(), faces=False))
        self._known = [made_for for _, made_for in _inputs(cards, faces=False)]
        # Nets for large faces before those for small ones.
        self._faces = sorted(
            _inputs(planned.values(), faces=True), key=lambda one: -one[1].smallest_side
        )

    def by_size(self, header: Header) -> list[str]:
        """The names of all detectors that are for pictures of this size.

        An image that no net was made for gets no score from one that was made for others.
        """
        shorter, longer = sorted((header.width, header.height))
        return [
            name for name, made_for in self._pictures.items() if _suits(made_for, shorter, longer)
        ]

    def for_face(self, side: float) -> str | None:
        """The name of the detector that is for a face of this side, in pixels: one, the best."""
        for name, made_for in self._faces:
            if made_for.smallest_side <= side <= made_for.largest_side:
                return name
        return None

    def why_none(self, header: Header) -> Finding:
        """The finding that says why no detector is for a picture of this size."""
        shorter, longer = sorted((header.width, header.height))
        if any(_suits(made_for, shorter, longer) for made_for in self._known):
            return NOT_PLANNED
        is_small = all(shorter < made_for.smallest_side for made_for in self._known)
        if is_small and any(longer <= made_for.largest_side for made_for in self._known):
            return TOO_SMALL
        return NO_DETECTOR


def _inputs(cards: Iterable[Card], *, faces: bool) -> list[tuple[str, Input]]:
    """What those that look at pixels are made for; at faces, or at pictures."""
    return [
        (card.name, card.input)
        for card in cards
        if card.input is not None and (card.view.kind == "faces") is faces
    ]


def _suits(made_for: Input, shorter: int, longer: int) -> bool:
    return made_for.smallest_side <= shorter and longer <= made_for.largest_side
