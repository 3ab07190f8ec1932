"""What the detectors looked at in an image: boxes to draw, and the rest in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scanner.language import gettext
from storage.records import STATED
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.pipeline.crops import LEAST_REDUCTION, crop_places, reduction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scanner.web.previews import Shape
    from storage.records import Finding, Plan
    from workers.detectors.card import Card

# The keys in a finding's detail for a face or a mark, and for the number of crops.
BOX, CROPS = "box", "crops"
# Boxes that are drawn; more would hide the image.
MAX_BOXES = 100
_SIDES = 4


class Drawn(NamedTuple):
    """A box in pixels of the upright image; `finding` is the number of its finding."""

    finding: int
    kind: str
    left: float
    top: float
    width: float
    height: float


class Looked(NamedTuple):
    """What the detectors looked at: boxes in an image of `size`, and further views in words.

    `size` is None where nothing can be drawn.
    """

    boxes: Sequence[Drawn]
    size: tuple[int, int] | None
    further_views: Sequence[str]


def looked(findings: Sequence[Finding], shape: Shape | None, cards: Mapping[str, Card]) -> Looked:
    """Return what detectors looked at in an image of a shape, if that is known."""
    return Looked(
        boxes(findings, shape, cards) if shape else (),
        shape.upright if shape else None,
        [further_views(finding, shape, cards) for finding in findings],
    )


def cards_of(plan: Plan) -> dict[str, Card]:
    """Return the cards of a plan's detectors that are installed here in the plan's version."""
    try:
        cards = installed.installed()
    except CardError:
        return {}
    return {
        planned.name: cards[planned.name]
        for planned in plan.detectors
        if planned.name in cards
        and (cards[planned.name].version, cards[planned.name].sha256)
        == (planned.version, planned.sha256)
    }


def has_places(findings: Sequence[Finding]) -> bool:
    """Check whether anything could be drawn, for which the image's size is needed."""
    return any(BOX in finding.detail or CROPS in finding.detail for finding in findings)


def boxes(findings: Sequence[Finding], shape: Shape, cards: Mapping[str, Card]) -> list[Drawn]:
    """Return the boxes of faces, marks and crops at the image's own resolution."""
    drawn: list[Drawn] = []
    for number, finding in enumerate(findings, start=1):
        box = finding.detail.get(BOX)
        if isinstance(box, list) and len(box) == _SIDES:
            if all(isinstance(side, int | float) for side in box):
                kind = "mark" if finding.detector in STATED else "face"
                drawn.append(_drawn(number, kind, *box))
        elif (card := _card_of_crops(finding, cards)) is not None and card.input is not None:
            wide, high = card.input.width, card.input.height
            for left, top in crop_places(shape.stored, card.input, card.view.crops):
                stored = (left, top, left + wide, top + high)
                drawn.append(_drawn(number, "crop", *shape.to_upright(stored)))
    return drawn[:MAX_BOXES]


def further_views(finding: Finding, shape: Shape | None, cards: Mapping[str, Card]) -> str:
    """Return in words what a detector of crops looked at beside them; empty if nothing."""
    card = _card_of_crops(finding, cards)
    if card is None or shape is None:
        return ""
    further = []
    if card.view.reduced_crops and reduction(shape.stored) >= LEAST_REDUCTION:
        further.append(gettext("crops of the image reduced to a megapixel"))
    if card.view.overview:
        further.append(gettext("the whole image reduced to one crop's size"))
    if not further:
        return ""
    return gettext("The detector also looked at {views}.").format(
        views=gettext(" and at ").join(further)
    )


def _card_of_crops(finding: Finding, cards: Mapping[str, Card]) -> Card | None:
    card = cards.get(finding.detector)
    return card if card is not None and CROPS in finding.detail else None


def _drawn(number: int, kind: str, *box: float) -> Drawn:
    left, top, right, bottom = box
    return Drawn(number, kind, left, top, max(0.0, right - left), max(0.0, bottom - top))
