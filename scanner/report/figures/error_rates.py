"""Error rates of detectors by source, from their cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.report.figures.estimate import Rates
from workers.detectors import installed
from workers.detectors.card import CardError
from workers.evaluation.intervals import Share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.records import Plan, PlannedDetector
    from workers.detectors.card import Card

# Fewer sources of a class say nothing of how much rates vary between sources.
FEWEST_SOURCES = 3


def measured_cards(plan: Plan) -> dict[str, Card]:
    """Return the cards of a plan's detectors that have figures at the scan's thresholds, by name.

    Left out are detectors that were never measured, that are of another model or other thresholds
    than those installed, and all of them where a built-in card is damaged.
    """
    try:
        cards = installed.installed()
    except CardError:
        return {}
    return {
        planned.name: card
        for planned in plan.detectors
        if (card := cards.get(planned.name)) is not None and _describes(card, planned)
    }


def _describes(card: Card, planned: PlannedDetector) -> bool:
    """Return whether a card has figures of this model at these thresholds."""
    if card.measured is None or card.sha256 != planned.sha256:
        return False
    thresholds = card.thresholds.unsure, card.thresholds.ai
    return thresholds == (planned.thresholds.unsure, planned.thresholds.ai)


def card_rates(card: Card) -> Rates | None:
    """Return the measured rates of a card; None if they are of too few sources."""
    ai, real = (tuple(_by_source(card, kind)) for kind in ("ai", "real"))
    if min(len(ai), len(real)) < FEWEST_SOURCES:
        return None
    return Rates(ai, real)


def _by_source(card: Card, kind: str) -> Iterator[Share]:
    """Yield the flagged images of each source: of the test set, and held out of the training."""
    for source in card.sources:
        if source.kind == kind:
            yield Share(round(source.flagged * source.images), source.images)
    for held_out in card.held_out:
        if held_out.kind == kind:
            yield Share(held_out.flagged, held_out.images)
